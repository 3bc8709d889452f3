"""The strategies that others use: what they promise of their specs, how they shrink, that readers survive the logs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.readers import Unreadable, read
from sim.composed import Composed, compose_one, observe
from sim.composed.noise import program
from sim.schedules import Schedule
from sim.strategies import (
    awkward_runs,
    corner,
    labelled_runs,
    malformed_logs,
    mixtures,
    null_families,
    recipes,
    runs,
    with_event,
    without_event,
)

phenomenon = pytest.mark.parametrize("phenomenon", CATALOGUE)


@pytest.mark.slow
@phenomenon
@given(data=st.data())
def test_specs_with_an_event_have_it(phenomenon, data):
    spec = data.draw(with_event(phenomenon, shortest=60))

    assert compose_one(spec).of(phenomenon)
    assert 60 <= spec.epochs <= 200


@pytest.mark.slow
@phenomenon
@given(data=st.data())
def test_specs_without_an_event_have_none_not_even_a_grey_one(phenomenon, data):
    assert compose_one(data.draw(without_event(phenomenon, shortest=60))).of(phenomenon, grey=True) == ()


@phenomenon
def test_every_null_family_is_null(phenomenon):
    families = null_families(phenomenon)

    assert len(families) >= 6
    assert [name for name, spec in families.items() if compose_one(spec).of(phenomenon, grey=True)] == []


@pytest.mark.slow
@phenomenon
@given(data=st.data())
def test_the_onset_at_a_corner_is_plain_to_see(phenomenon, data):
    spec = data.draw(corner(phenomenon))
    (event, *_) = compose_one(spec).of(phenomenon)

    assert event.band is not None
    assert event.band[1] - event.band[0] <= 3 or phenomenon == "generalization_gap"  # a slow crossing


def test_the_simplest_overfitting_is_one_rise_of_a_tenth_half_way_in_twenty_epochs_without_noise():
    spec = find(with_event("overfitting"), lambda spec: True, settings=settings(database=None))

    assert (spec.epochs, spec.noise, spec.overfit, spec.overfit_at) == (20, 0.0, 0.1, 10)


@given(labelled_runs(mixtures()))
def test_mixtures_are_runs_with_their_truth(labelled):
    assert len(labelled.run) == labelled.recipe.epochs
    assert all(e.onset in labelled.run.epochs for e in labelled.events)


@given(runs(with_event("lr_drop")))
def test_a_run_may_be_drawn_without_its_truth(run):
    assert "val_loss" in run


@given(recipes())
def test_recipes_differ_in_numbers_and_never_in_shapes(recipe):
    assert (recipe.width, recipe.train_size, recipe.batch_size, recipe.epochs) == (128, 1024, 32, 200)
    assert isinstance(recipe.schedule, Schedule)


@given(awkward_runs())
def test_awkward_runs_are_runs(run):
    assert len(run) >= 1
    assert np.all(np.diff(run.epochs) > 0)


@given(malformed_logs())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_log_is_read_or_refused_in_one_line(tmp_path, log):
    flaw, content = log
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    refused, rows = "", 0
    try:
        rows = len(read(path)[0])
    except Unreadable as error:
        refused = str(error)

    assert "\n" not in refused
    assert bool(refused) != bool(rows)
    assert flaw != "one epoch" or rows == 1


def test_every_flaw_is_drawn():
    seen = set()

    @given(malformed_logs())
    @settings(max_examples=300, database=None, derandomize=True)
    def draw(log):
        seen.add(log[0])

    draw()

    assert len(seen) >= 12


@pytest.mark.parametrize("make", [with_event, without_event, corner])
def test_a_phenomenon_without_composed_runs_is_refused_by_name(make):
    with pytest.raises(ValueError, match=r"no composed runs with or without 'grokking'; there are \['blow_up'"):
        make("grokking")


@pytest.mark.parametrize(("shortest", "longest"), [(3, 10), (30, 20)])
def test_lengths_that_cannot_be_are_refused(shortest, longest):
    with pytest.raises(ValueError, match=f"shortest={shortest}, longest={longest}"):
        with_event("overfitting", shortest=shortest, longest=longest)


def test_drawing_any_spec_compiles_nothing_new():
    observe(Composed(), [0])
    compose_one(Composed())
    before = program(256)._cache_size()

    @given(labelled_runs(mixtures() | with_event("overfitting") | without_event("lr_drop", longest=250)))
    def draw(labelled):
        assert len(labelled.run) <= 256

    draw()

    assert program(256)._cache_size() == before
