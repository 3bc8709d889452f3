"""Long logs are averaged in blocks, and an event is dated to within a block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.condense import condensed
from detectors.diagnosis import diagnose
from detectors.vocabulary import Run

values = st.lists(st.one_of(st.floats(-10, 10), st.just(np.nan)), min_size=1, max_size=40)


@given(values, st.integers(1, 12))
def test_a_block_holds_the_mean_of_what_was_logged_in_it(values, most):
    run = Run(epochs=np.arange(len(values)), series={"val_loss": np.array(values)})
    size = -(-len(values) // most)

    short = condensed(run, most)

    for i, mean in enumerate(short["val_loss"]):
        block = np.array(values[i * size : (i + 1) * size])
        logged = block[~np.isnan(block)]
        assert np.isnan(mean) if not len(logged) else mean == pytest.approx(logged.mean(), abs=1e-9)


def test_a_block_stands_at_its_last_row_and_keeps_its_last_rate():
    run = Run(epochs=np.arange(6), series={"learning_rate": np.array([1, 1, 0.1, 0.1, np.nan, np.nan])})

    short = condensed(run, 2)

    assert short.epochs.tolist() == [2, 5]
    assert short["learning_rate"].tolist() == [0.1, 0.1]


def test_a_short_run_is_left_alone():
    run = Run(epochs=np.arange(6), series={})

    assert condensed(run) is run


def test_an_infinity_stays_one_and_two_of_both_signs_are_no_number():
    run = Run(epochs=np.arange(4), series={"val_loss": np.array([1, np.inf, np.inf, -np.inf])})

    assert np.array_equal(condensed(run, 2)["val_loss"], [np.inf, np.nan], equal_nan=True)


def test_a_long_step_log_is_diagnosed_to_within_a_block():
    rng = np.random.default_rng(0)
    n, at = 100_000, 40_000
    x = np.arange(n)
    val = np.where(x % 50 == 0, 1 + 2 * np.exp(-x / 4000) + 1e-5 * np.clip(x - at, 0, None), np.nan)
    run = Run(
        epochs=x, series={"train_loss": 2 * np.exp(-x / 8000) + 0.1, "val_loss": val + 0.01 * rng.standard_normal(n)}
    )

    (finding,) = diagnose(run)["overfitting"].findings

    assert abs(finding.onset - at) < 0.05 * n  # the bottom is flat: 3 % of the run is 3 widths of the noise
    assert finding.onset in x
