"""What Weights & Biases exports from a chart as CSV: an axis, and for each run `name - metric`, `__MIN` and `__MAX`.

A run is a name before the dash; its rows are those in which it has a value. Two runs of one name are told apart by a
number; without a name it is the run of the file. Exported JSON is read by `json_document`, and the CSV of
`run.history()` is like any other.

No file is fetched from its site, which needs an account: the layout is that of exports in public repositories, such as
github.com/osquera/MIA_SD (every cell in quotes, the axis Step).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from detectors.readers import delimited, headers
from detectors.readers.source import Source
from detectors.readers.table import Table, take

__all__ = ["NAME", "parse", "sniff"]

NAME = "wandb_export"
DASH = " - "
LOW, HIGH = "__MIN", "__MAX"
CLOCKS = ("_step", "_runtime", "_timestamp")  # of each run, beside the axis of the chart
AGAIN = re.compile(r" \(\d+\)$")  # what `headers.unique` adds to a name that comes again


def sniff(source: Source) -> bool:
    """Whether the header has a column with its smallest and its largest value beside it."""
    if LOW not in source.start:
        return False
    header = headers.find(source.start)
    columns = frozenset(header.columns if header else ())
    return any({column + LOW, column + HIGH} <= columns for column in columns)


def parse(source: Source) -> list[Table]:
    """A table a run."""
    whole = delimited.table(source.blocks())
    metrics, axes = _split(whole)
    bounds = {c: whole.columns[c] for c in whole.columns if AGAIN.sub("", c).endswith((LOW, HIGH))}
    notes = list(whole.notes)
    if any(
        not np.array_equal(bounds[name], whole.columns[column], equal_nan=True)
        for columns in metrics.values()
        for column in columns.values()
        for name in (column + LOW, column + HIGH)
        if name in bounds
    ):
        notes.append("the smallest and the largest values of a group or of a stretch of steps are left out")
    tables = []
    for run, columns in metrics.items():
        odd = [row for column in columns.values() for row, _ in whole.odd.get(column, ())]
        there = np.any([np.isfinite(whole.columns[column]) for column in columns.values()], axis=0)
        there[odd] = True
        kept = {axis: axis for axis in axes if axis not in columns} | columns
        tables.append(replace(take(whole, np.flatnonzero(there), kept), name=run, notes=tuple(notes)))
    return tables


def _split(table: Table) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The columns of each run, by name and metric, and those that belong to none: the axis."""
    runs: dict[str, dict[str, str]] = {}
    axes: list[str] = []
    times = Counter[str]()
    for column in table.columns:
        plain = AGAIN.sub("", column)
        plain = plain if plain in table.columns else column
        run, dash, metric = plain.rpartition(DASH)
        if not dash and plain + LOW not in table.columns and not plain.endswith((LOW, HIGH)):
            axes.append(column)
        elif not metric.endswith((LOW, HIGH)) and metric not in CLOCKS:
            times[plain] += 1
            name = run.strip() if times[plain] == 1 else f"{run.strip()} ({times[plain]})"
            runs.setdefault(name, {})[metric.strip()] = column
    return runs, axes
