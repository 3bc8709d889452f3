"""The protocol's own checks: what any detector must do to be one, whatever it promises."""

from __future__ import annotations

import math
import os
import pickle
import random
from dataclasses import fields, replace

import numpy as np
from hypothesis import strategies as st

from detectors.vocabulary import Run, Verdict
from sim.exam.candidate import places
from sim.exam.check import Ask, Check, Skipped, Spec, Violation
from sim.exam.compare import require_same
from sim.exam.exact import exact

__all__ = ["CHECKS", "require_answer"]

_NUMPY = "scikit-learn, estimator checks"
_METAMORPHIC = "Dwarakanath et al., 2018, metamorphic testing of machine learning, arXiv:1808.05353"


def require_answer(verdict: Verdict, run: Run, phenomenon: str) -> None:
    """Violation unless the verdict is about `phenomenon` and its findings lie on the axis of the run."""
    if verdict.phenomenon != phenomenon:
        raise Violation(f"the verdict is about {str(verdict.phenomenon)!r}, the detector about {phenomenon!r}")
    first, last = float(run.epochs[0]), float(run.epochs[-1])
    for f in verdict:
        if f.phenomenon != phenomenon:
            raise Violation(f"a finding is about {str(f.phenomenon)!r}, the detector about {phenomenon!r}")
        for name, epoch in places(f).items():
            if epoch is not None and not first <= epoch <= last:
                raise Violation(
                    f"{name} = {epoch:.10g} lies outside the run, whose epochs are {first:.10g}..{last:.10g}"
                )
        numbers = {**f.effect, **{k: v for k, v in f.evidence.items() if not isinstance(v, str)}}
        strange = [k for k, v in numbers.items() if not isinstance(v, (int, float, np.number)) or math.isinf(v)]
        if strange:
            raise Violation(f"effect or evidence {strange[0]!r} is {numbers[strange[0]]!r}, not a number")


@exact("contract", "the protocol `detectors.vocabulary.Detector`", start=st.sampled_from([1, 0, 1000]))
def answers_on_the_axis_of_the_run(ask: Ask, spec: Spec, seed: int, start: int) -> None:
    """A verdict is about the detector's own phenomenon, and what it says lies in the run, counted as the run counts.

    Who answers in positions, in minutes or beyond the end sends a reader to the wrong checkpoint.
    """
    run = ask.run(spec, seed)
    run = replace(run, epochs=run.epochs - run.epochs[0] + start)
    require_answer(ask.detect(run), run, ask.candidate.phenomenon)


def _holed(run: Run) -> Run:
    """The run with every third value missing."""
    hole = np.arange(len(run)) % 3 == 0
    return run.with_series(**{key: np.where(hole, np.nan, values) for key, values in run.series.items()})


@exact("contract", _NUMPY + " (check_readonly_memmap_input)", share=0.4)
def leaves_the_run_alone(ask: Ask, spec: Spec, seed: int) -> None:
    """A detector reads. Others read the same run after it, and a changed run would change their answers."""
    run = ask.run(spec, seed)
    names = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in ("epochs", "series")}
    before = {key: values.copy() for key, values in run.series.items()} | {" epochs": run.epochs.copy()}
    ask.detect(run)
    after = {**run.series, " epochs": run.epochs}
    if changed := [name for name, value in names.items() if getattr(run, name) != value]:
        raise Violation(f"{changed[0]} was changed by the detector")
    if set(before) != set(after):
        raise Violation(f"the series were {sorted(set(before))} and are {sorted(set(after))} afterwards")
    for key, values in before.items():
        if not np.array_equal(values, after[key], equal_nan=True):
            raise Violation(f"{key.strip()} was changed by the detector")


@exact("contract", _NUMPY + " (check_fit_idempotent)", share=0.4)
def repeats_itself(ask: Ask, spec: Spec, seed: int) -> None:
    """The same run gets the same answer twice. An answer that depends on a hidden draw cannot be checked by anybody."""
    run = ask.run(spec, seed)
    require_same(ask.detect(run, "first"), ask.detect(replace(run), "asked again"), "asked again")


@exact("contract", _NUMPY + " (check_methods_sample_order_invariance)", share=0.4)
def remembers_no_other_run(ask: Ask, spec: Spec, seed: int) -> None:
    """A run gets the answer that a new detector gives, whichever run came before it.

    State that leaks from run to run makes a verdict depend on the order of files in a folder.
    """
    run, other = ask.run(spec, seed), ask.run(spec, seed + 1)
    alone = ask.candidate.fresh().detect(run)
    upside_down = other.with_series(**{key: values[::-1] for key, values in other.series.items()})
    for before in (other, upside_down, other.without(*other.series)):
        ask.candidate.detect(before)
        require_same(alone, ask.detect(run, "after another run"), "after another run")


@exact("contract", _NUMPY + " (check_methods_subset_invariance)", share=0.4)
def answers_many_as_one_by_one(ask: Ask, spec: Spec, seed: int) -> None:
    """`detect_many` gives each run the verdict of `detect`, in whatever company and order.

    Batches are for speed; statistics over the batch would make a verdict depend on its neighbours.
    """
    if not callable(getattr(ask.candidate.detector, "detect_many", None)):
        raise Skipped("it has no detect_many; runs are asked one by one")
    whole = ask.run(spec, seed)
    half = whole.until(float(whole.epochs[len(whole) // 2]))
    runs = [whole, ask.run(spec, seed + 1), half, _holed(whole)]
    single = [ask.detect(run) for run in runs]
    for order in (range(4), (2, 0, 3, 1), (1,)):
        for i, verdict in zip(order, ask.candidate.detect_many([runs[i] for i in order]), strict=True):
            require_same(single[i], verdict, f"in a batch of {len(order)}")
    if ask.candidate.detect_many([]):
        raise Violation("no runs got an answer")


@exact("contract", "Unix: silence is a result", share=0.4)
def prints_nothing(ask: Ask, spec: Spec, seed: int) -> None:
    """What a detector has to say is in its verdict. Standard output is the program's that asked: it may be JSON."""
    run = ask.run(spec, seed)
    for asked in (run, _holed(run), run.until(float(run.epochs[1]))):
        ask.candidate.tally.printed = ""
        ask.detect(asked)
        if ask.candidate.tally.printed:
            raise Violation(f"it printed {ask.candidate.tally.printed[:80]!r}")


@exact("contract", "NumPy's rule that libraries do not seed the global generator (NEP 19)", share=0.4)
def leaves_the_world_alone(ask: Ask, spec: Spec, seed: int) -> None:
    """Global generators, NumPy's error state, the environment and the working directory are as they were.

    A library that seeds them makes somebody else's experiment repeat itself.
    """
    run = ask.run(spec, seed)
    kept = random.getstate(), np.random.get_state()
    random.seed(seed + 12345)  # a state that nobody comes to by seeding with a usual number
    np.random.seed(seed + 12345)

    def world() -> dict[str, object]:
        return {
            "random's generator": random.getstate(),
            "numpy's global generator": pickle.dumps(np.random.get_state()),
            "numpy's error state": np.geterr(),
            "the environment": dict(os.environ),
            "the working directory": os.getcwd(),
        }

    before = world()
    try:
        ask.detect(run)
        changed = [key for key, value in world().items() if value != before[key]]
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
    if changed:
        raise Violation(f"{changed[0]} was changed by the detector")


@exact("contract", _METAMORPHIC, share=0.4)
def ignores_names(ask: Ask, spec: Spec, seed: int) -> None:
    """What a run is called, where it came from and what its reader noted are no evidence.

    A detector that read them could know the answer of a simulated run, and would say something else of the same curve
    under another name.
    """
    run = ask.run(spec, seed)
    named = replace(run, name="x", source="elsewhere.csv", group="g", notes=("resumed",))
    require_same(ask.detect(run, "as it is"), ask.detect(named, "under another name"), "under another name")


@exact("contract", _METAMORPHIC, share=0.4)
def ignores_other_series(ask: Ask, spec: Spec, seed: int) -> None:
    """Columns that nobody asked for, and the order of columns, change nothing: logs are full of them."""
    run = ask.run(spec, seed)
    n = len(run)
    others = {
        "a_time": np.full(n, np.nan),
        **dict(reversed(list(run.series.items()))),
        "gpu": np.arange(float(n))[::-1],
    }
    require_same(
        ask.detect(run, "as it is"), ask.detect(replace(run, series=others), "with more columns"), "more columns"
    )


CHECKS: tuple[Check, ...] = (
    answers_on_the_axis_of_the_run,
    leaves_the_run_alone,
    repeats_itself,
    remembers_no_other_run,
    answers_many_as_one_by_one,
    prints_nothing,
    leaves_the_world_alone,
    ignores_names,
    ignores_other_series,
)
