"""What is in memory already becomes tables: frames of pandas and Polars, Keras' `History`, dicts, lists of dicts.

They are known by what they offer, and nothing is imported for them: a frame has columns, a `History` has `history`.
pyarrow's tables, structured arrays of numpy, and lists of numbers of any array library are read on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from detectors.readers import document, frames, trainer_state
from detectors.readers.headers import unique
from detectors.readers.table import Table, Unreadable

__all__ = ["Data", "origin", "tables", "title"]

DEPTH = 4  # mappings nested deeper than this are no log
MISSING = ("NAType", "NaTType")  # what pandas writes where there is nothing


class Frame(Protocol):
    """A frame of pandas or Polars, eager or lazy."""

    @property
    def columns(self) -> Any:
        """The names of its columns."""


class History(Protocol):
    """What `model.fit` of Keras returns."""

    @property
    def history(self) -> Any:
        """A list of values by the name of the series."""


Data = Frame | History | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def origin(data: object) -> str:
    """What `data` is, as a message may call it: `dict`, `pandas.DataFrame`."""
    kind = type(data)
    package = kind.__module__.split(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"


def title(data: object) -> str:
    """What its run is called, if it does not say so itself: the model of a `History`, else `run`."""
    name = getattr(getattr(data, "model", None), "name", None)
    return name if isinstance(name, str) and name else "run"


def tables(data: object, title: str) -> list[Table]:
    """The tables in `data`; Unreadable says what was expected instead."""
    try:
        columns = _columns(data)
        if columns is not None:
            return frames.tables(columns, title)
        content = _plain(_history(data), DEPTH)
    except Unreadable:
        raise
    except Exception as error:  # other people's objects raise whatever they like
        raise Unreadable(f"its values cannot be taken out ({type(error).__name__}: {error})") from None
    if isinstance(content, list) and trainer_state.is_history(content):
        return [trainer_state.from_history(content)]
    return document.tables(content, title)


def _columns(data: Any) -> dict[str, frames.Column] | None:
    """The columns of a frame by name, None for what is no frame."""
    if hasattr(data, "collect") and not hasattr(data, "get_columns"):  # lazy
        data = data.collect()
    dtype = getattr(data, "dtype", None)
    if hasattr(data, "get_columns"):
        pairs = list(zip(data.columns, data.get_columns(), strict=True))
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        pairs = [(name, data.iloc[:, i]) for i, name in enumerate(data.columns)]
        levels = [(name, i) for i, name in enumerate(data.index.names) if name is not None and name not in data.columns]
        pairs = [(name, data.index.get_level_values(i)) for name, i in levels] + pairs
    elif hasattr(data, "column_names") and hasattr(data, "columns"):
        pairs = [(name, column.to_pylist()) for name, column in zip(data.column_names, data.columns, strict=True)]
    elif hasattr(data, "columns") and hasattr(data, "to_dict"):
        pairs = list(data.to_dict("list").items())
    elif isinstance(data, np.ndarray) and dtype is not None and dtype.names:
        pairs = [(name, data[name]) for name in dtype.names]
    else:
        return None
    return dict(zip(unique([_name(name) for name, _ in pairs]), (_cells(values) for _, values in pairs), strict=True))


def _history(data: Any) -> object:
    """The lists or records in `data`: those of a `History`, with its epochs, or `data` itself."""
    history = getattr(data, "history", None)
    if isinstance(history, Mapping):
        return {"epoch": epoch, **history} if history and (epoch := getattr(data, "epoch", None)) else history
    items = data if isinstance(data, list | tuple) else ()
    if isinstance(data, Mapping) or (items and all(isinstance(item, Mapping) for item in items)):
        return data
    raise Unreadable(
        "a path is expected, or a frame of pandas or Polars, a History of Keras, a dict of lists such as "
        '{"loss": [2.3, 1.9]}, or a list with a dict an epoch'
    )


def _plain(value: Any, depth: int) -> object:
    """`value` as `json` would make it, with arrays for lists of numbers."""
    if isinstance(value, Mapping):
        return {_name(key): _plain(inner, depth - 1) for key, inner in value.items()} if depth else None
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return [_plain(item, depth - 1) if isinstance(item, Mapping) else _cell(item) for item in value]
    if not isinstance(value, str | bytes) and (isinstance(value, Sequence) or getattr(value, "shape", None)):
        return _cells(value)
    return _cell(value)


def _cells(values: Any) -> frames.Column:
    """A column as numbers where it holds nothing else, else as cells."""
    if not isinstance(values, list | tuple):
        if hasattr(values, "detach") or not hasattr(values, "__array__"):  # an array may be on another device
            values = values.tolist() if hasattr(values, "tolist") else list(values)
        else:
            array = np.asarray(values)
            if array.dtype.kind in "fiu" and array.ndim == 1:
                return array.astype(np.float64)
            values = list(array) if array.ndim > 1 else array.astype(str if array.dtype.kind in "Mm" else object)
    return [_cell(value) for value in values]


def _cell(value: Any) -> object:
    if value is None or isinstance(value, str) or type(value) is float:
        return value
    if isinstance(value, bool | np.bool_):
        return str(value)
    if type(value).__name__ in MISSING:
        return None
    if isinstance(value, list | tuple) or getattr(value, "shape", None) or hasattr(value, "to_list"):
        return _cells(value)
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError):
        return str(value)


def _name(name: object) -> str:
    """The name of a column as text; pandas has some that are tuples, a part a level."""
    return "/".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name)
