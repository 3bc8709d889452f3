"""One JSON document: an object with a list a series (Keras' `History.history`), or a list with an object an epoch."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np

from detectors.readers import names
from detectors.readers.records import flat, from_records
from detectors.readers.source import Source
from detectors.readers.table import Odd, Table, Unreadable, floats, listing, show

__all__ = ["NAME", "parse", "sniff"]

NAME = "json_document"


def sniff(source: Source) -> bool:
    """Whether it begins as an object or as a list of objects ("[05:57:48] started" is neither)."""
    return re.match(r'\s*(\{\s*["}]|\[\s*[{\]])', source.text) is not None


def parse(source: Source) -> list[Table]:
    """The table with one column a list, or one row an object."""
    return [_table(source.text)]


def _table(text: str) -> Table:
    try:
        document = json.loads(text, parse_int=float)  # integers of any length, and no limit on their digits
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"this is not JSON that we can read ({error})") from None
    if isinstance(document, list):
        items = [(i, item) for i, item in enumerate(document, start=1) if isinstance(item, dict)]
        skipped = len(document) - len(items)
        notes = [f"{skipped} items of the list are no object and are left out"] if skipped else []
        return from_records([item for _, item in items], [i for i, _ in items], place="item", notes=notes)
    if not isinstance(document, dict):
        raise Unreadable('a list for each series is needed, as in {"loss": [2.3, 1.9], "val_loss": [2.2, 2.0]}')
    lists = {name: value for name, value in flat(document) if isinstance(value, list)}
    return _from_lists(lists) if lists else from_records([document], [1], place="item")


def _from_lists(lists: dict[str, list[object]]) -> Table:
    """Lists side by side. One an item short was cut off within an epoch; others of another length cannot be aligned."""
    lengths = Counter(len(cells) for name, cells in lists.items() if names.is_known(name))
    usual = max(lengths, key=lambda length: (lengths[length], length), default=max(map(len, lists.values())))
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
        if 0 <= rows - len(cells) <= 1:
            plain = ["" if cell is None else str(cell) if isinstance(cell, bool) else cell for cell in cells]
            columns[name], odd[name] = floats(plain + [""] * (rows - len(cells)))
    return Table(columns=columns, lines=np.arange(1, rows + 1), odd=odd, notes=tuple(notes), place="item")
