"""A fleet of small classifiers, trained a block of lanes at a time in one compiled program per shape.

A lane is one sister of one recipe: the same data and initial weights as its sisters, another order of minibatches and
other augmentation noise. The unit of computation is a block of `LANES` lanes (padded), advanced `CHUNK` epochs at a
time: everything that is a number is traced, everything that is a shape is in `_Shape`, so that a schedule, a noise
level or a seed never compiles anything. Blocks run on as many threads as there are cores, since a small vmapped program
uses one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sim.randomness import Purpose, stream
from sim.recipe import Recipe

__all__ = ["CHUNK", "LANES", "METRICS", "Lane", "train_lanes"]

LANES = 8  # lanes in a block: the sisters of one recipe
CHUNK = 10  # epochs a call
POPULATION = 2048  # fresh examples per lane that stand for the population
_EPSILON = 1e-5  # batch normalisation's, as in PyTorch
_RUNNING = 0.1  # batch normalisation's rate of the running statistics, as in PyTorch

#: What is measured at the end of each epoch, in this order. Losses in nats, accuracies in 0..1.
METRICS = (
    "train_loss",  # as a training loop logs it: mean over the epoch's minibatches, training mode, augmented
    "train_accuracy",  # likewise
    "train_loss_eval",  # L: evaluation mode on the un-augmented training set
    "train_accuracy_eval",
    "val_loss",  # evaluation mode on the finite validation set
    "val_accuracy",
    "risk",  # R: on fresh examples, expectation over their label noise
    "population_accuracy",  # A
    "risk_calibrated",  # Rcal: logits divided by the best temperature, fitted on the other half of the examples
    "temperature",
)


class Lane(NamedTuple):
    """One training run to make: a recipe and the number of the sister."""

    recipe: Recipe
    sister: int


class _Shape(NamedTuple):
    classes: int
    modes: int
    dimension: int
    train_size: int
    val_size: int
    fresh_samples: bool
    width: int
    depth: int
    normalisation: str
    optimiser: str
    nesterov: bool
    batch_size: int

    @classmethod
    def of(cls, recipe: Recipe) -> _Shape:
        return cls(*(getattr(recipe, name) for name in cls._fields))


class _Numbers(NamedTuple):
    seed: Any
    sister: Any
    separation: Any
    label_noise: Any
    population_label_noise: Any
    momentum: Any
    weight_decay: Any
    augmentation: Any

    @classmethod
    def of(cls, lane: Lane) -> _Numbers:
        r = lane.recipe
        return cls(
            np.uint32(r.seed),
            np.uint32(lane.sister),
            *(np.float32(getattr(r, name)) for name in cls._fields[2:]),
        )


Progress = Callable[[int], None]


def train_lanes(
    lanes: Sequence[Lane], progress: Progress | None = None, threads: int | None = None
) -> dict[str, np.ndarray]:
    """Train every lane; each metric has shape (len(lanes), epochs), float32. All recipes must have equal `epochs`.

    A twin that shares its first epochs with another lane of the call (the same numbers, the same rates up to there)
    starts from that lane's state. `progress` is called with the number of lane-epochs done since its last call.
    """
    if not lanes:
        return {name: np.empty((0, 0), np.float32) for name in METRICS}
    epochs = lanes[0].recipe.epochs
    if any(lane.recipe.epochs != epochs for lane in lanes):
        raise ValueError("lanes of one call must have equal `epochs`")
    by_shape: dict[_Shape, list[int]] = {}
    for i, lane in enumerate(lanes):
        by_shape.setdefault(_Shape.of(lane.recipe), []).append(i)
    jobs = []
    for shape, members in by_shape.items():
        families: dict[tuple[Any, ...], list[int]] = {}
        for start in range(0, len(members), LANES):
            block = members[start : start + LANES]
            # Blocks that differ in nothing but their rates share a prefix of states.
            numbers = tuple(tuple(float(v) for v in _Numbers.of(lanes[i])) for i in block)
            families.setdefault(numbers, []).extend(block)
        jobs += [(shape, family, len(numbers)) for numbers, family in families.items()]
    out = np.full((len(lanes), epochs, len(METRICS)), np.nan, np.float32)

    def work(job: tuple[_Shape, list[int], int]) -> None:
        shape, family, size = job
        blocks = [family[i : i + size] for i in range(0, len(family), size)]
        _train_family(shape, [[lanes[i] for i in block] for block in blocks], epochs, out, blocks, progress)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(work, jobs))
    return {name: out[:, :, m] for m, name in enumerate(METRICS)}


def _train_family(
    shape: _Shape,
    blocks: list[list[Lane]],
    epochs: int,
    out: np.ndarray,
    rows: list[list[int]],
    progress: Progress | None,
) -> None:
    start, advance = _programs(shape)
    padded = [block + [block[-1]] * (LANES - len(block)) for block in blocks]
    numbers = jax.tree.map(lambda *leaves: np.stack(leaves), *[_Numbers.of(lane) for lane in padded[0]])
    rates = [
        np.stack([lane.recipe.schedule.rates(lane.recipe.learning_rate, epochs) for lane in block]).astype(np.float32)
        for block in padded
    ]
    data, first = start(numbers)
    kept: list[dict[int, Any]] = []  # per block: the state before each chunk
    for b, rate in enumerate(rates):
        begin, state, origin = 0, first, None
        for earlier in range(b):
            same = int(np.argmin(np.append((rates[earlier] == rate).all(axis=0), False)))
            if same // CHUNK * CHUNK > begin:
                begin, origin = same // CHUNK * CHUNK, earlier
        begin = min(begin, (epochs - 1) // CHUNK * CHUNK)
        if origin is not None:
            state = kept[origin][begin]
            for i, j in zip(rows[b], rows[origin], strict=True):
                out[i, :begin] = out[j, :begin]
        if progress and begin:
            progress(begin * len(blocks[b]))
        states: dict[int, Any] = dict(kept[origin]) if origin is not None else {}
        for e in range(begin, epochs, CHUNK):
            states[e] = state
            n = min(CHUNK, epochs - e)
            chunk = np.zeros((LANES, CHUNK), np.float32)
            chunk[:, :n] = rate[:, e : e + n]
            state, metrics = advance(numbers, data, state, np.int32(e), chunk)
            out[rows[b], e : e + n] = np.asarray(metrics)[: len(rows[b]), :n]
            if progress:
                progress(n * len(blocks[b]))
        kept.append(states if len(blocks) > 1 else {})


@lru_cache(maxsize=32)
def _programs(shape: _Shape) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(start, advance) for one shape, compiled once each.

    start(numbers) -> data, state. advance(numbers, data, state, epoch, rates of shape (LANES, CHUNK)) ->
    state, metrics of shape (LANES, CHUNK, len(METRICS)).
    """

    def start(numbers: _Numbers) -> Any:
        data = _data(shape, numbers)
        return data, _initial(shape, numbers)

    def advance(numbers: _Numbers, data: Any, state: Any, epoch: Any, rates: Any) -> Any:
        def one_epoch(state: Any, inputs: Any) -> Any:
            return _epoch(shape, numbers, data, state, *inputs)

        return jax.lax.scan(one_epoch, state, (epoch + jnp.arange(CHUNK), rates))

    return jax.jit(jax.vmap(start)), jax.jit(jax.vmap(advance, in_axes=(0, 0, 0, None, 0)))


def _data(shape: _Shape, numbers: _Numbers) -> dict[str, jax.Array]:
    """Inputs of shape (examples, dimension); labels of shape (examples, classes), soft for the population only."""
    s, n = shape, numbers
    centres = n.separation * jax.random.normal(stream(n.seed, Purpose.CENTRES), (s.classes, s.modes, s.dimension))
    x, y = _examples(s, n, centres, s.train_size, stream(n.seed, Purpose.TRAIN_INPUTS))
    xv, yv = _examples(s, n, centres, s.val_size, stream(n.seed, Purpose.VAL_INPUTS))
    xp, yp = _examples(s, n, centres, POPULATION, stream(n.seed, Purpose.POPULATION, n.sister))
    p = n.population_label_noise
    clean = jax.nn.one_hot(yp, s.classes)
    return {
        "centres": centres,
        "x": x,
        "y": _with_noise(s, y, n.label_noise, stream(n.seed, Purpose.TRAIN_LABELS)),
        "xv": xv,
        "yv": _with_noise(s, yv, p, stream(n.seed, Purpose.VAL_LABELS)),
        "xp": xp,
        "yp": (1 - p) * clean + p / (s.classes - 1) * (1 - clean),
    }


def _examples(
    shape: _Shape, numbers: _Numbers, centres: jax.Array, size: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    k1, k2, k3 = jax.random.split(key, 3)
    label = jax.random.randint(k1, (size,), 0, shape.classes)
    mode = jax.random.randint(k2, (size,), 0, shape.modes)
    x = centres[label, mode] + jax.random.normal(k3, (size, shape.dimension))
    return x / jnp.sqrt(1 + numbers.separation**2), label


def _with_noise(shape: _Shape, label: jax.Array, share: jax.Array, key: jax.Array) -> jax.Array:
    k1, k2 = jax.random.split(key)
    wrong = jax.random.uniform(k1, label.shape) < share  # the same draws flip more labels when the share grows
    other = (label + jax.random.randint(k2, label.shape, 1, shape.classes)) % shape.classes
    return jax.nn.one_hot(jnp.where(wrong, other, label), shape.classes)


def _initial(shape: _Shape, numbers: _Numbers) -> dict[str, Any]:
    sizes = [shape.dimension, *[shape.width] * shape.depth, shape.classes]
    params: dict[str, Any] = {}
    running: dict[str, Any] = {}
    for layer, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        key = stream(numbers.seed, Purpose.WEIGHTS, layer)
        params[f"w{layer}"] = jax.random.normal(key, (fan_in, fan_out)) * jnp.sqrt(2.0 / fan_in)
        params[f"b{layer}"] = jnp.zeros(fan_out)
        if layer < shape.depth and shape.normalisation == "batch":
            params[f"g{layer}"] = jnp.ones(fan_out)
            running[f"mean{layer}"] = jnp.zeros(fan_out)
            running[f"var{layer}"] = jnp.ones(fan_out)
    return {
        "params": params,
        "running": running,
        "optimiser": _optimiser(shape, numbers).init(params),
        "inverse_temperature": jnp.ones(2),
    }


def _optimiser(shape: _Shape, numbers: _Numbers) -> optax.GradientTransformation:
    decay = optax.add_decayed_weights(numbers.weight_decay)
    if shape.optimiser == "sgd":
        return optax.chain(decay, optax.trace(numbers.momentum, nesterov=shape.nesterov))
    return optax.chain(optax.scale_by_adam(b1=numbers.momentum, nesterov=shape.nesterov), decay)


def _forward(
    shape: _Shape, params: dict[str, Any], running: dict[str, Any], x: jax.Array, training: bool
) -> tuple[jax.Array, dict[str, Any]]:
    """Logits of shape (examples, classes), and the running statistics after this batch."""
    updated = dict(running)
    for layer in range(shape.depth):
        x = x @ params[f"w{layer}"]
        if shape.normalisation == "batch":
            if training:
                mean, var = x.mean(0), x.var(0)
                n = x.shape[0]
                updated[f"mean{layer}"] = (1 - _RUNNING) * running[f"mean{layer}"] + _RUNNING * mean
                updated[f"var{layer}"] = (1 - _RUNNING) * running[f"var{layer}"] + _RUNNING * var * n / (n - 1)
            else:
                mean, var = running[f"mean{layer}"], running[f"var{layer}"]
            scale = params[f"g{layer}"] * jax.lax.rsqrt(var + _EPSILON)
            x = x * scale[None] + (params[f"b{layer}"] - mean * scale)[None]
        else:
            x = x + params[f"b{layer}"][None]
        x = jax.nn.relu(x)
    return x @ params[f"w{shape.depth}"] + params[f"b{shape.depth}"][None], updated


def _loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.sum(y * logits, -1))


def _accuracy(logits: jax.Array, y: jax.Array) -> jax.Array:
    top = jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1])
    return jnp.mean(jnp.sum(top * y, -1))


def _epoch(
    shape: _Shape,
    numbers: _Numbers,
    data: dict[str, jax.Array],
    state: dict[str, Any],
    epoch: jax.Array,
    rate: jax.Array,
) -> tuple[dict[str, Any], jax.Array]:
    x, y = data["x"], data["y"]
    if shape.fresh_samples:
        key = stream(numbers.seed, Purpose.FRESH_INPUTS, numbers.sister, epoch)
        x, label = _examples(shape, numbers, data["centres"], shape.train_size, key)
        key = stream(numbers.seed, Purpose.FRESH_LABELS, numbers.sister, epoch)
        y = _with_noise(shape, label, numbers.label_noise, key)
    steps = shape.train_size // shape.batch_size
    order = jax.random.permutation(stream(numbers.seed, Purpose.ORDER, numbers.sister, epoch), shape.train_size)
    order = order[: steps * shape.batch_size]
    noise = jax.random.normal(
        stream(numbers.seed, Purpose.AUGMENTATION, numbers.sister, epoch), (order.size, shape.dimension)
    )
    batches = (
        (x[order] + numbers.augmentation * noise).reshape(steps, shape.batch_size, -1),
        y[order].reshape(steps, shape.batch_size, -1),
    )
    optimiser = _optimiser(shape, numbers)

    def step(carry: Any, batch: Any) -> Any:
        params, running, opt_state = carry

        def objective(params: Any) -> Any:
            logits, updated = _forward(shape, params, running, batch[0], training=True)
            return _loss(logits, batch[1]), (updated, _accuracy(logits, batch[1]))

        (loss, (running, accuracy)), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return (params, running, opt_state), jnp.stack([loss, accuracy])

    carry = (state["params"], state["running"], state["optimiser"])
    (params, running, opt_state), logged = jax.lax.scan(step, carry, batches)

    def measured(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        logits, _ = _forward(shape, params, running, x, training=False)
        return [_loss(logits, y), _accuracy(logits, y)]

    logits, _ = _forward(shape, params, running, data["xp"], training=False)
    risk_calibrated, inverse = _calibrated(logits, data["yp"], state["inverse_temperature"])
    metrics = [
        *logged.mean(0),
        *measured(data["x"], data["y"]),
        *measured(data["xv"], data["yv"]),
        _loss(logits, data["yp"]),
        _accuracy(logits, data["yp"]),
        risk_calibrated,
        jnp.mean(1 / inverse),
    ]
    state = {"params": params, "running": running, "optimiser": opt_state, "inverse_temperature": inverse}
    return state, jnp.stack(metrics)


def _calibrated(logits: jax.Array, y: jax.Array, inverse: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Loss with each half's logits divided by the temperature fitted on the other half (Guo et al., 2017).

    The loss is convex in the inverse temperature; Newton's method starts from the last epoch's value.
    """
    z = logits.reshape(2, -1, logits.shape[-1])
    q = y.reshape(2, -1, y.shape[-1])

    def newton(_: int, beta: jax.Array) -> jax.Array:
        p = jax.nn.softmax(beta[:, None, None] * z, -1)
        mean = jnp.sum(p * z, -1)
        slope = jnp.mean(mean - jnp.sum(q * z, -1), -1)
        curvature = jnp.mean(jnp.sum(p * z * z, -1) - mean**2, -1)
        factor = jnp.clip(1 - slope / (beta * curvature + 1e-12), 0.5, 2.0)
        return jnp.clip(beta * factor, 0.01, 100.0)

    beta = jax.lax.fori_loop(0, 4, newton, inverse)
    swapped = beta[::-1, None, None] * z
    loss = jnp.mean(jax.nn.logsumexp(swapped, -1) - jnp.sum(q * swapped, -1))
    return loss, beta
