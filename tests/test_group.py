"""Runs of one recipe together: the exact test, what it finds that no single run shows, and how it is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from detectors import diagnose
from detectors.cli import main
from detectors.group import diagnose_group, groups, rise_contrasts
from detectors.report.page import page
from detectors.sign_flip import flipped_maxima, p_values, smallest_p, t_of
from detectors.vocabulary import Run
from sim.composed import Composed, observe

SMALL = Composed(overfit=0.03, overfit_at=80, noise=0.02, rho=0.5)
RELIEF = Composed(drop_1=60, noise_floor=0.05, overfit=0.1, overfit_at=30, noise=0.02, rho=0.3)


@pytest.fixture(scope="module")
def small() -> list[Run]:
    return observe(SMALL, range(8))


def noise(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    e = rng.standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1))


def runs_of(values: np.ndarray, **series: np.ndarray) -> list[Run]:
    epochs = np.arange(1, values.shape[1] + 1)
    return [Run(epochs=epochs, series={"val_loss": v, **series}, name=f"seed-{i}") for i, v in enumerate(values)]


def lowest(values: np.ndarray) -> float:
    contrasts, _ = rise_contrasts(values)
    return float(p_values(t_of(contrasts), flipped_maxima(contrasts)).min())


# the test


def test_all_ways_to_flip_six_runs_are_tried_once():
    assert len(flipped_maxima(np.eye(6))) == 64
    assert len(flipped_maxima(np.eye(20))) == 10_000


def test_one_contrast_has_the_p_value_of_counting():
    contrasts = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [-0.5]])
    t = t_of(contrasts)

    # sums of the signed numbers that are at least 14.5: none of them is flipped, or the negative one alone
    assert p_values(t, flipped_maxima(contrasts)) == [2 / 64]


@given(seed=st.integers(0, 1000), unit=st.sampled_from([2.0**-30, 0.25, 1024.0]))
@settings(max_examples=10)
def test_neither_the_unit_nor_the_order_of_the_runs_matters(seed, unit):
    rng = np.random.default_rng(seed)
    values = noise(rng, 6, 60, 0.5)

    assert lowest(unit * rng.permutation(values)) == lowest(values)


def test_contrasts_that_are_all_zero_show_nothing():
    assert lowest(np.ones((6, 40))) == 1.0


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_p_values_of_flat_runs_are_none_too_small(rho):
    rng = np.random.default_rng(1)
    p = np.array([lowest(noise(rng, 7, 60, rho)) for _ in range(1500)])

    assert (p <= 0.05).mean() == pytest.approx(6 / 128, abs=0.018)  # of 128 ways 6 are at most 0.05; three errors
    assert (p <= 0.2).mean() == pytest.approx(25 / 128, abs=0.035)


@pytest.mark.slow
def test_flat_and_falling_groups_alarm_in_at_most_alpha():
    rng = np.random.default_rng(2)
    decay = 10 * np.exp(-np.arange(200) / 20)
    found = [
        sum(bool(diagnose_group(runs_of(f + noise(rng, 8, 200, rho))).findings) for _ in range(400))
        for f, rho in ((0.0, 0.8), (decay, 0.5))
    ]

    assert max(found) <= 36  # of 400 at 0.05: more happens in 1 of 1,000


# what it finds


def test_a_rise_is_found_that_single_runs_do_not_show():
    runs = observe(replace(SMALL, overfit=0.01), range(8))

    assert diagnose_group(runs)["overfitting"].status == "found"
    assert sum(diagnose(run)["overfitting"].status == "found" for run in runs) <= 2


def test_the_intervals_hold_the_bottom_and_the_height(small):
    (finding,) = diagnose_group(small)["overfitting"].findings

    assert finding.onset_interval[0] <= 80 <= finding.onset_interval[1]
    assert finding.effect["prominence_low"] <= 0.03 <= finding.effect["prominence_high"]
    assert finding.p_value == smallest_p(8)


def test_a_rise_is_told_once():
    curve = 2 * np.exp(-np.arange(200) / 20) + np.clip((np.arange(200) - 80) / 40, 0, 1)
    values = curve + noise(np.random.default_rng(3), 8, 200, 0.3) / 10

    assert len(diagnose_group(runs_of(values))["overfitting"].findings) == 1


def test_a_rise_that_training_shares_is_none(small):
    shared = [run.with_series(train_loss=run["val_loss"]) for run in small]

    assert diagnose_group(shared)["overfitting"].reason == "val_loss rises, but train_loss rises with it"


def test_relief_at_a_drop_that_all_share_is_found():
    found = diagnose_group(observe(RELIEF, range(8)))["lr_drop_relief"].findings

    assert [f.onset for f in found] == [61]
    assert found[0].effect["relief_low"] > 0


def test_a_drop_that_does_nothing_brings_no_relief():
    assert diagnose_group(observe(Composed(drop_1=60, noise=0.02), range(8)))["lr_drop_relief"].status == "absent"


def test_a_steady_decline_through_a_drop_is_no_relief():
    rates = np.repeat([0.1, 0.01], 60)
    values = 2 - np.arange(120) / 100 + noise(np.random.default_rng(4), 8, 120, 0.3) / 50

    assert diagnose_group(runs_of(values, learning_rate=rates))["lr_drop_relief"].status == "absent"


# what it cannot tell


@pytest.mark.parametrize(
    ("count", "alpha", "reason"),
    [
        (1, 0.05, "1 run logs val_loss; 6 are needed, since the smallest p-value there can be is 1"),
        (5, 0.05, "5 runs log val_loss; 6 are needed, since the smallest p-value there can be is 0.062"),
        (6, 0.01, "the smallest p-value that 6 runs can show is 0.031, above alpha=0.01"),
    ],
)
def test_too_few_runs_are_undetermined_with_the_smallest_p_value(small, count, alpha, reason):
    verdict = diagnose_group(small[:count], alpha)["overfitting"]

    assert (verdict.status, verdict.reason) == ("undetermined", reason)


def test_runs_without_common_epochs_are_undetermined(small):
    apart = [Run(epochs=run.epochs + 1000 * i, series=run.series) for i, run in enumerate(small)]

    assert "0 epochs in common" in diagnose_group(apart)["overfitting"].reason


def test_runs_that_log_nothing_are_undetermined(small):
    assert diagnose_group([run.without("val_loss") for run in small])["overfitting"].reason == "no run logs val_loss"


def test_runs_of_other_lengths_are_read_as_far_as_all_go(small):
    group = diagnose_group([*small, *(run.until(150) for run in small[:2])])

    assert group.notes == ("the runs have 150 epochs in common, the longest has 200",)
    assert group["overfitting"].status == "found"


def test_a_run_that_is_logged_twice_counts_once(small):
    alone, twice = diagnose_group(small), diagnose_group([*small, *small[:2]])

    assert twice.notes == (
        "2 runs are left out, whose val_loss is that of another one to the last digit: the same run, logged again",
    )
    assert twice.verdicts == alone.verdicts
    assert diagnose_group(small[:1] * 7)["overfitting"].reason.startswith("1 different run logs val_loss; 6 are needed")


def test_other_drops_are_noted(small):
    rates = np.repeat([0.1, 0.01], 100)
    other = small[0].with_series(learning_rate=rates)

    assert any(
        "do not drop their rates at the same epochs" in note for note in diagnose_group([other, *small[1:]]).notes
    )


@pytest.mark.parametrize(("settings_", "said"), [({"alpha": 0}, "alpha=0"), ({"level": 1.5}, "level=1.5")])
def test_settings_that_cannot_be_are_refused(small, settings_, said):
    with pytest.raises(ValueError, match=said):
        diagnose_group(small, **settings_)


def test_a_group_without_a_run_is_refused():
    with pytest.raises(ValueError, match="there is none"):
        diagnose_group([])


# which runs belong together


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a/seed_1/log.csv", "a/seed_2/log.csv", "b/seed_1/log.csv"], {"a/*/log.csv": 2, "b/*/log.csv": 1}),
        (["a/wide-seed1.csv", "a/wide-seed2.csv", "a/deep-seed1.csv"], {"a/wide-*.csv": 2, "a/deep-*.csv": 1}),
        (["a/1/log.csv", "a/22/log.csv"], {"a/*/log.csv": 2}),
        (["a/x.csv", "a/y.csv", "b/x.csv"], {"a": 2, "b": 1}),
    ],
)
def test_runs_are_of_one_recipe_by_where_they_come_from(sources, expected):
    runs = [Run(epochs=[1.0], series={"val_loss": [1.0]}, source=source) for source in sources]

    assert {name: len(members) for name, members in groups(runs).items()} == expected


def test_a_group_that_a_reader_has_told_counts_first():
    runs = [Run(epochs=[1.0], series={}, source=f"{i}.csv", group="wide") for i in range(3)]

    assert list(groups(runs)) == ["wide"]


# at the command line


@pytest.fixture
def logs(tmp_path: Path, small: list[Run]) -> Path:
    for i, run in enumerate(small):
        folder = tmp_path / f"seed_{i}"
        folder.mkdir()
        rows = np.stack([run.epochs, run["train_loss"], run["val_loss"]], 1)
        np.savetxt(folder / "log.csv", rows, "%.6g", ",", header="epoch,train_loss,val_loss", comments="")
    return tmp_path


def test_the_group_stands_below_the_runs(logs, capsys):
    assert main(["diagnose", str(logs), "--group", "--summary"]) == 0

    said = capsys.readouterr().out
    assert "8 runs together" in said
    assert said.index("seed_7") < said.index("8 runs together") < said.index("Val_loss of 8 runs was")


def test_quiet_says_what_the_group_shows_in_a_line(logs, capsys):
    main(["diagnose", str(logs), "--group", "-q"])

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "8 runs:" in line]
    assert "overfitting: val_loss of 8 runs was lowest" in line


def test_the_group_is_an_object_of_the_json(logs, capsys):
    main(["diagnose", str(logs), "--group", "--json"])

    *runs, group = json.loads(capsys.readouterr().out)
    assert [len(runs), len(group["runs"])] == [8, 8]
    assert group["verdicts"][0]["status"] == "found"


def test_a_finding_of_the_group_is_one_to_fail_on(logs):
    assert main(["diagnose", str(logs), "--group", "-q", "--fail-on", "overfitting"]) == 3


def test_the_page_has_a_section_on_the_group(small):
    content = page([diagnose(run) for run in small[:2]], (), [diagnose_group(small)])

    assert "8 runs together" in content
