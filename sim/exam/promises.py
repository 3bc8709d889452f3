"""Checks of what a finding says about itself: its interval, its p-value, the epoch at which it was known."""

from __future__ import annotations

from hypothesis import strategies as st

from detectors.claims import Coverage, KnownAt, Online, PValues
from detectors.vocabulary import Run
from sim.exam.candidate import Candidate
from sim.exam.check import Ask, Check, Skipped, Spec, Violation, either, sharp
from sim.exam.compare import matched, said
from sim.exam.exact import exact
from sim.exam.rate import rate
from sim.exam.silence import beyond

__all__ = ["CHECKS"]

LOOKS = 4  # prefixes of a run at which an online detector is asked
_HALF = 0.5  # the alpha at which p-values are looked at, so that there are many of them
_SMALL = 0.005  # what a small p-value is


@rate("promises", "exact binomial test: Clopper & Pearson, 1934", claim=Coverage, over="average", sharpness=0.5,
      allowed=lambda candidate: 1 - candidate.level)  # fmt: skip
def intervals_hold_the_onset(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Of the events that are found, the onset lies in the interval with the level that the detector states.

    That is its attribute `level`, else the lowest that its findings state.
    """
    pairs = matched(ask.subject.material(spec), ask.detect(run, "", spec), run)
    if not pairs:
        return None
    return any(not f.onset_interval[0] <= e.onset <= f.onset_interval[1] for e, f in pairs)


@rate("promises", "coverage is cheap: the whole run always covers", claim=Coverage, over="average", specs=sharp,
      allowed=lambda candidate: 0.1)  # fmt: skip
def intervals_say_something(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Where the onset is plain to see, the interval is shorter than half of the run."""
    pairs = matched(ask.subject.material(spec), ask.detect(run, "", spec), run)
    if not pairs:
        return None
    longest = max(f.onset_interval[1] - f.onset_interval[0] for _, f in pairs)
    return bool(longest > 0.5 * (run.epochs[-1] - run.epochs[0]))


def _looked_at(candidate: Candidate) -> tuple[Candidate, float]:
    """The detector at an alpha where many p-values are seen, and the p-value at which they are counted."""
    lax = candidate.with_alpha(_HALF)
    return (candidate, candidate.alpha / 5) if lax is None else (lax, _HALF / 5)


def _sharpness(candidate: Candidate) -> float:
    """Twice too many are caught where many p-values are to be seen, five times too many where few are."""
    return 2.0 if candidate.with_alpha(_HALF) is None else 0.5


@rate("promises", "p-values are super-uniform under the null: Lehmann & Romano, Testing Statistical Hypotheses, §3.3",
      claim=PValues, over="families", sharpness=_sharpness, beyond=beyond,
      allowed=lambda candidate: _looked_at(candidate)[1])  # fmt: skip
def p_values_are_none_too_small(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Among null runs of each family at most a tenth has a p-value of a tenth or less, asked at alpha 0.5.

    Where alpha cannot be set: at most a share alpha / 5 has one that small.
    """
    lax, share = _looked_at(ask.candidate)
    return _as_small_as(share, ask, lax, spec, run)


@rate("promises", "p-values are super-uniform under the null: Lehmann & Romano, Testing Statistical Hypotheses, §3.3",
      claim=PValues, over="families", every=16, beyond=beyond, allowed=lambda candidate: _SMALL)  # fmt: skip
def small_p_values_are_rare(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Of flat runs under white noise at most one in 200 has a p-value of 0.005 or less: it must hold in the tail too.

    People rank and correct by small p-values. One that is always tiny, or tiny from some threshold on, ranks nothing.
    """
    return _as_small_as(_SMALL, ask, _looked_at(ask.candidate)[0], spec, run)


def _as_small_as(share: float, ask: Ask, lax: Candidate, spec: Spec, run: Run) -> bool | None:
    if ask.subject.grey(spec):
        return None
    verdict = lax.detect(run)
    p = [f.p_value for f in verdict if f.p_value is not None]
    if verdict.findings and not p:
        return None  # it says nothing about how sure it is
    return any(value <= share for value in p)


@rate("promises", "peers' rules date an alarm with the benefit of hindsight", claim=KnownAt, over="average",
      allowed=lambda candidate: 0.1)  # fmt: skip
def what_was_known_was_known(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """A finding that says it was known at epoch x is found in the run up to x, within a tenth of the run."""
    pairs = matched(ask.subject.material(spec), ask.detect(run, "the whole run", spec), run)
    for event, finding in pairs:
        late = run.until(finding.known_at + 0.1 * (run.epochs[-1] - run.epochs[0]))
        if not matched([event], ask.detect(late, f"up to {late.epochs[-1]:.10g}", spec), run):
            return True
    return False if pairs else None


@exact("promises", "what is said live cannot be unsaid", claim=Online, specs=either, share=2.0,
       pace=st.sampled_from([0.5, 0.2, 0.1]))  # fmt: skip
def takes_nothing_back(ask: Ask, spec: Spec, seed: int, pace: float) -> None:
    """Asked again and again while the run grows, in steps of any size, a detector repeats all that it has said."""
    run = ask.run(spec, seed)
    before: list[tuple[float, str]] = []
    step = max(round(pace * len(run)), 1)
    for last in [*range(step, len(run), step), len(run)]:
        part = run.until(float(run.epochs[last - 1]))
        verdict = ask.candidate.detect(part)
        now = [(f.onset, f.kind) for f in verdict]
        if lost := [claim for claim in before if claim not in now]:
            ask.detect(part, f"after {last} rows", spec)
            raise Violation(f"the finding at epoch {lost[0][0]:.10g} is gone after {last} rows: {said(verdict)}")
        before = now


@rate("promises", "Ville, 1939: a level that holds at every look at once", claim=Online, over="families",
      every=2, beyond=beyond, allowed=lambda candidate: candidate.alpha)  # fmt: skip
def stays_silent_at_every_look(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """Asked at several prefixes of a null run, the chance that it ever alarms is at most alpha."""
    if ask.candidate.claim(Online) is None:
        raise Skipped("it does not promise to be asked again and again")
    if ask.subject.grey(spec):
        return None
    n = len(run)
    looks = [run.until(float(run.epochs[max(n * (k + 1) // LOOKS, 1) - 1])) for k in range(LOOKS)]
    return any(bool(ask.detect(part, f"the first {len(part)} rows", spec).findings) for part in looks)


CHECKS: tuple[Check, ...] = (
    intervals_hold_the_onset,
    intervals_say_something,
    p_values_are_none_too_small,
    small_p_values_are_rare,
    what_was_known_was_known,
    takes_nothing_back,
    stays_silent_at_every_look,
)
