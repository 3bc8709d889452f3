"""The noisy quadratic model: its exact moments against many simulated runs and against what is known in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.analytic import noisy_quadratic
from sim.analytic.noisy_quadratic import MODES, NoisyQuadratic, draw, make, moments, paths
from sim.recipe import BadRecipe
from sim.schedules import Schedule

CONSTANT = Schedule(kind="constant", milestones=())
SHORT = NoisyQuadratic(
    decay=0.2,
    bayes=0.0,
    shift=0.2,
    noise=0.7,
    learning_rate=0.6,
    schedule=Schedule(milestones=(20,), factor=0.5),
    steps=12,
    epochs=40,
)
KINDS = {
    "sgd": SHORT,
    "heavy ball": replace(SHORT, momentum=0.8, learning_rate=0.15),
    "nesterov": replace(SHORT, momentum=0.8, learning_rate=0.15, nesterov=True),
}
RUNS = 2048
WINDOWS = (slice(0, 20), slice(20, 40))  # before and after the drop
kind = pytest.mark.parametrize("kind", KINDS)


def exact(recipe: NoisyQuadratic) -> dict[str, np.ndarray]:
    """Each exact curve of the recipe, shape (epochs,)."""
    rates = recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    return {name: curve[0] for name, curve in moments([recipe], [rates[None]])[0].items()}


@pytest.fixture(scope="module")
def simulated() -> dict[str, np.ndarray]:
    """For each kind of SGD train_loss and val_loss of RUNS runs, each of shape (RUNS, epochs)."""
    return {name: np.stack(paths([r] * RUNS, range(RUNS)), 1)[:2] for name, r in KINDS.items()}


def z_scores(curve: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """How many standard errors the mean of `runs`, over each window of epochs, lies from `curve`."""
    means = [(runs[:, w].mean(1), curve[w].mean()) for w in WINDOWS]
    return np.array([(of.mean() - true) / (of.std(ddof=1) / np.sqrt(len(of))) for of, true in means])


# the expectation


@pytest.mark.slow
@kind
def test_the_mean_of_many_runs_is_the_exact_expectation(kind, simulated):
    curves = exact(KINDS[kind])
    train, val = simulated[kind]

    # four z-scores a kind; the seeds are fixed
    assert np.abs(z_scores(curves["train_loss"], train)).max() < 4
    assert np.abs(z_scores(curves["risk"], val)).max() < 4


@pytest.mark.slow
@kind
@pytest.mark.parametrize("wrong", [0.99, 1.01])
def test_an_expectation_that_is_one_percent_wrong_is_seen_in_every_window(kind, wrong, simulated):
    curves = exact(KINDS[kind])
    train, val = simulated[kind]

    assert np.abs(z_scores(wrong * curves["train_loss"], train)).min() > 4
    assert np.abs(z_scores(wrong * curves["risk"], val)).min() > 4


@kind
def test_powers_of_an_epoch_are_the_recursion_step_by_step(kind):
    r = replace(KINDS[kind], steps=7)
    curves = {name: [] for name in ("risk", "train_loss_eval", "train_loss")}
    m, V = np.zeros((MODES, 2)), np.zeros((MODES, 2, 2))
    m[:, 0] = r.start
    for eta in r.schedule.rates(r.learning_rate, r.epochs):
        logged = 0.0
        for _ in range(r.steps):
            logged += (r.h * (V[:, 0, 0] + m[:, 0] ** 2)).sum() / 2 / r.steps
            for i, h in enumerate(r.h):
                v = np.array([h, r.momentum])  # v after the step as a function of (theta, v), and of n
                step = v + np.array([h, 0]) / r.momentum if r.nesterov else v
                theta = np.array([1, 0]) - eta * (np.array([h, 0]) + r.momentum * v if r.nesterov else step)
                A, b = np.stack([theta, v]), np.array([-eta * (1 + r.momentum if r.nesterov else 1), 1])
                m[i] = A @ m[i]
                V[i] = A @ V[i] @ A.T + np.outer(b, b) * r.noise**2 * h / r.batch_size
        curves["train_loss"].append(logged)
        curves["train_loss_eval"].append((r.h * (V[:, 0, 0] + m[:, 0] ** 2)).sum() / 2)
        curves["risk"].append((r.h * (V[:, 0, 0] + (m[:, 0] - r.shift) ** 2)).sum() / 2)

    for name, curve in exact(r).items():
        assert curve == pytest.approx(curves[name], rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_after_a_drop_the_loss_settles_at_the_floor_of_the_new_rate(momentum):
    r = NoisyQuadratic(
        modes=8, momentum=momentum, learning_rate=0.2 * (1 - momentum), epochs=400, schedule=Schedule(milestones=(200,))
    )
    h, c, eta = r.h[:8], r.noise**2 * r.h[:8], 0.2 * r.learning_rate
    floor = eta * c * (1 + momentum) / (r.batch_size * (1 - momentum) * h * (2 * (1 + momentum) - eta * h))

    assert exact(r)["risk"][-1] == pytest.approx(r.bayes + (h * floor).sum() / 2, rel=1e-9)


def test_the_noise_floor_is_proportional_to_the_rate():
    def floor(rate: float) -> float:
        r = NoisyQuadratic(modes=4, decay=0.0, bayes=0.0, learning_rate=rate, schedule=CONSTANT, steps=1000, epochs=100)
        return float(exact(r)["risk"][-1])

    assert floor(0.002) == pytest.approx(2 * floor(0.001), rel=1e-3)  # in theory 2 (2 - 0.001) / (2 - 0.002)


def test_without_noise_overfitting_begins_where_the_weights_pass_the_minimum_of_validation():
    r = NoisyQuadratic(decay=0.0, noise=0.0, shift=0.1, learning_rate=0.003, schedule=CONSTANT, batch_size=1)
    (event,) = make([r], [0])[0].of("overfitting")

    passes = np.log(r.shift / r.start) / np.log(1 - r.learning_rate * r.curvature) / r.steps  # theta = delta
    assert event.onset == pytest.approx(passes, abs=1)


def test_the_validation_loss_reads_the_risk_along_the_run_s_own_path_and_that_strays_from_the_expectation():
    (run,) = make([NoisyQuadratic(val_size=1_000_000, learning_rate=0.3)], [0])
    own, expected = run.expected.curves["own_risk"][0], run.expected.mean("risk")

    assert run.run["val_loss"] == pytest.approx(own, rel=0.01)
    assert np.abs(own / expected - 1)[:60].max() > 0.05


# drops and twins


def test_a_drop_by_a_factor_of_one_changes_nothing_to_the_bit():
    r = NoisyQuadratic(momentum=0.5)
    rates = np.full(r.epochs, r.learning_rate)
    dropped = rates.copy()
    dropped[60:] *= 1.0
    run, twin = moments([r], [np.stack([dropped, rates])])[0]["risk"]

    assert np.array_equal(run, twin)


def test_a_twin_without_a_drop_is_its_run_until_then_and_back_on_its_floor_after_the_next():
    expected = make([NoisyQuadratic(modes=2, schedule=Schedule(milestones=(60, 100), factor=0.5))], [0])[0].expected
    risk, twin = expected.mean("risk"), expected.without_drop[60][0]

    assert np.array_equal(risk[:60], twin[:60])
    assert twin[99] > 1.005 * risk[99]
    assert twin[-1] == pytest.approx(risk[-1], rel=1e-9)


def test_noise_makes_relief_and_without_it_a_drop_at_the_bottom_is_null():
    r = NoisyQuadratic(modes=8, schedule=Schedule(milestones=(120,)))

    assert make([r], [0])[0].of("lr_drop_relief")
    assert make([replace(r, noise=0.0)], [0])[0].of("lr_drop_relief", grey=True) == ()


# what a run is


def test_another_recipe_and_another_number_of_runs_compile_nothing():
    make([NoisyQuadratic(epochs=161)], [0])
    program = noisy_quadratic._program(256)
    before = program._cache_size()
    make(
        [NoisyQuadratic(modes=3, momentum=0.9, nesterov=True, learning_rate=0.01, steps=3, schedule=CONSTANT)] * 3,
        range(3),
    )

    assert program._cache_size() == before


def test_default_recipes_show_each_of_its_phenomena_and_none_of_them_always():
    runs = make([draw(np.random.default_rng([7, i])) for i in range(64)], range(64))

    for phenomenon in ("overfitting", "lr_drop", "lr_drop_relief", "generalization_gap", "train_above_val"):
        assert {bool(run.of(phenomenon)) for run in runs} == {True, False}, phenomenon
    assert any(len(run.of("lr_drop")) > len(run.of("lr_drop_relief", grey=True)) for run in runs)  # null drops


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("learning_rate", 2.5, "below 2,"),
        ("learning_rate", -0.1, "above 0"),
        ("momentum", 1.0, r"\[0, 1\)"),
        ("modes", 33, r"1\.\.32"),
        ("modes", 1.5, "whole number"),
        ("nesterov", 1, "True or False"),
        ("spectrum", (1.0, -1.0), "above 0"),
        ("noise", float("nan"), "finite"),
        ("epochs", 100, r"schedule.milestones=\(60, 120, 160\)"),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_would_be_allowed(field, value, allowed):
    with pytest.raises(BadRecipe, match=f"{allowed}") as refused:
        NoisyQuadratic(**{field: value})

    assert str(refused.value).startswith((f"{field}={value!r}", "schedule."))


def test_the_edge_of_stability_is_that_of_each_kind_of_momentum():
    # for Nesterov's the edge is lower: 2 (1 + mu) / (1 + 2 mu) instead of 2 (1 + mu)
    NoisyQuadratic(momentum=0.9, learning_rate=3.79)
    with pytest.raises(BadRecipe, match=r"below 1\.35714"):
        NoisyQuadratic(momentum=0.9, learning_rate=1.36, nesterov=True)
