"""A simulated null distribution: the chance of a statistic, from its upper quantiles at some levels."""

from __future__ import annotations

import numpy as np

__all__ = ["SMALLEST_P", "upper_tail"]

SMALLEST_P = 1e-4  # smaller ones would be an extrapolation of the simulated tables


def upper_tail(statistic: float, points: np.ndarray, logs: np.ndarray) -> float:
    """The chance of a null statistic of this size or more.

    `points` are ascending upper quantiles, shape (levels,), `logs` the logarithms of their levels, shape (levels,).
    Log-linear between them and beyond the last one; 1 below the first.
    """
    if statistic > points[-1]:
        slope = (logs[-1] - logs[-4]) / (points[-1] - points[-4])
        return float(np.exp(logs[-1] + slope * (statistic - points[-1])))
    if statistic < points[0]:
        return 1.0
    return float(np.exp(np.interp(statistic, points, logs)))
