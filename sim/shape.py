"""A recipe taken apart: shapes, for which a program is compiled, and numbers, which a compiled program is given.

Two recipes that differ in numbers only run the same program; a schedule, a noise level or a seed compiles nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Numbers", "Shape"]


class Shape(NamedTuple):
    """What is compiled in: sizes, names of parts, and which parts there are at all."""

    data: str
    classes: int
    modes: int
    dimension: int
    balanced: bool
    noise_kind: str
    train_size: int
    val_size: int
    fresh_samples: bool
    network: str
    width: int
    depth: int
    normalisation: str
    dropout: bool
    optimiser: str
    nesterov: bool
    batch_size: int
    shift_augmentation: bool

    @classmethod
    def of(cls, recipe: Any) -> Shape:
        """The shape of a recipe, which has a field or property of each name."""
        switches = {name: bool(getattr(recipe, name)) for name in ("dropout", "shift_augmentation")}
        return cls(**{name: switches.get(name, getattr(recipe, name)) for name in cls._fields})

    @property
    def side(self) -> int:
        """Height and width of an image whose pixels are the input's coordinates."""
        return int(self.dimension**0.5 + 0.5)


class Numbers(NamedTuple):
    """What is traced: one scalar each, float32 except for the seed."""

    seed: Any
    separation: Any
    label_noise: Any
    population_label_noise: Any
    imbalance: Any
    population_imbalance: Any
    val_shift: Any
    init_scale: Any
    dropout: Any
    momentum: Any
    beta2: Any
    weight_decay: Any
    augmentation: Any
    shift_augmentation: Any

    @classmethod
    def of(cls, recipe: Any) -> Numbers:
        """The numbers of a recipe, which has a field or property of each name."""
        rest = (np.float32(getattr(recipe, name)) for name in cls._fields[1:])
        return cls(np.uint32(recipe.seed), *rest)
