"""A list a series becomes a table: what JSON of Keras' `History`, a dict in memory and a row of a data set share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from detectors.readers import names
from detectors.readers.table import Odd, Table, floats, listing, show

__all__ = ["from_lists"]


def from_lists(lists: Mapping[str, Sequence[object] | np.ndarray]) -> Table:
    """Lists side by side. One an item short was cut off within an epoch; others of another length cannot be aligned."""
    lengths = Counter(len(cells) for name, cells in lists.items() if names.is_known(name))
    usual = max(lengths, key=lambda length: (lengths[length], length), default=max(map(len, lists.values()), default=0))
    rows = usual + 1 if usual + 1 in lengths else usual
    columns: dict[str, np.ndarray] = {}
    odd: dict[str, Odd] = {}
    notes = []
    unfit = [f"{show(name)} ({len(cells)})" for name, cells in lists.items() if not 0 <= rows - len(cells) <= 1]
    short = [name for name, cells in lists.items() if rows - len(cells) == 1]
    if unfit:
        notes.append(f"lists that do not have {rows} items cannot be aligned and are left out: {', '.join(unfit)}")
    if short:
        notes.append(f"lists that end one item early count as missing there: {listing(short)}")
    for name, cells in lists.items():
        if not 0 <= rows - len(cells) <= 1:
            continue
        if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
            columns[name] = np.append(cells.astype(np.float64), np.full(rows - len(cells), np.nan))
        else:
            plain = ["" if cell is None else str(cell) if isinstance(cell, bool) else cell for cell in cells]
            columns[name], odd[name] = floats(plain + [""] * (rows - len(cells)))
    return Table(columns=columns, lines=np.arange(1, rows + 1), odd=odd, notes=tuple(notes), place="item")
