"""The margin model: its equations against slow ones, its twins to the bit, its attribution, its four boxes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from sim.composed.recipe import columns_of
from sim.margin import MODEL, SEED_MARGIN, Margin, attribute, draw, draws, observe, runs
from sim.margin.dynamics import NEVER, PARAMETERS, expected_loss, in_double, program, trajectories
from sim.margin.twins import CAUSES, attribution, expected
from sim.pattern import STRONG, pattern
from sim.recipe import BadRecipe

# the setting that the model was introduced with, its numbers by an independent implementation
WORKED = Margin(
    weight_decay=0.0129, gradient=0.0197, fast_rate=0.1397, slow_rate=0.081, memory_rate=0.0594, memory_power=0.0,
    settling=0.632, sgd_noise=7.953, fast=1.488, slow=1.0005, confusion=1.156, recall=0.3127, confidence_rate=0.2938,
    confidence_power=0.126, augmentation=0.53, gate=2.006,
)  # fmt: skip
KNOWN = {  # epoch: loss, at the best temperature, accuracy, loss of the ideal world
    55: (0.3329, 0.3324, 0.8540, 0.3321),
    71: (0.1276, 0.1222, 0.9521, 0.1188),
    120: (0.1713, 0.1693, 0.9319, 0.1167),
    141: (0.1305, 0.1270, 0.9501, 0.0550),
    200: (0.1408, 0.1280, 0.9497, 0.0335),
}


@pytest.fixture(scope="module")
def seed_margin():
    return runs([SEED_MARGIN], [0])[0]


def lane(recipe: Margin, frozen: tuple[float, float, float] = (NEVER, NEVER, NEVER)) -> np.ndarray:
    """The risk of a recipe before the first epoch and after each."""
    c = columns_of([recipe])
    share = recipe.schedule.rates(1.0, recipe.epochs)[None]
    return trajectories(np.stack([c[k] for k in PARAMETERS], 1), share, np.array([frozen]), whole=False)["risk"][0]


def test_the_loss_of_a_normal_margin_is_good_to_a_billionth_at_any_confidence():
    means, widths = np.array([-5.0, 0.0, 0.5, 2.0, 10.0, 25.0]), np.array([0.01, 0.3, 0.99, 1.0, 1.01, 2.0, 5.0, 30.0])

    def slow(mean: float, width: float) -> float:
        def inside(z: float) -> float:
            return np.logaddexp(0, -(mean + width * z)) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        kink = float(np.clip(-mean / width, -11.5, 11.5))
        edges = [-12, kink - 0.5, kink, kink + 0.5, 12]
        return sum(quad(inside, a, b, epsabs=1e-13, epsrel=1e-12, limit=500)[0] for a, b in pairwise(edges))

    exact = np.array([[slow(m, w) for w in widths] for m in means])
    with in_double():
        grid = np.broadcast_arrays(means[:, None], widths)
        loss = np.asarray(jax.jit(expected_loss)(grid[0][None].copy(), grid[1][None].copy())[0])

    assert np.abs(loss - exact).max() < 1e-9


@pytest.mark.slow
def test_the_curves_are_those_of_an_independent_implementation():
    expected = runs([WORKED], [0])[0].expected
    curves = [expected.mean(k) for k in ("risk", "risk_calibrated", "population_accuracy")]
    ideal = expected.twins["fresh_samples"][0]

    for epoch, known in KNOWN.items():
        here = [c[epoch - 1] for c in (*curves, ideal)]
        assert here == pytest.approx(known, abs=2e-4)  # it rounded, and had a step more or less exact quadrature


def test_one_step_of_the_weights_is_the_exact_solution_of_its_equation():
    # dρ⁴/dt = −4 e ω ρ⁴ + 2 e² G, so that ρ⁴ tends to G e / 2ω at rate 4 e ω: no memory of the size of a step
    fast, slow = (Margin(epochs=n, drop_1=0, drop_2=0, drop_3=0, sgd_noise=0.0, recall=0.0) for n in (20, 40))

    assert np.array_equal(lane(fast), lane(slow)[:21])


@pytest.mark.slow
@given(st.integers(0, 500))
@settings(max_examples=10)
def test_a_run_has_the_same_bits_in_every_company(seed):
    recipes = [draw(np.random.default_rng([seed, i])) for i in range(5)]
    lengths = [200, 60, 200, 100, 13]
    recipes = [
        replace(r, epochs=n, drop_1=min(r.drop_1, n // 3), drop_2=0, drop_3=0)
        for r, n in zip(recipes, lengths, strict=True)
    ]
    together = runs(recipes, range(5))

    for i, (recipe, labelled) in enumerate(zip(recipes, together, strict=True)):
        alone = runs([recipe], [i])[0]
        assert all(np.array_equal(alone.run[k], labelled.run[k]) for k in alone.run.series)
        assert all(np.array_equal(c, labelled.expected.curves[k]) for k, c in alone.expected.curves.items())
        assert alone.events == labelled.events


@pytest.mark.slow  # compiles a longer program
def test_a_run_that_is_longer_begins_with_the_same_bits():
    short, long = (lane(replace(SEED_MARGIN, epochs=n, drop_3=0)) for n in (150, 900))

    assert np.array_equal(short, long[:151])


def test_a_second_call_compiles_nothing():
    runs([SEED_MARGIN], [0])
    before = [program(200, whole)._cache_size() for whole in (True, False)]
    runs([draw(np.random.default_rng(0)), replace(WORKED, epochs=150, drop_3=0)], [1, 2])
    observe(WORKED, range(3))

    assert [program(200, whole)._cache_size() for whole in (True, False)] == before


# twins


def test_a_drop_by_the_factor_one_has_no_effect_to_the_last_bit():
    curves = expected(columns_of([replace(SEED_MARGIN, factor=1.0)]), 200)

    assert np.array_equal(curves.without_drop[0], np.repeat(curves.risk, 3, 0))


def test_a_twin_shares_every_bit_up_to_the_drop_and_differs_after_it(seed_margin):
    risk = seed_margin.expected.curves["risk"]

    for at, twin in seed_margin.expected.without_drop.items():
        assert np.array_equal(twin[:, :at], risk[:, :at])
        assert twin[0, at] != risk[0, at]


def test_without_memory_regrowth_and_scale_growth_a_twin_that_freezes_nothing_is_the_run():
    assert np.array_equal(lane(SEED_MARGIN), lane(SEED_MARGIN, (200.0, 200.0, 200.0)))


def test_the_ideal_world_does_not_overfit_without_regrowth():
    still = replace(WORKED, gradient=2 * WORKED.weight_decay)  # the weights are where they stay at the peak rate
    ideal = runs([replace(still, drop_1=0, drop_2=0, drop_3=0)], [0])[0].expected.twins["fresh_samples"][0]

    assert (np.diff(ideal) < 1e-9).all()


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_the_best_temperature_never_costs_anything(seed):
    expected = runs([draw(np.random.default_rng(seed))], [0])[0].expected

    assert (expected.mean("risk_calibrated") <= expected.mean("risk") + 1e-9).all()


# attribution


@given(st.integers(0, 1000), st.integers(5, 100), st.integers(101, 200))
@settings(max_examples=15)
def test_the_causes_of_a_rise_and_the_rest_add_up_to_it(seed, bottom, top):
    recipe = draw(np.random.default_rng(seed))
    parts = attribution(columns_of([recipe]), recipe.epochs, bottom, top)
    risk = lane(recipe)

    assert set(parts) == {"rest", *CAUSES}
    assert sum(parts.values()) == pytest.approx(risk[top] - risk[bottom], abs=1e-9)


def test_a_cause_that_is_switched_off_is_given_nothing():
    still = {"recall": 0.0, "confusion": 0.0}
    parts = attribution(columns_of([replace(WORKED, **still)]), 200, 75, 120)

    assert parts["memorisation"] == pytest.approx(0, abs=1e-12)
    assert abs(parts["regrowth"]) > 1e-3


def test_the_rise_of_the_worked_setting_is_memorisation_with_a_share_of_regrowth():
    (first, *_) = attribute(runs([WORKED], [0])[0])

    assert first["memorisation"] > 0.03
    assert 0.15 < first["regrowth"] / (first["memorisation"] + first["regrowth"]) < 0.3


# what it shows


def test_the_named_setting_shows_all_four_boxes_and_each_is_strong(seed_margin):
    assert pattern(seed_margin).least(STRONG) > 1.5


def test_its_phenomena_lie_where_the_question_has_them(seed_margin):
    loss, accuracy = (seed_margin.expected.mean(name) for name in ("risk", "population_accuracy"))
    above = seed_margin.of("train_above_val")[0]
    first, second = int(loss[:120].argmin()), 120 + int(loss[120:160].argmin())

    assert above.onset == 1
    assert 50 <= above.end <= 70
    assert 60 < first + 1 < 75
    assert loss[119] > 1.1 * loss[first]
    assert accuracy[119] < accuracy[first] - 0.005
    assert 121 < second + 1 < 135
    assert loss[second] < loss[first]
    assert accuracy[second] > accuracy[first]
    assert loss[159] > 1.1 * loss[second]
    assert accuracy[159] > accuracy[second] + 0.003


def test_the_late_rise_is_mostly_overconfidence(seed_margin):
    event = [e for e in seed_margin.of("loss_accuracy_divergence") if e.kind == "accuracy_rising"][-1]

    assert event.effect["calibration_share"] > 0.5


def test_a_sixth_of_its_neighbours_show_all_four_boxes_strongly_too():
    recipes = [draw(np.random.default_rng([3, i])) for i in range(100)]
    strong = [pattern(r).least(STRONG) >= 1 for r in MODEL.make(recipes, range(100))]

    assert 0.08 < np.mean(strong) < 0.28  # 0.175 of the 200 of `experiments/margin.py`, here 100


@pytest.mark.parametrize(
    ("field", "value"),
    [("gate", 0.0), ("weight_decay", -1.0), ("recall", float("nan")), ("drop_1", 130), ("epochs", 1.5), ("rho", 1.0)],
)
def test_an_impossible_recipe_is_refused_by_field_and_value(field, value):
    with pytest.raises(BadRecipe, match=f"{field}|drop_1..drop_3"):
        Margin(**{field: value})


def test_a_recipe_shows_what_differs_from_the_defaults():
    assert repr(Margin(gate=1.0)) == "Margin(gate=1.0)"


def test_many_recipes_at_once_are_those_drawn_one_by_one_and_can_be():
    together = draws([np.random.default_rng([5, i]) for i in range(500)])

    assert together[:50] == [draw(np.random.default_rng([5, i])) for i in range(50)]
    assert [replace(recipe) for recipe in together] == together  # which checks each
    assert draws([]) == []
