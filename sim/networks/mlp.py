"""A multilayer perceptron: `depth` hidden layers of `width` ReLU units; with depth 0 it is logistic regression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax

from sim.networks.layers import activated, weights
from sim.shape import Numbers, Shape


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Any depth; without hidden layers there is nothing to normalise or to drop."""
    if recipe.depth == 0:
        yield "normalisation", recipe.normalisation == "none", "'none' with depth=0, which has no hidden layer"
        yield "dropout", recipe.dropout == 0, "0 with depth=0, which has no hidden layer"


def initial(shape: Shape, numbers: Numbers) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Parameters and running statistics."""
    sizes = [shape.dimension, *[shape.width] * shape.depth, shape.classes]
    params: dict[str, jax.Array] = {}
    running: dict[str, jax.Array] = {}
    for layer, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        p, r = weights(shape, numbers, layer, fan_in, fan_out, hidden=layer < shape.depth)
        params |= p
        running |= r
    return params, running


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
    running = dict(running)
    for layer in range(shape.depth):
        x, updated = activated(shape, numbers, params, running, layer, x @ params[f"w{layer}"], training, key)
        running |= updated
    return x @ params[f"w{shape.depth}"] + params[f"b{shape.depth}"][None], running
