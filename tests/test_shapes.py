"""Rises by persistence and the unimodal fit, against slow and obvious second implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from detectors.shapes import Rise, rises, unimodal_bottom

distinct = st.lists(st.integers(-50, 50), min_size=1, max_size=14, unique=True).map(lambda v: np.array(v, float))


def rises_by_definition(curve: np.ndarray) -> list[Rise]:
    """The definition, word for word: for each local maximum, the lowest point on each side before it is exceeded."""
    out = []
    for b in range(1, len(curve)):
        falls_after = b == len(curve) - 1 or curve[b + 1] < curve[b]
        if not (curve[b] > curve[b - 1] and falls_after):
            continue
        start = max((i + 1 for i in range(b) if curve[i] > curve[b]), default=0)
        left = min(range(start, b), key=lambda i: curve[i])
        exceeded = [i for i in range(b + 1, len(curve)) if curve[i] > curve[b]]
        if exceeded and min(curve[b : exceeded[0]]) > curve[left]:
            continue
        out.append(Rise(left, b, float(curve[b] - curve[left])))
    return sorted(out, key=lambda r: r.a)


@given(distinct)
def test_rises_are_those_of_the_definition(curve):
    assert rises(curve) == rises_by_definition(curve)


@given(distinct, st.integers(-8, 8))
def test_rises_scale_with_the_curve(curve, power):
    scaled = rises(curve * 2.0**power)

    assert scaled == [Rise(r.a, r.b, r.prominence * 2.0**power) for r in rises(curve)]


@given(distinct, st.integers(0, 2**32 - 1))
def test_noise_of_size_e_moves_the_largest_prominence_by_at_most_2e(curve, seed):
    noise = np.random.default_rng(seed).uniform(-1, 1, len(curve))

    before, after = (max((r.prominence for r in rises(c)), default=0.0) for c in (curve, curve + noise))

    assert abs(before - after) <= 2.0 + 1e-9  # rounding


def test_a_rise_goes_on_through_a_dip_that_it_exceeds():
    assert rises(np.array([3.0, 1, 4, 2, 5])) == [Rise(1, 4, 4.0)]


def test_a_new_lower_bottom_makes_two_rises():
    assert rises(np.array([3.0, 1, 4, 0, 2])) == [Rise(1, 2, 3.0), Rise(3, 4, 2.0)]


def test_a_rise_that_stays_below_the_first_top_is_one_of_its_own():
    assert rises(np.array([3.0, 1, 5, 2, 4])) == [Rise(1, 2, 4.0), Rise(3, 4, 2.0)]


@pytest.mark.parametrize("curve", [[1.0], [2.0, 1.0], [1.0, 1.0, 1.0], [3.0, 2.0, 2.0, 1.0]])
def test_a_curve_that_never_increases_has_no_rise(curve):
    assert rises(np.array(curve)) == []


def unimodal_fit(values: np.ndarray, split: int) -> np.ndarray:
    """The least-squares fit that falls over the first `split` values and rises over the rest."""
    left, right = values[:split], values[split:]
    parts = [isotonic_regression(left, increasing=False).x] if len(left) else []
    parts += [isotonic_regression(right).x] if len(right) else []
    return np.concatenate(parts)


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=12).map(lambda v: np.array(v, float)))
def test_the_bottom_is_the_lowest_value_of_a_best_unimodal_fit(values):
    at = unimodal_bottom(values)

    fits = [unimodal_fit(values, k) for k in range(len(values) + 1)]
    errors = [((values - f) ** 2).sum() for f in fits]
    best = [f for f, e in zip(fits, errors, strict=True) if e <= min(errors) + 1e-9]
    assert any(f[at] <= f.min() + 1e-9 for f in best)


@given(st.integers(2, 17))
def test_the_bottom_of_a_clean_v_is_its_corner(corner):
    values = np.abs(np.arange(20) - corner).astype(float)

    assert unimodal_bottom(values) == corner


def test_a_flat_bottom_is_met_in_its_middle():
    assert unimodal_bottom(np.array([5.0, 3, 1, 1, 1, 1, 1, 3, 5])) == 4
