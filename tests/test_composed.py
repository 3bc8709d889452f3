"""Composed runs: an isolated event equals its injection, twins share every draw, runs do not depend on their batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import composed
from sim.composed import BLOCK, Composed, compose_one, observe
from sim.recipe import BadRecipe

onset = st.integers(60, 150)  # the decay of eight epochs is over by then


@given(onset, st.sampled_from([0.05, 0.2, 1.0]), st.integers(10, 40))
def test_an_isolated_rise_has_the_onset_and_the_effect_that_were_injected(at, height, span):
    (event,) = compose_one(Composed(overfit=height, overfit_at=at, overfit_span=span)).of("overfitting")

    # the tail of the decay, 1.8 exp(-60/8) = 0.001, is all that the rise has to outrun
    assert event.distance_to_band(at) == 0
    assert event.end == pytest.approx(at + span, abs=1)
    assert event.effect["prominence"] == pytest.approx(height, abs=0.002)


@given(onset, st.integers(10, 40), st.sampled_from([0.0, 0.03]))
def test_a_drift_of_calibration_is_divergence_and_all_of_it_is_overconfidence(at, span, gain):
    (event,) = compose_one(Composed(drift=0.3, drift_at=at, drift_span=span, gain=gain)).of("loss_accuracy_divergence")

    assert event.distance_to_band(at) == 0
    assert event.kind == ("accuracy_rising" if gain else "accuracy_flat")
    assert event.effect["calibration_share"] == pytest.approx(1, abs=0.02)


@given(st.integers(40, 160), st.sampled_from([0.1, 0.2, 0.5]), st.sampled_from([0.05, 0.2, 0.5]))
def test_relief_is_the_part_of_the_noise_floor_that_the_rate_held_up(milestone, factor, floor):
    (event,) = compose_one(Composed(drop_1=milestone, factor=factor, noise_floor=floor, relax=0.2)).of("lr_drop_relief")

    assert event.onset == milestone + 1
    assert event.effect["mean"] == pytest.approx(floor * (1 - factor), rel=0.05)


@given(st.integers(40, 160))
def test_a_drop_without_a_noise_floor_is_a_null_drop(milestone):
    labelled = compose_one(Composed(drop_1=milestone))

    assert labelled.of("lr_drop")
    assert labelled.of("lr_drop_relief", grey=True) == ()


def test_the_defaults_have_nothing_to_find_but_the_lag_of_the_first_epochs():
    phenomena = {e.phenomenon for e in compose_one(Composed()).events if e.material}

    assert phenomena <= {"train_above_val"}


@given(st.integers(0, 2 * BLOCK), st.integers(1, 2 * BLOCK))
def test_a_run_has_the_same_bits_in_every_batch(first, size):
    spec = Composed(noise=0.02, rho=0.5, overfit=0.2, overfit_at=80)
    alone = observe(spec, [first])[0]
    among = observe(spec, range(first, first + size))[0]

    assert all(np.array_equal(alone[key], among[key]) for key in alone.series)


@given(st.integers(20, 255))
def test_a_run_does_not_depend_on_the_length_of_the_program_that_renders_it(epochs):
    short, long = (
        observe(Composed(epochs=n, noise=0.02, rho=0.5, overfit=0.2, overfit_at=10, tails=1), [0])[0]
        for n in (epochs, 256)
    )

    assert all(np.array_equal(short[key], long[key][:epochs]) for key in ("train_loss", "val_loss", "val_accuracy"))


def test_a_shared_rise_lifts_training_as_well_and_is_no_overfitting():
    labelled = compose_one(Composed(shared=0.3, overfit_at=80))
    level = labelled.expected.mean("train_loss_eval")

    assert level[150] - level[79] == pytest.approx(0.3, abs=0.001)
    assert labelled.of("overfitting", grey=True) == ()


def test_heavy_tails_are_those_of_students_t_with_four_degrees_of_freedom():
    risk = compose_one(Composed(tails=1)).expected.mean("risk")
    z = np.stack([run["val_loss"] / risk - 1 for run in observe(Composed(tails=1), range(512))]) / 0.01

    # P(|t4| > 4.604) = 0.01 (Student's table); unit variance divides it by sqrt(2). 100,000 values: good to 3 %
    assert (np.abs(z) > 4.604 / np.sqrt(2)).mean() == pytest.approx(0.01, rel=0.1)
    assert z.std() == pytest.approx(1, rel=0.05)


def test_growing_noise_ends_as_many_times_wider_as_was_asked_for():
    spec = Composed(growth=1.0)
    risk = compose_one(spec).expected.mean("risk")
    z = np.stack([run["val_loss"] / risk - 1 for run in observe(spec, range(512))])

    assert z[:, -20:].std() / z[:, :20].std() == pytest.approx(np.exp(0.9), rel=0.05)  # between the middles


def test_a_cosine_has_no_drop_and_a_rate_that_is_not_logged_is_not_in_the_run():
    labelled = compose_one(Composed(cosine=1, noise_floor=0.3, logged=0))

    assert labelled.of("lr_drop", grey=True) == ()
    assert "learning_rate" not in labelled.run


def test_the_twin_changes_the_rate_and_nothing_else():
    expected = compose_one(Composed(drop_1=60, drop_2=120, noise_floor=0.3)).expected

    assert np.array_equal(expected.without_drop[60][0, :60], expected.mean("risk")[:60])
    # after the next drop the twin is back on the schedule, up to what is left of the relaxation
    assert expected.without_drop[60][0, -1] == pytest.approx(expected.mean("risk")[-1], abs=1e-6)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_the_evaluation_noise_has_the_level_and_the_memory_that_were_asked_for(rho):
    spec = Composed(noise=0.02, rho=rho)
    risk = compose_one(spec).expected.mean("risk")
    z = np.stack([run["val_loss"] / risk - 1 for run in observe(spec, range(512))]) / 0.02

    assert z.std() == pytest.approx(1, rel=0.02)  # 100,000 values; at 0.8 worth 11,000: good to 0.7 %
    assert (z[:, 1:] * z[:, :-1]).mean() == pytest.approx(rho, abs=0.02)


def test_another_spec_and_another_number_of_runs_compile_nothing():
    observe(Composed(epochs=50), range(BLOCK))
    compose_one(Composed(epochs=50))
    programs = composed._expectations(256), composed._observations(256, False)
    before = [program._cache_size() for program in programs]
    compose_one(Composed(epochs=70, overfit=0.3, overfit_at=20, drop_1=10, noise_floor=0.2, rho=0.7))
    observe(Composed(epochs=230, cosine=1, growth=1.0), range(3))

    assert [program._cache_size() for program in programs] == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("noise", -0.1),
        ("rho", 1.0),
        ("decay", 0),
        ("epochs", 1),
        ("drop_1", 200),
        ("overfit", float("nan")),
        ("initial", 0.1),
        ("factor", 1.5),
    ],
)
def test_an_impossible_spec_is_refused_by_field_and_value(field, value):
    extra = {"drop_1": 60} if field == "factor" else {}
    with pytest.raises(BadRecipe, match=f"{field}|drop_1..drop_3"):
        Composed(**{field: value, **extra})


def test_a_spec_shows_what_differs_from_the_defaults():
    assert repr(Composed(overfit=0.2, overfit_at=80)) == "Composed(overfit=0.2, overfit_at=80)"
