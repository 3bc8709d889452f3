"""What a synthetic model is: recipes of a few numbers, and labelled runs made from them.

A model is a file (or a package) that defines a frozen dataclass of settings, says which of them are likely, and makes
labelled runs; at its end it says so in one value, `MODEL`, and `sim.catalogue` lists it in one line. Everything else,
data sets, conditioned sampling, the tables of laws in the tests, reads that value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sim.columns import Columns, columns_of
from sim.labelled import LabelledRun

__all__ = ["Model", "Tier"]


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

    `series` are the names that its runs may log; a run that leaves one out has no such series.

    For millions of runs a model may have two more, which must give the same numbers: `draws(rngs)`, the recipes that
    `draw` gives for each generator as arrays of shape (runs,), one a field; and `columns(recipes, seeds)`, the runs of
    such recipes as arrays. `many` uses them where they are, and `draw` and `make` where they are not.
    """

    name: str
    tier: Tier
    recipe: type[Any]
    draw: Callable[[np.random.Generator], Any]
    make: Callable[[Sequence[Any], Sequence[int]], list[LabelledRun]]
    series: tuple[str, ...]
    block: int
    draws: Callable[[Sequence[np.random.Generator]], Mapping[str, np.ndarray]] | None = None
    columns: Callable[[Mapping[str, np.ndarray], Sequence[int]], Columns] | None = None

    def many(self, rngs: Sequence[np.random.Generator], seeds: Sequence[int]) -> Columns:
        """Runs of recipes that are drawn from these generators, one each, as arrays."""
        if self.draws is not None and self.columns is not None:
            return self.columns(self.draws(rngs), seeds)
        return columns_of(self.make([self.draw(rng) for rng in rngs], seeds), self.series)
