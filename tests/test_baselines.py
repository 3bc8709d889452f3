"""The rules that the leaderboard compares with do what their authors say, on curves that can be worked out by hand."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from detectors import Run

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
stopping, debuggers, dummies, rule = (
    importlib.import_module(f"baselines.{name}") for name in ("stopping", "debuggers", "dummies", "rule")
)
RULES = [b for module in (stopping, debuggers, dummies) for b in module.BASELINES]


def run(**series: Any) -> Run:
    """A run of these series, epochs from 1."""
    length = len(next(iter(series.values())))
    return Run(epochs=np.arange(1.0, length + 1), series={k: np.array(v, float) for k, v in series.items()})


def claims(module: ModuleType, name: str, *series: list[float], **settings: Any) -> list[tuple[int, int]]:
    """What a rule claims about series given as lists."""
    found: list[tuple[int, int]] = getattr(module, name)(*(np.array(s, float) for s in series), **settings)
    return found


# Prechelt, 1998


def test_generalization_loss_is_in_percent_over_the_lowest_so_far():
    assert claims(stopping, "generalization_loss", [2.0, 1.0, 1.04, 1.06, 0.5], threshold=5.0) == [(1, 3)]


def test_the_progress_quotient_looks_at_ends_of_strips_only():
    train, val = [5.0, 4.0, 3.0, 2.0, 1.0] * 2, [1.0, 9.0, 9.0, 9.0, 0.9, 9.0, 9.0, 9.0, 9.0, 1.8]

    assert claims(stopping, "progress_quotient", train, val, threshold=0.04) == [(4, 9)]


def test_the_progress_quotient_divides_by_progress_in_per_mille():
    train, val = [2.0, 2.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.08]  # GL 8, progress 1000 (1.8 / 1 - 1) = 800

    assert claims(stopping, "progress_quotient", train, val, threshold=0.0099)
    assert not claims(stopping, "progress_quotient", train, val, threshold=0.0101)


def test_training_that_stalls_altogether_has_no_progress_quotient():
    assert claims(stopping, "progress_quotient", [1.0] * 5, [1.0, 1.0, 1.0, 1.0, 2.0], threshold=0.1) == []


def test_up_counts_successive_strips_and_starts_anew_after_one_that_fell():
    ends = [5.0, 6.0, 4.0, 5.0, 6.0]  # up, down, up, up
    val = [v for end in ends for v in (end, end, end, end, end)]

    assert claims(stopping, "up_in_strips", val, strips=2) == [(10, 24)]


# patience


def test_patience_counts_evaluations_since_the_best_and_restores_it():
    assert claims(stopping, "patience", [3.0, 1.0, 2.0, 2.0, 2.0, 0.5], patience=3) == [(1, 4)]


def test_an_improvement_by_min_delta_or_less_is_none():
    assert claims(stopping, "patience", [1.0, 0.95, 0.9, 0.85], patience=3, min_delta=0.2) == [(0, 3)]


# debuggers and habits


def test_the_ratio_rule_speaks_at_the_first_evaluation_beyond_its_ratio():
    assert claims(debuggers, "ratio_overfit", [1.0, 1.0, 1.0], [1.0, 1.05, 1.2]) == [(2, 2)]


def test_one_step_is_enough_for_the_one_step_rule():
    assert claims(debuggers, "one_step", [3.0, 2.0, 1.0], [3.0, 2.0, 2.1]) == [(1, 2)]


def test_the_correlation_rule_is_silent_while_both_losses_fall():
    assert claims(debuggers, "spearman", [3.0, 2.0, 1.0], [3.0, 2.5, 2.2]) == []
    assert claims(debuggers, "spearman", [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]) == [(0, 2)]


def test_a_plateau_needs_more_than_its_patience():
    assert claims(debuggers, "no_gain", [1.0] * 11, patience=10) == []
    assert claims(debuggers, "no_gain", [1.0] * 12, patience=10) == [(0, 11)]


# all of them


@pytest.mark.parametrize("baseline", RULES, ids=lambda b: f"{b.phenomenon}: {b.name}")
@pytest.mark.parametrize("length", [1, 2, 7, 60])
def test_a_rule_answers_about_runs_of_any_length_at_every_setting(baseline, length):
    rng = np.random.default_rng(length)
    keys = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate")
    made = run(**{key: rng.uniform(0.1, 1.0, length) for key in keys})

    for settings in ({}, *baseline.grid):
        verdict = baseline.rule({**baseline.published, **settings}).detect(made)
        assert all(1 <= f.onset <= f.known_at <= length for f in verdict.findings)


@pytest.mark.parametrize("baseline", RULES, ids=lambda b: f"{b.phenomenon}: {b.name}")
def test_a_rule_without_its_series_is_undetermined(baseline):
    assert baseline.rule().detect(run(other=[1.0, 2.0])).status == "undetermined"


def test_the_published_settings_of_a_rule_with_a_grid_are_within_it_or_its_defaults():
    assert [b.name for b in RULES if b.published and b.grid and dict(b.published) not in map(dict, b.grid)] == []
