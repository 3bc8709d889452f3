"""A watch keeps its promise: it says what it would have said on the prefix, takes nothing back, and is rarely wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.special import stdtr

from detectors.anytime import BLOCKS, GRID, MOST, SHORTEST, SIZES, SPAN, STRIDE, _fit, anytime_p, due, weight, window_p
from detectors.overfitting import Overfitting
from detectors.rising_online import BOUND
from detectors.vocabulary import BadRun, Run
from detectors.watch import WATCHED, Replay, Watch
from sim.composed import Composed, observe
from sim.exam import examine

OVERFITS = Composed(overfit=0.4, overfit_at=80)
DIVERGES = Composed(drift=0.4, drift_at=60, gain=0.05, drop_1=60, drop_2=120)


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    e = rng.standard_normal((runs, n))
    e[:, 1:] *= math.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1))


def run_of(val: np.ndarray, **series: np.ndarray) -> Run:
    n = len(val)
    return Run(epochs=np.arange(1, n + 1), series={"val_loss": val, "train_loss": np.linspace(2, 1, n), **series})


@pytest.fixture(scope="module")
def overfits() -> Run:
    return observe(OVERFITS, [0])[0]


# the windows and their weights


@pytest.mark.parametrize("size", SIZES)
def test_the_weights_of_all_windows_that_can_ever_be_sum_to_less_than_one(size):
    ends = STRIDE * size * np.arange(1, 100_000)
    sums = weight(ends, size).sum() * len(SIZES) * len(BLOCKS)

    assert 0.8 < sums < 1  # of each size and number of blocks; the rest lies further on


def test_a_window_is_due_every_second_block_once_it_is_full():
    counts = [count for count in range(1, 200) if (3, 12) in due(count)]

    assert counts == list(range(36, 200, 6))


@pytest.mark.parametrize("bound", [0.3, BOUND, MOST])
@pytest.mark.parametrize("size", SIZES[:5])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_no_curve_that_never_rises_has_a_rising_slope(bound, size, blocks):
    sums = [np.cumsum(_fit(size, blocks, share * bound, 1).slope)[:-1].max() for share in GRID]

    assert max(sums) < 1e-9  # partial sums below 0: a fall at any place makes the slope smaller


@pytest.mark.parametrize(("size", "blocks", "rho", "degree"), [(3, 12, 0.8, 1), (9, 20, 0.4, 1), (4, 12, 0.8, 4)])
def test_at_its_own_autocorrelation_the_p_value_of_a_window_is_uniform(size, blocks, rho, degree):
    noise = ar1(np.random.default_rng(1), 20_000, size * blocks, rho)
    fit = _fit(size, blocks, rho, degree)
    x = noise.reshape(-1, blocks, size).mean(-1)
    t = (x @ fit.slope) / np.sqrt(fit.squares(x) / fit.degrees)
    p = stdtr(fit.degrees, -t)
    assert np.mean(p <= 0.01) == pytest.approx(0.01, abs=0.003)  # four standard errors of 20,000 draws
    assert np.mean(p <= 0.3) == pytest.approx(0.3, abs=0.013)


def test_noise_of_sisters_adds_degrees_of_freedom():
    rng = np.random.default_rng(0)
    window = np.linspace(0, 2.5, 36) + rng.standard_normal(36)

    alone, together = (float(window_p(window, 3, 12, 0.0, noise)) for noise in (None, rng.standard_normal((5, 36))))
    assert together < alone / 3


def test_a_watch_and_the_array_of_runs_agree():
    rng = np.random.default_rng(3)
    values = 3 * np.exp(-np.arange(150) / 20) + np.maximum(np.arange(150) - 80, 0) / 40 + ar1(rng, 4, 150, 0.5) / 4
    stepwise = []
    for val in values:
        watch, p = Watch(["overfitting"]), []
        for i, v in enumerate(val):
            watch.update(i, val_loss=v, train_loss=1.0)
            p.append(watch._rises["overfitting"].p_value)
        stepwise.append(p)

    np.testing.assert_allclose(anytime_p(values, BOUND), stepwise, rtol=1e-9)  # sums in another order


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_at_most_alpha_of_runs_that_never_rise_ever_alarm(rho):
    rng = np.random.default_rng(7)
    decay = 5 * np.exp(-np.arange(400) / 30)
    alarms = sum((anytime_p(f + ar1(rng, 400, 400, rho), BOUND)[:, -1] <= 0.05).sum() for f in (0, decay))

    assert alarms <= 0.05 * 800  # a rate of 0.07 passes in 1 of 1,000; seen are 0 to 12


def test_a_bound_that_is_too_low_breaks_the_promise():
    rng = np.random.default_rng(8)
    ever = (anytime_p(ar1(rng, 200, 300, 0.9), 0.0)[:, -1] <= 0.05).mean()

    assert ever > 0.2


# what is found


def test_overfitting_is_told_while_it_happens(overfits):
    (finding,) = Watch(["overfitting"]).replay(overfits).findings

    assert 80 < finding.known_at < 120
    assert finding.onset_interval[0] <= 80 <= finding.onset_interval[1]
    assert finding.p_value <= 0.05
    assert finding.evidence["e_value"] >= 20


def test_a_divergence_is_told_with_what_accuracy_does():
    watch = Watch().replay(observe(DIVERGES, [0])[0])

    (finding,) = watch["loss_accuracy_divergence"].findings
    assert (finding.kind, 61 <= finding.onset < 100) == ("accuracy_rising", True)


def test_a_rise_over_which_accuracy_falls_is_no_divergence(overfits):
    assert Watch().replay(overfits)["loss_accuracy_divergence"].status == "absent"


def test_a_rise_that_training_shares_is_not_told(overfits):
    shared = overfits.with_series(train_loss=overfits["val_loss"] + 0.01)

    assert Watch().replay(shared)["overfitting"].reason == "val_loss rises, but train_loss rises with it"


def test_a_rise_of_less_than_a_hundredth_is_not_told():
    val = 1 + np.maximum(np.arange(200) - 100, 0) * 5e-5 + np.random.default_rng(0).normal(0, 1e-5, 200)

    assert Watch().replay(run_of(val)).findings == []
    assert len(Watch(smallest=0.001).replay(run_of(val)).findings) == 1


def test_a_second_rise_after_a_drop_is_told_as_well():
    n = np.arange(100)
    rise = 1 - 0.3 * np.exp(-n / 5) + np.maximum(n - 30, 0) / 50
    val = np.concatenate([rise, rise - 0.5]) + np.random.default_rng(2).normal(0, 0.02, 200)
    rates = np.repeat([0.1, 0.01], 100)
    watch = Watch(["overfitting", "lr_drop"]).replay(run_of(val, learning_rate=rates))

    onsets = [f.onset for f in watch["overfitting"]]
    assert [len(onsets), onsets[0] <= 100 < onsets[1]] == [2, True]
    assert [(f.onset, f.known_at) for f in watch["lr_drop"]] == [(101, 106)]


def test_a_cosine_has_no_drop():
    rates = 0.05 * (1 + np.cos(np.pi * np.arange(100) / 100))

    assert Watch().replay(run_of(np.ones(100), learning_rate=rates))["lr_drop"].status == "absent"


def test_sister_runs_show_a_rise_earlier():
    n = np.arange(200)
    curve = 2 * np.exp(-n / 15) + np.maximum(n - 100, 0) / 25
    runs = [run_of(curve + y) for y in ar1(np.random.default_rng(5), 6, 200, 0.3)]
    at = {len(sisters): Watch(["overfitting"], sisters=sisters).replay(runs[0]) for sisters in ([], runs[1:])}

    told = {k: [f.known_at for f in watch.findings] or [math.inf] for k, watch in at.items()}
    assert told[5][0] < told[0][0]


# blowing up


@pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e300])
def test_a_loss_that_is_infinite_is_a_blow_up_at_once_and_once(bad):
    watch = Watch()
    new = [len(watch.update(i, train_loss=v, val_loss=1.0)) for i, v in enumerate([1.0, bad, bad, 1.0, bad])]

    assert new == [0, 1, 0, 0, 0]
    assert watch["blow_up"].findings[0].onset == 1


def test_training_losses_that_are_no_number_are_a_blow_up_and_missing_ones_are_none():
    watch, other = Watch(), Watch()
    for i in range(5):
        watch.update(i, loss=math.nan)
        other.update(i, loss=None, val_loss=math.nan)

    assert [f.onset for f in watch["blow_up"].findings] == [2]
    assert other["blow_up"].status == "undetermined"


# laws


@pytest.mark.slow
@settings(max_examples=6)
@given(last=st.integers(1, 200))
def test_a_watch_of_the_prefix_has_said_what_the_watch_of_the_run_said_by_then(overfits, last):
    whole = Watch().replay(overfits).findings

    assert Watch().replay(overfits.until(last)).findings == [f for f in whole if f.known_at <= last]


@pytest.mark.slow
@settings(max_examples=5)
@given(cuts=st.lists(st.integers(1, 199), max_size=5))
def test_it_does_not_matter_in_which_chunks_a_run_arrives(overfits, cuts):
    watch, before = Watch(), 0.0
    for cut in [*sorted(set(cuts)), 200]:
        keep = (overfits.epochs > before) & (overfits.epochs <= cut)
        watch.replay(Run(epochs=overfits.epochs[keep], series={k: v[keep] for k, v in overfits.series.items()}))
        before = cut

    assert watch.findings == Watch().replay(overfits).findings


def test_series_of_an_epoch_may_come_one_by_one(overfits):
    watch = Watch()
    for i, epoch in enumerate(overfits.epochs):
        for key, values in overfits.series.items():
            watch.update(epoch, **{key: values[i]})

    assert watch.findings == Watch().replay(overfits).findings


@settings(max_examples=3)
@given(unit=st.sampled_from([2.0**-20, 0.25, 1024.0]))
def test_the_unit_of_the_loss_does_not_matter(overfits, unit):
    scaled = overfits.with_series(val_loss=overfits["val_loss"] * unit, train_loss=overfits["train_loss"] * unit)

    said = [
        [(f.onset, f.onset_interval, f.known_at, f.p_value) for f in Watch().replay(r).findings]
        for r in (overfits, scaled)
    ]
    assert said[0] == said[1]


def test_more_of_the_run_takes_nothing_back(overfits):
    watch = Watch().replay(overfits)
    said = list(watch.findings)
    for epoch in range(201, 400):
        watch.update(epoch, val_loss=0.1, train_loss=0.4, val_accuracy=0.9)

    assert watch.findings[: len(said)] == said
    assert watch["overfitting"].status == "found"


@pytest.mark.slow
def test_what_is_kept_does_not_grow_with_the_run():
    watch = Watch(["overfitting"])
    for i in range(2 * SPAN + 50):
        watch.update(i, val_loss=1 + 0.1 * math.sin(i), train_loss=1.0)

    assert len(watch._rises["overfitting"].kept) <= 2 * SPAN


# what comes in


def test_an_epoch_that_goes_back_is_refused_with_what_to_do():
    watch = Watch()
    watch.update(5, val_loss=1.0)

    with pytest.raises(BadRun, match=r"3 comes after 5.*make a new Watch"):
        watch.update(3, val_loss=1.0)


@pytest.mark.parametrize("epoch", ["soon", None, math.nan, math.inf], ids=str)
def test_an_epoch_that_is_no_number_is_refused(epoch):
    with pytest.raises(BadRun, match="an epoch is a number"):
        Watch().update(epoch, val_loss=1.0)


def test_of_a_series_that_comes_twice_for_an_epoch_the_first_value_counts_and_a_note_says_so():
    watch = Watch()
    for value in (1.0, 9.0):
        watch.update(1, val_loss=value)
    for value in (1.0, 9.0):
        watch.update(2, val_loss=value)

    assert watch.notes == ["val_loss came twice for epoch 1: the first value counts"]


def test_missing_values_are_left_out(overfits):
    val = overfits["val_loss"].copy()
    val[::3] = np.nan
    holed = overfits.with_series(val_loss=val)
    kept = np.isfinite(val)
    short = Run(epochs=overfits.epochs[kept], series={k: v[kept] for k, v in overfits.series.items()})

    assert Watch(["overfitting"]).replay(holed).findings == Watch(["overfitting"]).replay(short).findings


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        ({"train_loss": 1.0}, "val_loss not logged"),
        ({"val_loss": 1.0}, "train_loss not logged"),
        ({"val_loss": 1.0, "train_loss": 1.0}, f"1 evaluations; the first look is at {SHORTEST}"),
    ],
)
def test_what_cannot_be_told_is_undetermined_with_the_reason(series, reason):
    watch = Watch()
    watch.update(1, **series)

    assert (watch["overfitting"].status, watch["overfitting"].reason) == ("undetermined", reason)


def test_noise_that_remembers_for_too_long_is_undetermined():
    val = 50 + 2 * ar1(np.random.default_rng(0), 1, 600, 0.95)[0] - np.arange(600) / 20

    assert "remembers for longer" in Watch().replay(run_of(val))["overfitting"].reason


def test_a_steep_descent_is_not_taken_for_memory():
    n = np.arange(100)
    val = 0.5 + 2 * np.exp(-n / 8) + np.maximum(n - 50, 0) / 100 + np.random.default_rng(0).normal(0, 0.01, 100)

    assert Watch(autocorrelation=0.2).replay(run_of(val))["overfitting"].status == "found"


@pytest.mark.parametrize(
    ("sisters", "reason"),
    [
        ([run_of(np.ones(50))], "1 of 1 log val_loss"),
        ([run_of(np.ones(50)), run_of(np.ones(10))], "10 epochs in common"),
        ([run_of(np.linspace(1, 2, 400)), run_of(np.linspace(2, 1, 400))], "differ for longer than noise"),
    ],
)
def test_sisters_that_tell_nothing_leave_it_undetermined(overfits, sisters, reason):
    watch = Watch(["overfitting"], sisters=sisters).replay(overfits)

    assert watch.findings == []
    assert reason in watch["overfitting"].reason


@pytest.mark.parametrize("name", ["val_loss", "val/loss", "Valid Loss", "test_loss", "eval_loss"])
def test_names_are_those_of_the_table(name):
    watch = Watch()
    watch.update(1, **{name: 1.0, "loss": np.float32(1.0)})

    assert watch._row == {"val_loss": 1.0, "train_loss": 1.0}


def test_a_mapping_names_a_value():
    watch = Watch(mapping={"val_loss": "holdout"})
    watch.update(1, holdout=3.0, val_loss=1.0)

    assert watch._row == {"val_loss": 3.0}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alpha": 0}, "alpha=0"),
        ({"autocorrelation": 1.0}, "autocorrelation=1.0"),
        ({"smallest": -1}, "smallest=-1"),
        ({"detectors": ["generalization_gap"]}, "'generalization_gap' cannot be watched.*the end of the run"),
        ({"detectors": ["nonsense"]}, "'nonsense' cannot be watched.*no bound"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Watch(**settings)


def test_detectors_may_be_given_in_place_of_their_names():
    assert Watch([Overfitting(), "blow_up"]).watched == ("overfitting", "blow_up")
    assert Watch().watched == WATCHED


@pytest.mark.slow
def test_the_exam_finds_that_a_watch_takes_nothing_back():
    asked = ["takes_nothing_back", "repeats_itself"]
    report = examine(Replay(), level="quick", only=asked)

    assert [r.status for r in report.results] == ["passed"] * 2


def test_a_replay_is_a_detector_of_finished_runs(overfits):
    assert Replay().detect(overfits).status == "found"
    assert Replay("lr_drop").detect(overfits.without("learning_rate")).status == "undetermined"
