"""Where logs come from: files, folders, standard input; their bytes as text; what a run is called after its file."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from detectors.readers.table import Unreadable

__all__ = ["expand", "load", "title"]

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".log")
GENERIC = frozenset(
    (
        *("log", "logs", "metrics", "results", "result", "history", "progress"),
        *("train", "training", "train_log", "training_log"),
    )
)
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
HEAD = 8192  # bytes that decide whether a file is text
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")


def load(path: str) -> tuple[str, list[str]]:
    """The text of the file, lines ending in \\n, and what had to be assumed to get it. `-` is standard input."""
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except IsADirectoryError:
        raise Unreadable("this is a folder; `expand` lists the logs in it") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(f"it cannot be opened: {reason}") from None
    text, notes = _decoded(raw)
    if not text.strip():
        raise Unreadable("the file is empty")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, notes


def title(path: str) -> str:
    """The name of the run: the file without its suffix, with its folder where that alone says nothing ("log")."""
    if path == "-":
        return "stdin"
    file = Path(path)
    if file.stem.lower() not in GENERIC:
        return file.stem
    folder = file.absolute().parent.name
    return f"{folder}/{file.stem}" if folder else file.stem


def expand(paths: Iterable[str | Path]) -> list[Path]:
    """The files that `paths` name, and below each folder the files that may be logs, in order of name.

    Nothing is opened or raised: what does not exist stays in the list, for `read` to say so. A folder that is reached
    twice (a link to its parent) counts once.
    """
    found: dict[Path, None] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        found.update(dict.fromkeys(_logs(path, seen) if os.path.isdir(path) else [Path(path)]))
    return list(found)


def _logs(folder: str | Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        try:
            status = os.stat(parent)
        except OSError:  # it went away in between
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        logs = (Path(parent, file) for file in sorted(files) if Path(file).suffix.lower() in SUFFIXES)
        yield from (log for log in logs if log.is_file())  # no pipe, on which reading would wait for ever


def _decoded(raw: bytes) -> tuple[str, list[str]]:
    for bom, encoding in BOMS:
        if raw.startswith(bom):
            return raw[len(bom) :].decode(encoding, errors="replace"), []
    notes = []
    if b"\0" in raw:  # what a crash of the machine leaves in a file, and half of UTF-16 that does not say so
        raw = raw.replace(b"\0", b"")
        notes.append("null bytes are left out")
    head = raw[:HEAD]
    if sum(head.count(byte) for byte in CONTROLS) > 0.05 * len(head):
        raise Unreadable("it is binary, not text. Export it as CSV, TSV, JSON or JSON lines")
    try:
        return raw.decode(), notes
    except UnicodeDecodeError:
        return raw.decode("latin-1"), [*notes, "it is not UTF-8 and is read as Latin-1"]
