"""A curve is held against the line that it was on: silent at null drops, and sure where it falls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit
from scipy.stats import binomtest

from detectors.continuation import continued, least_ratio, p_value
from detectors.noise import despike


def noise(seed: int, runs: int, n: int, rho: float, growth: float = 0.0, heavy: bool = False) -> np.ndarray:
    e = np.random.default_rng(seed).standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    y = lfilter([1.0], [1.0, -rho], e, axis=-1)
    return (stdtrit(4, ndtr(y)) / np.sqrt(2) if heavy else y) * np.exp(growth * np.linspace(-0.5, 0.5, n))


@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize(("growth", "heavy"), [(0.0, False), (1.0, True), (-1.0, False)])
@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(lambda x: 0.0 * x, id="flat"),
        pytest.param(lambda x: -1.5 * x, id="a straight line"),
        pytest.param(lambda x: 30 * np.exp(-x / 30), id="a decay"),
        pytest.param(lambda x: np.minimum(x / 10, 4.0), id="a rise that has ended"),
    ],
)
def test_the_level_holds_at_a_drop_that_changes_nothing(rho, growth, heavy, curve):
    y = despike(curve(np.arange(60.0)) + noise(1, 1000, 60, rho, growth, heavy))
    ratio = continued(y[:, :30], y[:, 30:]).ratio

    alarms = int((ratio > least_ratio(0.05, 30, 30, 60)).sum())

    # 1,000 drops: 5 % is told from 8.2 % nine times in ten
    assert binomtest(alarms, 1000, 0.05, alternative="greater").pvalue > 1e-4


def test_more_of_the_run_makes_it_surer():
    y = noise(2, 300, 60, 0.5)
    y[:, 30:] -= 2.5
    y, more = despike(y), [despike(noise(seed, 300, 60, 0.5)) for seed in (3, 4, 5)]
    alone = (continued(y[:, :30], y[:, 30:]).ratio > least_ratio(0.01, 30, 30, 60)).mean()
    together = (continued(y[:, :30], y[:, 30:], *more).ratio > least_ratio(0.01, 30, 30, 240)).mean()

    assert together > alone + 0.05  # each share is good to 0.03


def test_the_improvement_is_that_below_the_line():
    x = np.arange(60.0)
    y = despike(-0.5 * x - 7.0 * (x >= 30) + noise(6, 200, 60, 0.0))

    assert continued(y[:, :30], y[:, 30:]).improvement.mean() == pytest.approx(7.0, abs=0.15)  # good to 0.05


@pytest.mark.parametrize("case", [(6, 4, 10), (7, 30, 40), (60, 30, 1000), (6, 5, 11)])
def test_the_chance_of_the_critical_ratio_is_alpha(case):
    assert p_value(least_ratio(0.02, *case), *case) == pytest.approx(0.02)
