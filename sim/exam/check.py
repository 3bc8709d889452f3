"""The nouns of the exam: a check, the session in which it is asked, what may be asked, what came of it.

Checks are made by `sim.exam.exact.exact` (a property that holds in every example) and `sim.exam.rate.rate` (one that a
stated share of runs may miss).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from hypothesis import strategies as st

from detectors.claims import Claim
from detectors.vocabulary import Event, Run, Verdict
from sim.exam.candidate import Candidate
from sim.exam.rates import Design
from sim.exam.search import Violation, sample
from sim.exam.subject import Spec, Subject

__all__ = [
    "LEVELS",
    "Ask",
    "Case",
    "Check",
    "Group",
    "Level",
    "Outcome",
    "Question",
    "Session",
    "Sight",
    "Skipped",
    "Spec",
    "Specs",
    "Violation",
    "either",
    "rationale",
    "sharp",
    "with_event",
    "without_event",
]

_POOL = 20  # times as many specs in an average as in a search for the worst one
Group = Literal["contract", "bad input", "metamorphic", "recovery", "silence", "promises"]


class Skipped(Exception):
    """A check that cannot be asked of this detector; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """How hard the exam looks.

    `examples` for each exact check; `specs` times `seeds` runs in each search for a worst case. A rate that is promised
    to be at most p is caught, with probability 1 − `false_pass`, from `multiple` times p on; a detector that just keeps
    a promise fails one test with probability `false_fail`. `shrinks` examples are spent on shrinking one failure.
    `thrifty` asks every second family, none of long runs, and none beyond the detector's promise.
    """

    name: str
    examples: int
    specs: int
    seeds: int
    multiple: float
    false_fail: float = 1e-6  # an exam makes fewer than 100 tests: together under 1 in 10,000
    false_pass: float = 0.01
    shrinks: int = 100
    thrifty: bool = False


LEVELS = {
    level.name: level
    for level in (
        Level(name="quick", examples=6, specs=6, seeds=4, multiple=6.0, shrinks=40, thrifty=True),
        Level(name="default", examples=25, specs=20, seeds=8, multiple=3.0),
        Level(name="thorough", examples=300, specs=200, seeds=16, multiple=1.5, shrinks=1000),
    )
}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One run as it was shown to the detector, what it said, and what is true (None: not given): to be drawn."""

    title: str
    run: Run
    verdict: Verdict | None
    events: tuple[Event, ...] | None = None


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
        events = None if spec is None else tuple(self.subject.grey(spec))
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
    pools: dict[str, list[Spec]] = field(default_factory=dict, compare=False)

    def pool(self, specs: Specs) -> list[Spec]:
        """The specs over which an average is taken, drawn once an exam."""
        name = specs.__name__
        if name not in self.pools:
            self.pools[name] = sample(specs(self), examples=_POOL * self.level.specs, number=self.number(name))
        return self.pools[name]

    def seeds(self, check: str, phase: str, size: int) -> list[int]:
        """`size` run seeds of one phase of one check; other phases and other exam seeds have others."""
        words = [self.seed, zlib.crc32(check.encode()), zlib.crc32(phase.encode())]
        state = np.random.SeedSequence(words).generate_state(size)
        return [int(s) >> 1 for s in state]

    def number(self, check: str) -> int:
        """The seed of Hypothesis' own draws in one check."""
        return self.seeds(check, "draws", 1)[0]


class Question(Protocol):
    """How a check is judged."""

    @property
    def sampled(self) -> bool:
        """Whether it is about a rate over runs, rather than about each of them."""

    def examine(self, session: Session) -> Outcome:
        """Look for a failure."""

    def again(self, session: Session, case: Case) -> Outcome:
        """Ask about one example only."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named property: why it should hold, after whom, which claim makes it binding (None: the protocol itself)."""

    name: str
    group: Group
    claim: type[Claim] | None
    rationale: str
    source: str
    question: Question

    @property
    def title(self) -> str:
        """The name as a sentence."""
        text = self.name.replace("_", " ")
        return text[:1].upper() + text[1:]


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


def rationale(f: Callable[..., Any]) -> str:
    """The docstring of a check's function, as one paragraph."""
    return " ".join((f.__doc__ or "").split())
