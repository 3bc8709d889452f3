"""Composed runs with a property of real ones that the default recipes lack: which moves scores towards real ones?

The properties are those by which a classifier tells composed runs from real ones (`realism_features.csv`), and one that
the labels of real logs show: most rises begin where the rate drops, and the next drop cuts them off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.composed import Composed
from sim.labelled import LabelledRun
from sim.recipe import BadRecipe

__all__ = ["VARIANTS", "Variant"]

NINEFOLD = -1.5 * np.log(9.0)  # `growth` that makes the noise of the first third nine times that of the last
SHARED = -0.93  # correlation of the noise of validation loss and accuracy in real logs
HALF = 0.5  # what a first drop takes of the training loss

Variant = tuple[Callable[[Composed], Composed], Callable[[LabelledRun], LabelledRun]]


def shrinking(recipe: Composed) -> Composed:
    """The noise of an evaluation shrinks ninefold from the first third of the run to the last."""
    return replace(recipe, growth=float(NINEFOLD), noise_rate=0.0)


def halving(recipe: Composed) -> Composed:
    """A first drop takes half of the training loss: most of what is left before it is the floor of the noise of SGD."""
    if not recipe.drop_1:
        return recipe
    factor = min(recipe.factor, 0.2)
    low = recipe.train_bayes + recipe.underfit
    try:
        return replace(recipe, factor=factor, noise_floor=HALF * low / (1 - HALF - factor))
    except BadRecipe:
        return recipe


def at_a_drop(recipe: Composed) -> Composed:
    """A rise begins where the rate drops first."""
    changes = {name: recipe.drop_1 for name in ("overfit_at", "drift_at") if recipe.drop_1}
    if changes and recipe.double_descent:
        changes["double_descent_at"] = recipe.drop_1 + recipe.overfit_span
    return replace(recipe, **changes)


def one_noise(labelled: LabelledRun) -> LabelledRun:
    """The noise of validation accuracy is that of validation loss, turned over."""
    curves = {name: labelled.expected.curves[name][0] for name in _NEEDED}
    loss, accuracy = labelled.run["val_loss"], labelled.run["val_accuracy"]
    z = np.nan_to_num((loss - curves["risk"]) / np.maximum(curves["noise_width"], 1e-12))
    own = accuracy - curves["population_accuracy"]
    shared = SHARED * curves["noise_width_val_accuracy"] * z + np.sqrt(1 - SHARED**2) * own
    seen = np.clip(curves["population_accuracy"] + shared, 0.0, 1.0)
    return replace(labelled, run=labelled.run.with_series(val_accuracy=seen))


_NEEDED = ("risk", "noise_width", "population_accuracy", "noise_width_val_accuracy")


def _same(value: object) -> object:
    return value


VARIANTS: dict[str, Variant] = {
    "as drawn": (_same, _same),  # type: ignore[dict-item]
    "noise shrinks ninefold": (shrinking, _same),  # type: ignore[dict-item]
    "loss and accuracy share their noise": (_same, one_noise),  # type: ignore[dict-item]
    "a first drop halves the training loss": (halving, _same),  # type: ignore[dict-item]
    "rises begin at a drop": (at_a_drop, _same),  # type: ignore[dict-item]
    "all four": (lambda r: at_a_drop(halving(shrinking(r))), one_noise),
}
