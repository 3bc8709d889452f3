"""The logistic loss of a Gaussian margin: against adaptive quadrature, also where it is overconfident, and data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from sim.analytic.margin import accuracy, best_scale, risk, risk_calibrated

KAPPAS = np.array([-6.0, -1.5, -0.3, 0.0, 0.2, 1.0, 2.0, 3.0, 5.0])


def by_quadrature(mu: float, s: float) -> float:
    """E log(1 + exp(−M)) by adaptive quadrature on pieces that end around the kink at M = 0."""
    around = [-mu / s + j / s for j in (-40, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 40)]
    ends = sorted({-14.0, 14.0, *[min(max(z, -14.0), 14.0) for z in around], *map(float, range(-13, 14, 2))})

    def integrand(z: float) -> float:
        return float(np.logaddexp(0.0, -(mu + s * z)) * norm.pdf(z))

    pieces = zip(ends[:-1], ends[1:], strict=True)
    return sum(quad(integrand, a, b, epsabs=1e-15, epsrel=1e-13)[0] for a, b in pieces if b > a + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("s", [1e-3, 0.5, 1.0, 1.0001, 1.5, 3.0, 5.0, 10.0, 30.0, 300.0])
def test_the_loss_is_that_of_adaptive_quadrature_also_where_models_are_overconfident(s):
    slow = [by_quadrature(k * s, s) for k in KAPPAS]

    assert risk(KAPPAS * s, np.full(9, s), 0.0) == pytest.approx(slow, abs=1e-13 * max(s, 1), rel=1e-13)


def test_a_plain_gauss_hermite_sum_is_wrong_there_by_more_than_a_percent_and_is_caught():
    z, w = np.polynomial.hermite_e.hermegauss(64)
    plain = (w / w.sum() * np.logaddexp(0.0, -30.0 * (2.0 + z))).sum()

    assert plain != pytest.approx(by_quadrature(60.0, 30.0), rel=0.01)
    assert risk(np.array([60.0]), np.array([30.0]), 0.0)[0] == pytest.approx(by_quadrature(60.0, 30.0), rel=1e-11)


def test_the_two_rules_meet_without_a_step():
    below, above = risk(KAPPAS, np.full(9, 1.0), 0.1), risk(KAPPAS, np.full(9, 1.0 + 1e-12), 0.1)

    assert above == pytest.approx(below, abs=1e-11)


@pytest.mark.parametrize("p", [0.0, 0.2])
@pytest.mark.parametrize("s", [0.7, 4.0])
def test_loss_and_accuracy_are_the_means_over_examples_that_are_drawn_and_one_percent_off_is_seen(p, s):
    rng, n = np.random.default_rng(0), 2_000_000
    margin = (1.2 + rng.standard_normal(n)) * s * np.where(rng.random(n) < p, -1, 1)
    losses, right = np.logaddexp(0.0, -margin), margin > 0
    mu = np.array([1.2 * s])
    exact = [(risk(mu, np.array([s]), p)[0], losses), (accuracy(mu, np.array([s]), p)[0], right)]

    for value, of in exact:
        error = of.std() / np.sqrt(n)
        assert abs(of.mean() - value) < 4 * error
        assert abs(of.mean() - 1.01 * value) > 4 * error


@pytest.mark.parametrize("p", [0.0, 0.02, 0.1, 0.3, 0.45])
def test_the_best_temperature_is_where_the_loss_along_the_ray_is_least(p):
    for kappa in (0.05, 0.5, 1.0, 2.0, 3.5):

        def loss(log_u: float, kappa: float = kappa) -> float:
            u = np.exp(log_u)
            return float(risk(np.array(u * kappa), np.array(u), p))

        slow = minimize_scalar(loss, bounds=(-6.0, 4.0), method="bounded", options={"xatol": 1e-9})

        # the minimum is flat: its place is known to the root of the precision of its value
        assert best_scale(np.array([kappa]), p)[0] == pytest.approx(np.exp(slow.x), rel=1e-5)
        assert risk_calibrated(np.array([7 * kappa]), np.array([7.0]), p)[0] == pytest.approx(slow.fun, rel=1e-11)


def test_without_flipped_labels_the_best_temperature_has_a_closed_form():
    assert best_scale(np.array([0.3, 2.0]), 0.0).tolist() == [0.6, 4.0]  # T = s² / (2 mu)


def test_the_risk_at_the_best_temperature_is_never_above_the_risk():
    mu, s = np.meshgrid(np.linspace(-3, 40, 50), np.geomspace(0.01, 50, 40))

    for p in (0.0, 0.15):
        assert (risk(mu, s, p) - risk_calibrated(mu, s, p) >= -1e-13 * np.maximum(s, 1)).all()


def test_without_weights_or_with_weights_that_guess_wrong_the_best_is_not_to_guess():
    assert risk(np.zeros(1), np.zeros(1), 0.1) == pytest.approx(np.log(2), rel=1e-15)
    assert accuracy(np.zeros(1), np.zeros(1), 0.1) == pytest.approx(0.5, rel=1e-15)
    assert risk_calibrated(np.array([-1.0]), np.array([2.0]), 0.1)[0] == np.log(2)
