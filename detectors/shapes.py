"""The shape of one curve: its rises by persistence, and the bottom of the best fit that falls and then rises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Rise", "rises", "unimodal_bottom"]


@dataclass(frozen=True)
class Rise:
    """Positions of the bottom `a` and of the top `b` of a rise, and its height."""

    a: int
    b: int
    prominence: float


def rises(curve: np.ndarray) -> list[Rise]:
    """All rises of `curve` (shape (n,)) by topological persistence, in order of their bottoms.

    +inf is put before the first value. Each local maximum b (the last value included, if the curve rises there) has a
    lowest point on each side before the curve exceeds it; the higher of the two is its saddle, and a side on which the
    curve never exceeds it has none. A saddle on the left is the bottom of a rise; one on the right makes b a dip within
    a larger rise. Noise of size e moves a prominence by at most 2e (Cohen-Steiner, Edelsbrunner & Harer, 2007).
    """
    values = curve.tolist()
    # where the curve changes, runs of equal values taken as one: a top is higher than what is before and after it
    starts = np.flatnonzero(np.concatenate([[True], curve[1:] != curve[:-1]]))
    up = curve[starts[1:]] > curve[starts[:-1]]
    found: list[Rise] = []
    open_peaks: list[tuple[int, int]] = []  # (bottom, top) of peaks that nothing has exceeded yet, tops descending
    before = 0
    for i in starts[1:][up & ~np.append(up[1:], False)].tolist():
        bottom = min(range(before, i + 1), key=values.__getitem__)  # the first of the lowest
        while open_peaks and values[open_peaks[-1][1]] < values[i]:
            a, b = open_peaks.pop()
            if values[a] >= values[bottom]:
                found.append(Rise(a, b, values[b] - values[a]))
            else:
                bottom = a  # b is a dip within the rise to i
        open_peaks.append((bottom, i))
        before = i
    found += [Rise(a, b, values[b] - values[a]) for a, b in open_peaks]
    return sorted(found, key=lambda r: r.a)


def unimodal_bottom(values: np.ndarray) -> int:
    """Position of the bottom of the least-squares fit that falls and then rises, the middle of it where it is flat.

    `values` has shape (n,). Prefix isotonic regression from both ends: Stout, 2008, Unimodal regression via prefix
    isotonic regression, Computational Statistics & Data Analysis 53.
    """
    if len(values) < 3:
        return int(np.argmin(values))
    falling, falling_ends = _isotonic_prefixes(-values)
    rising, rising_ends = _isotonic_prefixes(-values[::-1])
    at = int(np.argmin(falling[:-1] + rising[::-1][1:]))  # falls over 0..at, rises over at+1..n-1
    left, left_size = falling_ends[at]
    right, right_size = rising_ends[len(values) - 2 - at]
    if left >= right:  # of the negated values: the left block is the lower one
        return at - (left_size - 1) // 2
    return at + 1 + (right_size - 1) // 2


def _isotonic_prefixes(values: np.ndarray) -> tuple[np.ndarray, list[tuple[float, int]]]:
    """Of the isotonic fit to each prefix: the squared error, shape (n,); level and size of the last block."""
    errors = np.empty(len(values))
    ends: list[tuple[float, int]] = []
    blocks: list[tuple[float, int]] = []  # total, size
    squares = explained = 0.0
    for i, y in enumerate(values.tolist()):
        squares += y * y
        total, size = y, 1
        while blocks and blocks[-1][0] * size >= total * blocks[-1][1]:
            t, s = blocks.pop()
            explained -= t * t / s
            total, size = total + t, size + s
        blocks.append((total, size))
        explained += total * total / size
        errors[i] = squares - explained
        ends.append((total / size, size))
    return errors, ends
