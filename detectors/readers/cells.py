"""The cells that are no plain number: missing values, thousands, decimal commas, percent signs, lists, plain text.

One cell can be ambiguous ("1,234"), a file hardly ever is: commas are decimal if one of its cells can only be read so
and none can only be read otherwise. Lists count in columns of rates alone (one rate a layer), as their median.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from detectors.readers.table import Odd, Table, show

__all__ = ["COMMAS", "commas_are_decimal", "number", "resolve", "told"]

MISSING = frozenset(("", "nan", "none", "null", "nil", "na", "n/a", "#n/a", "-", "--"))
DIGIT = re.compile(r"\d")
EXPONENT = r"(?:[eE][+-]?\d+)?"
THOUSANDS = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?{EXPONENT}")  # 1,234 and 1,234.5 and 1,234,567
SPACED = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:[ \u00a0\u202f]\d{{3}})+(?:\.\d*)?{EXPONENT}")  # 1 234.5
DECIMAL_COMMA = re.compile(rf"[+-]?\d+,\d+{EXPONENT}")  # 0,534
COMMAS, PERCENT, RATES = (  # how cells were read
    "commas are read as decimal points",
    "cells with a % sign are divided by 100",
    "of a list of rates the median is used",
)
LIST = re.compile(r"[\[(](.*)[\])]", re.DOTALL)


def number(cell: object, decimal_comma: bool = False) -> float | None:
    """The number that `cell` stands for, NaN if it says that there is none, None if it is something else."""
    if cell is None:
        return float("nan")
    if not isinstance(cell, str):
        return None
    text = cell.strip().replace("\u2212", "-")  # a typographic minus
    if text.lower() in MISSING:
        return float("nan")
    percent, text = text.endswith("%"), text.removesuffix("%")
    value = _written(text.rstrip(), decimal_comma)
    return value / 100 if percent and value is not None else value


def resolve(table: Table, rates: Collection[str]) -> tuple[dict[str, np.ndarray], list[str], dict[str, str]]:
    """The columns of `table` with their odd cells read, notes on how, and by column a note on cells that are no number.

    `rates` names the columns in which a list is one rate a layer.
    """
    columns, notes, failed = dict(table.columns), [], {}
    decimal_comma = commas_are_decimal(table.odd.values())
    if decimal_comma:
        notes.append(COMMAS)
    for name, odd in table.odd.items():
        values, texts, lists, signs = columns[name].copy(), Odd(), 0, 0
        for row, cell in odd:
            value, how = told(cell, decimal_comma, name in rates)
            if value is None:
                texts.append((row, cell))
                continue
            values[row] = value
            signs += how == PERCENT
            lists += how == RATES
        columns[name] = values
        if lists:
            notes.append(f"column {show(name)} holds a list in {lists} cells: the median of each is used")
        if signs:
            notes.append(f"column {show(name)} has a % sign in {signs} cells: they are divided by 100")
        if texts:
            row, cell = texts[0]
            many = f" (the first of {len(texts)} such cells)" if len(texts) > 1 else ""
            where = f"{table.place} {table.lines[row]}, column {show(name)}"
            failed[name] = f"{where}: {show(cell)} is no number{many} and counts as missing"
    return columns, notes, failed


def told(cell: object, decimal_comma: bool, is_rate: bool) -> tuple[float | None, str]:
    """What `cell` says as a number, as `number` does it, and how that was read where it is not plain."""
    value = number(cell, decimal_comma)
    if value is not None:
        return value, PERCENT if isinstance(cell, str) and cell.rstrip().endswith("%") else ""
    median = _median(cell) if is_rate else None
    return median, RATES if median is not None else ""


def commas_are_decimal(odd: Iterable[Odd]) -> bool:
    """Whether one of these cells can only be read so, and none can only be read otherwise."""
    texts = [cell.strip() for cells in odd for _, cell in cells if isinstance(cell, str) and "," in cell]
    decimal = any(DECIMAL_COMMA.fullmatch(text) and not THOUSANDS.fullmatch(text) for text in texts)
    return decimal and not any(THOUSANDS.fullmatch(text) and not DECIMAL_COMMA.fullmatch(text) for text in texts)


def _written(text: str, decimal_comma: bool) -> float | None:
    try:
        return float(text)
    except ValueError:
        if not DIGIT.search(text):
            return None
    if DECIMAL_COMMA.fullmatch(text) and (decimal_comma or not THOUSANDS.fullmatch(text)):
        return float(text.replace(",", "."))
    if THOUSANDS.fullmatch(text):
        return float(text.replace(",", ""))
    return float(re.sub(r"\s", "", text)) if SPACED.fullmatch(text) else None


def _median(cell: object) -> float | None:
    items: Sequence[object] = cell if isinstance(cell, list) else ()
    if isinstance(cell, str) and (inside := LIST.fullmatch(cell.strip())):
        items = inside[1].strip().rstrip(",").split(",")
    try:
        return statistics.median([float(item) for item in items]) if items else None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
