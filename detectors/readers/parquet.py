"""Parquet files, by pyarrow: a table with a row an epoch, of one run or several, or a row a run whose series are lists.

The second is what `curvesense generate` writes; the truth that it writes beside the series is left out. Columns of
structs and maps are no series and are not read.

Proven on files written by pyarrow, pandas, Polars and `curvesense generate`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from detectors.readers import frames
from detectors.readers.headers import unique
from detectors.readers.source import Source
from detectors.readers.table import Table, Unreadable

__all__ = ["NAME", "parse", "sniff"]

NAME = "parquet"
MAGIC = b"PAR1"
ROWS = 1 << 14  # that are decoded at once
LARGEST = 1 << 28  # bytes when decoded: run lengths make a bomb as small as one likes


def sniff(source: Source) -> bool:
    """Whether it begins as such a file does."""
    return source.head.startswith(MAGIC)


def parse(source: Source) -> list[Table]:
    """The tables in the columns that are numbers, text, or lists of them."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise Unreadable("a Parquet file needs pyarrow: pip install 'curvesense[parquet]'") from None
    with source.open() as stream:
        file = stream if stream.seekable() else io.BytesIO(stream.read())
        try:
            names = [field.name for field in pq.ParquetFile(file).schema_arrow if _is_text(pa, field.type)]
            columns = _columns(pa, pq.ParquetFile(file, read_dictionary=names))  # each text is held once
        except Unreadable:
            raise
        except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
            raise Unreadable(f"it is a damaged Parquet file, or of a kind that is not known ({error})") from None
    return frames.tables(columns, source.title)


def _columns(pa: Any, file: Any) -> dict[str, frames.Column]:
    """The columns of the file, by name; None where there is nothing."""
    schema = file.schema_arrow
    truth = frames.hidden(schema.names)  # of labelled runs: it is for judges
    wanted = [field.name for field in schema if _is_series(pa, field.type) and field.name not in truth]
    if not wanted:
        raise Unreadable(f"no column holds numbers or lists of them. There are {', '.join(map(repr, schema.names))}")
    _refuse_beyond(LARGEST, 8 * file.metadata.num_rows)
    if any(_is_list(pa, field.type) for field in schema):  # a single row may be a bomb
        file.scan_contents()  # pyarrow ends the process where the next line meets damage that this one raises
        _refuse_beyond(LARGEST, 8 * _values(file.metadata))
    size, batches = 0, []
    for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
        size += batch.nbytes
        _refuse_beyond(LARGEST, size)
        batches.append(batch)
    if not batches:
        raise Unreadable("it has no rows")
    table = pa.Table.from_batches(batches)
    columns = [_cells(pa, column) for column in table.columns]
    return dict(zip(unique(table.column_names), columns, strict=True))


def _values(metadata: Any) -> int:
    """The most values that a column has, by what the file says of itself."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = zip(*([group.column(j).num_values for j in range(group.num_columns)] for group in groups), strict=True)
    return max(map(sum, columns), default=0)


def _refuse_beyond(most: int, size: int) -> None:
    if size > most:
        raise Unreadable(f"it grows beyond {most >> 20} MiB. Split it, or leave columns out")


def _is_series(pa: Any, kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_series(pa, kind.value_type)
    if _is_list(pa, kind):
        return _is_number(pa, kind.value_type)
    return _is_number(pa, kind) or _is_text(pa, kind)


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cells(pa: Any, column: Any) -> frames.Column:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(), dtype=np.float64)  # null is NaN
    if pa.types.is_dictionary(kind):
        found: list[object] = []
        for chunk in column.chunks:
            texts = [*chunk.dictionary.to_pylist(), None]
            found += [texts[-1 if i is None else i] for i in chunk.indices.to_pylist()]
        return found
    if not _is_list(pa, kind):
        cells = column.to_pylist()
        return [float(cell) for cell in cells] if pa.types.is_decimal(kind) and None not in cells else cells
    rows: list[object] = []
    for chunk in column.chunks:
        rows += [None if row is None else np.asarray(row, dtype=np.float64) for row in chunk.to_numpy(False)]
    return rows
