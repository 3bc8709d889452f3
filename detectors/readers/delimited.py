"""A header and rows of cells between commas, semicolons or tabs: CSV and TSV, quoted or not, tidy or not.

One line is one row, so that a stray quote or a broken line costs that line alone. Lines that begin with # are comments;
whatever stands before the header is chatter; a further header in the middle (runs appended to one file, columns that
changed) says how to read the lines below it. numpy parses blocks of clean lines; a block with anything else in it is
read line by line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from detectors.readers import headers
from detectors.readers.source import Source
from detectors.readers.table import Odd, Table, Unreadable, bounded, floats

__all__ = ["NAME", "parse", "sniff"]

NAME = "delimited"
DIGITS = frozenset("0123456789+-.")
BLOCK = 1 << 17  # characters that numpy parses at once: one odd cell makes so many characters slow


@dataclass
class Reading:
    """What has been read so far, a block of rows at a time, and what had to be left out."""

    columns: tuple[str, ...]
    blocks: list[tuple[tuple[str, ...], np.ndarray, np.ndarray]] = field(default_factory=list)  # columns, values, lines
    odd: dict[str, Odd] = field(default_factory=dict)
    rows: int = 0
    headers: list[int] = field(default_factory=list)
    ragged: list[tuple[int, int]] = field(default_factory=list)  # line, cells

    def add(self, values: np.ndarray, lines: np.ndarray) -> None:
        """Append rows, `values` of shape (rows, columns)."""
        self.blocks.append((self.columns, values, lines))
        self.rows += len(values)

    def add_cells(self, rows: list[list[str]], lines: list[int]) -> None:
        """Append rows of text."""
        if not rows:
            return
        values = np.empty((len(rows), len(self.columns)))
        for j, (name, cells) in enumerate(zip(self.columns, zip(*rows, strict=True), strict=True)):
            values[:, j], odd = floats(cells)
            if odd:
                self.odd.setdefault(name, []).extend((self.rows + row, cell) for row, cell in odd)
        self.add(values, np.array(lines))


def sniff(source: Source) -> bool:
    """Whether one of the first lines is a header, or numbers between delimiters stand there without one."""
    return headers.find(source.text) is not None or headers.headless(source.text) is not None


def parse(source: Source) -> list[Table]:
    """The table below the header."""
    return [table(source.text)]


def table(text: str) -> Table:
    """The table below the header in `text`."""
    header = headers.find(text)
    if header is None:
        where = f"line {bare}: " if (bare := headers.headless(text)) else ""
        raise Unreadable(f"{where}there is no header. Put one on top, such as epoch,train_loss,val_loss")
    reading = Reading(header.columns)
    line = header.line + 1
    for block in _blocks(text, header.end):
        values = _clean(block, header.delimiter, len(reading.columns))
        if values is not None:
            reading.add(values, np.arange(line, line + len(values)))
        else:
            _read_lines(block, line, header.delimiter, reading)
        line += block.count("\n")
    if not reading.rows:
        cause = ""
        if reading.ragged:
            n, cells = reading.ragged[0]
            cause = f": line {n} has {cells} cells, the header has {len(reading.columns)}"
        raise Unreadable(f"line {header.line} is a header, but no row fits below it{cause}")
    return _table(reading, last=line if not text.endswith("\n") else line - 1)


def _clean(block: str, delimiter: str, width: int) -> np.ndarray | None:
    """The values of a block that holds nothing but plain numbers and empty cells, shape (lines, width); else None."""
    if not block.strip():
        return None
    filled = "\n" + block if block.endswith("\n") else f"\n{block}\n"
    if filled[1 : filled.index("\n", 1)].count(delimiter) == width:  # each line ends in a delimiter
        filled = filled.replace(delimiter + "\n", "\n")
    filled = filled.replace("\n" + delimiter, "\nnan" + delimiter).replace(delimiter + "\n", delimiter + "nan\n")
    while delimiter * 2 in filled:  # twice at most: a pass leaves every other empty cell of a row of them
        filled = filled.replace(delimiter * 2, f"{delimiter}nan{delimiter}")
    try:
        values = np.loadtxt(io.StringIO(filled[1:]), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        return None
    same = values.shape == (filled.count("\n") - 1, width)  # loadtxt skips empty lines, which would shift the others
    return values if same else None


def _read_lines(block: str, first: int, delimiter: str, reading: Reading) -> None:
    """Read `block`, whose first line has the number `first`, line by line."""
    rows: list[list[str]] = []
    lines: list[int] = []
    for n, line in enumerate(block.split("\n"), start=first):
        cells = headers.split(line, delimiter)
        if line[:1] not in DIGITS:  # no row, unless its first cell is odd
            start = line.lstrip()
            if not start or start.startswith("#"):
                continue
            if again := headers.repeated(cells, reading.columns):
                reading.add_cells(rows, lines)
                rows, lines = [], []
                reading.columns = again
                reading.headers.append(n)
                continue
        if len(cells) != len(reading.columns):
            cells = headers.trimmed(cells, len(reading.columns))
        if len(cells) == len(reading.columns):
            rows.append(cells)
            lines.append(n)
        else:
            reading.ragged.append((n, len(cells)))
    reading.add_cells(rows, lines)


def _table(reading: Reading, last: int) -> Table:
    found = dict.fromkeys(name for header, _, _ in reading.blocks for name in header)
    bounded(reading.rows, len(found))
    columns = {name: np.full(reading.rows, np.nan) for name in found}
    end = 0
    for header, values, _ in reading.blocks:
        start, end = end, end + len(values)
        for j, name in enumerate(header):
            columns[name][start:end] = values[:, j]
    notes = []
    if reading.headers:
        lines = ", ".join(map(str, reading.headers[:5])) + (" ..." if len(reading.headers) > 5 else "")
        notes.append(f"the header comes again in line {lines}: runs were appended, which are read as one")
    ragged = reading.ragged
    width = len(reading.columns)
    if ragged and ragged[-1][0] == last and ragged[-1][1] < width:
        notes.append(f"line {last}, the last one, is cut off ({ragged.pop()[1]} of {width} cells) and left out")
    if ragged:
        n, cells = ragged[0]
        notes.append(
            f"lines that do not fit the header are left out: {len(ragged)}, the first is line {n} ({cells} cells)"
        )
    lines_of_rows = np.concatenate([lines for _, _, lines in reading.blocks])
    return Table(columns=columns, lines=lines_of_rows, odd=reading.odd, notes=tuple(notes))


def _blocks(text: str, start: int) -> Iterator[str]:
    """`text` from `start` in blocks of whole lines."""
    while start < len(text):
        end = text.find("\n", start + BLOCK) + 1 or len(text)
        yield text[start:end]
        start = end
