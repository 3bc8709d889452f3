"""Rules that others use, and dummies, worn as detectors, so that they are judged like ours."""
