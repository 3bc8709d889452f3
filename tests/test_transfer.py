"""Real logs beside simulated runs: the matching by marginals, ranks with ties, whole repositories resampled, counts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from detectors import Event, Finding, Run, absent, found
from sim.composed import Composed, compose_one, draw

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
matched = importlib.import_module("matched")
rank = importlib.import_module("transfer_rank")
cases = importlib.import_module("transfer_cases")

# matching


def test_each_real_run_gets_the_nearest_ones_and_none_stands_twice():
    real = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
    pool = np.array([[3.1, 3.0, 3.0], [0.1, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 0.2, 0.0], [3.0, 3.0, 2.8]])

    chosen = matched.nearest(real, pool, 2)

    assert [set(row) for row in chosen.tolist()] == [{1, 3}, {0, 4}]


def test_two_real_runs_share_a_neighbour_so_that_the_total_distance_is_least():
    real = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    pool = np.array([[0.9, 0.0, 0.0], [2.0, 0.0, 0.0]])  # the first is nearest to both

    assert matched.nearest(real, pool, 1).ravel().tolist() == [0, 1]


def test_what_cannot_be_measured_stands_for_nobody():
    real, pool = np.zeros((1, 3)), np.array([[0.0, 0.0, np.nan], [5.0, 5.0, 5.0]])

    assert matched.nearest(real, pool, 1).tolist() == [[1]]
    with pytest.raises(ValueError, match="the pool has 1 runs: 2 for each of 1"):
        matched.nearest(real, pool, 2)


def test_marginals_do_not_depend_on_the_unit_of_the_loss():
    run = compose_one(Composed(overfit=0.4, overfit_at=80, noise=0.02), seed=1).run
    scaled = run.with_series(val_loss=4 * run["val_loss"], train_loss=4 * run["train_loss"])

    for phenomenon in matched.STRENGTHS:
        assert matched.marginals(scaled, phenomenon) == pytest.approx(matched.marginals(run, phenomenon), abs=1e-5)


def test_a_higher_rise_is_stronger_and_more_noise_makes_it_weaker():
    def strength(**changes):
        return matched.marginals(compose_one(Composed(overfit_at=80, **changes), seed=1).run, "overfitting")[2]

    assert strength(overfit=0.4, noise=0.01) > strength(overfit=0.2, noise=0.01) > strength(overfit=0.2, noise=0.04)


@given(st.integers(0, 400), st.sampled_from([54, 76, 101, 164, 300]))
def test_a_stretched_recipe_has_its_drops_at_the_same_shares_of_the_run(seed, epochs):
    recipe = draw(np.random.default_rng(seed))

    other = matched.stretched(recipe, epochs)

    assert other.epochs == epochs
    assert (
        np.abs(np.array(other.milestones) / epochs - np.array(recipe.milestones) / recipe.epochs).max(initial=0.0)
        <= 2 / epochs
    )  # rounded to whole epochs, and one later where two fell together
    assert other.overfit == recipe.overfit


# ranks


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=20))
def test_spearman_is_that_of_scipy_with_ties_too(pairs):
    a, b = np.array(pairs, float).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(rank.spearman(a, b))
        return

    assert rank.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_detectors_without_a_score_are_not_ranked():
    a, b = np.array([1.0, 2.0, np.nan, 3.0]), np.array([1.0, 2.0, 0.0, 3.0])

    assert rank.spearman(a, b) == pytest.approx(1.0)


def test_that_one_phenomenon_is_easier_is_no_agreement():
    easy = (np.array([0.9, 0.8, 0.7]), np.array([0.7, 0.8, 0.9]))
    hard = (np.array([0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3]))

    assert rank.spearman(np.concatenate([easy[0], hard[0]]), np.concatenate([easy[1], hard[1]])) > 0.5
    assert rank.stratified([easy, hard]) == pytest.approx(-1.0)


# resampling


def test_runs_of_one_repository_are_drawn_together():
    groups = ["a", "a", "b", "c", "b"]

    weights = rank.group_weights(groups, 500, np.random.default_rng(0))

    assert weights.shape == (500, 5)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 2] + weights[:, 3] == 3).all()  # as many repositories as there are


def test_a_repository_is_drawn_for_all_phenomena_or_for_none():
    one, other = (
        rank.group_weights(groups, 50, np.random.default_rng(0), ["a", "b", "c"]) for groups in (["b", "a"], ["c", "b"])
    )

    assert (one[:, 0] == other[:, 1]).all()
    assert (one[:, 0] + one[:, 1] + other[:, 0] == 3).all()


def test_a_repository_is_left_out_as_often_as_it_should_be():
    weights = rank.group_weights(["a", "b", "c"], 20_000, np.random.default_rng(0))

    assert np.mean(weights[:, 0] == 0) == pytest.approx((2 / 3) ** 3, abs=0.015)  # 4.5 standard errors


def test_an_interval_by_repository_is_wider_than_one_by_run_where_runs_repeat_each_other():
    rng = np.random.default_rng(0)
    groups = [name for name in "abcde" for _ in range(20)]
    hits = np.repeat(rng.random(5) < 0.5, 20)  # all runs of a repository alike

    def width(names):
        weights = rank.group_weights(names, 2000, np.random.default_rng(1))
        low, high, _ = rank.interval((weights * hits).sum(1) / weights.sum(1))
        return high - low

    assert width(groups) > 2 * width([str(i) for i in range(100)])


def test_draws_without_a_correlation_are_told():
    low, high, without = rank.interval(np.array([np.nan, 0.1, 0.2, 0.3]))

    assert 0.1 <= low <= high <= 0.3
    assert without == 0.25
    assert np.isnan(rank.interval(np.array([np.nan]))[0])


# counting


class Says:
    """Finds overfitting at fixed epochs."""

    phenomenon = "overfitting"

    def __init__(self, *onsets):
        self.onsets = onsets

    def detect(self, run):
        said = [
            Finding(phenomenon="overfitting", onset=o, onset_interval=(o, o), level=0.5, known_at=o)
            for o in self.onsets
        ]
        return found("overfitting", said) if said else absent("overfitting")


class Fails(Says):
    def detect(self, run):
        raise RuntimeError("no")


RUN = Run(epochs=np.arange(1.0, 101), series={"val_loss": np.linspace(2, 1, 100)})
EVENT = Event(phenomenon="overfitting", onset=50.0)
GREY = Event(phenomenon="overfitting", onset=20.0, material=False)


@pytest.mark.parametrize(
    ("onsets", "counts"),
    [
        ((), (1, 0, 0, 1, 0, 0, 0)),
        ((52.0,), (1, 1, 1, 1, 1, 0, 0)),
        ((60.0,), (1, 1, 0, 1, 1, 0, 0)),  # in the run, but not where it is
        ((50.0, 51.0, 21.0), (1, 2, 1, 1, 1, 0, 0)),  # the second is one too many, the third is excused
    ],
)
def test_a_run_with_an_event_is_counted_by_place_and_as_a_whole(onsets, counts):
    (row,), errors = cases.tally(Says(*onsets), [cases.Case(RUN, "a", (EVENT,), (GREY,))], "overfitting")

    assert tuple(row.tolist()) == counts
    assert errors == 0


def test_a_run_without_one_counts_alarms_and_a_grey_one_counts_neither_way():
    both = [cases.Case(RUN, "a", ()), cases.Case(RUN, "a", (), (GREY,))]

    (none, grey), _ = cases.tally(Says(20.0), both, "overfitting")

    assert none.tolist() == [0, 1, 0, 0, 0, 1, 1]
    assert grey.tolist() == [0, 0, 0, 0, 0, 0, 0]


def test_a_detector_that_raises_has_said_nothing_and_it_is_told():
    (row,), errors = cases.tally(Fails(), [cases.Case(RUN, "a", (EVENT,))], "overfitting")

    assert row.tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert errors == 1


def test_labels_become_events_where_the_eye_put_them(real_logs):
    by_name = {c.run.name: c for c in cases.of_logs(real_logs, "overfitting")}
    vgg = next(c for name, c in by_name.items() if name.endswith("cifar10_vgg19_bn_1"))

    assert [e.onset for e in vgg.events] == [86.0, 123.0]
    assert len(by_name) == 48  # 26 yes, 22 no; not scored: the unclear, those without a validation loss, the fitted
