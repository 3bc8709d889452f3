"""Checks on what a logger writes on a bad day: never an exception, never a guess, never an answer off the axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from detectors.claims import FalseAlarms
from detectors.vocabulary import Run
from sim.exam.check import Ask, Check, Skipped, Spec, Violation, without_event
from sim.exam.compare import seed_of
from sim.exam.contract import require_answer
from sim.exam.exact import exact
from sim.exam.rate import rate

__all__ = ["CHECKS"]

_LOGS = "real training logs: runs that died, resumed, diverged, or logged validation every few epochs"


def _part(run: Run, rows: np.ndarray) -> Run:
    return replace(run, epochs=run.epochs[rows], series={k: v[rows] for k, v in run.series.items()})


@exact("bad input", _LOGS, rows=st.integers(1, 12))
def answers_about_short_runs(ask: Ask, spec: Spec, seed: int, rows: int) -> None:
    """A run of a few rows gets an answer, and one of three rows or fewer no finding: nothing can be known from it."""
    whole = ask.run(spec, seed)
    run = _part(whole, np.arange(min(rows, len(whole))))
    verdict = ask.detect(run, f"the first {rows} rows")
    require_answer(verdict, run, ask.candidate.phenomenon)
    if rows <= 3 and verdict.findings:
        raise Violation(f"something is found in a run of {rows} rows")


@exact(
    "bad input",
    "patience rules say 'found at 0' of a constant curve",
    value=st.sampled_from([0.0, 1.0, 1e-6, 1e6]),
    share=0.5,
)
def finds_nothing_in_constants(ask: Ask, spec: Spec, seed: int, value: float) -> None:
    """Where nothing changes nothing happens; a constant has no noise either, and must not make a division by zero."""
    run = ask.run(spec, seed)
    flat = run.with_series(**{key: np.full(len(run), value) for key in run.series})
    verdict = ask.detect(flat, f"every series is {value:g}")
    require_answer(verdict, flat, ask.candidate.phenomenon)
    if verdict.findings:
        raise Violation(f"something is found where every series is {value:g}")


_BAD = {
    "nan": np.nan,
    "infinite": np.inf,
    "minus infinity": -np.inf,
    "huge": 1e300,
    "tiny": 1e-300,
    "zero": 0.0,
    "negative": -1.0,
}


@exact(
    "bad input",
    _LOGS,
    bad=st.sampled_from(sorted(_BAD)),
    where=st.sampled_from(["one value", "from half-way on", "every third", "everywhere"]),
    share=2.0,
)
def answers_about_values_that_are_none(ask: Ask, spec: Spec, seed: int, bad: str, where: str) -> None:
    """NaN, infinities, numbers whose squares overflow or vanish, losses below zero: an answer, no exception.

    A run that blows up is what people ask about most.
    """
    run = ask.run(spec, seed)
    n = len(run)
    rows = {
        "one value": np.arange(n) == (7 * seed) % n,
        "from half-way on": np.arange(n) >= n // 2,
        "every third": np.arange(n) % 3 == 0,
        "everywhere": np.ones(n, bool),
    }[where]
    keys = sorted(run.series)
    chosen = keys if seed % 2 else [keys[seed % len(keys)]]
    broken = run.with_series(**{key: np.where(rows, _BAD[bad], run[key]) for key in chosen})
    require_answer(ask.detect(broken, f"{bad}, {where}, in {', '.join(chosen)}"), broken, ask.candidate.phenomenon)


@exact("bad input", "'clean' must not look the same as 'could not look' (sagemaker-debugger's rules)")
def says_which_series_is_missing(ask: Ask, spec: Spec, seed: int) -> None:
    """Without a series that it needs, or with nothing in it, a detector is undetermined and names the series.

    What it needs is its attribute `needs`; without any series at all, every detector is undetermined.
    """
    run = ask.run(spec, seed)
    empty = run.without(*run.series)
    if ask.detect(empty, "no series at all").status != "undetermined":
        raise Violation("with no series at all the status must be undetermined")
    for key in run.series:
        missing = {"left out": run.without(key), "all NaN": run.with_series(**{key: np.full(len(run), np.nan)})}
        for how, less in missing.items():
            verdict = ask.detect(less, f"{key} {how}")
            require_answer(verdict, less, ask.candidate.phenomenon)
            if key not in ask.candidate.needs:
                continue
            if verdict.status != "undetermined":
                raise Violation(f"{key} is needed and {how}: the status must be undetermined, it is {verdict.status}")
            if key not in verdict.reason:
                raise Violation(f"{key} is needed and {how}, and the reason does not name it: {verdict.reason!r}")


@exact("bad input", _LOGS, keep=st.sampled_from([2, 3, 5]), share=0.5)
def answers_on_uneven_epochs(ask: Ask, spec: Spec, seed: int, keep: int) -> None:
    """Epochs may be missing anywhere; the answer still lies on the axis of the run."""
    whole = ask.run(spec, seed)
    rows = np.flatnonzero(np.random.default_rng(seed).integers(0, keep, len(whole)) < keep - 1)
    if len(rows) < 2:
        raise Skipped("hardly any rows are left")
    run = _part(whole, rows)
    require_answer(ask.detect(run, "with rows left out"), run, ask.candidate.phenomenon)


@rate(
    "bad input", _LOGS, claim=FalseAlarms, over="worst", allowed=lambda candidate: candidate.alpha, specs=without_event
)
def stays_silent_with_holes(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """A fifth of the values missing is no event: the rate of false alarms on null runs stays what it is.

    NaN compares false with everything, and a rule that is written the other way round alarms on it.
    """
    if ask.subject.grey(spec):
        return None
    rng = np.random.default_rng(seed_of(run))
    holed = run.with_series(
        **{key: np.where(rng.random(len(run)) < 0.2, np.nan, run[key]) for key in sorted(run.series)}
    )
    return bool(ask.detect(holed, "a fifth of the values missing", spec).findings)


CHECKS: tuple[Check, ...] = (
    answers_about_short_runs,
    finds_nothing_in_constants,
    answers_about_values_that_are_none,
    says_which_series_is_missing,
    answers_on_uneven_epochs,
    stays_silent_with_holes,
)
