"""A run together with what truly happened in it: what every tier of models makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.report.notebook import box, table, text
from detectors.report.text import title
from detectors.vocabulary import Event, Run
from sim.truth import Expected, RiskRise, events, risk_rises

__all__ = ["LabelledRun", "labelled"]

SHOWN = 3  # numbers of an effect in a notebook


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

    def _repr_html_(self) -> str:
        rows = []
        for e in sorted(self.events, key=lambda event: event.onset):
            lo, hi = e.band or (e.onset, e.onset)
            band = f" ({lo:.10g} to {hi:.10g})" if lo < hi else ""
            effect = ", ".join(f"{name} {value:.4g}" for name, value in list(e.effect.items())[:SHOWN])
            said = (title(e.phenomenon), e.kind.replace("_", " "), f"{e.onset:.10g}{band}")
            end = "to the end" if e.end is None else f"{e.end:.10g}"
            rows.append([text(cell) for cell in (*said, end, effect, "" if e.material else "grey")])
        counted = f"{len(rows)} event{'s' * (len(rows) != 1)}" if rows else "nothing happened"
        unclear = f"cause: one of {', '.join(self.ambiguous)}" if self.ambiguous else ""
        truth = table(("truth", "kind", "onset (band)", "end", "effect", ""), rows)
        return box(f"<b>{text(self.run.name)}</b>: {counted}", truth, text(unclear)) + (self.run._repr_html_() or "")


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
