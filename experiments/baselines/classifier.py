"""A time-series classifier trained on simulated histories, as OverfitGuard proposes, on ours: overfits or not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from aeon.classification.interval_based import TimeSeriesForestClassifier

from baselines.rule import Baseline, Claim
from sim.labelled import LabelledRun

__all__ = ["trained"]

LENGTH = 200  # values to which a history is stretched
TREES = 100


def trained(runs: Sequence[LabelledRun]) -> Baseline:
    """Time Series Forest (Deng et al., 2013, arXiv:1302.2277) on z-scored validation loss, fitted to `runs`."""
    histories = np.stack([_history(r.run.observed("val_loss")[1]) for r in runs])
    labels = np.array([bool(r.of("overfitting")) for r in runs])
    forest = TimeSeriesForestClassifier(n_estimators=TREES, random_state=0).fit(histories[:, None], labels)

    return Baseline(
        name="Time Series Forest",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=partial(_classified, forest=forest),
        source="aeon 1.6, trained on our own simulated histories",
        published={"threshold": 0.5},
        grid=tuple({"threshold": t} for t in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)),
        step=10,
    )


def _history(val: np.ndarray) -> np.ndarray:
    stretched = np.interp(np.linspace(0, len(val) - 1, LENGTH), np.arange(len(val)), val)
    return (stretched - stretched.mean()) / max(float(stretched.std()), 1e-12)


def _classified(val: np.ndarray, *, threshold: float, forest: TimeSeriesForestClassifier) -> list[Claim]:
    """Overfits, with the lowest value as onset, since a classifier of whole histories knows none."""
    yes = list(forest.classes_).index(True)
    probability = float(forest.predict_proba(_history(val)[None, None])[0, yes])
    return [(int(np.argmin(val)), len(val) - 1)] if probability > threshold else []
