"""A document of lists and objects becomes tables: a list a series, an object an epoch, or several runs of either.

Several runs are a list with a history a run (`[{"name": "a", "history": [...]}]`) or an object with a list of epochs a
name (`{"a": [{"epoch": 1, ...}]}`). An object of `columns` and `data` is a table of Weights & Biases, or pandas'
"split". A single run may be wrapped in the same ways.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.readers import names
from detectors.readers.headers import unique
from detectors.readers.records import flat, from_records
from detectors.readers.table import Odd, Table, Unreadable, floats, listing, show

__all__ = ["decoded", "from_lists", "tables"]

CALLED = ("name", "run_name", "display_name", "run", "run_id", "id")  # how a run of a list says its name
LISTS = (list, np.ndarray)


def decoded(text: str) -> object:
    """What JSON `text` holds, numbers as floats; `Unreadable` says where it is none."""
    try:
        content: object = json.loads(text, parse_int=float)  # integers of any length, and no limit on their digits
        return content
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"this is not JSON that we can read ({error})") from None


def tables(document: object) -> list[Table]:
    """The tables in a document as `json` makes it; lists may be arrays of shape (epochs,)."""
    found: list[Table] = []
    failures: list[str] = []
    runs = _runs(document)
    for name, run in runs:
        try:
            found.append(replace(_table(run), name=name if len(runs) > 1 else ""))
        except Unreadable as error:
            failures.append(f"{show(name)}: {error}" if len(runs) > 1 else str(error))
    if not found:
        raise Unreadable(failures[0])
    if failures:
        note = f"runs that cannot be read are left out: {len(failures)}, the first is {failures[0]}"
        found[0] = replace(found[0], notes=(*found[0].notes, note))
    return found


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


def _runs(document: object) -> list[tuple[str, object]]:
    """The runs in it, by name: at least one, which may be the document itself."""
    if isinstance(document, list):
        wrapped = [item for item in document if isinstance(item, dict) and _is_run(item)]
        if wrapped:
            return [(_called(item) or f"run {i}", item["history"]) for i, item in enumerate(wrapped, start=1)]
    if isinstance(document, dict):
        if _is_run(document):
            return [("", document["history"])]
        by_name: list[tuple[str, object]] = [
            (name, value) for name, value in document.items() if isinstance(value, list) and _is_log(value)
        ]
        if by_name:
            return by_name
    return [("", document)]


def _is_run(item: Mapping[str, object]) -> bool:
    history = item.get("history")
    return isinstance(history, dict) or (isinstance(history, list) and _is_log(history))


def _is_log(items: list[object]) -> bool:
    """Whether the items are epochs: one of the first is an object with a name that we know."""
    return any(names.is_known(name) for item in items[:5] if isinstance(item, dict) for name, _ in flat(item))


def _called(item: Mapping[str, object]) -> str:
    said = (item[key] for key in CALLED if isinstance(item.get(key), str | float))
    return next((f"run {name:.10g}" if isinstance(name, float) else str(name) for name in said), "")


def _table(document: object) -> Table:
    if isinstance(document, list):
        items = [(i, item) for i, item in enumerate(document, start=1) if isinstance(item, dict)]
        skipped = len(document) - len(items)
        notes = [f"{skipped} items of the list are no object and are left out"] if skipped else []
        return from_records([item for _, item in items], [i for i, _ in items], place="item", notes=notes)
    if not isinstance(document, dict):
        raise Unreadable('a list for each series is needed, as in {"loss": [2.3, 1.9], "val_loss": [2.2, 2.0]}')
    columns, rows = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        header = unique([str(column) for column in columns])
        records = [dict(zip(header, row, strict=False)) for row in rows]
        return from_records(records, range(1, len(records) + 1), place="item")
    lists = {name: value for name, value in flat(document) if isinstance(value, LISTS)}
    return from_lists(lists) if lists else from_records([document], [1], place="item")
