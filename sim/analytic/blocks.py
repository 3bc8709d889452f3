"""Runs in blocks of one compiled program, so that a run has the same bits in any company and nothing compiles twice.

A program has a fixed number of runs and of epochs at most; how many epochs, and steps in each, it is told when called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["blocks", "program_epochs"]

SHORTEST_PROGRAM = 256  # epochs; the next ones have four times as many


def blocks(recipes: Sequence[Any], size: int) -> Iterator[tuple[list[int], list[int]]]:
    """Positions of recipes with equal `steps` and `epochs`, up to `size` at a time; the same padded to `size`."""
    alike: dict[tuple[int, int], list[int]] = {}
    for i, recipe in enumerate(recipes):
        alike.setdefault((recipe.steps, recipe.epochs), []).append(i)
    for all_members in alike.values():
        for start in range(0, len(all_members), size):
            members = all_members[start : start + size]
            yield members, members + members[-1:] * (size - len(members))


def program_epochs(epochs: int) -> int:
    """Epochs of the program that runs this many."""
    longest = SHORTEST_PROGRAM
    while longest < epochs:
        longest *= 4
    return longest
