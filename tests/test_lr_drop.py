"""Drops of the rate that are not logged: inferred where they show, and nowhere else."""

from __future__ import annotations

from detectors.catalogue import CATALOGUE
from sim.composed import Composed, observe


def test_drops_are_inferred_where_the_rate_is_not_logged():
    spec = Composed(drop_1=80, noise_floor=0.4, noise=0.01, relax=0.5, logged=0)
    findings = [CATALOGUE["lr_drop"]().detect(run).findings for run in observe(spec, range(100))]

    assert sum(len(f) == 1 and abs(f[0].onset - 81) <= 1 and f[0].kind == "inferred" for f in findings) >= 90


def test_no_drop_is_inferred_from_a_healthy_decay():
    runs = observe(Composed(noise=0.02, rho=0.4, logged=0), range(200))
    alarms = sum(CATALOGUE["lr_drop"](alpha=0.05).detect(run).status == "found" for run in runs)

    assert alarms <= 22  # P(more | 200 runs at 5 %) < 1e-4
