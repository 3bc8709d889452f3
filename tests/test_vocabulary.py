"""Runs, events, findings and verdicts: checked when made, frozen from then on; the errors name what is wrong."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from detectors.vocabulary import BadRun, Detector, Event, Finding, Phenomenon, Run, Verdict, absent, found, undetermined

finite = st.floats(allow_nan=False, allow_infinity=False)
axes = st.lists(finite, min_size=1, max_size=30, unique=True).map(sorted)
logged = st.floats()  # NaN and the infinities too: loggers write them


@st.composite
def runs(draw: st.DrawFn) -> Run:
    epochs = draw(axes)
    columns = st.lists(logged, min_size=len(epochs), max_size=len(epochs))
    return Run(epochs=epochs, series=draw(st.dictionaries(st.sampled_from("abc"), columns)))


def same(a: Run, b: Run) -> bool:
    """Whether two runs hold the same numbers (NaN equals NaN) under the same names."""
    equal = [np.array_equal(a[k], b[k], equal_nan=True) for k in a.series if k in b.series]
    return np.array_equal(a.epochs, b.epochs) and list(a.series) == list(b.series) and all(equal)


def finding(**changes: object) -> Finding:
    return Finding(
        **{"phenomenon": "spike", "onset": 5.0, "onset_interval": (4, 6), "level": 0.9, "known_at": 6.0, **changes}
    )


# runs


@given(axes)
def test_every_increasing_finite_axis_makes_a_run(epochs):
    run = Run(epochs=epochs, series={"val_loss": epochs})

    assert len(run) == len(epochs)
    assert list(run.epochs) == list(run["val_loss"]) == epochs


@given(st.lists(st.integers(-9, 10**9), min_size=1, max_size=9, unique=True).map(sorted), st.data())
def test_an_axis_that_stands_still_or_goes_back_is_refused_with_the_index_and_both_values(epochs, data):
    i = data.draw(st.integers(0, len(epochs) - 1))
    again = data.draw(st.integers(0, i))
    axis = [*epochs[: i + 1], epochs[again], *epochs[i + 1 :]]

    with pytest.raises(BadRun, match="epochs must increase") as caught:
        Run(epochs=axis, series={}, name="seed-3")

    assert f"epoch[{i}]={axis[i]} is followed by epoch[{i + 1}]={axis[i + 1]}" in str(caught.value)
    assert "'seed-3'" in str(caught.value)


BAD_RUNS = {
    "an empty axis": ({"epochs": []}, ["'seed-3'", "no epochs"]),
    "an epoch that is missing": ({"epochs": [1, math.nan, 3]}, ["'seed-3'", "epoch[1]=nan"]),
    "an epoch that is infinite": ({"epochs": [1, 2, math.inf]}, ["'seed-3'", "epoch[2]=inf"]),
    "epochs that are no numbers": ({"epochs": ["one"]}, ["'seed-3'", "epochs", "'one'"]),
    "epochs on two axes": ({"epochs": [[1, 2]]}, ["'seed-3'", "epochs", "(1, 2)"]),
    "a series that is too short": ({"series": {"val_loss": [1]}}, ["'seed-3'", "'val_loss'", "1 values", "has 2"]),
    "a series that is no numbers": ({"series": {"val_loss": [1, "x"]}}, ["'seed-3'", "'val_loss'", "'x'"]),
    "a series on two axes": ({"series": {"val_loss": [[1, 2]]}}, ["'seed-3'", "'val_loss'", "(1, 2)"]),
    "a series of one number": ({"series": {"val_loss": 1.0}}, ["'seed-3'", "'val_loss'", "()"]),
}


@pytest.mark.parametrize(("changes", "words"), BAD_RUNS.values(), ids=BAD_RUNS)
def test_what_cannot_be_a_run_is_refused_by_name_and_value(changes, words):
    with pytest.raises(BadRun) as caught:
        Run(**{"epochs": [1, 2], "series": {}, "name": "seed-3", **changes})

    assert [word for word in words if word not in str(caught.value)] == []


def test_a_bad_run_is_a_value_error():
    assert issubclass(BadRun, ValueError)


def test_a_run_keeps_a_copy_of_what_it_was_given():
    epochs, values = np.arange(1.0, 4.0), np.ones(3)
    run = Run(epochs=epochs, series={"val_loss": values})
    epochs[0], values[0] = -9, -9

    assert (run.epochs[0], run["val_loss"][0]) == (1, 1)


@pytest.mark.parametrize("array", [lambda r: r.epochs, lambda r: r["val_loss"]], ids=["epochs", "series"])
def test_the_arrays_of_a_run_cannot_be_written_to(array):
    run = Run(epochs=[1, 2], series={"val_loss": [3, 4]})

    with pytest.raises(ValueError, match="read-only"):
        array(run)[0] = 0


def test_no_series_can_be_put_into_a_run():
    run = Run(epochs=[1, 2], series={})

    with pytest.raises(TypeError):
        run.series["val_loss"] = np.ones(2)  # type: ignore[index]


@pytest.mark.parametrize(
    "value",
    [
        Run(epochs=[1], series={}),
        Event(phenomenon="spike", onset=1),
        finding(),
        absent("spike"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_value_is_frozen(value):
    field = next(iter(value.__dataclass_fields__))

    with pytest.raises(FrozenInstanceError):
        setattr(value, field, None)


def test_numbers_are_kept_in_double_precision():
    run = Run(epochs=np.array([1, 2], np.int32), series={"val_loss": np.array([0.1, 0.2], np.float32)})

    assert (run.epochs.dtype, run["val_loss"].dtype) == (np.float64, np.float64)


def test_the_notes_of_a_run_may_be_a_list():
    assert Run(epochs=[1], series={}, notes=["sorted"]).notes == ("sorted",)


def test_a_series_that_is_not_logged_is_refused_by_name_with_those_that_are_and_the_way_out():
    run = Run(epochs=[1], series={"loss": [1.0]}, name="seed-3")

    with pytest.raises(BadRun, match=r"'seed-3' has no 'val_loss'; it logs \['loss'\]\. Map it: --map val_loss=NAME"):
        run["val_loss"]


@pytest.mark.parametrize(
    ("values", "there"), [([1, math.nan], True), ([math.nan, math.nan], False), ([math.inf, math.nan], False)]
)
def test_a_series_is_in_a_run_if_one_of_its_values_is_finite(values, there):
    run = Run(epochs=[1, 2], series={"val_loss": values})

    assert ("val_loss" in run) is there


def test_what_is_missing_is_what_is_not_logged_and_what_is_logged_without_a_number():
    run = Run(epochs=[1, 2], series={"val_loss": [math.nan, math.inf], "train_loss": [1, 2]})

    assert run.missing(("val_loss", "train_loss", "learning_rate")) == ["val_loss", "learning_rate"]


@given(runs())
def test_observed_holds_exactly_the_rows_in_which_every_series_is_finite_and_can_be_squared(run):
    keys = list(run.series)
    assume(keys)

    rows = [row for row in zip(run.epochs, *run.series.values(), strict=True) if (np.abs(row[1:]) < 1e100).all()]
    assert list(zip(*run.observed(*keys), strict=True)) == rows


def test_observed_names_a_series_that_is_not_there():
    with pytest.raises(BadRun, match="'val_loss'"):
        Run(epochs=[1], series={}).observed("val_loss")


@given(runs(), finite)
def test_until_is_the_prefix_of_the_epochs_up_to_and_including_that_one(run, epoch):
    n = sum(e <= epoch for e in run.epochs)
    assume(n)
    prefix = run.until(epoch)

    assert list(prefix.epochs) == list(run.epochs[:n])
    assert all(np.array_equal(prefix[k], run[k][:n], equal_nan=True) for k in run.series)
    assert list(prefix.series) == list(run.series)


@given(runs(), finite, finite)
def test_the_prefix_of_a_prefix_is_the_prefix_up_to_the_earlier_epoch(run, a, b):
    assume(min(a, b) >= run.epochs[0])

    assert same(run.until(a).until(b), run.until(min(a, b)))


def test_a_prefix_without_any_epoch_is_refused():
    with pytest.raises(BadRun, match="no epochs"):
        Run(epochs=[5, 6], series={}).until(4)


@given(runs(), st.floats())
def test_without_undoes_with_series(run, value):
    more = run.with_series(d=np.full(len(run), value))

    assert np.array_equal(more["d"], np.full(len(run), value), equal_nan=True)
    assert same(more.without("d"), run)


@given(runs())
def test_with_series_undoes_without(run):
    assume("a" in run.series)
    bare = run.without("a")

    assert "a" not in bare.series
    assert same(bare.with_series(a=run["a"]).without(*"bc"), run.without(*"bc"))


def test_with_series_replaces_a_series_and_leaves_the_first_run_alone():
    run = Run(epochs=[1, 2], series={"val_loss": [3, 4]})

    assert list(run.with_series(val_loss=np.array([5, 6]))["val_loss"]) == [5, 6]
    assert list(run["val_loss"]) == [3, 4]


def test_a_replaced_series_is_checked_as_well():
    with pytest.raises(BadRun, match="'val_loss' has 3 values, the epoch axis has 2"):
        Run(epochs=[1, 2], series={}).with_series(val_loss=np.ones(3))


def test_where_a_run_comes_from_goes_with_its_parts():
    run = Run(epochs=[1, 2], series={"a": [1, 2]}, name="n", source="s", group="g", notes=("m",))

    for part in (run.until(1), run.without("a"), run.with_series(b=np.ones(2))):
        assert (part.name, part.source, part.group, part.notes) == ("n", "s", "g", ("m",))


# events


@given(st.tuples(finite, finite, finite).map(sorted), finite)
def test_the_distance_to_the_band_is_that_to_the_nearest_epoch_in_it(band, epoch):
    lo, onset, hi = band
    event = Event(phenomenon="spike", onset=onset, band=(lo, hi))

    assert event.distance_to_band(epoch) == abs(epoch - min(max(epoch, lo), hi))


@given(finite)
def test_an_event_without_a_band_has_its_onset_for_one(onset):
    assert Event(phenomenon="spike", onset=onset).band == (onset, onset)


BAD_SPANS = {
    "an onset that is missing": ({"onset": math.nan}, "spike: onset must be finite, not nan"),
    "an onset that is infinite": ({"onset": math.inf}, "spike: onset must be finite, not inf"),
    "an end before the onset": ({"onset": 5.0, "end": 4.0}, r"spike: it ends at 4\.0, before its onset 5"),
    "an end that is no number": ({"end": math.nan}, "spike: it ends at nan"),
    "a phenomenon without a name": ({"phenomenon": ""}, "a non-empty string, not ''"),
    "a phenomenon that is no string": ({"phenomenon": 3}, "a non-empty string, not 3"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_SPANS.values(), ids=BAD_SPANS)
@pytest.mark.parametrize("kind", [Event, Finding])
def test_what_cannot_have_happened_is_refused_by_value(kind, changes, message):
    given_ = {"phenomenon": "spike", "onset": 5.0}
    claimed = {"onset_interval": (-math.inf, math.inf), "level": 0.9, "known_at": 6.0}
    with pytest.raises(BadRun, match=message):
        kind(**{**given_, **(claimed if kind is Finding else {}), **changes})


@pytest.mark.parametrize("band", [(6, 7), (3, 4), (7, 3), (math.nan, math.nan)])
def test_a_band_without_its_onset_is_refused(band):
    with pytest.raises(BadRun, match=r"spike: the band \[.*\] does not contain the onset 5"):
        Event(phenomenon="spike", onset=5, band=band)


def test_an_event_may_end_where_it_begins():
    assert Event(phenomenon="spike", onset=5, end=5).end == 5


def test_the_effect_of_an_event_is_a_copy_of_floats():
    effect = {"height": 1}
    event = Event(phenomenon="spike", onset=5, effect=effect)
    effect["height"] = 9

    assert isinstance(event.effect["height"], float)
    assert dict(event.effect) == {"height": 1.0}


def test_the_effect_of_an_event_cannot_be_written_to():
    event = Event(phenomenon="spike", onset=5, effect={"height": 1})

    with pytest.raises(TypeError):
        event.effect["height"] = 2.0  # type: ignore[index]


# findings


BAD_FINDINGS = {
    "an interval without the onset": ({"onset_interval": (6, 7)}, r"\[6, 7\] does not contain the onset 5"),
    "an interval the wrong way round": ({"onset_interval": (6, 4)}, r"\[6, 4\] does not contain the onset 5"),
    "an interval of nothing": ({"onset_interval": (math.nan, 9)}, r"\[nan, 9\] does not contain the onset 5"),
    "certainty": ({"level": 1.0}, r"level must lie between 0 and 1, not 1\.0"),
    "no certainty": ({"level": 0.0}, r"level must lie between 0 and 1, not 0\.0"),
    "a level of nothing": ({"level": math.nan}, "level must lie between 0 and 1, not nan"),
    "a probability above one": ({"p_value": 1.5}, r"p_value must lie in 0\.\.1, not 1\.5"),
    "a negative probability": ({"p_value": -0.1}, r"p_value must lie in 0\.\.1, not -0\.1"),
    "a probability of nothing": ({"p_value": math.nan}, r"p_value must lie in 0\.\.1, not nan"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_FINDINGS.values(), ids=BAD_FINDINGS)
def test_what_nobody_can_claim_is_refused_by_value(changes, message):
    with pytest.raises(BadRun, match=f"spike: .*{message}"):
        finding(**changes)


@pytest.mark.parametrize("p_value", [None, 0.0, 1.0])
def test_a_finding_may_do_without_a_probability_or_be_at_either_end_of_it(p_value):
    assert finding(p_value=p_value).p_value == p_value


@pytest.mark.parametrize("field", ["effect", "evidence"])
def test_what_a_finding_rests_on_cannot_be_written_to(field):
    given_ = {"height": 1.0}
    claim = finding(**{field: given_})
    given_["height"] = 9.0

    assert getattr(claim, field)["height"] == 1.0
    with pytest.raises(TypeError):
        getattr(claim, field)["height"] = 2.0


# verdicts


@given(st.lists(finite, min_size=1, max_size=8))
def test_findings_stand_in_order_of_onset(onsets):
    verdict = found("spike", [finding(onset=x, onset_interval=(x, x), known_at=x) for x in onsets])

    assert verdict.status == "found"
    assert [f.onset for f in verdict] == sorted(onsets)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (found("spike", [finding()], 0.5), "found"),
        (absent("spike", "too calm", 0.5), "absent"),
        (undetermined("spike", "too short", 0.5), "undetermined"),
    ],
)
def test_there_are_three_outcomes_and_each_can_say_what_it_could_have_seen(verdict, status):
    assert (verdict.status, verdict.min_detectable_effect) == (status, 0.5)


@pytest.mark.parametrize("verdict", [absent("spike"), undetermined("spike", "too short")], ids=lambda v: v.status)
def test_what_was_not_found_has_no_findings(verdict):
    assert list(verdict) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": "found"}, "'found' with 0 findings"),
        ({"status": "absent", "findings": (finding(),)}, "'absent' with 1 findings"),
        ({"status": "undetermined", "reason": "x", "findings": (finding(),)}, "'undetermined' with 1 findings"),
        ({"status": "undetermined"}, "an undetermined verdict needs its reason"),
        ({"status": "maybe"}, "status must be found, absent or undetermined, not 'maybe'"),
    ],
)
def test_a_verdict_is_one_of_the_three_and_not_two_of_them(fields, message):
    with pytest.raises(BadRun, match=f"spike: {message}"):
        Verdict(phenomenon="spike", **fields)


def test_findings_may_be_given_as_a_list():
    claim = finding()

    assert Verdict(phenomenon="spike", status="found", findings=[claim]).findings == (claim,)


# names


def test_a_phenomenon_is_its_own_name():
    assert Phenomenon.LR_DROP == "lr_drop"
    assert f"{Phenomenon.LR_DROP}" == "lr_drop"


def test_anything_with_a_phenomenon_that_detects_is_a_detector():
    class Mine:
        phenomenon = "mine"

        def detect(self, run: Run) -> Verdict:
            return absent(self.phenomenon)

    class Nameless:
        def detect(self, run: Run) -> Verdict:
            return absent("nameless")

    assert isinstance(Mine(), Detector)
    assert not isinstance(Nameless(), Detector)


@pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_values_travel_to_other_processes_and_stay_read_only(again):
    run = Run(epochs=[1, 2], series={"val_loss": [2.0, np.nan]}, notes=("said",))
    finding = Finding(phenomenon="x", onset=1, onset_interval=(1, 2), level=0.9, known_at=2, effect={"size": 1.0})
    event = Event(phenomenon="x", onset=1, effect={"size": 1.0})
    run_again, verdict, event_again = again((run, found("x", [finding]), event))

    assert np.array_equal(run_again["val_loss"], run["val_loss"], equal_nan=True)
    assert (run_again.notes, verdict.findings, event_again) == (run.notes, (finding,), event)
    assert not run_again["val_loss"].flags.writeable
    with pytest.raises(TypeError):
        run_again.series["train_loss"] = run.epochs
