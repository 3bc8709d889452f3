"""Rows that come in blocks become one table; of a log too long to hold, means of neighbouring rows are kept.

Nothing is averaged up to MOST cells (a log of four million rows has as many). Beyond, two neighbours become one, and so
on as often as needed: the last value of an axis and of the learning rate, the mean of what was logged of all else. Rows
of two runs, of two epochs that have many rows each, and from before and after a resumption are never put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from detectors.condense import last, means
from detectors.readers import cells, names, split
from detectors.readers.table import Odd, Table, Unreadable, bounded

__all__ = ["Stack"]

MOST = 1 << 24  # cells that are held: 128 MiB
HEAVY = 16  # as many cells is one that is no plain number: an object of Python
LEAST = 0.9  # a pass that leaves more than this was in vain


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of the same columns: values of shape (rows, columns), where they stand, cells that are no plain number."""

    columns: tuple[str, ...]
    values: np.ndarray
    lines: np.ndarray  # (rows,) int
    weights: np.ndarray  # (rows,) float: of how many rows of the log each is the mean
    odd: Mapping[str, Odd] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """How many cells of memory it takes."""
        return self.values.size + 2 * self.lines.size + HEAVY * sum(map(len, self.odd.values()))


class Stack:
    """Take the rows of a log block by block, and give its table."""

    def __init__(self) -> None:
        self.rows = 0  # that were added
        self._blocks: list[Block] = []
        self._cells = 0
        self._each = 1  # rows that are put together at most
        self._decimal_comma = False
        self._read: set[str] = set()  # how odd cells were read before rows were put together
        self._texts: dict[str, tuple[int, object]] = {}  # the first cell of a column that is no number: its line, it

    def add(
        self, columns: tuple[str, ...], values: np.ndarray, lines: np.ndarray, odd: Mapping[str, Odd] | None = None
    ) -> None:
        """Append rows: `values` of shape (rows, columns), `lines` of shape (rows,), and by column the `odd` cells."""
        if not len(lines):
            return
        self.rows += len(lines)
        block = Block(
            columns, values, lines, np.ones(len(lines)), {name: found for name, found in (odd or {}).items() if found}
        )
        self._keep(block if self._each == 1 else self._shorter(block, self._each))
        while self._cells > MOST:
            before, blocks = self._cells, self._blocks
            if self._each == 1:
                self._decimal_comma = cells.commas_are_decimal(chain.from_iterable(b.odd.values() for b in blocks))
                self._read |= {cells.COMMAS} if self._decimal_comma else set()
            self._each *= 2
            self._blocks, self._cells = [], 0
            for held in blocks:
                self._keep(self._shorter(held, 2))
            if self._cells > max(MOST, LEAST * before):
                raise Unreadable(
                    f"its first {self.rows} rows are too many to hold, and no neighbours are alike. Split it"
                )

    def table(self, *, place: str = "line", notes: Sequence[str] = ()) -> Table:
        """The table of all rows; names that come later are missing before."""
        rows = sum(len(block.lines) for block in self._blocks)
        found = dict.fromkeys(name for block in self._blocks for name in block.columns)
        bounded(rows, len(found))
        columns = {name: np.full(rows, np.nan) for name in found}
        odd: dict[str, Odd] = {}
        end = 0
        for block in self._blocks:
            start, end = end, end + len(block.lines)
            for j, name in enumerate(block.columns):
                columns[name][start:end] = block.values[:, j]
            for name, cells_of in block.odd.items():
                odd.setdefault(name, []).extend((start + row, cell) for row, cell in cells_of)
        lines = np.concatenate([block.lines for block in self._blocks])
        said = [*notes]
        if self._each > 1:
            said.append(f"{self.rows} rows are too many to hold: up to {self._each} neighbours are one row, their mean")
            said += sorted(self._read)
            for name, (line, cell) in self._texts.items():
                odd.setdefault(name, []).append((min(int(np.searchsorted(lines, line)), rows - 1), cell))
        return Table(columns=columns, lines=lines, odd=odd, notes=tuple(said), place=place)

    def _keep(self, block: Block) -> None:
        self._blocks.append(block)
        self._cells += block.cells

    def _shorter(self, block: Block, each: int) -> Block:
        """`block` with up to `each` of its rows as one."""
        if block.odd:
            block = self._numbers(block)
        runs = set(split.find(block.columns).values())
        starts = _starts(block, runs, each)
        kept = np.empty((len(starts), len(block.columns)))
        for j, name in enumerate(block.columns):
            if name in runs or names.is_axis(name) or _is_rate(name):
                kept[:, j] = last(block.values[:, j], starts)
            else:
                kept[:, j] = means(block.values[:, j], starts, block.weights)
        ends = np.append(starts[1:], len(block.lines)) - 1
        place = {int(end): i for i, end in enumerate(ends)}
        odd = {name: [(place[row], cell) for row, cell in found if row in place] for name, found in block.odd.items()}
        return Block(block.columns, kept, block.lines[ends], np.add.reduceat(block.weights, starts), odd)

    def _numbers(self, block: Block) -> Block:
        """`block` with its odd cells read, those apart that tell runs apart."""
        values, odd = block.values.copy(), {}
        runs = set(split.find(block.columns).values())
        for name, found in block.odd.items():
            if name in runs:
                odd[name] = found
                continue
            j, is_rate = block.columns.index(name), _is_rate(name)
            for row, cell in found:
                value, how = cells.told(cell, self._decimal_comma, is_rate)
                if value is None:
                    self._texts.setdefault(name, (int(block.lines[row]), cell))
                else:
                    values[row, j] = value
                    self._read |= {how} if how else set()
        return replace(block, values=values, odd=odd)


def _is_rate(name: str) -> bool:
    meaning = names.lookup(name)
    return meaning is not None and meaning.series == "learning_rate"


def _starts(block: Block, runs: set[str], each: int) -> np.ndarray:
    """The first rows of the stretches that are put together, int, increasing from 0."""
    rows = len(block.lines)
    new = np.zeros(rows, bool)
    new[0] = True
    for j, name in enumerate(block.columns):
        values = block.values[:, j]
        if name in runs:
            texts = np.full(rows, None, object)
            for row, cell in block.odd.get(name, ()):
                texts[row] = cell
            same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
            new[1:] |= ~same | np.array(texts[1:] != texts[:-1], bool)
        elif names.is_axis(name):
            with np.errstate(invalid="ignore"):
                step = np.diff(values)
            new[1:] |= step < 0
            other = np.isfinite(step) & (step != 0)
            if names.snake(name) in names.EPOCHS and each * np.count_nonzero(other) <= rows:
                new[1:] |= other
    at = np.arange(rows)
    new |= (at - np.maximum.accumulate(np.where(new, at, 0))) % each == 0
    return np.flatnonzero(new)
