"""The definitions of the phenomena, on curves small enough to check by hand."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from detectors.vocabulary import Event
from sim.composed import Composed, compose_one
from sim.truth import Expected, events, is_null


def expected(
    risk: Sequence[float],
    *,
    train_eval: Sequence[float] | None = None,
    train: Sequence[float] | None = None,
    accuracy: Sequence[float] | None = None,
    calibrated: Sequence[float] | None = None,
    rates: Sequence[float] | None = None,
    twins: dict[int, Sequence[float]] | None = None,
) -> Expected:
    n = len(risk)

    def row(values: Sequence[float] | None, default: float) -> np.ndarray:
        return np.array([[default] * n if values is None else values], float)

    return Expected(
        epochs=np.arange(1.0, n + 1),
        learning_rate=np.array([0.1] * n if rates is None else rates, float),
        curves={
            "risk": row(risk, 0),
            "train_loss_eval": row(train_eval, 0.5),
            "train_loss": row(train, 0.5),
            "population_accuracy": row(accuracy, 0.8),
            "risk_calibrated": np.array([risk if calibrated is None else calibrated], float),
        },
        without_drop={k: np.array([v], float) for k, v in (twins or {}).items()},
    )


def only(phenomenon: str, e: Expected) -> list[Event]:
    return [x for x in events(e) if x.phenomenon == phenomenon]


RISE = [2.0, 1.5, 1.0, 1.001, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]


def test_overfitting_starts_at_the_bottom_and_its_effect_is_the_prominence():
    (event,) = only("overfitting", expected(RISE))

    assert (event.onset, event.end, event.material) == (3, 10, True)
    assert event.effect["prominence"] == pytest.approx(0.6)


def test_the_band_holds_what_is_within_half_a_percent_of_the_bottom():
    (event,) = only("overfitting", expected(RISE))

    assert event.band == (3, 4)


def test_a_small_rise_has_a_narrow_band():
    # prominence 0.03: a tenth of it, 0.003, is less than half a percent of 1.0
    (event,) = only("overfitting", expected([2.0, 1.0, 1.0035, 1.01, 1.02, 1.025, 1.028, 1.03]))

    assert event.band == (2, 2)


def test_a_rise_under_two_percent_is_grey():
    (event,) = only("overfitting", expected([2.0, 1.0, 1.002, 1.004, 1.006, 1.008, 1.01, 1.01]))

    assert not event.material


def test_a_rise_over_two_percent_is_material():
    (event,) = only("overfitting", expected([2.0, 1.0, 1.005, 1.01, 1.015, 1.018, 1.02, 1.021]))

    assert event.material


def test_a_rise_under_half_a_percent_is_none():
    e = expected([2.0, 1.0, 1.001, 1.002, 1.003])

    assert is_null(e)
    assert only("overfitting", e) == []


def test_a_rise_that_training_shares_is_not_overfitting():
    assert only("overfitting", expected(RISE, train_eval=RISE)) == []


def test_a_spike_is_not_overfitting():
    assert only("overfitting", expected([2.0, 1.0, 1.5, 1.4, 1.0, 0.99, 0.98, 0.97])) == []


def test_the_standard_error_of_sisters_makes_a_rise_grey():
    base = np.array(RISE)
    noise = np.zeros((8, 10))
    noise[:, 9] = np.linspace(-0.8, 0.8, 8)
    e = expected(RISE)
    sisters = Expected(
        epochs=e.epochs,
        learning_rate=e.learning_rate,
        curves={**{k: np.repeat(v, 8, 0) for k, v in e.curves.items()}, "risk": base + noise},
    )

    assert [x.material for x in only("overfitting", sisters)] == [False]  # 0.6 is 3.1 standard errors


def test_the_gap_starts_where_it_stays_above_a_tenth_for_good():
    risk = [1.0] * 8
    (event,) = only("generalization_gap", expected(risk, train_eval=[1.0, 0.8, 0.95, 0.93, 0.89, 0.8, 0.7, 0.6]))

    assert event.onset == 5
    assert event.effect["onset_25pct"] == 7


def test_a_gap_that_closes_again_is_none():
    assert only("generalization_gap", expected([1.0] * 5, train_eval=[1.0, 0.5, 0.5, 0.5, 0.95])) == []


RATES = [0.1] * 6 + [0.02] * 6


def test_a_drop_is_at_the_first_epoch_of_the_new_rate():
    (event,) = only("lr_drop", expected([1.0] * 12, rates=RATES))

    assert event.onset == 7
    assert event.effect["factor"] == pytest.approx(0.2)


@pytest.mark.parametrize("final", [0.01, 0.0])
def test_a_cosine_has_no_drop(final):
    x = np.arange(60)
    rates = final + (1 - final) * (1 + np.cos(np.pi * x / 60)) / 2

    assert only("lr_drop", expected([1.0] * 60, rates=rates)) == []


def test_relief_is_the_mean_distance_to_the_twin():
    twin = [1.0] * 12
    risk = [1.0] * 6 + [0.9] * 6
    (event,) = only("lr_drop_relief", expected(risk, rates=RATES, twins={6: twin}))

    assert (event.onset, event.end, event.kind) == (7, None, "new_best")
    assert event.effect["mean"] == pytest.approx(0.1)


def test_relief_ends_at_the_bottom_of_the_next_rise():
    risk = [1.0] * 6 + [0.9, 0.85, 0.9, 1.0, 1.1, 1.2]
    (event,) = only("lr_drop_relief", expected(risk, rates=RATES, twins={6: [1.3] * 12}))

    assert event.end == 8


def test_a_drop_that_changes_nothing_is_no_relief():
    assert only("lr_drop_relief", expected([1.0] * 12, rates=RATES, twins={6: [1.0] * 12})) == []


def test_a_drop_that_harms_is_not_to_be_found_as_relief():
    (event,) = only("lr_drop_relief", expected([1.0] * 12, rates=RATES, twins={6: [0.8] * 12}))

    assert (event.kind, event.material) == ("harmful", False)


def test_divergence_is_a_rise_over_which_accuracy_does_not_fall():
    rising = np.linspace(0.8, 0.83, 10)
    (event,) = only("loss_accuracy_divergence", expected(RISE, accuracy=rising))

    assert (event.onset, event.kind) == (3, "accuracy_rising")


def test_accuracy_that_stays_is_flat_and_accuracy_that_falls_is_no_divergence():
    (event,) = only("loss_accuracy_divergence", expected(RISE))

    assert event.kind == "accuracy_flat"
    assert only("loss_accuracy_divergence", expected(RISE, accuracy=np.linspace(0.8, 0.7, 10))) == []


def test_the_calibration_share_is_what_the_temperature_takes_away():
    calibrated = [2.0, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.15]
    (event,) = only("loss_accuracy_divergence", expected(RISE, calibrated=calibrated))

    assert event.effect["calibration_share"] == pytest.approx(1 - 0.15 / 0.6)


def test_train_above_val_needs_three_epochs_in_a_row():
    risk = [1.0] * 8
    two = [1.2, 1.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    three = [1.2, 1.2, 1.2, 0.9, 0.9, 0.9, 0.9, 0.9]

    assert only("train_above_val", expected(risk, train=two)) == []
    assert [(e.onset, e.end) for e in only("train_above_val", expected(risk, train=three))] == [(1, 3)]


def test_the_parts_of_train_above_val_add_up_and_the_largest_is_the_cause():
    train_eval = [0.9] * 8
    (event,) = only("train_above_val", expected([1.0] * 8, train=[1.3] * 8, train_eval=train_eval))
    parts = {k: event.effect[k] for k in ("lag", "mode", "train_minus_risk")}

    assert event.kind == "mode"
    assert sum(parts.values()) == pytest.approx(event.effect["mean"])


def test_half_an_epoch_of_lag_is_the_cause_where_training_falls_fast():
    train_eval = np.array([8.0, 7, 6, 5, 4, 3, 2, 1])
    (event,) = only("train_above_val", expected(train_eval - 0.0, train=train_eval + 0.5, train_eval=train_eval))

    assert event.kind == "lag"


def test_curves_of_the_wrong_shape_are_refused_by_name():
    with pytest.raises(ValueError, match=r"risk must have shape \(sisters, 3\)"):
        Expected(epochs=np.arange(3.0), learning_rate=np.ones(3), curves={"risk": np.ones((1, 4))})


def test_a_stretch_is_not_cut_by_an_epoch_at_which_it_is_merely_less_sure():
    e = expected([1.0] * 12, train=[1.1] * 12)
    noise = np.zeros((8, 12))
    noise[:, 6] = np.linspace(-0.4, 0.4, 8)  # at one epoch the excess of 0.1 is one standard error
    sisters = Expected(
        epochs=e.epochs,
        learning_rate=e.learning_rate,
        curves={**{k: np.repeat(v, 8, 0) for k, v in e.curves.items()}, "train_loss": 1.1 + noise},
    )

    assert [(x.onset, x.end) for x in only("train_above_val", sisters)] == [(1, None)]


def test_a_labelled_run_travels_to_another_process():
    made = compose_one(Composed(overfit=0.5, overfit_at=100, drop_1=60))
    again = pickle.loads(pickle.dumps(made))

    assert (again.events, again.recipe, again.cause) == (made.events, made.recipe, made.cause)
    for mine, theirs in (
        (made.expected.curves, again.expected.curves),
        (made.expected.without_drop, again.expected.without_drop),
        (made.expected.twins, again.expected.twins),
    ):
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[key], theirs[key]) for key in mine)
    with pytest.raises(TypeError):
        again.expected.curves["risk"] = made.run.epochs
