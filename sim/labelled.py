"""A run together with what truly happened in it: what every tier of models makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.vocabulary import Event, Run
from sim.truth import Expected, RiskRise, events, risk_rises

__all__ = ["LabelledRun", "labelled"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRun:
    """The observed curves (`run`), the truth (`events`), the recipe that made it and its expectations and twins.

    Detectors see `run` only. `cause` is what was injected, for composed runs. `ambiguous` names the causes between
    which the observed curves cannot tell (see `sim.ambiguity`): the right answer of a detector is to say so.
    """

    run: Run
    events: tuple[Event, ...]
    recipe: Any
    expected: Expected
    cause: Mapping[str, float] = field(default_factory=dict)
    ambiguous: tuple[str, ...] = ()

    def of(self, phenomenon: str, *, grey: bool = False) -> tuple[Event, ...]:
        """The events of one phenomenon; grey ones (neither a miss nor a false alarm) only if asked for."""
        return tuple(e for e in self.events if e.phenomenon == phenomenon and (e.material or grey))

    @property
    def rises(self) -> tuple[RiskRise, ...]:
        """Every rise of the population risk with its prominence, grey and negligible ones too."""
        return risk_rises(self.expected)


def labelled(
    run: Run,
    expected: Expected,
    recipe: Any,
    cause: Mapping[str, float] | None = None,
    ambiguous: tuple[str, ...] = (),
) -> LabelledRun:
    """Label `run` by the one truth module."""
    return LabelledRun(
        run=run, events=events(expected), recipe=recipe, expected=expected, cause=cause or {}, ambiguous=ambiguous
    )
