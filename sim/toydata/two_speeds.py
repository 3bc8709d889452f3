"""Features that are learned at two speeds: loud ones that say little of the class, and faint ones that say all of it.

The first half of the coordinates is N(separation · c / 4, 1), the second half N(separation · c, 1) / 10, with a centre
c ~ N(0, 1) for each class and coordinate; all are divided by the root of their mean variance. Gradient descent fits the
loud ones first, label noise and all, and the faint ones a hundred times slower: the mechanism of epoch-wise double
descent in Heckel & Yilmaz, 2021, arXiv:2007.10099, and Stephenson & Lee, 2021, arXiv:2108.12006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape

_LOUD = 0.25  # of the separation is in the loud coordinates
_FAINT = 0.1  # scale of the faint ones


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """A coordinate of each kind."""
    yield "dimension", recipe.dimension >= 2, "2 or more with data='two_speeds'"


def world(shape: Shape, numbers: Numbers) -> jax.Array:
    """The centres, shape (classes, dimension)."""
    centres: jax.Array = jax.random.normal(stream(numbers.seed, Purpose.CENTRES), (shape.classes, shape.dimension))
    return centres


def examples(
    shape: Shape, numbers: Numbers, world: jax.Array, size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, dimension) and their true classes."""
    k1, k2 = jax.random.split(key)
    label = labels.draw(shape, numbers, size, k1, purpose)
    loud = jnp.arange(shape.dimension) < shape.dimension / 2
    strength = numbers.separation * jnp.where(loud, _LOUD, 1.0)
    scale = jnp.where(loud, 1.0, _FAINT)
    x = world[label] * strength[None] + jax.random.normal(k2, (size, shape.dimension))
    return x * (scale / jnp.sqrt(jnp.mean(scale**2 * (1 + strength**2))))[None], label
