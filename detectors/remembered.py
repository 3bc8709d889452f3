"""The answers to what was asked last: detectors that rest on one measurement of a curve pay for it once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

__all__ = ["remembered"]

LATEST = 32  # answers of a function that are kept
LARGEST = 1 << 13  # values of an array; longer ones, and many series at once, are asked anew each time

P = ParamSpec("P")
R = TypeVar("R")


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, whose arguments are arrays and what can be hashed, and which depends on nothing else.

    The same values get the same answer, so it must not be changed: an array is read-only.
    """

    @lru_cache(maxsize=LATEST)
    def answer(asked: _Asked) -> Any:
        given = function(*asked.args, **asked.named)
        if isinstance(given, np.ndarray):
            view = given.view()
            view.flags.writeable = False
            return view
        return given

    @wraps(function)
    def ask(*args: P.args, **named: P.kwargs) -> R:
        if any(isinstance(value, np.ndarray) and value.size > LARGEST for value in args):
            return function(*args, **named)
        given: R = answer(_Asked(args, named))
        return given

    return ask


class _Asked:
    """The arguments of a call, equal where all values are, to the bit."""

    __slots__ = ("args", "key", "named")

    def __init__(self, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.args, self.named = args, named
        self.key = (*map(_key, args), *named.items())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.key == other.key


def _key(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return tuple(value) if isinstance(value, list) else value
