"""Training logs become runs: `read` finds the format by content, `expand` finds the logs in a folder.

A format is a module of this package with a `NAME`, `sniff(source) -> bool` and `parse(source) -> list[Table]`, a table
a run; a new one is one file and one line in `FORMATS`. A `Source` offers what a format asks for: `text`, the first
bytes (`head`), a stream (`open`), the `entries` of a folder. A format that reads several files of a folder as one log
says which ones by `members(folder)`. Which logged name means which series stands in `names`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from detectors.readers import (
    data_set,
    delimited,
    json_document,
    json_lines,
    memory,
    mlflow,
    parquet,
    split,
    tensorboard,
    trainer_state,
    tree,
    wandb,
    wandb_export,
)
from detectors.readers.assemble import to_run
from detectors.readers.source import Source
from detectors.readers.table import NoLog, Table, Unreadable, show
from detectors.vocabulary import BadRun, Run

__all__ = ["FORMATS", "Format", "NoLog", "Unreadable", "expand", "read"]


class Format(Protocol):
    """What a module has to offer to be a format, `members(folder: Source) -> frozenset[str]` apart."""

    NAME: str

    def sniff(self, source: Source) -> bool:
        """Whether `source` looks like this format; `Unreadable` counts as no."""

    def parse(self, source: Source) -> list[Table]:
        """The tables in `source`, one a run, or `Unreadable` with the line at fault, the reason and the way out."""


FORMATS: tuple[Format, ...] = (  # the first that recognises a source reads it
    tensorboard,
    mlflow,
    wandb,
    data_set,
    parquet,
    wandb_export,
    json_lines,
    trainer_state,
    json_document,
    delimited,
)


def read(
    log: str | Path | memory.Data, *, format: str | None = None, mapping: Mapping[str, str] | None = None
) -> list[Run]:
    """The runs in a log: the path of a file or folder, `-` for standard input, or what is in memory already.

    In memory it may be a frame of pandas or Polars, a `History` of Keras, a dict with a list a series, a list with a
    dict an epoch (`trainer.state.log_history`). A folder is everything below it. A table with several runs has a column
    that tells them apart: `run`, `run_id`, `run_name` or `seed`; runs that differ by their seed share a `group`.

    `format` is a name in FORMATS, found by content where it is None. `mapping` says which column is which series, as in
    {"val_loss": "my metric"}, and overrules the table of names; "epoch" is the axis. What had to be decided, and what
    was left out, is in the notes of the run. `Unreadable` is the only error.
    """
    origin = str(log) if isinstance(log, str | os.PathLike) else memory.origin(log)
    try:
        if not isinstance(log, str | os.PathLike):
            if format is not None:
                raise Unreadable(f"format={show(format)} is for files. Leave it out")
            title = memory.title(log)
            return _runs(memory.tables(log, title), mapping, title, origin)
        source = Source(origin)
        if source.is_folder and format is None and not _members(source):
            return _below(source, mapping)
        tables = _format(source, format).parse(source)
        tables = [replace(table, notes=(*source.notes, *table.notes)) for table in tables]
        return _runs(tables, mapping, source.title, source.path)
    except (Unreadable, BadRun) as error:
        kind = NoLog if isinstance(error, NoLog) else Unreadable
        raise kind(" ".join(f"{origin}: {error}".splitlines())) from None


def expand(paths: Iterable[str | Path]) -> list[Path]:
    """The logs that `paths` name, and below each folder the files that may be logs and the folders that are one.

    They come in order of name. Nothing is opened or raised: what does not exist stays in the list, for `read` to say
    so. A folder that is reached twice (a link to its parent) counts once.
    """
    return tree.logs(paths, _members)


def _members(folder: Source) -> frozenset[str]:
    """The entries of `folder` that formats read together, empty where it is just a folder."""
    return frozenset().union(*(format.members(folder) for format in FORMATS if hasattr(format, "members")))


def _below(folder: Source, mapping: Mapping[str, str] | None) -> list[Run]:
    runs: list[Run] = []
    failures: list[str] = []
    for path in expand([folder.path]):
        try:
            runs += read(path, mapping=mapping)
        except Unreadable as error:
            failures.append(str(error))
    if not runs:
        raise Unreadable(failures[0] if failures else "there is no log in this folder")
    return _noting(runs, failures, "logs of this folder")


def _runs(tables: Sequence[Table], mapping: Mapping[str, str] | None, title: str, origin: str) -> list[Run]:
    """A run a table, or several; those that cannot become one are left out, unless there is no other."""
    runs: list[Run] = []
    failures: list[str] = []
    kind: type[Unreadable] = NoLog  # unless one of them is a log
    for table in (part for whole in tables for part in split.by_run(whole, title, (mapping or {}).values())):
        name = table.name or title
        try:
            run = to_run(table, name=name, mapping=mapping)
            runs.append(replace(run, source=origin, group=table.group))
        except (Unreadable, BadRun) as error:
            failures.append(f"{show(name)}: {error}" if table.name else str(error))
            kind = kind if isinstance(error, NoLog) else Unreadable
    if not runs:
        raise kind(failures[0]) if failures else Unreadable("there is no run in it")
    return _noting(runs, failures, "runs of this log")


def _noting(runs: list[Run], failures: list[str], what: str) -> list[Run]:
    if failures:
        note = f"{what} that cannot be read are left out: {len(failures)}, the first is {failures[0]}"
        runs[0] = replace(runs[0], notes=(*runs[0].notes, note))
    return runs


def _format(source: Source, name: str | None) -> Format:
    for format in FORMATS:
        if name == format.NAME or (name is None and _sniffs(format, source)):
            return format
    formats = ", ".join(format.NAME for format in FORMATS)
    if name is not None:
        raise Unreadable(f"no format is called {show(name)}. There are {formats}")
    line = next((line for line in source.start.split("\n") if line.strip()), "")  # what is no text says so here
    raise NoLog(
        f"this is no log in a format that we know ({formats}). It begins {show(line)}; make it a CSV with a header"
    )


def _sniffs(format: Format, source: Source) -> bool:
    try:
        return format.sniff(source)
    except Unreadable:
        return False
