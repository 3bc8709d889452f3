"""The climb test keeps its level in its domain, sees what it should, and brackets the bottom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binomtest

from detectors.climb import SHORTEST, bottom_bounds, climb_statistic, climbs, largest_climb, scales, table
from detectors.climb import _critical as critical


def ar1(rng: np.random.Generator, shape: tuple[int, int], rho: float) -> np.ndarray:
    e = rng.standard_normal(shape)
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


@given(st.lists(st.integers(-9, 9), min_size=12, max_size=16), st.sampled_from([4, 5]))
def test_the_largest_climb_is_that_over_all_pairs_of_windows(values, m):
    y = np.array(values, float)
    means = [y[i : i + m].mean() for i in range(len(y) - m + 1)]

    pairs = max(means[j] - means[i] for i in range(len(means)) for j in range(i + m, len(means)))

    assert largest_climb(y, m) == pytest.approx(pairs, abs=1e-9)


@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("shape", ["flat", "decay", "steps"])
def test_the_level_holds_on_curves_that_never_rise(n, rho, shape):
    x = np.arange(n)
    curve = {"flat": 0 * x, "decay": 20 * np.exp(-x / 8), "steps": -3.0 * (x // (n // 4))}[shape]
    y = curve + ar1(np.random.default_rng([n, round(10 * rho)]), (2000, n), rho)

    alarms = int((climb_statistic(y) > critical(n, 1, 0.05)).sum())

    # 2,000 curves: 5 % is told from 7.2 % nine times in ten
    assert binomtest(alarms, 2000, 0.05, alternative="greater").pvalue > 1e-4


def test_the_level_is_not_wasted_in_the_worst_case_of_the_promise():
    y = ar1(np.random.default_rng(8), (2000, 200), 0.8)

    assert (climb_statistic(y) > critical(200, 1, 0.05)).mean() > 0.02


def test_a_climb_of_eight_widths_over_half_the_run_is_seen_in_white_noise():
    ramp = np.clip((np.arange(200) - 100) / 100, 0, 1) * 8
    y = ramp + ar1(np.random.default_rng(9), (500, 200), 0.0)

    assert (climb_statistic(y) > critical(200, 1, 0.01)).mean() > 0.99


def test_the_bounds_hold_the_corner_and_shrink_with_the_noise():
    rng = np.random.default_rng(10)
    corner, lengths, held = 80, {}, {}
    for sigma in (0.1, 0.5):
        curve = np.abs(np.arange(200) - corner) / 20
        intervals = []
        for y in curve + sigma * rng.standard_normal((200, 200)):
            result = climbs(y, 0.05)
            intervals.append(bottom_bounds(y, result.noise, result.pool, 0.05))
        lengths[sigma] = np.median([hi - lo for lo, hi in intervals])
        held[sigma] = sum(lo <= corner <= hi for lo, hi in intervals)

    assert min(held.values()) >= 180  # promised 0.9 of 200
    assert lengths[0.1] < lengths[0.5]


@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5), st.sampled_from([12, 60, 200, 1024]), st.sampled_from([1, 2, 4, 9]))
def test_a_smaller_alpha_needs_a_larger_climb(a, b, n, pool):
    lo, hi = sorted((a, b))

    assert critical(n, pool, lo) >= critical(n, pool, hi)


def test_p_values_are_uniform_or_larger_in_the_worst_case():
    y = ar1(np.random.default_rng(11), (500, 100), 0.8)
    p = np.array([climbs(row, 0.05).p_value for row in y])

    # one-sided Dvoretzky-Kiefer-Wolfowitz band at 1e-4 for 500 values
    grid = np.linspace(0.01, 0.9, 50)
    assert all((p <= g).mean() <= g + np.sqrt(np.log(1e4) / 1000) for g in grid)


def test_the_table_has_every_scale_of_every_length():
    t = table()

    assert all(t.unit[i].shape == (len(t.rho), len(scales(n))) for i, n in enumerate(t.lengths))
    assert t.lengths[0] == SHORTEST
