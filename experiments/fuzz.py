"""Does any damaged log get more out of its reader than `Unreadable`? Writes `experiments/results/fuzz.csv`.

Each registered format reads its fixtures and small logs made here after they were damaged: bytes changed, cut off,
repeated, strange things put in between, lines and records swapped or put together with others. Event files get their
checksums anew, without which nothing behind them would be reached. A failure is any other exception, a warning, a
message of several lines, more than LIMIT seconds or LARGEST bytes. `memory` is what `read` takes beside files: frames,
dicts, histories with strange values in strange places. File number i of a format is always the same:

    python experiments/fuzz.py --files 1 --first 4711 --formats delimited --keep FOLDER
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import os
import re
import resource
import signal
import sqlite3
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import tables

from detectors.readers import FORMATS, Unreadable, expand, read
from detectors.readers.event_file import begins_record, checksums
from detectors.readers.source import Source

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
MEMORY = "memory"
NAMES = [*(format.NAME for format in FORMATS), MEMORY]
LIMIT = 10.0  # seconds that a file may take
LARGEST = 1 << 30  # bytes of memory that a reader may have beyond what its process starts with
CHUNK = 500  # files a process: what an end before its time loses
TOKENS = (
    *(
        b"\0",
        b"\xff" * 8,
        b"\x80" * 11,
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\r",
        b"\n",
        b"\n\n",
        b"\x1b[31m",
        b"\xe2\x80\xa8",
    ),
    *(b"nan", b"-inf", b"1e999", b"-1", b"0", b"1e308", b"1e-320", b"9" * 25, b"9" * 5000, b"1_000", b"0x1f", b"1,5"),
    *(b",", b";", b"\t", b'"', b"'", b"#", b"%", b"{", b"}", b"[", b"]", b"[" * 3000, b'{"a":' * 3000),
    *(b"null", b"true", b"<script>", b"../..", b"x" * 3000),
    *(b"epoch", b"step", b"loss", b"val_loss", b"acc", b"lr", b"epoch,loss\n"),
    *(struct.pack("<q", -1), struct.pack("<q", 1 << 62), struct.pack("<d", 1e308), struct.pack("<f", np.nan)),
)
STRANGE: tuple[Any, ...] = (
    *(None, True, "", "nan", "1e999", "\ud800", "a\nb\u2028c", "epoch", "val_loss", "9" * 400, "1,5", "<b>"),
    *(0, -1, 10**400, 1 << 64, 1e308, -1e308, 5e-324, float("nan"), float("inf"), [], {}, [[1, 2]], [None], [{}]),
    *({"loss": 1}, {"": {"": {"": 1}}}, [1] * 3000, {"epoch": [1, 2], "loss": "x"}, "x" * 3000),
)
SPLIT = re.compile(rb"[^,;\t:\n\[\]{}]*[,;\t:\n\[\]{}]?")
EVENT, LEVEL = struct.Struct("<QI"), struct.Struct("<IHB")

Log = dict[str, bytes]  # the files of a log by their path below its folder; a file alone is called after its suffix
Damage = Callable[[bytes, np.random.Generator, Sequence[bytes]], bytes]


# seeds


@cache
def seeds(name: str) -> tuple[Log, ...]:
    """Valid logs of a format: the fixtures that it recognises, and small ones."""
    format = next(format for format in FORMATS if name == format.NAME)
    logs = (path for path in expand([FIXTURES]) if path.name != "expected.json")
    found = [_log(path) for path in logs if _reader(path) == name]
    found += [{f"seed{i}": content} for i, content in enumerate(_made(name))]
    found += [_data_set()] if name == "data_set" else []
    if not found:
        raise SystemExit(f"no valid log of {format.NAME}. Put one into {FIXTURES.name}, or make it in _made")
    return tuple(found)


def _reader(path: Path) -> str | None:
    """The name of the format that reads a log, None where none can."""
    try:
        read(path)
    except Unreadable:
        return None
    source = Source(str(path))
    for format in FORMATS:
        try:
            if format.sniff(source):
                return format.NAME
        except Unreadable:
            continue
    return None


def _log(path: Path) -> Log:
    if path.is_file():
        return {path.name: path.read_bytes()}
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix != ".log"]  # chatter of wandb
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def _made(name: str) -> Iterator[bytes]:
    rows = [{"epoch": i, "loss": 3 / i, "val_loss": 3.5 / i, "val_acc": 10.5 * i, "lr": 0.1} for i in range(1, 7)]
    table = [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    if name == "delimited":
        yield "\n".join(",".join(row) for row in table).encode()
        yield ("\r\n".join("\t".join(row) for row in table) + "\r\n").encode("utf-16")
        yield b'# a run\nEpoch;Train Loss;test_error(%)\n1;"1.234,5";45,5\n2;2,5;40,5 %\nepoch;Train Loss\n3;[1, 2]\n'
    elif name == "json_lines":
        yield ('{"seed": 1}\n' + "".join(json.dumps(row) + "\n" for row in rows)).encode()
        yield b'{"epoch": 1, "val": {"loss": 2.5, "top": [1, 2]}}\n{"epoch": 2, "val": {"loss": "NaN"}}\n{"epoch": 3'
    elif name == "json_document":
        yield json.dumps({key: [row[key] for row in rows] for key in rows[0]} | {"seed": 3}).encode()
        yield json.dumps(rows, indent=1).encode()
        yield json.dumps([{"name": run, "history": rows} for run in "ab"]).encode()
        yield json.dumps({"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}).encode()
    elif name == "wandb_export":
        columns = [f"{run} - loss{bound}" for run in "ab" for bound in ("", "__MIN", "__MAX")]
        lines = [",".join(f'"{cell}"' for cell in ["Step", *columns])]
        lines += [f'"{i}",' + ",".join([f'"{3 / (i + 1)}"'] * 3 + ['""'] * 3) for i in range(4)]
        yield "\n".join([*lines, '"4",,,,"1","0.5","1.5"', ""]).encode()
    elif name == "parquet":
        yield from _parquet(rows)
    elif name == "mlflow":
        yield _database()


def _data_set() -> Log:
    """A folder with what is read of a data set of `curvesense generate`."""
    rows = [{"epoch": i, "val_loss": 3.5 / i} for i in range(1, 7)]
    parts = {f"data/{i}.parquet": content for i, content in enumerate(_parquet(rows))}
    manifest = {"curvesense": "data set", "shards": [{"file": file} for file in parts]}
    return {"manifest.json": json.dumps(manifest).encode(), **parts}


def _parquet(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    """A table with a row an epoch, plain, and one with a row a run, compressed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    runs = [{"run_id": run, "seed": 1, **{key: [row[key] for row in rows] for key in rows[0]}} for run in "ab"]
    for records, compression in ((rows, "none"), (runs, "zstd")):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(records), sink, compression=compression)
        yield sink.getvalue().to_pybytes()


def _database() -> bytes:
    """A store of MLflow with what is read of it, on pages so small that damage meets something."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mlflow.db")
        store = sqlite3.connect(path)
        store.executescript(
            """
            PRAGMA page_size = 512;
            CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, experiment_id INTEGER, start_time BIGINT,
                lifecycle_stage TEXT);
            CREATE TABLE metrics (key TEXT, value REAL, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
            INSERT INTO experiments VALUES (1, 'tried');
            INSERT INTO runs VALUES ('a', 'seed 0', 1, 1, 'active'), ('b', 'seed 1', 1, 2, 'active');
            """
        )
        points = [(key, 3 / (i + 1), i, run, i, 0) for run in "ab" for key in ("loss", "val_loss") for i in range(9)]
        store.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", points)
        store.commit()
        store.close()
        return Path(path).read_bytes()


# damage


def mutant(name: str, number: int) -> Log:
    """File `number` of a format: a valid log with one to four damages in one of its files."""
    rng = np.random.default_rng([FUZZ, *name.encode(), number])
    all_of_it = seeds(name)
    log = all_of_it[rng.integers(len(all_of_it))]
    names = sorted(log)
    file = names[rng.integers(len(names))]
    others = list(all_of_it[rng.integers(len(all_of_it))].values())
    content = log[file]
    kinds = DAMAGES if rng.random() < 0.6 else STRUCTURAL
    for _ in range(rng.integers(1, 5)):
        content = kinds[rng.integers(len(kinds))](content, rng, others)
    if rng.random() < 0.05:
        pack = (gzip.compress, bz2.compress, lzma.compress)[rng.integers(3)]
        content = pack(content) if rng.random() < 0.5 else flip(pack(content), rng, others)
    return {**log, file: content[: 1 << 20]}


FUZZ = 7  # the seed of all of it


def _slice(content: bytes, rng: np.random.Generator, longest: int = 64) -> slice:
    start = int(rng.integers(len(content) + 1))
    return slice(start, start + int(rng.integers(1, longest)))


def flip(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Bits or whole bytes changed."""
    data = np.frombuffer(content, np.uint8).copy()
    if len(data):
        at = rng.integers(len(data), size=rng.integers(1, 9))
        data[at] = rng.integers(256, size=len(at)) if rng.random() < 0.5 else data[at] ^ (1 << rng.integers(8))
    return data.tobytes()


def truncate(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Cut off, more often at the end than at the start."""
    at = int(rng.integers(len(content) + 1))
    return content[:at] if rng.random() < 0.8 else content[at:]


def remove(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A few bytes less."""
    gone = _slice(content, rng)
    return content[: gone.start] + content[gone.stop :]


def repeat(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A few bytes again, once or often."""
    again = _slice(content, rng)
    return content[: again.start] + content[again] * int(rng.choice([2, 3, 50])) + content[again.stop :]


def insert(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Something strange in between, or in the place of as many bytes."""
    token = TOKENS[rng.integers(len(TOKENS))]
    at = int(rng.integers(len(content) + 1))
    return content[:at] + token + content[at + (len(token) if rng.random() < 0.5 else 0) :]


def splice(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """The beginning of one and the end of another."""
    other = others[rng.integers(len(others))]
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other) + 1) :]


def rearrange(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Lines, cells, records or pages swapped, left out, repeated or damaged each for itself."""
    pieces, seal = _pieces(content, rng)
    if not pieces:
        return content
    i, j = (int(k) for k in rng.integers(len(pieces), size=2))
    kind = rng.integers(5)
    if kind == 0:
        pieces[i], pieces[j] = pieces[j], pieces[i]
    elif kind == 1:
        del pieces[min(i, j) : max(i, j)]
    elif kind == 2:
        pieces[j:j] = [pieces[i]] * int(rng.choice([1, 2, 200]))
    else:
        pieces[i] = BYTEWISE[rng.integers(len(BYTEWISE))](pieces[i], rng, others)
    return b"".join(map(seal, pieces))


def graft(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """JSON with something strange in the place of one value or name; what is no JSON stays as it is."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(document, dict | list) or not document:
        return content
    inner: list[Any] = [document]
    for value in inner:  # grows on the way
        parts = value.values() if isinstance(value, dict) else value
        inner += [part for part in parts if isinstance(part, dict | list) and part]
        if len(inner) > 200:
            break
    place = inner[rng.integers(len(inner))]
    keys = list(place) if isinstance(place, dict) else range(len(place))
    key = keys[rng.integers(len(keys))]
    strange = STRANGE[rng.integers(len(STRANGE))]
    kind = rng.integers(4)
    if kind == 0 and isinstance(place, dict):
        place[str(strange)] = place.pop(key)
    elif kind == 1:
        del place[key]
    else:
        place[key] = strange if rng.random() < 0.8 else json.loads(json.dumps(document))
    return json.dumps(document, ensure_ascii=bool(rng.integers(2))).encode(errors="surrogatepass")


BYTEWISE: tuple[Damage, ...] = (flip, truncate, remove, repeat, insert)
DAMAGES: tuple[Damage, ...] = (*BYTEWISE, splice, rearrange, rearrange, rearrange, graft, graft)
STRUCTURAL: tuple[Damage, ...] = (rearrange, graft, graft, graft)  # most JSON is still JSON after these


def _pieces(content: bytes, rng: np.random.Generator) -> tuple[list[bytes], Callable[[bytes], bytes]]:
    """What a log consists of, and what makes a whole piece of it again."""
    if begins_record(content[:12]):
        return list(_events(content)), _event
    if content.startswith(b":W&B"):
        return [content[:7], *_levels(content)], lambda piece: piece if piece[:4] == b":W&B" else _level(piece)
    if content.startswith(b"SQLite"):
        size = max(512, int.from_bytes(content[16:18], "big"))
        return [content[at : at + size] for at in range(0, len(content), size)], bytes
    return (content.splitlines(keepends=True) if rng.random() < 0.5 else SPLIT.findall(content)), bytes


def _events(content: bytes) -> Iterator[bytes]:
    at = 0
    while at + EVENT.size <= len(content):
        length = EVENT.unpack_from(content, at)[0]
        yield content[at + EVENT.size : at + EVENT.size + length]
        at += EVENT.size + length + 4


def _event(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _checksum(length) + message + _checksum(message)


@cache
def _checksum(message: bytes) -> bytes:
    return struct.pack("<I", checksums(np.frombuffer(message[:4097], np.uint8)[None])[0])


def _levels(content: bytes) -> Iterator[bytes]:
    at = 7
    while at + LEVEL.size <= len(content):
        _, length, _ = LEVEL.unpack_from(content, at)
        yield content[at + LEVEL.size : at + LEVEL.size + length]
        at += LEVEL.size + length


def _level(message: bytes) -> bytes:
    return LEVEL.pack(0, len(message) & 0xFFFF, 1) + message[:0xFFFF]  # checksums are not looked at


# what is in memory


def _columns(rng: np.random.Generator) -> dict[str, list[Any]]:
    """Valid columns of a log with one to four damages."""
    rows = int(rng.integers(1, 9))
    columns: dict[str, list[Any]] = {"epoch": list(range(1, rows + 1))}
    for name in ("loss", "val_loss", "val_acc", "lr", "run", "seed"):
        if rng.random() < 0.7:
            columns[name] = list("ab" * rows)[:rows] if name == "run" else (3 / np.arange(1.0, rows + 1)).tolist()
    for _ in range(rng.integers(1, 5)):
        if not columns:
            break
        keys = list(columns)
        key, strange = keys[rng.integers(len(keys))], STRANGE[rng.integers(len(STRANGE))]
        kind = rng.integers(6)
        if kind == 0:
            columns[str(strange)] = columns.pop(key)
        elif kind == 1:
            columns[key] = [strange] * len(columns[key])
        elif kind == 2:
            del columns[key][: rng.integers(3)]
        elif kind == 3:
            columns[key] = [columns[key]] * rows  # a row a run
        elif kind == 4:
            del columns[key]
        else:
            columns[key] = [strange if rng.random() < 0.4 else cell for cell in columns[key]]
    return columns


def _pandas(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    """A frame with an index of names, twice the same name, several levels, or a kind of column that is seldom seen."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    key = frame.columns[rng.integers(len(frame.columns))]
    kinds = (
        "object",
        "string",
        "category",
        "Int64",
        "Float32",
        "boolean",
        "datetime64[ns]",
        "timedelta64[ns]",
        "complex",
    )
    kind = rng.integers(6)
    if kind == 0:
        return frame.set_index(key)
    if kind == 1:
        return pd.concat([frame, frame[[key]]], axis=1)
    if kind == 2:
        return frame.T
    if kind == 3:
        frame.columns = pd.MultiIndex.from_tuples([(name, i % 2) for i, name in enumerate(frame.columns)])
        return frame
    return frame.astype({key: kinds[rng.integers(len(kinds))]}) if kind == 4 else frame


def _polars(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    import polars as pl

    frame = pl.DataFrame(columns, strict=False)
    kind = rng.integers(4)
    if kind == 0:
        return frame.lazy()
    if kind == 1:
        return frame.to_arrow()
    return frame.transpose() if kind == 2 else frame


def _history(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    """What looks like a `History` of Keras."""
    return SimpleNamespace(history=columns, epoch=STRANGE[rng.integers(len(STRANGE))], model=columns)


def _records(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    rows = [dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False)]
    if rows and rng.random() < 0.5:
        rows[rng.integers(len(rows))] = STRANGE[rng.integers(len(STRANGE))]
    return tuple(rows) if rng.random() < 0.3 else rows


def _arrays(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    kinds = (None, object, np.float16, np.float32, np.int8, bool, complex, str)
    return {name: np.array(cells, dtype=kinds[rng.integers(len(kinds))]) for name, cells in columns.items()}


def _structured(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    return np.rec.fromarrays([np.array(cells) for cells in columns.values()], names=list(columns))


def _nested(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    kinds = (
        {"a": columns, "b": columns},
        {"history": columns},
        [columns, columns],
        {"columns": columns, "data": columns},
    )
    return kinds[rng.integers(len(kinds))]


def _plain(columns: dict[str, list[Any]], rng: np.random.Generator) -> Any:
    return columns


HOLDERS = (_pandas, _pandas, _polars, _polars, _history, _records, _arrays, _structured, _nested, _plain)


def specimen(number: int) -> object:
    """Number `number` of what is in memory; where a library refuses to hold what is strange, a dict of lists does."""
    rng = np.random.default_rng([FUZZ, *MEMORY.encode(), number])
    columns = _columns(rng)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library that holds it
            return HOLDERS[rng.integers(len(HOLDERS))](columns, rng)
    except BaseException:  # a panic of Polars is no Exception
        return columns


# reading


@dataclass
class Tally:
    """What became of the files of one format."""

    files: int = 0
    read: int = 0
    unreadable: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds
    peak: float = 0.0  # MiB of the process, Python and numpy included

    def add(self, other: Tally) -> None:
        """Count the files of `other` too."""
        self.files, self.read = self.files + other.files, self.read + other.read
        self.unreadable, self.failures = self.unreadable + other.unreadable, self.failures + other.failures
        self.slowest, self.peak = max(self.slowest, other.slowest), max(self.peak, other.peak)


def attempt(folder: Path, log: Log, format: str | None, tally: Tally) -> None:
    """Write a log into the empty `folder`, read it, and count what came of it."""
    for name, content in log.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    ask(folder if len(log) > 1 else folder / next(iter(log)), format, tally)
    for name in log:
        (folder / name).unlink()


def ask(log: Any, format: str | None, tally: Tally) -> None:
    """Read a path, or what is in memory, and count what came of it."""
    start = time.perf_counter()
    problem = ""
    try:
        signal.setitimer(signal.ITIMER_REAL, LIMIT)
        read(log, format=format)
        tally.read += 1
    except Unreadable as error:
        tally.unreadable += 1
        if len(str(error).splitlines()) != 1:
            problem = f"a message of several lines: {error!r}"
    except BaseException:  # a panic of Polars is no Exception
        problem = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    spent = time.perf_counter() - start
    if spent > LIMIT:
        problem = problem or f"{spent:.1f} s"
    if problem:
        tally.failures.append(problem)
    tally.files += 1
    tally.slowest = max(tally.slowest, spent)


def chunk(name: str, first: int, files: int, keep: str | None) -> Tally:
    """Files `first` and on of a format, in this process, whose memory is bounded from here on."""
    signal.signal(signal.SIGALRM, too_long)
    if name != MEMORY:
        seeds(name)
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if name != MEMORY:  # Polars ends the process where its threads are refused their share
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + LARGEST, resource.RLIM_INFINITY))
    tally = Tally()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch, warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(first, first + files):
            before = len(tally.failures)
            log: Log = {}
            if name == MEMORY:
                ask(specimen(number), None, tally)
            else:
                log = mutant(name, number)
                attempt(Path(scratch), log, name if number % 2 else None, tally)
            if len(tally.failures) > before:
                tally.failures[-1] = f"{name} {number}: {tally.failures[-1]}"
            for file, content in log.items() if keep and len(tally.failures) > before else ():
                kept = Path(keep, f"{name}-{number}", file)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(content)
    tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if tally.peak > began + LARGEST / (1 << 20):
        tally.failures.append(f"{name} {first} to {first + files - 1}: {tally.peak:.0f} MiB")
    return tally


def alone(name: str, first: int, files: int, keep: str | None, end: float) -> Tally:
    """The same in a process of its own, which damage may end; none of it after `end`, a time of the monotonic clock."""
    if time.monotonic() > end:
        return Tally()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(chunk, name, first, files, keep).result()
        except BrokenProcessPool:
            return Tally(failures=[f"{name} {first} to {first + files - 1}: the process died of one of these"])


def too_long(number: int, frame: FrameType | None) -> None:
    """Ends what takes longer than LIMIT; a handler of SIGALRM."""
    raise TimeoutError(f"more than {LIMIT} s")


@dataclass
class Before:
    """A row of the table as it was, to go on from."""

    files: int
    read: int
    unreadable: int
    failures: int
    slowest: float
    peak: float


def _table() -> dict[str, Before]:
    """The rows of the table, by format."""
    rows = [list(row.values()) for row in tables.read("fuzz.csv")]
    return {row[0]: Before(*map(int, row[1:5]), float(row[5]), float(row[6])) for row in rows}


def _write(tallies: dict[str, Tally], before: dict[str, Before]) -> None:
    """Write the table: what was counted on top of `before`; formats that were not asked for keep the row they have."""
    rows = _table()
    for name, t in tallies.items():
        if t.files or t.failures:
            b = before.get(name, Before(0, 0, 0, 0, 0.0, 0.0))
            counts = (b.files + t.files, b.read + t.read, b.unreadable + t.unreadable, b.failures + len(t.failures))
            rows[name] = Before(*counts, max(b.slowest, t.slowest), max(b.peak, t.peak))
    if rows:
        tables.write("fuzz.csv", [_row(name, rows[name]) for name in NAMES if name in rows])


def _row(name: str, row: Before) -> dict[str, Any]:
    counts = {"read": row.read, "unreadable": row.unreadable, "failures": row.failures}
    return {
        "format": name,
        "files": row.files,
        **counts,
        "slowest_seconds": f"{row.slowest:.3f}",
        "peak_mib": round(row.peak),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="damaged files a format")
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    parser.add_argument("--resume", action="store_true", help="go on behind the files that the table counts")
    parser.add_argument("--formats", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin nothing more after so long")
    parser.add_argument("--keep", metavar="FOLDER", help="where to put the files that failed")
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    before = _table() if args.resume else {}
    jobs = []
    for name in args.formats:
        first = before[name].files if name in before else args.first
        beyond = args.files if args.resume else args.first + args.files
        jobs += [(name, start, min(CHUNK, beyond - start)) for start in range(first, beyond, CHUNK)]
    jobs.sort(key=lambda job: job[1])
    tallies = {name: Tally() for name in args.formats}
    seen: set[str] = set()
    with ThreadPoolExecutor(args.workers) as pool:
        for name, tally in pool.map(lambda job: (job[0], alone(*job, args.keep, end)), jobs):
            tallies[name].add(tally)
            for failure in tally.failures:
                kind = re.sub(r"\d+", "", failure.strip().splitlines()[-1])
                if kind not in seen:
                    print(failure, file=sys.stderr, flush=True)
                seen.add(kind)
            _write(tallies, before)
    for name, tally in tallies.items():
        print(f"{name}: {tally.files} files, {len(tally.failures)} failures, slowest {tally.slowest:.2f} s")
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
