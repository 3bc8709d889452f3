"""The exam examined: honest detectors pass all of it, and each check catches the detector that it is meant for."""

from __future__ import annotations

import pytest

from sim.exam import CHECKS, examine
from sim.exam.sabotage import HONEST, SABOTAGES


def test_no_check_is_without_a_culprit():
    assert set(SABOTAGES) == set(CHECKS)


SLOW = ("stays_silent_at_every_look", "stays_silent_on_null_families", "p_values_are_none_too_small")


@pytest.mark.slow
@pytest.mark.parametrize("check", [pytest.param(c, marks=pytest.mark.release) if c in SLOW else c for c in SABOTAGES])
def test_a_sabotaged_detector_is_caught_by_the_check_that_is_meant_for_it(check):
    (result,) = examine(SABOTAGES[check](), only=[check]).results

    assert result.status == "failed", result.outcome.detail


@pytest.mark.release
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_detector_passes_a_quick_exam(name):
    report = examine(HONEST[name](), level="quick")

    assert [(r.check.name, r.outcome.detail) for r in report.of("failed")] == []


@pytest.mark.release
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_detector_passes_the_exam(name):
    report = examine(HONEST[name]())

    assert [(r.check.name, r.outcome.detail) for r in report.of("failed")] == []
