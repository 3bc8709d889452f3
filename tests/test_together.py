"""Many runs at once: the same verdicts as one by one, to the bit, and less work."""

from __future__ import annotations

import inspect
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_detectors import EVENTFUL, FURTHER

from detectors import detect_many, diagnose, diagnose_many, falls, noise, scan
from detectors.catalogue import CATALOGUE, built_in
from detectors.readers import read
from detectors.segments import cut
from detectors.together import LONGEST, by_length, stacked
from detectors.vocabulary import Run
from sim.composed import observe
from sim.families import FAMILIES


def forget() -> None:
    """Whatever the detectors remember."""
    cut.cache_clear()
    for name, module in list(sys.modules.items()):
        if name.startswith("detectors"):
            for value in vars(module).values():
                if inspect.isfunction(value) and hasattr(value, "ahead"):
                    value.cache_clear()


def assert_same(runs: list[Run]) -> None:
    """What is said about each run when nothing is known of the others is said in their company."""
    expected = []
    for run in runs:
        forget()
        diagnosis = diagnose(run)
        expected.append((repr(diagnosis.verdicts), diagnosis.reading))
    forget()
    for run, diagnosis, (verdicts, reading) in zip(runs, diagnose_many(runs), expected, strict=True):
        assert diagnosis.run.name == run.name
        assert repr(diagnosis.verdicts) == verdicts
        assert diagnosis.reading == reading


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), ("learning_rate",), ("train_loss",), ("val_accuracy", "learning_rate")])
@pytest.mark.parametrize("name", ["eventful", *FURTHER, *[n for n in FAMILIES if "1000" not in n][::6]])
def test_runs_of_one_recipe_get_the_verdicts_that_each_gets_alone(name: str, hidden: tuple[str, ...]):
    spec = EVENTFUL if name == "eventful" else FURTHER[name] if name in FURTHER else FAMILIES[name].recipe

    assert_same([run.without(*hidden) for run in observe(spec, range(3))])


@pytest.mark.slow
@settings(max_examples=10)
@given(seed=st.integers(0, 2**20), epochs=st.sampled_from([40, 41, 73, 200]))
def test_a_mixed_company_changes_nothing(seed: int, epochs: int):
    rng = np.random.default_rng(seed)
    runs = []
    for i, run in enumerate(observe(EVENTFUL, range(seed, seed + 4))):
        values = np.array(run["val_loss"])
        values[rng.integers(len(values), size=i)] = np.nan  # none in the first run
        runs += [run.with_series(val_loss=values), run.until(float(epochs))]
    random.Random(seed).shuffle(runs)

    assert_same(runs)


def test_real_logs_get_the_verdicts_that_each_gets_alone(real_logs: Path):
    assert_same([run for path in sorted((real_logs / "curves").glob("*.csv"))[::4] for run in read(path)])


def test_long_short_and_empty_companies_are_answered():
    long = Run(epochs=np.arange(LONGEST + 1.0), series={"val_loss": np.ones(LONGEST + 1)})
    short = Run(epochs=[1.0, 2.0], series={"val_loss": [1.0, 0.5]})
    bare = Run(epochs=[1.0, 2.0], series={"other": [1.0, 0.5]})

    assert_same([long, short, bare, long, short, bare])
    assert list(diagnose_many([])) == []


@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_every_detector_measures_ahead_what_it_would_measure_anyway(phenomenon: str):
    """Nothing is measured ahead in vain: what a detector asked for is not asked again by its `detect`."""
    (detector,) = built_in(0.05, [phenomenon])
    runs = observe(FAMILIES["slow decay, null drops"].recipe, range(40))
    measured = {"pieces": 0, "steps": 0, "scan": 0}

    def count(function, what):
        def counted(*args, **named):
            measured[what] += 1
            return function(*args, **named)

        return counted

    forget()
    with pytest.MonkeyPatch.context() as patch:
        for remembered, what in ((noise._measured, "pieces"), (falls._steps, "steps"), (scan._ratios, "scan")):
            memory = remembered.ahead.__self__
            patch.setattr(memory, "function", count(memory.function, what))
        detect_many(detector, [run.without("learning_rate") for run in runs])

    assert max(measured.values()) <= 20  # one by one it were 40 or more of each that it needs


def test_series_are_stacked_by_length():
    runs = [
        Run(epochs=np.arange(n), series={"val_loss": np.arange(n) + first, "name": np.full(n, first)})
        for n, first in ((3, 0.0), (4, 1.0), (3, 2.0), (3, 0.0))
    ]
    gap = replace(runs[1], series={"val_loss": np.array([1.0, np.nan, 3.0, 4.0]), "name": np.full(4, 2.0)})

    found = {
        val.shape: ([run["name"][0] for run in alike], val[:, 0].tolist())
        for alike, (val,) in stacked([*runs, gap, Run(epochs=[1.0], series={"x": [1.0]})], "val_loss")
    }

    assert found == {(4, 3): ([0.0, 2.0, 0.0, 2.0], [0.0, 2.0, 0.0, 1.0]), (1, 4): ([1.0], [1.0])}


def test_pieces_are_stacked_by_length():
    pieces = [np.arange(3.0), np.arange(2.0), np.ones(3)]

    assert [stack.tolist() for stack in by_length(pieces)] == [[[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]], [[0.0, 1.0]]]
