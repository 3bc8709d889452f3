"""Training logs become runs: `read` finds the format by content, `expand` finds the logs in a folder.

A format is a module of this package with a `NAME`, `sniff(text)` and `parse(text) -> Table`; a new one is one file and
one line in `FORMATS`. Which logged name means which series stands in `names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from detectors.readers import delimited, json_document, json_lines
from detectors.readers.assemble import to_run
from detectors.readers.source import expand, load, title
from detectors.readers.table import Table, Unreadable, show
from detectors.vocabulary import BadRun, Run

__all__ = ["FORMATS", "Format", "Unreadable", "expand", "read"]


class Format(Protocol):
    """What a module has to offer to be a format."""

    NAME: str

    def sniff(self, text: str) -> bool:
        """Whether `text` looks like this format; fast, for it sees the whole file."""

    def parse(self, text: str) -> Table:
        """The table in `text`, or `Unreadable` with the line at fault, the reason and the way out."""


FORMATS: tuple[Format, ...] = (  # the first that recognises a file reads it
    json_lines,
    json_document,
    delimited,
)


def read(path: str | Path, *, format: str | None = None, mapping: Mapping[str, str] | None = None) -> list[Run]:
    """The runs in the log at `path` (one, in every format so far); `-` reads standard input.

    `format` is a name in FORMATS, found by content where it is None. `mapping` says which column is which series, as in
    {"val_loss": "my metric"}, and overrules the table of names; "epoch" is the axis. What had to be decided, and what
    was left out, is in the notes of the run. `Unreadable` is the only error.
    """
    source = str(path)
    try:
        text, notes = load(source)
        table = _format(text, format).parse(text)
        table = replace(table, notes=(*notes, *table.notes))
        return [to_run(table, name=title(source), source=source, mapping=mapping)]
    except (Unreadable, BadRun) as error:
        raise Unreadable(" ".join(f"{source}: {error}".splitlines())) from None


def _format(text: str, name: str | None) -> Format:
    for format in FORMATS:
        if name == format.NAME or (name is None and format.sniff(text)):
            return format
    formats = ", ".join(format.NAME for format in FORMATS)
    if name is not None:
        raise Unreadable(f"no format is called {show(name)}. There are {formats}")
    line = next(line for line in text.split("\n") if line.strip())
    raise Unreadable(
        f"this is no log in a format that we know ({formats}). It begins {show(line)}; make it a CSV with a header"
    )
