"""Objects, one an epoch, become a table: what JSON lines and a JSON list of objects share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from detectors.readers import names
from detectors.readers.table import Odd, Table, Unreadable, bounded, floats

__all__ = ["columns", "flat", "from_records", "is_epoch"]

DEPTH = 4  # objects nested deeper than this are no log


def flat(record: Mapping[str, object], depth: int = DEPTH) -> Iterator[tuple[str, object]]:
    """The leaves of `record` by path, so that {"val": {"loss": 1}} is val/loss; true and false are no numbers."""
    for key, value in record.items():
        if isinstance(value, dict):
            if depth > 1:
                yield from ((f"{key}/{inner}", leaf) for inner, leaf in flat(value, depth - 1))
        elif not isinstance(value, bool):
            yield key, value


def from_records(
    records: Sequence[Mapping[str, object]], lines: Sequence[int], *, place: str, notes: Sequence[str] = ()
) -> Table:
    """A table with one row a record; `lines` says where each one stands.

    Leading records without an epoch and without a measured series are settings, not epochs: they are left out.
    """
    if not records:
        raise Unreadable('it holds no epochs. Each should be an object such as {"epoch": 1, "train_loss": 2.3}')
    rows = [dict(flat(record)) for record in records]
    first = next((i for i, row in enumerate(rows) if is_epoch(row)), 0)
    said = [*notes]
    if first:
        said.append(
            f"{place} {lines[0]} holds settings and no epoch" if first == 1 else f"{first} {place}s hold settings"
        )
    found, odd = columns(rows[first:])
    return Table(columns=found, lines=np.array(lines[first:]), odd=odd, notes=tuple(said), place=place)


def columns(rows: Sequence[Mapping[str, object]]) -> tuple[dict[str, np.ndarray], dict[str, Odd]]:
    """The columns of flat `rows`, each of shape (rows,), and by column the cells that are no plain number."""
    cells: dict[str, tuple[list[int], list[object]]] = {}  # by column: in which rows it is, and what is there
    for i, row in enumerate(rows):
        for name, cell in row.items():
            at, said = cells.setdefault(name, ([], []))
            if cell is not None:
                at.append(i)
                said.append(cell)
    bounded(len(rows), len(cells))
    found: dict[str, np.ndarray] = {}
    odd: dict[str, Odd] = {}
    for name, (at, said) in cells.items():
        values, strange = floats(said)
        found[name], odd[name] = np.full(len(rows), np.nan), Odd((at[k], cell) for k, cell in strange)
        found[name][at] = values
    return found, odd


def is_epoch(row: Mapping[str, object]) -> bool:
    """Whether a flat row counts or measures something; else it holds settings."""
    return any(isinstance(row[key], float) and (names.is_axis(key) or names.is_measured(key)) for key in row)
