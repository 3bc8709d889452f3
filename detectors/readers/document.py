"""A document of lists and objects becomes tables: a list a series, an object an epoch, or several runs of either.

Several runs are a list with a history a run (`[{"name": "a", "history": [...]}]`) or an object with a list of epochs a
name (`{"a": [{"epoch": 1, ...}]}`), or a list with the series of a run an item (`[{"name": "a", "val_loss": [...]}]`).
An object of `columns` and `data` is a table of Weights & Biases, or pandas' "split". A single run may be wrapped in the
same ways.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from detectors.readers import frames, names
from detectors.readers.headers import unique
from detectors.readers.lists import from_lists
from detectors.readers.records import flat, from_records
from detectors.readers.table import Table, Unreadable, show

__all__ = ["decoded", "is_run", "tables"]

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


def tables(document: object, title: str) -> list[Table]:
    """The tables in a document as `json` makes it; lists may be arrays of shape (epochs,).

    `title` is what its runs are called where they have no name.
    """
    if isinstance(document, list) and any(is_run(item) for item in document[:1]):
        keys = dict.fromkeys(key for item in document if isinstance(item, dict) for key in item)
        items = [item for item in document if isinstance(item, dict)]
        return frames.tables({key: [item.get(key) for item in items] for key in keys}, title)
    if isinstance(document, dict):
        lists = {name: cells for name, cells in document.items() if isinstance(cells, LISTS)}
        if any(
            isinstance(cell, LISTS) for name, cells in lists.items() if names.is_measured(name) for cell in cells[:1]
        ):
            rows = max(map(len, lists.values()))
            return frames.tables({name: cells for name, cells in lists.items() if len(cells) == rows}, title)
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


def is_run(item: object) -> bool:
    """Whether `item` is an object with the whole of a series, as a row of a data set of runs is."""
    pairs = item.items() if isinstance(item, dict) else ()
    return any(isinstance(cells, LISTS) and names.is_measured(name) for name, cells in pairs)


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
