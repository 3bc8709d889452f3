"""Rates judged by exact tests: how many runs, how many failures to allow, and when to stop looking.

A rate p is promised to be at most `allowed`. The design is the smallest number of runs and the most failures that pass
such that a detector that just keeps the promise fails with probability at most `false_fail`, and one whose rate is
`caught` passes with probability at most `false_pass` (both binomial, exact; Clopper and Pearson, 1934). Counting stops
as soon as the decision cannot change (curtailed sampling), which changes no probability.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import bdtr, bdtrc

__all__ = ["Count", "Design", "count", "design", "rarely_more"]


@dataclass(frozen=True, kw_only=True)
class Design:
    """At most `most` failures in `trials` runs pass; the rest says for which promise, and how sure."""

    trials: int
    most: int
    allowed: float
    caught: float
    false_fail: float
    false_pass: float

    def __str__(self) -> str:
        fails = bdtrc(self.most, self.trials, self.allowed)
        passes = bdtr(self.most, self.trials, self.caught)
        return (
            f"promised is at most {self.allowed:.3g}; up to {self.most} of {self.trials} pass, so that a "
            f"detector at {self.allowed:.3g} fails with probability {fails:.1g} and one at {self.caught:.3g} passes "
            f"with {passes:.1g}"
        )


@dataclass(frozen=True, kw_only=True)
class Count:
    """`failures` among the first `trials` runs and the first of them; `passed` is None where the trials ran out."""

    failures: int
    trials: int
    first: Any
    passed: bool | None


def rarely_more(chance: float, trials: int, rate: float) -> int:
    """The smallest number that a binomial count exceeds with at most this chance."""
    return int(np.argmax(bdtrc(np.arange(trials + 1), trials, rate) <= chance))


@lru_cache(maxsize=256)
def design(allowed: float, caught: float, false_fail: float, false_pass: float) -> Design:
    """The smallest design; ValueError where `caught` does not lie above `allowed`."""
    if not 0 <= allowed < caught <= 1:
        raise ValueError(f"allowed={allowed!r}, caught={caught!r}: needed is 0 <= allowed < caught <= 1")

    def most(trials: int) -> int:
        return rarely_more(false_fail, trials, allowed) if allowed else 0

    def good(trials: int) -> bool:
        return bool(bdtr(most(trials), trials, caught) <= false_pass)

    high = 1
    while not good(high):
        high *= 2
    low = high // 2
    while high - low > 1:  # not monotone in the last digits: any pair that holds both bounds will do
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return Design(
        trials=high, most=most(high), allowed=allowed, caught=caught, false_fail=false_fail, false_pass=false_pass
    )


def count(trials: Iterable[tuple[Any, bool]], plan: Design) -> Count:
    """Judge `plan` on pairs of a case and whether it failed, as many as are needed for the decision."""
    failures, n, first = 0, 0, None
    for case, failed in trials:
        n += 1
        if failed:
            failures += 1
            first = case if first is None else first
        if failures > plan.most:
            return Count(failures=failures, trials=n, first=first, passed=False)
        if failures + plan.trials - n <= plan.most:
            return Count(failures=failures, trials=n, first=first, passed=True)
    return Count(failures=failures, trials=n, first=first, passed=None)
