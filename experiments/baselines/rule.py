"""A baseline: a rule in a few lines, worn as a detector, with its published settings and those tried for tuning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors import Finding, Run, Verdict, absent, found, undetermined

__all__ = ["Baseline", "Claim", "Rule"]

#: A claim of a rule: positions, among the values that it was given, of the onset and of the value at which it spoke.
Claim = tuple[int, int]


@dataclass(frozen=True)
class Rule:
    """A detector that applies `function(*series, **settings) -> claims` to the series that it needs.

    Each series has shape (n,) and no missing values, unless `raw`: then they come as they were logged. No rule knows an
    interval, so the one that it must give is its onset alone.
    """

    phenomenon: str
    needs: tuple[str, ...]
    function: Callable[..., Sequence[Claim]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    raw: bool = False

    def detect(self, run: Run) -> Verdict:
        """Found where the rule claims something, absent elsewhere; undetermined where a series is missing."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{', '.join(missing)} not logged")
        epochs, *series = (run.epochs, *(run[k] for k in self.needs)) if self.raw else run.observed(*self.needs)
        claims = self.function(*series, **self.settings) if len(epochs) > 1 else ()
        if not claims:
            return absent(self.phenomenon)
        return found(self.phenomenon, [self._finding(epochs, *claim) for claim in claims])

    def _finding(self, epochs: np.ndarray, onset: int, known: int) -> Finding:
        at = float(epochs[onset])
        return Finding(
            phenomenon=self.phenomenon,
            onset=at,
            onset_interval=(at, at),
            level=0.5,
            known_at=max(at, float(epochs[known])),
        )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A rule by name: `published` are its authors' settings, `grid` those tried on the training split besides.

    `online` rules speak while the run goes on; the others look at the whole. A costly one is asked about every `step`th
    run.
    """

    name: str
    phenomenon: str
    needs: tuple[str, ...]
    function: Callable[..., Sequence[Claim]]
    source: str
    published: Mapping[str, Any] = field(default_factory=dict)
    grid: tuple[Mapping[str, Any], ...] = ()
    online: bool = False
    step: int = 1
    raw: bool = False

    def rule(self, settings: Mapping[str, Any] | None = None) -> Rule:
        """The detector with these settings, the published ones if none are given."""
        chosen = self.published if settings is None else settings
        return Rule(self.phenomenon, self.needs, self.function, dict(chosen), self.raw)
