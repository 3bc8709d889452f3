"""The folder of a data set: shards, what is known of them, and how it survives being killed.

While a data set is made, `unfinished.jsonl` holds a line that says what is made and on what, then a line for each shard
that is complete. A shard gets its name only when its bytes are on the disk, and its line only after that. When all are
there, the card and the sheet are written, and last `manifest.json`, which lists every shard with its checksum; the
journal then goes. So a folder is always in one of three states: begun, complete, or somebody else's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sim.dataset.planning import Plan, differences
from sim.dataset.shard import Shard, Tally

__all__ = ["CARD", "DAMAGED", "JOURNAL", "MANIFEST", "SHEET", "Begun", "check", "checksum", "manifest", "opened", "put"]

MANIFEST = "manifest.json"
JOURNAL = "unfinished.jsonl"
CARD = "README.md"
SHEET = "examples.png"
DAMAGED = "{path} is not what was written (checksum); delete it, and the same command makes it again"
_TEMPORARY = ".unfinished"


def check(out: Path, plan: Plan) -> bool:
    """Whether `out` holds this data set, complete. OSError says why it can be neither made nor continued here."""
    if out.exists() and not out.is_dir():
        raise OSError(f"{out} is a file; --out names a folder")
    there = {entry.name for entry in out.iterdir() if not entry.name.endswith(_TEMPORARY)} if out.exists() else set()
    if MANIFEST in there:
        _same(out, manifest(out)["data_set"], plan)
        return True
    if JOURNAL in there:
        _same(out, _journal(out)[0][0]["data_set"], plan)
    elif there - {"data"} or any(path.suffix != _TEMPORARY for path in (out / "data").glob("*")):
        raise OSError(f"{out} is not empty; choose a new folder, or empty it")
    return False


def manifest(out: Path) -> dict[str, Any]:
    """The manifest of a complete data set; OSError where there is none."""
    try:
        document = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        if document["curvesense"] != "data set":
            raise KeyError("curvesense")
    except FileNotFoundError:
        begun = (out / JOURNAL).exists()
        advice = "it is not complete: run the command that began it again" if begun else f"it has no {MANIFEST}"
        raise OSError(f"{out} holds no data set to read; {advice}") from None
    except (ValueError, KeyError, TypeError):
        raise OSError(
            f"{out / MANIFEST} is not what `curvesense generate` writes; it is damaged or another's"
        ) from None
    return dict(document)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Begun:
    """A data set that is being made: which shards are complete, and how another one gets there."""

    def __init__(self, out: Path, plan: Plan, lines: list[dict[str, Any]]) -> None:
        self.out, self.plan = out, plan
        self.header = lines[0]
        self.done: dict[int, dict[str, Any]] = {line["shard"]: line for line in lines[1:]}

    @property
    def missing(self) -> Iterator[int]:
        """The numbers of the shards that are still to be made."""
        return (number for number in range(self.plan.shards) if number not in self.done)

    def add(self, shard: Shard) -> None:
        """Put a finished shard on the disk and say so; after an OSError neither has happened."""
        name = self.plan.file(shard.number)
        put(self.out / name, shard.content)
        line = {
            "shard": shard.number,
            "file": name,
            "runs": shard.runs,
            "bytes": len(shard.content),
            "sha256": shard.sha256,
            "tally": shard.tally,
        }
        _append(self.out / JOURNAL, line)
        self.done[shard.number] = line

    def finish(self, tally: Tally, rest: dict[str, bytes], columns: dict[str, str]) -> None:
        """Write what `rest` names, then the manifest, and close the journal."""
        for name, content in rest.items():
            put(self.out / name, content)
        listed = [
            {key: self.done[n][key] for key in ("file", "runs", "bytes", "sha256")} for n in range(self.plan.shards)
        ]
        document = {**self.header, "columns": columns, "counts": tally, "shards": listed}
        put(self.out / MANIFEST, (json.dumps(document, indent=1) + "\n").encode())
        (self.out / JOURNAL).unlink()


@contextmanager
def opened(
    out: Path, plan: Plan, machine: dict[str, Any], libraries: dict[str, str], verified: Callable[[int], None]
) -> Iterator[Begun]:
    """The folder, locked, with what an earlier call has left; `verified` is told the runs of shards that are kept.

    OSError says that another process writes there, that bits would differ from those that are there, or that a shard
    is not what was written.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    header: dict[str, Any] = {
        "curvesense": "data set",
        "data_set": plan.document,
        "hash": plan.hash,
        "machine": machine,
        "libraries": libraries,
    }
    with _lock(out):
        for stray in (*out.glob(f".*{_TEMPORARY}"), *(out / "data").glob(f".*{_TEMPORARY}")):
            stray.unlink()
        if not (out / JOURNAL).exists():
            put(out / JOURNAL, _line(header))
        lines, whole = _journal(out)
        for key in ("machine", "libraries"):
            if lines[0][key] != header[key]:
                said = differences(lines[0][key], header[key])
                raise OSError(f"{out} was begun with another {key}, and bits would differ: {said}; choose a new folder")
        os.truncate(out / JOURNAL, whole)
        begun = Begun(out, plan, lines)
        for number, line in list(begun.done.items()):
            path = out / line["file"]
            if not path.exists():
                del begun.done[number]
            elif path.stat().st_size != line["bytes"] or checksum(path) != line["sha256"]:
                raise OSError(DAMAGED.format(path=path))
            else:
                verified(line["runs"])
        yield begun


def put(path: Path, content: bytes) -> None:
    """Write a file that has its name only when all of it is on the disk. OSError names it and leaves nothing."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _settle(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None


def _append(path: Path, line: dict[str, Any]) -> None:
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(_line(line))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, size)
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None


def _line(document: dict[str, Any]) -> bytes:
    return (json.dumps(document) + "\n").encode()


def _journal(out: Path) -> tuple[list[dict[str, Any]], int]:
    """The complete lines of the journal, and how many bytes they are; a last line may be torn."""
    content = (out / JOURNAL).read_bytes()
    whole = content.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in content[:whole].splitlines()]
        if not lines or lines[0]["curvesense"] != "data set":
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise OSError(f"{out / JOURNAL} is damaged; empty {out} and begin again") from None
    return lines, whole


def _same(out: Path, there: dict[str, Any], plan: Plan) -> None:
    said = differences(there, plan.document)
    if said:
        raise OSError(f"{out} holds another data set: {said}; choose a new folder, or empty it")


def _settle(folder: Path) -> None:
    """Make a new name in `folder` last, where the system knows how."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Keep other processes out of the folder while this one lives; the system lets go of the lock when it dies."""
    try:
        import fcntl
    except ImportError:  # Windows: two that write the same are still harmless, for a name appears with its bytes
        yield
        return
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{out} is being written by another process; wait for it, or choose a new folder") from None
        yield
    finally:
        os.close(handle)
