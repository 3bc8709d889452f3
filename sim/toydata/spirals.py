"""Spirals: one arm a class, each once around the origin; neighbouring arms lie `separation` noise widths apart.

An arm is (r cos φ, r sin φ) with r = R √u, φ = 2π (√u + class / classes) and R = separation · classes, in noise of
standard deviation 1; coordinates beyond the second are noise alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.randomness import Purpose
from sim.shape import Numbers, Shape


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """A plane or more."""
    yield "dimension", recipe.dimension >= 2, "2 or more with data='spirals'"


def world(shape: Shape, numbers: Numbers) -> tuple[()]:
    """Nothing: the arms are where they are."""
    return ()


def examples(
    shape: Shape, numbers: Numbers, world: tuple[()], size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Inputs of shape (size, dimension) and their true classes, which number the arms."""
    k1, k2, k3 = jax.random.split(key, 3)
    label = labels.draw(shape, numbers, size, k1, purpose)
    along = jnp.sqrt(jax.random.uniform(k2, (size,)))
    outer = numbers.separation * shape.classes
    angle = 2 * jnp.pi * (along + label / shape.classes)
    arm = (outer * along)[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    noise = jax.random.normal(k3, (size, shape.dimension))
    plane = (arm + noise[:, :2]) / jnp.sqrt(1 + outer**2 / 4)  # the mean square radius is R² / 2
    return jnp.concatenate([plane, noise[:, 2:]], 1), label
