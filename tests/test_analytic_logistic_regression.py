"""Logistic regression: its SGD against a plain loop, its sisters and twins, and the phenomena that it shows."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from sim.analytic import logistic_sgd
from sim.analytic.logistic_regression import SISTERS, LogisticRegression, draw, make, sample
from sim.analytic.logistic_sgd import BATCH, Lane, trajectories
from sim.analytic.margin import risk
from sim.analytic.rates import rates
from sim.randomness import Purpose, stream
from sim.recipe import BadRecipe
from sim.schedules import Schedule

CONSTANT = Schedule(kind="constant", milestones=())
SHORT = LogisticRegression(
    train_size=30, dimension=6, batch_size=5, epochs=12, schedule=Schedule(milestones=(8,)), label_noise=0.1
)


def lane(recipe: LogisticRegression, sister: int, *, seed: int = 3) -> Lane:
    """A trajectory of the recipe on the data of the seed."""
    data = sample(recipe, seed, recipe.train_size, Purpose.TRAIN_INPUTS, Purpose.TRAIN_LABELS)
    return Lane(recipe, seed, sister, rates(recipe), data.x, data.y)


@pytest.fixture(scope="module")
def overfit():
    """A run that memorises few clean examples."""
    recipe = LogisticRegression(train_size=40, dimension=20, label_noise=0.0, epochs=100, schedule=CONSTANT)
    return make([recipe], [0])[0]


def test_a_trajectory_is_that_of_a_plain_loop_over_the_same_batches():
    of = lane(SHORT, 2)
    ((w_all, logged, right),) = trajectories([of], fresh=False)
    draw_batch = jax.jit(
        lambda e, k: jax.random.uniform(jax.random.fold_in(stream(3, Purpose.ORDER, 2, e), k), (BATCH,))
    )
    w = np.zeros(of.x.shape[1])
    for e, eta in enumerate(of.rates):
        losses, hits = [], []
        for k in range(SHORT.steps):
            rows = (np.asarray(draw_batch(e, k))[:5] * 30).astype(int)
            x, y = of.x[rows], of.y[rows]
            margin = y * (x @ w)
            losses.append(np.logaddexp(0, -margin).mean())
            hits.append(((np.sign(margin) + 1) / 2).mean())
            w = w + eta * ((y / (1 + np.exp(margin)))[:, None] * x).mean(0)

        assert w_all[e] == pytest.approx(w, abs=2e-5)  # single against double precision
        assert logged[e] == pytest.approx(np.mean(losses), abs=1e-5)
        assert right[e] == pytest.approx(np.mean(hits), abs=1e-6)


def fresh_by_loop(recipe: LogisticRegression, runs: int) -> np.ndarray:
    """The population risk of runs on fresh examples, drawn by NumPy, shape (runs, epochs)."""
    m, scale = recipe.classes
    rng, w, out = np.random.default_rng(0), np.zeros((runs, len(m))), []
    for eta in rates(recipe):
        for _ in range(recipe.steps):
            clean = rng.choice([-1.0, 1.0], (runs, recipe.batch_size))
            x = clean[:, :, None] * m + scale * rng.standard_normal((*clean.shape, len(m)))
            y = np.where(rng.random(clean.shape) < recipe.label_noise, -clean, clean)
            pull = y / (1 + np.exp(y * (x * w[:, None]).sum(-1)))
            w = w + eta * (pull[:, :, None] * x).mean(1)
        out.append(risk((w * m).sum(-1), np.sqrt((w**2 * scale**2).sum(-1)), recipe.label_noise))
    return np.stack(out, 1)


def z_scores(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many standard errors the means over runs differ, at each epoch."""
    error = np.sqrt(one.var(0, ddof=1) / len(one) + other.var(0, ddof=1) / len(other))
    z: np.ndarray = (one.mean(0) - other.mean(0)) / error
    return z


@pytest.mark.slow
def test_the_ideal_world_is_sgd_on_fresh_examples_and_one_percent_off_is_seen():
    m, scale = SHORT.classes
    w = np.stack([w for w, _, _ in trajectories([lane(SHORT, k) for k in range(512)], fresh=True)])
    ours = risk((w * m).sum(-1), np.sqrt((w**2 * scale**2).sum(-1)), SHORT.label_noise)
    theirs = fresh_by_loop(SHORT, 4000)

    assert np.abs(z_scores(ours, theirs)).max() < 4
    assert np.abs(z_scores(1.01 * ours, theirs)).max() > 4


def test_sisters_share_the_data_and_differ_in_their_batches(overfit):
    curves = overfit.expected.curves

    assert all(curve.shape == (SISTERS, 100) for curve in curves.values())
    assert len(np.unique(curves["risk"][:, -1])) == SISTERS
    assert overfit.expected.se("risk")[-1] < 0.05 * overfit.expected.mean("risk")[-1]


def test_the_run_is_its_first_sister(overfit):
    assert np.array_equal(overfit.run["train_loss"], overfit.expected.curves["train_loss"][0])


def test_the_validation_loss_reads_the_risk_of_the_run_on_a_finite_set(overfit):
    (big,) = make([replace(overfit.recipe, val_size=100_000, epochs=20)], [0])
    own = big.expected.curves["risk"][0]

    # a loss of the size 0.5 and a spread of about 1 on 100,000 examples
    assert big.run["val_loss"] == pytest.approx(own, abs=4 * 1.0 / np.sqrt(100_000))
    assert big.run["val_accuracy"] == pytest.approx(big.expected.curves["population_accuracy"][0], abs=0.007)


def test_memorising_few_clean_examples_is_overfitting_that_the_ideal_world_does_not_have(overfit):
    (event,) = overfit.of("overfitting")
    ideal = overfit.expected.twins["fresh_samples"].mean(0)

    assert event.effect["prominence"] > 0.05
    assert ideal[-1] < overfit.expected.mean("risk").min()
    assert ideal[-10:].mean() < ideal[20:30].mean()


def test_weights_that_grow_when_their_direction_has_settled_are_overconfidence_and_accuracy_stays():
    recipe = LogisticRegression(
        dimension=2, train_size=24, separation=1.5, slow_separation=0.5, label_noise=0.0, schedule=CONSTANT,
        learning_rate=1.0,
    )  # fmt: skip
    flat = [e for run in make([recipe] * 6, range(6)) for e in run.of("loss_accuracy_divergence")]

    assert flat
    assert np.median([event.effect["calibration_share"] for event in flat]) > 0.7


def test_clean_labels_change_nothing_where_no_label_was_flipped():
    (run,) = make([replace(SHORT, label_noise=0.0)], [1])

    assert np.array_equal(run.expected.twins["label_noise"], run.expected.curves["risk"])


def test_more_label_noise_flips_the_same_labels_and_more():
    few, many = (
        sample(replace(SHORT, label_noise=p), 0, 500, Purpose.TRAIN_INPUTS, Purpose.TRAIN_LABELS) for p in (0.1, 0.3)
    )

    assert np.array_equal(few.x, many.x)
    assert set(np.flatnonzero(few.y != few.clean)) < set(np.flatnonzero(many.y != many.clean))


def test_a_drop_by_a_factor_of_one_changes_nothing_to_the_bit():
    of = lane(SHORT, 0)
    dropped = of._replace(rates=np.where(np.arange(12) < 5, of.rates, 1.0 * of.rates))
    one, other = trajectories([of, dropped], fresh=False)

    assert np.array_equal(one[0], other[0])


def test_another_recipe_and_another_number_of_runs_compile_nothing():
    make([SHORT], [0])
    programs = [logistic_sgd._program(256, fresh) for fresh in (False, True)]
    before = [program._cache_size() for program in programs]
    make([replace(SHORT, dimension=9, batch_size=3, epochs=14, label_noise=0.0)] * 3, range(3))

    assert [program._cache_size() for program in programs] == before


@pytest.mark.release
def test_default_recipes_show_each_of_its_phenomena_and_none_of_them_always():
    runs = make([draw(np.random.default_rng([7, i])) for i in range(48)], range(48))

    for phenomenon in (
        "overfitting", "loss_accuracy_divergence", "generalization_gap", "lr_drop_relief", "train_above_val",
    ):  # fmt: skip
        assert {bool(run.of(phenomenon)) for run in runs} == {True, False}, phenomenon
    kinds = {event.kind for run in runs for event in run.of("loss_accuracy_divergence", grey=True)}
    assert kinds == {"accuracy_flat", "accuracy_rising"}


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("dimension", 33, r"2\.\.32"),
        ("train_size", 513, r"2\.\.512"),
        ("batch_size", 17, r"1\.\.16"),
        ("label_noise", 0.5, r"a share in \[0, 0.5\)"),
        ("slow", 0.0, r"a share in 1e-6\.\.1"),
        ("separation", -1.0, "0 or more"),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_would_be_allowed(field, value, allowed):
    with pytest.raises(BadRecipe, match=rf"^{field}={value!r}: allowed is {allowed}"):
        LogisticRegression(**{field: value})
