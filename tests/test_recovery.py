"""The six detectors find what was injected and are silent where nothing was; sabotaged ones are caught."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from detectors.catalogue import CATALOGUE
from detectors.overfitting import Overfitting
from detectors.vocabulary import Detector, Finding, Run, Verdict, absent, found
from sim.composed import Composed, observe
from sim.exam import CheckFailed, check_detector, check_recovery, check_silence
from sim.strategies import with_event, without_event


@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_injected_events_are_recovered(phenomenon):
    result = check_recovery(CATALOGUE[phenomenon]())

    assert result.passed, result.detail


@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_null_runs_stay_silent_at_the_stated_rate(phenomenon):
    result = check_silence(CATALOGUE[phenomenon](alpha=0.05), alpha=0.05)

    assert result.passed, result.detail


@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_every_detector_has_runs_to_be_examined_on(phenomenon):
    assert with_event(phenomenon) is not None
    assert without_event(phenomenon) is not None


@dataclass(frozen=True)
class Late:
    """Honest, but ten epochs late."""

    phenomenon: str = "overfitting"
    alpha: float = 0.05

    def detect(self, run: Run) -> Verdict:
        verdict = Overfitting(alpha=self.alpha).detect(run)
        if verdict.status != "found":
            return verdict
        late = [min(f.onset + 10, run.epochs[-1]) for f in verdict]
        moved = [
            replace(f, onset=onset, onset_interval=(onset, onset), end=None)
            for f, onset in zip(verdict, late, strict=True)
        ]
        return found(self.phenomenon, moved)


@dataclass(frozen=True)
class Threshold:
    """The rule that everybody writes first: the last loss is 2 % above the lowest."""

    phenomenon: str = "overfitting"
    alpha: float = 0.05

    def detect(self, run: Run) -> Verdict:
        val = run["val_loss"]
        at = int(np.argmin(val))
        if val[-1] <= 1.02 * val[at]:
            return absent(self.phenomenon)
        onset = float(run.epochs[at])
        claim = Finding(
            phenomenon=self.phenomenon, onset=onset, onset_interval=(onset, onset), level=0.9, known_at=onset
        )
        return found(self.phenomenon, [claim])


@dataclass(frozen=True)
class Mute:
    """Never finds anything."""

    phenomenon: str = "overfitting"
    alpha: float = 0.05

    def detect(self, run: Run) -> Verdict:
        return absent(self.phenomenon)


@pytest.mark.parametrize("culprit", [Late(), Mute()])
def test_a_detector_that_misses_or_misplaces_fails_recovery(culprit: Detector):
    assert not check_recovery(culprit).passed


def test_a_threshold_on_raw_differences_fails_silence():
    assert not check_silence(Threshold(), alpha=0.05).passed


def test_a_failed_check_shows_the_curve_on_which_it_fails():
    with pytest.raises(CheckFailed, match=r"recovery: 0 of 256 runs recovered.*Composed\("):
        check_detector(Mute())


def test_an_answer_that_is_no_verdict_is_a_failed_check():
    class Wrong:
        phenomenon = "overfitting"

        def detect(self, run: Run) -> Verdict:
            return None  # type: ignore[return-value]

    with pytest.raises(CheckFailed, match="must return a Verdict, not None"):
        check_detector(Wrong())


def test_drops_are_inferred_where_the_rate_is_not_logged():
    spec = Composed(drop_1=80, noise_floor=0.4, noise=0.01, relax=0.5)
    runs = [run.without("learning_rate") for run in observe(spec, range(100))]
    findings = [CATALOGUE["lr_drop"]().detect(run).findings for run in runs]

    assert sum(len(f) == 1 and abs(f[0].onset - 81) <= 1 and f[0].kind == "inferred" for f in findings) >= 90


def test_no_drop_is_inferred_from_a_healthy_decay():
    runs = [run.without("learning_rate") for run in observe(Composed(noise=0.02, rho=0.4), range(200))]
    alarms = sum(CATALOGUE["lr_drop"](alpha=0.05).detect(run).status == "found" for run in runs)

    assert alarms <= 22  # P(more | 200 runs at 5 %) < 1e-4
