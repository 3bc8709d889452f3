"""Runs made in columns are the runs made one by one: series, twins, expectations and every event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.segments import drop_positions
from detectors.shapes import rises
from sim.batch import Batch
from sim.catalogue import model
from sim.composed import Composed
from sim.composed.labelling import drops_of, rises_of
from sim.model import Model

FAST = [model("composed"), model("margin")]


def differences(a: Any, b: Any, where: str = "batch") -> list[str]:
    """Where two values of one class differ in a bit."""
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return [f"{where}: {a.shape} {a.dtype}, {b.shape} {b.dtype}"]
        return [] if np.array_equal(a, b, equal_nan=a.dtype.kind == "f") else [where]
    if is_dataclass(a) and not where.startswith("batch.recipes"):
        return [d for f in fields(a) for d in differences(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")]
    if isinstance(a, Mapping):
        missing = [] if list(a) == list(b) else [f"{where}: {list(a)}, {list(b)}"]
        return missing + [d for k in a if k in b for d in differences(a[k], b[k], f"{where}.{k}")]
    return [] if list(a) == list(b) else [where]


def both(tier: Model, recipes: Sequence[Any], seeds: Sequence[int]) -> list[str]:
    assert tier.columns is not None
    return differences(
        tier.columns(recipes, seeds), Batch.of(tier.make(recipes, seeds), tier.series, tier.curves), "batch"
    )


@pytest.mark.slow
@pytest.mark.parametrize("tier", FAST, ids=lambda m: m.name)
def test_drawn_runs_in_columns_are_those_made_one_by_one(tier):
    size = 300 if tier.name == "composed" else 40
    recipes = tier.drawn([np.random.default_rng([8, i]) for i in range(size)])

    assert both(tier, recipes, range(size)) == []


@pytest.mark.release
def test_so_are_thousands():
    tier = FAST[0]
    recipes = tier.drawn([np.random.default_rng([9, i]) for i in range(6000)])

    assert both(tier, recipes, range(6000)) == []


@given(st.integers(4, 300), st.integers(0, 10**6))
@settings(max_examples=15)
def test_at_any_length_and_over_the_whole_recipe_space(epochs, seed):
    tier = FAST[0]
    recipes = tier.drawn([np.random.default_rng([seed, i]) for i in range(6)])
    early = {"epochs": epochs, "drop_2": 0, "drop_3": 0, "warmup": 0}
    recipes = [replace(r, **early, drop_1=min(r.drop_1, epochs // 2)) for r in recipes]

    assert both(tier, recipes, range(6)) == []


def test_recipes_of_different_lengths_in_one_call():
    assert both(FAST[0], [Composed(epochs=n, overfit=0.3, overfit_at=20) for n in (60, 90, 60)], [1, 2, 3]) == []


def test_a_rate_that_is_not_logged_is_missing_in_its_run_alone():
    recipes = [Composed(logged=0, drop_1=50), Composed(drop_1=50)]
    batch = FAST[0].batch(recipes, [0, 1])

    assert batch.series["learning_rate"].lengths.tolist() == [-1, 200]


def test_a_drop_that_is_no_milestone_has_no_twin_and_says_so():
    # a decay to nothing ends with a fall to a millionth, a drop by definition
    assert both(FAST[0], [Composed(wsd=0.2, noise_floor=0.2), Composed(drop_1=60, noise_floor=0.2)], [0, 1]) == []


CURVES = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 30)), elements=st.integers(0, 6).map(float))


@pytest.mark.slow
@given(CURVES)
@settings(max_examples=300)
def test_the_rises_of_many_curves_are_those_of_each(curves):
    row, a, b = rises_of(curves)
    found = [[(int(i), int(j)) for i, j in zip(a[row == k], b[row == k], strict=True)] for k in range(len(curves))]

    assert found == [[(r.a, r.b) for r in rises(curve)] for curve in curves]


RATES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(2, 25)),
    elements=st.sampled_from([1.0, 0.7, 0.65, 0.5, 0.3, 0.2, 0.1, 0.01]),
)


@given(RATES)
@settings(max_examples=300)
def test_the_drops_of_many_schedules_are_those_of_each(rates):
    row, at = drops_of(rates)

    assert [at[row == k].tolist() for k in range(len(rates))] == [drop_positions(r) for r in rates]


def test_columns_need_a_seed_for_each_recipe():
    with pytest.raises(ValueError, match="1 specs and 2 seeds"):
        FAST[0].batch([Composed()], [0, 1])
