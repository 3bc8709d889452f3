"""The trained tier on tiny recipes: sisters, twins, the same bits, compilation, optimisers, learning at all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sim import trained
from sim.labelled import LabelledRun
from sim.recipe import DOUBLE_DESCENT, GROKKING, BadRecipe, Recipe, twin, without_drop
from sim.schedules import Schedule
from sim.shape import Numbers, Shape
from sim.trained import MODEL, label, lane_epochs, measure, train
from sim.trained.draw import TASKS
from sim.trained.fleet import Measured, train_families
from sim.trained.optimiser import OPTIMISERS
from sim.trained.program import CHUNK, METRICS, OBSERVED, programs
from sim.trained.scoring import calibrated
from sim.twins import TWINS, family

TINY = Recipe(
    classes=3,
    modes=1,
    dimension=4,
    separation=2.0,
    label_noise=0.1,
    train_size=64,
    val_size=64,
    width=8,
    batch_size=16,
    augmentation=0.2,
    learning_rate=0.1,
    schedule=Schedule(milestones=(12, 20)),
    epochs=25,
)


def alone(recipe: Recipe, sisters: int = 8) -> Measured:
    """What is measured of a run without twins."""
    ((run,),) = (members.values() for members in train_families([{"run": recipe}], sisters))
    return run


@pytest.fixture(scope="module")
def measured() -> dict[str | int, Measured]:
    (members,) = measure([TINY], sisters=8)
    return members


def test_it_learns(measured):
    run = measured["run"]

    assert run["risk"].mean(0)[-1] < 0.7 * np.log(3)  # guessing costs log(3)
    assert run["population_accuracy"][:, -1].mean() > 0.7


def test_every_metric_has_a_finite_value_for_each_sister_and_epoch(measured):
    assert TINY.epochs % CHUNK  # the last chunk is not full
    assert {name: measured["run"][name].shape for name in METRICS} == dict.fromkeys(METRICS, (8, 25))
    assert {name: measured["run"][name].shape for name in OBSERVED} == dict.fromkeys(OBSERVED, (25,))
    assert all(np.isfinite(values).all() for values in measured["run"].values())


# sisters


def test_sisters_share_data_and_weights_and_differ_in_the_order_of_minibatches(measured):
    first = measured["run"]["train_loss_eval"][:, 0]

    assert len(np.unique(first)) == 8
    assert first.std() < 0.2 * first.mean()


def test_sisters_differ_in_the_order_of_minibatches_alone_where_nothing_else_is_drawn():
    losses = alone(replace(TINY, augmentation=0.0), 2)["train_loss_eval"]

    assert not np.array_equal(losses[0], losses[1])


def test_more_sisters_than_a_block_holds_begin_with_the_same_ones(measured):
    ten = alone(TINY, 10)

    assert ten["risk"].shape == (10, 25)
    assert all(np.array_equal(ten[m][:8], measured["run"][m]) for m in METRICS)
    assert len(np.unique(ten["risk"][:, -1])) == 10


def test_a_single_sister_has_no_standard_error_and_is_refused():
    with pytest.raises(BadRecipe, match="sisters=1"):
        train([TINY], sisters=1)


# the same bits


def test_a_run_does_not_depend_on_its_company(measured):
    other = replace(TINY, seed=9, label_noise=0.3, epochs=30)
    members = train_families([{"run": other}, {"run": TINY}], 8, threads=1)[1]

    assert all(np.array_equal(values, measured["run"][m]) for m, values in members["run"].items())


_SCRIPT = """
import hashlib, json, sys
from dataclasses import replace
from tests.test_trained import TINY
from sim.trained import measure
(members,) = measure([TINY], threads=1)
print(json.dumps({m: hashlib.sha256(v.tobytes()).hexdigest() for m, v in members["run"].items()}))
"""


@pytest.mark.slow
def test_a_run_has_the_same_bits_in_a_process_of_its_own_on_one_core(measured):
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)

    here = {m: hashlib.sha256(values.tobytes()).hexdigest() for m, values in measured["run"].items()}
    assert json.loads(done.stdout) == here


def test_numbers_compile_nothing():
    _, advance = programs(Shape.of(TINY))
    alone(TINY)
    before = advance._cache_size()
    changed = replace(TINY, seed=5, label_noise=0.0, weight_decay=0.01, learning_rate=0.03, augmentation=0.0)
    alone(replace(changed, val_shift=0.5, init_scale=2.0, schedule=Schedule(kind="cosine"), epochs=7))

    assert advance._cache_size() == before


def test_progress_counts_every_sister_epoch_once():
    done: list[int] = []
    train([TINY], progress=done.append)

    assert sum(done) == lane_epochs([TINY]) == 3 * 8 * 25


# twins


def test_a_twin_is_its_run_to_the_bit_until_the_drop_and_another_after(measured):
    run, no_first = measured["run"]["risk"], measured[12]["risk"]

    assert np.array_equal(run[:, :12], no_first[:, :12])
    assert not np.array_equal(run[:, 12], no_first[:, 12])


@pytest.mark.parametrize(("drop", "at"), [(0, 12), (1, 20)])
def test_a_twin_that_starts_where_it_parts_is_the_twin_trained_alone(measured, drop, at):
    again = alone(without_drop(TINY, drop))

    assert all(np.array_equal(again[m], measured[at][m]) for m in (*METRICS, *OBSERVED))


def test_a_run_has_the_twins_that_were_asked_for_and_that_it_can_have():
    recipe = replace(TINY, dropout=0.2)

    assert set(family(recipe, TWINS)) == {"run", 12, 20, "fresh_samples", "label_noise", "augmentation", "dropout"}
    assert set(family(replace(TINY, schedule=Schedule(kind="constant")), ("without_drop", "dropout"))) == {"run"}
    assert set(family(replace(TINY, label_noise=0.0, augmentation=0.0), ("label_noise", "augmentation"))) == {"run"}
    assert set(family(replace(TINY, fresh_samples=True), ("fresh_samples",))) == {"run"}


def test_each_twin_changes_what_its_name_says_and_leaves_the_validation():
    members = family(replace(TINY, dropout=0.2, data="textures", dimension=64, shift_augmentation=1), TWINS)

    assert members["fresh_samples"].fresh_samples
    assert members["label_noise"].label_noise == 0
    assert (members["augmentation"].augmentation, members["augmentation"].shift_augmentation) == (0, 0)
    assert members["dropout"].dropout == 0
    assert members[12].schedule.skipped == (0,)
    assert {m.population_label_noise for m in members.values()} == {0.1}


def test_an_unknown_kind_of_twin_is_refused():
    with pytest.raises(BadRecipe, match="there is no 'evil'; allowed are without_drop, fresh_samples"):
        train([TINY], twins=("evil",))


@pytest.fixture(scope="module")
def noisy() -> LabelledRun:
    """A run that memorises a fifth of wrong labels, with all its twins."""
    recipe = replace(TINY, label_noise=0.2, val_label_noise=0.0, augmentation=0.3, width=32, epochs=40)
    return train([replace(recipe, schedule=Schedule(kind="constant"))], twins=TWINS)[0]


@pytest.mark.slow
def test_the_risks_of_twins_are_filled_in_under_their_names(noisy):
    assert {name: risk.shape for name, risk in noisy.expected.twins.items()} == dict.fromkeys(
        ("fresh_samples", "label_noise", "augmentation"), (8, 40)
    )


@pytest.mark.slow
def test_what_a_twin_does_not_have_costs_the_run(noisy):
    last = {name: risk[:, -5:].mean() for name, risk in noisy.expected.twins.items()}
    risk = noisy.expected.mean("risk")[-5:].mean()

    assert last["fresh_samples"] < risk - 0.05  # it cannot memorise
    assert last["label_noise"] < risk - 0.02
    assert last["augmentation"] > risk + 0.02  # noise on inputs kept it from memorising


def test_a_twin_shares_the_draws_of_its_run():
    plain = replace(TINY, label_noise=0.0, augmentation=0.0, dropout=0.0)
    barely = replace(plain, label_noise=1e-6, augmentation=1e-6)  # no label flips, noise below what matters

    assert alone(barely, 2)["risk"][:, 0] == pytest.approx(alone(plain, 2)["risk"][:, 0], rel=1e-4)


@pytest.mark.slow
def test_the_ideal_world_has_no_gap():
    plain = replace(TINY, train_size=512, augmentation=0.0, normalisation="none")  # training mode is evaluation mode
    metrics = alone(twin(plain, fresh_samples=True))
    gap = (metrics["risk"] - metrics["train_loss"])[:, -5:].mean(1)

    assert abs(gap.mean()) < 4 * gap.std(ddof=1) / np.sqrt(8) + 0.02  # half an epoch of lag


# labelled runs


def test_the_observed_run_is_sister_zero_and_truth_is_the_mean_of_all(measured):
    (labelled,) = label([TINY], [measured])

    assert np.array_equal(labelled.run["val_loss"], measured["run"]["val_loss"].astype(float))
    assert np.array_equal(labelled.run["train_loss"], measured["run"]["train_loss"][0].astype(float))
    assert labelled.expected.mean("risk") == pytest.approx(measured["run"]["risk"].mean(0), rel=1e-6)
    assert set(labelled.expected.without_drop) == {12, 20}


def test_clean_labels_change_the_training_labels_and_not_the_validation():
    clean = twin(TINY, label_noise=0.0)

    assert clean.population_label_noise == TINY.label_noise
    assert alone(clean, 2)["train_loss_eval"][0, -1] < alone(TINY, 2)["train_loss_eval"][0, -1]


@pytest.mark.slow
def test_the_temperature_scaled_risk_is_that_of_the_best_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40_000, 3)) * 4
    y = np.eye(3)[np.argmax(logits / 4 + rng.gumbel(size=logits.shape), 1)]  # calibrated at temperature 4
    beta = np.ones(2)
    for _ in range(3):
        loss, beta = calibrated(jnp.asarray(logits), jnp.asarray(y), jnp.asarray(beta))
    grid = [np.mean(np.log(np.exp(logits / t).sum(1)) - (logits / t * y).sum(1)) for t in np.linspace(2, 8, 601)]

    assert float(loss) == pytest.approx(min(grid), abs=1e-3)  # fitted on the other half of 40,000
    assert 1 / np.asarray(beta).mean() == pytest.approx(4, rel=0.1)


# optimisers


@pytest.mark.release
@pytest.mark.parametrize(("optimiser", "normalisation"), [("sgd", "none"), ("adam", "layer"), ("adamw", "batch")])
def test_every_optimiser_and_normalisation_learns(optimiser, normalisation):
    rate = 0.05 if optimiser == "sgd" else 0.005
    metrics = alone(replace(TINY, optimiser=optimiser, normalisation=normalisation, learning_rate=rate), 2)

    assert metrics["risk"][0, -1] < 0.8 * np.log(3)


REFERENCES = {
    "sgd": lambda r: optax.chain(
        optax.add_decayed_weights(r.weight_decay), optax.sgd(r.learning_rate, r.momentum, nesterov=r.nesterov)
    ),
    "adam": lambda r: optax.chain(
        optax.add_decayed_weights(r.weight_decay), optax.adam(r.learning_rate, r.momentum, r.beta2)
    ),
    "adamw": lambda r: optax.adamw(r.learning_rate, r.momentum, r.beta2, weight_decay=r.weight_decay),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_an_optimiser_takes_the_steps_of_the_published_one(name):
    recipe = replace(TINY, optimiser=name, nesterov=name == "sgd", weight_decay=0.1, beta2=0.98)
    ours = OPTIMISERS[name](Shape.of(recipe), Numbers.of(recipe))
    theirs = REFERENCES[name](recipe)
    mine = other = jnp.array([1.0, -2.0, 3.0])
    state, reference = ours.init(mine), theirs.init(other)
    for _ in range(5):
        update, state = ours.update(mine**3, state, mine)
        mine = mine - recipe.learning_rate * update
        update, reference = theirs.update(other**3, reference, other)
        other = optax.apply_updates(other, update)

    assert np.asarray(mine) == pytest.approx(np.asarray(other), rel=1e-5)


def test_decoupled_decay_shrinks_weights_that_have_no_gradient_and_coupled_decay_in_adam_steps_by_the_rate():
    steps = {}
    for name in ("adam", "adamw"):
        recipe = replace(TINY, optimiser=name, nesterov=False, weight_decay=0.1)
        optimiser = OPTIMISERS[name](Shape.of(recipe), Numbers.of(recipe))
        w = jnp.array([2.0])
        update, _ = optimiser.update(jnp.zeros(1), optimiser.init(w), w)
        steps[name] = float(update[0])

    assert steps == pytest.approx({"adam": 1.0, "adamw": 0.2}, rel=1e-4)  # times the rate


# named recipes


@pytest.mark.release
def test_double_descent_emerges_from_features_that_are_learned_at_two_speeds():
    (labelled,) = train([DOUBLE_DESCENT])
    (event,) = labelled.of("double_descent")

    assert event.effect["share"] >= 1  # the second bottom is the lower one
    assert event.effect["rise"] > 0.05 * labelled.expected.mean("risk").min()


@pytest.mark.release
def test_generalisation_is_delayed_in_modular_addition():
    (labelled,) = train([GROKKING])
    (event,) = labelled.of("delayed_generalization")

    assert event.effect["times_later"] > 5
    assert event.effect["gain"] > 0.5


def test_the_noise_of_a_reading_is_local_and_hears_neither_its_bend_nor_a_spike():
    rng = np.random.default_rng(0)
    x = np.arange(400)
    noise = rng.normal(size=400) * np.where(x < 200, 0.01, 0.05)
    width = trained._noise_width(np.exp(-x / 30) + noise + 3 * (x == 300))[0]

    assert width[20:180].mean() == pytest.approx(0.01, rel=0.15)
    assert width[220:380].mean() == pytest.approx(0.05, rel=0.15)


# the default distribution


def test_drawn_recipes_are_of_every_task_and_of_few_shapes():
    drawn = [MODEL.draw(np.random.default_rng([1, i])) for i in range(200)]

    assert len({Shape.of(r) for r in drawn}) == len({Shape.of(r) for r in TASKS.values()}) == len(TASKS)
    assert {r.schedule.kind for r in drawn} == {"step", "cosine", "wsd", "constant"}
    assert len({r.learning_rate for r in drawn}) == 200


def test_what_is_drawn_depends_on_the_generator_alone():
    assert [MODEL.draw(np.random.default_rng(i)) for i in range(9)] == [
        MODEL.draw(np.random.default_rng(i)) for i in range(9)
    ]


@pytest.mark.release
@pytest.mark.parametrize("task", TASKS)
def test_a_run_of_each_task_learns_and_has_no_missing_value(task):
    recipe = replace(TASKS[task], epochs=10, schedule=Schedule(kind="constant"))
    (labelled,) = train([recipe], sisters=2, twins=())

    assert all(np.isfinite(values).all() for values in labelled.run.series.values())
    assert labelled.expected.mean("risk").min() < 0.9 * np.log(recipe.classes)
    assert set(labelled.run.series) == set(MODEL.series)


@pytest.mark.slow
def test_a_call_makes_recipes_of_different_lengths_and_the_bits_do_not_depend_on_them(measured):
    long, short = MODEL.make([replace(TINY, epochs=31), TINY], [5, TINY.seed])

    assert (len(long.run), len(short.run)) == (31, 25)
    assert np.array_equal(short.expected.curves["risk"], measured["run"]["risk"])
    assert long.recipe.seed == 5
