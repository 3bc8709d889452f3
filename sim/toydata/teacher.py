"""A teacher network: standard normal inputs, and the class that a random network with one hidden layer says.

Its `modes` hidden units are tanh(a·x) with a ~ N(0, separation² / dimension): the larger `separation`, the more curved
the borders between classes. Classes are about equally frequent, not exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """The class follows from the input, so that nobody can choose how often it comes."""
    for name in ("imbalance", "val_imbalance"):
        yield name, getattr(recipe, name) in (1, None), "1 with data='teacher', whose classes follow from its inputs"
    yield "separation", recipe.separation > 0, "above 0 with data='teacher'"


def world(shape: Shape, numbers: Numbers) -> tuple[jax.Array, jax.Array]:
    """The teacher's weights, shapes (dimension, modes) and (modes, classes)."""
    k1, k2 = jax.random.split(stream(numbers.seed, Purpose.CENTRES))
    hidden = jax.random.normal(k1, (shape.dimension, shape.modes)) * numbers.separation / shape.dimension**0.5
    return hidden, jax.random.normal(k2, (shape.modes, shape.classes))


def examples(
    shape: Shape, numbers: Numbers, world: tuple[jax.Array, jax.Array], size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, dimension) and the classes that the teacher gives them."""
    hidden, out = world
    x = jax.random.normal(key, (size, shape.dimension))
    return x, jnp.argmax(jnp.tanh(x @ hidden) @ out, 1)
