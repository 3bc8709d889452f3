"""A small convolutional network: `depth` times a 3x3 convolution to `width` channels and a 2x2 mean, then logits.

An input is a grey square image, row by row. A convolution is one product of patches with weights: under `vmap` over
networks that is a batch of matrix products, where a convolution would become a grouped one with a slow gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sim.networks.layers import activated, weights
from sim.shape import Numbers, Shape

TOGETHER = 8  # images that are evaluated at a time


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Square images that can be halved `depth` times."""
    side = round(recipe.dimension**0.5)
    yield "dimension", side**2 == recipe.dimension, "a square such as 64, 144 or 256 with network='convnet'"
    halved = recipe.depth >= 1 and side % 2**recipe.depth == 0
    yield "depth", halved, f"1 or more with network='convnet', 2**depth dividing the side of {side} pixels"


def initial(shape: Shape, numbers: Numbers) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Parameters and running statistics; a kernel has shape (9 channels, width), patch by patch as in `forward`."""
    params: dict[str, jax.Array] = {}
    running: dict[str, jax.Array] = {}
    for layer in range(shape.depth):
        p, r = weights(shape, numbers, layer, 9 * (shape.width if layer else 1), shape.width, hidden=True)
        params |= p
        running |= r
    p, _ = weights(shape, numbers, shape.depth, shape.width, shape.classes, hidden=False)
    return params | p, running


def forward(
    shape: Shape,
    numbers: Numbers,
    params: dict[str, jax.Array],
    running: dict[str, jax.Array],
    x: jax.Array,
    training: bool,
    key: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Logits of shape (examples, classes), and the running statistics after this batch."""

    def run(part: jax.Array) -> jax.Array:
        return forward(shape, numbers, params, running, part, training, key)[0]

    if not training and len(x) > TOGETHER:  # what a few images leave behind fits the cache of a core
        count = len(x) // TOGETHER * TOGETHER
        logits = jax.lax.map(run, x[:count].reshape(-1, TOGETHER, x.shape[-1])).reshape(count, -1)
        return jnp.concatenate([logits, run(x[count:])]), running
    running = dict(running)
    x = x.reshape(-1, shape.side, shape.side, 1)
    for layer in range(shape.depth):
        product = _patches(x) @ params[f"w{layer}"]
        x, updated = activated(shape, numbers, params, running, layer, product, training, key)
        running |= updated
        n, side, _, channels = x.shape
        x = x.reshape(n, side // 2, 2, side // 2, 2, channels).mean((2, 4))
    return x.mean((1, 2)) @ params[f"w{shape.depth}"] + params[f"b{shape.depth}"][None], running


def _patches(x: jax.Array) -> jax.Array:
    """The 3x3 neighbours of each pixel, zero beyond the border, shape (n, side, side, 9 channels)."""
    side = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return jnp.concatenate([padded[:, i : i + side, j : j + side] for i in range(3) for j in range(3)], axis=-1)
