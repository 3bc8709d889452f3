"""One JSON object a line, one line an epoch: what loggers append to as they go.

The settings may stand in the first line; lines that are no object (chatter, a line cut off by a crash) are left out.
"""

from __future__ import annotations

import json
from itertools import islice

from detectors.readers.records import from_records
from detectors.readers.source import Source
from detectors.readers.table import Table

__all__ = ["NAME", "parse", "sniff"]

NAME = "json_lines"


def sniff(source: Source) -> bool:
    """Whether the first line that opens an object also closes it, and is not the only line."""
    lines = [line for line in islice(source.text.split("\n", 200), 200) if line.strip()]
    first = next((line for line in lines if line.lstrip().startswith("{")), None)
    return first is not None and len(lines) > 1 and _object(first) is not None


def parse(source: Source) -> list[Table]:
    """The table with one row an object."""
    records, numbers, others = [], [], []
    for number, line in enumerate(source.text.split("\n"), start=1):
        record = _object(line)
        if record is not None:
            records.append(record)
            numbers.append(number)
        elif line.strip():
            others.append(number)
    notes = []
    if others and numbers and others[-1] > numbers[-1]:
        notes.append(f"line {others.pop()}, the last one, is cut off and left out")
    if others:
        notes.append(f"lines that are no JSON object are left out: {len(others)}, the first is line {others[0]}")
    return [from_records(records, numbers, place="line", notes=notes)]


def _object(line: str) -> dict[str, object] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line, parse_int=float)  # integers of any length, and no limit on their digits
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
