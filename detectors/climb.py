"""The climb test: does a noisy curve rise anywhere, where, and where is the bottom before it?

Null: the expected curve never increases (a decay, a plateau, falls at drops of the rate). The climb at scale m is the
largest rise from the mean of m values to the mean of a later m values. A contrast whose negative weights come first has
expectation at most 0 under every non-increasing curve, so a flat one is least favourable (the idea of simultaneous
up/down statements over all windows: Dümbgen & Walther, 2008, arXiv:0706.3968). The statistic is the largest climb over
scales, each divided by its own 99 % point for this length and noise. The selection of place and scale, the estimation
of the noise and the clipping of outliers are all part of the simulated null distribution, of which the worst
autocorrelation up to 0.8 is taken; `experiments/climb_null.py` writes it to `climb_null.csv`.

Limits: simulated for Gaussian noise of constant level; a flat curve is least favourable exactly where the noise is
known, and nearly so where it is estimated. Beyond autocorrelation 0.8 nothing is promised.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from detectors.noise import Noise, autocorrelation, despike, moving_average, width
from detectors.null import SMALLEST_P, upper_tail
from detectors.shapes import Rise, rises

__all__ = ["LARGEST", "SHORTEST", "Climbs", "bottom_bounds", "climb_statistic", "climbs", "largest_climb", "scales"]

SHORTEST = 12  # values that the test needs
LARGEST = 1024  # values that it looks at


@dataclass(frozen=True, eq=False)
class Climbs:
    """The climb test's answer about one series.

    `p_value` is that of the largest climb and `scale` the number of values averaged where it stands out most; `rises`
    are all those at that scale beyond the critical value, at the centres of their windows; `smallest` is the lowest
    height (unit of the series) at which a climb would have been significant; `pool` is how many times its own length
    was used to tell the autocorrelation.
    """

    p_value: float
    scale: int
    rises: tuple[Rise, ...]
    smallest: float
    noise: Noise
    pool: int


def climbs(values: np.ndarray, alpha: float, others: Sequence[np.ndarray] = ()) -> Climbs:
    """The climb test at level `alpha` of one series of shape (n,), SHORTEST <= n <= LARGEST, all values finite.

    `others` are further pieces of the same run: their noise helps to tell the autocorrelation.
    """
    n = values.shape[-1]
    values = despike(values)
    rho, upper = autocorrelation(values, *others)
    noise = Noise(float(width(values, upper)), float(rho), float(upper))
    pool = 1 + sum(len(o) for o in others) // n
    unit = noise.sigma * _units(n, np.asarray(noise.rho_upper))
    heights = np.array([largest_climb(values, m) for m in scales(n)])
    order = np.argsort(-heights / unit, kind="stable")  # where it stands out most, first
    critical = _critical(n, pool, alpha)
    best = int(order[0])
    significant: tuple[Rise, ...] = ()
    for i in map(int, order):  # windows wider than the rise may stand out most and yet overlap at its two ends
        if heights[i] <= critical * unit[i]:
            break
        if significant := _significant(values, scales(n)[i], float(critical * unit[i])):
            best = i
            break
    m = scales(n)[best]
    p_value = _p_value(n, pool, float(heights[best] / unit[best]))
    return Climbs(p_value, m, significant, float(critical * unit.min()), noise, pool)


def _significant(values: np.ndarray, m: int, least: float) -> tuple[Rise, ...]:
    """Rises of the means of m values by more than `least`, between windows that do not overlap, at their centres."""
    return tuple(
        Rise(r.a + m // 2, r.b + m // 2, r.prominence)
        for r in rises(moving_average(values, m))
        if r.prominence > least and r.b - r.a >= m
    )


def bottom_bounds(values: np.ndarray, noise: Noise, pool: int, alpha: float) -> tuple[int, int]:
    """Positions [lo, hi] of a series of shape (n,) that hold the bottom of a curve which falls and then rises.

    No pair of windows that rises significantly can lie wholly before the bottom, and none that falls significantly
    wholly after it: `hi` is the earliest end of a significant rise, `lo` the latest start of a significant fall, each
    at
    `alpha` simultaneously over all places and scales.
    """
    n = values.shape[-1]
    lo, hi = 0, n - 1
    if n >= SHORTEST:
        values = despike(values)
        least = noise.sigma * _units(n, np.asarray(noise.rho_upper)) * _critical(n, pool, alpha)
        for m, height in zip(scales(n), least, strict=True):
            means = moving_average(values, m)
            up = np.flatnonzero(means[m:] - np.minimum.accumulate(means[:-m]) > height)
            if up.size:
                hi = min(hi, int(up[0]) + 2 * m - 1)
            down = np.flatnonzero(means[:-m] - np.minimum.accumulate(means[m:][::-1])[::-1] > height)
            if down.size:
                lo = max(lo, int(down[-1]))
    return min(lo, hi), max(lo, hi)


def scales(n: int) -> list[int]:
    """Numbers of values that are averaged in a series of n: 4, 6, 9, 14, ... up to a third of it."""
    out, m = [], 4.0
    while round(m) <= n // 3:
        out.append(round(m))
        m *= 1.5
    return out


def largest_climb(values: np.ndarray, m: int) -> np.ndarray:
    """Largest rise from a mean of m values to a later mean of m, for series of shape (..., n); shape (...)."""
    means = moving_average(values, m)
    lowest = np.minimum.accumulate(means[..., :-m], axis=-1)
    climb: np.ndarray = (means[..., m:] - lowest).max(axis=-1)
    return climb


def climb_statistic(values: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray:
    """The test's statistic for series of shape (..., n), shape (...)."""
    values = despike(values)
    _, upper = autocorrelation(values, *others)
    heights = np.stack([largest_climb(values, m) for m in scales(values.shape[-1])], axis=-1)
    unit = width(values, upper)[..., None] * _units(values.shape[-1], upper)
    statistic: np.ndarray = np.max(heights / unit, axis=-1)
    return statistic


@dataclass(frozen=True, eq=False)
class Table:
    """The simulated null: `unit[i]` (autocorrelations, scales) are 99 % points, `tail[i]` (pools, levels) quantiles."""

    lengths: np.ndarray
    rho: np.ndarray
    pools: np.ndarray
    levels: np.ndarray
    unit: tuple[np.ndarray, ...]
    tail: tuple[np.ndarray, ...]

    def row(self, n: int) -> int:
        """The tabulated length that stands for n: the next longer one, since climbs grow with length."""
        return min(int(np.searchsorted(self.lengths, n)), len(self.lengths) - 1)


@lru_cache(maxsize=1)
def table() -> Table:
    """The table in `climb_null.csv`."""
    lines = files("detectors").joinpath("climb_null.csv").read_text().splitlines()
    unit: dict[int, dict[float, list[float]]] = {}
    tail: dict[int, dict[int, dict[float, float]]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        n, value = int(row["length"]), float(row["value"])
        if row["what"] == "unit":
            unit.setdefault(n, {}).setdefault(float(row["rho"]), []).append(value)
        else:
            tail.setdefault(n, {}).setdefault(int(row["pool"]), {})[float(row["level"])] = value
    lengths = sorted(unit)
    pools = sorted(tail[lengths[0]])
    levels = sorted(tail[lengths[0]][1], reverse=True)
    return Table(
        np.array(lengths),
        np.array(sorted(unit[lengths[0]])),
        np.array(pools),
        np.array(levels),
        tuple(np.array([unit[n][r] for r in sorted(unit[n])]) for n in lengths),
        tuple(np.array([[tail[n][p][level] for level in levels] for p in pools]) for n in lengths),
    )


def _units(n: int, rho: np.ndarray) -> np.ndarray:
    """99 % points of the climbs in units of sigma, shape (*rho.shape, len(scales(n)))."""
    t = table()
    unit = t.unit[t.row(n)][:, : len(scales(n))]
    i = np.clip(np.searchsorted(t.rho, rho) - 1, 0, len(t.rho) - 2)
    w = np.clip((rho - t.rho[i]) / (t.rho[i + 1] - t.rho[i]), 0, 1)[..., None]
    interpolated: np.ndarray = unit[i] * (1 - w) + unit[i + 1] * w
    return interpolated


def _critical(n: int, pool: int, alpha: float) -> float:
    """The upper `alpha` point of the statistic; log-linear in alpha, beyond the table too."""
    tail, x = _tail(n, pool)
    if alpha < np.exp(x[-1]):
        return float(tail[-1] + (tail[-1] - tail[-4]) / (x[-1] - x[-4]) * (np.log(alpha) - x[-1]))
    return float(np.interp(np.log(alpha), x[::-1], tail[::-1]))


def _p_value(n: int, pool: int, statistic: float) -> float:
    return max(upper_tail(statistic, *_tail(n, pool)), SMALLEST_P)


def _tail(n: int, pool: int) -> tuple[np.ndarray, np.ndarray]:
    """(upper quantiles, logarithms of their levels) for the tabulated pool at or below `pool`."""
    t = table()
    return t.tail[t.row(n)][int(np.searchsorted(t.pools, pool, side="right")) - 1], np.log(t.levels)
