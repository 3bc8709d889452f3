"""How long, and in how much memory, are hard logs read? Writes `experiments/results/hard_files.csv`.

Ten thousand small runs in one tree, diagnosed by the command line; event files and a table of a gigabyte; a log of
100,000 rows that is followed while it grows. Each is made in a scratch folder, of which it needs about 1.1 GB, and read
in a process of its own; peak memory is that of this process, Python and numpy included. Seconds depend on
what else the machine does (`load`, of which its cores are a fair share); `core_seconds` is all the work of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tables

from detectors.readers import read
from detectors.readers.event_file import CHECKED, checksums
from detectors.readers.follow import Follow

SEED = 3
GIGABYTE = 10**9
IMAGE = 250_000  # bytes

Row = dict[str, object]


def curve(rng: np.random.Generator, epochs: int) -> str:
    """A CSV of a run, with noise, in half of them with overfitting."""
    at = np.arange(1, epochs + 1)
    train = 0.3 + 2 * np.exp(-at / 15) + rng.normal(0, 0.01, epochs)
    val = train + 0.1 + rng.choice([0.0, 0.01]) * np.maximum(at - 30, 0) + rng.normal(0, 0.01, epochs)
    rows = zip(at, train, val, strict=True)
    return "epoch,train_loss,val_loss\n" + "".join(f"{i},{t:.5f},{v:.5f}\n" for i, t, v in rows)


def tree(folder: Path, scale: float) -> str:
    """10,000 runs of 80 epochs, a hundred folders of a hundred."""
    rng = np.random.default_rng(SEED)
    runs = max(1, int(10_000 * scale))
    for i in range(runs):
        path = folder / f"sweep_{i // 100}" / f"seed_{i % 100}" / "metrics.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(curve(rng, 80))
    return f"{runs} runs of 80 epochs"


def table(folder: Path, scale: float) -> str:
    """A CSV of a gigabyte: a row a step."""
    rng = np.random.default_rng(SEED)
    step = 0
    with (folder / "steps.csv").open("w") as file:
        file.write("step,train_loss,val_loss,lr\n")
        while file.tell() < GIGABYTE * scale:
            losses = 0.3 + rng.random((20_000, 2))
            lines = (f"{step + i},{t:.6f},{v:.6f},0.001" for i, (t, v) in enumerate(losses.tolist()))
            file.write("\n".join(lines) + "\n")
            step += 20_000
    return f"{step} rows"


def images(folder: Path, scale: float) -> str:
    """An event file of a gigabyte, nearly all of it images: one every 25 steps."""
    rng = np.random.default_rng(SEED)
    picture = message(4, b"\x08\x40\x10\x40\x18\x03" + message(4, rng.bytes(IMAGE)))  # height, width, colours, PNG
    step = 0
    with (folder / "events.out.tfevents.1700000000.host").open("wb") as file:
        while file.tell() < GIGABYTE * scale:
            step += 1
            file.write(scalars(step, 2.0 / step, 2.5 / step))
            if step % 25 == 0:
                file.write(record(event(step, message(1, message(1, b"samples") + picture))))
    return f"{step // 25} images, 2 x {step} scalars"


def many(folder: Path, scale: float) -> str:
    """An event file of nothing but scalars: 1.6 million steps of two tags."""
    steps = max(1, int(1_600_000 * scale))
    block = 2_000
    with (folder / "events.out.tfevents.1700000000.host").open("wb") as file:
        for start in range(1, steps + 1, block):
            at = range(start, min(start + block, steps + 1))
            file.write(records([value(step, tag, 2.0 / step) for step in at for tag in (b"loss", b"val_loss")]))
    return f"2 x {steps} scalars"


def message(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """An unsigned number as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def event(step: int, summary: bytes) -> bytes:
    """An event as TensorBoard's writers make it."""
    return b"\x09" + struct.pack("<d", 1.7e9 + step) + b"\x10" + varint(step) + message(5, summary)


def value(step: int, tag: bytes, number: float) -> bytes:
    """The event of one scalar."""
    return event(step, message(1, message(1, tag) + b"\x15" + struct.pack("<f", number)))


def scalars(step: int, train: float, val: float) -> bytes:
    """The records of two scalars."""
    return records([value(step, b"loss", train), value(step, b"val_loss", val)])


def records(messages: list[bytes]) -> bytes:
    """Messages with their lengths and checksums; those of one size are summed together."""
    sums: dict[int, np.ndarray] = {}
    places: dict[int, list[int]] = {}
    for i, content in enumerate(messages):
        places.setdefault(len(content), []).append(i)
    for size, rows in places.items():
        joined = b"".join(messages[row] for row in rows)
        sums[size] = checksums(np.frombuffer(joined, np.uint8).reshape(len(rows), size))
    found = {row: int(crc) for size, rows in places.items() for row, crc in zip(rows, sums[size], strict=True)}
    return b"".join(length(len(m)) + m + struct.pack("<I", found[i]) for i, m in enumerate(messages))


def record(content: bytes) -> bytes:
    """A long message with its length; its own checksum is not looked at, and costs minutes a gigabyte."""
    if len(content) <= CHECKED:
        raise ValueError(f"this needs its checksum: {len(content)} bytes")
    return length(len(content)) + content + bytes(4)


@cache
def length(size: int) -> bytes:
    """The header of a record."""
    packed = struct.pack("<Q", size)
    return packed + struct.pack("<I", checksums(np.frombuffer(packed, np.uint8)[None])[0])


# measuring


def reading(folder: Path) -> Iterator[tuple[str, float]]:
    """`read` once; that something of it is damaged would be a mistake of this script."""
    (path,) = folder.iterdir()
    start = time.perf_counter()
    (run,) = read(path)
    spent = time.perf_counter() - start
    if any("left out" in note or "damaged" in note for note in run.notes):
        raise AssertionError(run.notes)
    yield "read", spent


def diagnosing(folder: Path) -> Iterator[tuple[str, float]]:
    """`curvesense diagnose --summary` as a user runs it; a status above 1 is a failure."""
    command = [sys.executable, "-c", "import sys; from detectors.cli import main; sys.exit(main())"]
    start = time.perf_counter()
    subprocess.run([*command, "diagnose", str(folder), "--summary"], stdout=subprocess.DEVNULL, check=True)
    yield "diagnose --summary", time.perf_counter() - start


def following(folder: Path) -> Iterator[tuple[str, float]]:
    """A poll where nothing changed, and one after a row more; the median of five."""
    (path,) = folder.iterdir()
    follow = Follow(path)
    rows = len(follow.poll()[0])
    spent: dict[str, list[float]] = {"poll, nothing new": [], "poll, a row more": []}
    for i in range(5):
        for what, times in spent.items():
            if what == "poll, a row more":
                with path.open("a") as file:
                    file.write(f"{rows + i},0.5,0.5,0.001\n")
            start = time.perf_counter()
            changed = follow.poll()
            times.append(time.perf_counter() - start)
            if len(changed) != (what == "poll, a row more"):
                raise AssertionError(f"{what}: {len(changed)} runs")
    yield from ((what, float(np.median(times))) for what, times in spent.items())


def measured(
    measure: Callable[[Path], Iterator[tuple[str, float]]], folder: Path
) -> list[tuple[str, float, float, float]]:
    """What was done, its seconds, those of a core in all, and the peak in MiB."""
    done = list(measure(folder))
    cpu = sum(os.times()[:4])  # of this process, imports included, and of those that it waited for
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return [(what, seconds, cpu, peak) for what, seconds in done]


def follow_table(folder: Path, scale: float) -> str:
    """A CSV of 100,000 rows."""
    rows = max(2, int(100_000 * scale))
    losses = 0.3 + np.random.default_rng(SEED).random((rows, 2))
    lines = (f"{i},{t:.6f},{v:.6f},0.001\n" for i, (t, v) in enumerate(losses.tolist()))
    (folder / "log.csv").write_text("step,train_loss,val_loss,lr\n" + "".join(lines))
    return f"{rows} rows"


CASES = {
    "many runs in one tree": (tree, diagnosing),  # by as many processes as there are cores
    "event file of images": (images, reading),
    "event file of scalars": (many, reading),
    "table": (table, reading),
    "table that grows": (follow_table, following),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes; less is for trying it out")
    parser.add_argument(
        "--only", choices=CASES, nargs="+", default=list(CASES), help="the others keep the rows that they have"
    )
    args = parser.parse_args()
    rows: list[Row] = []
    for name in args.only:
        make, measure = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            holds = make(Path(scratch), args.scale)
            size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                done = pool.submit(measured, measure, Path(scratch)).result()
        for what, seconds, cpu, peak in done:
            rows.append(
                {
                    "log": name,
                    "holds": holds,
                    "mb": round(size / 1e6, 1),
                    "done": what,
                    "seconds": f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}",
                    "core_seconds": f"{cpu:.2f}",
                    "peak_mib": round(peak),
                    "load": round(os.getloadavg()[0], 1),
                }
            )
            print(rows[-1], flush=True)
    before: list[Row] = [dict(row) for row in tables.read("hard_files.csv") if row["log"] not in args.only]
    tables.write("hard_files.csv", sorted([*before, *rows], key=lambda row: list(CASES).index(str(row["log"]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
