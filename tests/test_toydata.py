"""Toy data sets: every one keeps the laws of `sim.toydata`, its geometry, and the labels that all of them share."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from sim import labels, toydata
from sim.randomness import Purpose, stream
from sim.recipe import BadRecipe, Recipe
from sim.shape import Numbers, Shape
from sim.toydata import TOYDATA
from sim.trained import program
from sim.twins import family

ANY = Recipe(classes=3, modes=2, dimension=16, separation=2.0, train_size=30, batch_size=10)
HAS_IMAGES = find_spec("sklearn") is not None
DIGITS = (
    {"digits": replace(ANY, data="digits", classes=10, dimension=64, train_size=300, val_size=400)}
    if HAS_IMAGES
    else {}
)
digits_are_there = pytest.mark.skipif(not HAS_IMAGES, reason="DIGITS NOT TESTED: pip install scikit-learn")
RECIPES = {
    "blobs": ANY,
    **DIGITS,
    "modular": replace(ANY, data="modular", classes=7, dimension=14),
    "spirals": replace(ANY, data="spirals"),
    "teacher": replace(ANY, data="teacher"),
    "textures": replace(ANY, data="textures", dimension=64, classes=8),
    "two_moons": replace(ANY, data="two_moons", classes=2),
    "two_speeds": replace(ANY, data="two_speeds"),
}


SIZE = 4096


@lru_cache
def compiled(shape: Shape, purpose: Purpose) -> Any:
    """One program that draws SIZE examples, given numbers and a key."""
    data = TOYDATA[shape.data]
    return jax.jit(lambda numbers, key: data.examples(shape, numbers, data.world(shape, numbers), SIZE, key, purpose))


def drawn(recipe: Recipe, purpose: Purpose = Purpose.POPULATION, key: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Examples of a recipe's data set and their true classes."""
    x, label = compiled(Shape.of(recipe), purpose)(Numbers.of(recipe), jax.random.key(key))
    return np.asarray(x), np.asarray(label)


def nearest(x: np.ndarray, label: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """The class of the nearest example."""
    return label[(((fresh[:, None] - x[None]) ** 2).sum(2)).argmin(1)]


# laws of every data set


def test_every_file_of_a_data_set_is_registered_under_its_name():
    files = {path.stem for folder in toydata.__path__ for path in Path(folder).glob("*.py")} - {"__init__"}

    assert files == set(TOYDATA) == {*RECIPES, "digits"}


@pytest.mark.parametrize("name", RECIPES)
def test_inputs_have_a_coordinate_of_unit_variance_for_each_dimension_and_classes_are_all_there(name):
    x, label = drawn(RECIPES[name], Purpose.FRESH_INPUTS)

    assert x.shape == (1096 if name == "digits" else SIZE, RECIPES[name].dimension)  # images that are not trained on
    assert set(label) == set(range(RECIPES[name].classes))
    assert x.var(0).mean() == pytest.approx(1, rel=0.3)  # the centres of blobs are a small sample


@pytest.mark.parametrize("name", RECIPES)
def test_the_key_decides_the_examples_and_the_seed_the_world(name):
    recipe = RECIPES[name]
    here, again, other, elsewhere = (
        drawn(r, key=k) for r, k in ((recipe, 0), (recipe, 0), (recipe, 1), (replace(recipe, seed=1), 0))
    )

    assert np.array_equal(here[0], again[0])
    assert not np.array_equal(here[0], other[0])
    same_world = np.array_equal(here[0], elsewhere[0]) and np.array_equal(here[1], elsewhere[1])
    assert same_world == (name in ("two_moons", "spirals"))  # which have none


@pytest.mark.parametrize("name", ["blobs", "spirals", "textures", "two_moons"])
def test_classes_can_be_told_apart_from_examples_and_better_the_farther_they_lie_apart(name):
    def accuracy(separation: float) -> float:
        recipe = replace(RECIPES[name], separation=separation)
        (x, label), (fresh, truth) = drawn(recipe), drawn(recipe, key=1)
        told = slice(None) if name in ("blobs", "textures") else slice(2)  # the plane that is not noise alone
        return float((nearest(x[:, told], label, fresh[:200, told]) == truth[:200]).mean())

    near, far = accuracy(0.7), accuracy(6.0)

    assert far > max(near + 0.1, 0.75)


# what only one data set promises


def test_moons_without_noise_are_those_of_two_half_circles():
    recipe = replace(RECIPES["two_moons"], separation=1e4)
    x, label = drawn(recipe)
    spread = np.sqrt([0.75, 0.5 - 4 / np.pi**2 + (2 / np.pi - 0.25) ** 2])
    plane = x[:, :2] * spread + [0.5, 0.25]
    centres = np.where(label[:, None] == 0, [0, 0], [1, 0.5])

    assert np.hypot(*(plane - centres).T) == pytest.approx(np.ones(SIZE), abs=1e-2)
    assert x[:, :2].var(0) == pytest.approx([1, 1], rel=0.05)


def test_the_arms_of_spirals_are_turned_copies_of_each_other():
    recipe = replace(RECIPES["spirals"], separation=1e4)
    x, label = drawn(recipe)
    outer = 1e4 * 3 / np.sqrt(1 + (1e4 * 3) ** 2 / 4)
    radius, angle = np.hypot(x[:, 0], x[:, 1]), np.arctan2(x[:, 1], x[:, 0])
    turned = (radius / outer + label / 3 - angle / (2 * np.pi)) % 1

    assert np.minimum(turned, 1 - turned)[radius > 0.05] == pytest.approx(0, abs=1e-2)


def test_a_teacher_of_other_weights_teaches_something_else():
    (x, one), (same, two) = drawn(RECIPES["teacher"]), drawn(replace(RECIPES["teacher"], seed=1))

    assert np.array_equal(x, same)
    assert 0.1 < (one == two).mean() < 0.7


def test_loud_coordinates_say_little_of_the_class_and_faint_ones_all_of_it():
    x, label = drawn(RECIPES["two_speeds"])
    fresh, truth = drawn(RECIPES["two_speeds"], key=1)

    def accuracy(told: slice) -> float:
        centres = np.array([x[label == c][:, told].mean(0) for c in range(3)])
        return float((nearest(centres, np.arange(3), fresh[:, told]) == truth).mean())

    assert x[:, :8].std() > 4 * x[:, 8:].std()
    assert accuracy(slice(8)) < 0.8
    assert accuracy(slice(8, 16)) > 0.95


def test_neither_brightness_nor_a_pixel_tells_the_class_of_a_texture():
    x, label = drawn(RECIPES["textures"])
    means = np.array([x[label == c].mean(0) for c in range(8)])

    assert np.abs(means.mean(1)).max() < 0.35  # standard deviations of a pixel: shapes differ a little in area
    same_shape = means[:4] - means[4:]  # stripes across and down
    assert np.abs(same_shape).max() < 0.35


def test_modular_addition_holds_out_pairs_that_are_not_trained_on_and_never_repeats_one():
    recipe = RECIPES["modular"]
    x, label = (values[:30] for values in drawn(recipe, Purpose.TRAIN_INPUTS))  # it has as many as are trained on
    held_out, _ = drawn(recipe)
    anything, _ = drawn(recipe, Purpose.FRESH_INPUTS)
    pairs = [{tuple(np.flatnonzero(row)) for row in rows} for rows in (x, held_out, anything)]

    assert len(pairs[0]) == 30
    assert pairs[0].isdisjoint(pairs[1])
    assert len(pairs[1]) == 19
    assert len(pairs[2]) == 49
    assert [(a + b - 7) % 7 for a, b in (np.flatnonzero(row) for row in x)] == label.tolist()


@digits_are_there
def test_digits_are_those_of_scikit_learn_each_for_one_purpose_and_each_population_has_all_of_the_rest():
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    number = {image.tobytes(): i for i, image in enumerate(images)}
    scale = np.sqrt(images.var(0).mean())

    def chosen(purpose: Purpose, key: int = 0) -> list[int]:
        x, label = drawn(RECIPES["digits"], purpose, key)
        which = [number[np.round(image).tobytes()] for image in x.astype(float) * scale]
        assert np.array_equal(label, digits[which])
        return which

    train, val, rest, again = (
        chosen(*p)
        for p in ((Purpose.TRAIN_INPUTS,), (Purpose.VAL_INPUTS,), (Purpose.POPULATION,), (Purpose.POPULATION, 1))
    )
    assert len(number) == 1797
    assert [len(set(part)) for part in (train, val, rest)] == [300, 400, 1096]
    assert len({*train, *val, *rest}) == 1796
    assert rest != again
    assert len(set(rest) & set(again)) >= 1095  # an odd one stays out


@digits_are_there
def test_other_seeds_split_the_digits_otherwise():
    one, two = (drawn(r, Purpose.TRAIN_INPUTS)[0] for r in (RECIPES["digits"], replace(RECIPES["digits"], seed=1)))

    assert len({image.tobytes() for image in one} & {image.tobytes() for image in two}) < 120  # of 300; by chance 50


@digits_are_there
def test_the_population_risk_of_digits_differs_between_sisters_by_their_training_alone():
    recipe = replace(RECIPES["digits"], network="convnet", width=4, depth=1, train_size=797, val_size=500)
    start, _ = program.programs(Shape.of(recipe))
    data, _ = start(Numbers.of(recipe), np.arange(8, dtype=np.uint32))
    x, chances = (np.asarray(part) for part in data["population"])

    assert x.shape == (8, 500, 64)
    assert {tuple(sorted(image.tobytes() for image in sister)) for sister in x} == {
        tuple(sorted(i.tobytes() for i in x[0]))
    }
    assert not np.array_equal(x[0], x[1])
    assert chances.sum(2) == pytest.approx(1, abs=1e-5)


@digits_are_there
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fresh_samples": True}, "fresh_samples=True: allowed is False with data='digits', which has 1797 images"),
        ({"train_size": 1396}, "train_size=1396: allowed is fewer than 1396 with data='digits'"),
        ({"classes": 9}, "classes=9"),
        ({"dimension": 81}, "dimension=81"),
        ({"imbalance": 2.0}, "imbalance=2.0"),
    ],
)
def test_digits_say_what_they_cannot_do(changed, said):
    with pytest.raises(BadRecipe, match=re.escape(said)):
        replace(RECIPES["digits"], **changed)


@digits_are_there
def test_the_largest_training_set_of_digits_leaves_a_population_of_two():
    assert drawn(replace(RECIPES["digits"], train_size=1395))[0].shape == (2, 64)


@digits_are_there
def test_digits_have_no_ideal_world_and_other_data_have_one():
    assert set(family(RECIPES["digits"], ("fresh_samples",))) == {"run"}
    assert set(family(ANY, ("fresh_samples",))) == {"run", "fresh_samples"}


def test_without_scikit_learn_digits_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(toydata.digits, "find_spec", lambda name: None)

    with pytest.raises(BadRecipe, match=r"^data='digits': allowed is .*pip install scikit-learn.*$"):
        Recipe(data="digits", classes=10, dimension=64)


# labels: imbalance and noise


def test_the_first_class_is_as_much_more_frequent_as_the_imbalance_says():
    _, label = drawn(replace(ANY, imbalance=9.0), Purpose.TRAIN_INPUTS)
    share = np.bincount(label) / SIZE

    assert share == pytest.approx(np.array([9, 3, 1]) / 13, abs=0.03)  # four standard errors


def test_validation_may_have_an_imbalance_of_its_own():
    recipe = replace(ANY, imbalance=9.0, val_imbalance=1.0)

    assert np.bincount(drawn(recipe)[1]) / SIZE == pytest.approx([1 / 3] * 3, abs=0.03)
    assert (drawn(recipe, Purpose.TRAIN_INPUTS)[1] == 0).mean() == pytest.approx(9 / 13, abs=0.03)


@pytest.mark.parametrize("kind", ["symmetric", "class_dependent"])
def test_labels_are_wrong_as_often_as_the_noise_says_and_soft_labels_say_so(kind):
    shape = Shape.of(replace(ANY, noise_kind=kind, classes=5))
    label = np.repeat(np.arange(5), 20_000)
    given, soft = jax.jit(lambda y, p, key: (labels.noisy(shape, y, p, key), labels.soft(shape, y, p)))(
        label, 0.2, jax.random.key(0)
    )
    counts = np.asarray(given).reshape(5, 20_000, 5).mean(1)
    shares = {"symmetric": [0.2] * 5, "class_dependent": [0, 0.1, 0.2, 0.3, 0.4]}[kind]

    assert 1 - np.diag(counts) == pytest.approx(shares, abs=0.012)  # four standard errors of the largest
    assert counts == pytest.approx(np.asarray(soft)[::20_000], abs=0.012)
    if kind == "class_dependent":
        assert np.count_nonzero(counts) == 9  # the first class is always right, the others are taken for the next alone


def test_more_noise_flips_the_labels_that_less_noise_flips_and_more():
    shape, label = Shape.of(ANY), np.zeros(1000, int)
    less, more = (np.asarray(labels.noisy(shape, label, p, jax.random.key(0)))[:, 0] for p in (0.1, 0.3))

    assert ((less == 0) <= (more == 0)).all()
    assert (less == 0).sum() < (more == 0).sum()


# shift and augmentation


@lru_cache
def parts(shape: Shape) -> Any:
    """A program of the data, a population, and the minibatches of the epochs 0 and 1, given numbers."""

    def of(numbers: Numbers) -> Any:
        data = program._data(shape, numbers)
        population = program._population(shape, numbers, data["world"], 0)
        return data, population, [program._batches(shape, numbers, data, 0, e)["x"] for e in (0, 1)]

    return jax.jit(of)


def test_a_shifted_validation_is_moved_in_one_direction_and_training_is_not():
    (plain, population, _), (shifted, elsewhere, _) = (
        parts(Shape.of(r))(Numbers.of(r)) for r in (ANY, replace(ANY, val_shift=2.0))
    )
    move = np.asarray(shifted["xv"] - plain["xv"])

    assert np.array_equal(plain["x"], shifted["x"])
    assert np.ptp(move, 0) == pytest.approx(0, abs=1e-5)
    assert np.sqrt((move[0] ** 2).mean()) == pytest.approx(2, rel=0.6)  # 16 coordinates
    assert np.asarray(elsewhere[0] - population[0])[[0, -1]] == pytest.approx(move[[0, 0]], abs=1e-5)


def test_a_translated_image_is_the_image_moved_with_zeros_behind_it():
    recipe = replace(RECIPES["textures"], shift_augmentation=2)
    image = np.arange(1.0, 65.0).reshape(8, 8)
    images = np.tile(image.reshape(1, -1), (400, 1)).astype(np.float32)
    moved = jax.jit(lambda n, x, key: program._translated(Shape.of(recipe), n, x, key))(
        Numbers.of(recipe), images, jax.random.key(0)
    )

    def by_hand(down: int, right: int) -> bytes:
        padded = np.pad(image, 2)
        return padded[2 - down : 10 - down, 2 - right : 10 - right].astype(np.float32).tobytes()

    possible = {by_hand(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    assert {np.asarray(m).tobytes() for m in moved} == possible


def test_every_epoch_trains_on_each_example_once_in_another_order():
    recipe = replace(ANY, augmentation=0.0)
    data, _, (first, second) = parts(Shape.of(recipe))(Numbers.of(recipe))

    assert first.shape == (3, 10, 16)
    assert not np.array_equal(first, second)
    assert sorted(np.asarray(first).reshape(30, 16).tolist()) == sorted(np.asarray(data["x"]).tolist())


def test_augmentation_is_noise_of_the_standard_deviation_that_was_asked_for():
    (noisy, _), (plain, _) = (
        parts(Shape.of(r))(Numbers.of(r))[2] for r in (replace(ANY, augmentation=0.5), replace(ANY, augmentation=0.0))
    )

    assert np.asarray(noisy - plain).std() == pytest.approx(0.5, rel=0.13)  # four standard errors of 480 values


def test_streams_of_different_purposes_differ():
    keys = [np.asarray(jax.random.key_data(stream(1, p))).tobytes() for p in Purpose]

    assert len(set(keys)) == len(Purpose)
