"""A table becomes a run: which column is which series, in which unit, on which axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, count

import numpy as np

from detectors.condense import last, means
from detectors.readers import cells, names, totals
from detectors.readers.table import NoLog, Table, Unreadable, listing, show
from detectors.vocabulary import Run

__all__ = ["to_run"]

PERCENT = 1.5  # accuracies and error rates that get above this are in percent
SEVERAL = 1.5  # values of a series an epoch, above which the axis is the step
JUDGES = ("val_loss", "val_accuracy", "train_loss", "train_accuracy")  # the first that there is decides on that

Columns = dict[str, np.ndarray]  # values of shape (rows,) by the name in the file


def to_run(table: Table, *, name: str, mapping: Mapping[str, str] | None = None) -> Run:
    """The run that `table` holds; what had to be decided stands in its notes."""
    if not len(table.lines) or not table.columns:
        raise Unreadable("it has no rows of named values")
    mapped = {series: _find(column, table.columns) for series, column in (mapping or {}).items()}
    rates = {column for column in table.columns if _series(column) == "learning_rate"}
    columns, said, failed = cells.resolve(table, rates | {mapped.get("learning_rate", "")})
    for wanted, column in mapped.items():
        if np.isnan(columns[column]).all():
            raise Unreadable(f"column {show(column)}, mapped to {wanted}, has no number in it")
    notes = [*table.notes, *said, *totals.add(columns)]

    roles = _roles(columns, mapped, notes)
    if not roles.keys() - {"learning_rate"} and not (roles and any(map(names.is_axis, columns))):
        raise NoLog(f"no column is one that we know. It has {listing(columns)}. Map one: --map val_loss=NAME")
    axis = _axis(columns, roles, mapped.get("epoch"), notes)
    series = _fractions(columns, roles, notes)

    others = [column for column in columns if column not in roles.values() and column != axis]
    empty = [column for column in others if np.isnan(columns[column]).all()]
    if empty:
        notes.append(f"columns without a number are left out: {listing(empty)}")
    notes += [note for column, note in failed.items() if column not in empty]
    for column in others:
        if column not in empty:
            series[_own(column, series)] = columns[column]

    rows = len(table.lines)
    epochs = columns[axis] if axis else np.arange(1.0, rows + 1)
    epochs, series = _in_order(epochs, series, table, notes)
    return Run(epochs=epochs, series=series, name=name, notes=tuple(notes))


def _find(column: str, columns: Iterable[str]) -> str:
    """The column of that name, or of a name that differs in spelling only."""
    near = [there for there in columns if there == column] or [
        c for c in columns if names.snake(c) == names.snake(column)
    ]
    if not near:
        raise Unreadable(f"no column is called {show(column)}. There are {listing(columns)}")
    return near[0]


def _series(column: str) -> str | None:
    meaning = names.lookup(column)
    return meaning.series if meaning else None


def _roles(columns: Columns, mapped: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """The column of each series: the mapped one, else the best by the table of names."""
    roles = {series: column for series, column in mapped.items() if series != "epoch"}
    candidates: dict[str, list[tuple[bool, tuple[int, ...], str]]] = {}
    for column in columns:
        meaning = names.lookup(column)
        if meaning is not None and column not in mapped.values():
            few = int(np.isfinite(columns[column]).sum()) < 2
            candidates.setdefault(meaning.series, []).append((few, meaning.rank, column))
    for series, ranked in candidates.items():
        ranked.sort(key=lambda candidate: candidate[:2])  # stable: the first in the file of equal ones
        roles.setdefault(series, ranked[0][2])
        rest = [column for _, _, column in ranked if column != roles[series]]
        if rest:
            notes.append(f"{series} is column {show(roles[series])}; kept beside it: {listing(rest)}")
    bare, loss = (names.lookup(roles.get(series, "")) for series in ("train_accuracy", "train_loss"))
    told = {"train_accuracy", "val_accuracy"} & {*mapped, *(roles.keys() - {"train_accuracy"})}
    if bare and not bare.sided and loss and loss.sided and not told:
        whose, other = "training", "val"
        if "val_loss" in roles:  # fastai names both losses, and measures on the validation set alone
            whose, other = "validation", "train"
            roles["val_accuracy"] = roles.pop("train_accuracy")
        column = show(roles.get("val_accuracy") or roles["train_accuracy"])
        notes.append(f"column {column} counts as {whose}; if it is not: --map {other}_accuracy={column}")
    return {series: roles[series] for series in (*names.CANONICAL, *roles) if series in roles}


def _axis(columns: Columns, roles: Mapping[str, str], mapped: str | None, notes: list[str]) -> str | None:
    """The column to use as the axis, None for the rows themselves."""
    if mapped:
        return mapped
    taken = set(roles.values())
    found = []
    for spellings in (names.EPOCHS, names.STEPS):
        these = [c for c in columns if names.snake(c) in spellings and c not in taken and np.isfinite(columns[c]).any()]
        found.append(min(these, key=lambda c: spellings.index(names.snake(c)), default=None))
    epoch, step = found
    if not epoch and not step:
        notes.append("there is no column of epochs: rows are counted from 1")
    if not epoch or not step:
        return epoch or step
    there = np.isfinite(columns[epoch])
    if 2 * np.count_nonzero(there) < np.count_nonzero(np.isfinite(columns[step])):
        notes.append(f"the axis is column {show(step)}: most rows have no {show(epoch)}")
        return step
    gaps = ~there & np.isfinite(columns[step])  # Lightning's learning rates: logged before the epoch's other series
    following = np.minimum.accumulate(np.where(there, np.arange(len(there)), len(there))[::-1])[::-1]
    gaps &= following < len(there)
    if gaps.any():
        columns[epoch] = np.where(gaps, columns[epoch][np.where(gaps, following, 0)], columns[epoch])
        notes.append(
            f"rows with {show(step)} but no {show(epoch)} belong to the epoch of the row below: {int(gaps.sum())}"
        )
        there |= gaps
    logged = (roles[series] for series in JUDGES if series in roles)
    judge = next((column for column in logged if not np.isnan(columns[column]).all()), None)
    if judge:
        there &= ~np.isnan(columns[judge])
        stretches = 1 + np.count_nonzero(np.diff(columns[epoch][there]))
        if np.count_nonzero(there) > SEVERAL * stretches:
            notes.append(f"the axis is column {show(step)}: {show(judge)} has several values an epoch")
            return step
    return epoch


def _fractions(columns: Columns, roles: dict[str, str], notes: list[str]) -> dict[str, np.ndarray]:
    """The series of `roles`, accuracies in 0..1; what cannot be an accuracy loses its role."""
    series = {key: columns[column] for key, column in roles.items()}
    sides = [key for key in ("train_accuracy", "val_accuracy") if key in roles]
    meanings = {key: names.lookup(roles[key]) for key in sides}
    error = {key: meaning is not None and meaning.error for key, meaning in meanings.items()}
    top = {key: float(np.max(series[key], where=np.isfinite(series[key]), initial=0.0)) for key in sides}
    percent = {key: top[key] > PERCENT or "%" in roles[key] for key in sides}
    if len(sides) == 2 and error[sides[0]] == error[sides[1]] and percent[sides[0]] != percent[sides[1]]:
        low, high = sorted(sides, key=lambda key: top[key])
        # 1.2 beside 60 can only be percent; 0.9 is the nearer to 2.1 as percent, and 0.97 to 65 as a fraction
        percent[low] = percent[low] or top[low] > 1 + 1e-6 or top[low] > top[high] / 10
    for key in sides:
        values, column = series[key], roles[key]
        bottom = float(np.min(values, where=np.isfinite(values), initial=0.0))
        if bottom < 0 or top[key] > 105:
            reach = f"{bottom:.10g}" if bottom < 0 else f"{top[key]:.10g}"
            notes.append(f"column {show(column)} is no accuracy (it reaches {reach}) and is kept under its own name")
            del series[key], roles[key]
            continue
        fraction = values / 100 if percent[key] else values
        series[key] = 1 - fraction if error[key] else fraction
        if percent[key] or error[key]:
            formula = ("1 - " if error[key] else "") + show(column) + (" / 100" if percent[key] else "")
            kind = " in ".join([*["error rate"] * error[key], *["percent"] * percent[key]])
            notes.append(f"{key} = {formula} ({kind})")
    return series


def _own(column: str, taken: Mapping[str, object]) -> str:
    """The name under which an unknown column is kept: its own in snake case, with a number where that is taken."""
    plain = names.snake(column) or "column"
    spellings = chain((plain,), (f"{plain}_{k}" for k in count(2)))
    return next(key for key in spellings if key not in taken and key not in names.CANONICAL)


def _in_order(
    epochs: np.ndarray, series: dict[str, np.ndarray], table: Table, notes: list[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One row an epoch, increasing: neighbours of one epoch are put together, of those further apart the later wins."""
    there = np.isfinite(epochs)
    if not there.any():
        raise Unreadable("the column of epochs has no number in it")
    if not there.all():
        lost = np.flatnonzero(~there)
        where = f"{table.place} {table.lines[lost[0]]}"
        notes.append(f"rows without an epoch are left out: {len(lost)}, the first is {where}")
        epochs, series = epochs[there], {key: values[there] for key, values in series.items()}
    if (np.diff(epochs) > 0).all():
        return epochs, series

    rows = len(epochs)
    starts = np.flatnonzero(np.append(True, np.diff(epochs) != 0))
    if len(starts) < rows:
        steps = _by_step(series, starts)
        series = {key: (means if key in steps else last)(values, starts) for key, values in series.items()}
        epochs = epochs[starts]
        notes.append(f"{rows} rows hold {len(epochs)} epochs: the last value that each epoch has of a series is kept")
        notes += [f"{key} has several values an epoch: their mean is kept" for key in steps]
    ordered, latest = np.unique(epochs[::-1], return_index=True)
    keep = len(epochs) - 1 - latest
    if (np.diff(epochs) < 0).any():
        again = len(epochs) - len(ordered)
        resumed = f"; of {again} that come again (a resumed run?) the later one in the file is kept" if again else ""
        notes.append(f"epochs do not increase throughout and are sorted{resumed}")
    return ordered, {key: values[keep] for key, values in series.items()}


def _by_step(series: Mapping[str, np.ndarray], starts: np.ndarray) -> list[str]:
    """The series of training that have several values in most stretches where validation has one: of minibatches."""

    def held(key: str) -> np.ndarray:
        return np.add.reduceat(~np.isnan(series[key]), starts, dtype=int)

    once = [key for key in ("val_loss", "val_accuracy") if key in series and (held(key) > 0).any()]
    if not once or (held(once[0]) > 1).any():
        return []
    trained = [key for key in ("train_loss", "train_accuracy") if key in series]
    return [key for key in trained if 2 * np.count_nonzero(held(key) > 1) > np.count_nonzero(held(key))]
