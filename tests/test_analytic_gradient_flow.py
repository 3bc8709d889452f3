"""Gradient flow: the closed form against slow ways to the same numbers, and against published stopping times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

from sim.analytic.gradient_flow import GradientFlow, _init, draw, flow, make, stopping_times, training_loss
from sim.analytic.teacher import Teacher, scales, teacher
from sim.recipe import BadRecipe
from sim.schedules import Schedule

CONSTANT = Schedule(kind="constant", milestones=())
SIZES = {"more examples than features": 40, "fewer examples than features": 9}
size = pytest.mark.parametrize("n", SIZES.values(), ids=list(SIZES))


def by_exponential(data: Teacher, tau: float) -> np.ndarray:
    """δ(τ) by the exponential of the matrix of (δ, 1), shape (d,)."""
    d, n = len(data.lam), len(data.X)
    generator = np.zeros((d + 1, d + 1))
    generator[:d, :d], generator[:d, d] = -data.X.T @ data.X / n, data.X.T @ data.eps / n
    return (expm(tau * generator) @ np.append(-data.w_star, 1.0))[:d]


def mean_squared_error(data: Teacher, delta: np.ndarray) -> float:
    """On the training set."""
    return float(((data.X @ delta - data.eps) ** 2).mean())


@size
def test_the_weights_are_those_of_the_matrix_exponential(n):
    data = teacher(GradientFlow(dimension=12, train_size=n), 3)
    rates = np.array([0.1, 0.1, 2.0, 0.5])
    slow = [by_exponential(data, tau) for tau in np.cumsum(rates)]

    assert flow(_init(data)[0], rates) == pytest.approx(np.stack(slow), rel=1e-10, abs=1e-12)


@size
def test_the_training_loss_is_that_of_the_weights_and_what_is_logged_its_mean_over_the_epoch(n):
    data = teacher(GradientFlow(dimension=12, train_size=n), 3)
    rates = np.array([0.3, 0.3, 1.0])
    level, logged = training_loss(_init(data)[0], rates)
    end = np.cumsum(rates)
    slow = [mean_squared_error(data, by_exponential(data, tau)) for tau in end]
    over = [
        quad(lambda tau: mean_squared_error(data, by_exponential(data, tau)), e - r, e, epsabs=1e-12)[0] / r
        for e, r in zip(end, rates, strict=True)
    ]

    assert level == pytest.approx(slow, rel=1e-10)
    assert logged == pytest.approx(over, rel=1e-9)


def mean_risk(recipe: GradientFlow, runs: int) -> np.ndarray:
    """The excess risk, averaged over draws of teacher and noise, shape (epochs,), where Ĥ = diag λ exactly."""
    rates = recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    total = np.zeros(recipe.epochs)
    for seed in range(runs):
        data = teacher(recipe, seed)
        orthogonal = np.linalg.qr(data.X)[0] * np.sqrt(recipe.train_size * data.lam)
        for sign in (1, -1):  # of the noise, so that it is uncorrelated with the teacher exactly
            one = data._replace(X=orthogonal, eps=sign * data.eps)
            total += one.risk(flow(_init(one)[0], rates)) - recipe.noise**2
    return total / (2 * runs)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_overfitting_begins_within_an_epoch_of_the_published_stopping_time(noise):
    recipe = GradientFlow(decay=0.0, signal_decay=0.0, noise=noise, train_size=200, learning_rate=0.1, epochs=100)
    published = stopping_times(recipe)[0] / recipe.learning_rate

    # 300 draws of 32 modes know the ratio of signal to noise to 2 %, and so the time to a fifth of an epoch
    assert np.argmin(mean_risk(recipe, 300)) + 1 == pytest.approx(published, abs=1)


@pytest.mark.slow
def test_two_scales_descend_twice_as_the_published_curve_does():
    recipe = GradientFlow(
        dimension=50, decay=0.0, signal_decay=0.0, slow=0.01, slow_share=15 / 17, signal=17.0, noise=6**0.5,
        train_size=60, learning_rate=0.2, epochs=1200,
    )  # fmt: skip
    lam, contributes = scales(recipe)
    q = np.exp(-lam * recipe.learning_rate * np.arange(1, 1201)[:, None])
    published = (contributes * q**2 + recipe.noise**2 / recipe.train_size * (1 - q) ** 2).sum(1)
    excess = mean_risk(recipe, 200)

    def turns(curve: np.ndarray) -> list[int]:
        """The first minimum, the maximum after it, and the second minimum."""
        top = 3 + int(np.argmax(curve[3:60]))
        return [int(np.argmin(curve[:top])), top, int(np.argmin(curve))]

    assert excess == pytest.approx(published, rel=0.05)  # 5,000 modes a scale: good to 2 %
    assert turns(excess) == pytest.approx(turns(published), abs=1, rel=0.03)
    assert turns(published)[::2] == pytest.approx(stopping_times(recipe)[[0, -1]] / recipe.learning_rate, abs=2)


def test_twice_the_rate_is_the_same_run_in_half_the_epochs():
    slow, fast = (make([GradientFlow(learning_rate=r, noise=1.5)], [0])[0].expected.mean("risk") for r in (0.1, 0.2))

    assert fast[:100] == pytest.approx(slow[1::2], rel=1e-12)
    assert 2 * (np.argmin(fast) + 1) == pytest.approx(np.argmin(slow) + 1, abs=1)


def test_the_ideal_world_never_gets_worse():
    for seed, recipe in enumerate(draw(np.random.default_rng([2, i])) for i in range(50)):
        twin = make([recipe], [seed])[0].expected.twins["fresh_samples"][0]

        assert (np.diff(twin) <= 0).all()


@pytest.mark.parametrize("rate", [1e-300, 1e6])
def test_a_rate_that_does_nothing_and_one_that_does_all_at_once_give_finite_losses(rate):
    (run,) = make([GradientFlow(learning_rate=rate, epochs=5, train_size=20)], [0])

    assert all(np.isfinite(curve).all() for curve in run.expected.curves.values())


def test_with_clean_labels_the_twin_with_clean_labels_is_the_run():
    expected = make([GradientFlow(noise=0.0)], [0])[0].expected

    assert np.array_equal(expected.twins["label_noise"], expected.curves["risk"])


def test_a_drop_by_a_factor_of_one_changes_nothing_to_the_bit():
    modes, _ = _init(teacher(GradientFlow(), 0))
    rates = np.full(50, 0.2)
    dropped = np.where(np.arange(50) < 20, rates, 1.0 * rates)

    assert np.array_equal(flow(modes, rates), flow(modes, dropped))


def test_a_drop_only_slows_what_goes_on():
    recipe = GradientFlow(noise=2.0, learning_rate=0.5, schedule=Schedule(milestones=(60,), factor=0.1))
    expected = make([recipe], [0])[0].expected
    constant = make([replace(recipe, schedule=CONSTANT)], [0])[0].expected

    # ten epochs after the drop are worth one before it
    assert expected.mean("risk")[69] == pytest.approx(constant.mean("risk")[60], rel=1e-12)


def test_default_recipes_show_each_of_its_phenomena_and_none_of_them_always():
    runs = make([draw(np.random.default_rng([7, i])) for i in range(120)], range(120))

    for phenomenon in ("overfitting", "double_descent", "generalization_gap", "lr_drop", "train_above_val"):
        assert {bool(run.of(phenomenon)) for run in runs} == {True, False}, phenomenon
    kinds = {event.kind for run in runs for event in run.of("lr_drop_relief", grey=True)}
    assert "harmful" in kinds


# the validation set that is drawn through its Gram matrix


def test_the_loss_on_a_validation_set_has_the_mean_and_the_spread_of_one_that_is_drawn_example_by_example():
    recipe = GradientFlow(dimension=4, noise=0.7, val_size=50)
    delta = np.array([0.5, -1.0, 0.2, 2.0])
    of = [teacher(recipe, seed) for seed in range(4000)]
    losses = np.array([one.val_loss(delta[None])[0] for one in of])
    risk = of[0].risk(delta)

    # a residual is N(0, risk), so the loss is risk chi2(50) / 50; 4000 draws: the mean to 0.3 %, the spread to 1.2 %
    assert losses.mean() == pytest.approx(risk, rel=0.012)
    assert losses.std() == pytest.approx(risk * np.sqrt(2 / 50), rel=0.05)


def test_a_validation_set_is_the_same_one_at_each_epoch():
    run = make([GradientFlow(val_size=100)], [1])[0]
    luck = run.run["val_loss"] / run.expected.mean("risk")

    assert np.abs(np.diff(luck)[20:]).max() < 0.01  # as smooth as the weights, while its level is off by more
    assert np.abs(luck[-1] - 1) > 0.02


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("dimension", 1, "2 or more"),
        ("slow", 1.5, r"a share in 1e-6\.\.1"),
        ("slow", 0.0, r"a share in 1e-6\.\.1"),
        ("decay", 11.0, r"0\.\.10"),
        ("dimension", 4000, r"2\.\.2048"),
        ("slow_share", -0.1, r"a share in \[0, 1\]"),
        ("val_size", 32, r"dimension \+ 1 = 33 or more"),
        ("learning_rate", 0.0, "above 0"),
        ("noise", -1.0, "0 or more"),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_would_be_allowed(field, value, allowed):
    with pytest.raises(BadRecipe, match=rf"^{field}={value!r}: allowed is {allowed}"):
        GradientFlow(**{field: value})
