"""The exam as tests, for `pytest --pyargs sim.exam --detector my_module:MyDetector`: one test for each check."""

from __future__ import annotations

from typing import Any

import pytest

from sim.exam.catalogue import CHECKS
from sim.exam.reproduce import BadTarget, load
from sim.exam.run import BoundCheck, examine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a check for the detector that the command line names."""
    named = metafunc.config.getoption("--detector", None)
    if not named:
        why = pytest.mark.skip(reason="no detector is named: --detector my_module:MyDetector")
        metafunc.parametrize(("detector", "check"), [pytest.param(None, None, marks=why)], ids=["none"])
        return
    config = metafunc.config
    try:
        detector, subject, _ = load(named, config.getoption("--exam-subject"))
        settings = {
            "level": config.getoption("--exam-level"),
            "seed": config.getoption("--exam-seed"),
            "time_limit": config.getoption("--exam-time-limit"),
            "subject": subject,
        }
        examine(detector, **settings, only=())  # what is no detector is said once, not by each check
    except (BadTarget, TypeError, ValueError) as error:
        raise pytest.UsageError(f"--detector {error}") from None
    checks = [BoundCheck(name, settings) for name in CHECKS]
    metafunc.parametrize(("detector", "check"), [(detector, c) for c in checks], ids=list(CHECKS))


def test_detector(detector: Any, check: BoundCheck) -> None:
    """The named detector passes the check."""
    __tracebackhide__ = True
    check(detector)
