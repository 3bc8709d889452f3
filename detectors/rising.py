"""The rises of a validation loss: the climb test with a width of the noise for each piece between drops.

The pieces are measured apart since a drop changes the noise, and tested together: a rise may go on through a drop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import log, pi, sqrt
from typing import Any

import numpy as np

from detectors.climb import LARGEST, SHORTEST, Climb, Climbs, bottom_bounds, climbs, known_to_rise
from detectors.climb import ahead as climb_ahead
from detectors.noise import FEWEST, LOG_WIDTH, Noise, despike, despike_ahead, floor, mean_square, noise_of
from detectors.noise import ahead as noise_ahead
from detectors.remembered import remembered
from detectors.segments import segments
from detectors.shapes import rises, unimodal_bottom

__all__ = ["RisesFound", "RisingStretch", "ahead", "levels", "levels_ahead", "rising"]

LEVEL = 5  # values averaged for the level at a bottom, at a top or beside a drop
VISIBLE = 3.0  # standard errors by which a drop must move a curve or the width of its noise, to cut it


@dataclass(frozen=True)
class RisingStretch:
    """One rise: positions of its bottom and top, an interval for the bottom, and what it rests on.

    `bottom_level` and `top_level` are means of a few values around the two, in the unit of the series; `known` is the
    first position at which it is beyond doubt; `ends` says that it turned before the series ended. Nothing outside
    `around_bottom` and `around_top` (half-open ranges of positions) was at the learning rate of the bottom or of the
    top.
    """

    bottom: int
    top: int
    interval: tuple[int, int]
    known: int
    bottom_level: float
    top_level: float
    p_value: float
    scale: int
    noise: Noise
    ends: bool
    around_bottom: tuple[int, int]
    around_top: tuple[int, int]

    @property
    def height(self) -> float:
        """How far the curve climbs, in the unit of the series."""
        return self.top_level - self.bottom_level

    @property
    def relative(self) -> float:
        """The height as a share of the bottom's level."""
        return self.height / max(abs(self.bottom_level), 1e-300)


@dataclass(frozen=True)
class RisesFound:
    """All significant rises in order, and the lowest height that could have been seen where the noise is least."""

    stretches: tuple[RisingStretch, ...]
    smallest: float


@remembered
def rising(values: np.ndarray, drops: list[int], alpha: float, level: float) -> RisesFound:
    """Rises of `values` (shape (n,), n >= SHORTEST, finite) with at most `alpha` false alarms a series.

    `drops` are positions at which the rate drops; `level` is the confidence of the bottoms' intervals.
    """
    step = -(-len(values) // LARGEST)  # a longer series is averaged in blocks of `step` values first
    n = len(values) // step
    reduced = values[: n * step].reshape(n, step).mean(1)
    cuts = _visible(reduced, [d // step for d in drops])
    result = climbs(reduced, alpha, cuts)
    smooth = despike(reduced)
    found, start = [], 0
    for climb in sorted(result.found, key=lambda c: c.bottom):
        stretch = _stretch(smooth, start, climb, result, cuts, alpha, level)
        if stretch is not None:
            found.append(_moved(stretch, step, len(values)))
            start = climb.top
    return RisesFound(_joined(found), result.smallest)


def ahead(series: np.ndarray, drops: Sequence[Sequence[int]]) -> None:
    """Test series of shape (runs, n), each with its drops, at once, for `rising` of each."""
    if SHORTEST <= series.shape[-1] <= LARGEST:
        despike_ahead(series)
        noise_ahead(left for pair in zip(series, drops, strict=True) for left in _before(*pair))
        climb_ahead(series, [_visible(values, list(at)) for values, at in zip(series, drops, strict=True)])


def _before(values: np.ndarray, drops: Sequence[int]) -> list[np.ndarray]:
    """The values before each of the drops of a series whose noise is asked for first."""
    smooth = despike(values)
    left = [smooth[max(lo, hi - 2 * SHORTEST) : hi] for lo, hi in segments(len(values), list(drops))[:-1]]
    return [piece for piece in left if len(piece) >= FEWEST]


@remembered
def _visible(values: np.ndarray, drops: list[int]) -> list[int]:
    """The drops that move the curve or its noise, so that the pieces beside them differ; too short ones are joined."""
    kept = sorted({d for d in drops if 0 < d < len(values)})
    if not kept:
        return []
    smooth = despike(values)
    strength_of = cache(lambda lo, d, hi: _strength(smooth, lo, d, hi))  # a drop that goes changes its neighbours only
    while kept:
        strength = [strength_of(lo, d, hi) for (lo, d), (_, hi) in pairwise(segments(len(values), kept))]
        short = [
            i for i, (a, b) in enumerate(pairwise([0, *kept, len(values)])) if b - a < SHORTEST
        ]  # a piece too short goes to the neighbour from which it differs less
        borders = {j for i in short for j in (i - 1, i) if 0 <= j < len(kept)}
        weakest = min(borders or range(len(kept)), key=lambda j: strength[j])
        if not short and strength[weakest] > VISIBLE:
            break
        del kept[weakest]
    return kept


def _strength(values: np.ndarray, lo: int, d: int, hi: int) -> float:
    """Standard errors by which the level, or the logarithm of the width of the noise, changes at position d."""
    left, right = values[max(lo, d - 2 * SHORTEST) : d], values[d : min(hi, d + 2 * SHORTEST)]
    before, after = left[-LEVEL:], right[:LEVEL]
    noise = noise_of(left if len(left) >= FEWEST else values)
    se = np.hypot(noise.se_of_mean(len(before)), noise.se_of_mean(len(after)))
    moves = abs(float(after.mean() - before.mean())) / float(se)
    if min(len(left), len(right)) < FEWEST:
        return moves
    jitter = [float(max(np.sqrt(mean_square(side, 1)), floor(side))) for side in (left, right)]
    return max(moves, abs(log(jitter[1] / jitter[0])) / sqrt(LOG_WIDTH * (1 / len(left) + 1 / len(right))))


def levels(
    values: np.ndarray, stretch: RisingStretch, window: int = LEVEL, *, steep: bool = False
) -> tuple[float, float, float]:
    """(mean around the bottom, mean around the top, standard error of their difference) of another series.

    `values` has the positions of the series that rises; up to `window` values are averaged at each end. Of a series
    that may be `steep` there the median is taken: where it falls fast and then slowly, the mean lies above its middle.
    """
    smooth = despike(values)
    (before, n), (after, m) = (
        _level(smooth, at, min(window, stretch.scale), *around, np.median if steep else np.mean)
        for at, around in ((stretch.bottom, stretch.around_bottom), (stretch.top, stretch.around_top))
    )
    noise = noise_of(_within(values, stretch))
    se = float(np.hypot(noise.se_of_mean(n), noise.se_of_mean(m)))
    return before, after, sqrt(pi / 2) * se if steep else se


def levels_ahead(
    series: np.ndarray, drops: Sequence[Sequence[int]], others: np.ndarray, alpha: float, level: float
) -> None:
    """Measure `others` where `series` rise, each of shape (runs, n), for `levels` of each."""
    if series.shape[-1] >= SHORTEST:
        despike_ahead(others)
        noise_ahead(
            _within(other, stretch)
            for values, at, other in zip(series, drops, others, strict=True)
            for stretch in rising(values, list(at), alpha, level).stretches
        )


def _within(values: np.ndarray, stretch: RisingStretch) -> np.ndarray:
    """The values that tell the noise of another series about a rise."""
    within = values[stretch.around_bottom[0] : stretch.around_top[1]]
    return within if len(within) >= SHORTEST else values


def _level(
    values: np.ndarray, at: int, window: int, lo: int, hi: int, of: Callable[[np.ndarray], Any] = np.mean
) -> tuple[float, int]:
    """(mean, or what `of` takes, of up to `window` values around position `at`, how many), not outside lo..hi."""
    start = max(lo, min(at - window // 2, hi - window))
    inside = values[start : min(start + window, hi)]
    return float(of(inside)), len(inside)


def _stretch(
    values: np.ndarray, start: int, climb: Climb, result: Climbs, cuts: list[int], alpha: float, level: float
) -> RisingStretch | None:
    """The rise in full; `start` is the top of the one before."""
    scale, top = climb.scale, climb.top
    pieces = segments(len(values), cuts)
    here, there = (next(i for i, piece in enumerate(pieces) if at < piece[1]) for at in (climb.bottom, top))
    bottom = _bottom(values, max(start, pieces[here][0]), top + 1)
    while (cut := pieces[here][0]) > start and _began_before(
        values, lo := max(start, pieces[here - 1][0]), cut, bottom, top
    ):
        here -= 1
        bottom = _bottom(values, lo, top + 1)
    if bottom >= top:
        return None
    end = min(len(values), top + scale)
    part, width = values[start:end], result.width[start:end]
    lo, hi = bottom_bounds(part, width, result.rho_upper, len(result.noise), (1 - level) / 2)
    known = known_to_rise(part, width, result.rho_upper, len(result.noise), alpha)
    here = next(i for i, piece in enumerate(pieces) if bottom < piece[1])
    around_bottom = max(start, pieces[here][0]), min(end, pieces[here][1])
    around_top = max(start, pieces[there][0]), pieces[there][1]
    return RisingStretch(
        bottom=bottom,
        top=top,
        interval=(min(start + lo, bottom), max(start + hi, bottom)),
        known=max(start + known, bottom),
        bottom_level=_level(values, bottom, min(LEVEL, scale), *around_bottom)[0],
        top_level=_level(values, top, min(LEVEL, scale), *around_top)[0],
        p_value=climb.p_value,
        scale=scale,
        noise=result.noise[here],
        ends=top + scale < len(values),
        around_bottom=around_bottom,
        around_top=around_top,
    )


def _bottom(values: np.ndarray, lo: int, hi: int) -> int:
    """Position of the bottom of the fit that falls and then rises over lo..hi-1."""
    return lo + unimodal_bottom(values[lo:hi])


def _began_before(values: np.ndarray, lo: int, cut: int, bottom: int, top: int) -> bool:
    """Whether a rise from `bottom` to `top` is one from the piece lo..cut-1: it is lower there, and no top between.

    By persistence (`detectors.shapes`) the drop at `cut` is then a dip within the rise, if it is any fall.
    """

    def level(at: int, first: int, last: int) -> float:
        return _level(values, at, LEVEL, first, last)[0]

    lower = level(_bottom(values, lo, cut), lo, cut) <= level(bottom, cut, top + 1)
    return lower and level(cut, lo, cut) <= level(top, cut, len(values))


def _moved(s: RisingStretch, step: int, size: int) -> RisingStretch:
    """The stretch in positions of the whole series of `size` values, not of blocks of `step`."""

    def to(position: int) -> int:
        return min(position * step + step // 2, size - 1)

    return replace(
        s,
        bottom=to(s.bottom),
        top=to(s.top),
        interval=(s.interval[0] * step, min((s.interval[1] + 1) * step - 1, size - 1)),
        known=to(s.known),
        scale=s.scale * step,
        around_bottom=(s.around_bottom[0] * step, min(s.around_bottom[1] * step, size)),
        around_top=(s.around_top[0] * step, size if s.around_top[1] * step + step > size else s.around_top[1] * step),
    )


def _joined(found: list[RisingStretch]) -> tuple[RisingStretch, ...]:
    """Rises that are one by persistence: the second starts above the first's bottom and ends above its top."""
    if len(found) < 2:
        return tuple(found)
    levels = np.array([v for s in found for v in (s.bottom_level, s.top_level)])
    out = []
    for rise in rises(levels):
        first, last = found[rise.a // 2], found[rise.b // 2]
        if first is last:
            out.append(first)
        else:
            joined = replace(first, top=last.top, top_level=last.top_level, around_top=last.around_top)
            out.append(replace(joined, ends=last.ends, p_value=min(first.p_value, last.p_value)))
    return tuple(out)
