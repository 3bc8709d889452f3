"""The definitions of the seven further phenomena, on curves small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detectors.vocabulary import Event
from sim.further import swings
from sim.truth import Expected, events

X = np.arange(1.0, 101)


def only(
    phenomenon: str,
    risk: Sequence[float] | np.ndarray,
    *,
    rates: Sequence[float] | np.ndarray | None = None,
    width: float | None = 0.01,
    reference: float | None = None,
    **curves: Sequence[float] | np.ndarray,
) -> list[Event]:
    """The events of one phenomenon in a run with this exact risk; training has no loss of its own unless given."""
    n = len(risk)
    given = {
        "train_loss_eval": np.linspace(1, 0.5, n),
        "train_loss": np.full(n, 0.5),
        "population_accuracy": np.full(n, 0.8),
    }
    given |= {k: np.asarray(v, float) for k, v in curves.items()} | {"risk": np.asarray(risk, float)}
    if width is not None:
        given["noise_width"] = np.full(n, width)
    expected = Expected(
        epochs=np.arange(1.0, n + 1),
        learning_rate=np.full(n, 0.1) if rates is None else np.asarray(rates, float),
        curves={k: v[None] for k, v in given.items()},
        reference=reference,
    )
    return [e for e in events(expected) if e.phenomenon == phenomenon]


def stalled(at: int, span: int, left: float) -> np.ndarray:
    """Falls by 0.02 an epoch to epoch `at`, stays for `span`, then falls by `left` in ten epochs."""
    before = 2.0 - 0.02 * np.minimum(X, at)
    after = left * np.clip((X - at - span) / 10, 0, 1)
    return before - after


def test_a_plateau_begins_where_the_risk_stops_falling_and_ends_where_it_falls_again():
    (event,) = only("plateau", stalled(40, 30, 0.5))

    assert (event.onset, event.end, event.material) == (40, 70, True)
    assert event.effect["to_come"] == pytest.approx(0.5 / (0.78 + 0.5), rel=0.01)


def test_a_converged_tail_is_no_plateau():
    assert only("plateau", stalled(40, 60, 0.0)) == []


def test_what_is_still_to_come_is_held_against_the_total_descent():
    (event,) = only("plateau", stalled(40, 30, 0.03))

    assert not event.material  # 3.7 % is still to come


def test_a_stall_of_nine_epochs_in_a_hundred_is_no_plateau():
    assert [e for e in only("plateau", stalled(40, 7, 0.5)) if e.material] == []


@pytest.mark.parametrize("decay", [2, 8, 30, 100])
def test_no_exponential_decay_has_a_plateau(decay):
    assert only("plateau", 0.5 + 1.8 * np.exp(-X / decay)) == []


def test_a_plateau_that_creeps_is_one():
    creeping = 2.0 - 0.02 * np.minimum(X, 30) - 0.0006 * np.clip(X - 30, 0, 50) - 0.06 * np.clip(X - 80, 0, 10)

    assert len(only("plateau", creeping)) == 1


def spiked(at: int, height: float, lasting: int = 1) -> np.ndarray:
    return 1.0 + height * ((at <= X) & (at + lasting > X))


def test_a_spike_is_up_by_eight_widths_and_back():
    (event,) = only("spike", spiked(50, 0.09))

    assert (event.onset, event.end, event.material) == (50, 51, True)
    assert event.effect["widths"] == pytest.approx(9)


def test_a_spike_of_six_widths_is_grey():
    (event,) = only("spike", spiked(50, 0.06))

    assert not event.material


@pytest.mark.parametrize(("lasting", "spikes"), [(4, 1), (5, 0)])
def test_a_spike_is_back_within_five_evaluations_of_the_last_one_before_it(lasting, spikes):
    assert len(only("spike", spiked(50, 0.2, lasting))) == spikes


def test_a_spike_on_the_way_up_is_one_as_well():
    assert len(only("spike", spiked(50, 0.3) + 0.005 * X)) == 1


def test_a_jump_that_stays_is_no_spike():
    assert only("spike", 1.0 + 0.2 * (X >= 50)) == []


def test_a_rise_that_a_drop_ends_is_no_spike():
    rates = np.where(X > 50, 0.02, 0.1)

    assert only("spike", 1.0 + 0.02 * np.clip(X - 47, 0, 3) - 0.06 * (X > 50), rates=rates) == []


def test_without_the_width_of_the_noise_nothing_is_said_of_spikes_and_oscillations():
    assert only("spike", spiked(50, 0.5), width=None) == []
    assert only("oscillation", 1 + 0.3 * np.sin(X), width=None) == []


def test_a_loss_that_is_not_finite_blows_up_where_it_is_not():
    (event,) = only("blow_up", X * 0 + 1, train_loss_eval=np.where(X == 30, np.inf, 1 / X))

    assert (event.onset, event.kind) == (30, "not_finite")


def test_a_loss_above_its_first_value_to_the_end_blows_up_from_where_it_stays_there():
    (event,) = only(
        "blow_up", X * 0 + 1, train_loss_eval=np.where((X == 10) | (X >= 60), 3.0, np.where(X > 1, 1.0, 2.0))
    )

    assert (event.onset, event.kind) == (60, "above_start")


@pytest.mark.parametrize("loss", [1 / X, np.where((X >= 10) & (X < 90), 3.0, 1 / X), X * 0 + 1])
def test_a_loss_that_comes_back_or_never_moves_does_not_blow_up(loss):
    assert only("blow_up", X * 0 + 1, train_loss_eval=loss) == []


def test_an_oscillation_has_six_alternating_swings():
    curve = 1 + 0.1 * np.where(X < 41, 0, np.where(X < 71, np.sin(2 * np.pi * (X - 41) / 10), 0))
    (event,) = only("oscillation", curve)

    assert event.material
    assert 41 <= event.onset <= 46
    assert event.effect["period"] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("periods", [0.5, 1, 2])
def test_fewer_swings_are_no_oscillation(periods):
    phase = np.clip((X - 41) / 10, 0, periods)

    assert only("oscillation", 1 + 0.1 * np.sin(2 * np.pi * phase)) == []


def test_three_spikes_are_no_oscillation():
    three = 1.0 + 0.5 * np.isin(X, [20, 50, 80])

    assert only("oscillation", three) == []
    assert len(only("spike", three)) == 3


def test_a_peak_of_a_fast_oscillation_is_no_spike():
    fast = 1 + 0.2 * np.sin(np.pi * X / 2)

    assert len(only("oscillation", fast)) == 1
    assert only("spike", fast) == []


def test_rises_and_falls_at_drops_are_no_swings():
    rates = 0.1 * 0.2 ** np.searchsorted([25, 50, 75], X - 1, side="right")
    sawtooth = 1 + 0.02 * ((X - 1) % 25)

    assert only("oscillation", sawtooth, rates=rates) == []
    assert len(only("oscillation", 1 + 0.02 * ((X - 1) % 12))) == 1


def test_swings_alternate_and_the_decay_before_them_is_none():
    curve = np.array([9, 5, 1, 3, 1, 3, 1.0])

    assert swings(curve, np.full(7, 1.5)) == [2, 3, 4, 5, 6]


def falls_to(last: float) -> np.ndarray:
    return last + (2.5 - last) * np.exp(-(X - 1) / 8)


@pytest.mark.parametrize(("last", "gap", "found"), [(1.0, 0.1, True), (0.8, 0.1, False), (1.0, 0.3, False)])
def test_underfitting_leaves_a_fifth_of_the_initial_excess_and_no_gap(last, gap, found):
    loss = falls_to(last)

    events = only("underfitting", loss + gap, train_loss_eval=loss, reference=0.5)
    assert [e.material for e in events] == ([True] if found else [False])  # the others are grey


def test_without_a_reference_nothing_is_said_of_underfitting():
    assert only("underfitting", falls_to(1.0), train_loss_eval=falls_to(1.0)) == []


def test_a_fit_to_the_reference_is_no_underfitting():
    assert only("underfitting", falls_to(0.55), train_loss_eval=falls_to(0.55), reference=0.5) == []


def hump(height: float, fall: float) -> np.ndarray:
    return (
        1.0 + height * np.clip((X - 20) / 20, 0, 1) - fall * np.clip((X - 50) / 20, 0, 1) + np.maximum(20 - X, 0) * 0.1
    )


def test_a_double_descent_is_a_material_rise_and_then_a_fall_by_half_of_it():
    (event,) = only("double_descent", hump(0.4, 0.3))

    assert (event.onset, event.end, event.material) == (20, 70, True)
    assert event.effect["share"] == pytest.approx(0.75)


@pytest.mark.parametrize(("fall", "grey"), [(0.15, 1), (0.05, 0)])
def test_a_fall_by_less_than_half_is_no_second_descent(fall, grey):
    assert [e.material for e in only("double_descent", hump(0.4, fall))] == [False] * grey


@pytest.mark.parametrize("rates", [np.where(X < 55, 0.1, 0.02), 0.1 * np.cos(np.pi * X / 202)])
def test_a_fall_with_a_change_of_rate_is_no_second_descent(rates):
    assert [e for e in only("double_descent", hump(0.4, 0.3), rates=rates) if e.material] == []


def grokked(at: float) -> np.ndarray:
    return 0.1 + 0.8 / (1 + np.exp(-(X - at) / 2))


@pytest.mark.parametrize(("at", "found"), [(60, [True]), (45, [False]), (15, [])])
def test_a_generalization_three_times_later_than_the_fit_is_delayed(at, found):
    fit = np.minimum(X / 20, 1.0)

    assert [
        e.material for e in only("delayed_generalization", X, population_accuracy=grokked(at), train_accuracy=fit)
    ] == found


def test_a_gain_of_two_points_at_the_ceiling_is_no_delay():
    late = 0.96 + 0.02 * (X > 40)

    assert (
        only("delayed_generalization", X, population_accuracy=late, train_accuracy=np.full(100, 1.0))[0].material
        is False
    )
