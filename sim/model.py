"""What a synthetic model is: recipes of a few numbers, and labelled runs made from them.

A model is a file (or a package) that defines a frozen dataclass of settings, says which of them are likely, and makes
labelled runs; at its end it says so in one value, `MODEL`, and `sim.catalogue` lists it in one line. Everything else,
data sets, conditioned sampling, the tables of laws in the tests, reads that value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sim.batch import Batch
from sim.labelled import LabelledRun

__all__ = ["CURVES", "Model", "Tier"]

#: The expectations that there are; a model need not know all of them.
CURVES = (
    "risk",
    "population_accuracy",
    "train_loss",
    "train_loss_eval",
    "risk_calibrated",
    "train_accuracy",
    "train_accuracy_eval",
    "objective",
    "noise_width",
    "noise_width_train_loss",
    "noise_width_val_accuracy",
    "own_risk",
    "own_train_loss_eval",
)


class Tier(StrEnum):
    """What moves in a model: closed-form curves, exactly solvable dynamics, or networks that are really trained."""

    COMPOSED = "composed"
    ANALYTIC = "analytic"
    TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A synthetic model.

    `recipe` is the class of its settings: a frozen dataclass of scalars (and at most a `Schedule`) that checks itself
    and raises `BadRecipe`, which names the field, the value and what would be allowed.

    `draw(rng)` is its default distribution of recipes; what it draws depends on the generator alone.

    `make(recipes, seeds)` gives one labelled run for each pair. The recipes of a call may differ in every field. A run
    has the same bits in whichever company it is made: the unit of computation is a block of `block` runs, padded, so
    that is also the number of runs worth making at once. A twin shares each random draw with its run, because streams
    are keyed by (seed, purpose); see `sim.randomness`.

    `series` are the names that its runs may log; a run that leaves one out has no such series. `curves` are the names
    of the expectations that it may know.

    For millions of runs a model may have two more, which must give the same: `draws(rngs)`, the recipes that `draw`
    gives for each of these generators; and `columns(recipes, seeds)`, what `make` gives in columns. `drawn` and `batch`
    use them where they are, and `draw` and `make` where they are not.
    """

    name: str
    tier: Tier
    recipe: type[Any]
    draw: Callable[[np.random.Generator], Any]
    make: Callable[[Sequence[Any], Sequence[int]], list[LabelledRun]]
    series: tuple[str, ...]
    block: int
    curves: tuple[str, ...] = CURVES
    draws: Callable[[Sequence[np.random.Generator]], Sequence[Any]] | None = None
    columns: Callable[[Sequence[Any], Sequence[int]], Batch] | None = None

    def drawn(self, rngs: Sequence[np.random.Generator]) -> Sequence[Any]:
        """The recipes that are drawn from these generators, one each."""
        return [self.draw(rng) for rng in rngs] if self.draws is None else self.draws(rngs)

    def batch(self, recipes: Sequence[Any], seeds: Sequence[int]) -> Batch:
        """The runs that `make` gives, in columns. ValueError names a series or a curve that is not listed above."""
        if self.columns is not None:
            return self.columns(recipes, seeds)
        return Batch.of(self.make(recipes, seeds), self.series, self.curves)
