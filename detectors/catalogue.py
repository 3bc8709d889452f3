"""The built-in detectors: one line each. A new detector is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from detectors.generalization_gap import GeneralizationGap
from detectors.loss_accuracy_divergence import LossAccuracyDivergence
from detectors.lr_drop import LrDrop
from detectors.lr_drop_relief import LrDropRelief
from detectors.overfitting import Overfitting
from detectors.train_above_val import TrainAboveVal
from detectors.vocabulary import Detector, Run, Verdict

__all__ = ["CATALOGUE", "built_in", "detect_many"]

CATALOGUE: dict[str, Callable[..., Detector]] = {
    "overfitting": Overfitting,
    "generalization_gap": GeneralizationGap,
    "lr_drop": LrDrop,
    "lr_drop_relief": LrDropRelief,
    "loss_accuracy_divergence": LossAccuracyDivergence,
    "train_above_val": TrainAboveVal,
}


def built_in(alpha: float = 0.05, names: Sequence[str] | None = None) -> list[Detector]:
    """Every built-in detector, or those of these `names`: `alpha` false alarms accepted per run over all of them."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r}: allowed is a number between 0 and 1")
    asked = dict.fromkeys(CATALOGUE if names is None else names)
    for name in asked:
        if name not in CATALOGUE:
            raise ValueError(f"no detector is called {name!r}; there are {', '.join(CATALOGUE)}")
    return [CATALOGUE[name](alpha=alpha / len(asked)) for name in asked]


def detect_many(detector: Detector, runs: Iterable[Run]) -> list[Verdict]:
    """The verdict on each run: the detector's own `detect_many` if it has one, else one by one."""
    many = getattr(detector, "detect_many", None)
    return list(many(runs)) if many is not None else [detector.detect(run) for run in runs]
