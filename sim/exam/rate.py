"""Checks of a rate: what goes wrong in a run may do so in a stated share of runs.

The search has one set of seeds, the judgement fresh ones, by an exact test whose two errors are stated
(`sim.exam.rates`). A failure is shown on the simplest spec on which the detector clearly fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from detectors.claims import Claim, FalseAlarms
from detectors.vocabulary import Run
from sim.exam.candidate import Candidate, Misbehaved
from sim.exam.check import (
    Ask,
    Case,
    Check,
    Group,
    Outcome,
    Session,
    Sight,
    Skipped,
    Spec,
    Specs,
    Violation,
    rationale,
    with_event,
)
from sim.exam.rates import Count, Design, count, design, rarely_more
from sim.exam.search import falsify, worst

__all__ = ["Rate", "rate"]

Wrong = Callable[[Ask, Spec, Run], bool | None]
Trials = Iterable[tuple[Spec, Sequence[int]]]
_BATCH = 32  # seeds of one spec that are rendered together
_SHRINK_SEEDS = 16  # runs of a spec on which a failure must be clear for it to be shown
_CLEAR = 1e-3  # what "clear" is: so unlikely at the rate that is allowed


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`wrong(ask, spec, run)` is True where the run went wrong, None where it does not count.

    At most a share `allowed` may go wrong `over` each of the subject's named families, the worst spec that a search
    finds among `specs`, or the average of `specs`. What is caught lies at 1 + (multiple − 1) times `sharpness` of it.
    `beyond(claim, spec)` says why a family lies outside the promise: it is measured, not judged. With `every` 2, every
    second family is asked.
    """

    name: str
    wrong: Wrong
    over: Literal["families", "worst", "average"]
    allowed: Callable[[Candidate], float]
    specs: Specs
    sharpness: Callable[[Candidate], float]
    beyond: Callable[[FalseAlarms, Spec], str] | None
    every: int
    sampled: ClassVar[bool] = True

    def examine(self, session: Session) -> Outcome:
        """Search, judge on fresh runs, show the simplest failure."""
        how = {"families": self._families, "worst": self._worst, "average": self._average}[self.over]
        return self._guarded(lambda: how(session))

    def again(self, session: Session, case: Case) -> Outcome:
        """Judge one spec on fresh runs."""
        return self._guarded(
            lambda: self._outcome(session, self._judged(session, self._fresh(session, case.spec)), " on this spec")
        )

    def _guarded(self, judge: Callable[[], Outcome]) -> Outcome:
        try:
            return judge()
        except Skipped as why:
            return Outcome(passed=None, detail=str(why))
        except Misbehaved as error:
            return Outcome(passed=False, detail=f"could not be judged: {error}")

    def _plan(self, session: Session) -> Design:
        level, least = session.level, self.allowed(session.candidate)
        if not 0 <= least < 1:
            raise Skipped(f"nothing to judge: a rate of up to {least:g} is allowed")
        most = max(least, 0.01) * (1 + (level.multiple - 1) * self.sharpness(session.candidate))
        return design(least, min(most, (1 + least) / 2), level.false_fail, level.false_pass)

    def _asked(self, session: Session, spec: Spec, seeds: Sequence[int]) -> Iterator[bool | None]:
        ask = Ask(session.candidate, session.subject)
        for run in session.subject.observe(spec, seeds):
            ask.sights.clear()
            yield self.wrong(ask, spec, run)

    def _judged(self, session: Session, trials: Trials) -> Count:
        plan = self._plan(session)

        def counted() -> Iterator[tuple[Case, bool]]:
            asked = counts = 0
            for spec, seeds in trials:
                for seed, bad in zip(seeds, self._asked(session, spec, seeds), strict=True):
                    asked += 1
                    if bad is not None:
                        counts += 1
                        yield Case(spec=spec, seed=seed), bad
                if asked > plan.trials and not counts:
                    return  # it hardly ever says what this check is about

        return count(counted(), plan)

    def _fresh(self, session: Session, spec: Spec, phase: str = "judge") -> Trials:
        """The spec with fresh seeds, up to four times as many as have to count."""
        seeds = session.seeds(self.name, phase, 4 * self._plan(session).trials)
        return ((spec, seeds[i : i + _BATCH]) for i in range(0, len(seeds), _BATCH))

    def _outcome(self, session: Session, tally: Count, where: str) -> Outcome:
        plan = self._plan(session)
        if tally.passed is None:
            return Outcome(passed=None, detail=f"only {tally.trials} runs that count, {plan.trials} are needed{where}")
        return Outcome(
            passed=tally.passed,
            detail=f"{tally.failures} of {tally.trials} runs went wrong{where}; {plan}",
            case=tally.first,
            sights=() if tally.passed or tally.first is None else self._sights(session, tally.first),
            failures=tally.failures,
            trials=tally.trials,
            plan=plan,
        )

    def _sights(self, session: Session, case: Case) -> tuple[Sight, ...]:
        ask = Ask(session.candidate, session.subject)
        run = ask.run(case.spec, case.seed)
        try:
            self.wrong(ask, case.spec, run)
            if not ask.sights:
                ask.detect(run, "", case.spec)
        except Misbehaved:
            pass  # it is drawn without an answer
        return tuple(ask.sights)

    def _families(self, session: Session) -> Outcome:
        held = session.candidate.claim(FalseAlarms) or FalseAlarms()
        step = max(self.every, 2 if session.level.thrifty else 1)
        judged: list[tuple[str, Outcome]] = []
        notes: list[str] = []
        for family, spec in list(session.subject.families.items())[::step]:
            why = "" if self.beyond is None else self.beyond(held, spec)
            if session.level.thrifty and (why or getattr(spec, "epochs", 0) > 256):
                continue
            got = self._outcome(session, self._judged(session, self._fresh(session, spec, family)), f" on '{family}'")
            if not why:
                judged.append((family, got))
            elif got.passed is False:
                notes.append(f"beyond the promise ({why}): {got.failures} of {got.trials} on '{family}'")
        if not judged:
            return Outcome(passed=None, detail="the subject names no family within the promise")
        name, shown = max(judged, key=lambda j: (j[1].passed is False, (j[1].failures or 0) / (j[1].trials or 1)))
        others = [f"'{family}'" for family, got in judged if got.passed is False and family != name]
        if others:
            notes.insert(0, f"it fails on {', '.join(others)} as well")
        return replace(shown, detail="; ".join([f"worst of {len(judged)} families: {shown.detail}", *notes]))

    def _worst(self, session: Session) -> Outcome:
        seeds = session.seeds(self.name, "search", session.level.seeds)
        misbehaved: list[Misbehaved] = []

        def bad(spec: Spec) -> int:
            try:
                return sum(wrong is True for wrong in self._asked(session, spec, seeds))
            except Misbehaved as error:  # not through Hypothesis, which would ask again and find it flaky
                misbehaved.append(error)
                return 0

        spec, tried = worst(
            bad,
            self.specs(session),
            examples=session.level.specs,
            number=session.number(self.name),
        )
        if misbehaved:
            raise misbehaved[0]
        tally = self._judged(session, self._fresh(session, spec))
        return self._simplest(session, self._outcome(session, tally, f" on the worst of {tried} specs"))

    def _average(self, session: Session) -> Outcome:
        pool = session.pool(self.specs)
        seeds = session.seeds(self.name, "judge", 4 * self._plan(session).trials)
        # each trial draws its spec anew, so that trials are independent, with the average over the pool as their rate
        chosen = np.random.default_rng(session.seeds(self.name, "specs", 4)).integers(len(pool), size=len(seeds))
        tally = self._judged(session, ((pool[i], [seed]) for i, seed in zip(chosen, seeds, strict=True)))
        return self._simplest(session, self._outcome(session, tally, f" over {len(pool)} specs"))

    def _simplest(self, session: Session, got: Outcome) -> Outcome:
        """A failure shown on the simplest spec on which the detector clearly fails; the counts stay."""
        if got.passed is not False:
            return got
        seeds = session.seeds(self.name, "shrink", _SHRINK_SEEDS)
        clear = rarely_more(_CLEAR, len(seeds), min(self.allowed(session.candidate), 0.5)) + 1
        found: list[Case] = []

        def test(spec: Spec) -> None:
            try:
                bad = [s for s, b in zip(seeds, self._asked(session, spec, seeds), strict=True) if b]
            except Misbehaved:
                return
            if len(bad) >= clear:
                found.append(Case(spec=spec, seed=bad[0]))
                raise Violation

        falsify(
            test,
            {"spec": self.specs(session)},
            examples=session.level.examples,
            number=session.number(self.name),
            shrinks=session.level.shrinks,
        )
        return replace(got, case=found[-1], sights=self._sights(session, found[-1])) if found else got


def rate(
    group: Group,
    source: str,
    *,
    claim: type[Claim],
    over: Literal["families", "worst", "average"],
    allowed: Callable[[Candidate], float],
    specs: Specs = with_event,
    sharpness: float | Callable[[Candidate], float] = 1.0,
    beyond: Callable[[FalseAlarms, Spec], str] | None = None,
    every: int = 1,
) -> Callable[[Wrong], Check]:
    """Make a check of a function as `Rate` wants it; its docstring is the rationale."""

    def make(wrong: Wrong) -> Check:
        name = wrong.__name__
        question = Rate(
            name=name,
            wrong=wrong,
            over=over,
            allowed=allowed,
            specs=specs,
            sharpness=sharpness if callable(sharpness) else lambda candidate: sharpness,
            beyond=beyond,
            every=every,
        )
        return Check(name=name, group=group, claim=claim, rationale=rationale(wrong), source=source, question=question)

    return make
