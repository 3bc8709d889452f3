"""Composed runs: an isolated event equals its injection, twins share every draw, runs do not depend on their batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.composed import BLOCK, Composed, compose, compose_one, draw, draws, observe
from sim.composed.expectation import expected, shares
from sim.composed.noise import program
from sim.composed.recipe import columns_of, recipes_of
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
    before = program(256)._cache_size()
    compose_one(Composed(epochs=70, overfit=0.3, overfit_at=20, drop_1=10, noise_floor=0.2, rho=0.7))
    observe(Composed(epochs=230, cosine=1, growth=1.0), range(3))

    assert program(256)._cache_size() == before


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
        ("wsd", 1.5),
        ("final", 0.1),
        ("warmup", 200),
        ("double_descent", 1.1),
        ("swing_period", 1),
        ("overfit_at", 60.5),
        ("val_size", -1),
        ("tails", 2),
        ("spike", float("inf")),
        ("noise_rate", "fast"),
    ],
)
def test_an_impossible_spec_is_refused_by_field_and_value(field, value):
    extra = {"drop_1": 60} if field == "factor" else {}
    with pytest.raises(BadRecipe, match=f"{field}|drop_1..drop_3"):
        Composed(**{field: value, **extra})


def test_a_spec_shows_what_differs_from_the_defaults():
    assert repr(Composed(overfit=0.2, overfit_at=80)) == "Composed(overfit=0.2, overfit_at=80)"


# schedules


@st.composite
def scheduled(draw: st.DrawFn) -> Composed:
    """Recipes with every kind of schedule."""
    epochs = draw(st.integers(6, 120))
    warmup = draw(st.integers(0, epochs - 1))
    kind = draw(st.sampled_from(["step", "cosine", "wsd"]))
    if kind == "step":
        milestones = sorted(draw(st.sets(st.integers(1, epochs - 1), max_size=3)))
        drops = {f"drop_{k + 1}": m for k, m in enumerate(milestones)}
        return Composed(epochs=epochs, warmup=warmup, factor=draw(st.sampled_from([0.1, 0.2, 0.5])), **drops)
    final = draw(st.sampled_from([0.0, 0.1, 0.5]))
    if kind == "cosine":
        return Composed(epochs=epochs, warmup=warmup, cosine=1, final=final)
    return Composed(epochs=epochs, warmup=warmup, wsd=draw(st.floats(0.01, 1.0)), final=final)


@given(scheduled())
def test_the_rates_are_those_of_the_schedule_and_of_its_twins(spec):
    (share,) = shares(columns_of([spec]), spec.epochs)
    twins = [spec.schedule.without_drop(k) for k in range(len(spec.milestones))]

    assert np.array_equal(share[0], spec.schedule.rates(1.0, spec.epochs))
    for k, twin in enumerate(twins):
        assert np.array_equal(share[1 + k], twin.rates(1.0, spec.epochs))


@given(scheduled())
def test_the_logged_rate_is_the_rate_of_the_truth(spec):
    labelled = compose_one(spec)

    assert np.array_equal(labelled.run["learning_rate"], labelled.expected.learning_rate)


def test_a_drop_by_the_factor_one_has_no_effect_at_all():
    spec = Composed(drop_1=60, factor=1.0, noise_floor=0.3, pace=0.5, overfit=0.2, overfit_at=80)
    curves = expected(columns_of([spec]), spec.epochs)

    assert np.array_equal(curves.without_drop[0], curves.risk)
    assert compose_one(spec).of("lr_drop", grey=True) == ()


@pytest.mark.parametrize("spec", [Composed(drop_1=60), Composed(drop_1=60, drop_2=90, overfit=0.2, overfit_at=40)])
def test_a_drop_without_noise_or_pace_has_no_effect_to_the_last_bit(spec):
    expected = compose_one(spec).expected

    assert all(np.array_equal(twin, expected.curves["risk"]) for twin in expected.without_drop.values())


def test_a_drop_that_slows_the_descent_down_is_harmful():
    (drop,) = compose_one(Composed(drop_1=20, decay=30, pace=1.0)).of("lr_drop")
    (relief,) = compose_one(Composed(drop_1=20, decay=30, pace=1.0)).of("lr_drop_relief", grey=True)

    assert (drop.kind, relief.kind, relief.material) == ("harmful", "harmful", False)
    assert drop.effect["relief"] < 0


def test_a_drop_before_which_noise_and_bias_are_at_odds_helps_first_and_harms_later():
    spec = Composed(drop_1=20, decay=30, pace=1.0, noise_floor=0.3)
    expected = compose_one(spec).expected
    difference = (expected.without_drop[20] - expected.curves["risk"])[0, 20:]

    assert difference[1] > 0 > difference[30]


# company


@pytest.mark.slow
@given(st.lists(st.sampled_from([20, 21, 60, 255, 257]), min_size=2, max_size=6), st.integers(0, 1000))
def test_recipes_of_one_call_may_differ_in_every_field_and_each_has_the_bits_it_has_alone(lengths, seed):
    specs = [replace(draw(np.random.default_rng([seed, i])), epochs=n, **_EARLY) for i, n in enumerate(lengths)]
    together = compose(specs, range(len(specs)))

    for i, (spec, labelled) in enumerate(zip(specs, together, strict=True)):
        alone = compose_one(spec, i)
        assert alone.run.series.keys() == labelled.run.series.keys()
        assert all(np.array_equal(alone.run[k], labelled.run[k], equal_nan=True) for k in alone.run.series)
        assert all(
            np.array_equal(c, labelled.expected.curves[k], equal_nan=True) for k, c in alone.expected.curves.items()
        )
        assert alone.events == labelled.events


_EARLY = {"drop_1": 0, "drop_2": 0, "drop_3": 0, "warmup": 0}


def test_a_recipe_goes_to_columns_and_back():
    specs = [draw(np.random.default_rng([0, i])) for i in range(50)]

    assert recipes_of(columns_of(specs)) == specs


def test_what_is_drawn_is_a_recipe_that_can_be():
    for i in range(2000):
        spec = draw(np.random.default_rng([6, i]))
        assert replace(spec) == spec  # which checks it


def test_many_recipes_at_once_are_those_drawn_one_by_one():
    together = recipes_of(draws([np.random.default_rng([5, i]) for i in range(50)]))

    assert together == [draw(np.random.default_rng([5, i])) for i in range(50)]


def test_what_is_drawn_is_drawn_by_the_generator_alone_and_leaves_numbers_to_spare():
    rng = CountingGenerator(np.random.PCG64(0))
    draw(rng)

    assert rng.drawn <= 96


class CountingGenerator(np.random.Generator):
    """Counts the numbers that are drawn."""

    drawn = 0

    def random(self, size: int) -> np.ndarray:  # type: ignore[override]
        self.drawn += size
        return super().random(size)


# accidents, and what else may be injected


@given(st.integers(40, 150), st.integers(1, 3))
def test_a_spike_is_a_spike_of_the_height_that_was_injected_and_no_overfitting(at, span):
    labelled = compose_one(Composed(spike=0.5, spike_at=at, spike_span=span))
    (event,) = labelled.of("spike")

    assert event.onset == at + 1
    assert event.effect["height"] == pytest.approx(0.5, abs=0.01)
    assert labelled.of("overfitting", grey=True) == ()


@given(st.integers(30, 150), st.integers(0, 10))
def test_a_run_blows_up_at_the_epoch_that_was_asked_for_and_is_not_a_number_after_the_span(at, span):
    labelled = compose_one(Composed(blow_up_at=at, blow_up_span=span))
    lost = np.isnan(labelled.run["val_loss"])
    (event,) = labelled.of("blow_up")

    assert np.array_equal(lost, np.arange(1, 201) > at + span)
    assert event.kind == "not_finite"
    assert at < event.onset <= at + span + 1
    assert np.isfinite(labelled.run["val_accuracy"]).all()


def test_a_run_that_blows_up_keeps_the_events_of_the_epochs_before():
    spec = Composed(overfit=0.3, overfit_at=60, overfit_span=40, blow_up_at=150, drop_1=40, noise_floor=0.2)
    (event,) = compose_one(spec).of("overfitting")

    assert (event.onset, event.end) == (60, 100)
    assert compose_one(spec).of("lr_drop_relief")


@given(st.integers(60, 90), st.integers(40, 80), st.sampled_from([2, 4, 6, 10]))
def test_swings_have_the_height_and_the_period_and_the_place_that_were_injected(at, span, period):
    spec = Composed(swing=0.5, swing_at=at, swing_span=span, swing_period=period)
    quiet = compose_one(replace(spec, swing=0.0)).expected.mean("risk")
    wave = compose_one(spec).expected.mean("risk") - quiet
    inside = wave[at : at + span]

    assert (wave[:at] == 0).all()
    assert (wave[at + span :] == 0).all()
    assert inside[period // 2 - 1 :: period] == pytest.approx(0.5)
    assert inside[period - 1 :: period] == pytest.approx(0, abs=1e-12)


@given(st.integers(8, 20), st.integers(40, 80))
def test_a_clock_that_stands_still_makes_a_plateau(at, span):
    (event,) = compose_one(Composed(decay=12, train_decay=12, plateau_at=at, plateau_span=span)).of("plateau")

    assert event.onset == pytest.approx(at, abs=1)
    assert event.end == pytest.approx(at + span, abs=1)


def test_without_capacity_a_model_underfits_and_the_defaults_do_not():
    assert compose_one(Composed(underfit=0.6, train_bayes=0.5)).of("underfitting")
    assert compose_one(Composed()).of("underfitting", grey=True) == ()


@given(st.integers(20, 60), st.sampled_from([0.6, 0.8, 1.0]))
def test_a_rise_that_is_forgotten_again_is_a_double_descent_by_the_share_that_was_injected(at, share):
    spec = Composed(
        overfit=0.5, overfit_at=at + 20, overfit_span=40, double_descent=share, double_descent_at=at + 60,
        double_descent_span=40, decay=4,
    )  # fmt: skip
    (event,) = compose_one(spec).of("double_descent")

    assert event.effect["share"] == pytest.approx(share, abs=0.02)
    assert event.effect["top"] == at + 60


def test_validation_that_waits_is_delayed_generalization():
    labelled = compose_one(Composed(delay=120, train_top=1.0, train_decay=4, decay=4, initial=3.0))
    (event,) = labelled.of("delayed_generalization")

    assert event.onset == pytest.approx(120 + 4 * np.log(2), abs=2)
    assert "train_accuracy" in labelled.run


def test_a_jump_without_a_drop_is_a_decoy():
    labelled = compose_one(Composed(jump=0.3, jump_at=80))
    risk = labelled.expected.mean("risk")

    assert risk[79] - risk[80] == pytest.approx(0.3, abs=0.001)
    assert labelled.of("lr_drop", grey=True) == ()
    assert labelled.of("lr_drop_relief", grey=True) == ()


@pytest.mark.parametrize("share", [-0.2, 0.0, 0.4, 1.0, 1.3])
def test_divergence_has_the_calibration_share_that_was_asked_for_outside_of_0_and_1_too(share):
    (event,) = compose_one(Composed(drift=0.3, drift_at=80, calibration_share=share)).of("loss_accuracy_divergence")

    assert event.effect["calibration_share"] == pytest.approx(share, abs=0.001)


@pytest.mark.parametrize(
    ("cause", "spec"),
    [
        ("lag", Composed(train_decay=25, decay=25, train_bayes=0.5, initial=3.0)),
        ("mode", Composed(mode=0.2)),
        ("objective", Composed(objective=0.2)),
    ],
)
def test_training_lies_above_validation_for_each_of_its_three_causes(cause, spec):
    event = compose_one(spec).of("train_above_val")[-1]

    assert event.kind == cause


def test_a_power_law_falls_longer_than_an_exponential():
    late = [compose_one(Composed(power=p)).expected.mean("risk")[100:] for p in (0.0, 1.0)]

    assert late[0][0] - late[0][-1] < 1e-5
    assert late[1] == pytest.approx(0.5 + 1.8 / (1 + np.arange(101, 201) / 8))


@given(st.sampled_from([0.1, 0.3]), st.sampled_from([0.5, 1.0]))
def test_overfitting_by_memory_alone_is_memorisation_and_decision_and_none_of_it_calibration(height, slope):
    (event,) = compose_one(Composed(overfit=height, overfit_at=120, slope=slope)).of("overfitting")

    assert event.effect["memorisation"] == pytest.approx(height, abs=1e-6)
    assert event.effect["decision"] == pytest.approx(height, abs=1e-6)
    assert event.effect["calibration"] == pytest.approx(0, abs=1e-6)
    assert event.effect["accuracy"] == pytest.approx(-slope * height, abs=1e-6)


def test_a_drift_is_calibration_and_neither_memorisation_nor_decision():
    (event,) = compose_one(Composed(drift=0.3, drift_at=120)).of("overfitting")

    assert event.effect["calibration"] == pytest.approx(0.3, abs=1e-6)
    assert event.effect["memorisation"] == pytest.approx(0, abs=1e-6)


# noise


def test_accuracy_on_a_validation_set_of_n_examples_is_a_multiple_of_1_over_n():
    run = compose_one(Composed(val_size=250)).run

    assert run["val_accuracy"] * 250 == pytest.approx(np.round(run["val_accuracy"] * 250), abs=1e-4)
    assert len(set(run["val_accuracy"])) < 40


@pytest.mark.parametrize(("noise_rate", "ratio"), [(0.0, 1.0), (0.5, 0.1**0.5), (1.0, 0.1)])
def test_noise_falls_at_a_drop_by_the_power_of_the_rate_that_was_asked_for(noise_rate, ratio):
    spec = Composed(drop_1=100, factor=0.1, noise_rate=noise_rate)
    risk = compose_one(spec).expected.mean("risk")
    z = np.stack([run["val_loss"] / risk - 1 for run in observe(spec, range(512))])

    # 51,200 values a side: a width is good to 0.3 %, so 2 % is seen at six of its standard errors
    assert z[:, 100:].std() / z[:, :100].std() == pytest.approx(ratio, rel=0.02)


def test_the_width_of_the_noise_is_in_the_truth():
    spec = Composed(growth=1.0, noise=0.03, drop_1=60, noise_rate=0.5)
    expected = compose_one(spec).expected
    z = np.stack([run["val_loss"] - expected.mean("risk") for run in observe(spec, range(512))])

    assert (z / expected.curves["noise_width"]).std() == pytest.approx(1, rel=0.01)
