"""Toy data sets, one a file: each a distribution of inputs and classes of which fresh examples can be drawn.

A data set is a module with three functions, and one line in `TOYDATA`:

- `allowed(recipe)` yields (field, whether its value will do, what would) for what this data set demands;
- `world(shape, numbers)` draws, by the purpose CENTRES, what all its examples have in common, as arrays;
- `examples(shape, numbers, world, size, key, purpose)` draws inputs of shape (size, dimension), of unit variance a
  coordinate on average, and their true classes, shape (size,). `purpose` says what they are for: most data sets need
  it only to draw the classes (`sim.labels.draw`). A data set of things that cannot be drawn afresh gives a population
  as large as it has one, an even number.

Wrong labels, a shifted validation and augmentation are no part of it: they are the same for every data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import jax

from sim.randomness import Purpose
from sim.shape import Numbers, Shape
from sim.toydata import blobs, digits, modular, spirals, teacher, textures, two_moons, two_speeds

__all__ = ["TOYDATA", "ToyData"]


class ToyData(Protocol):
    """What the module of a data set defines."""

    def allowed(self, recipe: Any) -> Iterator[tuple[str, bool, str]]:
        """(field, whether its value will do, what would)."""

    def world(self, shape: Shape, numbers: Numbers) -> Any:
        """What all examples have in common, as arrays."""

    def examples(
        self, shape: Shape, numbers: Numbers, world: Any, size: int, key: jax.Array, purpose: Purpose
    ) -> tuple[jax.Array, jax.Array]:
        """Inputs of shape (size, dimension) and their true classes, shape (size,)."""


TOYDATA: dict[str, ToyData] = {
    "blobs": blobs,
    "digits": digits,
    "modular": modular,
    "spirals": spirals,
    "teacher": teacher,
    "textures": textures,
    "two_moons": two_moons,
    "two_speeds": two_speeds,
}
