"""Does a curve lie below the line that it was on before a drop of the rate, by more than its noise explains?

The line has the level of the last 15 values before the drop and the slope of the last 30, continued past it; where the
curve was rising the level alone, which lies below any rise, whether it goes on or has ended. The means of the first 4
and of the first 12 values after the drop are held against it, each in units of the standard error that the noise of
both sides gives it; the statistic is the larger one. A level where the curve was rising, and a straight line where it
was falling ever more slowly, both understate the improvement.

The null distribution is simulated with everything that is estimated, on flat curves and on steep straight lines, for
lengths of either side and for the number of values from which the memory of the noise was told; the worst is taken over
autocorrelations up to 0.8 and noise that is normal or Student's t with four degrees of freedom, of constant width,
growing or shrinking e-fold: `experiments/continuation_null.py` writes it to `continuation_null.csv`.

Limits: a curve that falls faster and faster before the drop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from detectors.noise import FEWEST, Estimate, estimate, measure_ahead, se_of_mean
from detectors.null import SMALLEST_P, critical, read_rows, upper_tail
from detectors.remembered import remembered

__all__ = ["AFTER", "BEFORE", "HORIZONS", "Sides", "ahead", "continued", "least_ratio", "p_value"]

LINE = 30  # values before the drop that give the slope of the line, and ...
LEVEL = 15  # ... that give its level
HORIZONS = (4, 12)  # values after the drop that are held against it
MARGIN = 2.0  # over the square root of the number of values: how far the memory is taken above its estimate
BEFORE, AFTER = 60, 30  # values on either side whose noise it is held against, at most


@dataclass(frozen=True, eq=False)
class Sides:
    """Curves held against their line: `improvement` (unit of the curve) where it stands out most, and its ratio.

    `least`, shape (...), is the standard error of the more precise horizon; `noise` is that of either side.
    """

    improvement: np.ndarray
    ratio: np.ndarray
    least: np.ndarray
    noise: tuple[Estimate, Estimate]


@remembered
def continued(left: np.ndarray, right: np.ndarray, *others: np.ndarray) -> Sides:
    """Curves of shapes (..., FEWEST or more) before and (..., 4 or more) after a drop, outliers set aside.

    `others` are further pieces of the same runs: their noise helps to tell the memory.
    """
    before, after, *_ = pieces = _pieces(left, right, *others)
    told = estimate(before, *(piece for piece in pieces[1:] if piece.shape[-1] >= FEWEST), margin=MARGIN)
    noise = told[0], told[1] if after.shape[-1] >= FEWEST else told[0]
    size = before.shape[-1]
    w = min(LEVEL, size)
    long = max(w, min(LINE, 3 * size // 4))
    x = np.arange(long) - (long - 1) / 2
    slope = np.minimum((before[..., -long:] * x).sum(axis=-1) / (x @ x), 0.0)
    level = before[..., -w:].mean(axis=-1)
    # the slope's error grows with the noise's memory as a mean's
    per_value = np.where(slope < 0, _se(noise[0], long) * np.sqrt(long) / np.sqrt(x @ x), 0.0)
    parts = []
    for horizon in HORIZONS:
        h = min(horizon, right.shape[-1])
        ahead = (w + h) / 2  # from the middle of the one mean to the middle of the other
        improvement = level + slope * ahead - right[..., :h].mean(axis=-1)
        se = np.hypot(np.hypot(_se(noise[0], w), _se(noise[1], h)), per_value * ahead)  # no square underflows
        se = np.maximum(se, np.finfo(float).tiny)  # where nothing moves at all, nothing improves
        parts.append((improvement, improvement / se, se))
    (soon, first, a), (later, second, b) = parts
    return Sides(np.where(first > second, soon, later), np.maximum(first, second), np.minimum(a, b), noise)


def ahead(sides: Iterable[Sequence[np.ndarray]]) -> None:
    """Measure what `continued` is asked about many drops at once: the left side, the right one, and the others."""
    measure_ahead(piece for side in sides for piece in _pieces(*side) if len(piece) >= FEWEST)


def _pieces(left: np.ndarray, right: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """The pieces from which the noise is told."""
    return left[..., -BEFORE:], right[..., :AFTER], *others


def p_value(ratio: float, before: int, after: int, told: int) -> float:
    """The chance of a ratio of this size at one null drop with so many values on either side.

    `told` is the number of values from which the memory of the noise was told.
    """
    return max(upper_tail(ratio, *_row(before, after, told)), SMALLEST_P)


def least_ratio(alpha: float, before: int, after: int, told: int) -> float:
    """The ratio that is exceeded at one null drop with chance `alpha`."""
    return critical(alpha, *_row(before, after, told))


def _se(noise: Estimate, m: int) -> np.ndarray:
    """Standard error of the mean of `m` successive values, shape (...)."""
    if not np.ndim(noise.rho_upper):
        return np.asarray(noise.sigma * se_of_mean(float(noise.rho_upper), m))
    k = np.arange(1, m)
    grid, at = np.unique(noise.rho_upper, return_inverse=True)
    factor = np.sqrt((1 + 2 * np.sum((1 - k / m) * grid[:, None] ** k, axis=-1)) / m)
    se: np.ndarray = noise.sigma * factor[at.reshape(np.shape(noise.rho_upper))]
    return se


def _row(before: int, after: int, told: int) -> tuple[np.ndarray, np.ndarray]:
    """(ascending upper points, logarithms of their levels) of the largest tabulated case that is nowhere larger."""
    cases, levels, points = _table()
    fits = (cases <= (before, after, told)).all(axis=1)
    at = int(np.flatnonzero(fits)[np.argmax(cases[fits].sum(axis=1))]) if fits.any() else 0
    return points[at], np.log(levels)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cases of shape (cases, 3), levels descending, upper points of shape (cases, levels))."""
    points: dict[tuple[int, int, int], dict[float, float]] = {}
    for row in read_rows("continuation_null.csv"):
        case = int(row["before"]), int(row["after"]), int(row["told"])
        points.setdefault(case, {})[float(row["level"])] = float(row["value"])
    cases = sorted(points)
    levels = sorted(points[cases[0]], reverse=True)
    return np.array(cases), np.array(levels), np.array([[points[c][v] for v in levels] for c in cases])
