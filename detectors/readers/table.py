"""What a format returns: the columns of one run as numbers, before anybody asked what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["WIDEST", "NoLog", "Odd", "Table", "Unreadable", "bounded", "floats", "listing", "show", "take"]

LARGEST = 1 << 26  # cells: half a GiB
WIDEST = 1 << 14  # columns: a thousand runs side by side

Odd = list[tuple[int, object]]  # cells that are no plain number, as (row, cell)


class Unreadable(ValueError):
    """A file that cannot become a run: one line that names the file, the line at fault and the way out.

    A format raises it with the line and the reason; `read` puts the file in front.
    """


class NoLog(Unreadable):
    """A file in which nothing looks like a log: among others in a folder it is passed over."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """Named columns in the order of the file, each of shape (rows,), float64, NaN where there is no plain number.

    Cells such as `1,234.5`, `None`, `oops` or a list wait in `odd`, to be read once the whole column is known.
    """

    columns: Mapping[str, np.ndarray]
    lines: np.ndarray  # (rows,) int: where each row stands in the file, counted from 1
    odd: Mapping[str, Odd] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    place: str = "line"  # what `lines` counts: lines, items of a list
    name: str = ""  # of the run, where its log names it; else it is called after its file
    group: str = ""  # what it shares with other runs of its recipe


def bounded(rows: int, columns: int) -> None:
    """Unreadable where the table would not fit into memory: names that change from row to row square a small file."""
    if rows * columns > LARGEST or columns > WIDEST:
        raise Unreadable(f"{columns} columns with {rows} rows are too many. Log fewer names, or split it")


def floats(cells: Sequence[object]) -> tuple[np.ndarray, Odd]:
    """`cells` as numbers of shape (len(cells),), NaN where empty or odd, and the odd ones."""
    try:
        return np.array([float(c) if c != "" else np.nan for c in cells], dtype=np.float64), []  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    values, odd = np.full(len(cells), np.nan), Odd()
    for row, cell in enumerate(cells):
        try:
            values[row] = float(cell) if cell != "" else np.nan  # type: ignore[arg-type]
        except (TypeError, ValueError):
            odd.append((row, cell))
    return values, odd


def take(table: Table, rows: np.ndarray, columns: Mapping[str, str]) -> Table:
    """The rows `rows` (int, increasing) of `table`, of the columns that `columns` names: new name to old."""
    place = np.full(len(table.lines), -1)
    place[rows] = np.arange(len(rows))
    odd = {
        new: [(int(place[row]), cell) for row, cell in table.odd[old] if place[row] >= 0]
        for new, old in columns.items()
        if old in table.odd
    }
    values = {new: table.columns[old][rows] for new, old in columns.items()}
    return replace(table, columns=values, lines=table.lines[rows], odd=odd)


def show(value: object, width: int = 40) -> str:
    """`value` as it may stand in a message: quoted, on one line, not longer than `width` or so."""
    try:
        text = value[: width + 1] if isinstance(value, str) else str(value)
    except RecursionError:  # lists within lists
        text = "a deep list"
    return repr(text if len(text) <= width else text[: width - 1] + "…")


def listing(names: Iterable[str], most: int = 12) -> str:
    """Names as they may stand in a message: quoted, the first `most` of them."""
    shown = [show(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
