"""The callbacks in the real frameworks, on a small model that fits the noise of its training set."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from detectors.callbacks.lookout import Lookout
from detectors.vocabulary import Run, Verdict

pytestmark = [
    pytest.mark.slow,  # importing a framework alone takes seconds
    pytest.mark.filterwarnings("ignore"),  # the frameworks' own
]
EPOCHS = 40
TRAIN, VAL = slice(0, 128), slice(128, 256)


def data() -> tuple[np.ndarray, np.ndarray]:
    """256 examples of 20 features, shape (256, 20), and labels of which one feature and noise decide, shape (256,)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 20)).astype("float32")
    return x, (x[:, 0] + rng.normal(size=256) > 0).astype("int64")


class Sabotaged:
    """Raises when it is asked."""

    phenomenon = "overfitting"

    def detect(self, run: Run) -> Verdict:
        raise RuntimeError("sabotage")


@pytest.fixture
def keras(monkeypatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    package = pytest.importorskip("keras", reason="KERAS NOT TESTED: pip install keras")
    with jax.numpy_rank_promotion("allow"):  # Keras relies on it
        yield package


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def lightning(request, monkeypatch) -> ModuleType:
    pytest.importorskip("torch", reason="LIGHTNING NOT TESTED: pip install lightning torch==2.13.0")
    importlib.import_module("frameworks.vision")  # of experiments/; else no torchvision imports beside a CPU build
    package = pytest.importorskip(request.param, reason=f"{request.param} NOT TESTED: pip install lightning")
    for name in ("lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return package


@pytest.fixture
def transformers(monkeypatch) -> ModuleType:
    pytest.importorskip("torch", reason="TRANSFORMERS NOT TESTED: pip install transformers torch==2.13.0")
    importlib.import_module("frameworks.vision")
    pytest.importorskip("accelerate", reason="TRANSFORMERS NOT TESTED: pip install accelerate")
    return pytest.importorskip("transformers", reason="TRANSFORMERS NOT TESTED: pip install transformers accelerate")


def fit_keras(keras: Any, callback: Any, epochs: int = EPOCHS) -> Any:
    """The history of the fit."""
    keras.utils.set_random_seed(0)
    x, y = data()
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss, metrics=["accuracy"])
    val = (x[VAL], y[VAL])
    model.fit(x[TRAIN], y[TRAIN], validation_data=val, epochs=epochs, batch_size=32, verbose=0, callbacks=[callback])
    return model.history.history


def fit_lightning(pl: Any, callback: Any, epochs: int = EPOCHS, resume: str | None = None) -> Any:
    """The trainer, after its fit, with the rate dropped at epoch 6."""
    import torch
    from torch.nn import functional as f
    from torch.utils.data import DataLoader, TensorDataset

    class Model(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))

        def training_step(self, batch: Any, _: int) -> Any:
            loss = f.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_loss", f.cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), 1e-2)
            return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, [6], gamma=0.5)]

    pl.seed_everything(0, verbose=False)
    x, y = (torch.from_numpy(a) for a in data())
    loaders = [
        DataLoader(TensorDataset(x[part], y[part]), batch_size=32, shuffle=part is TRAIN) for part in (TRAIN, VAL)
    ]
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[callback], **quiet)
    trainer.fit(Model(), *loaders, ckpt_path=resume)
    return trainer


def fit_transformers(
    transformers: Any, callback: Any, folder: Path, resume: str | None = None, **arguments: Any
) -> Any:
    """The trainer, after its training."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))

        def forward(self, x: Any, labels: Any = None) -> Any:
            logits = self.net(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    transformers.set_seed(0)
    x, y = data()
    examples = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
    settings = {
        **{"output_dir": str(folder), "num_train_epochs": EPOCHS, "learning_rate": 1e-2, "logging_steps": 2},
        **{"per_device_train_batch_size": 32, "per_device_eval_batch_size": 128, "eval_strategy": "epoch"},
        **{"save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True},
        **{"lr_scheduler_type": "constant", **arguments},
    }
    trainer = transformers.Trainer(
        model=Model(),
        args=transformers.TrainingArguments(**settings),
        train_dataset=examples[TRAIN],
        eval_dataset=examples[VAL],
        callbacks=[callback],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_keras_stops_when_it_overfits_and_keeps_its_best_epoch(keras, tmp_path):
    from detectors.callbacks import KerasCallback

    lines: list[str] = []
    callback = KerasCallback(stop_on=["overfitting"], save_best=str(tmp_path / "best.keras"), say=lines.append)
    history = fit_keras(keras, callback)
    x, y = data()
    kept = keras.models.load_model(tmp_path / "best.keras").evaluate(x[VAL], y[VAL], verbose=0)[0]

    assert 10 < len(history["val_loss"]) < EPOCHS
    assert len([line for line in lines if "overfitting: val_loss was lowest" in line]) == 1
    assert kept == pytest.approx(min(history["val_loss"]), rel=1e-4)  # batches are added in another order


def test_keras_is_seen_as_it_logs(keras):
    from detectors.callbacks import KerasCallback

    callback = KerasCallback(say=len)
    history = fit_keras(keras, callback, 5)
    run = callback.lookout.monitor.run

    np.testing.assert_array_equal(run["val_loss"], history["val_loss"])
    np.testing.assert_array_equal(run["train_accuracy"], history["accuracy"])
    np.testing.assert_allclose(run["learning_rate"], 1e-2, rtol=1e-6)


def test_keras_trains_to_the_end_under_a_sabotaged_detector(keras, tmp_path, caplog):
    from detectors.callbacks import KerasCallback

    history = fit_keras(keras, KerasCallback(detectors=[Sabotaged()], save_best=str(tmp_path / "best.keras")), 5)

    assert len(history["loss"]) == 5
    assert caplog.text.count("RuntimeError: sabotage") == 1


def lightning_callback(package: ModuleType, **settings: Any) -> Any:
    """A callback over that package alone, as in a script that uses no other."""
    other = {"lightning.pytorch": "pytorch_lightning", "pytorch_lightning": "lightning.pytorch"}[package.__name__]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, other, None)
        patch.delitem(sys.modules, "detectors.callbacks.lightning", raising=False)
        made = importlib.import_module("detectors.callbacks.lightning").LightningCallback
        patch.delitem(sys.modules, "detectors.callbacks.lightning")
    assert issubclass(made, package.Callback)
    return made(**settings)


def test_lightning_stops_when_it_overfits_and_keeps_its_best_epoch(lightning, tmp_path):
    import torch

    lines: list[str] = []
    path = str(tmp_path / "best.ckpt")
    callback = lightning_callback(lightning, stop_on=["overfitting"], save_best=path, say=lines.append)
    trainer = fit_lightning(lightning, callback)
    run = callback.lookout.monitor.run

    assert 10 < trainer.current_epoch < EPOCHS
    told = [line for line in lines if "overfitting: val_loss was lowest" in line]
    assert ["a hint" in line for line in told] in ([False], [True, False])  # under the promise once
    assert torch.load(path, weights_only=False)["epoch"] == run.epochs[np.argmin(run["val_loss"])]


def test_lightning_is_seen_with_the_rates_of_its_schedule(lightning):
    callback = lightning_callback(lightning, say=len)
    fit_lightning(lightning, callback, 9)
    run = callback.lookout.monitor.run

    assert run.epochs.tolist() == list(range(9))
    assert run["learning_rate"].tolist() == [0.01] * 6 + [0.005] * 3
    assert np.isfinite([run["train_loss"], run["val_loss"]]).all()


def test_a_resumed_training_of_lightning_is_seen_whole(lightning, tmp_path):
    first, second = (lightning_callback(lightning, say=len) for _ in range(2))
    fit_lightning(lightning, first, 3).save_checkpoint(tmp_path / "three.ckpt")
    fit_lightning(lightning, second, 5, resume=str(tmp_path / "three.ckpt"))
    run = second.lookout.monitor.run

    assert run.epochs.tolist() == [0, 1, 2, 3, 4]
    assert run["val_loss"][:3].tolist() == first.lookout.monitor.run["val_loss"].tolist()


def test_lightning_trains_to_the_end_under_a_sabotaged_detector(lightning, tmp_path, caplog):
    callback = lightning_callback(lightning, detectors=[Sabotaged()], save_best=str(tmp_path / "best.ckpt"))

    assert fit_lightning(lightning, callback, 5).current_epoch == 5
    assert caplog.text.count("RuntimeError: sabotage") == 1


README = (Path(__file__).parents[1] / "README.md").read_text()


def as_the_readme_says(name: str, callback: type, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The callback as the README constructs it, in a folder where it may save."""
    monkeypatch.chdir(folder)
    (call,) = re.findall(rf"{name}\([^`]*?\)", README)
    return eval(call, {name: callback})


def test_the_readme_s_keras_callback_runs(keras, tmp_path, monkeypatch):
    from detectors.callbacks import KerasCallback

    fit_keras(keras, as_the_readme_says("KerasCallback", KerasCallback, monkeypatch, tmp_path), 3)

    assert (tmp_path / "best.keras").stat().st_size > 0


def test_the_readme_s_lightning_callback_runs(lightning, tmp_path, monkeypatch):
    made = type(lightning_callback(lightning))
    fit_lightning(lightning, as_the_readme_says("LightningCallback", made, monkeypatch, tmp_path), 3)

    assert (tmp_path / "best.ckpt").stat().st_size > 0


def test_the_readme_s_transformers_callback_runs(transformers, tmp_path, monkeypatch):
    from detectors.callbacks import TransformersCallback

    callback = as_the_readme_says("TransformersCallback", TransformersCallback, monkeypatch, tmp_path)
    fit_transformers(transformers, callback, tmp_path, num_train_epochs=2)

    assert list(tmp_path.glob("checkpoint-*"))


def test_transformers_stops_when_it_overfits_and_keeps_its_best_epoch(transformers, tmp_path):
    from detectors.callbacks import TransformersCallback

    lines: list[str] = []
    callback = TransformersCallback(stop_on=["overfitting"], save_best=True, say=lines.append)
    trainer = fit_transformers(transformers, callback, tmp_path)
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    kept = {int(path.name.partition("-")[2]) for path in tmp_path.glob("checkpoint-*")}

    assert 10 < trainer.state.epoch < EPOCHS
    assert len([line for line in lines if "overfitting: val_loss was lowest" in line]) == 1
    assert max(kept) == 4 * (1 + int(np.argmin(losses)))  # four steps an epoch


def test_transformers_is_seen_as_it_logs(transformers, tmp_path):
    from detectors.callbacks import TransformersCallback

    callback = TransformersCallback(say=len)
    trainer = fit_transformers(transformers, callback, tmp_path, num_train_epochs=3)
    run, log = callback.lookout.monitor.run, trainer.state.log_history
    losses = [entry["loss"] for entry in log if "loss" in entry]

    assert run.epochs.tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(run["val_loss"], [entry["eval_loss"] for entry in log if "eval_loss" in entry])
    np.testing.assert_allclose(run["train_loss"], np.reshape(losses, (3, 2)).mean(1), rtol=1e-12)
    np.testing.assert_allclose(run["learning_rate"], 1e-2)


def test_a_resumed_training_of_transformers_is_seen_whole(transformers, tmp_path):
    from detectors.callbacks import TransformersCallback

    saving = {"save_strategy": "epoch", "eval_strategy": "epoch"}
    fit_transformers(transformers, TransformersCallback(say=len), tmp_path, **saving, num_train_epochs=2)
    callback, checkpoint = TransformersCallback(say=len), str(tmp_path / "checkpoint-8")
    fit_transformers(transformers, callback, tmp_path, resume=checkpoint, **saving, num_train_epochs=4)

    assert callback.lookout.monitor.run.epochs.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_transformers_trains_to_the_end_under_a_sabotaged_detector(transformers, tmp_path, caplog):
    from detectors.callbacks import TransformersCallback

    callback = TransformersCallback(detectors=[Sabotaged()], save_best=True)

    assert fit_transformers(transformers, callback, tmp_path, num_train_epochs=3).state.epoch == 3
    assert caplog.text.count("RuntimeError: sabotage") == 1


def test_a_hand_written_loop_of_torch_can_hand_over_its_tensors():
    torch = pytest.importorskip("torch", reason="TORCH NOT TESTED: pip install torch==2.13.0")
    lookout = Lookout()
    for epoch in range(3):
        lookout(epoch, loss=torch.tensor(0.5, requires_grad=True), val_loss=torch.tensor([0.25]))

    assert lookout.monitor.run["train_loss"].tolist() == [0.5] * 3
    assert lookout.monitor.run["val_loss"].tolist() == [0.25] * 3
