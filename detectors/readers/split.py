"""Which run a row belongs to: a table with a column of runs or of seeds becomes a table a run.

The columns are `run_name`, `run`, `run_id` (in any spelling) and `seed`; rows that agree in all of them are one run. A
table with about as many runs as rows is a list of results and no log of several runs: it stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.readers import names
from detectors.readers.table import Table, listing, take

__all__ = ["SEED", "by_run", "find", "labels", "text"]

NAMES = ("run_name", "run", "run_id")  # the first that differs between runs names them
SEED = "seed"


def find(columns: Collection[str]) -> dict[str, str]:
    """The columns that tell runs apart, by what they are: run_name, run, run_id, seed."""
    found: dict[str, str] = {}
    for column in columns:
        spelled = names.snake(column)
        if spelled in (*NAMES, SEED):
            found.setdefault(spelled, column)
    return found


def by_run(table: Table, title: str, mapped: Collection[str] = ()) -> list[Table]:
    """A table a run, in order of appearance, or `table` alone; columns in `mapped` hold a series and tell nothing."""
    keys = find([column for column in table.columns if column not in mapped])
    if not keys or not len(table.lines):
        return [table]
    coded = {what: _coded(table, column) for what, column in keys.items()}
    codes = np.stack([codes for codes, _ in coded.values()])
    there = np.flatnonzero((codes >= 0).any(axis=0))
    distinct, first, inverse = np.unique(codes[:, there], axis=1, return_index=True, return_inverse=True)
    runs = distinct.shape[1]
    if runs < 2 or len(there) < 2 * runs:
        return [table]
    said = {what: [texts[code] for code in distinct[i]] for i, (what, (_, texts)) in enumerate(coded.items())}
    by_code = np.argsort(inverse.ravel(), kind="stable")
    rows = np.split(there[by_code], np.cumsum(np.bincount(inverse.ravel()))[:-1])
    notes = [*table.notes, f"{runs} runs are told apart by {listing(keys.values())}"]
    if len(there) < len(table.lines):
        notes.append(f"rows that name no run are left out: {len(table.lines) - len(there)}")
    kept = {column: column for column in table.columns if column not in keys.values()}
    called = labels(said, table.name or title)
    return [
        replace(take(table, rows[i], kept), name=called[i][0], group=table.group or called[i][1], notes=tuple(notes))
        for i in np.argsort(first)
    ]


def labels(said: Mapping[str, Sequence[str]], title: str) -> list[tuple[str, str]]:
    """Name and group of each run, where `said` has what its columns say of each; no two names are the same.

    Runs that differ by their seed alone share a group: their name without the seed, or `title` where they have none.
    """
    runs = len(next(iter(said.values())))
    naming = [what for what in NAMES if what in said]
    naming.sort(key=lambda what: len(set(said[what])) == 1)  # stable: those that differ come first
    bare = [next((said[what][i] for what in naming if said[what][i]), title) for i in range(runs)]
    several = Counter(bare)
    seeds = said.get(SEED, [""] * runs)
    differ = len(set(seeds)) > 1
    found, taken = [], Counter[str]()
    for i in range(runs):
        name, group = bare[i], ""
        if several[name] > 1 and differ:
            name, group = f"{name} {seeds[i]}".rstrip(), name
        for what in naming:
            if taken[name] and said[what][i] not in name:
                name = f"{name} ({said[what][i]})"
        taken[name] += 1
        found.append((name if taken[name] == 1 else f"{name} ({taken[name]})", group))
    return found


def text(what: str, value: object) -> str:
    """What a cell says of a run: text as it is, a number with what it counts, as in `seed 3` and `run 12`."""
    if not isinstance(value, float):
        return str(value).strip()
    kind = "seed" if what == SEED else "run"
    return f"{kind} {int(value) if value.is_integer() else value}"


def _coded(table: Table, column: str) -> tuple[np.ndarray, list[str]]:
    """A number for each cell of the column, shape (rows,), -1 where it is empty, and the text of each number."""
    what = names.snake(column)
    values, odd = table.columns[column], table.odd.get(column, ())
    plain = np.flatnonzero(~np.isnan(values))
    distinct, inverse = np.unique(values[plain], return_inverse=True)
    codes = np.full(len(values), -1)
    codes[plain] = inverse.ravel()
    texts = {text(what, float(value)): None for value in distinct}
    numbers = {said: code for code, said in enumerate(texts)}
    for row, cell in odd:
        if said := text(what, cell):
            codes[row] = numbers.setdefault(said, len(numbers))
    return codes, [*numbers, ""]  # -1 is the last: no text
