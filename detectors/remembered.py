"""Answers that are kept: detectors that rest on one measurement of a curve pay for it once.

What is measured along the last axis of an array can be asked `ahead` about many series at once, which costs little more
than one; whoever asks about one of them finds the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import update_wrapper
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

__all__ = ["LARGEST", "Remembered", "remembered"]

KEPT = 1 << 18  # values of the arrays asked about of which a function keeps the answers
LARGEST = 1 << 13  # values of an array; longer ones, and many series at once, are asked anew each time

P = ParamSpec("P")
R = TypeVar("R")


class Remembered(Generic[P, R]):
    """A function whose arguments are arrays and what can be hashed, and which depends on nothing else.

    The same values get the same answer, so it must not be changed: an array is read-only.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._answers: dict[_Asked, R] = {}
        self._size = 0  # values of the arrays asked about
        self._lock = Lock()  # a watch may run in a thread of its own

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        if any(isinstance(value, np.ndarray) and value.size > LARGEST for value in args):
            return self._function(*args, **named)
        asked = _Asked(args, named)
        given = self._answers.get(asked, self)  # the answer may be None
        return self._keep(asked, self._function(*args, **named)) if given is self else given  # type: ignore[return-value]

    def ahead(self, *args: np.ndarray, **named: Any) -> None:
        """Ask about each run of series of shapes (runs, n_i) at once, so that what is asked of shapes (n_i,) is known.

        For functions that work along the last axis, and whose answers are arrays, or tuples, lists and dataclasses of
        them, with one entry for each run.
        """
        asked = [_Asked(row, named) for row in zip(*args, strict=True)]
        new = [i for i, question in enumerate(asked) if question not in self._answers]
        if new:
            given = self._function(*(series[new] for series in args), **named)  # type: ignore[arg-type]
            for row, i in enumerate(new):
                self._keep(asked[i], _row(given, row))

    def cache_clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()
            self._size = 0

    def _keep(self, asked: _Asked, given: R) -> R:
        if isinstance(given, np.ndarray):
            given = given.view()
            given.flags.writeable = False
        with self._lock:
            if asked not in self._answers:
                self._size += asked.size
            self._answers[asked] = given
            while self._size > KEPT:
                oldest = next(iter(self._answers))
                del self._answers[oldest]
                self._size -= oldest.size
        return given


def remembered(function: Callable[P, R]) -> Remembered[P, R]:
    """`function`, which does not answer the same question twice."""
    return Remembered(function)


def _row(given: Any, i: int) -> Any:
    """Of an answer about several runs that about the i-th."""
    if isinstance(given, np.ndarray):
        return given[i]
    if isinstance(given, (tuple, list)):
        return type(given)(_row(part, i) for part in given)
    if is_dataclass(given) and not isinstance(given, type):
        return replace(given, **{f.name: _row(getattr(given, f.name), i) for f in fields(given)})
    raise TypeError(f"{type(given).__name__} has no entry for each run")


class _Asked:
    """The arguments of a call, equal where all values are, to the bit."""

    __slots__ = ("_hash", "key", "size")

    def __init__(self, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.size = sum(value.size for value in args if isinstance(value, np.ndarray))
        self.key = (*map(_key, args), *((name, _key(value)) for name, value in named.items()))
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.key == other.key


def _key(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return tuple(value) if isinstance(value, list) else value
