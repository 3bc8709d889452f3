"""Two moons: half circles of radius `separation` that interlock, in noise of standard deviation 1.

The geometry of scikit-learn's `make_moons`; coordinates beyond the second are noise alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.randomness import Purpose
from sim.shape import Numbers, Shape

_MEAN = (0.5, 0.25)
_VARIANCE = (0.75, 0.5 - 4 / math.pi**2 + (2 / math.pi - 0.25) ** 2)  # of the moons of radius 1


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Two classes in a plane or more."""
    yield "classes", recipe.classes == 2, "2 with data='two_moons'"
    yield "dimension", recipe.dimension >= 2, "2 or more with data='two_moons'"


def world(shape: Shape, numbers: Numbers) -> tuple[()]:
    """Nothing: the moons are where they are."""
    return ()


def examples(
    shape: Shape, numbers: Numbers, world: tuple[()], size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, dimension) and their true classes, 0 for the upper moon."""
    k1, k2, k3 = jax.random.split(key, 3)
    label = labels.draw(shape, numbers, size, k1, purpose)
    angle = jax.random.uniform(k2, (size,), maxval=jnp.pi)
    upper = jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    lower = jnp.stack([1 - jnp.cos(angle), 0.5 - jnp.sin(angle)], 1)
    moons = jnp.where(label[:, None] == 0, upper, lower) - jnp.array(_MEAN)[None]
    noise = jax.random.normal(k3, (size, shape.dimension))
    plane = (numbers.separation * moons + noise[:, :2]) / jnp.sqrt(1 + numbers.separation**2 * jnp.array(_VARIANCE))[
        None
    ]
    return jnp.concatenate([plane, noise[:, 2:]], 1), label
