"""Checks of a property that holds in every example: searched, and shrunk to the simplest one in which it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st

from detectors.claims import Claim
from sim.exam.candidate import Misbehaved
from sim.exam.check import Ask, Case, Check, Group, Outcome, Session, Skipped, Spec, Specs, Violation, either, rationale
from sim.exam.search import falsify

__all__ = ["Exact", "exact"]

_SEEDS = st.integers(0, 1000)


@dataclass(frozen=True, kw_only=True)
class Exact:
    """`test(ask, spec, seed, **params)` raises Violation where the property does not hold, Skipped if senseless.

    `share` times as many examples are tried as the level says; `params` are drawn beside spec and seed.
    """

    name: str
    test: Callable[..., None]
    specs: Specs
    share: float
    params: dict[str, st.SearchStrategy[Any]]
    sampled: ClassVar[bool] = False

    def again(self, session: Session, case: Case) -> Outcome:
        """The test on one example."""
        ask = Ask(session.candidate, session.subject)
        try:
            self.test(ask, case.spec, case.seed, **case.params)
        except (Violation, Misbehaved) as violation:
            return Outcome(passed=False, detail=str(violation), case=case, sights=tuple(ask.sights))
        except Skipped as why:
            return Outcome(passed=None, detail=str(why))
        return Outcome(passed=True, detail="")

    def examine(self, session: Session) -> Outcome:
        """The simplest example that fails, if any does."""
        skipped: list[Outcome] = []
        failed: list[Outcome] = []

        def test(spec: Spec, seed: int, **params: Any) -> None:
            outcome = self.again(session, Case(spec=spec, seed=seed, params=params))
            if outcome.passed is None:
                skipped.append(outcome)
            if outcome.passed is False:
                failed.append(outcome)
                raise Violation(outcome.detail)

        tried = falsify(
            test,
            {"spec": self.specs(session), "seed": _SEEDS, **self.params},
            examples=max(round(self.share * session.level.examples), 2),
            number=session.number(self.name),
            shrinks=session.level.shrinks,
        )
        if failed:
            return failed[-1]
        if skipped and len(skipped) == tried:
            return skipped[0]
        return Outcome(passed=True, detail=f"{tried - len(skipped)} examples")


def exact(
    group: Group,
    source: str,
    *,
    claim: type[Claim] | None = None,
    specs: Specs = either,
    share: float = 1.0,
    **params: st.SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Check]:
    """Make a check of a test as `Exact` wants it; its docstring is the rationale."""

    def make(test: Callable[..., None]) -> Check:
        name = test.__name__
        question = Exact(name=name, test=test, specs=specs, share=share, params=params)
        return Check(name=name, group=group, claim=claim, rationale=rationale(test), source=source, question=question)

    return make
