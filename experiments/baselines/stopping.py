"""Early-stopping rules, read as detectors of overfitting: the onset is the checkpoint that they would restore."""

from __future__ import annotations

import numpy as np

from baselines.rule import Baseline, Claim

__all__ = ["BASELINES"]


def _first(alarm: np.ndarray, best: np.ndarray) -> list[Claim]:
    """The claim of the first alarm, with the lowest value up to it as onset."""
    if not alarm.any():
        return []
    at = int(np.argmax(alarm))
    return [(int(best[at]), at)]


def _best_so_far(val: np.ndarray) -> np.ndarray:
    """Position of the lowest value up to each one (the first of equals)."""
    best = np.zeros(len(val), int)
    for e in range(1, len(val)):
        best[e] = e if val[e] < val[best[e - 1]] else best[e - 1]
    return best


def generalization_loss(val: np.ndarray, *, threshold: float) -> list[Claim]:
    """Prechelt's GL: 100 (v / lowest so far − 1) beyond `threshold` percent."""
    best = _best_so_far(val)
    return _first(100 * (val / val[best] - 1) > threshold, best)


def progress_quotient(train: np.ndarray, val: np.ndarray, *, threshold: float, strip: int = 5) -> list[Claim]:
    """Prechelt's PQ: GL over the training progress of the last strip, at ends of strips."""
    best = _best_so_far(val)
    alarm = np.zeros(len(val), bool)
    for e in range(strip - 1, len(val), strip):
        last = train[e - strip + 1 : e + 1]
        progress = 1000 * (last.mean() / last.min() - 1)
        loss = 100 * (val[e] / val[best[e]] - 1)
        alarm[e] = progress > 0 and loss / progress > threshold
    return _first(alarm, best)


def up_in_strips(val: np.ndarray, *, strips: int, strip: int = 5) -> list[Claim]:
    """Prechelt's UP: `strips` successive strips end higher than the one before."""
    best = _best_so_far(val)
    alarm, count = np.zeros(len(val), bool), 0
    for e in range(2 * strip - 1, len(val), strip):
        count = count + 1 if val[e] > val[e - strip] else 0
        alarm[e] = count >= strips
    return _first(alarm, best)


def patience(val: np.ndarray, *, patience: int, min_delta: float = 0.0) -> list[Claim]:
    """`patience` evaluations without improving on the best by more than `min_delta`."""
    best, since = 0, 0
    for e in range(1, len(val)):
        if val[e] < val[best] - min_delta:
            best, since = e, 0
        else:
            since += 1
        if since >= patience:
            return [(best, e)]
    return []


def above_best_at_the_end(val: np.ndarray, *, threshold: float) -> list[Claim]:
    """GL of the last value alone: what is left when nobody stopped."""
    best = int(np.argmin(val))
    return [(best, len(val) - 1)] if 100 * (val[-1] / val[best] - 1) > threshold else []


_PRECHELT = "Prechelt, 1998, Early stopping, but when?"
BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="Prechelt GL",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=generalization_loss,
        source=_PRECHELT,
        published={"threshold": 5.0},
        grid=tuple({"threshold": t} for t in (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)),
        online=True,
    ),
    Baseline(
        name="Prechelt PQ",
        phenomenon="overfitting",
        needs=("train_loss", "val_loss"),
        function=progress_quotient,
        source=_PRECHELT,
        published={"threshold": 1.0},
        grid=tuple({"threshold": t} for t in (0.5, 0.75, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0)),
        online=True,
    ),
    Baseline(
        name="Prechelt UP",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=up_in_strips,
        source=_PRECHELT,
        published={"strips": 4},
        grid=tuple({"strips": s} for s in (2, 3, 4, 6, 8)),
        online=True,
    ),
    Baseline(
        name="patience",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=patience,
        source="PyTorch Lightning EarlyStopping, patience 3",
        published={"patience": 3},
        grid=tuple({"patience": p} for p in (1, 3, 7, 10, 20, 30, 50, 80, 120)),
        online=True,
    ),
    Baseline(
        name="GL at the last epoch",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=above_best_at_the_end,
        source="threshold chosen on OverfitGuard's simulated set",
        published={"threshold": 4.5},
        grid=tuple({"threshold": t} for t in (1.0, 2.0, 4.5, 7.0, 10.0, 15.0, 25.0)),
    ),
)
