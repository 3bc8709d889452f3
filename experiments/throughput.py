"""How fast are labelled runs made and written, beside what NumPy and pyarrow alone would need, and does it stay so?

Each row is one function: it measures something of ours and what it is held against, in this process, in turns, and
gives a `Row`; `ROWS` lists them. Times are CPU seconds of the process, the least of several turns, so that ratios
do not depend on who else uses the machine; those of the trained fleet, which uses all cores, are of the clock
(`fleet_speed.py`). The results go to `results/throughput.csv`.

    python experiments/throughput.py                  # everything, about a quarter of an hour
    python experiments/throughput.py margin long      # these rows again, the others as they were
    python experiments/throughput.py --device gpu     # runs per second and share of the peak on a GPU
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables import read, write

from detectors.vocabulary import Phenomenon

ROOT = Path(__file__).parents[1]
TURNS = 10
LONG = 300_000  # runs of the long data set
DETECTED = 256  # runs that detectors are asked about in a turn, ...
CHANGED = 8  # ... and those of them whose change points are looked for
TEN_BILLION = 10**10


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured, in which unit, beside what, and how many times that it is to be at most (0: no aim)."""

    row: str
    what: str
    value: float
    unit: str
    against: str = ""
    beside: float = 0.0
    aim: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times what it is held against."""
        return self.value / self.beside if self.beside else float("nan")


def least(*work: Callable[[], object], turns: int = TURNS) -> list[float]:
    """The CPU seconds of each piece of work, the least of several turns in which they come one after another."""
    found = [[] for _ in work]
    for _ in range(turns):
        for piece, seconds in zip(work, found, strict=True):
            start = time.process_time()
            piece()
            seconds.append(time.process_time() - start)
    return [min(seconds) for seconds in found]


def values(table: Any) -> int:
    """How many float32 numbers a table holds."""
    import pyarrow as pa

    def count(array: Any) -> int:
        if pa.types.is_list(array.type):
            return count(array.flatten())
        if pa.types.is_struct(array.type):
            return sum(map(count, array.flatten()))
        return len(array) if array.type == pa.float32() else 0

    return sum(count(chunk) for column in table.columns for chunk in column.chunks)


def beside_numpy(row: str, name: str, content: str, aim: int, what: str, runs: int = 1024) -> Row:
    """Making and writing runs of a model, beside drawing as many normals and writing as many bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sim.dataset import plan
    from sim.dataset.columns import encoded
    from sim.dataset.shard import make

    planned = plan(name, runs=runs, recipes=content)
    table = pq.read_table(pa.BufferReader(make(planned, 0).content))  # which compiles
    rng, number = np.random.default_rng(0), values(table)

    def reference() -> None:
        for _ in range(aim):  # both sides take about as long: the least of short times is found more easily
            rng.standard_normal(number, dtype=np.float32)
            encoded([table], {})

    ours, theirs = least(lambda: make(planned, 0), reference)
    against = f"NumPy's draw of {number // runs:,} normals and pyarrow's writing of the same table"
    return Row(row=row, what=what, value=1e6 * ours / runs, unit="µs a run", against=against,
               beside=1e6 * theirs / aim / runs, aim=aim)  # fmt: skip


def composed() -> Row:
    """Composed runs without a drop, so without the twins of drops."""
    content = '{"model": "composed", "recipe": {"drop_1": 0, "drop_2": 0, "drop_3": 0}}'
    return beside_numpy("composed", "composed", content, 4, "a composed run, labelled and written")


def margin() -> Row:
    """Runs of the margin model with two twins or more."""
    return beside_numpy(
        "margin", "margin", "", 12, "a run of the margin model with its twins, labelled and written", 512
    )


def linear() -> Row:
    """Ten times the runs, beside ten times the time."""
    from sim.dataset import plan
    from sim.dataset.shard import make

    few, many = plan("composed", runs=512), plan("composed", runs=5120, shard=512)
    make(few, 0)
    number = range(many.shards)
    ours, theirs = least(lambda: [make(many, i) for i in number], lambda: [make(few, 0) for _ in number])
    return Row(row="linear", what="5,120 composed runs", value=ours, unit="s", against="ten times 512 of them",
               beside=theirs, aim=1.1)  # fmt: skip


def start() -> Row:
    """The command a second time, beside the first time, when nothing is compiled yet."""
    code = "import sys; from detectors.cli import main; sys.exit(main(sys.argv[1:]))"
    with tempfile.TemporaryDirectory() as folder:

        def once(out: str) -> float:
            options = ["generate", "--model", "margin", "--runs", "8", "--workers", "1", "--cache", f"{folder}/cache"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-c", code, *options, "--out", f"{folder}/{out}"]
            subprocess.run(command, check=True, capture_output=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        first = once("a")
        second = min(once("b"), once("c"))
    return Row(row="start", what="`generate` of 8 runs of the margin model, from the second time on", value=second,
               unit="s", against="the first time", beside=first)  # fmt: skip


def encoding() -> list[Row]:
    """Our way to write series, beside pyarrow's own settings: time to write, to read, and room."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sim.dataset import plan
    from sim.dataset.columns import encoded
    from sim.dataset.shard import make

    table = pq.read_table(pa.BufferReader(make(plan("composed", runs=1024), 0).content))

    def plain() -> bytes:
        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        return file.getvalue()

    mine, other = encoded([table], {}), plain()
    ours, theirs = least(lambda: encoded([table], {}), plain)
    read, read_other = least(
        lambda: pq.read_table(pa.BufferReader(mine), use_threads=False),
        lambda: pq.read_table(pa.BufferReader(other), use_threads=False),
    )
    against, n = "pyarrow's defaults with zstd", 1024
    return [
        Row(row="encoding", what="writing the series", value=1e6 * ours / n, unit="µs a run", against=against,
            beside=1e6 * theirs / n),
        Row(row="encoding", what="reading them", value=1e6 * read / n, unit="µs a run", against=against,
            beside=1e6 * read_other / n),
        Row(row="encoding", what="room", value=len(mine) / n, unit="bytes a run", against=against,
            beside=len(other) / n),
    ]  # fmt: skip


def long() -> list[Row]:
    """A long data set in this process: CPU time a run, memory at its end beside a twentieth of the way, room."""
    from sim.dataset import Dataset, plan, produce
    from sim.engines import Crowd

    seen: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        produce(Path(folder) / "first", plan("composed", runs=LONG // 20), Crowd(workers=1), quiet=True)
        seen.append(memory())
        start = time.process_time()
        out = produce(Path(folder) / "set", plan("composed", runs=LONG), Crowd(workers=1), quiet=True)
        seconds = time.process_time() - start
        seen.append(memory())
        room = sum(shard["bytes"] for shard in Dataset(out).manifest["shards"])
    million, billions = 1e6 / LONG * seconds, TEN_BILLION / LONG * seconds
    return [
        Row(row="long", what=f"most memory in use up to the end of {LONG:,} composed runs", value=seen[1] / 2**20,
            unit="MiB", against=f"up to the end of {LONG // 20:,}", beside=seen[0] / 2**20, aim=1.1),
        Row(row="long", what=f"a million composed runs (projected from {LONG:,})", value=million / 60,
            unit="core-minutes"),
        Row(row="long", what="ten billion composed runs (projected likewise)", value=billions / 3600 / 24,
            unit="core-days"),
        Row(row="long", what="room for ten billion (projected likewise)", value=TEN_BILLION / LONG * room / 2**40,
            unit="TiB"),
    ]  # fmt: skip


def memory() -> int:
    """The most memory that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fleet() -> list[Row]:
    """The trained fleet, beside a product of matrices and beside an ordinary PyTorch loop; and how it starts."""
    from fleet_speed import operations, ordinary_run, run_alone, run_with_twins, starts

    trained, product = operations()
    empty, full = starts()
    rows = [
        Row(row="fleet", what="an operation of the trained fleet: forward, backward, evaluation", value=1e12 / trained,
            unit="ps", against="one of a product of float32 matrices of 2,048 a side, also on all cores",
            beside=1e12 / product, aim=2),
        Row(row="fleet", what="the same, a run of the seed recipe among its twins", value=run_with_twins(trained),
            unit="s", against="alone", beside=run_alone(trained)),
        Row(row="fleet", what="its first ten epochs, compilation from the cache", value=full, unit="s",
            against="without the cache", beside=empty),
    ]  # fmt: skip
    loop = ordinary_run()
    if loop is None:
        print("throughput: no row beside PyTorch, which is not installed (.[digits]) or too slow here", file=sys.stderr)
        return rows
    beside = Row(
        row="fleet",
        what="a run of the seed recipe in the trained fleet",
        value=run_alone(trained),
        unit="s",
        against="an ordinary PyTorch loop of the same recipe, a process a core",
        beside=loop,
        aim=0.125,
    )
    return [rows[0], beside, *rows[1:]]


def detect() -> list[Row]:
    """The detectors of the question's six phenomena, beside change points of the same curves by PELT (ruptures)."""
    from detectors.catalogue import built_in, detect_many
    from sim.catalogue import model

    if importlib.util.find_spec("ruptures") is None:
        print("throughput: no row beside PELT, for ruptures is not installed (.[leaderboard])", file=sys.stderr)
        return []
    import ruptures

    def change_points(values: np.ndarray) -> list[int]:
        in_widths = values / (np.diff(values).std() / np.sqrt(2))
        found: list[int] = ruptures.Pelt(model="l2", jump=1).fit(in_widths).predict(pen=2 * np.log(len(values)))
        return found

    chosen, asked = model("composed"), built_in(names=list(Phenomenon)[:6])
    recipes = chosen.drawn([np.random.default_rng([5, i]) for i in range(DETECTED * TURNS)])
    runs = [labelled.run for labelled in chosen.make(recipes, range(len(recipes)))]
    ours, alone, all_four = [], [], []
    for turn in range(TURNS):  # other runs each time: what is known of a curve is not measured again
        some = runs[turn * DETECTED : (turn + 1) * DETECTED]
        start = time.process_time()
        for detector in asked:
            detect_many(detector, some)
        ours.append((time.process_time() - start) / len(some))
        spent = []
        for key in ("val_loss", "train_loss", "val_accuracy", "train_accuracy"):
            start = time.process_time()
            for run in some[:CHANGED]:
                change_points(run.observed(key)[1])
            spent.append((time.process_time() - start) / CHANGED)
        alone.append(spent[0])
        all_four.append(sum(spent))
    what = "detect_many of the six detectors of the question, a composed run of 200 epochs"
    pelt = "PELT (ruptures, l2, jump 1)"
    return [
        Row(row="detect", what=what, value=1e3 * min(ours), unit="ms", against=f"{pelt} of its four curves",
            beside=1e3 * min(all_four), aim=1 / 50),
        Row(row="detect", what=what, value=1e3 * min(ours), unit="ms", against=f"{pelt} of its validation loss",
            beside=1e3 * min(alone)),
    ]  # fmt: skip


#: A row more is a function here that gives a `Row`, or several.
ROWS: dict[str, Callable[[], Row | list[Row]]] = {
    row.__name__: row for row in (composed, margin, linear, start, encoding, long, detect, fleet)
}


def on_gpu(names: Iterable[str], peak: float) -> int:
    """Runs per second of the models on a GPU, and the share of its peak that matrix products of the same size reach."""
    import jax

    if jax.default_backend() != "gpu":
        said = f"JAX finds no GPU here, but {jax.devices()[0].device_kind}; install jax[cuda12] on a machine with one"
        print(f"throughput: {said}", file=sys.stderr)
        return 2
    from sim.catalogue import model
    from sim.dataset import plan
    from sim.dataset.shard import make

    n = 8192
    product = jax.jit(lambda a: a @ a)
    a = jax.numpy.ones((n, n), jax.numpy.bfloat16)
    product(a).block_until_ready()
    start = time.perf_counter()
    for _ in range(10):
        product(a).block_until_ready()
    reached = 10 * 2 * n**3 / (time.perf_counter() - start) / 1e12
    of_peak = f", {reached / peak:.0%} of the {peak:g} given" if peak else ""
    print(f"bfloat16 matrix product: {reached:.0f} TFLOP/s{of_peak}")
    for name in names:
        planned = plan(name, runs=4 * model(name).block)
        make(planned, 0)
        start = time.perf_counter()
        make(planned, 0)
        print(f"{name}: {planned.runs / (time.perf_counter() - start):.0f} runs per second, written")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all where none is named")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--peak", type=float, default=0.0, help="TFLOP/s that the maker of the GPU gives")
    args = parser.parse_args()
    if args.device == "gpu":
        return on_gpu(("composed", "margin", "noisy_quadratic", "network"), args.peak)
    unknown = sorted(set(args.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row {unknown[0]!r}: there are {', '.join(ROWS)}")
    kept: dict[str, list[dict[str, str]]] = {}
    for line in read("throughput.csv"):
        kept.setdefault(line["row"], []).append(line)
    for name in args.rows or ROWS:
        found = ROWS[name]()
        lines = [asdict(row) | {"ratio": row.ratio} for row in (found if isinstance(found, list) else [found])]
        kept[name] = [{k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in line.items()} for line in lines]
        for line in kept[name]:
            print(" ".join(f"{key}={value}" for key, value in line.items()), flush=True)
        write("throughput.csv", [line for row in ROWS for line in kept.get(row, [])])
    return 0


if __name__ == "__main__":
    sys.exit(main())
