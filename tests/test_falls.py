"""A sudden fall is told from noise, decay, spikes and whatever else makes a curve go down."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit

from detectors.falls import LARGEST, SHORTEST, WINDOWS, _lines, fall_statistic, sudden_falls
from detectors.vocabulary import Run

ALPHA = 0.05


def noise(seed: int, runs: int, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) noise of unit variance, shape (runs, n)."""
    e = np.random.default_rng(seed).standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


def falls_of(curve: np.ndarray, alpha: float = ALPHA) -> list[int]:
    """Positions of the sudden falls in a validation loss."""
    run = Run(epochs=np.arange(1.0, len(curve) + 1), series={"val_loss": curve})
    return [f.position for f in sudden_falls(run, alpha)]


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_a_fall_by_eight_widths_is_found_at_its_place(rho):
    curves = 50 - 8.0 * (np.arange(200) >= 100) + noise(1, 100, 200, rho)
    hits = sum(falls_of(curve) == [100] for curve in curves)

    assert hits >= 90  # a detector that finds 0.98 of them fails once in 40,000


def test_two_falls_are_found_one_by_one():
    x = np.arange(160)
    curves = 50 - 12.0 * (x >= 60) - 10.0 * (x >= 110) + noise(2, 60, 160, 0.3)

    assert (
        sum(falls_of(curve) == [60, 110] for curve in curves) >= 50
    )  # one that finds 0.95 of them fails once in 1,000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "heavy", "growing", "shrinking"])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_noise_alone_hardly_ever_falls(kind, rho):
    y = noise(3, 400, 120, rho)
    ramp = np.linspace(-0.5, 0.5, 120)
    changed = {
        "normal": y,
        "heavy": stdtrit(4, ndtr(y)) / np.sqrt(2),
        "growing": y * np.exp(ramp),
        "shrinking": y * np.exp(-ramp),
    }[kind]
    alarms = sum(bool(falls_of(10 + curve)) for curve in changed)

    assert alarms <= 37  # P(more | 400 runs at 5 %) < 1e-4


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(lambda x: 30 * np.exp(-x / 8), id="a steep decay"),
        pytest.param(lambda x: 30 / np.sqrt(x + 1), id="a power law"),
        pytest.param(lambda x: 10 * (1 + np.cos(np.pi * x / 120)), id="a cosine"),
        pytest.param(lambda x: 10 - 0.1 * x, id="a straight line"),
        pytest.param(lambda x: np.abs(x - 60) / 4, id="a fall that turns"),
        pytest.param(lambda x: 20.0 * ((x >= 60) & (x < 62)), id="a spike of two values"),
    ],
)
def test_what_goes_down_for_another_reason_is_no_sudden_fall(curve):
    x = np.arange(120.0)
    alarms = sum(bool(falls_of(curve(x) + y)) for y in noise(4, 100, 120, 0.3))

    assert alarms <= 15  # P(more | 100 runs at 5 %) < 1e-4


def test_the_steep_head_of_a_curve_is_no_fall():
    # a curve that comes straight down begins at its highest value: were it off the line, that would make a step
    curves = 2000 - 20.0 * np.arange(45) + noise(7, 200, 45, 0.0)

    assert (
        np.quantile(fall_statistic(curves), 0.95) < 3
    )  # with that value as low as the next one, and none left out: over 4


@pytest.mark.parametrize("outlier", [40.0, 20.0, -20.0, -40.0])
@pytest.mark.parametrize("slope", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("place", [60, 65])
def test_one_value_far_off_a_line_is_no_fall(place, slope, outlier):
    curves = 2000 - slope * np.arange(120) + noise(8, 20, 120, 0.0)
    curves[:, place] += outlier

    assert sum(bool(falls_of(curve)) for curve in curves) <= 6  # P(more | 20 runs at 5 %) < 1e-4


@pytest.mark.parametrize("rho", [0.0, 0.4])
@pytest.mark.parametrize(("before", "after"), WINDOWS)
def test_what_is_told_without_a_value_is_what_the_others_tell(before, after, rho):
    lines = _lines(before, after, rho, (True, True))
    y = np.random.default_rng(9).normal(size=before + after)
    i = np.arange(before + after)
    x, first = i - (before - 0.5), i < before
    design = np.stack([first, ~first, x * first, x * ~first], axis=1).astype(float)
    covariance = rho ** np.abs(i[:, None] - i)
    for left_out in i:
        kept = i != left_out
        inverse = np.linalg.inv(covariance[np.ix_(kept, kept)])
        spread = np.linalg.inv(design[kept].T @ inverse @ design[kept])
        fit = spread @ design[kept].T @ inverse @ y[kept]
        step = lines.step @ y - lines.step[left_out] * (lines.alone[left_out] @ y)
        error = np.sqrt(sum(lines.parts)) * lines.wider[left_out]

        assert step == pytest.approx(fit[0] - fit[1], abs=1e-9)
        assert error == pytest.approx(np.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1]))


def test_the_unit_of_the_loss_does_not_matter():
    curve = 50 - 8.0 * (np.arange(100) >= 50) + noise(5, 1, 100, 0.3)[0]

    assert fall_statistic(curve[None] * 4) == pytest.approx(fall_statistic(curve[None]))


def test_many_series_at_once_are_answered_as_one_by_one():
    curves = noise(6, 20, 90, 0.5)

    assert fall_statistic(curves) == pytest.approx(np.concatenate([fall_statistic(c[None]) for c in curves]))


def test_it_could_be_known_when_it_says_so():
    curve = 50 - 12.0 * (np.arange(200) >= 100) + noise(7, 1, 200, 0.3)[0]
    run = Run(epochs=np.arange(200.0), series={"val_loss": curve})
    (fall,) = sudden_falls(run, ALPHA)

    assert [f.position for f in sudden_falls(run.until(fall.known), ALPHA)] == [100]


def test_a_curve_without_noise_falls_once():
    curve = np.where(np.arange(100) < 50, 2.0, 1.0)

    assert falls_of(curve) == [50]


@pytest.mark.parametrize("unit", [0.0, 5e-324, 1e-300, 1e99])
def test_a_loss_in_any_unit_is_answered(unit):
    assert falls_of(np.where(np.arange(60) < 30, 1.0, 0.25) * unit) in ([], [30])


@pytest.mark.parametrize("n", [1, SHORTEST - 1, SHORTEST, LARGEST + 1])
def test_every_length_is_answered(n):
    assert falls_of(np.full(n, 2.0)) == []


@pytest.mark.parametrize("n", range(SHORTEST, 2 * SHORTEST))
def test_a_fall_as_late_as_it_can_be_is_found_at_every_length(n):
    place = n - 5  # what the shortest window needs after it

    assert falls_of(np.where(np.arange(n) < place, 2.0, 1.0)) == [place]
