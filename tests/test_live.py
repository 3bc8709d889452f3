"""A monitor tells each finding once, under the rules of the readers, and stays cheap."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import detectors.live
from detectors.diagnosis import diagnose
from detectors.live import GROWTH, OFTEN, Monitor, Said
from detectors.overfitting import Overfitting
from detectors.readers import Unreadable
from detectors.vocabulary import Finding, Run, Verdict, absent, found
from sim.composed import Composed, observe

OVERFITS = Composed(overfit=0.4, overfit_at=80)


def rows(run: Run) -> Iterator[tuple[float, dict[str, float]]]:
    """The run as a loop would log it."""
    for i, epoch in enumerate(run.epochs):
        yield float(epoch), {key: float(values[i]) for key, values in run.series.items()}


def finding(onset: float, lo: float, hi: float, phenomenon: str = "overfitting") -> Finding:
    return Finding(phenomenon=phenomenon, onset=onset, onset_interval=(lo, hi), level=0.9, known_at=hi)


@dataclass(frozen=True)
class At:
    """Finds at each row what `onsets` says for that number of rows."""

    onsets: tuple[tuple[float, ...], ...]
    phenomenon: str = "overfitting"

    def detect(self, run: Run) -> Verdict:
        onsets = self.onsets[len(run) - 1]
        return found(self.phenomenon, [finding(o, o - 1, o + 1) for o in onsets]) if onsets else absent(self.phenomenon)


def told(*onsets: tuple[float, ...]) -> list[list[float]]:
    """The onsets that a monitor gives at each update where the detector finds `onsets`."""
    monitor = Monitor(detectors=[At(onsets)])
    return [[f.onset for f in monitor.update(i + 1, loss=1.0)] for i in range(len(onsets))]


# what is found


@pytest.fixture(scope="module")
def watched() -> tuple[Run, Monitor, list[tuple[float, str]]]:
    """An overfitting run, the monitor that saw it, and when it told of which phenomenon."""
    run, monitor = observe(OVERFITS, [0])[0], Monitor()
    when = [(epoch, str(f.phenomenon)) for epoch, values in rows(run) for f in monitor.update(epoch, **values)]
    monitor.look()
    return run, monitor, when


@pytest.mark.slow
def test_overfitting_is_told_while_it_happens(watched):
    _, _, when = watched
    epochs = [epoch for epoch, phenomenon in when if phenomenon == "overfitting"]

    assert len(epochs) == 1
    assert 80 < epochs[0] < 130


@pytest.mark.parametrize("phenomenon", ["overfitting", "generalization_gap", "train_above_val"])
def test_what_the_last_reading_finds_was_told_once(watched, phenomenon):
    _, monitor, when = watched

    assert phenomenon in [f.phenomenon for f in monitor.diagnosis.findings]
    assert [told for _, told in when].count(phenomenon) == 1


def test_the_last_reading_is_that_of_diagnose_on_the_whole_run(watched):
    run, monitor, _ = watched

    assert monitor.diagnosis.reading == diagnose(run).reading


@pytest.mark.slow
@settings(max_examples=5)
@given(seed=st.integers(0, 30), until=st.integers(1, 60))
def test_after_some_updates_it_has_told_what_a_fresh_one_tells_on_that_prefix(seed, until):
    run = observe(Composed(epochs=60, overfit=0.8, overfit_at=20), [seed])[0]
    first, second = Monitor(), Monitor()
    told_by_first = [[f.onset for f in first.update(e, **v)] for e, v in rows(run)][:until]
    told_by_second = [[f.onset for f in second.update(e, **v)] for e, v in rows(run.until(run.epochs[until - 1]))]

    assert told_by_first == told_by_second


# the same finding


def test_a_finding_whose_onset_stays_is_told_once():
    assert told((5,), (5,), (5,)) == [[5], [], []]


def test_an_onset_that_drifts_by_less_than_its_interval_is_the_same_all_the_way():
    assert told((5,), (6,), (7,), (8,), (9,), (10,), (5,)) == [[5], [], [], [], [], [], []]


def test_an_onset_elsewhere_is_told():
    assert told((5,), (9,)) == [[5], [9]]


def test_a_finding_that_vanishes_and_comes_back_is_not_told_again():
    assert told((5,), (), (5,)) == [[5], [], []]


def test_of_two_findings_in_one_reading_one_is_new_however_near_they_are():
    assert told((5,), (5, 6)) == [[5], [6]]


def test_the_nearest_onset_is_the_same_one():
    said = Said()
    said.new([finding(5, 0, 20)])

    assert [f.onset for f in said.new([finding(5, 0, 20), finding(15, 0, 20)])] == [15]


def test_another_phenomenon_at_the_same_place_is_told():
    said = Said()
    said.new([finding(5, 4, 6)])

    assert [f.phenomenon for f in said.new([finding(5, 4, 6, "spike")])] == ["spike"]


# values and names


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5]), jnp.float32(0.5), "0.5", "0,5", "50%"], ids=repr
)
def test_a_value_is_read_whatever_it_is_held_in(value):
    monitor = Monitor()
    monitor.update(1, val_loss=value)

    assert monitor.run["val_loss"].tolist() == [0.5]


@pytest.mark.parametrize(
    "value",
    [None, math.nan, "", "None", "oops", object(), [1, 2], np.zeros(3), {}],
    ids=lambda value: f"{type(value).__name__} {str(value)[:6]}" if type(value) is not object else "an object",
)
def test_a_value_that_is_no_number_is_missing(value):
    monitor = Monitor()
    monitor.update(1, val_loss=value, loss=1.0)
    monitor.update(2, val_loss=0.5, loss=1.0)

    np.testing.assert_array_equal(monitor.run["val_loss"], [math.nan, 0.5])


def test_a_text_that_is_no_number_is_noted_with_its_place():
    monitor = Monitor()
    monitor.update(1, val_loss="oops")
    monitor.update(2, val_loss=1.0)

    assert any("update 1, column 'val_loss': 'oops' is no number" in note for note in monitor.run.notes)


def test_names_are_those_of_the_table():
    monitor = Monitor()
    monitor.update(3, **{"loss": 1.0, "val/loss": 2.0, "Valid Acc.": 40.0, "lr": 0.1})

    assert monitor.run.epochs.tolist() == [3]
    assert {key: values.tolist() for key, values in monitor.run.series.items()} == {
        "train_loss": [1.0],
        "val_loss": [2.0],
        "val_accuracy": [0.4],
        "learning_rate": [0.1],
    }


def test_a_mapping_names_a_value_that_comes_later_too():
    monitor = Monitor(mapping={"val_loss": "holdout"})
    monitor.update(1, loss=1.0)
    monitor.update(2, loss=1.0, holdout=None)
    before = monitor.run
    monitor.update(3, loss=1.0, holdout=0.7)

    assert "val_loss" not in before
    np.testing.assert_array_equal(monitor.run["val_loss"], [math.nan, math.nan, 0.7])


def test_of_an_epoch_that_comes_again_the_later_value_wins_and_a_note_says_so():
    monitor = Monitor()
    for epoch, loss in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 20.0), (3, 30.0)):
        monitor.update(epoch, loss=loss)

    assert monitor.run["train_loss"].tolist() == [1.0, 20.0, 30.0]
    assert len([note for note in monitor.run.notes if "later one" in note]) == 1


def test_two_updates_of_one_epoch_are_put_together():
    monitor = Monitor()
    monitor.update(1, loss=1.0)
    monitor.update(1, val_loss=2.0)

    assert (monitor.run["train_loss"].tolist(), monitor.run["val_loss"].tolist()) == ([1.0], [2.0])


def test_an_epoch_that_is_no_number_is_left_out():
    monitor = Monitor()
    assert monitor.update("soon", loss=1.0) == []
    monitor.update(2, loss=2.0)

    assert monitor.run["train_loss"].tolist() == [2.0]


def test_without_a_known_name_nothing_is_found_and_the_run_says_which_names_there_are():
    monitor = Monitor()

    assert monitor.update(1, foo=1.0) == []
    with pytest.raises(Unreadable, match="'foo'"):
        _ = monitor.run


def test_values_called_self_do_not_matter():
    assert Monitor().update(1, **{"self": 1.0, "loss": 1.0}) == []


@pytest.mark.parametrize(
    ("settings_", "said"),
    [({"alpha": 0}, "alpha=0"), ({"alpha": math.nan}, "alpha=nan"), ({"every": 0}, "every=0")],
)
def test_settings_that_cannot_be_are_refused(settings_, said):
    with pytest.raises(ValueError, match=said):
        Monitor(**settings_)


def test_the_false_alarms_that_the_docstring_names_are_those_of_the_result_file():
    with (Path(__file__).parents[1] / "experiments" / "results" / "live.csv").open() as file:
        shares = [row["value"] for row in csv.DictReader(file) if row["what"].startswith("flat, autocorrelation 0.8")]

    assert len(shares) == 2
    assert f"was told in {shares[0]} of them" in detectors.live.__doc__
    assert f"found it in {shares[1]}" in detectors.live.__doc__


# how often it looks, and what that costs


def test_it_looks_at_every_kth_update():
    monitor = Monitor(every=7)
    for epoch in range(1, 30):
        monitor.update(epoch, loss=1.0)

    assert monitor.looks == 1 + 28 // 7


def test_it_looks_at_every_update_first_and_then_when_a_hundredth_has_come():
    monitor = Monitor(detectors=[])
    for epoch in range(10_000):
        monitor.update(epoch, loss=1.0)

    assert OFTEN + math.log(10_000 / OFTEN, 1 + GROWTH) == pytest.approx(monitor.looks, rel=0.1)


def test_look_tells_what_the_regular_looks_have_left_out():
    monitor = Monitor(detectors=[At(((), (2.0,)))], every=10)
    monitor.update(1, loss=1.0)
    monitor.update(2, loss=1.0)

    assert [f.onset for f in monitor.look()] == [2.0]


@pytest.mark.slow
def test_ten_thousand_updates_are_few_looks_and_overfitting_is_found_in_them():
    rng = np.random.default_rng(0)
    n = 10_000
    val = 2 + 0.5 * np.clip(np.arange(n) / n - 0.5, 0, None) + rng.normal(0, 0.02, n)
    monitor = Monitor(detectors=[Overfitting()])
    told = [finding for i in range(n) for finding in monitor.update(i, loss=1.0, val_loss=val[i])]

    assert monitor.looks < n / 10
    assert [f.phenomenon for f in told] == ["overfitting"]
