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
    """

    name: str
    tier: Tier
    recipe: type[Any]
    draw: Callable[[np.random.Generator], Any]
    make: Callable[[Sequence[Any], Sequence[int]], list[LabelledRun]]
    series: tuple[str, ...]
    block: int
