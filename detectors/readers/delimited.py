"""A header and rows of cells between commas, semicolons or tabs: CSV and TSV, quoted or not, tidy or not.

One line is one row, so that a stray quote or a broken line costs that line alone. Lines that begin with # are comments;
whatever stands before the header is chatter; a further header in the middle (runs appended to one file, columns that
changed) says how to read the lines below it. numpy parses blocks of clean lines; a block with anything else in it is
read line by line. The file is never held whole: see `stack` for what happens to one of a gigabyte.

The `log.txt` of the CIFAR repositories is written by the tests as their Logger does, for those run on old versions of
torch alone; real ones are read where CURVESENSE_LOGS names them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from detectors.readers import headers
from detectors.readers.source import Source
from detectors.readers.stack import Stack
from detectors.readers.table import Odd, Table, Unreadable, floats

__all__ = ["NAME", "parse", "sniff"]

NAME = "delimited"
DIGITS = frozenset("0123456789+-.")
SHOWN = 6  # repeated headers, of which the last is not named
BLOCK = 1 << 17  # characters that numpy parses at once: one odd cell makes so many characters slow


@dataclass
class Reading:
    """What has been read so far, and what had to be left out."""

    columns: tuple[str, ...]
    stack: Stack = field(default_factory=Stack)
    headers: list[int] = field(default_factory=list)  # the first lines that are a header again
    ragged: int = 0  # lines that do not fit the header
    first_ragged: tuple[int, int] = (0, 0)  # the first of them, and its cells
    last_ragged: tuple[int, int] = (0, 0)

    def add_cells(self, rows: list[list[str]], lines: list[int]) -> None:
        """Append rows of text."""
        if not rows:
            return
        values = np.empty((len(rows), len(self.columns)))
        odd: dict[str, Odd] = {}
        for j, (name, cells) in enumerate(zip(self.columns, zip(*rows, strict=True), strict=True)):
            values[:, j], odd[name] = floats(cells)
        self.stack.add(self.columns, values, np.array(lines), odd)

    def leave_out(self, line: int, cells: int) -> None:
        """Count a line that does not fit."""
        self.first_ragged = self.first_ragged if self.ragged else (line, cells)
        self.last_ragged = line, cells
        self.ragged += 1


def sniff(source: Source) -> bool:
    """Whether one of the first lines is a header, or numbers between delimiters stand there without one."""
    return headers.find(source.start) is not None or headers.headless(source.start) is not None


def parse(source: Source) -> list[Table]:
    """The table below the header."""
    return [table(source.blocks())]


def table(blocks: Iterable[str]) -> Table:
    """The table below the header in `blocks` of whole lines, of which the first holds the header."""
    blocks = iter(blocks)
    start = next(blocks, "")
    header = headers.find(start)
    if header is None:
        where = f"line {bare}: " if (bare := headers.headless(start)) else ""
        raise Unreadable(f"{where}there is no header. Put one on top, such as epoch,train_loss,val_loss")
    reading = Reading(header.columns)
    line, block = header.line + 1, "\n"
    for block in chain(_pieces(start, header.end), (piece for more in blocks for piece in _pieces(more, 0))):
        values = _clean(block, header.delimiter, len(reading.columns))
        if values is not None:
            reading.stack.add(reading.columns, values, np.arange(line, line + len(values)))
        else:
            _read_lines(block, line, header.delimiter, reading)
        line += block.count("\n")
    if not reading.stack.rows:
        cause = ""
        if reading.ragged:
            n, cells = reading.first_ragged
            cause = f": line {n} has {cells} cells, the header has {len(reading.columns)}"
        raise Unreadable(f"line {header.line} is a header, but no row fits below it{cause}")
    return reading.stack.table(notes=_notes(reading, last=line - block.endswith("\n")))


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
                reading.headers = [*reading.headers, n][:SHOWN]
                continue
        if len(cells) != len(reading.columns):
            cells = headers.trimmed(cells, len(reading.columns))
        if len(cells) == len(reading.columns):
            rows.append(cells)
            lines.append(n)
        else:
            reading.leave_out(n, len(cells))
    reading.add_cells(rows, lines)


def _notes(reading: Reading, last: int) -> list[str]:
    """What to say about lines that are no rows; `last` is the number of the last line."""
    notes = []
    if reading.headers:
        lines = ", ".join(map(str, reading.headers[: SHOWN - 1])) + (" ..." if len(reading.headers) == SHOWN else "")
        notes.append(f"the header comes again in line {lines}: runs were appended, which are read as one")
    ragged, width = reading.ragged, len(reading.columns)
    n, cells = reading.last_ragged
    if ragged and n == last and cells < width:
        notes.append(f"line {last}, the last one, is cut off ({cells} of {width} cells) and left out")
        ragged -= 1
    if ragged:
        n, cells = reading.first_ragged
        notes.append(f"lines that do not fit the header are left out: {ragged}, the first is line {n} ({cells} cells)")
    return notes


def _pieces(block: str, start: int) -> Iterator[str]:
    """`block` from `start` in pieces of whole lines, of which numpy parses each at once."""
    while start < len(block):
        end = block.find("\n", start + BLOCK) + 1 or len(block)
        yield block[start:end]
        start = end
