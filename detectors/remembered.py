"""Answers that are kept: detectors that rest on one measurement of a curve pay for it once.

What is measured along the last axis of an array can be asked `ahead` about many series at once, which costs little more
than one; whoever asks about one of them finds the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numpy as np

__all__ = ["LARGEST", "Remembered", "remembered"]

KEPT = 1 << 20  # values of the arrays asked about of which a function keeps the answers, ...
BESIDE = 64  # ... and what each answer counts beside, so that small ones are not kept without end
LARGEST = 1 << 13  # values of an array; longer ones, and many series at once, are asked anew each time

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Remembered(Protocol[P, R]):
    """A function whose arguments are arrays and what can be hashed, and which depends on nothing else.

    The same values get the same answer, so it must not be changed: an array is read-only.
    """

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        """The answer, worked out if the question is new."""

    def ahead(self, *args: np.ndarray, **named: Any) -> None:
        """Ask about each run of series of shapes (runs, n_i) at once, so that what is asked of shapes (n_i,) is known.

        For functions that work along the last axis, and whose answers are arrays, or tuples, lists and dataclasses of
        them, with one entry for each run.
        """

    def ahead_by(
        self, measure: Callable[[list[np.ndarray]], Iterable[Any]], series: Iterable[np.ndarray], **named: Any
    ) -> None:
        """Ask about series of any shapes at once: `measure` gives the answers about a list of them, in order.

        It is given those about which the answer is not known, and that are not too long to be remembered.
        """

    def cache_clear(self) -> None:
        """Forget all answers."""


def remembered(function: Callable[P, R]) -> Remembered[P, R]:
    """`function`, which does not answer the same question twice."""
    memory = _Memory(function)

    @wraps(function)
    def ask(*args: P.args, **named: P.kwargs) -> R:
        given: R = memory.ask(*args, **named)
        return given

    for offered in (memory.ahead, memory.ahead_by, memory.cache_clear):
        setattr(ask, offered.__name__, offered)
    return cast("Remembered[P, R]", ask)


class _Memory:
    """The answers of a function that were asked for last."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.answers: dict[_Asked, Any] = {}
        self.size = 0  # of all that is kept
        self.lock = Lock()  # a watch may run in a thread of its own

    def ask(self, *args: Any, **named: Any) -> Any:
        if any(isinstance(value, np.ndarray) and value.size > LARGEST for value in args):
            return self.function(*args, **named)
        asked = _Asked(args, named)
        given = self.answers.get(asked, self)  # the answer may be None
        return self.keep(asked, self.function(*args, **named)) if given is self else given

    def ahead(self, *args: np.ndarray, **named: Any) -> None:
        asked = [_Asked(row, named) for row in zip(*args, strict=True)]
        new = [i for i, question in enumerate(asked) if question not in self.answers]
        if new:
            given = self.function(*(series[new] for series in args), **named)
            for row, i in enumerate(new):
                self.keep(asked[i], _row(given, row))

    def ahead_by(
        self, measure: Callable[[list[np.ndarray]], Iterable[Any]], series: Iterable[np.ndarray], **named: Any
    ) -> None:
        asked = {_Asked((values,), named): values for values in series if values.size <= LARGEST}
        new = {question: values for question, values in asked.items() if question not in self.answers}
        for question, given in zip(new, measure(list(new.values())), strict=True):
            self.keep(question, given)

    def cache_clear(self) -> None:
        with self.lock:
            self.answers.clear()
            self.size = 0

    def keep(self, asked: _Asked, given: Any) -> Any:
        if isinstance(given, np.ndarray):
            given = given.view()
            given.flags.writeable = False
        with self.lock:
            if asked not in self.answers:
                self.size += asked.size
            self.answers[asked] = given
            while self.size > KEPT:
                oldest = next(iter(self.answers))
                del self.answers[oldest]
                self.size -= oldest.size
        return given


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
        size = BESIDE
        key: list[Any] = []
        for value in args:
            if isinstance(value, np.ndarray):
                size += value.size
                key.append((value.shape, value.dtype.num, value.tobytes()))
            else:
                key.append(tuple(value) if isinstance(value, list) else value)
        key += [(name, tuple(value) if isinstance(value, list) else value) for name, value in named.items()]
        self.size, self.key = size, tuple(key)
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.key == other.key
