"""Textured shapes: small grey images, a class is a shape filled with a texture, anywhere near the middle.

Class c has shape c mod 4 (disc, square, diamond, cross) and texture c div 4 (stripes across, down, diagonal, checks).
Position, size and the phase of the texture differ from image to image; `separation` is the contrast to pixel noise of
standard deviation 1. Neither the mean brightness nor a single pixel tells the class, so that a network must look at
neighbours. Pixels are standardised by their mean and spread over all images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape

_PERIOD = 4.0  # pixels from stripe to stripe
_SHAPES = 4
_TEXTURES = 4
_LEAST = 8  # pixels a side: below, shapes look alike


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Square images; as many classes as there are shapes with textures."""
    side = round(recipe.dimension**0.5)
    squares = f"the square of {_LEAST} or more, such as 64, 144 or 256, with data='textures'"
    yield "dimension", side**2 == recipe.dimension and side >= _LEAST, squares
    yield "classes", recipe.classes <= _SHAPES * _TEXTURES, f"2..{_SHAPES * _TEXTURES} with data='textures'"


def world(shape: Shape, numbers: Numbers) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of a pixel, over 1,024 images."""
    key = stream(numbers.seed, Purpose.CENTRES)
    k1, k2 = jax.random.split(key)
    images = _images(shape, numbers, labels.draw(shape, numbers, 1024, k1, Purpose.TRAIN_INPUTS), k2)
    return images.mean(), images.std()


def examples(
    shape: Shape, numbers: Numbers, world: tuple[jax.Array, jax.Array], size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Images of shape (size, side²), row by row, and their true classes."""
    k1, k2 = jax.random.split(key)
    label = labels.draw(shape, numbers, size, k1, purpose)
    mean, spread = world
    return (_images(shape, numbers, label, k2) - mean) / spread, label


def _images(shape: Shape, numbers: Numbers, label: jax.Array, key: jax.Array) -> jax.Array:
    size, side = label.shape[0], shape.side
    k1, k2, k3, k4 = jax.random.split(key, 4)
    centre = (side - 1) / 2 + side / 8 * jax.random.uniform(k1, (2, size, 1, 1), minval=-1)
    reach = side * jax.random.uniform(k2, (size, 1, 1), minval=0.28, maxval=0.38)
    phase = _PERIOD * jax.random.uniform(k3, (2, size, 1, 1))
    row, column = jnp.meshgrid(jnp.arange(side, dtype=jnp.float32), jnp.arange(side, dtype=jnp.float32), indexing="ij")
    dy, dx = jnp.abs(row[None] - centre[0]), jnp.abs(column[None] - centre[1])
    near, far = jnp.minimum(dx, dy), jnp.maximum(dx, dy)
    inside = jnp.stack(
        [dx**2 + dy**2 < reach**2, far < 0.85 * reach, dx + dy < 1.2 * reach, (near < 0.4 * reach) & (far < reach)]
    )

    def stripes(along: jax.Array, shift: jax.Array) -> jax.Array:
        return (along[None] + shift) % _PERIOD < _PERIOD / 2

    across, down = stripes(row, phase[0]), stripes(column, phase[1])
    filling = jnp.stack([across, down, stripes(row + column, phase[0]), across ^ down])
    which = jnp.arange(size)
    ink = inside[label % _SHAPES, which] * (0.5 + filling[label // _SHAPES, which])
    noise = jax.random.normal(k4, (size, side * side))
    images: jax.Array = numbers.separation * ink.reshape(size, -1) + noise
    return images
