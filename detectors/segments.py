"""A run cut where its learning rate drops, as logged or as the curves show it.

`drop_positions` is the definition of a drop, used for the truth and for logged rates alike. Where no rate is logged,
a sudden fall of a loss stands for one (`detectors.falls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from detectors import falls
from detectors.falls import SuddenFall, sudden_falls
from detectors.together import stacked
from detectors.vocabulary import Run

__all__ = ["Cut", "ahead", "cut", "drop_positions", "segments", "stacked_with_drops"]

LARGEST_FACTOR = 2 / 3  # a drop leaves at most this share of the rate
SUDDEN = 5.0  # times the median per-epoch fall of its surroundings, so that a cosine has no drop
AROUND = 5  # epochs on either side that count as surroundings


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


def ahead(runs: Sequence[Run]) -> None:
    """Look for drops in many runs at once, for `cut` of each."""
    unlogged = [run for run in runs if "learning_rate" not in run]
    for key in ("train_loss", "val_loss"):
        for _, (values,) in stacked(unlogged, key):
            falls.ahead(values)


def stacked_with_drops(runs: Sequence[Run], *keys: str) -> Iterator[tuple[list[list[int]], list[np.ndarray]]]:
    """The drops of each of the `stacked` runs, as positions among its rows, and the series."""
    ahead(runs)
    for alike, series in stacked(runs, *keys):
        yield [cut(run).among(run, run.observed(*keys)[0]) for run in alike], series


@lru_cache(maxsize=256)
def cut(run: Run, alpha: float = 0.01) -> Cut:
    """Where the rate of `run` drops: from `learning_rate` if it is logged, else inferred from the losses at `alpha`."""
    if "learning_rate" in run:
        return Cut(tuple(drop_positions(run["learning_rate"])), logged=True)
    found = sudden_falls(run, alpha)
    return Cut(tuple(f.position for f in found), logged=False, falls=tuple(found))
