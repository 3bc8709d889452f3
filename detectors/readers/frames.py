"""Columns side by side become tables: one, or one a row where the series are lists.

The second is how a data set of runs is kept (`curvesense generate`, a frame that was grouped): a row is a run, what has
one value a run is a setting and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.readers import names, split
from detectors.readers.lists import from_lists
from detectors.readers.table import Odd, Table, Unreadable, floats

__all__ = ["Column", "hidden", "tables"]

Column = np.ndarray | Sequence[object]  # float64 of shape (rows,), or cells: numbers, text, None, lists, arrays
#: How the columns begin that no detector may see.
TRUTH = ("recipe.", "expected.", "se.", "twins", "events", "reference", "ambiguous")


def hidden(columns: Collection[str]) -> frozenset[str]:
    """Those of the columns of a data set of `curvesense generate` that are its truth; none of any other table."""
    labelled = "events" in columns and any(name.startswith("recipe.") for name in columns)
    return frozenset(name for name in columns if name.startswith(TRUTH)) if labelled else frozenset()


def tables(columns: Mapping[str, Column], title: str) -> list[Table]:
    """The tables in these columns of one length; `title` is what the runs are called where they have no name."""
    lists = {name: cells for name, cells in columns.items() if _holds_lists(cells)}
    flat = [name for name in columns if name not in lists]
    if any(map(names.is_measured, lists)) or (lists and not any(map(names.is_measured, flat))):
        truth = hidden(columns)
        return _a_row_a_run({name: cells for name, cells in lists.items() if name not in truth}, columns, title)
    rows = max(map(len, columns.values()), default=0)
    values: dict[str, np.ndarray] = {}
    odd: dict[str, Odd] = {}
    for name, cells in columns.items():
        if isinstance(cells, np.ndarray):
            values[name] = cells
        else:
            values[name], odd[name] = floats(["" if cell is None else cell for cell in cells])
    return [Table(columns=values, lines=np.arange(1, rows + 1), odd=odd, place="row")]


def _a_row_a_run(lists: Mapping[str, Column], columns: Mapping[str, Column], title: str) -> list[Table]:
    runs = [i for i in range(len(next(iter(columns.values())))) if any(_items(cells[i]) for cells in lists.values())]
    if not runs:
        raise Unreadable("its lists are empty")
    keys = {what: column for what, column in split.find(columns).items() if column not in lists}
    if not keys:
        called = [(f"{title} {i + 1}" if len(runs) > 1 else "", "") for i in runs]
    else:
        said = {what: [_said(what, columns[column][i]) for i in runs] for what, column in keys.items()}
        called = split.labels(said, title)
    found = []
    for i, (name, group) in zip(runs, called, strict=True):
        table = from_lists({column: cells[i] for column, cells in lists.items() if _items(cells[i])})  # type: ignore[misc]
        found.append(replace(table, name=name, group=group))
    return found


def _holds_lists(cells: Column) -> bool:
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        return False
    return isinstance(next((cell for cell in cells if cell is not None), None), list | np.ndarray)


def _items(cell: object) -> int:
    return len(cell) if isinstance(cell, list | np.ndarray) else 0


def _said(what: str, cell: object) -> str:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return split.text(what, cell)
