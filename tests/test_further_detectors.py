"""What only the seven further detectors promise: that they are not taken in by what looks like it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit

from detectors.blow_up import BlowUp
from detectors.catalogue import CATALOGUE
from detectors.delayed_generalization import DelayedGeneralization
from detectors.diagnosis import diagnose
from detectors.double_descent import DoubleDescent
from detectors.loss_accuracy_divergence import LossAccuracyDivergence
from detectors.oscillation import Oscillation
from detectors.plateau import Plateau
from detectors.spike import Spike
from detectors.underfitting import Underfitting
from detectors.vocabulary import Detector, Run
from sim.scores import exact_interval

X = np.arange(1.0, 201)
DECAY = 0.5 + 1.8 * np.exp(-X / 8)


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) noise of unit variance, shape (n,)."""
    e = rng.standard_normal(n)
    e[1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e))


def run(val: np.ndarray, train: np.ndarray | None = None, **series: np.ndarray) -> Run:
    """A run with this validation loss; training loss half of it unless given."""
    n = len(val)
    losses = {"val_loss": val, "train_loss": val / 2 if train is None else train}
    return Run(epochs=np.arange(1.0, n + 1), series={"learning_rate": np.full(n, 0.1), **losses, **series})


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "white": lambda z: z,
    "heavy tails": lambda z: stdtrit(4, ndtr(z)) / np.sqrt(2),
    "growing": lambda z: z * np.exp(np.linspace(-0.5, 0.5, len(z))),
}
SHAPES = {
    "flat": lambda x: np.ones_like(x),
    "decay": lambda x: 0.5 + 1.8 * np.exp(-x / 8),
    "slow decay": lambda x: 0.5 + 1.8 * np.exp(-4 * x / len(x)),
}


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("detector", [Spike(), Oscillation(), Plateau(), DoubleDescent()], ids=lambda d: d.phenomenon)
def test_noise_is_no_event_more_often_than_alpha(detector: Detector, kind: str, rho: float):
    rng = np.random.default_rng([len(kind), int(10 * rho)])
    alarms = runs = 0
    for n in (60, 200):
        for shape in SHAPES.values():
            for _ in range(40):
                curve = shape(np.arange(1.0, n + 1))
                alarms += bool(detector.detect(run(curve * (1 + 0.02 * KINDS[kind](ar1(rng, n, rho))))).findings)
                runs += 1

    assert exact_interval(alarms, runs, 0.998)[0] <= 0.05  # one of 24 such tests fails by chance in 40 suites


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("phenomenon", ["spike", "oscillation", "plateau", "double_descent", "blow_up"])
def test_a_smooth_decay_has_none_of_them_however_quiet(phenomenon, noise):
    rng = np.random.default_rng(0)

    verdict = CATALOGUE[phenomenon]().detect(run(DECAY * (1 + noise * rng.standard_normal(200))))

    assert verdict.status == "absent"


def test_a_loss_that_comes_down_from_a_bend_is_no_spike():
    triangle = 1 + 0.01 * np.clip(X - 60, 0, 40) - 0.4 * (X > 100)
    rates = np.where(X > 100, 0.02, 0.1)

    assert Spike().detect(run(triangle, learning_rate=rates)).status == "absent"


def test_a_spike_says_whether_training_was_up_as_well():
    rng = np.random.default_rng(1)
    noise, up = 0.01 * rng.standard_normal((2, 200)), 0.4 * (X == 101)
    (shared,) = Spike().detect(run(DECAY + noise[0] + up, DECAY + noise[1] + up))
    (alone,) = Spike().detect(run(DECAY + noise[0] + up, DECAY + noise[1]))

    assert (shared.onset, shared.kind, alone.kind) == (101, "shared", "validation_only")


def test_swings_of_a_random_period_and_size_are_noise_that_remembers():
    rng = np.random.default_rng(2)
    verdicts = [Oscillation().detect(run(1 + 0.02 * ar1(rng, 200, 0.8))) for _ in range(20)]

    assert sum(v.status == "found" for v in verdicts) <= 3  # of 20 at 0.05: 4 or more happen in 1.6 %


@pytest.mark.parametrize("period", [2, 3, 5, 9, 14])
def test_the_period_of_an_oscillation_is_told(period):
    rng = np.random.default_rng(period)
    wave = 0.06 * np.sin(2 * np.pi * (X - 60) / period + 1.2) * ((X > 60) & (X <= 160))
    (finding,) = Oscillation().detect(run(DECAY + 0.01 * rng.standard_normal(200) + wave))

    assert finding.effect["period"] == pytest.approx(period, rel=0.03)
    assert abs(finding.onset - 60) <= max(5, period)


def test_a_run_that_never_learns_does_not_blow_up():
    rng = np.random.default_rng(3)
    verdicts = [BlowUp().detect(run(DECAY, 2.3 + 0.01 * rng.standard_normal(100).repeat(2))) for _ in range(40)]

    assert sum(v.status == "found" for v in verdicts) <= 5  # of 40 at 0.05


def test_a_loss_that_is_missing_at_the_end_while_the_log_goes_on_is_not_a_number():
    (finding,) = BlowUp().detect(run(DECAY, np.where(X > 150, np.nan, DECAY)))

    assert (finding.onset, finding.kind) == (151, "not_finite")


def test_losses_that_are_all_missing_while_the_epochs_go_on_are_no_numbers():
    silent = np.where(X > 150, np.nan, DECAY)
    (finding,) = BlowUp().detect(run(silent, silent).without("learning_rate"))

    assert (finding.onset, finding.kind) == (151, "not_finite")


def test_two_rows_at_the_end_in_which_nothing_is_logged_are_no_blow_up():
    silent = np.where(X > 198, np.nan, DECAY)

    assert BlowUp().detect(run(silent, silent).without("learning_rate")).status == "absent"


def test_one_missing_value_at_the_end_may_not_be_logged_yet():
    assert BlowUp().detect(run(DECAY, np.where(X > 199, np.nan, DECAY))).status == "undetermined"


def test_a_loss_that_is_logged_every_third_row_is_no_blow_up():
    assert BlowUp().detect(run(DECAY, np.where(X % 3 == 1, DECAY, np.nan)).until(198)).status != "found"


def test_what_could_be_reached_is_not_in_the_curves():
    verdict = Underfitting().detect(run(1.0 + 1.5 * np.exp(-X / 8), 1.0 + 1.5 * np.exp(-X / 8)))

    assert verdict.status == "undetermined"
    assert "if it is below" in verdict.reason


def test_a_loss_that_fell_below_a_fifth_rules_underfitting_out_without_a_reference():
    assert Underfitting().detect(run(0.1 + 2.2 * np.exp(-X / 8), 0.1 + 2.2 * np.exp(-X / 8))).status == "absent"


def test_a_warm_up_is_no_underfitting():
    late = 0.5 + 1.8 * np.exp(-np.maximum(X - 40, 0) / 8)

    assert Underfitting(reference=0.5).detect(run(late, late)).status == "absent"


HUMP = DECAY + 0.3 * np.clip((X - 50) / 40, 0, 1) - 0.28 * np.clip((X - 95) / 40, 0, 1)


def test_a_fall_while_the_rate_falls_is_no_second_descent():
    rng = np.random.default_rng(4)
    val = HUMP + 0.01 * rng.standard_normal(200)
    cosine = 0.1 * np.cos(np.pi * X / 402)

    assert DoubleDescent().detect(run(val)).status == "found"
    assert DoubleDescent().detect(run(val, learning_rate=cosine)).status == "absent"
    assert DoubleDescent().detect(run(val).without("learning_rate")).status == "undetermined"


def test_generalisation_that_keeps_step_is_not_delayed():
    rng = np.random.default_rng(5)
    train = np.minimum(0.1 + X / 20, 1.0)
    val = np.minimum(0.1 + X / 25, 0.9) + 0.01 * rng.standard_normal(200)

    assert DelayedGeneralization().detect(run(DECAY, train_accuracy=train, val_accuracy=val)).status == "absent"


# the reading


def test_a_plateau_before_a_drop_says_that_an_earlier_drop_would_have_done():
    rng = np.random.default_rng(6)
    val = (DECAY + 0.3 - 0.3 * (X > 120)) * (1 + 0.002 * rng.standard_normal(200))
    text = diagnose(run(val, learning_rate=np.where(X > 120, 0.02, 0.1))).reading.text

    assert "a drop there would have done, and saved" in text


def test_drops_that_bring_nothing_are_named():
    rng = np.random.default_rng(7)
    rates = 0.1 * 0.2 ** ((X > 80).astype(float) + (X > 140))
    text = diagnose(run(DECAY * (1 + 0.01 * rng.standard_normal(200)), learning_rate=rates)).reading.text

    assert "The drops of the rate at epochs 81 and 141 brought validation nothing" in text


def test_late_epochs_without_any_change_were_not_worth_their_cost():
    rng = np.random.default_rng(8)
    val = DECAY * (1 + 0.01 * rng.standard_normal(200)) - 0.004 * np.isin(X, np.arange(50, 60))
    text = diagnose(run(val)).reading.text

    assert "they were not worth their cost" in text
    assert "Nothing in the curves says" not in text


def test_a_run_that_still_falls_is_told_to_go_on():
    rng = np.random.default_rng(9)

    assert (
        "more epochs would have been worth it"
        in diagnose(run(2 - 0.005 * X + 0.005 * rng.standard_normal(200))).reading.text
    )


def test_a_run_that_broke_down_is_told_so_first():
    text = diagnose(run(np.where(X > 150, np.nan, DECAY), np.where(X > 150, np.inf, DECAY))).reading.text

    assert text.lower().startswith("train_loss is not a number from epoch 151 on")


def diverging(confidence: bool) -> Run:
    """Accuracy stays at 0.9 while the model's belief in itself goes from 0.9 to 0.99: pure overconfidence."""
    belief = np.clip(0.9 + 0.09 * (X - 60) / 100, 0.9, 0.99)
    loss = -0.9 * np.log(belief) - 0.1 * np.log((1 - belief) / 9) + 1.5 * np.exp(-X / 8)
    rng = np.random.default_rng(10)
    series = {"val_accuracy": 0.9 + 0.001 * rng.standard_normal(200)}
    if confidence:
        series["val_confidence"] = belief + 0.001 * rng.standard_normal(200)
    return run(loss * (1 + 0.005 * rng.standard_normal(200)), DECAY / 4, **series)


def test_logged_confidence_tells_how_much_of_a_rise_is_overconfidence():
    (finding,) = LossAccuracyDivergence().detect(diverging(confidence=True))

    assert finding.effect["calibration_share"] == pytest.approx(1.0, abs=0.1)
    assert "overconfidence accounts for about" in finding.explanation


def test_without_logged_confidence_the_share_is_not_guessed():
    (finding,) = LossAccuracyDivergence().detect(diverging(confidence=False))

    assert "calibration_share" not in finding.effect
    assert "these curves cannot tell" in finding.advice
