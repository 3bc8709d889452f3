"""The climb test: does a noisy curve rise anywhere, where, and where is the bottom before it?

Null: the expected curve never increases (a decay, a plateau, falls at drops of the rate). The climb at scale m is the
largest rise from the mean of m values to the mean of a later m values, over the mean width of the noise at the two. A
contrast whose negative weights come first has expectation at most 0 under every non-increasing curve, so a flat one is
least favourable (the idea of simultaneous up/down statements over all windows: Dümbgen & Walther, 2008,
arXiv:0706.3968). The statistic is the largest climb over scales, each divided by its own 99 % point for this length and
autocorrelation.

The noise is estimated (`detectors.noise`): one memory for the whole series, a width and a growth for each piece between
cuts. The selection of place and scale, that estimation and the handling of outliers are all part of the simulated null
distribution, of which the worst is taken over autocorrelations up to 0.8 and noise that is normal or Student's t with
four degrees of freedom, of constant width, growing or shrinking e-fold; `experiments/climb_null.py` writes it to
`climb_null.csv`.

Limits: a flat curve is least favourable exactly where the noise is known, and nearly so where it is estimated. Beyond
autocorrelation 0.8 nothing is promised; there the estimate itself is used, up to 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detectors.noise import Estimate, Noise, despike, estimate, measure_ahead, moving_average, widths
from detectors.null import Table, read
from detectors.remembered import remembered
from detectors.shapes import Rise, rises

__all__ = [
    "LARGEST",
    "SHORTEST",
    "Climbs",
    "ahead",
    "bottom_bounds",
    "climb_statistic",
    "climbs",
    "known_to_rise",
    "largest_climb",
    "scales",
]

SHORTEST = 12  # values that the test needs
LARGEST = 1024  # values that it looks at
PASSES = 6  # of the search for the largest ratio, at most


@dataclass(frozen=True)
class Climb:
    """A significant rise: positions of its bottom and its top, the values averaged where it was told, its p-value."""

    bottom: int
    top: int
    scale: int
    p_value: float


@dataclass(frozen=True, eq=False)
class Climbs:
    """The climb test's answer about one series.

    `p_value` is that of the largest climb; `found` are all significant ones that do not overlap, those that stand out
    most first; `smallest` is the lowest height (unit of the series) at which a climb would have been significant;
    `width`, shape (n,), is that of the noise at each value, `noise` has one entry for each piece.
    """

    p_value: float
    found: tuple[Climb, ...]
    smallest: float
    width: np.ndarray
    noise: tuple[Noise, ...]

    @property
    def rho_upper(self) -> float:
        """The autocorrelation that the test reckoned with."""
        return self.noise[0].rho_upper


def climbs(values: np.ndarray, alpha: float, cuts: Sequence[int] = ()) -> Climbs:
    """The climb test at level `alpha` of one series of shape (n,), SHORTEST <= n <= LARGEST, all values finite.

    At each of the `cuts` a new piece begins, whose noise has a width and a growth of its own.
    """
    n = values.shape[-1]
    values = despike(values)
    estimates, width, ratios, unit = _ratios(values, cuts)
    noise = tuple(e.one() for e in estimates)
    critical = table().critical(n, len(noise), alpha)
    found: list[Climb] = []
    for borders in (cuts, ()) if len(cuts) else ((),):  # windows across a cut only where no others show the rise
        for i in () if found else np.argsort(-ratios, kind="stable").tolist():  # where it stands out most, first
            if ratios[i] <= critical:
                break
            m = scales(n)[i]
            for rise, ratio in _rises(values, width, m, critical * unit[i], borders):
                if all(rise.b <= f.bottom or rise.a >= f.top for f in found):
                    found.append(Climb(rise.a, rise.b, m, table().p_value(n, len(noise), ratio / unit[i])))
    smallest = critical * unit.min() * min(e.sigma for e in noise)
    return Climbs(table().p_value(n, len(noise), float(ratios.max())), tuple(found), float(smallest), width, noise)


def ahead(series: np.ndarray, cuts: Sequence[Sequence[int]]) -> None:
    """Test series of shape (runs, n), each with its cuts, at once, for `climbs` of each; their `despike` is known."""
    if SHORTEST <= series.shape[-1] <= LARGEST:
        smooth = [despike(values) for values in series]
        measure_ahead(piece for values, at in zip(smooth, cuts, strict=True) for piece in _pieces(values, at))
        width = [_noise(values, cuts=list(at))[1] for values, at in zip(smooth, cuts, strict=True)]
        _largest_climbs.ahead(np.stack(smooth), np.stack(width))


def _ratios(values: np.ndarray, cuts: Sequence[int]) -> tuple[tuple[Estimate, ...], np.ndarray, np.ndarray, np.ndarray]:
    """(noise, width at each value, largest climb of each scale in units, units) of despiked series, shape (..., n)."""
    n = values.shape[-1]
    estimates, width = _noise(values, cuts=list(cuts))
    unit = table().units(n, estimates[0].rho_upper, len(scales(n)))
    return estimates, width, _largest_climbs(values, width) / unit, unit


@remembered
def _largest_climbs(values: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The largest climb of each scale, shape (..., scales), in series of shape (..., n)."""
    return np.stack([largest_climb(values, width, m) for m in scales(values.shape[-1])], axis=-1)


def _pieces(values: np.ndarray, cuts: Sequence[int]) -> list[np.ndarray]:
    """The pieces of series of shape (..., n)."""
    return [values[..., lo:hi] for lo, hi in pairwise([0, *cuts, values.shape[-1]])]


@remembered
def _noise(values: np.ndarray, cuts: Sequence[int]) -> tuple[tuple[Estimate, ...], np.ndarray]:
    """The noise of each piece of series of shape (..., n), and its width at each value, shape (..., n)."""
    pieces = _pieces(values, cuts)
    estimates = estimate(*pieces)
    width = [e.sigma[..., None] * widths(e.growth, p.shape[-1]) for e, p in zip(estimates, pieces, strict=True)]
    return estimates, np.concatenate(width, axis=-1)


def _rises(
    values: np.ndarray, width: np.ndarray, m: int, least: float, cuts: Sequence[int]
) -> list[tuple[Rise, float]]:
    """Rises of the means of m values, at the centres of their windows, that hold a climb of more than `least` widths.

    With each its largest climb; the windows at the two ends of a climb do not overlap, and none lies across a cut.
    """
    start = np.arange(len(values) - m + 1)
    start = start[~np.any([(start < cut) & (cut < start + m) for cut in cuts], axis=0)] if len(cuts) else start
    means, half = moving_average(values, m), moving_average(width, m) / 2
    out = []
    for r in rises(means[start]):
        a, b = int(start[r.a]), int(start[r.b])
        if b - a >= m and r.prominence > least * width.min():
            climb = float(_largest_ratio(means[a : b + 1], half[a : b + 1], m))
            if climb > least:
                out.append((Rise(a + m // 2, b + m // 2, r.prominence), climb))
    return sorted(out, key=lambda item: -item[1])


def bottom_bounds(values: np.ndarray, width: np.ndarray, rho: float, pieces: int, alpha: float) -> tuple[int, int]:
    """Positions [lo, hi] of a series of shape (n,) that hold the bottom of a curve which falls and then rises.

    `width`, shape (n,), is that of the noise at each value. No pair of windows that rises significantly can lie wholly
    before the bottom, and none that falls significantly wholly after it: `hi` is the earliest end of a significant
    rise, `lo` the latest start of a significant fall that starts before `hi` (a later one lies behind the top), each at
    `alpha` simultaneously over all places and scales.
    """
    hi = known_to_rise(values, width, rho, pieces, alpha)
    half, starts = table().critical(len(values), pieces, alpha) / 2, []
    for m, means, unit in _means(values, width, rho):
        low, high = means - half * unit, means + half * unit
        starts.append(np.flatnonzero(low[:-m] > np.minimum.accumulate(high[m:][::-1])[::-1]))
    return max((int(at[at <= hi].max(initial=0)) for at in starts), default=0), hi


def known_to_rise(values: np.ndarray, width: np.ndarray, rho: float, pieces: int, alpha: float) -> int:
    """The earliest position of a series of shape (n,) by which a rise is significant, the last one for none.

    As for `bottom_bounds`, of which it is the upper one.
    """
    hi, half = len(values) - 1, table().critical(len(values), pieces, alpha) / 2
    for m, means, unit in _means(values, width, rho):
        room = half * unit
        up = np.flatnonzero(means[m:] - room[m:] > np.minimum.accumulate((means + room)[:-m]))
        hi = min(hi, int(up[0]) + 2 * m - 1) if up.size else hi
    return hi


@remembered
def _means(values: np.ndarray, width: np.ndarray, rho: float) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """(m, means of m values, the unit of their climbs times their width) of each scale of a series of shape (n,)."""
    n = len(values)
    if n < SHORTEST:
        return []
    values, units = despike(values), table().units(n, np.asarray(rho), len(scales(n)))
    return [(m, moving_average(values, m), moving_average(width, m) * u) for m, u in zip(scales(n), units, strict=True)]


def scales(n: int) -> list[int]:
    """Numbers of values that are averaged in a series of n: 4, 6, 9, 14, ... up to a third of it."""
    out, m = [], 4.0
    while round(m) <= n // 3:
        out.append(round(m))
        m *= 1.5
    return out


def largest_climb(values: np.ndarray, width: np.ndarray, m: int) -> np.ndarray:
    """Largest rise from a mean of m values to a later mean of m, over the mean width of the noise at the two.

    `values` and `width` have shape (..., n), the answer (...). The largest ratio over all pairs is found by the
    iteration of Dinkelbach (1967, Management Science 13): with the ratio so far as the price of the width, the best
    pair is one pass over the series.
    """
    return _largest_ratio(moving_average(values, m), moving_average(width, m) / 2, m)


def _largest_ratio(means: np.ndarray, half: np.ndarray, m: int) -> np.ndarray:
    """The same of means of m values, and of half the mean widths."""
    a, b, u, v = means[..., :-m], means[..., m:], half[..., :-m], half[..., m:]
    shape = a.shape[:-1]
    a, b, u, v = (x.reshape(-1, x.shape[-1]) for x in (a, b, u, v))
    row = np.arange(len(a))
    place = np.arange(a.shape[-1])
    ratio, done = np.zeros(len(a)), np.zeros(len(a), bool)
    for first in (True, *(False,) * PASSES):
        price = ratio[:, None]
        start = a + price * u
        lowest = np.minimum.accumulate(start, axis=-1)
        j = np.argmax(b - price * v - lowest, axis=-1)
        i = np.argmax((start <= lowest[row, j][:, None]) & (place <= j[:, None]), axis=-1)
        better = (b[row, j] - a[row, i]) / (u[row, i] + v[row, j])
        if first:
            ratio = better
            continue
        done |= better <= ratio * (1 + 1e-6)  # each in its own time, whatever its company
        if done.all():
            break
        ratio = np.where(done, ratio, np.maximum(ratio, better))
    return ratio.reshape(shape)


def climb_statistic(values: np.ndarray, cuts: Sequence[int] = ()) -> np.ndarray:
    """The test's statistic for series of shape (..., n), shape (...); `cuts` as for `climbs`."""
    statistic: np.ndarray = _ratios(despike(values), cuts)[2].max(axis=-1)
    return statistic


def table() -> Table:
    """The simulated null."""
    return read("climb_null.csv")
