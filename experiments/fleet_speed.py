"""How much of the machine does the fleet use, and how fast is it beside an ordinary PyTorch loop? For `throughput.py`.

The fleet runs one block of sisters a core, the product of matrices one a core; they come by turns in short windows,
for other work on the machine disturbs both, and the fastest window counts. By the clock, for all cores are used on both
sides.

What was tried to make it faster, in processor time of the seed recipe a sister and epoch (8 sisters a block, one core
of an AMD EPYC of family 26, other work beside it): the parts are 1.19 ms of minibatches, 0.63 of the population with
its temperature, 0.44 of validation, 0.21 of the training set in evaluation mode, 0.27 of order and augmentation noise.
Validation of the observed sister alone saved 0.38 (done); data that sisters share are there once (done: the first layer
is one product for all). Four sisters a block instead of 8 gave 2.80 ms, sixteen 3.06; two steps of the scan unrolled
2.83, four 2.86; an accuracy without `argmax` 3.04, where nothing changed gave 2.90 and 3.32: within what the machine's
other work moves, and nearly all would change the last bits of every run, so none was taken. The aims were half of the
product's speed and an eighth of the time of the ordinary loop; `throughput.csv` has what was reached. What stands in
the way: products of 32 x 128 x 128 run as fast as a large one, those onto 10 classes, too narrow, at a third; between
them are normalisation and about sixty small kernels a step; and XLA keeps the decayed gradient, the momentum and the
new weights of each array in three kernels, with a copy of the weights before, which is a dozen passes over weights that
do not fit the second-level cache.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from sim.recipe import SEED_FIGURE, Recipe
from sim.shape import Numbers, Shape
from sim.trained.program import CHUNK, LANES, POPULATION, programs
from sim.twins import family

SIDE = 2048
WINDOWS = 10
PATIENCE = 120  # seconds: two threads that wait for each other on a busy machine hardly get on


def flops(recipe: Recipe) -> float:
    """Operations in the matrix products of one epoch of a block of sisters of an MLP, evaluations included."""
    sizes = [recipe.dimension, *[recipe.width] * recipe.depth, recipe.classes]
    layers = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    trained = recipe.train_size // recipe.batch_size * recipe.batch_size
    training = trained * (3 * sum(layers) - layers[0])  # inputs need no gradient
    evaluation = (recipe.train_size + POPULATION) * sum(layers)
    return 2.0 * (LANES * (training + evaluation) + recipe.val_size * sum(layers))


def operations() -> tuple[float, float]:
    """Operations a second, by the clock, of the fleet and of products of float32 matrices, all cores on both sides."""
    start, advance = programs(Shape.of(SEED_FIGURE))
    numbers, sisters = Numbers.of(SEED_FIGURE), np.arange(LANES, dtype=np.uint32)
    data, state = start(numbers, sisters)
    rates = np.full(CHUNK, SEED_FIGURE.learning_rate, np.float32)

    def train() -> None:
        jax.block_until_ready(advance(numbers, sisters, data, state, np.int32(0), rates))

    square = jax.numpy.asarray(np.random.default_rng(0).normal(size=(SIDE, SIDE)), jax.numpy.float32)
    product = jax.jit(lambda a: a @ a)

    def multiply() -> None:
        for _ in range(4):
            product(square).block_until_ready()

    cores = os.cpu_count() or 1
    work = ((train, CHUNK * flops(SEED_FIGURE)), (multiply, 4 * 2.0 * SIDE**3))
    best = [0.0, 0.0]
    for _ in range(1 + WINDOWS):  # the first one compiles
        for i, (run, number) in enumerate(work):
            best[i] = max(best[i], cores * number / _seconds(run, cores))
    return best[0], best[1]


def run_alone(speed: float) -> float:
    """Seconds a sister of the seed recipe, at so many operations a second."""
    return flops(SEED_FIGURE) * SEED_FIGURE.epochs / speed / LANES


def run_with_twins(speed: float) -> float:
    """The same of one among those of its family, whose shared epochs are trained once."""
    members = family(SEED_FIGURE, ("without_drop",))
    shared = 1 + sum(1 - position / SEED_FIGURE.epochs for position in members if isinstance(position, int))
    return run_alone(speed) * shared / len(members)


def ordinary_run() -> float | None:
    """Seconds a run of `ordinary_loop.py`: the better of a process a core with a thread each and one with all.

    None where PyTorch is not installed, or neither ends in time.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    cores = os.cpu_count() or 1
    told = [_ordinary(threads=1, processes=cores), _ordinary(threads=cores, processes=1)]
    return min((seconds for seconds in told if seconds is not None), default=None)


def _ordinary(threads: int, processes: int) -> float | None:
    command = [sys.executable, str(Path(__file__).parent / "ordinary_loop.py"), "--threads", str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    try:
        said = [json.loads(p.communicate(timeout=PATIENCE)[0]) for p in running]
    except (subprocess.TimeoutExpired, ValueError):  # a loop that failed has said nothing
        return None
    finally:
        for p in running:
            p.kill()
    return max(float(s["wall"]) for s in said) / processes


def _seconds(work: Callable[[], object], cores: int) -> float:
    """Seconds of the clock of `work` on each of `cores` threads."""
    with ThreadPoolExecutor(cores) as pool:
        start = time.perf_counter()
        for future in [pool.submit(work) for _ in range(cores)]:
            future.result()
        return time.perf_counter() - start


_START = """
import time; begun = time.perf_counter()
from sim.recipe import SEED_FIGURE
from sim.schedules import Schedule
from sim.trained import train
from dataclasses import replace
train([replace(SEED_FIGURE, epochs=10, schedule=Schedule(kind="constant"))], twins=())
print(time.perf_counter() - begun)
"""


def starts() -> list[float]:
    """Seconds to the first ten epochs: with an empty cache, with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        environment = {**os.environ, **kept, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
        command = [sys.executable, "-c", _START]
        return [
            float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
            for _ in range(2)
        ]
