"""Every analytic model by every law that all of them keep: bits, twins, prefixes, what is logged, what is refused."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

import sim.analytic
from sim.analytic.gradient_flow import GradientFlow
from sim.analytic.linear_regression import LinearRegression
from sim.analytic.logistic_regression import LogisticRegression
from sim.analytic.noisy_quadratic import NoisyQuadratic
from sim.catalogue import MODELS
from sim.model import Model, Tier
from sim.recipe import BadRecipe
from sim.schedules import Schedule

CONSTANT = Schedule(kind="constant", milestones=())
TWO_DROPS = Schedule(milestones=(8, 16))

#: For each model recipes that differ from each other, in the default fields and in what is named here.
VARIED = {
    "noisy_quadratic": [
        NoisyQuadratic(epochs=24, schedule=TWO_DROPS, modes=5),
        NoisyQuadratic(epochs=24, schedule=TWO_DROPS, momentum=0.9, nesterov=True, learning_rate=0.02, shift=0.2),
        NoisyQuadratic(epochs=24, schedule=CONSTANT, spectrum=(1.5, 0.1), steps=3),
        NoisyQuadratic(epochs=30, schedule=TWO_DROPS, decay=0.0),
    ],
    "gradient_flow": [
        GradientFlow(epochs=24, schedule=TWO_DROPS),
        GradientFlow(epochs=24, schedule=CONSTANT, dimension=7, slow=0.1),
        GradientFlow(epochs=30, schedule=TWO_DROPS, train_size=20),
    ],
    "linear_regression": [
        LinearRegression(epochs=24, schedule=TWO_DROPS),
        LinearRegression(epochs=24, schedule=CONSTANT, dimension=7, batch_size=8),
        LinearRegression(epochs=30, schedule=TWO_DROPS, train_size=20, learning_rate=0.1),
    ],
    "logistic_regression": [
        LogisticRegression(epochs=24, schedule=TWO_DROPS, train_size=40),
        LogisticRegression(epochs=24, schedule=CONSTANT, train_size=40, dimension=5, slow=0.2, label_noise=0.0),
        LogisticRegression(epochs=30, schedule=TWO_DROPS, train_size=16, batch_size=5),
    ],
}
ANALYTIC = {name: m for name, m in MODELS.items() if m.tier == Tier.ANALYTIC}
model = pytest.mark.parametrize("model", ANALYTIC.values(), ids=list(ANALYTIC))


def same(one, other) -> bool:
    """Whether two labelled runs have the same bits in every series, curve and twin, and the same events."""
    pairs = [(one.run.series, other.run.series), (one.expected.curves, other.expected.curves)]
    pairs += [(one.expected.without_drop, other.expected.without_drop), (one.expected.twins, other.expected.twins)]
    equal = all(a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a) for a, b in pairs)
    return equal and one.events == other.events


def test_every_analytic_model_is_in_this_table():
    assert set(VARIED) == set(ANALYTIC)


@model
def test_a_model_imports_no_other_model(model):
    path = Path(sim.analytic.__file__).with_name(f"{model.name}.py")
    names = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]

    assert set(names) & {f"sim.analytic.{other}" for other in ANALYTIC} == set()


def keeps_its_bits(model: Model) -> bool:
    """Whether its runs have the same bits in another order and, one of them, alone."""
    recipes = VARIED[model.name] * (1 + model.block // len(VARIED[model.name]))
    order = np.random.default_rng(0).permutation(len(recipes))
    straight = model.make(recipes, range(len(recipes)))
    shuffled = model.make([recipes[i] for i in order], [int(i) for i in order])
    (alone,) = model.make(recipes[1:2], [1])
    return same(straight[1], alone) and all(same(straight[i], shuffled[k]) for k, i in enumerate(order))


@pytest.mark.slow
@model
def test_a_run_has_the_same_bits_in_any_order_and_in_any_company(model):
    assert keeps_its_bits(model)


def test_a_model_whose_runs_feel_their_company_by_one_part_in_ten_million_is_caught():
    honest = ANALYTIC["gradient_flow"]

    def make(recipes, seeds):
        shifted = [replace(r, noise=r.noise * (1 + 1e-7 * i)) for i, r in enumerate(recipes)]
        return honest.make(shifted, seeds)

    assert not keeps_its_bits(replace(honest, make=make))


@model
def test_another_seed_is_another_run(model):
    one, other = model.make([VARIED[model.name][0]] * 2, [1, 2])

    assert not np.array_equal(one.run["val_loss"], other.run["val_loss"])


@model
@pytest.mark.parametrize("epochs", [13, 24, 57])
def test_a_longer_run_begins_with_the_shorter_one(model, epochs):
    recipe = replace(VARIED[model.name][0], schedule=CONSTANT)
    short, long = (model.make([replace(recipe, epochs=n)], [3])[0] for n in (epochs, 60))

    assert all(np.array_equal(short.run[key], long.run[key][:epochs]) for key in model.series)
    for name, curve in short.expected.curves.items():
        assert np.array_equal(curve, long.expected.curves[name][:, :epochs]), name
    for name, curve in short.expected.twins.items():
        assert np.array_equal(curve, long.expected.twins[name][:, :epochs]), name


@model
def test_a_run_logs_the_series_of_its_model_with_a_number_at_each_epoch(model):
    for labelled in model.make(VARIED[model.name], range(len(VARIED[model.name]))):
        assert set(labelled.run.series) == set(model.series)
        assert all(np.isfinite(labelled.run[key]).all() for key in model.series)
        assert labelled.run.epochs.tolist() == list(range(1, labelled.recipe.epochs + 1))


@model
def test_a_twin_without_a_drop_is_its_run_until_that_drop_and_another_after_it(model):
    expected = model.make(VARIED[model.name][:1], [0])[0].expected
    risk = expected.curves["risk"]

    assert set(expected.without_drop) == {8, 16}
    for at, twin in expected.without_drop.items():
        assert np.array_equal(twin[:, :at], risk[:, :at])
        assert not np.array_equal(twin[:, at], risk[:, at])


@model
def test_a_cosine_has_no_drop_and_so_no_twin_without_one(model):
    recipe = replace(VARIED[model.name][0], schedule=Schedule(kind="cosine", milestones=()))
    (labelled,) = model.make([recipe], [0])

    assert labelled.expected.without_drop == {}
    assert labelled.of("lr_drop", grey=True) == ()


@model
def test_drawn_recipes_depend_on_the_generator_alone_and_can_be_written_as_json(model):
    for i in range(40):
        recipe, again = (model.draw(np.random.default_rng([5, i])) for _ in range(2))

        assert recipe == again
        assert isinstance(json.dumps(asdict(recipe)), str)


@model
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None, True, 10**7])
def test_no_field_takes_what_is_no_finite_number_or_is_too_large_for_single_precision(model, value):
    for f in fields(model.recipe):
        if f.type in ("int", "float"):
            with pytest.raises(BadRecipe, match=rf"^{f.name}={value!r}: allowed is a (whole|finite) number, at most"):
                model.recipe(**{f.name: value})


@model
@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_that_is_none_is_refused(model, seed):
    with pytest.raises(ValueError, match=rf"seed={seed!r}: allowed is a whole number"):
        model.make([VARIED[model.name][0]], [seed])


@model
def test_a_milestone_after_the_end_is_refused_with_the_length_of_the_run(model):
    with pytest.raises(BadRecipe, match=r"schedule\.milestones=\(50,\).* the run has 24 epochs"):
        replace(VARIED[model.name][0], schedule=Schedule(milestones=(50,)))
