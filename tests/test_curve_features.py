"""The features by which simulated curves are compared with real ones see shapes, not units, lengths or names."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectors import Run
from sim.composed import Composed, compose_one

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
curve_features = importlib.import_module("curve_features")
features = curve_features.features

SPEC = Composed(noise_floor=0.2, drop_1=60, drop_2=120, overfit=0.2, overfit_at=90, noise=0.01)


@pytest.fixture(scope="module")
def run() -> Run:
    return compose_one(SPEC, seed=3).run


def test_a_run_with_all_series_and_two_drops_has_every_feature(run):
    assert [name for name, value in features(run).items() if not np.isfinite(value)] == []


def test_losses_in_another_unit_have_the_same_features(run):
    scaled = run.with_series(train_loss=4 * run["train_loss"], val_loss=4 * run["val_loss"])

    assert features(scaled) == pytest.approx(features(run), rel=1e-9)


def test_epochs_that_are_counted_in_steps_change_nothing(run):
    assert features(replace(run, epochs=390 * run.epochs)) == features(run)


def test_what_is_not_logged_is_missing_and_takes_no_other_feature_with_it(run):
    whole, part = features(run), features(run.without("train_accuracy"))

    assert {name for name, value in part.items() if np.isnan(value)} == {
        name for name in whole if name.startswith(("train acc", "accs"))
    }
    assert {name: whole[name] for name, value in part.items() if np.isfinite(value)} == {
        name: value for name, value in part.items() if np.isfinite(value)
    }


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"rho": 0.8}, "val loss: autocorrelation"),
        ({"noise": 0.04}, "val loss: log noise over span"),
        ({"growth": -1.0}, "val loss: log noise, first third over last"),
        ({"mode": 0.3}, "losses: share of epochs with train above val"),
        ({"overfit": 0.6}, "val loss: rise from the lowest to the end"),
    ],
)
def test_a_cause_moves_the_feature_that_is_named_for_it(run, change, feature):
    changed = compose_one(replace(SPEC, **change), seed=3).run

    assert features(changed)[feature] > features(run)[feature]
