"""Causes that no curve can tell apart are called so, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from sim.ambiguity import CONFUSED, apart
from sim.composed import Composed, compose_one, observe
from sim.margin import MODEL, SEED_MARGIN, Margin, runs
from sim.margin.rivals import nearest, with_causes

RISE = {"overfit_at": 100, "overfit_span": 50}
DRIFT = {"drift_at": 100, "drift_span": 50}
# the rise of the first is memory, that of the second overconfidence; where accuracy hardly follows, they look alike
PAIRS = [
    (Composed(overfit=0.2, slope=s, accuracy_noise=a, **RISE), Composed(drift=0.2, slope=s, accuracy_noise=a, **DRIFT))
    for s, a in ((0.0, 0.003), (0.002, 0.01), (0.3, 0.003), (0.1, 0.003))
]


def test_a_run_is_no_distance_from_itself():
    expected = compose_one(Composed(overfit=0.2, overfit_at=60)).expected

    assert apart(expected, expected) == 0


@pytest.mark.parametrize(("memory", "drift"), PAIRS)
def test_a_pair_with_different_causes_is_ambiguous_where_its_curves_are_within_their_noise_and_only_there(
    memory, drift
):
    a, b = compose_one(memory), compose_one(drift)
    alike = apart(a.expected, b.expected) < CONFUSED

    assert alike == (memory.slope < 0.01)
    assert bool(a.ambiguous) == bool(b.ambiguous) == alike
    assert not alike or set(a.ambiguous) == {"memorisation", "calibration"}


def test_a_gain_of_accuracy_tells_a_drift():
    assert compose_one(Composed(drift=0.2, slope=0.0, gain=0.03, **DRIFT)).ambiguous == ()


def test_a_run_without_a_material_rise_has_nothing_to_be_ambiguous_about():
    assert compose_one(Composed(overfit=0.004, slope=0.0, **RISE)).ambiguous == ()


@pytest.mark.slow
@given(st.sampled_from([0.0, 0.5]), st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=6)
def test_the_best_test_between_two_runs_is_wrong_as_often_as_their_distance_says(rho, size):
    # white in the other series; the likelihood ratio of the AR(1) noise of the validation loss decides
    one = Composed(noise=0.02, rho=rho, accuracy_noise=0.0, train_noise=0.005)
    other = replace(one, jump=0.0008 * size, jump_at=120)  # lowers the training loss as well
    a, b = compose_one(one), compose_one(other)
    d = _apart_of_losses(a, b, rho)
    wrong = []
    for spec, sign in ((one, 1), (other, -1)):
        for run in observe(spec, range(400)):
            score = sum(
                (
                    w(run[s] - (a.expected.mean(c) + b.expected.mean(c)) / 2)
                    * w(b.expected.mean(c) - a.expected.mean(c))
                ).sum()
                for s, c, w in _losses(a, rho)
            )
            wrong.append(sign * score > 0)

    # 800 runs: a standard error of at most 0.018
    assert np.mean(wrong) == pytest.approx(ndtr(-d / 2), abs=0.055)


def _losses(a, rho: float):
    from sim.ambiguity import whitened

    e = a.expected
    return [
        ("val_loss", "risk", lambda z: whitened(z, e.mean("noise_width"), rho)),
        ("train_loss", "train_loss", lambda z: whitened(z, e.mean("noise_width_train_loss"), 0.0)),
    ]


def _apart_of_losses(a, b, rho: float) -> float:
    return float(np.sqrt(sum((w(b.expected.mean(c) - a.expected.mean(c)) ** 2).sum() for _, c, w in _losses(a, rho))))


# the margin model


@pytest.mark.slow
def test_a_rise_with_a_little_regrowth_in_it_is_ambiguous_in_much_noise_and_not_in_little():
    # 3 % of the rise between the drops is the effective rate growing back, the rest is memory
    little = Margin(
        weight_decay=0.004, gradient=0.0197, fast_rate=0.1397, slow_rate=0.081, memory_rate=0.0594, memory_power=0.0,
        settling=0.632, sgd_noise=7.953, fast=1.488, slow=1.0005, confusion=1.156, recall=0.3127,
        confidence_rate=0.2938, confidence_power=0.126, augmentation=0.53, gate=2.006,
    )  # fmt: skip
    loud, quiet = (
        runs([replace(little, noise=n, accuracy_noise=n / 4, train_noise=n / 2)], [0])[0] for n in (0.08, 2e-3)
    )

    assert loud.of("overfitting")
    assert with_causes(loud).ambiguous == ("memorisation", "regrowth")
    assert with_causes(quiet).ambiguous == ()

    asked = [replace(labelled.recipe, causes=1) for labelled in (loud, quiet)]
    others = [loud.recipe, *asked, Margin()]
    assert [labelled.ambiguous for labelled in runs(others, [0] * 4)] == [(), ("memorisation", "regrowth"), (), ()]
    assert list(MODEL.batch(others, [0] * 4).ambiguous) == [(), ("memorisation", "regrowth"), (), ()]


@pytest.mark.slow
def test_the_named_setting_is_told_from_every_rival_in_its_own_noise():
    labelled = runs([SEED_MARGIN], [0])[0]

    assert nearest(labelled, "memorisation").apart > CONFUSED
    assert with_causes(labelled).ambiguous == ()


@pytest.mark.slow
def test_a_rival_is_as_near_as_its_own_curves_say():
    labelled = runs([Margin(noise=0.05)], [0])[0]
    rival = nearest(labelled, "regrowth")
    made = runs([rival.recipe], [0])[0]

    assert apart(labelled.expected, made.expected) == pytest.approx(rival.apart, rel=1e-3)
    assert rival.recipe.weight_decay == 1e-6
