"""The built-in detectors: one line each. A new detector is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from detectors.blow_up import BlowUp
from detectors.delayed_generalization import DelayedGeneralization
from detectors.double_descent import DoubleDescent
from detectors.generalization_gap import GeneralizationGap
from detectors.loss_accuracy_divergence import LossAccuracyDivergence
from detectors.lr_drop import LrDrop
from detectors.lr_drop_relief import LrDropRelief
from detectors.oscillation import Oscillation
from detectors.overfitting import Overfitting
from detectors.plateau import Plateau
from detectors.spike import Spike
from detectors.together import asked, offered
from detectors.train_above_val import TrainAboveVal
from detectors.underfitting import Underfitting
from detectors.vocabulary import Detector, Run, Verdict

__all__ = ["CATALOGUE", "built_in", "detect_many"]

CATALOGUE: dict[str, Callable[..., Detector]] = {
    "overfitting": Overfitting,
    "generalization_gap": GeneralizationGap,
    "lr_drop": LrDrop,
    "lr_drop_relief": LrDropRelief,
    "loss_accuracy_divergence": LossAccuracyDivergence,
    "train_above_val": TrainAboveVal,
    "plateau": Plateau,
    "spike": Spike,
    "blow_up": BlowUp,
    "oscillation": Oscillation,
    "underfitting": Underfitting,
    "double_descent": DoubleDescent,
    "delayed_generalization": DelayedGeneralization,
}

#: Detectors that rest on one test, a climb of the validation loss: where there is none, they err together or never.
CLIMB = ("overfitting", "loss_accuracy_divergence", "double_descent")
#: The phenomena of the question weigh twice what the further ones do, so that these take little of their power.
WEIGHTS = dict.fromkeys(
    ("overfitting", "generalization_gap", "lr_drop", "lr_drop_relief", "loss_accuracy_divergence", "train_above_val"), 2
)


def built_in(alpha: float = 0.05, names: Sequence[str] | None = None) -> list[Detector]:
    """Every built-in detector, or those of these `names`: `alpha` false alarms accepted per run over all of them.

    The shares of alpha are weighted (`WEIGHTS`, else 1; Bonferroni's inequality holds for any weights). Detectors that
    rest on one test (`CLIMB`) have one share together, the largest of theirs: a false climb makes them err at once, and
    is counted once.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r}: allowed is a number between 0 and 1")
    asked = dict.fromkeys(CATALOGUE if names is None else names)
    for name in asked:
        if name not in CATALOGUE:
            raise ValueError(f"no detector is called {name!r}; there are {', '.join(CATALOGUE)}")
    weights: dict[str, int] = {}  # of each test
    for name in asked:
        test = CLIMB[0] if name in CLIMB else name
        weights[test] = max(weights.get(test, 0), WEIGHTS.get(name, 1))
    unit = alpha / max(sum(weights.values()), 1)
    return [CATALOGUE[name](alpha=unit * weights[CLIMB[0] if name in CLIMB else name]) for name in asked]


def detect_many(detector: Detector, runs: Iterable[Run]) -> list[Verdict]:
    """The verdict on each run: by the detector's own `detect_many` if it has one, else by its `detect`.

    Where it has `ahead(runs)`, runs with the same series and rows are measured together first (`detectors.together`).
    """
    many = getattr(detector, "detect_many", None)
    return list(many(runs)) if many is not None else list(asked(runs, offered([detector]), detector.detect))
