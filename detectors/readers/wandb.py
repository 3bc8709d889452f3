"""Weights & Biases' offline runs: the history in a `.wandb` file, or in the folder of an offline run that holds it.

The file is a log of LevelDB (blocks of 32 KiB, records that may be split over them), its records are protobuf messages,
of which the run's name and the history are read. The axis is the step of wandb, or an `epoch` that was logged.

Proven on offline runs written by wandb.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import BinaryIO

from detectors.readers.protobuf import fields
from detectors.readers.records import from_records
from detectors.readers.source import Source
from detectors.readers.table import Table, Unreadable

__all__ = ["NAME", "members", "parse", "sniff"]

NAME = "wandb"
MAGIC = b":W&B"
HEADER = struct.Struct("<IHB")  # checksum, length, kind: whole, first, middle, last
BLOCK = 1 << 15
LONGEST = 1 << 26  # bytes of a record; a longer one is no history
HISTORY, RUN = 2, 17  # fields of a record
CLOCKS = ("_timestamp", "_runtime", "_wandb")


def sniff(source: Source) -> bool:
    """Whether it begins as such a file does, or is a folder with one."""
    return bool(members(source)) if source.is_folder else source.head.startswith(MAGIC)


def members(folder: Source) -> frozenset[str]:
    """All that is in the folder of a run: what lies beside the history is no log."""
    return frozenset(folder.entries) if _file(folder) else frozenset()


def parse(source: Source) -> list[Table]:
    """The history of the run."""
    file = source.inner(_file(source)) if source.is_folder else source
    name = group = ""
    rows: list[dict[str, object]] = []
    damaged = 0
    notes: list[str] = []
    with file.open() as stream:
        for record in _records(stream, notes):
            try:
                for number, _, content in fields(record):
                    if number == HISTORY and isinstance(content, bytes):
                        rows.append(_row(content))
                    elif number == RUN and isinstance(content, bytes):
                        said = {n: v.decode(errors="replace") for n, _, v in fields(content) if isinstance(v, bytes)}
                        name, group = said.get(8, said.get(1, "")), said.get(6, "")
            except (ValueError, RecursionError):
                damaged += 1
    if damaged:
        notes.append(f"records that are damaged are left out: {damaged}")
    if not rows:
        raise Unreadable(". ".join(["it holds no history", *notes]))
    table = from_records(rows, list(range(1, len(rows) + 1)), place="row", notes=[*file.notes, *notes])
    return [Table(**{**vars(table), "name": name, "group": group})]


def _file(folder: Source) -> str:
    """The name of the file that holds the history, empty where there is none."""
    files = (name for name, is_folder in folder.entries.items() if not is_folder)
    return next((name for name in files if name.startswith("run-") and name.endswith(".wandb")), "")


def _row(content: bytes) -> dict[str, object]:
    row: dict[str, object] = {}
    for number, _, item in fields(content):
        if number == 1 and isinstance(item, bytes):
            keys, value = list[str](), b"null"
            for n, _, part in fields(item):
                if n in (1, 2) and isinstance(part, bytes):
                    keys.append(part.decode(errors="replace"))
                elif n == 16 and isinstance(part, bytes):
                    value = part
            key = "/".join(key for key in keys if key)
            if key not in CLOCKS:
                row["step" if key == "_step" else key] = json.loads(value, parse_int=float)
    return row


def _records(stream: BinaryIO, notes: list[str]) -> Iterator[bytes]:
    """The records of the log; what is cut off or out of order is left out."""
    at = len(stream.read(7))  # magic and version
    parts: list[bytes] = []
    while True:
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            at += len(stream.read(left))
            continue
        head = stream.read(HEADER.size)
        if len(head) < HEADER.size:
            break
        _, length, kind = HEADER.unpack(head)
        content = stream.read(length)
        at += HEADER.size + len(content)
        if kind == 0 and length == 0:  # the rest of the block was not written
            continue
        if len(content) < length or length > left - HEADER.size or not 1 <= kind <= 4:
            notes.append("a record is damaged or cut off; what comes before is read")
            return
        if kind in (1, 2):
            parts = []
        parts.append(content)
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []
        elif sum(map(len, parts)) > LONGEST:
            parts = []
