"""Linear regression by SGD: exact moments against many simulated runs, and against gradient flow where both agree."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sim.analytic.gradient_flow import _init, flow
from sim.analytic.linear_regression import LinearRegression, draw, ideal, make, moments, paths
from sim.analytic.teacher import teacher
from sim.recipe import BadRecipe
from sim.schedules import Schedule

SMALL = LinearRegression(
    dimension=5,
    train_size=16,
    batch_size=2,
    learning_rate=0.1,
    noise=0.8,
    epochs=12,
    schedule=Schedule(milestones=(8,)),
)
DATA = teacher(SMALL, 4)
RATES = SMALL.schedule.rates(SMALL.learning_rate, SMALL.epochs)
RUNS = 20_000


@pytest.fixture(scope="module")
def simulated() -> dict[str, np.ndarray]:
    """What RUNS real runs of SGD on one data set had, each of shape (RUNS, epochs)."""
    delta, logged = paths(DATA, SMALL, RATES, np.random.default_rng(0), RUNS)
    level = ((np.einsum("rxk,nk->rxn", delta, DATA.X) - DATA.eps) ** 2).mean(-1)
    return {"risk": DATA.risk(delta), "train_loss_eval": level, "train_loss": logged}


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    """The exact curves of those runs, each of shape (epochs,)."""
    return {name: curve[0] for name, curve in moments(DATA, SMALL, RATES[None], DATA.eps[None]).items()}


def z_scores(curve: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """How many standard errors the mean over `runs` lies from `curve`, at each epoch."""
    z: np.ndarray = (runs.mean(0) - curve) / (runs.std(0, ddof=1) / np.sqrt(len(runs)))
    return z


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_the_expectation_is_the_mean_over_every_sequence_of_minibatches(batch_size):
    tiny = LinearRegression(
        dimension=2, train_size=4, batch_size=batch_size, learning_rate=0.05, noise=0.8, val_size=50
    )
    data, eta = teacher(tiny, 1), 0.2
    batches = [list(batch) for batch in product(range(4), repeat=batch_size)]
    logged, risks, levels = [], [], []
    for sequence in product(batches, repeat=tiny.steps):
        delta, losses = -data.w_star, []
        for batch in sequence:
            losses.append(((data.X @ delta - data.eps) ** 2).mean())
            x = data.X[batch]
            delta = delta - eta * x.T @ (x @ delta - data.eps[batch]) / batch_size
        logged.append(np.mean(losses))
        risks.append(data.risk(delta))
        levels.append(((data.X @ delta - data.eps) ** 2).mean())
    curves = moments(data, tiny, np.full((1, 1), eta), data.eps[None])

    assert curves["risk"][0, 0] == pytest.approx(np.mean(risks), rel=1e-12)
    assert curves["train_loss_eval"][0, 0] == pytest.approx(np.mean(levels), rel=1e-12)
    assert curves["train_loss"][0, 0] == pytest.approx(np.mean(logged), rel=1e-12)


curve = pytest.mark.parametrize("name", ["risk", "train_loss_eval", "train_loss"])


@curve
def test_the_mean_of_many_runs_is_the_exact_expectation(name, exact, simulated):
    assert np.abs(z_scores(exact[name], simulated[name])).max() < 4  # twelve correlated z-scores, a fixed seed


@curve
@pytest.mark.parametrize("wrong", [0.99, 1.01])
def test_an_expectation_that_is_one_percent_wrong_is_seen(name, wrong, exact, simulated):
    assert np.abs(z_scores(wrong * exact[name], simulated[name])).max() > 5


def test_the_ideal_world_is_the_mean_of_runs_on_fresh_examples_and_one_percent_off_is_seen():
    rng, lam = np.random.default_rng(1), DATA.lam
    delta = np.broadcast_to(-DATA.w_star, (RUNS, SMALL.dimension))
    risk = np.empty((RUNS, SMALL.epochs))
    for x, eta in enumerate(RATES):
        for _ in range(SMALL.steps):
            inputs = rng.standard_normal((RUNS, SMALL.batch_size, SMALL.dimension)) * np.sqrt(lam)
            eps = SMALL.noise * rng.standard_normal((RUNS, SMALL.batch_size))
            residual = (inputs * delta[:, None]).sum(-1) - eps
            delta = delta - eta * (inputs * residual[..., None]).mean(1)
        risk[:, x] = DATA.risk(delta)

    assert np.abs(z_scores(ideal(DATA, SMALL, RATES), risk)).max() < 4
    assert np.abs(z_scores(1.01 * ideal(DATA, SMALL, RATES), risk)).max() > 5


def test_with_small_steps_it_is_gradient_flow():
    recipe = LinearRegression(batch_size=60)  # one step an epoch
    data, rates = teacher(recipe, 0), np.full(300, 0.04)
    sgd = moments(data, recipe, rates[None], data.eps[None])["risk"][0]
    limit = data.risk(flow(_init(data)[0], rates))

    # steps of 0.04 with batches as large as the sample: what is left is the noise of drawing with replacement
    assert sgd == pytest.approx(limit, rel=0.02)


def test_a_run_that_overfits_is_relieved_by_a_drop_although_its_rate_was_all_that_changed():
    (run,) = make([LinearRegression(noise=0.7, schedule=Schedule(milestones=(70,)))], [2])
    (overfitting,) = run.of("overfitting")
    (relief,) = run.of("lr_drop_relief")

    assert overfitting.onset < 30
    assert relief.kind == "relief"  # and no new best
    assert run.expected.mean("risk")[90] < run.expected.mean("risk")[69]


def test_the_ideal_world_does_not_overfit():
    (run,) = make([LinearRegression(noise=0.7)], [2])
    twin = run.expected.twins["fresh_samples"][0]

    assert run.of("overfitting")
    assert (np.diff(twin) <= 0).all()


def test_with_clean_labels_the_twin_with_clean_labels_is_the_run():
    expected = make([LinearRegression(noise=0.0, epochs=20, schedule=Schedule(milestones=(10,)))], [0])[0].expected

    assert np.array_equal(expected.twins["label_noise"], expected.curves["risk"])


def test_a_drop_by_a_factor_of_one_changes_nothing_to_the_bit():
    rates = np.stack([RATES, np.where(np.arange(12) < 5, RATES, 1.0 * RATES)])
    risk = moments(DATA, SMALL, rates, np.stack([DATA.eps] * 2))["risk"]

    assert np.array_equal(risk[0], risk[1])


def test_the_largest_rate_allowed_is_stable_on_every_sample():
    hard = LinearRegression(dimension=10, train_size=24, decay=0.2, learning_rate=0.01)
    grown = []
    for seed in range(30):
        recipe = hard if seed % 2 else SMALL
        data, fastest = teacher(recipe, seed), np.full((1, 20), recipe.fastest)
        grown.append(moments(data, recipe, fastest, 0 * data.eps[None])["train_loss_eval"][0, [0, -1]])
    first, last = np.transpose(grown)

    assert (last < first).all()


@pytest.mark.slow
def test_default_recipes_show_each_of_its_phenomena_and_none_of_them_always():
    runs = make([draw(np.random.default_rng([7, i])) for i in range(48)], range(48))

    for phenomenon in ("overfitting", "lr_drop", "lr_drop_relief", "generalization_gap", "train_above_val"):
        assert {bool(run.of(phenomenon)) for run in runs} == {True, False}, phenomenon
    assert any(run.of("overfitting") and run.of("lr_drop_relief") for run in runs)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("learning_rate", 1.0, "at most 0.1"),
        ("batch_size", 61, r"1\.\.train_size=60"),
        ("batch_size", 0, "1 or more"),
        ("train_size", 1, "2 or more"),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_would_be_allowed(field, value, allowed):
    with pytest.raises(BadRecipe, match=rf"^{field}={value!r}: allowed is {allowed}"):
        LinearRegression(**{field: value})
