"""The numbers behind the four answers, on curves made by hand whose answers are known."""

from __future__ import annotations

import answers_pool
import answers_run as one
import answers_tables as tables
import numpy as np
import pytest

from detectors.vocabulary import Phenomenon
from sim.composed import Composed, compose_one

FALL = np.linspace(2.0, 1.0, 11)  # positions 0..10
RISE = np.linspace(1.0, 1.5, 11)[1:]  # positions 11..20
UP = np.concatenate([FALL, RISE])[None]
DOWN = np.linspace(2.0, 0.5, 21)[None]
FLAT = np.concatenate([FALL, np.ones(10)])[None]


# overconfidence


def test_a_rise_that_the_best_temperature_takes_away_is_overconfidence():
    rising = one.largest_rise(UP, FLAT, 1 - FLAT / 4)

    assert (rising.at, rising.to, rising.kind) == (10, 20, "overconfidence")
    assert (rising.relative, rising.share, rising.accuracy) == pytest.approx((0.5, 1.0, 0.0))


def test_a_rise_that_the_best_temperature_leaves_is_of_decisions():
    rising = one.largest_rise(UP, UP, 1 - UP / 4)

    assert rising.kind == "decisions"
    assert (rising.share, rising.calibrated, rising.accuracy) == pytest.approx((0.0, 0.5, -0.125))


@pytest.mark.parametrize(
    ("share", "kind"), [(-0.5, "overconfidence"), (0.004, "overconfidence"), (0.01, "between"), (0.03, "decisions")]
)
def test_what_is_left_of_a_rise_is_judged_by_the_numbers_of_the_truth(share, kind):
    calibrated = np.concatenate([FALL, 1 + share * np.linspace(0, 1, 11)[1:]])[None]

    assert one.largest_rise(UP, calibrated, UP).kind == kind


def test_what_is_left_of_a_rise_is_negligible_within_its_noise():
    calibrated = np.repeat(FLAT, 8, 0)
    calibrated[:, 20] += 0.01 + 0.1 * np.array([1, -1] * 4)

    assert one.largest_rise(np.repeat(UP, 8, 0), calibrated, UP).kind == "overconfidence"


def test_without_a_material_rise_there_is_nothing_to_share():
    assert one.largest_rise(DOWN, DOWN, DOWN) is None
    assert one.largest_rise(1 + 0.01 * UP, FLAT, FLAT) is None


def test_a_rise_after_a_drop_counts_though_the_curve_was_lower_before():
    risk = np.array([[1.0, 2.0, 3.0, 2.0, 1.5, 1.8, 2.1]])

    rising = one.largest_rise(risk, np.ones((1, 7)), np.ones((1, 7)), begin=3)

    assert (rising.at, rising.to) == (4, 6)
    assert rising.relative == pytest.approx(0.4)


# relief


def test_relief_lasts_to_the_bottom_of_the_rise_that_ends_it():
    risk = np.concatenate([np.full(5, 2.0), [1.5, 1.2, 1.0, 1.1, 1.3]])[None]

    assert one.relief_length(risk, 5) == (3, True)


def test_relief_that_never_ends_lasts_for_the_window_or_to_the_end():
    assert one.relief_length(DOWN, 5, window=8) == (8, False)
    assert one.relief_length(DOWN, 5, window=40) == (16, False)


def test_what_happens_after_the_window_does_not_end_the_relief():
    assert one.relief_length(UP, 2, window=8) == (8, False)
    assert one.relief_length(UP, 2, window=19) == (9, True)


# stopping


def test_patience_counts_from_the_last_new_minimum():
    values = np.array([3.0, 2.0, 2.0, 2.5, 1.9, 2.0, 2.0, 2.0])

    assert one.patience(values, 2) == 3
    assert one.patience(values, 3) == 7
    assert one.patience(values, 4) == 7  # never: the last one


def test_a_visible_rise_is_held_against_the_lowest_so_far():
    values = np.array([2.0, 1.0, 1.04, 1.2, 0.5])

    assert [one.visible_rise(values, s) for s in (0.02, 0.1, 0.3)] == [2, 3, 4]


def test_a_gap_is_believed_when_it_lasts():
    val = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    train = np.array([1.0, 0.5, 1.0, 0.8, 0.8, 0.8, 0.5])

    assert one.gap(val, train, 0.1) == 5
    assert one.gap(val, train, 0.4) == 6  # never


def test_the_true_gap_is_the_one_that_stays():
    risk = np.full(6, 2.0)
    train = np.array([1.0, 2.0, 1.9, 1.5, 1.5, 1.5])

    assert [one.gap_opens(risk, train, s) for s in (0.1, 0.25, 0.3)] == [3, 5, 5]


def test_the_validation_loss_is_read_mid_epoch():
    assert one.mid_epoch(np.array([3.0, 2.0, 1.0])).tolist() == [3.0, 2.5, 1.5]


def test_regret_is_zero_for_the_best_epoch_only():
    risk, accuracy = np.array([2.0, 1.0, 1.25]), np.array([0.3, 0.5, 0.6])

    assert one.regret(risk, accuracy, 1) == (0.0, pytest.approx(0.1))
    assert one.regret(risk, accuracy, 2) == (0.25, 0.0)


def test_every_rule_keeps_the_best_of_what_it_has_seen():
    curves = {"risk": UP, "train_loss_eval": DOWN}
    log = {"val_loss": UP[0], "val_accuracy": -UP[0], "train_loss": DOWN[0], "train_loss_eval": DOWN[0]}

    kept = one.stops(curves, log)

    assert set(kept) >= {*one.RULES, *one.BY_ACCURACY}
    assert kept["patience 5"] == (15, 10)
    assert kept["patience 10, accuracy"] == (20, 10)
    assert kept["rise 5%"] == (12, 10)
    assert kept["true rise"] == kept["true best"] == (10, 10)
    assert kept["gap 10%"] == (one.gap(UP[0], DOWN[0], 0.1), min(10, one.gap(UP[0], DOWN[0], 0.1)))
    assert kept["last"] == (20, 20)


# intervals

#: Epochs at which each rule of a pool made by hand stops.
SIGNAL_RULES = {
    rule: 5 * (1 + i + (signal == "rise"))
    for signal in tables.SIGNALS
    for i, rule in enumerate(tables.SIGNALS[signal][:-1])
}


def test_the_interval_of_a_mean_over_seeds_is_that_of_independent_means():
    rng = np.random.default_rng(0)
    seeds = np.repeat(np.arange(400), 3)
    values = np.repeat(rng.normal(size=400), 3)  # three runs a seed that say the same

    middle, low, high = tables.estimate(values, seeds)

    assert middle == values.mean()
    assert (high - low) / (2 * 1.96 / np.sqrt(400)) == pytest.approx(1, abs=0.15)


def test_a_share_of_one_has_the_exact_interval_of_as_many_seeds():
    assert tables.estimate(np.ones(60, bool), np.repeat(np.arange(20), 3)) == (1, pytest.approx(0.025 ** (1 / 20)), 1)


def test_a_regret_of_zero_is_no_share():
    assert tables.estimate(np.zeros(60), np.arange(60)) == (0, 0, 0)


def test_a_signal_is_judged_at_what_it_costs():
    """Twice as much regret at the same epochs, and none at the end: half-way between, half of each."""
    pool = {"seed": np.arange(4), "drop": np.zeros(4), "label_noise": np.zeros(4)}
    for rule in [*one.RULES]:
        signal, at = rule.rpartition(" ")[0], SIGNAL_RULES.get(rule, 80)
        pool[f"{rule}: stop"] = np.full(4, at)
        for measure in ("loss", "accuracy"):
            pool[f"{rule}: {measure}"] = np.full(4, (80 - at) * (2 if signal == "gap" else 1))

    at = {r["signal"]: r for r in tables.budgets(pool) if r["measure"] == "loss" and r["epochs"] == 40}

    assert {signal: float(row["regret"]) for signal, row in at.items()} == {
        "patience": 40, "rise": 40, "gap": 80, "logged gap": 40,
    }  # fmt: skip
    assert float(at["gap"]["less_patience_low"]) == 40


def test_the_median_is_in_its_interval():
    values = np.arange(101.0)

    middle, low, high = tables.estimate(values, np.arange(101), tables.median)

    assert middle == 50
    assert 35 < low < 45 < 55 < high < 65


# the pool


def test_a_family_shares_everything_but_its_drop():
    base, *others = answers_pool.members(answers_pool.recipe(5)).values()

    assert len({(r.seed, r.width, r.label_noise, r.learning_rate, r.augmentation) for r in [base, *others]}) == 1
    assert {r.schedule.milestones[0] for r in others} == {10, 20, 40}


def test_nine_seeds_have_every_pair_of_width_and_noise():
    pairs = {(r.width, r.label_noise) for r in map(answers_pool.recipe, range(9))}

    assert len(pairs) == len(answers_pool.WIDTHS) * len(answers_pool.NOISES)


def test_a_run_whose_truth_is_composed_is_told_as_its_events_tell_it():
    spec = Composed(noise_floor=0.2, drop_1=60, drop_2=0, overfit=0.4, overfit_at=90, noise=0.01)
    labelled = compose_one(spec, seed=3)
    (drop,) = labelled.of(Phenomenon.LR_DROP)
    at = int(drop.onset) - 1
    log = {name: labelled.run[name] for name in ("val_loss", "val_accuracy", "train_loss")}
    log["train_loss_eval"] = labelled.expected.mean("train_loss_eval")

    told = one.row(labelled, log, at)

    (rise,) = labelled.of(Phenomenon.OVERFITTING)
    (relief,) = labelled.of(Phenomenon.LR_DROP_RELIEF)
    assert (told["rise_onset"], told["rise_end"]) == (rise.onset, rise.end)
    assert told["rise_share"] == pytest.approx(rise.effect["calibration"] / rise.effect["prominence"])
    assert told["relief_kind"] == drop.kind
    assert told["relief_length"] == min(relief.end - drop.onset + 1, one.WINDOW)
    assert told["true best: loss"] == told["true rise: loss"] == 0
    assert told["last: loss"] == pytest.approx(told["final_risk"] / told["best_risk"] - 1)
