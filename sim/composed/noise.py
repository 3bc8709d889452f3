r"""What a training log shows of the expectations of a composed run: the noise of a finite validation set, its rounding.

With z1, z2 stationary AR(1) of unit variance and coefficient rho, z3, z4 white, and the width
g(x) = exp(growth (x/n − 1/2)) e(x)^noise_rate:

    val_loss = R (1 + noise g z1)             val_accuracy = A + accuracy_noise g z2
    train_loss = T (1 + train_noise g z3)     train_accuracy = its expectation + train_noise_ratio accuracy_noise g z4

z2 has the correlation −noise_correlation with z1, and z4 with z3: a loss and an accuracy of one evaluation are of the
same examples and the same weights. Both accuracies are clipped to 0 .. 1. `growth` makes the noise end e^growth times
wider than it began; with `noise_rate` 0 it does not fall at a drop of the rate (some real runs lose 8 % of it in a
tenfold drop), with 1/2 it falls as the root of the rate. `tails = 1` turns z1, z2 into Student's t with four degrees of
freedom, scaled to unit variance, quantile by quantile (Shaw, 2006, Sampling Student's T distribution, Journal of
Computational Finance 9). `val_size = n` rounds val_accuracy to multiples of 1/n, as n examples make it.

The unit of computation is a block of fixed size, compiled once, so a run has the same bits in whichever company it is
drawn; streams are keyed by (seed, purpose, series).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from sim.composed.expectation import Curves
from sim.randomness import Purpose, stream

__all__ = ["BLOCK", "SERIES", "observations", "widths"]

BLOCK = 64  # runs in a compiled block, ...
SMALL_BLOCK = 8  # ... and in one for a few; a run has the same bits in either, a test holds it
SHORTEST_PROGRAM = 256  # epochs of the shortest compiled program; the next ones have four times as many
SERIES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
_STREAMS = 4


def widths(c: Mapping[str, np.ndarray], curves: Curves) -> dict[str, np.ndarray]:
    """The standard deviation of the noise of each series, shape (runs, epochs), before rounding and clipping."""
    epochs = curves.risk.shape[1]
    g = np.ones_like(curves.risk)
    rows = np.flatnonzero(c["growth"])
    if rows.size:
        x = np.arange(1.0, epochs + 1)
        g[rows] = np.exp(c["growth"][rows][:, None] * (x / epochs - 0.5))
    rows = np.flatnonzero(c["noise_rate"])
    if rows.size:
        g[rows] *= curves.share[rows] ** c["noise_rate"][rows][:, None]
    accuracy = c["accuracy_noise"][:, None] * g
    return {
        "train_loss": curves.train_loss * (c["train_noise"][:, None] * g),
        "train_accuracy": accuracy * c["train_noise_ratio"][:, None],
        "val_loss": curves.risk * (c["noise"][:, None] * g),
        "val_accuracy": accuracy,
    }


def observations(c: Mapping[str, np.ndarray], curves: Curves, seeds: np.ndarray) -> dict[str, np.ndarray]:
    """The logged series, each of shape (runs, epochs), float32; a single recipe goes with every seed."""
    epochs = curves.risk.shape[1]
    rho = np.broadcast_to(c["rho"].astype(np.float32), seeds.shape)
    z = _draws(rho, seeds, epochs)
    shared = np.broadcast_to(c["noise_correlation"].astype(np.float32), seeds.shape)
    rows = np.flatnonzero(shared)
    if rows.size:
        k = shared[rows, None, None]
        z[rows, 1::2] = np.sqrt(1 - k**2) * z[rows, 1::2] - k * z[rows, ::2]
    heavy = np.flatnonzero(np.broadcast_to(c["tails"] > 0, seeds.shape))
    if heavy.size:
        z[heavy, :2] = _heavy(z[heavy, :2])
    width = widths(c, curves)
    means = {
        "train_loss": curves.train_loss,
        "train_accuracy": curves.train_accuracy,
        "val_loss": curves.risk,
        "val_accuracy": curves.population_accuracy,
    }
    of_series = {"val_loss": 0, "val_accuracy": 1, "train_loss": 2, "train_accuracy": 3}
    out = {}
    for name in SERIES:
        values = means[name] + width[name] * z[:, of_series[name]]
        if name.endswith("accuracy"):
            values = np.clip(values, 0.0, 1.0)
        if name == "val_accuracy" and c["val_size"].any():
            size = np.broadcast_to(c["val_size"], seeds.shape)[:, None]
            values = np.where(size > 0, np.round(values * size) / np.maximum(size, 1), values)
        out[name] = values.astype(np.float32)
    return out


def program_epochs(epochs: int) -> int:
    """Epochs of the compiled program that draws for runs of this length; what is too many is cut off."""
    longest = SHORTEST_PROGRAM
    while longest < epochs:
        longest *= 4
    return longest


@lru_cache(maxsize=8)
def program(longest: int) -> Any:
    """The compiled block that draws z1 .. z4 of seeds, shape (block, 4, longest)."""

    def one(rho: jax.Array, seed: jax.Array) -> jax.Array:
        z = jnp.stack([jax.random.normal(stream(seed, Purpose.NOISE, k), (longest,)) for k in range(_STREAMS)])
        fresh = jnp.sqrt(1 - rho**2)

        def step(previous: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
            now = rho * previous + fresh * z
            return now, now

        remembered = jax.lax.scan(step, z[:2, 0], z[:2, 1:].T)[1].T
        return jnp.concatenate([jnp.concatenate([z[:2, :1], remembered], 1), z[2:]])

    return jax.jit(jax.vmap(one))


def _draws(rho: np.ndarray, seeds: np.ndarray, epochs: int) -> np.ndarray:
    """z1 .. z4 of each seed, shape (seeds, 4, epochs), float32."""
    draw = program(program_epochs(epochs))
    runs = len(seeds)
    block = SMALL_BLOCK if runs <= SMALL_BLOCK else BLOCK
    out = np.empty((runs, _STREAMS, epochs), np.float32)
    for start in range(0, runs, block):
        index = np.minimum(np.arange(start, start + block), runs - 1)
        out[start : start + block] = np.asarray(draw(rho[index], seeds[index]))[: runs - start, :, :epochs]
    return out


def _heavy(z: np.ndarray) -> np.ndarray:
    """Standard normal values as Student's t with 4 degrees of freedom, scaled to unit variance."""
    tail = ndtr(-np.abs(z.astype(np.float64)))
    root = np.sqrt(4 * tail * (1 - tail))
    quantile = np.cos(np.arccos(root) / 3) / root
    heavy: np.ndarray = np.sign(z) * np.sqrt(2 * np.maximum(quantile - 1, 0.0))
    return heavy
