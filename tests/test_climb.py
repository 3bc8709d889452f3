"""The climb test keeps its level in its domain, sees what it should, and brackets the bottom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit
from scipy.stats import binomtest

from detectors import rising
from detectors.climb import SHORTEST, bottom_bounds, climb_statistic, climbs, largest_climb, scales, table


def ar1(rng: np.random.Generator, shape: tuple[int, int], rho: float) -> np.ndarray:
    e = rng.standard_normal(shape)
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


@given(st.lists(st.integers(-9, 9), min_size=12, max_size=16), st.sampled_from([4, 5]))
def test_the_largest_climb_is_that_over_all_pairs_of_windows(values, m):
    y = np.array(values, float)
    means = [y[i : i + m].mean() for i in range(len(y) - m + 1)]

    pairs = max(means[j] - means[i] for i in range(len(means)) for j in range(i + m, len(means)))

    assert largest_climb(y, np.ones(len(y)), m) == pytest.approx(pairs, abs=1e-9)


@given(st.lists(st.integers(-9, 9), min_size=12, max_size=16), st.sampled_from([4, 5]), st.integers(-2, 2))
def test_the_largest_climb_in_widths_is_that_over_all_pairs_of_windows(values, m, growth):
    y, width = np.array(values, float), np.exp(growth * np.linspace(-0.5, 0.5, len(values)))
    means, widths = ([v[i : i + m].mean() for i in range(len(v) - m + 1)] for v in (y, width))

    pairs = max(
        (means[j] - means[i]) / ((widths[i] + widths[j]) / 2)
        for i in range(len(means))
        for j in range(i + m, len(means))
    )

    assert largest_climb(y, width, m) == pytest.approx(pairs, abs=1e-4)  # the iteration ends at a gain of 1e-6


KINDS = {
    "normal": (0.0, False),
    "heavy": (0.0, True),
    "growing": (1.0, False),
    "shrinking": (-1.0, False),
    "heavy and growing": (1.0, True),
}
CURVES = {
    "flat": lambda x: 0 * x,
    "decay": lambda x: 180 * np.exp(-x / 8),
    "slow decay": lambda x: 180 * np.exp(-x / 40),
    "power law": lambda x: 30 / np.sqrt(x + 1),
    "cosine": lambda x: 10 * np.cos(np.pi * x / len(x)),
    "steps": lambda x: -3.0 * (x // (len(x) // 4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize(
    ("curve", "kind", "n"),
    [*(("flat", kind, n) for kind in KINDS for n in (60, 200)), *((curve, "normal", 200) for curve in CURVES)],
)
def test_the_level_holds_on_curves_that_never_rise(curve, kind, n, rho):
    growth, heavy = KINDS[kind]
    y = ar1(np.random.default_rng([n, round(10 * rho)]), (1000, n), rho)
    y = (stdtrit(4, ndtr(y)) / np.sqrt(2) if heavy else y) * np.exp(growth * np.linspace(-0.5, 0.5, n))

    alarms = int((climb_statistic(CURVES[curve](np.arange(n)) + y) > table().critical(n, 1, 0.05)).sum())

    # 1,000 curves: 5 % is told from 8.2 % nine times in ten
    assert binomtest(alarms, 1000, 0.05, alternative="greater").pvalue > 1e-4


def test_the_level_is_not_wasted_in_the_worst_case_of_the_promise():
    y = ar1(np.random.default_rng(8), (2000, 200), 0.8)

    assert (climb_statistic(y) > table().critical(200, 1, 0.05)).mean() > 0.02


@pytest.mark.parametrize(("rho", "share"), [(0.0, 0.99), (0.3, 0.99), (0.5, 0.99), (0.8, 0.9)])
def test_a_climb_of_eight_widths_over_half_the_run_is_seen(rho, share):
    x = np.arange(200)
    y = 20 * np.exp(-x / 15) + np.clip((x - 100) / 100, 0, 1) * 8 + ar1(np.random.default_rng(9), (500, 200), rho)

    assert (climb_statistic(y) > table().critical(200, 1, 0.05)).mean() > share


@pytest.mark.slow
def test_the_bounds_hold_the_corner_and_shrink_with_the_noise():
    rng = np.random.default_rng(10)
    corner, lengths, held = 80, {}, {}
    for sigma in (0.1, 0.5):
        curve = np.abs(np.arange(200) - corner) / 20
        intervals = []
        for y in curve + sigma * rng.standard_normal((200, 200)):
            result = climbs(y, 0.05)
            intervals.append(bottom_bounds(y, result.width, result.rho_upper, 1, 0.05))
        lengths[sigma] = np.median([hi - lo for lo, hi in intervals])
        held[sigma] = sum(lo <= corner <= hi for lo, hi in intervals)

    assert min(held.values()) >= 180  # promised 0.9 of 200
    assert lengths[0.1] < lengths[0.5]


@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5), st.sampled_from([12, 60, 200, 1024]), st.sampled_from([1, 2, 4, 9]))
def test_a_smaller_alpha_needs_a_larger_climb(a, b, n, pool):
    lo, hi = sorted((a, b))

    assert table().critical(n, pool, lo) >= table().critical(n, pool, hi)


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


def test_many_drops_cost_by_their_number_and_not_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    strength, asked = rising._strength, []

    def counted(values: np.ndarray, lo: int, d: int, hi: int) -> float:
        asked.append(d)
        return strength(values, lo, d, hi)

    monkeypatch.setattr(rising, "_strength", counted)
    values = np.exp(-np.arange(100) / 30) + 0.02 * np.random.default_rng(0).standard_normal(100)
    drops = list(range(3, 100, 3))  # of a learning rate of which every third value is damaged
    rising.rising(values, drops, 0.05, 0.9)
    assert len(asked) <= 3 * len(drops)
