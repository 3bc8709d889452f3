"""The promise of alpha, detector by detector, on the null family that the experiment found worst."""

from __future__ import annotations

import csv
from pathlib import Path

import false_alarms
import pytest
from scipy.stats import binomtest

from detectors.catalogue import CATALOGUE
from sim.composed import Composed

RUNS = 300
with (Path(__file__).parents[1] / "experiments" / "results" / "false_alarms.csv").open() as file:
    WORST = {row["phenomenon"]: row["worst_family"] for row in csv.DictReader(file)}


def test_every_detector_was_asked():
    assert set(WORST) == set(CATALOGUE)


@pytest.mark.slow
@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_no_more_than_alpha_of_the_runs_of_the_worst_family_alarm(phenomenon):
    detector = CATALOGUE[phenomenon](alpha=0.05, **false_alarms.SETTINGS.get(phenomenon, {}))
    spec = false_alarms.claimed(detector)[WORST[phenomenon]]
    alarms, _ = false_alarms.counted(detector, spec, range(2_000_000, 2_000_000 + RUNS))

    # 300 runs: a detector that alarms in 15 % of them passes once in a hundred
    assert binomtest(alarms, RUNS, 0.05, alternative="greater").pvalue > 1e-4


def test_findings_are_counted():
    spec = Composed(overfit=0.5, overfit_at=60)

    assert false_alarms.counted(CATALOGUE["overfitting"](alpha=0.05), spec, range(20)) == (20, 0)
