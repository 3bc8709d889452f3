"""Rules that others use, and dummies, as detectors; one file a kind, one line each in `BASELINES`."""

from baselines import change_points, debuggers, dummies, packages, stopping
from baselines.rule import Baseline

__all__ = ["BASELINES"]

BASELINES: tuple[Baseline, ...] = (
    *stopping.BASELINES,
    *debuggers.BASELINES,
    *change_points.BASELINES,
    *packages.BASELINES,
    *dummies.BASELINES,
)
