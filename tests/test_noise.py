"""The noise of a curve is told from second differences, whatever its trend and its unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit

from detectors import noise as measured_noise
from detectors.noise import Noise, despike, despike_ahead, estimate, measure_ahead, moving_average, noise_of


def forget() -> None:
    for remembered in (despike, estimate, measured_noise._measured):
        remembered.cache_clear()


def ar1(seed: int, shape: tuple[int, int], rho: float) -> np.ndarray:
    e = np.random.default_rng(seed).standard_normal(shape)
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


def heavy(y: np.ndarray) -> np.ndarray:
    """Normal values as Student's t with four degrees of freedom of unit variance."""
    return stdtrit(4, ndtr(y)) / np.sqrt(2)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_the_autocorrelation_is_estimated_within_its_error(rho):
    # 400 series of 400 values: the mean estimate is good to 0.005; clipping at zero lifts it by 0.03 at rho = 0
    estimated = estimate(ar1(1, (400, 400), rho))[0].rho

    assert abs(estimated.mean() - rho) < 0.04


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_the_width_is_right_for_the_autocorrelation_that_goes_with_it(rho):
    # a 10 % error would be seen: the mean of 400 estimates is good to 1 %, clipping takes 3 %
    e = estimate(ar1(2, (400, 400), rho))[0]
    share = [6 - 8 * r + 2 * r**2 for r in (e.rho_upper, rho)]

    assert abs((e.sigma * np.sqrt(share[0] / share[1])).mean() - 1) < 0.06


@pytest.mark.parametrize(("rho", "too_low"), [(0.0, 0.02), (0.4, 0.2), (0.8, 0.5)])
def test_the_upper_autocorrelation_is_rarely_too_low_within_the_promise(rho, too_low):
    upper = estimate(ar1(3, (1000, 100), rho))[0].rho_upper

    assert (upper < rho - 0.05).mean() < too_low  # measured 0.00, 0.14 and 0.12; the climb test is calibrated with it


@pytest.mark.parametrize("growth", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_the_growth_of_the_noise_is_told_a_little_too_near_to_none(growth, rho):
    # the error of one of 400 estimates is 0.17; shrinkage and clipping take up to a quarter
    y = ar1(7, (400, 400), rho) * np.exp(growth * np.linspace(-0.5, 0.5, 400))
    told = estimate(despike(y))[0].growth

    assert 0.7 * abs(growth) - 0.05 < told.mean() * np.sign(growth or 1) < abs(growth) + 0.05


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_heavy_tails_change_the_memory_little(rho):
    told = estimate(despike(heavy(ar1(8, (400, 400), rho))))[0].rho

    assert abs(told.mean() - rho) < 0.05


@pytest.mark.parametrize("span", [4, 8, 40])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_steep_start_is_neither_memory_nor_shrinking_noise(span, rho):
    # 2.3 falling to 0.5 with noise of 0.01; without its head left out the curve looks like noise of memory 0.9
    y = ar1(9, (200, 200), rho)
    told, flat = (estimate(despike(180 * np.exp(-np.arange(200) / span) * on + y))[0] for on in (True, False))

    assert abs(told.rho.mean() - flat.rho.mean()) < 0.05
    assert abs(told.growth.mean() - flat.growth.mean()) < 0.1


def test_a_straight_trend_is_no_noise():
    y = ar1(4, (1, 200), 0.0)[0]

    assert noise_of(y + 5.0 * np.arange(200)).sigma == pytest.approx(noise_of(y).sigma, rel=0.02)  # outliers may differ


@given(st.integers(-20, 20), st.integers(0, 2**32 - 1))
def test_noise_scales_with_the_curve(power, seed):
    y = 1 + 0.1 * np.random.default_rng(seed).standard_normal(60)

    plain, scaled = noise_of(y), noise_of(y * 2.0**power)

    assert scaled.sigma == pytest.approx(plain.sigma * 2.0**power, rel=1e-9)
    assert scaled.rho == plain.rho


@given(
    st.lists(st.integers(6, 210), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([0.1, 1e-6]),
    st.sampled_from([8, 16]),
)
def test_series_of_other_lengths_beside_it_change_no_bit_of_a_measurement(sizes, seed, digits, width, longest):
    rng = np.random.default_rng(seed)
    series = [np.exp(-np.arange(n) / 9) + width * rng.standard_t(3, n) for n in sizes]
    series = series if digits is None else [np.round(values, digits) for values in series]
    forget()
    despike_ahead(series)
    together = [despike(values) for values in series]
    measure_ahead(together, longest)
    measured = [estimate(values, longest=longest)[0].one() for values in together]
    forget()

    assert all(np.array_equal(despike(values), clean) for values, clean in zip(series, together, strict=True))
    assert [estimate(values, longest=longest)[0].one() for values in together] == measured


def test_the_errors_of_all_means_are_those_of_each():
    noise = Noise(sigma=0.3, rho=0.5, rho_upper=0.7)

    assert noise.se_of_means(40) == pytest.approx([noise.se_of_mean(m) for m in range(1, 41)], rel=1e-12)


def test_the_error_of_a_mean_of_correlated_values_is_that_of_simulation():
    means = ar1(5, (40_000, 20), 0.6).mean(1)  # the standard deviation is good to 0.4 %

    assert Noise(1.0, 0.6, 0.6).se_of_mean(20) == pytest.approx(means.std(), rel=0.02)


def test_independent_values_are_worth_themselves():
    assert Noise(2.0, 0.0, 0.0).independent(17) == pytest.approx(17)


def test_an_outlier_is_brought_back_and_the_rest_is_left_alone():
    y = ar1(6, (1, 100), 0.0)[0]
    spiked = y.copy()
    spiked[40] += 50

    clean = despike(spiked)

    assert abs(clean[40]) < 6
    assert np.delete(clean, 40) == pytest.approx(np.delete(despike(y), 40), abs=0.5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_up_to_three_outliers_in_a_row_are_brought_back(size):
    y = ar1(6, (1, 100), 0.0)[0]
    y[40 : 40 + size] += 50

    assert np.abs(despike(y)[40 : 40 + size]).max() < 7


@given(st.lists(st.floats(0, 10), min_size=7, max_size=30))
def test_a_curve_that_only_falls_has_no_outliers(steps):
    y = -np.cumsum(np.array(steps))

    assert np.array_equal(despike(y), y)


def test_values_rounded_to_a_step_have_the_noise_of_the_rounding_at_least():
    exact = 0.9 + 0.004 * ar1(10, (50, 200), 0.0)

    assert np.all(estimate(despike(np.round(exact, 2)))[0].sigma >= 0.01 / np.sqrt(12) * 0.999)


def test_a_rounded_series_of_one_value_has_hardly_any_noise():
    assert noise_of(np.full(50, 0.9)).sigma < 1e-6


def test_a_moving_average_is_a_mean_of_neighbours():
    assert moving_average(np.array([1.0, 2, 3, 4]), 2) == pytest.approx([1.5, 2.5, 3.5])


def test_a_curve_without_noise_has_hardly_any():
    assert noise_of(np.linspace(1, 2, 50)).sigma < 1e-3
