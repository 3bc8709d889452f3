"""A run cut where its learning rate drops, as logged or as the curves show it.

`drop_positions` is the definition of a drop, used for the truth and for logged rates alike. Where no rate is logged,
`inferred_drops` looks for sudden falls: the curve lands, within one epoch, below the straight line through the epochs
before it by more than its noise allows, and stays there. A convex decay never does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import stdtr

from detectors.noise import Noise, autocorrelation, despike, width
from detectors.vocabulary import Run

__all__ = ["Cut", "SuddenFall", "cut", "drop_positions", "inferred_drops", "segments"]

LARGEST_FACTOR = 2 / 3  # a drop leaves at most this share of the rate
SUDDEN = 5.0  # times the median per-epoch fall of its surroundings, so that a cosine has no drop
AROUND = 5  # epochs on either side that count as surroundings

BEFORE = 8  # values through which the line before a sudden fall is drawn
AFTER = 4  # values that must stay below it
AROUND_VALUES = 20  # values before it whose noise it is held against; the first ones of a run fall for other reasons
VISIBLE = 4.0  # noise widths by which a drop must move a curve


@dataclass(frozen=True)
class SuddenFall:
    """A fall of one series between two evaluations: the position of the first value after it, and how sure."""

    position: int
    series: str
    height: float
    widths: float
    p_value: float


@dataclass(frozen=True)
class Cut:
    """Positions on the epoch axis at which the rate drops, and whether they were logged."""

    drops: tuple[int, ...]
    logged: bool
    falls: tuple[SuddenFall, ...] = ()

    def among(self, run: Run, epochs: np.ndarray) -> list[int]:
        """The drops as positions on `epochs`, a subset of the run's axis: the first one at or after each drop."""
        return [int(np.searchsorted(epochs, run.epochs[d])) for d in self.drops]


def drop_positions(rates: np.ndarray) -> list[int]:
    """Positions i at which `rates` (shape (n,)) drops: rates[i] is the first one at the new rate.

    The rate falls to at most 2/3 in one epoch, and the fall of its logarithm is at least five times the median
    per-epoch fall of the five epochs on either side. Missing and non-positive rates are never part of a drop; a fall
    across missing ones is held against as many epochs of its surroundings.
    """
    known = np.flatnonzero(np.isfinite(rates) & (rates > 0))
    log = np.log(rates[known])
    falls, rows = log[:-1] - log[1:], np.diff(known)
    per_row = falls / rows
    drops = []
    for i in np.flatnonzero(falls >= -np.log(LARGEST_FACTOR) - 1e-9):
        around = np.concatenate([per_row[max(i - AROUND, 0) : i], per_row[i + 1 : i + 1 + AROUND]])
        if around.size and per_row[i] >= SUDDEN * np.median(around):
            drops.append(int(known[i + 1]))
    return drops


def segments(size: int, drops: list[int]) -> list[tuple[int, int]]:
    """Half-open position ranges between drops that cover 0..size."""
    cuts = [0, *sorted({d for d in drops if 0 < d < size}), size]
    return list(zip(cuts[:-1], cuts[1:], strict=True))


@lru_cache(maxsize=256)
def cut(run: Run, alpha: float = 0.01) -> Cut:
    """Where the rate of `run` drops: from `learning_rate` if it is logged, else inferred from the losses at `alpha`."""
    if "learning_rate" in run:
        return Cut(tuple(drop_positions(run["learning_rate"])), logged=True)
    falls = inferred_drops(run, alpha)
    return Cut(tuple(f.position for f in falls), logged=False, falls=tuple(falls))


def inferred_drops(run: Run, alpha: float) -> list[SuddenFall]:
    """Sudden falls of the training or the validation loss, at most `alpha` false ones a run, in order."""
    candidates: list[SuddenFall] = []
    series = [k for k in ("train_loss", "val_loss") if k in run]
    for key in series:
        epochs, values = run.observed(key)
        places = len(values) - AFTER + 1 - AROUND_VALUES
        if places < 1:
            continue
        for fall in _sudden_falls(values, key):
            if min(1.0, fall.p_value * places * len(series)) <= alpha:
                position = int(np.searchsorted(run.epochs, epochs[fall.position]))
                candidates.append(SuddenFall(position, key, fall.height, fall.widths, fall.p_value))
    kept: list[SuddenFall] = []
    for fall in sorted(candidates, key=lambda f: f.p_value):
        if all(abs(fall.position - k.position) >= BEFORE for k in kept):
            kept.append(fall)
    return sorted(kept, key=lambda f: f.position)


def _sudden_falls(values: np.ndarray, key: str) -> list[SuddenFall]:
    smooth = despike(values)
    places = np.arange(AROUND_VALUES, len(values) - AFTER + 1)  # first value after the fall
    if not len(places):
        return []
    around = sliding_window_view(smooth, AROUND_VALUES)[places - AROUND_VALUES]
    before, after = around[:, -BEFORE:], sliding_window_view(smooth, AFTER)[places]
    x = np.arange(BEFORE) - (BEFORE - 1) / 2
    slope = np.minimum(before @ x / (x @ x), 0.0)  # never expect a rise
    ahead = (BEFORE + AFTER) / 2
    height = before.mean(1) + slope * ahead - after.mean(1)
    rho, upper = (float(v) for v in autocorrelation(smooth))  # of the whole series: a window is too short to tell
    sigma = width(around, np.full(len(around), upper))
    at_once = before.min(1) > after.max(1)  # every value after it lies below every one before
    out = []
    for i in np.flatnonzero(at_once & (height >= VISIBLE * sigma)):
        noise = Noise(float(sigma[i]), rho, upper)
        tilt = noise.se_of_mean(BEFORE) * np.sqrt(BEFORE) * ahead / np.sqrt(x @ x) if slope[i] < 0 else 0.0
        se = float(np.sqrt(noise.se_of_mean(AFTER) ** 2 + noise.se_of_mean(BEFORE) ** 2 + tilt**2))
        freedom = max(noise.independent(AROUND_VALUES) - 2, 3.0)
        p = float(stdtr(freedom, -height[i] / se)) if se > 0 else 1.0
        out.append(SuddenFall(int(places[i]), key, float(height[i]), float(height[i]) / noise.sigma, p))
    # of neighbouring places keep the one with the largest single step
    best: list[SuddenFall] = []
    for fall in out:
        if best and fall.position - best[-1].position < AFTER:
            if _step(smooth, fall.position) > _step(smooth, best[-1].position):
                best[-1] = fall
        else:
            best.append(fall)
    return best


def _step(values: np.ndarray, i: int) -> float:
    return float(values[i - 1] - values[i])
