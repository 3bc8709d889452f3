"""Does one list of scores put detectors in the order of another? Rank correlation, its interval by resampling groups.

A detector's score on a set of runs is a ratio of sums over them, so a resampled set is a weight for each run:
repositories are drawn with replacement on the real side (runs of one repository share authors and code), single runs on
the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata

FEWEST = 3  # detectors in an order
__all__ = ["COUNTS", "SCORES", "group_weights", "interval", "spearman", "stratified"]

#: What is counted of one run: true events, findings, matched ones; whether the run has the phenomenon and something was
#: found in it; whether it has not, and something was.
COUNTS = ("events", "findings", "matched", "yes", "hit", "no", "alarm")


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) > 0)


#: Scores from sums of counts, each of shape (..., 7) to (...).
SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "f1": lambda c: _ratio(2 * c[..., 2], np.where(c[..., 0] > 0, c[..., 0] + c[..., 1], 0)),  # none without events
    "recall": lambda c: _ratio(c[..., 2], c[..., 0]),
    "precision": lambda c: _ratio(c[..., 2], c[..., 1]),
    "alarms": lambda c: _ratio(c[..., 6], c[..., 5]),
    "run_f1": lambda c: _ratio(2 * c[..., 4], np.where(c[..., 3] > 0, c[..., 3] + c[..., 4] + c[..., 6], 0)),
}


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rho along the last axis, mean ranks for ties; NaN for under three pairs, or where a side is all equal.

    `a` and `b` have shape (..., detectors); a detector without a score on either side is left out.
    """
    x, y = _centred(a, b)
    few = (np.isfinite(a) & np.isfinite(b)).sum(-1) < FEWEST
    return np.where(few, np.nan, _cosine(x, y))


def stratified(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The correlation of ranks within each stratum, taken together: that one stratum is easier counts for nothing.

    Each pair has shape (..., detectors of the stratum).
    """
    ranks = [_centred(a, b) for a, b in pairs]
    return _cosine(*(np.concatenate(side, -1) for side in zip(*ranks, strict=True)))


def _centred(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks less their mean, as shares of how many there are; 0 for a detector without a score on either side."""
    keep = np.isfinite(a) & np.isfinite(b)
    out = []
    for values in (a, b):
        ranks = rankdata(np.where(keep, values, np.inf), axis=-1)  # those left out come last
        count = keep.sum(-1, keepdims=True)
        out.append(np.where(keep, ranks - (count + 1) / 2, 0.0) / np.maximum(count, 1))
    return out[0], out[1]


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _ratio((x * y).sum(-1), np.sqrt((x * x).sum(-1) * (y * y).sum(-1)))


def group_weights(groups: Sequence[str], times: int, rng: np.random.Generator, among: Sequence[str] = ()) -> np.ndarray:
    """How often each run is drawn, shape (times, runs), when whole groups are drawn with replacement.

    `among` are the groups to draw from, where there are some of which there is no run here.
    """
    names = np.unique([*groups, *among])
    member = np.searchsorted(names, groups)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=times)
    return np.asarray(drawn[:, member])


def interval(statistics: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """(low, high, share of draws that had none): the percentiles of resampled statistics, NaN left out."""
    finite = statistics[np.isfinite(statistics)]
    if not len(finite):
        return float("nan"), float("nan"), 1.0
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), 1 - len(finite) / len(statistics)
