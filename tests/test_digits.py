"""The digits in two engines: the same steps, the same measurements, twins that share their draws, and what is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="DIGITS IN PYTORCH NOT TESTED: pip install torch==2.13.0")
pytest.importorskip("sklearn", reason="DIGITS NOT TESTED: pip install scikit-learn")

import digits  # noqa: E402
import digits_torch  # noqa: E402

from detectors.readers import read  # noqa: E402
from sim.schedules import Schedule  # noqa: E402
from sim.shape import Numbers, Shape  # noqa: E402
from sim.trained import measure, program  # noqa: E402
from sim.trained.scoring import calibrated  # noqa: E402

TINY = replace(
    digits_torch.DIGITS,
    train_size=96,
    val_size=200,
    network="mlp",
    width=16,
    augmentation=0.2,
    shift_augmentation=1,
    learning_rate=0.1,
    batch_size=16,
    schedule=Schedule(milestones=(5, 10)),
    epochs=15,
)
CONVNET = replace(TINY, network="convnet", width=4)
ENGINES_AGREE_ON = {
    **{f"mlp, {n}": replace(TINY, normalisation=n) for n in ("none", "batch", "layer")},
    **{f"convnet, {n}": replace(CONVNET, normalisation=n) for n in ("none", "batch", "layer")},
}


@pytest.fixture(scope="module")
def curves() -> dict[str | int, digits_torch.Curves]:
    data, params = digits_torch.prepared(TINY)
    return digits_torch.train(data, params, TINY, sister=0)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "mlp, batch" else pytest.mark.slow) for name in ENGINES_AGREE_ON]
)
def test_the_same_weights_and_minibatches_give_the_same_losses_in_both_engines(name):
    recipe = ENGINES_AGREE_ON[name]
    shape, numbers = Shape.of(recipe), Numbers.of(recipe)
    data, params = digits_torch.prepared(recipe)
    side = shape.side

    def one_epoch(numbers: Any) -> Any:
        made = program._data(shape, numbers)
        made["population"] = program._population(shape, numbers, made["world"], 0)
        state = program._initial(shape, numbers)
        batches = program._batches(shape, numbers, made, 0, 0)
        return program._epoch(shape, numbers, made, state, 0, 0, recipe.learning_rate)[1], batches, made["population"]

    metrics, batches, population = jax.tree.map(np.asarray, jax.jit(one_epoch)(numbers))
    fleet = dict(zip(program.METRICS, metrics, strict=True))
    net = digits_torch.network(recipe)
    digits_torch.load(net, params)
    sgd = digits_torch.optimiser(net, recipe)
    x, y = torch.tensor(batches["x"]).unflatten(2, (1, side, side)), torch.tensor(batches["y"]).argmax(2)
    logged = np.mean([digits_torch.step(net, sgd, *batch) for batch in zip(x, y, strict=True)], 0)
    held_out = torch.tensor(population[0]).unflatten(1, (1, side, side))
    after = digits_torch.measured(net, replace(data, held_out=held_out, chances=torch.tensor(population[1])))

    # six steps in single precision, each with another order of sums
    assert logged == pytest.approx([fleet["train_loss"], fleet["train_accuracy"]], rel=1e-4)
    assert after["train_loss_eval"] == pytest.approx(fleet["train_loss_eval"], rel=1e-3)
    assert after["losses"].mean() == pytest.approx(fleet["risk"], rel=1e-3)
    assert after["held_out_accuracy"] == pytest.approx(fleet["population_accuracy"], abs=2e-3)  # two images of 1,500
    assert after["risk_calibrated"] == pytest.approx(fleet["risk_calibrated"], rel=2e-3)


def test_the_same_step_at_another_rate_would_be_noticed():
    """What the test above can see: a tenth more of the rate moves the losses by more than its tolerances."""
    data, params = digits_torch.prepared(TINY)

    def after(rate: float) -> float:
        net = digits_torch.network(TINY)
        digits_torch.load(net, params)
        sgd = digits_torch.optimiser(net, replace(TINY, learning_rate=rate))
        for batch in digits_torch.batches(data, TINY, 0, 0):
            digits_torch.step(net, sgd, *batch)
        return float(digits_torch.measured(net, data)["losses"].mean())

    assert abs(after(0.11) / after(0.1) - 1) > 3e-3


def test_a_twin_is_its_run_until_the_drop_and_goes_on_as_if_trained_alone(curves):
    data, params = digits_torch.prepared(TINY)
    alone = digits_torch.train(
        data, params, replace(TINY, schedule=TINY.schedule.without_drop(0)), sister=0, twins=False
    )["run"]

    assert np.array_equal(curves[5].losses[:5], curves["run"].losses[:5])
    assert not np.array_equal(curves[5].losses[5], curves["run"].losses[5])
    assert np.array_equal(curves[5].losses, alone.losses)
    assert curves[5].log["learning_rate"] == pytest.approx([0.1] * 10 + [0.004] * 5)


def test_sisters_share_the_data_and_the_weights_and_differ_in_their_draws(curves):
    data, params = digits_torch.prepared(TINY)
    other = digits_torch.train(data, params, replace(TINY, epochs=11), sister=1, twins=False)["run"]

    assert other.train_loss_eval[0] == pytest.approx(curves["run"].train_loss_eval[0], rel=0.2)
    assert not np.array_equal(other.losses[0], curves["run"].losses[0])


def test_a_minibatch_holds_moved_images_each_once_an_epoch():
    recipe = replace(TINY, augmentation=0.0)
    data, _ = digits_torch.prepared(recipe)
    epoch = digits_torch.batches(data, recipe, 0, 3)
    moved, labels = (np.concatenate([np.asarray(batch[i]) for batch in epoch]) for i in (0, 1))
    padded = np.pad(np.asarray(data.x)[:, 0], ((0, 0), (1, 1), (1, 1)))
    where = {
        padded[k, i : i + 8, j : j + 8].tobytes(): (k, i, j) for k in range(96) for i in range(3) for j in range(3)
    }
    found = [where[image[0].tobytes()] for image in moved]

    assert sorted(k for k, _, _ in found) == list(range(96))
    assert {(i, j) for _, i, j in found} == {(i, j) for i in range(3) for j in range(3)}
    assert [int(data.y[k]) for k, _, _ in found] == labels.tolist()


def test_the_temperature_takes_exaggeration_away_as_in_the_fleet():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(800, 10))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    honest, loud = digits_torch.calibrated(logits, chances), digits_torch.calibrated(5 * logits, chances)
    fleet, _ = calibrated(np.float32(5 * logits), np.float32(chances), np.ones(2, np.float32))

    assert honest == pytest.approx(-(chances * np.log(chances)).sum(1).mean(), rel=1e-5)
    assert loud == pytest.approx(honest, rel=1e-3)
    assert loud == pytest.approx(float(fleet), rel=1e-3)


def test_the_log_is_one_that_the_readers_read(tmp_path, curves):
    digits_torch.write_log(tmp_path / "run.csv", curves["run"].log)
    (run,) = read(tmp_path / "run.csv")

    assert set(run.series) == set(digits_torch.LOG) - {"epoch"}
    assert run["val_loss"] == pytest.approx(curves["run"].log["val_loss"], rel=1e-5)


# what is read of a single run


def made(**changes: np.ndarray) -> digits.Single:
    """60 epochs that fall to 1 within 15 epochs and stay; nothing else happens."""
    risk = 1 + np.exp(-np.arange(60) / 3)
    flat = {"logged": risk * 0.9, "risk": risk, "accuracy": np.full(60, 0.7), "calibrated": risk}
    return digits.Single(**{**flat, "without_drop": {30: risk.copy(), 45: risk.copy()}, **changes})


def test_a_quiet_run_shows_nothing():
    assert not any(digits.shown_by_one(digits.strengths(made())).values())


def test_a_run_with_all_four_shows_them_as_large_as_they_are():
    quiet = made()
    x = np.arange(60)
    red = 0.2 * np.clip((x - 15) / 10, 0, 1) * (x < 30)
    blue = 0.1 * np.clip((x - 35) / 15, 0, 1)
    risk = quiet.risk + red + blue
    run = made(
        risk=risk,
        logged=risk * np.where(x < 7, 1.2, 0.9),
        without_drop={30: risk + 0.3 * (x >= 30), 45: risk - 0.1 * (x >= 45)},
    )
    found = digits.strengths(run)

    assert all(digits.shown_by_one(found).values())
    assert found["red"] == pytest.approx(0.2, abs=0.02)
    assert found["blue"] == pytest.approx(0.1, abs=0.01)
    assert found["above"] == 7
    assert (found["effect-30"], found["effect-45"]) == (pytest.approx(0.3), pytest.approx(-0.1))
    assert found["blue_calibrated"] == pytest.approx(0, abs=0.01)  # which did not rise


def test_a_rise_over_which_accuracy_falls_is_not_the_blue_box():
    run = made(risk=made().risk + 0.1 * (np.arange(60) >= 50), accuracy=0.7 - 0.1 * (np.arange(60) >= 50))

    assert digits.strengths(run)["blue"] > digits.RISE
    assert not digits.shown_by_one(digits.strengths(run))["blue"]


# the whole


@pytest.mark.slow
def test_the_experiment_writes_its_tables_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "DIGITS", TINY)
    noises = (0.0, 0.4)
    keep = tmp_path / "kept"
    digits.train_all(keep, 2, noises, 1)
    first = {path.name: path.read_bytes() for path in keep.iterdir()}
    (keep / "torch-noise40%-seed1.pickle").unlink()
    digits.train_all(keep, 2, noises, 1)
    kept, truth, logs = digits.gathered(keep, 2, noises)
    rows = digits.table(kept, truth)

    assert {path.name: path.read_bytes() for path in keep.iterdir()} == first
    assert {row["engine"] for row in rows} == {"fleet", "torch", "torch - fleet"}
    asked = [(row["engine"], row["reading"], row["label_noise"], row["what"]) for row in rows]
    assert len(asked) == len(set(asked))
    with_noise = [row for row in rows if row["what"] == "effect-5" and row["engine"] == "torch"]
    assert len(with_noise) == 4  # two levels of noise; over seeds and over images
    assert {row["label_noise"] for row in digits.detected(logs, truth)} == {"all", 0.0, 0.4}
    digits.picture(kept).savefig(tmp_path / "digits.png", dpi=110)


@pytest.mark.slow
def test_the_two_engines_have_the_same_distribution_of_curves():
    """Sisters of both engines after eight epochs: the difference of the means within 4 standard errors."""
    recipe = replace(TINY, epochs=8, schedule=Schedule(kind="constant"), train_size=192)
    (members,) = measure([recipe], twins=())
    data, params = digits_torch.prepared(recipe)
    ordinary = [digits_torch.train(data, params, recipe, sister, twins=False)["run"] for sister in range(8)]
    for fleet, torch_ in (
        (members["run"]["train_loss"], [run.log["train_loss"] for run in ordinary]),
        (members["run"]["risk"], [run.losses.mean(1) for run in ordinary]),
        (members["run"]["train_loss_eval"], [run.train_loss_eval for run in ordinary]),
    ):
        here, there = (np.float64(values)[:, 2:].mean(1) for values in (fleet, np.stack(torch_)))
        error = np.sqrt((here.var(ddof=1) + there.var(ddof=1)) / 8)

        assert abs(here.mean() - there.mean()) < 4 * error
        assert error < 0.03 * here.mean()  # so that a tenth more of a loss would be seen
