"""The rises of a validation loss: the climb test on each piece between drops, put together by persistence.

The pieces are tested apart since a drop changes the noise; a rise that goes on through a drop is joined again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from detectors.climb import LARGEST, SHORTEST, Climbs, bottom_bounds, climbs
from detectors.noise import FEWEST, Noise, despike, noise_of
from detectors.segments import segments
from detectors.shapes import rises, unimodal_bottom

__all__ = ["RisesFound", "RisingStretch", "levels", "rising"]

LEVEL = 5  # values averaged for the level at a bottom, at a top or beside a drop
VISIBLE = 3.0  # standard errors by which a drop must move a curve to cut it


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


@dataclass(frozen=True)
class RisesFound:
    """All significant rises, the lowest height that could have been seen in the best piece, and the pieces tested."""

    stretches: tuple[RisingStretch, ...]
    smallest: float | None
    pieces: int


def rising(values: np.ndarray, drops: list[int], alpha: float, level: float) -> RisesFound:
    """Rises of `values` (shape (n,), finite) with at most `alpha` false alarms a series.

    `drops` are positions at which the rate drops; `level` is the confidence of the bottoms' intervals.
    """
    if len(values) < SHORTEST:
        return RisesFound((), None, 0)
    pieces = [(lo, hi) for lo, hi in segments(len(values), _visible(values, drops)) if hi - lo >= SHORTEST]
    found: list[RisingStretch] = []
    smallest = []
    clean = [despike(values[lo:hi]) for lo, hi in pieces]
    for i, (lo, hi) in enumerate(pieces):
        step = -(-(hi - lo) // LARGEST)  # a longer piece is averaged in blocks of `step` values first
        n = (hi - lo) // step
        reduced = values[lo : lo + n * step].reshape(n, step).mean(1)
        others = [] if step > 1 else [c for j, c in enumerate(clean) if j != i]
        result = climbs(reduced, alpha / len(pieces), others)
        smallest.append(result.smallest)
        start = 0
        for rise in result.rises:
            if rise.b <= start:
                continue  # a rise within the one before it
            stretch = _stretch(reduced, start, rise.b, result, alpha / len(pieces), level)
            if stretch is not None:
                found.append(_moved(stretch, lo, step, hi, len(pieces), hi < len(values)))
                start = rise.b
    return RisesFound(_joined(found), min(smallest) if smallest else None, len(pieces))


def _visible(values: np.ndarray, drops: list[int]) -> list[int]:
    """The drops that move the curve, so that the pieces beside them differ; pieces too short to test are joined."""
    kept = sorted({d for d in drops if 0 < d < len(values)})
    if not kept:
        return []
    smooth = despike(values)
    while kept:
        strength = []
        for (lo, d), (_, hi) in pairwise(segments(len(values), kept)):
            before, after = smooth[max(lo, d - LEVEL) : d], smooth[d : min(hi, d + LEVEL)]
            around = smooth[max(lo, d - 2 * SHORTEST) : d]
            noise = noise_of(around if len(around) >= FEWEST else smooth)
            se = np.hypot(noise.se_of_mean(len(before)), noise.se_of_mean(len(after)))
            strength.append(abs(float(after.mean() - before.mean())) / se)
        short = [
            i for i, (a, b) in enumerate(pairwise([0, *kept, len(values)])) if b - a < SHORTEST
        ]  # a piece too short goes to the neighbour from which it differs less
        borders = {j for i in short for j in (i - 1, i) if 0 <= j < len(kept)}
        weakest = min(borders or range(len(kept)), key=lambda j: strength[j])
        if not short and strength[weakest] > VISIBLE:
            break
        del kept[weakest]
    return kept


def levels(values: np.ndarray, stretch: RisingStretch, window: int = LEVEL) -> tuple[float, float, float]:
    """(mean around the bottom, mean around the top, standard error of their difference) of another series.

    `values` has the positions of the series that rises; up to `window` values are averaged at each end.
    """
    smooth = despike(values)
    (before, n), (after, m) = (
        _level(smooth, at, min(window, stretch.scale), *around)
        for at, around in ((stretch.bottom, stretch.around_bottom), (stretch.top, stretch.around_top))
    )
    within = values[stretch.around_bottom[0] : stretch.around_top[1]]
    noise = noise_of(within if len(within) >= SHORTEST else values)
    return before, after, float(np.hypot(noise.se_of_mean(n), noise.se_of_mean(m)))


def _level(values: np.ndarray, at: int, window: int, lo: int, hi: int) -> tuple[float, int]:
    """(mean of up to `window` values around position `at`, how many), not looking outside lo..hi."""
    start = max(lo, min(at - window // 2, hi - window))
    inside = values[start : min(start + window, hi)]
    return float(inside.mean()), len(inside)


def _stretch(
    values: np.ndarray, start: int, top: int, result: Climbs, alpha: float, level: float
) -> RisingStretch | None:
    scale, noise, pool = result.scale, result.noise, result.pool
    smooth = despike(values)
    bottom = start + unimodal_bottom(smooth[start : top + 1])
    if bottom >= top:
        return None
    end = min(len(values), top + scale)
    lo, hi = bottom_bounds(values[start:end], noise, pool, (1 - level) / 2)
    _, known = bottom_bounds(values[start:end], noise, pool, alpha)
    return RisingStretch(
        bottom=bottom,
        top=top,
        interval=(min(start + lo, bottom), max(start + hi, bottom)),
        known=max(start + known, bottom),
        bottom_level=_level(smooth, bottom, min(LEVEL, scale), start, end)[0],
        top_level=_level(smooth, top, min(LEVEL, scale), start, len(values))[0],
        p_value=result.p_value,
        scale=scale,
        noise=noise,
        ends=top + scale < len(values),
        around_bottom=(start, end),
        around_top=(start, len(values)),
    )


def _moved(s: RisingStretch, lo: int, step: int, hi: int, pieces: int, dropped: bool) -> RisingStretch:
    """The stretch in positions of the whole series, its p-value corrected for the number of pieces."""

    def to(position: int) -> int:
        return min(lo + position * step + step // 2, hi - 1)

    return RisingStretch(
        bottom=to(s.bottom),
        top=to(s.top),
        interval=(lo + s.interval[0] * step, min(lo + (s.interval[1] + 1) * step - 1, hi - 1)),
        known=to(s.known),
        bottom_level=s.bottom_level,
        top_level=s.top_level,
        p_value=min(1.0, s.p_value * pieces),
        scale=s.scale * step,
        noise=s.noise,
        ends=s.ends or dropped,
        around_bottom=(lo + s.around_bottom[0] * step, min(lo + s.around_bottom[1] * step, hi)),
        around_top=(lo + s.around_top[0] * step, hi),
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
