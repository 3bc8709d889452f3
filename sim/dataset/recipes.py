"""A recipe as typed columns `recipe.NAME`, and the recipe that such a row makes again.

A field that is a dataclass itself, such as a `Schedule`, becomes columns `recipe.NAME.FIELD`.
"""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["PREFIX", "Field", "layout", "rebuild"]

PREFIX = "recipe."


@dataclass(frozen=True)
class Field:
    """A column of a recipe: its name, where its value is found, and its type: bool, int, float or str, or a list."""

    column: str
    path: tuple[str, ...]
    kind: type
    is_list: bool

    def of(self, recipes: Sequence[Any]) -> list[Any]:
        """The values of this column for these recipes; None where there is none."""
        values = list(map(attrgetter(self.path[0]), recipes))
        for name in self.path[1:]:
            values = [None if value is None else getattr(value, name) for value in values]
        return values


def layout(recipe: type, path: tuple[str, ...] = ()) -> tuple[Field, ...]:
    """The columns of the recipes of this class. TypeError names a field that no column can hold."""
    return _layout(recipe, path)


@lru_cache(maxsize=64)
def _layout(recipe: Hashable, path: tuple[str, ...]) -> tuple[Field, ...]:
    assert isinstance(recipe, type)
    found: list[Field] = []
    hints = get_type_hints(recipe)
    for field in fields(recipe):
        here = (*path, field.name)
        kind = _without_none(hints[field.name])
        if isinstance(kind, type) and is_dataclass(kind):
            found += layout(kind, here)
            continue
        inner, is_list = kind, False
        if get_origin(kind) is tuple and get_args(kind)[1:] == (...,):
            inner, is_list = get_args(kind)[0], True
        found.append(Field(PREFIX + ".".join(here), here, _scalar(inner, recipe, field.name), is_list))
    return tuple(found)


def rebuild(recipe: type, row: Mapping[str, Any], path: tuple[str, ...] = ()) -> Any:
    """The recipe of a row that has the columns of `layout(recipe)`."""
    values: dict[str, Any] = {}
    hints = get_type_hints(recipe)
    for field in fields(recipe):
        here = (*path, field.name)
        kind = _without_none(hints[field.name])
        if isinstance(kind, type) and is_dataclass(kind):
            there = any(row[inner.column] is not None for inner in layout(kind, here))
            values[field.name] = rebuild(kind, row, here) if there or kind is hints[field.name] else None
            continue
        value = row[PREFIX + ".".join(here)]
        if value is not None:
            if get_origin(kind) is tuple:
                value = tuple(value)
            elif isinstance(kind, type) and issubclass(kind, Enum):
                value = kind(value)
        values[field.name] = value
    return recipe(**values)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _scalar(kind: Any, recipe: type, name: str) -> type:
    if get_origin(kind) is Literal:
        (kind,) = {type(value) for value in get_args(kind)}
    for scalar in (bool, int, float, str):  # a bool is an int, so it is asked for first
        if isinstance(kind, type) and issubclass(kind, scalar):
            return scalar
    raise TypeError(f"{recipe.__name__}.{name} is {kind!r}: allowed are bool, int, float, str, tuples and dataclasses")
