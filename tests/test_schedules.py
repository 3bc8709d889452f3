"""Schedules and recipes: PyTorch's convention, twins of a schedule, and impossible ones refused by field and value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.segments import drop_positions
from sim.recipe import HEALTHY, SEED_FIGURE, BadRecipe, Recipe, twin, without_drop
from sim.schedules import BadSchedule, Schedule

EPOCHS = 200
kinds = pytest.mark.parametrize("kind", ["constant", "step", "cosine", "wsd"])
milestones = st.lists(st.integers(1, EPOCHS - 1), min_size=1, max_size=5, unique=True).map(sorted).map(tuple)
factors = st.sampled_from([0.1, 0.2, 0.5])


def rate(schedule: Schedule, epoch: int, peak: float = 1.0) -> float:
    """The rate used during one epoch, counted from 1."""
    return float(schedule.rates(peak, EPOCHS)[epoch - 1])


# steps


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, 0.1), (60, 0.1), (61, 0.02), (120, 0.02), (121, 0.004), (160, 0.004), (161, 0.0008)]
)
def test_a_milestone_counts_the_epochs_at_the_old_rate(epoch, expected):
    assert rate(Schedule(milestones=(60, 120, 160), factor=0.2), epoch, peak=0.1) == pytest.approx(expected, rel=1e-12)


@given(milestones, factors)
def test_steps_are_those_of_multi_step_lr_written_out(milestones, factor):
    rate, expected = 1.0, []  # as PyTorch: `scheduler.step()` ends the epoch and multiplies at a milestone
    for epoch in range(1, EPOCHS + 1):
        expected.append(rate)
        rate *= factor if epoch in milestones else 1

    schedule = Schedule(milestones=milestones, factor=factor)
    assert schedule.rates(1.0, EPOCHS) == pytest.approx(expected, rel=1e-12)  # powers and products round differently


@kinds
def test_a_schedule_scales_with_its_peak(kind):
    schedule = Schedule(kind=kind)

    assert np.array_equal(schedule.rates(4.0, EPOCHS), 4 * schedule.rates(1.0, EPOCHS))


@kinds
def test_a_schedule_has_a_positive_rate_for_each_epoch(kind):
    rates = Schedule(kind=kind).rates(0.1, EPOCHS)

    assert rates.shape == (EPOCHS,)
    assert (rates > 0).all()  # a rate of 0 would be an epoch without training


# the other kinds


def test_a_constant_schedule_stays_at_its_peak():
    assert set(Schedule(kind="constant").rates(0.1, EPOCHS)) == {0.1}


def test_a_cosine_begins_at_the_peak():
    assert rate(Schedule(kind="cosine"), 1) == 1


@given(st.floats(0, 0.9))
def test_a_cosine_is_half_way_down_in_the_middle(final):
    assert rate(Schedule(kind="cosine", final=final), EPOCHS // 2 + 1) == pytest.approx((1 + final) / 2)


@given(st.floats(0, 0.9))
def test_a_cosine_ends_one_small_step_above_its_final_rate(final):
    step = (1 - final) * (1 - math.cos(math.pi / EPOCHS)) / 2  # the epoch after the last one would be at `final`

    assert rate(Schedule(kind="cosine", final=final), EPOCHS) == pytest.approx(final + step)


def test_a_cosine_falls_throughout():
    assert (np.diff(Schedule(kind="cosine").rates(0.1, EPOCHS)) < 0).all()


def test_wsd_is_stable_until_its_decay():
    rates = Schedule(kind="wsd", decay=0.2).rates(0.1, EPOCHS)

    assert set(rates[:160]) == {0.1}
    assert rates[160] < 0.1


def test_wsd_decays_in_equal_steps_to_its_final_rate():
    rates = Schedule(kind="wsd", decay=0.2, final=0.25).rates(1.0, EPOCHS)

    assert np.diff(rates[159:]) == pytest.approx(-0.75 / 40)
    assert rates[-1] == pytest.approx(0.25)


# warm-up


@kinds
def test_a_warm_up_reaches_the_peak_in_equal_steps(kind):
    rates = Schedule(kind=kind, warmup=5).rates(1.0, EPOCHS)

    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("kind", ["constant", "step", "wsd"])
def test_after_the_warm_up_the_rates_are_those_without_one(kind):
    warm, cold = (Schedule(kind=kind, warmup=w).rates(1.0, EPOCHS) for w in (5, 0))

    assert np.array_equal(warm[4:], cold[4:])


def test_a_cosine_starts_after_its_warm_up():
    warm = Schedule(kind="cosine", warmup=5).rates(1.0, EPOCHS)

    assert np.array_equal(warm[5:], Schedule(kind="cosine").rates(1.0, EPOCHS - 5))


# a schedule without a drop


@given(milestones, factors, st.data())
def test_without_a_drop_the_old_rate_is_kept_until_the_next_milestone(milestones, factor, data):
    k = data.draw(st.integers(0, len(milestones) - 1))
    schedule = Schedule(milestones=milestones, factor=factor)
    start, end = [*milestones, EPOCHS][k : k + 2]
    rates = schedule.without_drop(k).rates(1.0, EPOCHS)

    assert set(rates[start:end]) == {schedule.rates(1.0, EPOCHS)[start - 1]}


@given(milestones, factors, st.integers(0, 9), st.data())
def test_everywhere_else_the_twin_has_the_rates_of_the_schedule_to_the_bit(milestones, factor, warmup, data):
    k = data.draw(st.integers(0, len(milestones) - 1))
    schedule = Schedule(milestones=milestones, factor=factor, warmup=warmup)
    start, end = [*milestones, EPOCHS][k : k + 2]
    rates, expected = schedule.without_drop(k).rates(1.0, EPOCHS), schedule.rates(1.0, EPOCHS)

    assert np.array_equal(rates[:start], expected[:start])
    assert np.array_equal(rates[end:], expected[end:])


def test_without_two_drops_in_a_row_the_rate_before_both_is_kept():
    rates = Schedule(milestones=(60, 120, 160)).without_drop(0).without_drop(1).rates(1.0, EPOCHS)

    assert set(rates[:160]) == {1.0}
    assert rates[160] == pytest.approx(0.2**3)


def test_the_order_in_which_drops_are_left_out_does_not_matter():
    schedule = Schedule(milestones=(60, 120, 160))

    assert schedule.without_drop(2).without_drop(0) == schedule.without_drop(0).without_drop(2)
    assert Schedule(skipped=(2, 0)) == Schedule(skipped=(0, 2))


# what is refused


BAD_SCHEDULES = [
    ("kind", "linear", "'constant', 'step', 'cosine', 'wsd'"),
    ("milestones", (0, 60), "increasing epochs from 1"),
    ("milestones", (60, 60), "increasing epochs from 1"),
    ("milestones", (120, 60), "increasing epochs from 1"),
    ("factor", 0.0, "between 0 and 1"),
    ("factor", 1.0, "between 0 and 1"),
    ("factor", math.nan, "between 0 and 1"),
    ("skipped", (3,), "milestones 0..n-1"),
    ("skipped", (-1,), "milestones 0..n-1"),
    ("warmup", -1, "0 or more"),
    ("decay", 0.0, r"\(0, 1\]"),
    ("decay", 1.5, r"\(0, 1\]"),
    ("decay", math.nan, r"\(0, 1\]"),
    ("final", -0.1, r"\[0, 1\)"),
    ("final", 1.0, r"\[0, 1\)"),
]


@pytest.mark.parametrize(("field", "value", "allowed"), BAD_SCHEDULES)
def test_an_impossible_schedule_is_refused_by_field_value_and_what_is_allowed(field, value, allowed):
    with pytest.raises(BadSchedule, match=f"^{field}=.*{allowed}") as caught:
        Schedule(**{field: value})

    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("milestones", (60.7,)),
        ("milestones", (math.nan,)),
        ("warmup", math.nan),
    ],
)
def test_a_number_of_epochs_that_is_not_whole_is_refused(field, value):
    with pytest.raises(BadSchedule, match=field):
        Schedule(**{field: value})


@pytest.mark.parametrize(
    ("schedule", "field"),
    [(Schedule(milestones=(60, 120)), "milestones"), (Schedule(kind="cosine", warmup=120), "warmup")],
)
def test_a_schedule_longer_than_the_run_is_refused(schedule, field):
    with pytest.raises(BadSchedule, match=f"{field}=.*120"):
        schedule.rates(0.1, 120)


@pytest.mark.parametrize("kind", ["constant", "cosine", "wsd"])
def test_only_steps_have_drops_to_leave_out(kind):
    with pytest.raises(BadSchedule, match="a step schedule has milestones"):
        Schedule(kind=kind).without_drop(0)


def test_milestones_are_of_no_concern_to_a_schedule_without_steps():
    assert len(Schedule(kind="cosine", milestones=(60, 120, 160)).rates(0.1, 10)) == 10


BAD_RECIPES = [
    ("seed", -1, "0..2^31-1"),
    ("seed", 2**31, "0..2^31-1"),
    ("classes", 1, "2 or more"),
    ("modes", 0, "1 or more"),
    ("dimension", 0, "1 or more"),
    ("separation", -0.1, "0 or more"),
    ("separation", math.inf, "a finite number"),
    ("label_noise", -0.1, "[0, 1)"),
    ("label_noise", 1.0, "[0, 1)"),
    ("val_label_noise", 1.0, "[0, 1)"),
    ("val_label_noise", math.nan, "a finite number"),
    ("train_size", 1, "2 or more"),
    ("val_size", 0, "1 or more"),
    ("width", 0, "1 or more"),
    ("depth", -1, "0 or more"),
    ("normalisation", "group", "'none', 'batch' or 'layer'"),
    ("optimiser", "lion", "'sgd', 'adam' or 'adamw'"),
    ("data", "mnist", "'blobs', 'digits', 'modular', 'spirals', 'teacher', 'textures', 'two_moons' or 'two_speeds'"),
    ("network", "transformer", "'convnet' or 'mlp'"),
    ("noise_kind", "random", "'symmetric' or 'class_dependent'"),
    ("imbalance", 0.5, "1 or more"),
    ("val_imbalance", 0.0, "1 or more"),
    ("val_shift", math.inf, "a finite number"),
    ("dropout", 1.0, "[0, 1)"),
    ("init_scale", 0.0, "above 0"),
    ("beta2", 1.0, "[0, 1)"),
    ("nesterov", 1, "True or False"),
    ("fresh_samples", None, "True or False"),
    ("shift_augmentation", -1, "0 or more"),
    ("schedule", "step", "a Schedule"),
    ("learning_rate", 0.0, "above 0"),
    ("learning_rate", math.nan, "a finite number"),
    ("momentum", 1.0, "[0, 1)"),
    ("momentum", -0.1, "[0, 1)"),
    ("weight_decay", -1e-4, "0 or more"),
    ("batch_size", 0, "1..train_size=1024"),
    ("batch_size", 1025, "1..train_size=1024"),
    ("batch_size", 1, "2 or more with batch normalisation"),
    ("augmentation", -0.1, "0 or more"),
    ("epochs", 0, "1 or more"),
]


@pytest.mark.parametrize(("field", "value", "allowed"), BAD_RECIPES)
def test_an_impossible_recipe_is_refused_by_field_value_and_what_is_allowed(field, value, allowed):
    with pytest.raises(BadRecipe) as caught:
        Recipe(**{field: value})

    assert str(caught.value).startswith(f"{field}={value!r}: allowed is ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "two_moons", "classes": 3}, "classes=3: allowed is 2 with data='two_moons'"),
        ({"data": "spirals", "dimension": 1}, "dimension=1: allowed is 2 or more with data='spirals'"),
        ({"data": "teacher", "imbalance": 2.0}, "imbalance=2.0: allowed is 1 with data='teacher'"),
        ({"data": "textures", "dimension": 65}, "dimension=65: allowed is the square of 8 or more"),
        ({"data": "textures", "dimension": 64, "classes": 17}, "classes=17: allowed is 2..16 with data='textures'"),
        ({"data": "modular", "classes": 7}, "dimension=32: allowed is 2 classes = 14 with data='modular'"),
        ({"data": "modular", "classes": 7, "dimension": 14}, "train_size=1024: allowed is 2..48 with data='modular'"),
        ({"network": "convnet"}, "dimension=32: allowed is a square"),
        ({"network": "convnet", "dimension": 36, "depth": 3}, "depth=3: allowed is 1 or more with network='convnet'"),
        ({"depth": 0}, "normalisation='batch': allowed is 'none' with depth=0"),
        ({"depth": 0, "normalisation": "none", "dropout": 0.1}, "dropout=0.1: allowed is 0 with depth=0"),
        ({"noise_kind": "class_dependent", "label_noise": 0.6}, "label_noise=0.6: allowed is a share in [0, 0.5]"),
        ({"noise_kind": "class_dependent", "val_label_noise": 0.6}, "val_label_noise=0.6: allowed is a share in [0, 0"),
        ({"shift_augmentation": 1}, "dimension=32: allowed is a square, an image, with shift_augmentation"),
        ({"shift_augmentation": 6, "dimension": 36}, "shift_augmentation=6: allowed is 0..5"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_and_say_why(settings, message):
    with pytest.raises(BadRecipe) as caught:
        Recipe(**settings)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("field", ["seed", "classes", "modes", "dimension", "train_size", "val_size", "width", "depth"])
def test_a_count_that_is_not_whole_is_refused(field):
    with pytest.raises(BadRecipe, match=field):
        Recipe(**{field: 100.5})


@pytest.mark.parametrize("field", ["learning_rate", "epochs", "depth"])
def test_a_number_written_as_text_is_refused_as_a_bad_recipe(field):
    with pytest.raises(BadRecipe, match=field):
        Recipe(**{field: "100"})


@pytest.mark.parametrize("field", ["milestones", "warmup"])
def test_a_recipe_says_that_it_is_the_schedule_that_does_not_fit(field):
    schedule = {"milestones": Schedule(), "warmup": Schedule(kind="cosine", warmup=100)}[field]

    with pytest.raises(BadRecipe, match=f"^schedule.{field}=.*100"):
        Recipe(epochs=100, schedule=schedule)


def test_one_example_a_batch_is_allowed_without_batch_normalisation():
    assert Recipe(batch_size=1, normalisation="none").batch_size == 1


# twins


def test_a_twin_differs_in_one_thing():
    changed = twin(SEED_FIGURE, augmentation=0.0)

    assert changed.augmentation == 0
    assert twin(changed, augmentation=SEED_FIGURE.augmentation) == SEED_FIGURE


def test_a_twin_with_clean_labels_is_validated_on_the_labels_of_its_run():
    clean = twin(SEED_FIGURE, label_noise=0.0)

    assert clean.population_label_noise == SEED_FIGURE.population_label_noise == 0.2


def test_a_twin_may_be_validated_on_clean_labels_if_that_is_asked_for():
    assert twin(SEED_FIGURE, label_noise=0.0, val_label_noise=0.0).population_label_noise == 0


def test_validation_has_the_label_noise_of_training_unless_told_otherwise():
    assert Recipe(label_noise=0.3).population_label_noise == 0.3
    assert Recipe(label_noise=0.3, val_label_noise=0.1).population_label_noise == 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs one thing that is changed"),
        ({"seed": 1}, "another seed is another run"),
        ({"labelnoise": 0.0}, "no such field.*labelnoise"),
        ({"momentum": 2.0}, r"momentum=2\.0: allowed is"),
    ],
)
def test_what_is_no_twin_is_refused(changes, message):
    with pytest.raises(BadRecipe, match=message):
        twin(SEED_FIGURE, **changes)


def test_the_twin_without_a_drop_changes_the_schedule_alone():
    changed = without_drop(SEED_FIGURE, 1)

    assert changed.schedule == SEED_FIGURE.schedule.without_drop(1)
    assert twin(changed, schedule=SEED_FIGURE.schedule) == SEED_FIGURE


def test_the_healthy_recipe_never_drops_its_rate_at_once():
    assert drop_positions(HEALTHY.schedule.rates(HEALTHY.learning_rate, HEALTHY.epochs)) == []
