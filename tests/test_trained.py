"""The trained tier on a tiny recipe: sisters, twins, sharing of prefixes, compilation, and learning at all."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from sim.recipe import BadRecipe, Recipe, twin, without_drop
from sim.schedules import Schedule
from sim.trained import fleet, label, lane_epochs, measure, train
from sim.trained.fleet import CHUNK, METRICS, Lane, train_lanes

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


@pytest.fixture(scope="module")
def measured() -> dict[str, np.ndarray]:
    return measure([TINY], sisters=8)


def test_it_learns(measured):
    risk = measured["risk"][:8].mean(0)

    assert risk[-1] < 0.7 * np.log(3)  # guessing costs log(3)
    assert measured["population_accuracy"][:8, -1].mean() > 0.7


def test_sisters_share_data_and_weights_and_differ_in_the_order_of_minibatches(measured):
    first = measured["train_loss_eval"][:8, 0]

    assert len(np.unique(first)) == 8
    assert first.std() < 0.2 * first.mean()


def test_sisters_differ_in_the_order_of_minibatches_alone_where_nothing_else_is_drawn():
    plain = replace(TINY, augmentation=0.0)
    losses = train_lanes([Lane(plain, 0), Lane(plain, 1)])["train_loss_eval"]

    assert not np.array_equal(losses[0], losses[1])


def test_a_twin_is_its_run_to_the_bit_until_the_drop_and_another_after(measured):
    run, no_first = measured["risk"][:8], measured["risk"][8:16]

    assert np.array_equal(run[:, :12], no_first[:, :12])
    assert not np.array_equal(run[:, 12], no_first[:, 12])


def test_a_twin_that_shares_its_prefix_is_the_twin_trained_alone(measured):
    alone = train_lanes([Lane(without_drop(TINY, 1), s) for s in range(8)])

    assert all(np.array_equal(alone[m], measured[m][16:24]) for m in METRICS)


def test_a_run_does_not_depend_on_the_other_lanes_of_the_call(measured):
    other = replace(TINY, seed=9, label_noise=0.3)
    among = train_lanes([*(Lane(other, s) for s in range(8)), *(Lane(TINY, s) for s in range(8))], threads=1)

    assert np.array_equal(among["risk"][8:], measured["risk"][:8])


def test_numbers_compile_nothing():
    _, advance = fleet._programs(fleet._Shape.of(TINY))
    train_lanes([Lane(TINY, 0)])
    before = advance._cache_size()
    changed = replace(TINY, seed=5, label_noise=0.0, weight_decay=0.01, learning_rate=0.03, augmentation=0.0)
    train_lanes([Lane(replace(changed, schedule=Schedule(kind="cosine")), 3)])

    assert advance._cache_size() == before


def test_progress_counts_every_lane_epoch_once():
    done: list[int] = []
    train([TINY], progress=done.append)  # eight sisters: the twins start from their run's states

    assert sum(done) == lane_epochs([TINY]) == 3 * 8 * 25


def test_the_observed_run_is_sister_zero_and_truth_is_the_mean_of_all(measured):
    (labelled,) = label([TINY], measured)

    assert np.array_equal(labelled.run["val_loss"], measured["val_loss"][0].astype(float))
    assert labelled.expected.mean("risk") == pytest.approx(measured["risk"][:8].mean(0), rel=1e-6)
    assert set(labelled.expected.without_drop) == {12, 20}


def test_clean_labels_change_the_training_labels_and_not_the_validation():
    clean = twin(TINY, label_noise=0.0)
    both = train_lanes([Lane(TINY, 0), Lane(clean, 0)])

    assert clean.population_label_noise == TINY.label_noise
    assert both["train_loss_eval"][1, -1] < both["train_loss_eval"][0, -1]


def test_the_ideal_world_has_no_gap():
    plain = replace(TINY, train_size=512, augmentation=0.0, normalisation="none")  # training mode is evaluation mode
    fresh = twin(plain, fresh_samples=True)
    metrics = train_lanes([Lane(fresh, s) for s in range(8)])
    gap = (metrics["risk"] - metrics["train_loss"])[:, -5:].mean(1)

    assert abs(gap.mean()) < 4 * gap.std(ddof=1) / np.sqrt(8) + 0.02  # half an epoch of lag


def test_the_temperature_scaled_risk_is_that_of_the_best_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40_000, 3)) * 4
    y = np.eye(3)[np.argmax(logits / 4 + rng.gumbel(size=logits.shape), 1)]  # calibrated at temperature 4
    beta = np.ones(2)
    for _ in range(3):
        loss, beta = fleet._calibrated(jnp.asarray(logits), jnp.asarray(y), jnp.asarray(beta))
    grid = [np.mean(np.log(np.exp(logits / t).sum(1)) - (logits / t * y).sum(1)) for t in np.linspace(2, 8, 601)]

    assert float(loss) == pytest.approx(min(grid), abs=1e-3)  # fitted on the other half of 40,000
    assert 1 / np.asarray(beta).mean() == pytest.approx(4, rel=0.1)


def test_epochs_that_do_not_fill_a_chunk_are_measured():
    assert TINY.epochs % CHUNK
    metrics = train_lanes([Lane(TINY, 0)])

    assert all(np.isfinite(metrics[m]).all() for m in METRICS)


def test_a_single_sister_has_no_standard_error_and_is_refused():
    with pytest.raises(BadRecipe, match="sisters=1"):
        train([TINY], sisters=1)


@pytest.mark.parametrize(("optimiser", "normalisation"), [("sgd", "none"), ("adamw", "batch")])
def test_every_optimiser_and_normalisation_learns(optimiser, normalisation):
    rate = 0.05 if optimiser == "sgd" else 0.005
    recipe = replace(TINY, optimiser=optimiser, normalisation=normalisation, learning_rate=rate)
    metrics = train_lanes([Lane(recipe, 0)])

    assert metrics["risk"][0, -1] < 0.8 * np.log(3)
