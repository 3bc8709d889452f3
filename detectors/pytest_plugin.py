"""The options with which pytest examines a detector: `pytest --pyargs sim.exam --detector my_module:MyDetector`.

Loaded in every pytest of the environment, so it adds options and nothing else: no test, no fixture, neither JAX nor the
simulator. The checks themselves are in `sim/exam/test_detector.py`.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the exam."""
    group = parser.getgroup("curvesense", "examine a detector of training curves")
    group.addoption("--detector", metavar="MODULE:NAME", help="the detector that `--pyargs sim.exam` examines")
    group.addoption("--exam-subject", metavar="MODULE:NAME", default="", help="what it is examined on, if it is new")
    group.addoption(
        "--exam-level", choices=("quick", "default", "thorough"), default="default", help="how hard the exam looks"
    )
    group.addoption("--exam-seed", type=int, default=0, metavar="N", help="other examples and other runs")
    group.addoption("--exam-time-limit", type=float, default=5.0, metavar="S", help="of one call, in seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Say what is missing before anything is collected."""
    if config.getoption("--detector", None) and find_spec("jax") is None:
        raise pytest.UsageError("--detector needs the simulator: pip install 'curvesense[sim]'")
