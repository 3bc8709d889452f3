"""Features of a training run that do not depend on its units, nor on how long it is: what `realism.py` compares by.

They were fixed before any simulated curve was compared with a real one: levels, slopes, noise and its autocorrelation,
drops, the gap, monotonicity, for each of four series and between them. NaN where a run cannot tell.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from detectors.segments import drop_positions
from detectors.steady_noise import FEWEST, autocorrelation, width
from detectors.vocabulary import Run

__all__ = ["SERIES", "features"]

SERIES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
_SHORT = {"train_loss": "train loss", "val_loss": "val loss", "train_accuracy": "train acc", "val_accuracy": "val acc"}


def features(run: Run, series: tuple[str, ...] = SERIES) -> dict[str, float]:
    """Every feature by name; those of series that are not in `series`, or not in the run, are NaN."""
    there = [key for key in series if key in run and np.isfinite(run[key]).sum() >= 2 * FEWEST]
    out: dict[str, float] = {}
    smooth = {}
    for key in series:
        values = run.observed(key)[1] if key in there else np.full(2 * FEWEST, np.nan)
        loss = values if key.endswith("loss") else 1 - values
        smooth[key] = _smooth(loss)
        out |= {f"{_SHORT[key]}: {name}": value for name, value in _alone(loss, smooth[key]).items()}
        drops = drop_positions(run["learning_rate"]) if "learning_rate" in run else []
        out |= {f"{_SHORT[key]}: {name}": value for name, value in _drops(loss, drops, len(run.epochs)).items()}
    if "train_loss" in smooth and "val_loss" in smooth:
        out |= {f"losses: {name}": v for name, v in _between(run, "train_loss", "val_loss", smooth).items()}
    if "train_accuracy" in smooth and "val_accuracy" in smooth:
        out |= {f"accs: {name}": v for name, v in _between(run, "train_accuracy", "val_accuracy", smooth).items()}
    if "val_loss" in smooth and "val_accuracy" in smooth:
        out["val loss and acc: correlation of steps"] = _steps(run, "val_loss", "val_accuracy")
    return out


def _smooth(values: np.ndarray) -> np.ndarray:
    """A running mean over a twentieth of the run, ends included."""
    m = max(len(values) // 20, 3)
    padded = np.pad(values, (m // 2, m - 1 - m // 2), mode="edge")
    return np.convolve(padded, np.ones(m) / m, "valid")


def _alone(values: np.ndarray, smooth: np.ndarray) -> dict[str, float]:
    n = len(values)
    span = float(smooth.max() - smooth.min())
    if not np.isfinite(span) or span <= 0:
        return dict.fromkeys(_ALONE, np.nan)
    descent = smooth[0] - smooth.min()
    below = [float(np.argmax(smooth <= smooth[0] - share * descent)) / n for share in (0.5, 0.9)]
    thirds = [values[: n // 3], values[n // 3 : 2 * n // 3], values[2 * n // 3 :]]
    widths = [float(width(part, np.asarray(0.0))) for part in thirds]
    rho, _ = autocorrelation(values)
    end = smooth[-max(n // 20, 1) :].mean()
    return dict(
        zip(
            _ALONE,
            (
                float(np.log(max(abs(values[0]), 1e-9) / max(abs(smooth.min()), 1e-9))),
                below[0],
                below[1],
                float(np.argmin(smooth)) / n,
                float((end - smooth.min()) / span),
                float((smooth.max() - smooth[0]) / span),
                float(np.mean(np.diff(values) < 0)),
                float(np.log(width(values, np.asarray(0.0)) / span)),
                float(np.log(widths[0] / widths[2])),
                float(np.log(widths[1] / widths[2])),
                float(rho),
                float(np.log(np.abs(np.diff(values, 2)).max() / widths[1])),
            ),
            strict=True,
        )
    )


_ALONE = (
    "log of first over lowest",
    "share of the run to half of the descent",
    "share of the run to nine tenths of it",
    "place of the lowest",
    "rise from the lowest to the end",
    "rise above the start",
    "share of steps that fall",
    "log noise over span",
    "log noise, first third over last",
    "log noise, middle third over last",
    "autocorrelation",
    "log of the largest bend over the noise",
)


def _drops(values: np.ndarray, drops: list[int], n: int) -> dict[str, float]:
    """Of the first drop and of the later ones: relative change over the drop, and from then to the next."""
    if len(values) != n or not drops or not np.isfinite(values).all():
        return dict.fromkeys(_DROPS, np.nan)
    edges = [0, *drops, n]
    falls, after = [], []
    for (a, b), (_, c) in pairwise(pairwise(edges)):
        m = max(min(5, b - a, c - b), 1)
        before, low, last = values[b - m : b].mean(), values[b : b + m].mean(), values[c - m : c].mean()
        falls.append((low - before) / max(abs(before), 1e-9))
        after.append((last - low) / max(abs(low), 1e-9))
    later = float(np.mean(falls[1:])) if len(falls) > 1 else np.nan
    return dict(zip(_DROPS, (falls[0], later, after[0], after[-1]), strict=True))


_DROPS = (
    "change over the first drop",
    "change over later drops",
    "change after the first drop",
    "change after the last drop",
)


def _between(run: Run, train: str, val: str, smooth: dict[str, np.ndarray]) -> dict[str, float]:
    a, b = smooth[train], smooth[val]
    if len(a) != len(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return dict.fromkeys(_BETWEEN, np.nan)
    ratio = np.log(np.maximum(b, 1e-6) / np.maximum(a, 1e-6))
    n = len(a)
    ranks = np.corrcoef(rankdata(a), rankdata(b))[0, 1] if np.ptp(a) and np.ptp(b) else np.nan
    values = (float(ratio[n // 10]), float(ratio[n // 2]), float(ratio[-1]), float(np.mean(a > b)), float(ranks))
    return dict(zip(_BETWEEN, (*values, _steps(run, train, val)), strict=True))


_BETWEEN = (
    "log val over train, early",
    "log val over train, half-way",
    "log val over train, end",
    "share of epochs with train above val",
    "correlation of ranks",
    "correlation of steps",
)


def _steps(run: Run, one: str, other: str) -> float:
    """How the bends of two series go together: the correlation of their noise."""
    if one not in run or other not in run:
        return np.nan
    _, a, b = run.observed(one, other)
    if len(a) < 2 * FEWEST:
        return np.nan
    a, b = np.diff(a[len(a) // 4 :], 2), np.diff(b[len(b) // 4 :], 2)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else np.nan
