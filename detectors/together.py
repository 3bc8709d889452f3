"""Many runs at once: what their detectors ask about each of them is measured ahead, for those of one length together.

A measurement along the last axis of an array costs little more for sixty series than for one. A detector that has such
measurements offers `ahead(runs)`, which takes them of many runs; its `detect` then finds them (`detectors.remembered`)
and says the same, to the bit, as it does about a run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from detectors.vocabulary import Run

__all__ = ["Ahead", "asked", "by_length", "offered", "stacked"]

WINDOW = 512  # runs that are held at a time
AT_ONCE = 64  # runs that are measured together, ...
VALUES = 1 << 14  # ... less where a series of them all has more values
LONGEST = 1 << 10  # rows; what is measured of a longer run costs more than the asking

R = TypeVar("R")
Ahead = Callable[[Sequence[Run]], None]


def asked(runs: Iterable[Run], ahead: Sequence[Ahead], ask: Callable[[Run], R]) -> Iterator[R]:
    """What `ask` says about each run, in order, after those that are alike were measured `ahead` together."""
    left = iter(runs)
    while window := list(islice(left, WINDOW)):
        given: dict[int, R] = {}
        for block in _blocks(window):
            if len(block) > 1 and len(window[block[0]]) <= LONGEST:
                for measure in ahead:
                    measure([window[i] for i in block])
            given |= {i: ask(window[i]) for i in block}
        yield from (given[i] for i in range(len(window)))


def offered(detectors: Iterable[object]) -> list[Ahead]:
    """What these detectors measure ahead, where they do."""
    return [detector.ahead for detector in detectors if hasattr(detector, "ahead")]


def stacked(runs: Sequence[Run], *keys: str) -> Iterator[tuple[list[Run], list[np.ndarray]]]:
    """Those runs that have as many rows where all `keys` are finite, and these series, each of shape (runs, n).

    Runs that lack a series are left out.
    """
    groups: dict[int, list[tuple[Run, list[np.ndarray]]]] = {}
    for run in runs:
        if not run.missing(keys):
            epochs, *columns = run.observed(*keys)
            groups.setdefault(len(epochs), []).append((run, columns))
    for members in groups.values():
        alike, columns_of_each = zip(*members, strict=True)
        yield list(alike), [np.stack(rows) for rows in zip(*columns_of_each, strict=True)]


def by_length(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of shapes (n_i,), those of one length stacked."""
    groups: dict[int, list[np.ndarray]] = {}
    for piece in pieces:
        groups.setdefault(len(piece), []).append(piece)
    return map(np.stack, groups.values())


def _blocks(runs: Sequence[Run]) -> Iterator[list[int]]:
    """Positions of runs that are alike, so many as are measured together."""
    alike: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for i, run in enumerate(runs):
        alike.setdefault((len(run), tuple(run.series)), []).append(i)
    for (rows, _), members in alike.items():
        size = min(max(VALUES // max(rows, 1), 1), AT_ONCE)
        yield from (members[i : i + size] for i in range(0, len(members), size))
