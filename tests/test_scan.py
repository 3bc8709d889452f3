"""The scan test is silent on what lies at zero but for one value, and finds what stays above."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit
from scipy.stats import binomtest

from detectors.scan import ALL, SHORTEST, START, means_but_largest, scan, scan_statistic, sizes, table


def noise(seed: int, runs: int, n: int, rho: float, growth: float = 0.0, heavy: bool = False) -> np.ndarray:
    e = np.random.default_rng(seed).standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    y = lfilter([1.0], [1.0, -rho], e, axis=-1)
    return (stdtrit(4, ndtr(y)) / np.sqrt(2) if heavy else y) * np.exp(growth * np.linspace(-0.5, 0.5, n))


@given(st.lists(st.integers(-9, 9), min_size=8, max_size=16), st.sampled_from([3, 4, 6, 8]))
def test_a_mean_without_the_largest_is_that_of_the_sorted_window(values, size):
    windows = [sorted(values[i : i + size])[:-1] for i in range(len(values) - size + 1)]

    assert means_but_largest(np.array(values, float), size) == pytest.approx([np.mean(w) for w in windows], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize(("growth", "heavy"), [(0.0, False), (0.0, True), (1.0, False), (-1.0, True)])
@pytest.mark.parametrize("first", [0.0, 30.0])
def test_the_level_holds_with_and_without_one_high_value(n, rho, growth, heavy, first):
    y = noise(n, 1000, n, rho, growth, heavy)
    y[:, 0] += first

    statistics = scan_statistic(y)
    critical = [[table().critical(n, case, 0.025)] for case in (START, ALL)]
    alarms = int((statistics > critical).any(axis=0).sum())

    # 1,000 series: 5 % is told from 8.2 % nine times in ten
    assert binomtest(alarms, 1000, 0.05, alternative="greater").pvalue > 1e-4


@pytest.mark.parametrize(("length", "height"), [(5, 5.0), (8, 4.0), (40, 2.0)])
def test_a_stretch_is_found_where_it_is(length, height):
    y = noise(1, 100, 200, 0.0) - 1
    y[:, 50 : 50 + length] += 1 + height
    found = [scan(row).p_value(50, 50 + length) <= 0.05 for row in y]

    assert sum(found) >= 95  # a test that finds 0.99 of them fails once in 2,000


def test_it_is_known_by_the_end_of_the_first_window_that_tells():
    y = noise(2, 1, 200, 0.0)[0]
    y[50:150] += 5
    known = scan(y).known(50, 150, 0.05)

    assert 52 <= known <= 65
    assert scan(y).p_value(50, known + 1) <= 0.05 < scan(y).p_value(50, known)


def test_less_is_needed_at_the_start():
    y = noise(3, 200, 200, 0.0) - 0.5
    y[:, :5] += 3.2
    moved = np.roll(y, 50, axis=1)
    start, later = (np.mean([scan(r).p_value(lo, lo + 5) <= 0.05 for r in rows]) for lo, rows in ((0, y), (50, moved)))

    assert start > later + 0.1  # each share is good to 0.035


def test_the_table_has_every_size_of_every_length():
    t = table()

    assert all(t.unit[i].shape == (len(t.rho), len(sizes(n))) for i, n in enumerate(t.lengths))
    assert t.lengths[0] == SHORTEST
