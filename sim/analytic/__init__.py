"""The analytic tier: real SGD whose expectations are exact, one solvable model a file."""
