"""Hypothesis profiles, JAX's strict rank promotion, and the real logs where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import pytest
from hypothesis import settings

settings.register_profile("local", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of real logs; the test is skipped, and says so, where CURVESENSE_LOGS names none."""
    folder = os.environ.get("CURVESENSE_LOGS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"REAL LOGS NOT READ: CURVESENSE_LOGS={folder!r} names no folder of real logs")
    return Path(folder)
