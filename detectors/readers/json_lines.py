"""One JSON object a line, one line an epoch: what loggers append to as they go. Or one line a run, its series lists.

The settings may stand in the first lines; lines that are no object (chatter, a line cut off by a crash) are left out.
The file is never held whole: see `stack` for what happens to one of a gigabyte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from detectors.readers import document
from detectors.readers.records import columns, flat, is_epoch
from detectors.readers.source import Source
from detectors.readers.stack import Stack
from detectors.readers.table import Table, Unreadable

__all__ = ["NAME", "parse", "sniff"]

NAME = "json_lines"
MANY = 1 << 12  # rows that become columns at once
SETTINGS = 1000  # leading lines that may be settings

Record = dict[str, object]


def sniff(source: Source) -> bool:
    """Whether the first line that opens an object also closes it, and is not the only line."""
    lines = [line for line in source.start.split("\n", 200)[:200] if line.strip()]
    first = next((line for line in lines if line.lstrip().startswith("{")), None)
    return first is not None and len(lines) > 1 and _object(first) is not None


def parse(source: Source) -> list[Table]:
    """The table with one row an object, or a table a run where an object holds the whole of a series."""
    others = _Others()
    stack = Stack()
    settings: list[tuple[int, Record]] = []
    rows: list[tuple[int, Record]] = []
    for number, record in _objects(source, others):
        if document.is_run(record) and not rows and not stack.rows:
            return _runs(source)
        row = dict(flat(record))
        if not rows and not stack.rows and not is_epoch(row) and len(settings) < SETTINGS:
            settings.append((number, row))
            continue
        rows.append((number, row))
        if len(rows) == MANY:
            _add(stack, rows)
            rows = []
    if not rows and not stack.rows:
        rows, settings = settings, []
    _add(stack, rows)
    if not stack.rows:
        raise Unreadable('it holds no epochs. Each line should be an object such as {"epoch": 1, "train_loss": 2.3}')
    notes = others.notes()
    if settings:
        one = f"line {settings[0][0]} holds settings and no epoch"
        notes.append(one if len(settings) == 1 else f"{len(settings)} lines hold settings")
    return [stack.table(notes=notes)]


def _runs(source: Source) -> list[Table]:
    """The tables of a file with a run a line; what a line holds beside its series are settings."""
    others = _Others()
    records = [record for _, record in _objects(source, others)]
    tables = document.tables([record for record in records if document.is_run(record)], source.title)
    rest = sum(not document.is_run(record) for record in records)
    notes = [*others.notes(), *([f"lines that hold no series are left out: {rest}"] if rest else [])]
    return [replace(tables[0], notes=(*notes, *tables[0].notes)), *tables[1:]]


class _Others:
    """The lines that are no object."""

    def __init__(self) -> None:
        self.count = self.first = self.last = self.last_object = 0

    def add(self, line: int) -> None:
        """Count one."""
        self.first = self.first or line
        self.count, self.last = self.count + 1, line

    def notes(self) -> list[str]:
        """What to say about them."""
        notes, count = [], self.count
        if count and self.last > self.last_object:
            notes.append(f"line {self.last}, the last one, is cut off and left out")
            count -= 1
        if count:
            notes.append(f"lines that are no JSON object are left out: {count}, the first is line {self.first}")
        return notes


def _objects(source: Source, others: _Others) -> Iterator[tuple[int, Record]]:
    """Each object with the number of its line; the other lines are counted."""
    first = 1
    for block in source.blocks():
        lines = block.removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=first):
            record = _object(line)
            if record is not None:
                others.last_object = number
                yield number, record
            elif line.strip():
                others.add(number)
        first += len(lines)


def _add(stack: Stack, rows: list[tuple[int, Record]]) -> None:
    if rows:
        found, odd = columns([row for _, row in rows])
        values = np.stack(list(found.values()), axis=1) if found else np.empty((len(rows), 0))
        stack.add(tuple(found), values, np.array([number for number, _ in rows]), odd)


def _object(line: str) -> Record | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line, parse_int=float)  # integers of any length, and no limit on their digits
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
