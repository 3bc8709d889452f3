"""The noise of a curve is told from second differences, whatever its trend and its unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from detectors.noise import Noise, autocorrelation, despike, moving_average, noise_of, width


def ar1(seed: int, shape: tuple[int, int], rho: float) -> np.ndarray:
    e = np.random.default_rng(seed).standard_normal(shape)
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_the_autocorrelation_is_estimated_within_its_error(rho):
    # 400 series of 400 values: the mean estimate is good to 0.01; clipping at zero lifts it by 0.03 at rho = 0
    estimate, _ = autocorrelation(ar1(1, (400, 400), rho))

    assert abs(estimate.mean() - rho) < 0.05


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_the_width_is_right_where_the_autocorrelation_is_known(rho):
    # a 10 % error would be seen: the mean of 400 estimates is good to 1 %, clipping takes 3 %
    estimate = width(ar1(2, (400, 400), rho), np.full(400, rho))

    assert abs(estimate.mean() - 1) < 0.06


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_the_upper_autocorrelation_is_rarely_too_low(rho):
    _, upper = autocorrelation(ar1(3, (1000, 100), rho))

    assert (upper < rho).mean() < 0.2  # measured 0.00, 0.07 and 0.15; the climb test is calibrated with it as it is


def test_a_straight_trend_is_no_noise():
    y = ar1(4, (1, 200), 0.0)[0]

    assert noise_of(y + 5.0 * np.arange(200)).sigma == pytest.approx(noise_of(y).sigma, rel=0.02)  # outliers may differ


@given(st.integers(-20, 20), st.integers(0, 2**32 - 1))
def test_noise_scales_with_the_curve(power, seed):
    y = 1 + 0.1 * np.random.default_rng(seed).standard_normal(60)

    plain, scaled = noise_of(y), noise_of(y * 2.0**power)

    assert scaled.sigma == pytest.approx(plain.sigma * 2.0**power, rel=1e-9)
    assert scaled.rho == plain.rho


def test_the_error_of_a_mean_of_correlated_values_is_that_of_simulation():
    means = ar1(5, (40_000, 20), 0.6).mean(1)  # the standard deviation is good to 0.4 %

    assert Noise(1.0, 0.6, 0.6).se_of_mean(20) == pytest.approx(means.std(), rel=0.02)


def test_independent_values_are_worth_themselves():
    assert Noise(2.0, 0.0, 0.0).independent(17) == pytest.approx(17)


def test_an_outlier_is_replaced_and_the_rest_is_left_alone():
    y = ar1(6, (1, 100), 0.0)[0]
    spiked = y.copy()
    spiked[40] += 50

    clean = despike(spiked)

    assert abs(clean[40]) < 4
    assert np.delete(clean, 40) == pytest.approx(np.delete(despike(y), 40))


def test_a_moving_average_is_a_mean_of_neighbours():
    assert moving_average(np.array([1.0, 2, 3, 4]), 2) == pytest.approx([1.5, 2.5, 3.5])


def test_a_curve_without_noise_has_hardly_any():
    assert noise_of(np.linspace(1, 2, 50)).sigma < 1e-3
