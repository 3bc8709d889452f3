"""Trajectories of SGD on the logistic loss, from w = 0, with minibatches drawn with replacement or from fresh examples.

A lane is one sister of one variant of a run: variants with the same seed draw the same batches, by number. The unit of
computation is a block of lanes whose recipes are padded to FEATURES, EXAMPLES and BATCH.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sim.analytic.blocks import blocks, program_epochs
from sim.randomness import Purpose, stream

__all__ = ["BATCH", "EXAMPLES", "FEATURES", "Lane", "trajectories"]

FEATURES, EXAMPLES, BATCH = 32, 512, 16
LANES = {False: 32, True: 8}  # in a block; fresh examples cost ten times as much as old ones


class Lane(NamedTuple):
    """One trajectory to make: a recipe, its seed, the number of the sister, the rates (epochs,), and the sample."""

    recipe: Any
    seed: int
    sister: int
    rates: np.ndarray
    x: np.ndarray
    y: np.ndarray


def _key(purpose: Purpose, epoch: Any, seed: jax.Array, sister: jax.Array) -> jax.Array:
    return stream(seed, purpose, sister, epoch)


@lru_cache(maxsize=8)
def _program(longest: int, fresh: bool) -> Any:
    """The compiled block: weights (lanes, longest, FEATURES), logged loss and accuracy (lanes, longest).

    `fresh` draws new examples at each step, from the classes in `c`, and ignores the sample.
    """
    size = LANES[fresh]

    def drawn(c: dict[str, Any], keys: tuple[jax.Array, ...], k: Any) -> tuple[jax.Array, jax.Array]:
        """The batch of each lane, (lanes, BATCH, FEATURES) and (lanes, BATCH)."""

        def of_lane(order: jax.Array, inputs: jax.Array, labels: jax.Array) -> tuple[jax.Array, ...]:
            if not fresh:
                return (jax.random.uniform(jax.random.fold_in(order, k), (BATCH,)),)
            z = jax.random.normal(jax.random.fold_in(inputs, k), (BATCH, FEATURES))
            return (z, jax.random.uniform(jax.random.fold_in(labels, k), (2, BATCH)))

        if not fresh:
            (u,) = jax.vmap(of_lane)(*keys)
            row = jnp.minimum((u * c["n"][:, None]).astype(jnp.int32), c["n"][:, None].astype(jnp.int32) - 1)
            return jnp.take_along_axis(c["x"], row[:, :, None], 1), jnp.take_along_axis(c["y"], row, 1)
        z, u = jax.vmap(of_lane)(*keys)
        clean = jnp.where(u[:, 0] < 0.5, -1.0, 1.0)
        x = clean[:, :, None] * c["m"][:, None] + c["scale"][:, None] * z
        return x, jnp.where(u[:, 1] < c["label_noise"][:, None], -clean, clean)

    def run(c: dict[str, Any], rates: jax.Array, seed: jax.Array, sister: jax.Array, steps: Any, epochs: Any) -> Any:
        share = (jnp.arange(BATCH)[None] < c["batch_size"][:, None]) / c["batch_size"][:, None]
        purposes = (Purpose.ORDER, Purpose.FRESH_INPUTS, Purpose.FRESH_LABELS)

        def epoch(e: Any, carry: Any) -> Any:
            eta = jax.lax.dynamic_slice_in_dim(rates, e, 1, 1)
            keys = tuple(jax.vmap(partial(_key, purpose, e))(seed, sister) for purpose in purposes)

            def step(k: Any, state: Any) -> Any:
                w, loss, right = state
                x, y = drawn(c, keys, k)
                margin = y * jnp.sum(x * w[:, None], -1)
                w = w + eta * jnp.sum((share * y * jax.nn.sigmoid(-margin))[:, :, None] * x, 1)
                loss = loss + jnp.sum(share * jax.nn.softplus(-margin), 1)
                return w, loss, right + jnp.sum(share * (jnp.sign(margin) + 1) / 2, 1)

            w, all_w, losses, accuracies = carry
            none = jnp.zeros(size)
            w, loss, right = jax.lax.fori_loop(0, steps, step, (w, none, none))
            put = jax.lax.dynamic_update_slice_in_dim
            losses = put(losses, (loss / steps)[:, None], e, 1)
            return w, put(all_w, w[:, None], e, 1), losses, put(accuracies, (right / steps)[:, None], e, 1)

        empty = jnp.zeros((size, longest))
        start = (jnp.zeros((size, FEATURES)), jnp.zeros((size, longest, FEATURES)), empty, empty)
        return jax.lax.fori_loop(0, epochs, epoch, start)[1:]

    return jax.jit(run)


def trajectories(lanes: Sequence[Lane], *, fresh: bool) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each lane the weights after each epoch, (epochs, FEATURES), the logged loss and the accuracy, (epochs,)."""
    out: list[Any] = [None] * len(lanes)
    size = LANES[fresh]
    for members, index in blocks([lane.recipe for lane in lanes], size):
        block = [lanes[i] for i in index]
        recipe = block[0].recipe
        longest = program_epochs(recipe.epochs)
        c = {
            "n": np.array([lane.recipe.train_size for lane in block], np.float32),
            "batch_size": np.array([lane.recipe.batch_size for lane in block], np.float32),
            "label_noise": np.array([lane.recipe.label_noise for lane in block], np.float32),
            "m": np.array([lane.recipe.classes[0] for lane in block], np.float32),
            "scale": np.array([lane.recipe.classes[1] for lane in block], np.float32),
            "x": np.zeros((size, 1 if fresh else EXAMPLES, FEATURES), np.float32),
            "y": np.zeros((size, 1 if fresh else EXAMPLES), np.float32),
        }
        rates = np.zeros((size, longest), np.float32)
        for i, lane in enumerate(block):
            rates[i, : recipe.epochs] = lane.rates
            if not fresh:
                c["x"][i, : len(lane.x)], c["y"][i, : len(lane.y)] = lane.x, lane.y
        seed, sister = (np.array([getattr(lane, key) for lane in block], np.uint32) for key in ("seed", "sister"))
        made = _program(longest, fresh)(c, rates, seed, sister, recipe.steps, recipe.epochs)
        w, loss, right = (np.asarray(part)[:, : recipe.epochs].astype(np.float64) for part in made)
        for row, i in enumerate(members):
            out[i] = (w[row], loss[row], right[row])
    return out
