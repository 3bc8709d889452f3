"""How much of the machine does the fleet use, and how much faster is it than an ordinary PyTorch loop?

Writes `experiments/results/trained_speed.csv`, a line for each figure, with the load of the machine when it began:

- `fleet`: multiply-adds of forward, backward and evaluation, times two, a second, one block of sisters a core;
- `product`: the same of a product of float32 matrices of 2,048 a side, one a core; and the fleet's share of it;
- `run`: seconds a sister of the seed recipe alone, and with its twins, whose shared epochs are trained once;
- `ordinary`: seconds a run of `ordinary_loop.py`, the better of two processes with a thread each and one with two;
- `start`: seconds from nothing to the first ten epochs, with an empty cache of compiled programs and with a full one.

Best of several short windows, fleet and product by turns, for other work on the machine disturbs both. Each figure is
given in seconds of the clock and in seconds of the processor, all cores together. `--torch` names a Python with torch.

What was tried to make it faster, in processor time of the seed recipe a sister and epoch (8 sisters a block, one core
of an AMD EPYC of family 26, other work beside it): the parts are 1.19 ms of minibatches, 0.63 of the population with
its temperature, 0.44 of validation, 0.21 of the training set in evaluation mode, 0.27 of order and augmentation noise.
Validation of the observed sister alone saved 0.38 (done); data that sisters share are there once (done: the first layer
is one product for all). Four sisters a block instead of 8 gave 2.80 ms, sixteen 3.06; two steps of the scan unrolled
2.83, four 2.86; an accuracy without `argmax` 3.04, where nothing changed gave 2.90 and 3.32: within what the machine's
other work moves, and nearly all would change the last bits of every run, so none was taken. The aims were half of
the product's speed and eight times the ordinary loop; `trained_speed.csv` was measured on a machine with ten times as
much work as cores, and says 0.40 and 7.6 by the processor. What stands in the way: products of 32 x 128 x 128 run as
fast as a large one, those onto 10 classes, too narrow, at a third; between them are normalisation and about sixty
small kernels a step; and XLA keeps the decayed gradient, the momentum and the new weights of each array in three
kernels, with a copy of the weights before, which is a dozen passes over weights that do not fit the second-level
cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from tables import write

from sim.recipe import SEED_FIGURE, Recipe
from sim.shape import Numbers, Shape
from sim.trained.program import CHUNK, LANES, POPULATION, programs
from sim.twins import family

SIDE = 2048
PATIENCE = 120  # seconds: two threads that wait for each other on a busy machine hardly get on


def flops(recipe: Recipe) -> float:
    """Operations in the matrix products of one epoch of a block of sisters of an MLP, evaluations included."""
    sizes = [recipe.dimension, *[recipe.width] * recipe.depth, recipe.classes]
    layers = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    trained = recipe.train_size // recipe.batch_size * recipe.batch_size
    training = trained * (3 * sum(layers) - layers[0])  # inputs need no gradient
    evaluation = (recipe.train_size + POPULATION) * sum(layers)
    return 2.0 * (LANES * (training + evaluation) + recipe.val_size * sum(layers))


def timed(work: Callable[[], object], cores: int) -> tuple[float, float]:
    """Seconds of the clock and of the processor of `work` on each of `cores` threads."""
    with ThreadPoolExecutor(cores) as pool:
        start, used = time.perf_counter(), time.process_time()
        for future in [pool.submit(work) for _ in range(cores)]:
            future.result()
        return time.perf_counter() - start, time.process_time() - used


def fleet_and_product(repetitions: int, cores: int) -> dict[str, tuple[float, float]]:
    """Operations a second, by the clock and by the processor, of both, by turns."""
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

    work = {"fleet": (train, CHUNK * flops(SEED_FIGURE)), "product": (multiply, 4 * 2.0 * SIDE**3)}
    for run, _ in work.values():
        run()
    best = dict.fromkeys(work, (0.0, 0.0))
    for _ in range(repetitions):
        for name, (run, operations) in work.items():
            clock, processor = timed(run, cores)
            best[name] = (
                max(best[name][0], cores * operations / clock),
                max(best[name][1], cores * operations / processor),
            )
    return best


def ordinary(python: str, threads: int, processes: int) -> tuple[float, float, str]:
    """Seconds a run, by the clock and by the processor, of so many loops side by side."""
    command = [python, str(Path(__file__).parent / "ordinary_loop.py"), "--threads", str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    try:
        said = [json.loads(p.communicate(timeout=PATIENCE)[0]) for p in running]
    except subprocess.TimeoutExpired:
        for p in running:
            p.kill()
        return float("inf"), float("inf"), "unknown"
    return max(s["wall"] for s in said) / processes, max(s["cpu"] for s in said), said[0]["torch"]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter with torch; without it that line is left out")
    parser.add_argument("--repetitions", type=int, default=10)
    args = parser.parse_args()
    cores = os.cpu_count() or 1
    rows: list[dict[str, object]] = []
    versions = f"python {platform.python_version()}, jax {jax.__version__}, {cores} cores, {platform.machine()}"

    def note(figure: str, clock: float | str, processor: float | str, unit: str, more: str = "") -> None:
        values = [f"{v:.3g}" if isinstance(v, float) else v for v in (clock, processor)]
        rows.append(
            {"figure": figure, "clock": values[0], "processor": values[1], "unit": unit,
             "load": f"{os.getloadavg()[0]:.1f}", "versions": versions + more}
        )  # fmt: skip
        print(rows[-1], flush=True)

    speed = fleet_and_product(args.repetitions, cores)
    for name, (clock, processor) in speed.items():
        note(name, clock / 1e9, processor / 1e9, "GFLOP/s")
    note("fleet / product", *(speed["fleet"][i] / speed["product"][i] for i in (0, 1)), "ratio")
    block = flops(SEED_FIGURE) * SEED_FIGURE.epochs
    run = [block / speed["fleet"][i] / LANES for i in (0, 1)]
    note("run", *run, "s")
    members = family(SEED_FIGURE, ("without_drop",))
    shared = 1 + sum(1 - position / SEED_FIGURE.epochs for position in members if isinstance(position, int))
    note("run, of those with twins", *(r * shared / len(members) for r in run), "s")
    if args.torch:
        loops = {f"{p} x {t}": ordinary(args.torch, t, p) for p, t in ((cores, 1), (1, cores))}
        for name, (clock, processor, torch) in loops.items():
            note(f"ordinary, processes x threads {name}", clock, processor, "s", f", torch {torch}")
        best = [min(loop[i] for loop in loops.values()) for i in (0, 1)]
        note("ordinary / run", best[0] / run[0], best[1] / run[1], "ratio")
    for name, seconds in zip(("start, empty cache", "start, full cache"), starts(), strict=True):
        note(name, seconds, "", "s")
    write("trained_speed.csv", rows)


if __name__ == "__main__":
    main()
