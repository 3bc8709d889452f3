"""Recipe files: what they say is what is drawn, and a mistake is named with its file, key, value and the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.catalogue import model
from sim.dataset import plan
from sim.dataset.shard import make
from sim.model import Tier
from sim.recipe_file import EXAMPLES, BadRecipeFile, load, sampler

SLOW = {"four_boxes": [pytest.mark.slow]}  # a whole block of recipes is tried at a time
ALL = [pytest.param(p.stem, marks=SLOW.get(p.stem, [])) for p in sorted(EXAMPLES.glob("*.toml"))]


def saved(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


def drawn(path: Path, runs: int = 200) -> list:
    name, content = load(path)
    return list(sampler(model(name), content)([np.random.default_rng([1, i]) for i in range(runs)], range(runs))[0])


COMPOSED = 'model = "composed"\nrest = "defaults"\n[recipe]\n'


def test_a_value_is_fixed_and_what_is_not_named_is_the_default(tmp_path):
    recipes = drawn(saved(tmp_path, COMPOSED + "epochs = 90\nnoise = 0\n"), 20)

    assert recipes == [model("composed").recipe(epochs=90, noise=0.0)] * 20


def test_what_is_not_named_is_drawn_by_the_model_unless_told_otherwise(tmp_path):
    own = [model("composed").draw(np.random.default_rng([1, i])) for i in range(20)]

    recipes = drawn(saved(tmp_path, 'model = "composed"\n'), 20)
    assert recipes == own
    assert {r.noise for r in drawn(saved(tmp_path, 'model = "composed"\n[recipe]\nnoise = 0.02\n'), 20)} == {0.02}


DISTRIBUTIONS = [
    ("noise = { uniform = [0.01, 0.03] }", "noise", 0.01, 0.03, 0.02),
    ("noise = { log_uniform = [0.001, 0.1] }", "noise", 0.001, 0.1, 0.01),
    ("overfit_at = { integers = [30, 50] }", "overfit_at", 30, 50, 40),
    ("factor = { choice = [0.1, 0.2, 0.5] }", "factor", 0.1, 0.5, 0.2),
]


@pytest.mark.parametrize(("line", "name", "low", "high", "middle"), DISTRIBUTIONS)
def test_a_distribution_has_its_range_and_its_median(line, name, low, high, middle, tmp_path):
    values = np.array([getattr(recipe, name) for recipe in drawn(saved(tmp_path, COMPOSED + line), 2000)])

    assert low <= values.min() < low * 1.2
    assert high / 1.2 < values.max() <= high
    assert np.median(values) == pytest.approx(middle, rel=0.15)  # of 2,000 values: four standard errors


def test_both_ends_of_integers_are_drawn(tmp_path):
    recipes = drawn(saved(tmp_path, COMPOSED + "overfit_at = { integers = [3, 5] }"))

    assert {(r.overfit_at, type(r.overfit_at)) for r in recipes} == {(3, int), (4, int), (5, int)}


def test_a_schedule_is_a_table_of_its_own(tmp_path):
    text = 'model = "network"\nrest = "defaults"\n[recipe]\nepochs = 50\n[recipe.schedule]\n'
    recipes = drawn(saved(tmp_path, text + "milestones = { choice = [[10, 20], [30]] }\nfactor = 0.1"), 40)

    assert {r.schedule.milestones for r in recipes} == {(10, 20), (30,)}
    assert {r.schedule.factor for r in recipes} == {0.1}


def test_a_draw_that_the_model_refuses_is_drawn_again(tmp_path):
    recipes = drawn(saved(tmp_path, 'model = "composed"\n[recipe]\nepochs = 100\n'))  # drops are drawn up to 180

    assert {r.epochs for r in recipes} == {100}
    assert any(r.drop_1 for r in recipes)


def test_what_is_wanted_is_in_every_run_and_how_many_were_tried_is_counted(tmp_path):
    name, content = load(saved(tmp_path, 'model = "composed"\n[want]\noverfitting = { size = [0.2, 0.4] }\n'))
    counts = make(plan(name, runs=20, recipes=content), 0).tally

    assert counts["phenomena"]["overfitting"]["runs"] == 20
    assert counts["tried"] >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_an_example_that_comes_with_us_can_be_made(name):
    chosen, content = load(name)

    assert content
    if model(chosen).tier is not Tier.TRAINED:
        assert make(plan(chosen, runs=3, recipes=content), 0).runs == 3


@pytest.mark.slow
def test_an_example_shows_what_it_is_called():
    name, content = load("nothing_to_find")
    rises = make(plan(name, runs=60, recipes=content), 0).tally["phenomena"]
    assert rises.get("overfitting", {"material": 0})["material"] == 0

    name, content = load("clear_overfitting")
    assert make(plan(name, runs=20, recipes=content), 0).tally["phenomena"]["overfitting"]["runs"] == 20

    name, content = load("overconfident")
    assert make(plan(name, runs=60, recipes=content), 0).tally["phenomena"]["loss_accuracy_divergence"]["runs"] > 40


WRONG = [
    ("", "model is missing"),
    ("model = 3", "model is missing"),
    ("model = ", "this is no TOML"),
    ('model = "transformer"', "model = 'transformer': no model 'transformer': there are composed"),
    ('model = "composed"\nruns = 3', "runs = 3: allowed are model, rest, recipe, want"),
    ('model = "composed"\nrest = "all"', "rest = 'all': allowed are 'drawn' and 'defaults'"),
    ('model = "composed"\nrecipe = 3', r"recipe = 3: allowed is a table, \[recipe\]"),
    (COMPOSED + "nose = 0.1", "recipe.nose = 0.1: there is no such setting; allowed are epochs, "),
    (COMPOSED + 'noise = "high"', "recipe.noise = 'high': allowed is a number"),
    (COMPOSED + "noise = true", "recipe.noise = True: allowed is a number"),
    (COMPOSED + "epochs = 1.5", "recipe.epochs = 1.5: allowed is a whole number"),
    (COMPOSED + "noise = [1, 2]", r"recipe.noise = \[1, 2\]: allowed is a number"),
    (
        COMPOSED + "noise = { normal = [0, 1] }",
        "allowed are one value, or one of uniform, log_uniform, integers, choice",
    ),
    (COMPOSED + "noise = { uniform = [0, 1], choice = [1] }", "allowed are one value, or one of uniform"),
    (COMPOSED + "noise = { uniform = 3 }", "recipe.noise.uniform = 3: allowed is a list"),
    (COMPOSED + "noise = { uniform = [1] }", r"recipe.noise.uniform = \[1\]: allowed are two numbers"),
    (COMPOSED + "noise = { uniform = [2, 1] }", r"recipe.noise.uniform = \[2, 1\]: allowed is low <= high"),
    (COMPOSED + "noise = { uniform = [0, inf] }", "allowed are two numbers"),
    (COMPOSED + "noise = { log_uniform = [0, 1] }", "allowed is 0 < low"),
    (COMPOSED + "noise = { choice = [] }", r"recipe.noise.choice = \[\]: allowed is a list"),
    (COMPOSED + 'noise = { choice = [0.1, "x"] }', "recipe.noise = 'x': allowed is a number"),
    (COMPOSED + "epochs = { uniform = [3, 9] }", "it is a whole number; allowed are integers and choice"),
    (COMPOSED + "noise = 2020-01-01", r"recipe.noise = datetime.date\(2020, 1, 1\): allowed is a number"),
    (COMPOSED + "noise = nan", "no recipe of 200 draws is one that composed takes; the last one: noise=nan"),
    (COMPOSED + "noise = -1", "the last one: noise=-1.0: allowed is 0 or more"),
    ('model = "network"\n[recipe]\nseed = 3', "recipe.seed = 3: there is no such setting"),
    ('model = "network"\n[recipe]\nschedule = 3', r"recipe.schedule = 3: allowed is a table, \[recipe.schedule\]"),
    ('model = "network"\n[recipe.schedule]\nkind = "steps"', "recipe.schedule.kind = 'steps': allowed is 'constant'"),
    ('model = "network"\n[recipe.schedule]\nmilestones = 3', "recipe.schedule.milestones = 3: allowed is "),
    ('model = "composed"\n[want]\nfun = {}', r"want.no phenomenon 'fun': allowed are overfitting"),
    ('model = "composed"\n[want]\nspike = { size = 3 }', "want.spike: size=3: allowed are two numbers"),
    ('model = "composed"\nwant = 3', "want = 3: allowed is a table"),
    ('model = "composed"\n[want]\nspike = {}\n[recipe]\n', "want and recipe: allowed is one of them"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_a_mistake_is_named_in_one_line(text, reason, tmp_path):
    path = saved(tmp_path, text)

    with pytest.raises(BadRecipeFile, match=reason) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named_beside_the_examples(tmp_path):
    with pytest.raises(BadRecipeFile, match=r"No such file.*The examples that come with us are clear_overfitting, "):
        load(tmp_path / "missing.toml")
    with pytest.raises(BadRecipeFile, match="Is a directory"):
        load(tmp_path)
