"""Addition modulo the number of classes: the input says a and b, the class is (a + b) mod classes.

The task on which generalisation was first seen long after memorisation (Power et al., 2022, arXiv:2201.02177). There
are classes² pairs and no noise: `train_size` of them, all different, are trained on, and validation draws from the
rest. An input is two one-hot vectors side by side, times √classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Two one-hot vectors; at least one pair is left for validation; nothing of chance in the inputs."""
    pairs = recipe.classes**2
    yield "dimension", recipe.dimension == 2 * recipe.classes, f"2 classes = {2 * recipe.classes} with data='modular'"
    yield "train_size", recipe.train_size < pairs, f"2..{pairs - 1} with data='modular', which has {pairs} pairs"
    for name in ("imbalance", "val_imbalance"):
        yield name, getattr(recipe, name) in (1, None), "1 with data='modular', whose classes follow from its inputs"


def world(shape: Shape, numbers: Numbers) -> jax.Array:
    """The pairs in random order, shape (classes²,): the first `train_size` are for training."""
    return jax.random.permutation(stream(numbers.seed, Purpose.CENTRES), shape.classes**2)


def examples(
    shape: Shape, numbers: Numbers, world: jax.Array, size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, 2 classes) and their sums: each training pair once, or draws from the others or all."""
    pairs = shape.classes**2
    if purpose == Purpose.TRAIN_INPUTS:
        pair = world[:size]
    else:
        least = 0 if purpose == Purpose.FRESH_INPUTS else shape.train_size
        pair = world[jax.random.randint(key, (size,), least, pairs)]
    a, b = pair // shape.classes, pair % shape.classes
    x = jnp.concatenate([jax.nn.one_hot(a, shape.classes), jax.nn.one_hot(b, shape.classes)], 1)
    return x * shape.classes**0.5, (a + b) % shape.classes
