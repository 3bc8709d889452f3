"""Sudden falls: between two evaluations the curve lands below where it was going, and stays there.

Through the values on either side of each place a straight line is fitted by generalised least squares for AR(1) noise,
8 or 20 values a side (5 after the place, where the run has no more); the statistic is the step between the two lines at
the place over its standard error, the largest of the three windows. In each it is the least of those with any one
value left out, where it is above 2, so that no outlier makes a step (in closed form: Cook, 1977, Technometrics 19). A
convex decay lies above both of its lines, and more so before the place; where a cosine bends the other way both lines
err alike: neither makes a step.
Lines on both sides of a break: regression discontinuity (Hahn, Todd & van der Klaauw, 2001, Econometrica 69).

The lines may fall but not rise, without which the step would be larger. With single peaks cut off, all of the next 4
values must lie below each of the last 8: the end of a spike is no fall. A third of the step must be made at once, and
what happens across a gap in the evaluations is not sudden.

The width of the noise is that of the 20 values on each side, so it may differ there; its memory is the median over
windows of 24 values, which a few falls do not contaminate. Second differences tell both (`detectors.noise`). The null
distribution of the largest statistic of a run is simulated with all that is estimated, on a steep straight line, where
none of the restrictions binds and a step is as large as it can be by chance. The worst is taken of autocorrelation up
to 0.8, normal noise, Student's t with four degrees of freedom, and noise that grows or shrinks e-fold over the run:
`experiments/falls_null.py` writes it to `falls_null.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from detectors.noise import RHO_MOST, clipped_mean_square, floor, likeliest, mean_square, median
from detectors.null import SMALLEST_P, read_rows, upper_tail
from detectors.remembered import remembered
from detectors.vocabulary import Run

__all__ = ["SHORTEST", "SuddenFall", "ahead", "fall_statistic", "sudden_falls"]

AROUND = 20  # values on a side whose noise it is held against; the first ones of a run fall for other reasons
WINDOWS = ((8, 5), (8, 8), (20, 20))  # values before and after through which the lines are drawn
LARGE = 2.0  # a statistic from which on single values are left out, ...
AT_A_TIME = 256  # ... of so many windows together
BELOW, STAYS = 8, 4  # each of the next 4 values lies below each of the last 8
AT_ONCE = 1 / 3  # of the step must be made between two evaluations
LEAST = 1e-100  # of the largest value: the least width of the noise, so that nothing is divided by zero
GAP = 1.5  # times the median distance of two evaluations
MEMORY = 24  # values of a window whose autocorrelation is told, ...
LAGS = (1, 2, 4)  # ... by second differences at these lags
SHORTEST = AROUND + min(after for _, after in WINDOWS)  # values that the test needs
LARGEST = 1024  # the longest series that was simulated; a longer one counts as several


@dataclass(frozen=True)
class SuddenFall:
    """A fall of one series between two evaluations.

    `position` is that of the first value after it on the run's axis, `known` that of the last value which it took to
    tell, `height` the step in the unit of the series, `widths` the same in standard deviations of the noise before it,
    `p_value` that among all places and series.
    """

    position: int
    known: int
    series: str
    height: float
    widths: float
    p_value: float


def sudden_falls(run: Run, alpha: float) -> list[SuddenFall]:
    """Sudden falls of the training or the validation loss, at most `alpha` false ones a run, in order.

    Of places less than 8 evaluations apart, the one that stands out most counts.
    """
    candidates: list[SuddenFall] = []
    series = [k for k in ("train_loss", "val_loss") if k in run]
    for key in series:
        epochs, values = run.observed(key)
        if len(values) < SHORTEST:
            continue
        rows = np.searchsorted(run.epochs, epochs)
        steps = _steps(values)
        gaps = np.diff(epochs)
        gap = np.concatenate([[True], gaps > GAP * median(gaps), [True]])  # just before each place
        places = np.flatnonzero(np.isfinite(steps.statistic) & ~gap)
        largest = float(steps.statistic[places].max(initial=-np.inf))
        if min(1.0, _p_value(len(values), largest) * len(series)) > alpha:  # nor is any other one
            continue
        for place in places:
            p = min(1.0, _p_value(len(values), float(steps.statistic[place])) * len(series))
            if p <= alpha:
                height = float(steps.height[place])
                candidates.append(
                    SuddenFall(
                        position=int(rows[_largest_step(values, steps.statistic, int(place))]),
                        known=int(rows[place + steps.after[place] - 1]),
                        series=key,
                        height=height,
                        widths=float(steps.widths[place]),
                        p_value=p,
                    )
                )
    kept: list[SuddenFall] = []
    for fall in sorted(candidates, key=lambda f: (f.p_value, -f.widths)):
        if all(abs(fall.position - k.position) >= BELOW for k in kept):
            kept.append(fall)
    return sorted(kept, key=lambda f: f.position)


def ahead(series: np.ndarray) -> None:
    """Look for falls in series of shape (runs, n) at once, for `sudden_falls` of each run."""
    if series.shape[-1] >= SHORTEST:
        _steps.ahead(series)


def fall_statistic(values: np.ndarray) -> np.ndarray:
    """The largest statistic of each of the series of shape (..., n), shape (...); -inf where nothing falls."""
    largest: np.ndarray = _steps(values).statistic.max(axis=-1)
    return largest


def _largest_step(values: np.ndarray, statistic: np.ndarray, place: int) -> int:
    """The largest single step down among the places that stand out next to `place`."""
    near = np.arange(max(place - STAYS + 1, 1), min(place + STAYS, len(values)))
    near = near[statistic[near] >= 0.5 * statistic[place]]
    return int(near[np.argmax(values[near - 1] - values[near])])


@dataclass(frozen=True, eq=False)
class _Steps:
    """At each place, the first value after a step, of the window where it stands out most; shapes (..., n + 1)."""

    statistic: np.ndarray
    height: np.ndarray
    widths: np.ndarray  # height in standard deviations of the noise before
    after: np.ndarray  # values of the window after the place


@remembered
def _steps(values: np.ndarray) -> _Steps:
    """The steps in series of shape (..., n)."""
    *shape, n = values.shape
    found = _in_rows(values.reshape(-1, n))
    return _Steps(*(getattr(found, f.name).reshape(*shape, n + 1) for f in fields(found)))


def _in_rows(values: np.ndarray) -> _Steps:
    """The steps in series of shape (runs, n)."""
    runs, n = values.shape
    unit = np.ldexp(1.0, np.frexp(np.abs(values).max(axis=-1, keepdims=True))[1])  # squares of any unit are numbers
    values = values / unit
    shape = (runs, n + 1)
    best = _Steps(np.full(shape, -np.inf), np.zeros(shape), np.ones(shape), np.zeros(shape, int))
    opened = _without_peaks(values)
    # at the places from BELOW on: whether all of the next values lie below all of the last ones
    next_ = np.maximum.reduce([opened[:, BELOW + i : n - STAYS + 1 + i] for i in range(STAYS)])
    last = np.minimum.reduce([opened[:, i : n - STAYS - BELOW + 1 + i] for i in range(BELOW)])
    falls = last > next_
    if not falls[:, AROUND - BELOW :].any():
        return best
    rho = _memory(values)
    squares = clipped_mean_square(np.abs(np.diff(values, 2, axis=-1)), AROUND - 2)
    floors = np.maximum(floor(values), LEAST)
    width = np.maximum(np.sqrt(squares / (6 - 8 * rho + 2 * rho**2)[:, None]), floors[:, None])
    for before, after in WINDOWS:
        row, place = np.nonzero(falls[:, AROUND - BELOW : max(n - after + 1 - BELOW, 0)])
        if not len(row):
            continue
        s = width[row, place]
        place += AROUND
        t = np.where(place <= n - AROUND, width[row, np.minimum(place, n - AROUND)], s)
        windows = sliding_window_view(values, before + after, axis=-1)[row, place - before]
        step, found = _told(windows, s, t, before, after, rho[row])
        at_once = windows[:, before - 1] - windows[:, before] >= AT_ONCE * step
        better = at_once & (found > best.statistic[row, place])
        at = row[better], place[better]
        best.statistic[at], best.height[at], best.after[at] = found[better], step[better], after
        best.widths[at] = (step / s)[better]
    best.height[:] *= unit
    return best


def _without_peaks(values: np.ndarray) -> np.ndarray:
    """`values`, shape (..., n), with no value higher than both of its neighbours: an opening (Serra, 1982)."""
    beyond = np.full((*values.shape[:-1], 1), np.inf)  # the first value and the last one are no peaks
    left, right = values[..., :-1], values[..., 1:]
    neighbour = np.maximum(np.concatenate([beyond, left], axis=-1), np.concatenate([right, beyond], axis=-1))
    cut: np.ndarray = np.minimum(values, neighbour)
    return cut


def _told(
    windows: np.ndarray, s: np.ndarray, t: np.ndarray, before: int, after: int, rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(step, its ratio to its standard error) in windows of shape (m, before + after), each of shape (m,)."""
    grid, at = np.unique(rho, return_inverse=True)
    sides = (True, False)
    lines = {(b, a): [_lines(before, after, float(r), (b, a)) for r in grid] for b, a in product(sides, sides)}

    def weighted(weights: Sequence[np.ndarray]) -> np.ndarray:
        # the same to the bit in whatever company: a product of matrices promises no order
        total: np.ndarray = (windows * np.stack(weights)[at]).sum(axis=-1)
        return total

    both = lines[True, True]
    falls = [weighted([line.slopes[side] for line in both]) < 0 for side in (0, 1)]
    a, b, c = np.array([line.parts for line in both])[at].T
    se = np.sqrt(s**2 * a + s * t * b + t**2 * c)
    step = np.empty(len(windows))
    for tilted, of in lines.items():
        rows = np.flatnonzero((falls[0] == tilted[0]) & (falls[1] == tilted[1]))
        step[rows] = (windows[rows] * np.stack([line.step for line in of])[at[rows]]).sum(axis=-1)
    ratio = step / se
    large = np.flatnonzero(ratio > LARGE)
    for some in np.array_split(large, len(large) // AT_A_TIME + 1):
        without = _without_each(windows[some], se[some], at[some], lines)
        ratio[some] = np.minimum(ratio[some], without.min(axis=-1))
    return step, ratio


def _without_each(
    windows: np.ndarray, se: np.ndarray, which: np.ndarray, lines: Mapping[tuple[bool, bool], Sequence[_Lines]]
) -> np.ndarray:
    """The ratio of the step to its standard error without each of the values, for windows and an answer (m, values).

    Whether a line falls is decided without the value too. `which` are the positions of the windows' lines.
    """

    def told(of: Sequence[_Lines]) -> np.ndarray:
        alone = np.stack([line.alone for line in of])[which]
        return np.asarray((windows[:, None, :] * alone).sum(axis=-1))

    outlying = {tilted: told(of) for tilted, of in lines.items()}
    falls = []
    for side in (0, 1):
        weights = np.stack([line.slopes[side] for line in lines[True, True]])[which]
        falls.append((windows * weights).sum(axis=-1)[:, None] - weights * outlying[True, True] < 0)
    out = np.empty(windows.shape)
    for tilted, of in lines.items():
        weights, wider = (np.stack([getattr(line, name) for line in of])[which] for name in ("step", "wider"))
        step = (windows * weights).sum(axis=-1)[:, None] - weights * outlying[tilted]
        this = (falls[0] == tilted[0]) & (falls[1] == tilted[1])
        out[this] = (step / (se[:, None] * wider))[this]
    return out


@dataclass(frozen=True, eq=False)
class _Lines:
    """Weights, shape (before + after,), of the step between two lines and of their slopes."""

    step: np.ndarray
    slopes: tuple[np.ndarray, ...]
    parts: tuple[float, float, float]  # of the step's variance: before, both, after
    alone: np.ndarray  # weights, shape (values, values), of how far each value lies from the lines without it
    wider: np.ndarray  # by what the standard error of the step grows without each value, in noise of one width


@lru_cache(maxsize=1024)
def _lines(before: int, after: int, rho: float, tilted: tuple[bool, bool]) -> _Lines:
    """Generalised least squares for AR(1) noise; a line that is not `tilted` is level."""
    i = np.arange(before + after)
    x = i - (before - 0.5)  # the step is taken half-way between the two values at the place
    covariance = rho ** np.abs(i[:, None] - i)
    first = x < 0
    slopes = [np.where(side, x, 0) for side, tilts in ((first, tilted[0]), (~first, tilted[1])) if tilts]
    columns = [first, ~first, *slopes]
    design = np.stack(columns, axis=1).astype(float)
    weighted = np.linalg.solve(covariance, design).T
    fit = np.linalg.solve(weighted @ design, weighted)
    step = fit[0] - fit[1]
    b, a = np.where(first, step, 0), np.where(first, 0, step)
    parts = (float(b @ covariance @ b), float(2 * b @ covariance @ a), float(a @ covariance @ a))
    residual = np.linalg.inv(covariance) - weighted.T @ fit  # a value left out is one with a parameter of its own
    own = np.diag(residual)
    return _Lines(step, tuple(fit[2:]), parts, residual / own[:, None], np.sqrt(1 + step**2 / own / sum(parts)))


def _memory(values: np.ndarray) -> np.ndarray:
    """Lag-one autocorrelation of the noise of series of shape (..., n), shape (...): the median over windows."""
    n = values.shape[-1]
    size = min(MEMORY, n)
    starts = np.linspace(0, n - size, max(2 * (n // size) - 1, 1)).round().astype(int)
    pieces = np.stack([values[..., s : s + size] for s in starts], axis=-2)
    v = np.log(np.stack([np.maximum(mean_square(pieces, k), np.finfo(float).tiny) for k in LAGS], axis=-1))
    told: np.ndarray = np.minimum(likeliest(np.median(v - v[..., :1], axis=-2), LAGS), RHO_MOST)
    return told


def _p_value(n: int, statistic: float) -> float:
    """The chance of a largest statistic of this size in a null series of n values."""
    lengths, levels, points = _table()
    i = int(np.searchsorted(lengths, min(n, LARGEST)))
    worse = points[max(i - 1, 0) : i + 1].max(axis=0)  # the worse of the two lengths on either side
    p = upper_tail(statistic, worse, np.log(levels))
    return min(1.0, max(p * -(-n // LARGEST), SMALLEST_P))


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lengths, levels descending, upper points of shape (lengths, levels)) as in `falls_null.csv`."""
    found = [(int(r["length"]), float(r["level"]), float(r["value"])) for r in read_rows("falls_null.csv")]
    lengths = sorted({n for n, _, _ in found})
    levels = sorted({level for _, level, _ in found}, reverse=True)
    points = {(n, level): value for n, level, value in found}
    return np.array(lengths), np.array(levels), np.array([[points[n, v] for v in levels] for n in lengths])
