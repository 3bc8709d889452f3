"""Where the header of a delimited file stands, and how its lines fall into cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count, islice, takewhile

from detectors.readers import names
from detectors.readers.cells import number
from detectors.readers.table import WIDEST

__all__ = ["Header", "find", "headless", "repeated", "split", "trimmed", "unique"]

DELIMITERS = ("\t", ";", ",")
CHATTER = 200  # a header stands in the first so many lines
FIRST = 1 << 20  # and ends within the first so many characters: those of a thousand runs side by side
BELOW = 20  # one of the first so many lines below a header has as many cells


@dataclass(frozen=True)
class Header:
    """Where the header stands, where the text below it starts, and what it says."""

    line: int
    end: int
    delimiter: str
    columns: tuple[str, ...]


@lru_cache(maxsize=2)  # a log is asked whether it has one, and then where
def find(text: str) -> Header | None:
    """The first line of names that we know, else the first line of names with a line of as many numbers below it."""
    lines = [(n, end, line) for n, end, line in takewhile(_near, islice(_lines(text), CHATTER)) if line.strip()]
    data = [(n, end, line) for n, end, line in lines if not line.lstrip().startswith("#")]
    named: list[tuple[str, list[str]]] = []  # found as far as needed: mostly the first line is the header
    for known in (True, False):
        for i, (n, end, row) in enumerate(data):
            if i == len(named):
                named.append(_columns(row))
            delimiter, columns = named[i]
            if _is_header(columns, [row for _, _, row in data[i + 1 : i + 1 + BELOW]], delimiter, known):
                return Header(n, end, delimiter, unique(columns))
    for n, end, line in reversed(lines):  # numpy.savetxt comments its header out
        delimiter, columns = _columns(line.lstrip(" #"))
        if data and n < data[0][0] and _score(columns) and _fits(data[0][2], delimiter, len(columns)):
            return Header(n, end, delimiter, unique(columns))
    return None


def repeated(cells: Sequence[str], before: Sequence[str]) -> tuple[str, ...] | None:
    """The columns, if a line is a header again: half of its names stand in the one before, or are known."""
    if _numbers(cells):
        return None
    columns = _named(cells)
    there = frozenset(before)
    again = sum(name in there or names.is_known(name) for name in columns)
    alike = again and 2 * again >= len(columns) and (len(columns) > 1 or len(before) == 1)
    return unique(columns) if alike else None


def headless(text: str) -> int | None:
    """The number of the first line, if it holds nothing but numbers between delimiters."""
    for n, _, line in islice(_lines(text), CHATTER):
        if line.strip() and not line.lstrip().startswith("#"):
            rows = [trimmed(split(line, delimiter), 1) for delimiter in DELIMITERS if delimiter in line]
            return n if any(all(number(cell) is not None for cell in cells) for cells in rows) else None
    return None


def split(line: str, delimiter: str) -> list[str]:
    """The cells of a line; a delimiter within double quotes belongs to its cell."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a cell longer than the limit of that module
        return []


def trimmed(cells: Sequence[str], width: int) -> list[str]:
    """`cells` without the empty ones beyond `width`, which trailing delimiters leave."""
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    return list(cells[:end])


def unique(columns: Sequence[str]) -> tuple[str, ...]:
    """Names without repetition: an empty one is its position, a second `loss` carries it, as in `loss (5)`."""
    found: dict[str, None] = {}
    for position, name in enumerate(columns, start=1):
        plain = name or f"column {position}"
        spellings = chain((plain,), (f"{plain} ({k})" for k in count(position)))
        found[next(spelling for spelling in spellings if spelling not in found)] = None
    return tuple(found)


def _columns(line: str) -> tuple[str, list[str]]:
    """The delimiter that makes most known names of a line, else most names, and these."""
    splits = [(d, _named(split(line, d)) if line.count(d) < WIDEST else []) for d in DELIMITERS]
    return max(splits, key=lambda found: (_score(found[1]), len(found[1])))


def _is_header(columns: Sequence[str], below: Sequence[str], delimiter: str, known: bool) -> bool:
    if _numbers(columns):
        return False
    if not known:
        return len(columns) > 1 and bool(below) and _fits(below[0], delimiter, len(columns))
    # two known names on one line are no chance; one is, unless the lines below agree
    score = _score(columns)
    return score > 1 or (score == 1 and (not below or any(_fits(row, delimiter, len(columns)) for row in below)))


def _near(found: tuple[int, int, str]) -> bool:
    """Whether a line ends near enough to the start to be a header."""
    return found[1] <= FIRST


def _fits(row: str, delimiter: str, width: int) -> bool:
    cells = trimmed(split(row, delimiter), width)
    return len(cells) == width and _numbers(cells)


def _numbers(cells: Sequence[str]) -> bool:
    return any(cell.strip() and number(cell) is not None for cell in cells)


def _score(columns: Sequence[str]) -> int:
    return sum(map(names.is_known, columns))


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Number, end and content of each line."""
    start = 0
    for n in count(1):
        if start >= len(text):
            return
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield n, end + 1, text[start:end]
        start = end + 1


def _named(cells: Sequence[str]) -> list[str]:
    return [name.strip() for name in trimmed(cells, 1)]
