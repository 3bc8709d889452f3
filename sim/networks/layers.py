"""What the layers of every network are made of: initial weights, normalisation, ReLU, dropout.

Batch normalisation is over all axes but the last (Ioffe & Szegedy, 2015, arXiv:1502.03167), layer normalisation over
the last (Ba et al., 2016, arXiv:1607.06450). Constants are those of PyTorch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape

__all__ = ["activated", "weights"]

_EPSILON = 1e-5
_RUNNING = 0.1  # rate of batch normalisation's running statistics


def weights(
    shape: Shape, numbers: Numbers, layer: int, fan_in: int, fan_out: int, hidden: bool
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Parameters and running statistics of a layer; weights are init_scale N(0, 2 / fan_in) (He et al., 2015)."""
    key = stream(numbers.seed, Purpose.WEIGHTS, layer)
    w = jax.random.normal(key, (fan_in, fan_out)) * jnp.sqrt(2.0 / fan_in)
    params = {f"w{layer}": w * numbers.init_scale, f"b{layer}": jnp.zeros(fan_out)}
    running: dict[str, jax.Array] = {}
    if hidden and shape.normalisation != "none":
        params[f"g{layer}"] = jnp.ones(fan_out)
    if hidden and shape.normalisation == "batch":
        running = {f"mean{layer}": jnp.zeros(fan_out), f"var{layer}": jnp.ones(fan_out)}
    return params, running


def activated(
    shape: Shape,
    numbers: Numbers,
    params: dict[str, jax.Array],
    running: dict[str, jax.Array],
    layer: int,
    x: jax.Array,
    training: bool,
    key: jax.Array | None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What leaves hidden layer `layer` if `x` is its product with the weights, and its new running statistics."""
    updated: dict[str, jax.Array] = {}
    bias = params[f"b{layer}"]
    if shape.normalisation == "batch":
        if training:
            axes = tuple(range(x.ndim - 1))
            mean, var = x.mean(axes), x.var(axes)
            n = x.size // x.shape[-1]
            updated[f"mean{layer}"] = (1 - _RUNNING) * running[f"mean{layer}"] + _RUNNING * mean
            updated[f"var{layer}"] = (1 - _RUNNING) * running[f"var{layer}"] + _RUNNING * var * n / (n - 1)
        else:
            mean, var = running[f"mean{layer}"], running[f"var{layer}"]
        scale = params[f"g{layer}"] * jax.lax.rsqrt(var + _EPSILON)
        x = x * _along(scale, x) + _along(bias - mean * scale, x)
    elif shape.normalisation == "layer":
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        x = (x - mean) * jax.lax.rsqrt(var + _EPSILON) * _along(params[f"g{layer}"], x) + _along(bias, x)
    else:
        x = x + _along(bias, x)
    x = jax.nn.relu(x)
    if shape.dropout and training:
        if key is None:
            raise ValueError("dropout in training mode needs a key")
        kept = jax.random.uniform(jax.random.fold_in(key, layer), x.shape) >= numbers.dropout
        x = jnp.where(kept, x / (1 - numbers.dropout), 0)
    return x, updated


def _along(vector: jax.Array, x: jax.Array) -> jax.Array:
    """`vector` as the last axis of an array of the rank of `x`."""
    return vector.reshape((1,) * (x.ndim - 1) + vector.shape)
