"""The compiled program of one shape: the data and initial weights of a block of sisters, and epochs of training them.

Sisters have the same data and initial weights; each has its own order of minibatches, augmentation noise, dropout and
fresh examples. What they share is there once, so that the first layer of all of them is one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from sim import labels
from sim.networks import NETWORKS
from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape
from sim.toydata import TOYDATA
from sim.trained.optimiser import OPTIMISERS
from sim.trained.scoring import accuracy, calibrated, loss

__all__ = ["CHUNK", "LANES", "METRICS", "OBSERVED", "programs"]

LANES = 8  # sisters in a block
CHUNK = 10  # epochs a call
POPULATION = 2048  # fresh examples per sister that stand for the population, or as many as there are

#: What is measured of every sister at the end of each epoch, in this order. Losses in nats, accuracies in 0..1.
METRICS = (
    "train_loss",  # as a training loop logs it: mean over the epoch's minibatches, training mode, augmented
    "train_accuracy",  # likewise
    "train_loss_eval",  # L: evaluation mode on the un-augmented training set
    "train_accuracy_eval",
    "risk",  # R: on fresh examples, expectation over their label noise
    "population_accuracy",  # A
    "risk_calibrated",  # Rcal: logits divided by the best temperature, fitted on the other half of the examples
    "temperature",
)
#: What is measured of the first sister of a block alone, the run that is observed.
OBSERVED = (
    "val_loss",  # evaluation mode on the finite validation set
    "val_accuracy",
)


@lru_cache(maxsize=32)
def programs(shape: Shape) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(start, advance) for one shape, compiled once each.

    start(numbers, sisters) -> data, state. advance(numbers, sisters, data, state, epoch, rates of shape (CHUNK,)) ->
    state, metrics of shape (CHUNK, LANES, len(METRICS)), of the first sister (CHUNK, len(OBSERVED)). `sisters` holds
    the LANES numbers of the sisters, `epoch` counts from 0.
    """

    def start(numbers: Numbers, sisters: jax.Array) -> Any:
        data = _data(shape, numbers)
        population = jax.vmap(lambda s: _population(shape, numbers, data["world"], s))(sisters)
        initial = _initial(shape, numbers)
        state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (LANES, *jnp.shape(leaf))), initial)
        return {**data, "population": population}, state

    def advance(numbers: Numbers, sisters: jax.Array, data: Any, state: Any, epoch: Any, rates: Any) -> Any:
        def lane(sister: Any, population: Any, state: Any, epoch: Any, rate: Any) -> Any:
            return _epoch(shape, numbers, {**data, "population": population}, state, sister, epoch, rate)

        lanes = jax.vmap(lane, in_axes=(0, 0, 0, None, None))

        def one_epoch(state: Any, inputs: Any) -> Any:
            state, metrics = lanes(sisters, data["population"], state, *inputs)
            params, running = jax.tree.map(lambda leaf: leaf[0], (state["params"], state["running"]))
            logits, _ = NETWORKS[shape.network].forward(shape, numbers, params, running, data["xv"], False)
            return state, (metrics, jnp.stack([loss(logits, data["yv"]), accuracy(logits, data["yv"])]))

        return jax.lax.scan(one_epoch, state, (epoch + jnp.arange(CHUNK), rates))

    return jax.jit(start), jax.jit(advance)


def _data(shape: Shape, n: Numbers) -> dict[str, Any]:
    """Inputs of shape (examples, dimension); labels of shape (examples, classes)."""
    data = TOYDATA[shape.data]
    world = data.world(shape, n)
    key = stream(n.seed, Purpose.TRAIN_INPUTS)
    x, label = data.examples(shape, n, world, shape.train_size, key, Purpose.TRAIN_INPUTS)
    key = stream(n.seed, Purpose.VAL_INPUTS)
    xv, label_v = data.examples(shape, n, world, shape.val_size, key, Purpose.VAL_INPUTS)
    return {
        "world": world,
        "x": x,
        "y": labels.noisy(shape, label, n.label_noise, stream(n.seed, Purpose.TRAIN_LABELS)),
        "xv": xv + _shift(shape, n),
        "yv": labels.noisy(shape, label_v, n.population_label_noise, stream(n.seed, Purpose.VAL_LABELS)),
    }


def _population(shape: Shape, n: Numbers, world: Any, sister: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A fresh sample of the validation distribution, with the probability of each label."""
    key = stream(n.seed, Purpose.POPULATION, sister)
    x, label = TOYDATA[shape.data].examples(shape, n, world, POPULATION, key, Purpose.POPULATION)
    return x + _shift(shape, n), labels.soft(shape, label, n.population_label_noise)


def _shift(shape: Shape, n: Numbers) -> jax.Array:
    shift: jax.Array = n.val_shift * jax.random.normal(stream(n.seed, Purpose.SHIFT), (1, shape.dimension))
    return shift


def _initial(shape: Shape, numbers: Numbers) -> dict[str, Any]:
    params, running = NETWORKS[shape.network].initial(shape, numbers)
    optimiser = OPTIMISERS[shape.optimiser](shape, numbers).init(params)
    return {"params": params, "running": running, "optimiser": optimiser, "inverse_temperature": jnp.ones(2)}


def _epoch(
    shape: Shape, n: Numbers, data: dict[str, Any], state: dict[str, Any], sister: Any, epoch: Any, rate: Any
) -> tuple[dict[str, Any], jax.Array]:
    """The state of one sister after one epoch, and METRICS."""
    forward = NETWORKS[shape.network].forward
    optimiser = OPTIMISERS[shape.optimiser](shape, n)

    def step(carry: Any, batch: Any) -> Any:
        params, running, opt_state = carry

        def objective(params: Any) -> Any:
            logits, updated = forward(shape, n, params, running, batch["x"], True, batch.get("key"))
            return loss(logits, batch["y"]), (updated, accuracy(logits, batch["y"]))

        (value, (running, share)), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return (params, running, opt_state), jnp.stack([value, share])

    carry = (state["params"], state["running"], state["optimiser"])
    (params, running, opt_state), logged = jax.lax.scan(step, carry, _batches(shape, n, data, sister, epoch))
    logits, _ = forward(shape, n, params, running, data["x"], False)
    x, y = data["population"]
    fresh, _ = forward(shape, n, params, running, x, False)
    risk_calibrated, inverse = calibrated(fresh, y, state["inverse_temperature"])
    metrics = [
        *logged.mean(0),
        loss(logits, data["y"]),
        accuracy(logits, data["y"]),
        loss(fresh, y),
        accuracy(fresh, y),
        risk_calibrated,
        jnp.mean(1 / inverse),
    ]
    state = {"params": params, "running": running, "optimiser": opt_state, "inverse_temperature": inverse}
    return state, jnp.stack(metrics)


def _batches(shape: Shape, n: Numbers, data: dict[str, Any], sister: Any, epoch: Any) -> dict[str, Any]:
    """The minibatches of one epoch, each array with the number of steps as its first axis."""
    x, y = data["x"], data["y"]
    if shape.fresh_samples:
        key = stream(n.seed, Purpose.FRESH_INPUTS, sister, epoch)
        x, label = TOYDATA[shape.data].examples(shape, n, data["world"], shape.train_size, key, Purpose.FRESH_INPUTS)
        y = labels.noisy(shape, label, n.label_noise, stream(n.seed, Purpose.FRESH_LABELS, sister, epoch))
    steps = shape.train_size // shape.batch_size
    order = jax.random.permutation(stream(n.seed, Purpose.ORDER, sister, epoch), shape.train_size)
    order = order[: steps * shape.batch_size]
    x, y = x[order], y[order]
    if shape.shift_augmentation:
        x = _translated(shape, n, x, stream(n.seed, Purpose.TRANSLATION, sister, epoch))
    noise = jax.random.normal(stream(n.seed, Purpose.AUGMENTATION, sister, epoch), (order.size, shape.dimension))
    x = x + n.augmentation * noise
    batches = {"x": x.reshape(steps, shape.batch_size, -1), "y": y.reshape(steps, shape.batch_size, -1)}
    if shape.dropout:
        batches["key"] = jax.random.split(stream(n.seed, Purpose.DROPOUT, sister, epoch), steps)
    return batches


def _translated(shape: Shape, n: Numbers, x: jax.Array, key: jax.Array) -> jax.Array:
    """Images of shape (examples, side²), each moved by up to `shift_augmentation` whole pixels, zero where none was."""
    most = n.shift_augmentation.astype(int)
    move = jax.random.randint(key, (2, x.shape[0], 1), -most, most + 1)
    pixel = jnp.arange(shape.side)[None]
    row, column = pixel - move[0], pixel - move[1]  # where a pixel comes from

    def there(at: jax.Array) -> jax.Array:
        return (at >= 0) & (at < shape.side)

    source = (row[:, :, None] * shape.side + column[:, None, :]).reshape(x.shape)
    inside = (there(row)[:, :, None] & there(column)[:, None, :]).reshape(x.shape)
    return jnp.where(inside, jnp.take_along_axis(x, source.clip(0, x.shape[1] - 1), 1), 0)
