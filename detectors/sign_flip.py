"""Does a contrast differ from zero in runs of one recipe? An exact test of many contrasts at once, by flipping signs.

Null: each run's contrasts are, all together, as likely as their negatives, and runs are independent. Nothing is asked
of the noise within a run: its memory, its level and its tails may be anything. For each contrast

    T = sum over runs of D / sqrt(sum over runs of D^2)

and the largest T over all contrasts is held against the same maximum after the signs of whole runs are flipped: all
2^R ways, from 14 runs on 9,999 random ones and the way it is. The p-value of a contrast is the share of ways whose
maximum is at least its T: exact for one and for the largest of many (Romano & Wolf, 2005, Exact and approximate
stepdown methods for multiple hypothesis testing, JASA 100; Westfall & Young, 1993).

A contrast whose expectation is below zero has a smaller T: its sum falls while what it is divided by stays a measure of
its spread (T is a growing function of Student's t). Its negative then takes part in the flipped maxima, which are the
larger for it. So the level also holds where the curve falls, and a plain fall costs power: the way that flips all runs
reaches the largest T there is, and no p-value is below 2 / 2^R.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

__all__ = ["FEWEST", "MOST", "flipped_maxima", "p_values", "smallest_p", "t_of"]

FEWEST = 6  # runs: with five no p-value is below 0.06 where the curves fall somewhere
MOST = 13  # runs whose signs are flipped in all ways
DRAWS = 9_999  # ways for more runs
CHUNK = 1 << 22  # numbers held at a time
TIE = 1e-9  # two T that differ by less are one: sums in another order


def t_of(contrasts: np.ndarray) -> np.ndarray:
    """T of each contrast, shape (contrasts,), of runs by contrasts, shape (runs, contrasts); 0 where all are 0."""
    square = np.sqrt((contrasts**2).sum(0))
    t: np.ndarray = np.divide(contrasts.sum(0), square, out=np.zeros_like(square), where=square > 0)
    return t


def flipped_maxima(contrasts: np.ndarray) -> np.ndarray:
    """The largest T over all contrasts for each way to flip the runs, shape (ways,), in ascending order."""
    runs, count = contrasts.shape
    signs = _signs(runs)
    square = np.sqrt((contrasts**2).sum(0))
    unit = np.divide(contrasts, square, out=np.zeros_like(contrasts), where=square > 0)
    maxima = np.full(len(signs), -np.inf)
    step = max(CHUNK // len(signs), 1)
    for i in range(0, count, step):
        maxima = np.maximum(maxima, (signs @ unit[:, i : i + step]).max(1))
    return np.sort(maxima)


@lru_cache(maxsize=16)
def _signs(runs: int) -> np.ndarray:
    """The ways to flip so many runs, shape (ways, runs); the first flips none."""
    if runs <= MOST:
        return np.array(list(product((1.0, -1.0), repeat=runs)))
    drawn = np.random.default_rng(0).choice([1.0, -1.0], (DRAWS, runs))
    return np.concatenate([np.ones((1, runs)), drawn])


def p_values(t: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """The p-value of each T, shape (contrasts,), against the flipped maxima."""
    beyond = len(maxima) - np.searchsorted(maxima, t - TIE, side="left")
    return np.asarray(np.maximum(beyond, 1) / len(maxima))


def smallest_p(runs: int) -> float:
    """The smallest p-value that so many runs can show where their curves also fall."""
    return 2 / (2**runs if runs <= MOST else 1 + DRAWS)
