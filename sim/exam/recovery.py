"""Checks that what was injected is found: at all, beside a drop of the learning rate, in the right place, alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from detectors.claims import Precise, Recovers, RecoversWorst
from detectors.vocabulary import Run
from sim.exam.candidate import Candidate
from sim.exam.check import Ask, Check, Session, Skipped, Spec, sharp
from sim.exam.compare import matched, seed_of
from sim.exam.rate import rate

__all__ = ["CHECKS"]

_MATCHING = "one-to-one matching within a tolerance: van den Burg & Williams, 2020, arXiv:2003.06222, §3.2"


def _missed(candidate: Candidate) -> float:
    return 1 - (candidate.claim(Recovers) or Recovers()).share


def _missed_at_worst(candidate: Candidate) -> float:
    return 1 - (candidate.claim(RecoversWorst) or RecoversWorst()).share


def _extra(candidate: Candidate) -> float:
    return (candidate.claim(Precise) or Precise()).share


def _misses(ask: Ask, spec: Spec, run: Run) -> bool | None:
    events = ask.subject.material(spec)
    if not events:
        return None  # the decay swallowed it: there is nothing to miss
    return len(matched(events, ask.detect(run, "", spec), run)) < len(events)


@rate("recovery", _MATCHING, claim=Recovers, over="average", allowed=_missed)
def finds_what_was_injected(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Over specs that have the event at the promised strength, each event of a run is found within the tolerance."""
    return _misses(ask, spec, run)


@rate("recovery", "Hypothesis' target()", claim=RecoversWorst, over="worst", allowed=_missed_at_worst, sharpness=0.4)
def finds_it_on_the_worst_spec(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """An average hides a blind spot. The search looks for the spec with most misses; fresh runs judge it."""
    return _misses(ask, spec, run)


def _varied(name: str) -> Any:
    def specs(session: Session) -> st.SearchStrategy[Any]:
        vary = getattr(session.subject, name)
        if vary is None:
            raise Skipped("its subject has no way to put a drop beside the event")
        return session.subject.with_event.map(lambda spec: vary(spec, 0.0))

    specs.__name__ = name
    return specs


@rate("recovery", "patience rules: the fall at a drop resets their counter", claim=Recovers, over="average",
      allowed=_missed, specs=_varied("after_drop"))  # fmt: skip
def finds_it_after_a_drop(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """A drop of the learning rate changes level and noise of a curve. What happens after it is found all the same."""
    return _misses(ask, spec, run)


@rate("recovery", "rules on the overall minimum, which moves to the fall", claim=Recovers, over="average",
      allowed=_missed, specs=_varied("before_drop"))  # fmt: skip
def finds_it_before_a_drop(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """What happened before a late drop is found: the fall at the drop does not undo it."""
    return _misses(ask, spec, run)


@rate("recovery", _MATCHING, claim=Recovers, over="average", allowed=_missed, specs=sharp)
def puts_it_where_it_is(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Where the onset is plain to see, it is met within three evaluations: a detector that is five late is late."""
    return _misses(ask, spec, run)


@rate("recovery", "logs evaluate every few epochs, and runs resume", claim=Recovers, over="average", allowed=_missed)
def finds_it_on_uneven_epochs(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """With a fifth of the rows left out, an event is found where it is on the axis: rows are no epochs."""
    rows = np.random.default_rng(seed_of(run)).random(len(run)) < 0.8
    some = replace(run, epochs=run.epochs[rows], series={key: values[rows] for key, values in run.series.items()})
    events = ask.subject.material(spec)
    if not events or len(some) < 2:
        return None
    return len(matched(events, ask.detect(some, "a fifth of the rows left out", spec), run)) < len(events)


@rate("recovery", _MATCHING, claim=Precise, over="average", allowed=_extra)
def adds_nothing_to_it(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """In a run with an event there is no finding beside it: alarms in eventful runs are as false as any."""
    verdict = ask.detect(run, "", spec)
    return len(matched(ask.subject.grey(spec), verdict, run)) < len(verdict.findings)


CHECKS: tuple[Check, ...] = (
    finds_what_was_injected,
    finds_it_on_the_worst_spec,
    finds_it_after_a_drop,
    finds_it_before_a_drop,
    puts_it_where_it_is,
    finds_it_on_uneven_epochs,
    adds_nothing_to_it,
)
