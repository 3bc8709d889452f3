"""Checks that compare two answers: what must not matter does not, and what must matter does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from detectors.claims import EpochFree, Lasting, Monotone, Nested, Recovers, Robust, UnitFree
from detectors.vocabulary import Run, Verdict
from sim.exam.check import Ask, Check, Skipped, Spec, Violation, either, sharp, with_event, without_event
from sim.exam.compare import matched, require_same, said, seed_of, within
from sim.exam.exact import exact
from sim.exam.rate import rate

__all__ = ["CHECKS"]

_METAMORPHIC = "Dwarakanath et al., 2018, metamorphic testing of machine learning, arXiv:1808.05353"
_UNREAD = 0.5  # of runs in which the last values may make no difference
_SHARE = 0.1  # of runs in which a small disturbance may matter after all


@exact("metamorphic", _METAMORPHIC, claim=UnitFree, power=st.sampled_from([1, -1, 3, -3, 10, -10, 20, -20]))
def does_not_depend_on_the_unit_of_the_loss(ask: Ask, spec: Spec, seed: int, power: int) -> None:
    """A loss in bits, or summed over a batch, is the same curve in another unit: the findings stay where they are.

    Factors are powers of two, so that nothing is rounded and equality is exact. Fixed thresholds in nats fail here.
    """
    run = ask.run(spec, seed)
    losses = {key: run[key] * 2.0**power for key in run.series if "loss" in key}
    if not losses:
        raise Skipped("its runs have no loss")
    first, second = ask.detect(run, "as it is", spec), ask.detect(run.with_series(**losses), f"losses times 2^{power}")
    require_same(first, second, f"losses times 2^{power}")


@exact("metamorphic", _METAMORPHIC, claim=EpochFree, shift=st.integers(-1, 10_000))
def moves_with_the_axis(ask: Ask, spec: Spec, seed: int, shift: int) -> None:
    """Counting from 0, from 1, or from where a resumed run went on moves the findings by as much, and no more."""
    run = ask.run(spec, seed)
    moved = replace(run, epochs=run.epochs + shift)
    first, second = ask.detect(run, "as it is", spec), ask.detect(moved, f"epochs + {shift}")
    require_same(first, second, f"epochs + {shift}", lambda epoch: epoch + shift)


@exact("metamorphic", _METAMORPHIC, claim=EpochFree, step=st.sampled_from([2, 10, 391]))
def stretches_with_the_axis(ask: Ask, spec: Spec, seed: int, step: int) -> None:
    """An axis of optimiser steps is the epoch axis in another unit: windows are counted in evaluations."""
    run = ask.run(spec, seed)
    moved = replace(run, epochs=run.epochs * step)
    first, second = ask.detect(run, "as it is", spec), ask.detect(moved, f"epochs times {step}")
    require_same(first, second, f"epochs times {step}", lambda epoch: epoch * step)


@exact("metamorphic", "Lightning's metrics.csv: train and validation rows interleaved", share=0.4)
def ignores_empty_rows_between(ask: Ask, spec: Spec, seed: int) -> None:
    """Rows in which nothing was logged are no evidence; logs that mix steps and epochs are full of them."""
    run = ask.run(spec, seed)
    n = len(run)
    series = {key: np.column_stack([values, np.full(n, np.nan)]).ravel() for key, values in run.series.items()}
    epochs = np.column_stack([run.epochs, run.epochs + 0.5]).ravel()
    first = ask.detect(run, "as it is", spec)
    second = ask.detect(Run(epochs=epochs, series=series), "an empty row after each")
    require_same(first, second, "an empty row after each", known_at=False)


@exact("metamorphic", "a log that is being written has a last row without values", share=0.4, specs=with_event)
def counts_the_last_row_and_no_empty_one(ask: Ask, spec: Spec, seed: int) -> None:
    """An empty row at the end changes nothing, so the last row with values counts as any other.

    Who drops the last row is blind to what just happened, and answers about yesterday's run.
    """
    whole = ask.run(spec, seed)
    events = ask.subject.material(spec)
    for last in (len(whole), *(int(np.searchsorted(whole.epochs, e.onset)) + 1 for e in events)):
        run = whole.until(float(whole.epochs[max(last, 2) - 1]))
        n = len(run)
        series = {key: np.append(values, np.nan) for key, values in run.series.items()}
        spacing = float(run.epochs[-1] - run.epochs[-2])
        longer = Run(epochs=np.append(run.epochs, run.epochs[-1] + spacing), series=series)
        first, second = ask.detect(run, "as it is", spec), ask.detect(longer, f"an empty row after the {n} there are")
        require_same(first, second, f"an empty row after the {n} there are", known_at=False)


@rate("metamorphic", "curtailed logs: yesterday's run is not today's", claim=Recovers, over="average",
      allowed=lambda candidate: _UNREAD, specs=with_event)  # fmt: skip
def reads_the_last_row(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """The row with which an event is first found is read: with the values of before the event the answer is another.

    Not in each run, as a detector may be sure by then; in half of them at least. Who leaves the last values out says
    the same in all, whatever they are.
    """
    events = ask.subject.material(spec)
    found = len(run)  # the rows with which it is found, ...
    if not events or not ask.detect(run, "the whole run", spec).findings:
        return None
    missed = int(np.searchsorted(run.epochs, events[0].onset))  # ... and those with which it is not, closer and closer
    before = max(missed - 1, 0)
    while found - missed > 1:
        middle = (found + missed) // 2
        hit = ask.candidate.detect(run.until(float(run.epochs[middle - 1]))).findings
        found, missed = (middle, missed) if hit else (found, middle)
    part = run.until(float(run.epochs[found - 1]))
    last = np.arange(found) == found - 1
    others = part.with_series(**{key: np.where(last, values[before], values) for key, values in part.series.items()})
    return _words(ask.detect(part, "once it is found", spec)) == _words(ask.detect(others, "with other last values"))


def _words(verdict: Verdict) -> tuple[object, ...]:
    """All that a verdict says, as a value that can be compared; NaN is as good as NaN."""
    said = (verdict.status, verdict.reason, verdict.min_detectable_effect, verdict.findings)
    return tuple(map(repr, said))


@exact(
    "metamorphic", "nesting of tests: Lehmann & Romano, Testing Statistical Hypotheses, §3.3", claim=Nested, share=0.6
)
def finds_no_more_with_a_smaller_alpha(ask: Ask, spec: Spec, seed: int) -> None:
    """Who accepts fewer false alarms gets fewer findings: what is found at a small alpha is found at a larger one."""
    strict, lax = ask.candidate.with_alpha(0.01), ask.candidate.with_alpha(0.2)
    if strict is None or lax is None:
        raise Skipped("it has no alpha that can be set")
    run = ask.run(spec, seed)
    few, many = strict.detect(run), lax.detect(run)
    kept = [any(abs(f.onset - g.onset) <= within(run) for g in many) for f in few]
    if len(few.findings) > len(many.findings) or not all(kept):
        ask.detect(run, "at its own alpha", spec)
        raise Violation(f"at alpha 0.01: {said(few)}; at alpha 0.2: {said(many)}")


@rate(
    "metamorphic",
    "Hampel, 1974, the influence curve",
    claim=Robust,
    over="average",
    allowed=lambda candidate: candidate.alpha,
    specs=without_event,
)
def one_outlier_is_no_event(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """One evaluation that is 20 noise widths off, a corrupt batch or a hiccup of a disk, must not make a finding."""
    if ask.subject.grey(spec):
        return None
    at = len(run) * 2 // 3
    series = {}
    for key, values in run.series.items():
        if key == "learning_rate":
            continue
        width = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2)
        series[key] = np.where(np.arange(len(run)) == at, values + 20 * width, values)
    return bool(ask.detect(run.with_series(**series), f"one outlier at row {at + 1}", spec).findings)


@rate(
    "metamorphic",
    "progress bars print four digits",
    claim=Robust,
    over="average",
    allowed=lambda candidate: _SHARE,
    specs=either,
)
def rounding_does_not_matter(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """A log rounded to four significant digits gets the findings of the full one, their onsets within the tolerance."""
    rounded = run.with_series(**{key: _rounded(values) for key, values in run.series.items()})
    first, second = ask.detect(run, "as it is", spec), ask.detect(rounded, "four digits", spec)
    if len(first.findings) != len(second.findings):
        return True
    return any(abs(a.onset - b.onset) > within(run) for a, b in zip(first, second, strict=True))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{v:.4g}") for v in values.tolist()])


@rate("metamorphic", _METAMORPHIC, claim=Recovers, over="average", allowed=lambda candidate: _SHARE, specs=sharp)
def moves_with_the_event(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """An event that comes ten epochs later is found ten epochs later: the onset is read from the curve."""
    if ask.subject.later is None:
        raise Skipped("its subject cannot move an event")
    later = ask.subject.later(spec, 10)
    seed = seed_of(run)
    moved = ask.run(later, seed)
    truth, truth_later = ask.subject.material(spec), ask.subject.material(later)
    if not truth or not truth_later:
        return None
    first, second = ask.detect(ask.run(spec, seed), "as it is", spec), ask.detect(moved, "ten epochs later", later)
    if not first.findings or not second.findings:
        return True
    expected = truth_later[0].onset - truth[0].onset
    return abs(second.findings[0].onset - first.findings[0].onset - expected) > within(run)


@rate("metamorphic", _METAMORPHIC, claim=Monotone, over="average", allowed=lambda candidate: 0.05, specs=with_event)
def is_surer_of_a_stronger_event(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """The same noise with a larger event: what was found stays found, with a p-value that is not larger."""
    if ask.subject.stronger is None:
        raise Skipped("its subject cannot make an event stronger")
    seed = seed_of(run)
    weak, strong = ask.subject.stronger(spec, 0.5), ask.subject.stronger(spec, 2.0)
    if not ask.subject.material(weak) or not ask.subject.material(strong):
        return None
    first = ask.detect(ask.run(weak, seed), "half as strong", weak)
    second = ask.detect(ask.run(strong, seed), "twice as strong", strong)
    if not first.findings:
        return False
    if not second.findings:
        return True
    p = [min((f.p_value for f in v if f.p_value is not None), default=0.0) for v in (first, second)]
    return p[1] > p[0] * (1 + 1e-6)


@rate("metamorphic", _METAMORPHIC, claim=Lasting, over="average", allowed=lambda candidate: _SHARE, specs=with_event)
def remembers_an_old_event(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """What was found once the event was over is still found when the run went on as it was.

    Rules that look at the end of a run, at its minimum or at its overall variance forget.
    """
    events = ask.subject.material(spec)
    over = max((e.onset if e.end is None else e.end for e in events), default=float(run.epochs[-1]))
    early = run.until(over + 0.1 * (run.epochs[-1] - run.epochs[0]))
    if len(early) >= len(run):
        return None
    found = matched(events, ask.detect(early, "shortly after the event", spec), early)
    if len(found) < len(events):
        return None
    return len(matched(events, ask.detect(run, "the whole run", spec), run)) < len(events)


CHECKS: tuple[Check, ...] = (
    does_not_depend_on_the_unit_of_the_loss,
    moves_with_the_axis,
    stretches_with_the_axis,
    ignores_empty_rows_between,
    counts_the_last_row_and_no_empty_one,
    reads_the_last_row,
    finds_no_more_with_a_smaller_alpha,
    one_outlier_is_no_event,
    rounding_does_not_matter,
    moves_with_the_event,
    is_surer_of_a_stronger_event,
    remembers_an_old_event,
)
