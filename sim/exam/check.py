"""What a check is: a named property with its reason, judged example by example or as a rate.

`exact` makes a check of a function that raises `Violation` where the property does not hold; Hypothesis looks for an
example and shrinks it. `rate` makes one of a function that says of one run whether it went wrong: the search has one
set of seeds, the judgement fresh ones, by an exact test whose two errors are stated (`sim.exam.rates`).
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings, target
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from scipy.stats import binom

from detectors.claims import Claim, FalseAlarms
from detectors.vocabulary import Event, Run, Verdict
from sim.exam.candidate import Candidate, Misbehaved
from sim.exam.rates import Count, Design, count, design
from sim.exam.subject import Spec, Subject

__all__ = ["LEVELS", "Ask", "Case", "Check", "Level", "Outcome", "Session", "Sight", "Skipped", "Violation"]
__all__ += ["Spec", "exact", "rate"]

Group = Literal["contract", "bad input", "metamorphic", "recovery", "silence", "promises"]


class Violation(Exception):
    """A property does not hold; the message says on which numbers."""


class Skipped(Exception):
    """A check that cannot be asked of this detector; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """How hard the exam looks.

    `examples` for each exact check; `specs` times `seeds` runs in each search for a worst case. A rate that is promised
    to be at most p is caught, with probability 1 − `false_pass`, from `multiple` times p on; a detector that just keeps
    a promise fails one test with probability `false_fail`. `patience` seconds are spent on shrinking one failure.
    `thrifty` asks every second family, none of long runs, and none beyond the detector's promise.
    """

    name: str
    examples: int
    specs: int
    seeds: int
    multiple: float
    false_fail: float = 1e-6  # an exam makes fewer than 100 tests: together under 1 in 10,000
    false_pass: float = 0.01
    patience: float = 5.0
    thrifty: bool = False


LEVELS = {
    level.name: level
    for level in (
        Level(name="quick", examples=6, specs=6, seeds=4, multiple=6.0, patience=1.0, thrifty=True),
        Level(name="default", examples=25, specs=20, seeds=8, multiple=3.0),
        Level(name="thorough", examples=300, specs=200, seeds=16, multiple=1.5, patience=60.0),
    )
}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One run as it was shown to the detector, what it said, and what is true: to be drawn."""

    title: str
    run: Run
    verdict: Verdict | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """The example on which a check failed: enough to make it again."""

    spec: Spec
    seed: int
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one check: `passed` is None where it was skipped; `failures` of `trials` if it is about a rate."""

    passed: bool | None
    detail: str
    case: Case | None = None
    sights: tuple[Sight, ...] = ()
    failures: int | None = None
    trials: int | None = None
    plan: Design | None = None


class Ask:
    """What a check may ask: runs of a spec, the detector's verdicts; it remembers both, to be drawn."""

    def __init__(self, candidate: Candidate, subject: Subject) -> None:
        self.candidate = candidate
        self.subject = subject
        self.sights: list[Sight] = []

    def run(self, spec: Spec, seed: int) -> Run:
        """The run of this spec and seed."""
        return self.subject.observe(spec, [seed])[0]

    def detect(self, run: Run, title: str = "", spec: Spec | None = None) -> Verdict:
        """The detector's verdict about `run`; with `spec`, its truth is drawn beside it."""
        events = () if spec is None else tuple(self.subject.grey(spec))
        self.sights.append(Sight(title=title, run=run, verdict=None, events=events))
        verdict = self.candidate.detect(run)
        self.sights[-1] = Sight(title=title, run=run, verdict=verdict, events=events)
        return verdict


@dataclass(frozen=True, kw_only=True)
class Session:
    """One detector in one exam."""

    candidate: Candidate
    subject: Subject
    level: Level
    seed: int = 0

    def seeds(self, check: str, phase: str, size: int) -> list[int]:
        """`size` run seeds of one phase of one check; other phases and other exam seeds have others."""
        words = [self.seed, zlib.crc32(check.encode()), zlib.crc32(phase.encode())]
        state = np.random.SeedSequence(words).generate_state(size)
        return [int(s) >> 1 for s in state]

    def number(self, check: str) -> int:
        """The seed of Hypothesis' own draws in one check."""
        return self.seeds(check, "draws", 1)[0]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named property: why it should hold, after whom, which claim makes it binding (None: the protocol itself)."""

    name: str
    group: Group
    claim: type[Claim] | None
    rationale: str
    source: str
    examine: Callable[[Session], Outcome]
    again: Callable[[Session, Case], Outcome]
    sampled: bool

    @property
    def title(self) -> str:
        """The name as a sentence."""
        text = self.name.replace("_", " ")
        return text[:1].upper() + text[1:]


Exact = Callable[..., None]
Wrong = Callable[[Ask, Spec, Run], bool | None]
Specs = Callable[[Session], st.SearchStrategy[Any]]


def with_event(session: Session) -> st.SearchStrategy[Any]:
    """Specs with the event."""
    return session.subject.with_event


def without_event(session: Session) -> st.SearchStrategy[Any]:
    """Specs without it."""
    return session.subject.without_event


def either(session: Session) -> st.SearchStrategy[Any]:
    """Specs with the event, and specs without it."""
    return session.subject.with_event | session.subject.without_event


def sharp(session: Session) -> st.SearchStrategy[Any]:
    """Specs whose onset is plain to see."""
    return session.subject.sharp if session.subject.sharp is not None else session.subject.with_event


def exact(
    group: Group,
    source: str,
    *,
    claim: type[Claim] | None = None,
    specs: Specs = either,
    share: float = 1.0,
    **params: st.SearchStrategy[Any],
) -> Callable[[Exact], Check]:
    """Make a check of `f(ask, spec, seed, **params)`, which raises Violation; its docstring is the rationale.

    `share` times as many examples are tried as the level says.
    """

    def make(f: Exact) -> Check:
        name = f.__name__

        def attempt(session: Session, case: Case) -> Outcome:
            ask = Ask(session.candidate, session.subject)
            try:
                f(ask, case.spec, case.seed, **case.params)
            except (Violation, Misbehaved) as violation:
                return Outcome(passed=False, detail=str(violation), case=case, sights=tuple(ask.sights))
            except Skipped as why:
                return Outcome(passed=None, detail=str(why))
            return Outcome(passed=True, detail="")

        def examine(session: Session) -> Outcome:
            examples = max(round(share * session.level.examples), 2)
            skipped: list[Outcome] = []
            failed: list[Outcome] = []

            def test(spec: Spec, seed: int, **values: Any) -> None:
                outcome = attempt(session, Case(spec=spec, seed=seed, params=values))
                if outcome.passed is None:
                    skipped.append(outcome)
                if outcome.passed is False:
                    failed.append(outcome)
                    raise Violation(outcome.detail)

            strategies = {"spec": specs(session), "seed": st.integers(0, 1000), **params}
            tried = _falsify(test, strategies, examples, session.number(name), session.level.patience)
            if failed:
                return failed[-1]  # the last one that failed is the simplest
            if skipped and len(skipped) == tried:
                return skipped[0]
            return Outcome(passed=True, detail=f"{tried - len(skipped)} examples")

        return Check(
            name=name,
            group=group,
            claim=claim,
            rationale=_rationale(f),
            source=source,
            examine=examine,
            again=attempt,
            sampled=False,
        )

    return make


def _falsify(
    test: Callable[..., None],
    strategies: dict[str, st.SearchStrategy[Any]],
    examples: int,
    number: int,
    patience: float,
) -> int:
    """Look for an example on which `test` raises Violation, shrink it for `patience` seconds; how many were tried."""
    tried, first_failure = 0, float("inf")

    @seeded(number)
    @_settings(examples, [Phase.generate, Phase.shrink])
    @given(**strategies)
    def attempt(**values: Any) -> None:
        nonlocal tried, first_failure
        if time.monotonic() - first_failure > patience:
            return
        tried += 1
        try:
            test(**values)
        except Violation:
            first_failure = min(first_failure, time.monotonic())
            raise

    with contextlib.suppress(Violation, Flaky):  # flaky: patience was over, or the detector does not repeat itself
        attempt()
    return tried


def _settings(examples: int, phases: Sequence[Phase]) -> settings:
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=phases,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


Allowed = Callable[[Candidate], float]
Over = Literal["families", "worst", "average"]


def rate(
    group: Group,
    source: str,
    *,
    claim: type[Claim],
    over: Over,
    allowed: Allowed,
    specs: Specs = with_event,
    sharpness: float = 1.0,
    beyond: Callable[[Claim, Spec], str] | None = None,
    every: int = 1,
) -> Callable[[Wrong], Check]:
    """Make a check of `f(ask, spec, run)`: True where the run went wrong, None where it does not count.

    The share of wrong runs is promised to be at most `allowed`: `over` each of the subject's named families, the worst
    spec that a search finds among `specs`, or the average of `specs`. What is caught lies at 1 + (multiple − 1) times
    `sharpness` of it. `beyond(claim, spec)` says why a family lies outside the promise: it is measured, not judged.
    With `every` 2, every second family is asked.
    """

    def make(f: Wrong) -> Check:
        name = f.__name__

        def plan(session: Session) -> Design:
            least = allowed(session.candidate)
            if not 0 <= least < 1:
                raise Skipped(f"nothing to judge: a rate of up to {least:g} is allowed")
            most = min(max(least, 0.01) * (1 + (session.level.multiple - 1) * sharpness), (1 + least) / 2)
            return design(least, most, session.level.false_fail, session.level.false_pass)

        def ask_of(session: Session) -> Ask:
            return Ask(session.candidate, session.subject)

        def wrong(session: Session, spec: Spec, seeds: Sequence[int]) -> Iterator[bool | None]:
            ask = ask_of(session)
            for run in session.subject.observe(spec, seeds):
                ask.sights.clear()
                yield f(ask, spec, run)

        def judged(session: Session, pairs: Iterable[tuple[Spec, Sequence[int]]]) -> Count:
            design_ = plan(session)

            def trials() -> Iterator[tuple[Case, bool]]:
                asked = counted = 0
                for spec, seeds in pairs:
                    for seed, bad in zip(seeds, wrong(session, spec, seeds), strict=True):
                        asked += 1
                        if bad is not None:
                            counted += 1
                            yield Case(spec=spec, seed=seed), bad
                    if asked > design_.trials and not counted:
                        return  # it hardly ever says what this check is about

            return count(trials(), design_)

        def outcome(session: Session, tally: Count, where: str) -> Outcome:
            design_ = plan(session)
            if tally.passed is None:
                return Outcome(
                    passed=None, detail=f"only {tally.trials} runs that count, {design_.trials} are needed{where}"
                )
            detail = f"{tally.failures} of {tally.trials} runs went wrong{where}; {design_}"
            return Outcome(
                passed=tally.passed,
                detail=detail,
                case=tally.first,
                sights=sights(session, tally.first) if not tally.passed else (),
                failures=tally.failures,
                trials=tally.trials,
                plan=design_,
            )

        def sights(session: Session, case: Case | None) -> tuple[Sight, ...]:
            if case is None:
                return ()
            ask = ask_of(session)
            run = ask.run(case.spec, case.seed)
            try:
                f(ask, case.spec, run)
                if not ask.sights:
                    ask.detect(run, "", case.spec)
            except Misbehaved:
                pass
            return tuple(ask.sights)

        def fresh(session: Session, spec: Spec, phase: str) -> Iterator[tuple[Spec, Sequence[int]]]:
            """The spec with fresh seeds, in blocks, up to four times as many as have to count."""
            seeds = session.seeds(name, phase, 4 * plan(session).trials)
            yield from ((spec, seeds[i : i + 32]) for i in range(0, len(seeds), 32))

        def families(session: Session) -> Outcome:
            held = session.candidate.claim(FalseAlarms) or FalseAlarms()
            results: list[tuple[str, Outcome]] = []
            notes = []
            started = time.monotonic()
            step = max(every, 2 if session.level.thrifty else 1)
            for family, spec in list(session.subject.families.items())[::step]:
                why = "" if beyond is None else beyond(held, spec)
                if session.level.thrifty and (why or getattr(spec, "epochs", 0) > 256):
                    continue
                got = outcome(session, judged(session, fresh(session, spec, family)), f" on '{family}'")
                if why and got.passed is False:
                    notes.append(f"beyond the promise ({why}): {got.failures} of {got.trials} on '{family}'")
                elif not why:
                    results.append((family, got))
                if got.passed is False and time.monotonic() - started > session.level.patience:
                    notes.append("the families after it were not asked")
                    break
            if not results:
                return Outcome(passed=None, detail="the subject names no family within the promise")
            _, worst = max(results, key=lambda r: (r[1].passed is False, (r[1].failures or 0) / (r[1].trials or 1)))
            text = "; ".join([worst.detail, *notes])
            return Outcome(**{**vars(worst), "detail": f"worst of {len(results)} families: {text}"})

        def worst(session: Session) -> Outcome:
            tried: list[tuple[int, int, Spec]] = []
            seeds = session.seeds(name, "search", session.level.seeds)

            @seeded(session.number(name))
            @_settings(session.level.specs, [Phase.generate, Phase.target])
            @given(spec=specs(session))
            def search(spec: Spec) -> None:
                bad = sum(b is True for b in wrong(session, spec, seeds))
                target(float(bad))
                tried.append((bad, -len(tried), spec))

            search()
            _, _, spec = max(tried, key=lambda t: t[:2])
            got = outcome(
                session, judged(session, fresh(session, spec, "judge")), f" on the worst of {len(tried)} specs"
            )
            return simplest(session, got)

        def average(session: Session) -> Outcome:
            drawn: list[Spec] = []

            @seeded(session.number(name))
            @_settings(4 * session.level.specs, [Phase.generate])
            @given(spec=specs(session))
            def draw(spec: Spec) -> None:
                drawn.append(spec)

            draw()
            trials = 4 * plan(session).trials
            seeds = session.seeds(name, "judge", trials)
            each = [(drawn[i % len(drawn)], seeds[4 * i : 4 * i + 4]) for i in range(trials // 4)]
            return simplest(session, outcome(session, judged(session, each), f" over {len(drawn)} specs"))

        def simplest(session: Session, got: Outcome) -> Outcome:
            """A failure shown on the simplest spec on which the detector clearly fails; the counts stay."""
            if got.passed is not False:
                return got
            seeds = session.seeds(name, "shrink", 16)
            clear = int(binom.isf(1e-3, len(seeds), min(allowed(session.candidate), 0.5))) + 1
            found: list[Case] = []

            def test(spec: Spec) -> None:
                bad = [s for s, b in zip(seeds, wrong(session, spec, seeds), strict=True) if b]
                if len(bad) >= clear:
                    found.append(Case(spec=spec, seed=bad[0]))
                    raise Violation

            _falsify(
                test, {"spec": specs(session)}, session.level.examples, session.number(name), session.level.patience
            )
            if not found:
                return got
            shown = found[-1]
            return Outcome(**{**vars(got), "case": shown, "sights": sights(session, shown)})

        def examine(session: Session) -> Outcome:
            how = {"families": families, "worst": worst, "average": average}[over]
            try:
                return how(session)
            except Skipped as why:
                return Outcome(passed=None, detail=str(why))
            except Misbehaved as error:
                return Outcome(passed=False, detail=f"could not be judged: {error}")

        def again(session: Session, case: Case) -> Outcome:
            try:
                return outcome(session, judged(session, fresh(session, case.spec, "again")), " on this spec")
            except Misbehaved as error:
                return Outcome(passed=False, detail=str(error), case=case)
            except Skipped as why:
                return Outcome(passed=None, detail=str(why))

        return Check(
            name=name,
            group=group,
            claim=claim,
            rationale=_rationale(f),
            source=source,
            examine=examine,
            again=again,
            sampled=True,
        )

    return make


def _rationale(f: Callable[..., Any]) -> str:
    return " ".join((f.__doc__ or "").split())
