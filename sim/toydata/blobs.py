"""Gaussian blobs: classes of several normal clouds each, in any dimension.

Centres are N(0, separation²) around the origin, inputs N(centre, 1), both divided by √(1 + separation²).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Anything goes."""
    return iter(())


def world(shape: Shape, numbers: Numbers) -> jax.Array:
    """The centres, shape (classes, modes, dimension)."""
    size = (shape.classes, shape.modes, shape.dimension)
    centres: jax.Array = numbers.separation * jax.random.normal(stream(numbers.seed, Purpose.CENTRES), size)
    return centres


def examples(
    shape: Shape, numbers: Numbers, world: jax.Array, size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, dimension) and their true classes."""
    k1, k2, k3 = jax.random.split(key, 3)
    label = labels.draw(shape, numbers, size, k1, purpose)
    mode = jax.random.randint(k2, (size,), 0, shape.modes)
    x = world[label, mode] + jax.random.normal(k3, (size, shape.dimension))
    return x / jnp.sqrt(1 + numbers.separation**2), label
