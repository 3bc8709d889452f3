"""Callbacks say a finding once, stop and save where asked, and never break the training: on hosts with the same hooks.

The frameworks themselves are in tests/test_callbacks_in_frameworks.py.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import detectors.callbacks
from detectors.callbacks import CALLBACKS, Lookout, Seen
from detectors.vocabulary import Finding, Run, Verdict, absent, found


@dataclass(frozen=True)
class After:
    """Finds `phenomenon` from the third row on."""

    phenomenon: str = "overfitting"
    kind: str = ""

    def detect(self, run: Run) -> Verdict:
        if len(run) < 3:
            return absent(self.phenomenon)
        explanation = "val_loss climbed. Nothing else did."
        return found(
            self.phenomenon,
            [
                Finding(
                    phenomenon=self.phenomenon,
                    onset=1,
                    onset_interval=(1, 1),
                    level=0.9,
                    known_at=3,
                    kind=self.kind,
                    explanation=explanation,
                )
            ],
        )


@dataclass(frozen=True)
class Broken:
    """Raises when it is asked."""

    error: BaseException
    phenomenon: str = "overfitting"
    asked: list[int] = field(default_factory=list)

    def detect(self, run: Run) -> Verdict:
        self.asked.append(len(run))
        raise self.error


STOPS: dict[str, Any] = {"detectors": [After()], "stop_on": ["overfitting"]}
LOSSES = [0.9, 0.5, 0.7, 0.4, 0.6]  # of the validation, one an epoch


def looked(values: list[float], **settings: Any) -> list[Seen]:
    lookout = Lookout(**{"detectors": [], **settings})
    return [lookout(epoch, loss=1.0, val_loss=value) for epoch, value in enumerate(values, 1)]


# the lookout


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_lookout_that_goes_on_from_a_state_is_the_one_that_was_never_interrupted(cut):
    lines: tuple[list[str], list[str]] = ([], [])
    whole, first = (Lookout(detectors=[After()], stop_on=["overfitting"], say=said.append) for said in lines)
    second = Lookout(detectors=[After()], stop_on=["overfitting"], say=lines[1].append)
    seen = [whole(i, val_loss=value, loss="2,5") for i, value in enumerate(LOSSES)]
    parts = [first(i, val_loss=value, loss="2,5") for i, value in enumerate(LOSSES[:cut])]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    parts += [second(i, val_loss=value, loss="2,5") for i, value in enumerate(LOSSES) if i >= cut]

    assert parts == seen
    assert lines[0] == lines[1]
    assert np.array_equal(second.monitor.run["train_loss"], whole.monitor.run["train_loss"], equal_nan=True)


@pytest.mark.parametrize("cut", [60, 100, 139])
def test_what_is_told_under_the_promise_survives_a_resumption(cut):
    epochs = np.arange(1, 141)
    ripple = 0.004 * np.random.default_rng(0).normal(size=140)
    losses = np.stack([2 * 0.9**epochs, 0.4 + 2 * 0.9**epochs + 0.01 * np.maximum(epochs - 40, 0) + ripple], axis=1)
    whole, first, second = (Lookout(hints=False, say=len) for _ in range(3))
    seen = [whole(i, loss=a, val_loss=b) for i, (a, b) in enumerate(losses)]
    parts = [first(i, loss=a, val_loss=b) for i, (a, b) in enumerate(losses[:cut])]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    parts += [second(cut + i, loss=a, val_loss=b) for i, (a, b) in enumerate(losses[cut:])]

    assert [s.promised for s in parts] == [s.promised for s in seen]
    assert sum(len(s.promised) for s in seen) == 1


def test_a_state_that_is_none_does_not_break_the_training(caplog):
    lookout = Lookout()
    lookout.load_state_dict({"monitor": 3})

    assert lookout(1, val_loss=1.0) == Seen()
    assert caplog.text.count("curvesense stops watching") == 1


def test_a_finding_is_said_once_in_one_line():
    lines: list[str] = []
    looked(LOSSES, detectors=[After()], say=lines.append)

    assert [line for line in lines if "overfitting" in line] == [
        "curvesense at epoch 3, a hint: overfitting: val_loss climbed"
    ]


def test_what_a_hint_is_is_said_once_after_the_first_ones():
    lines: list[str] = []
    looked(LOSSES, detectors=[After(), After("spike")], say=lines.append)

    assert [i for i, line in enumerate(lines) if "nothing bounds how often it is false" in line] == [2]
    assert len(lines) == 3


def overfitting(epochs: int = 120) -> list[dict[str, float]]:
    """What a loop logs whose validation loss rises from epoch 60 on."""
    ripple = [0.01 * math.sin(9 * e) for e in range(epochs)]
    return [
        {"loss": 1 / (e + 1) + r / 5, "val_loss": 0.5 + math.exp(-e / 10) + max(e - 60, 0) / 100 + r}
        for e, r in enumerate(ripple)
    ]


@pytest.mark.slow
def test_what_is_told_under_the_promise_is_not_called_a_hint_and_not_hinted_at_afterwards():
    lines: list[str] = []
    lookout = Lookout(say=lines.append)
    seen = [lookout(epoch, **values) for epoch, values in enumerate(overfitting())]

    (at,) = [epoch for epoch, s in enumerate(seen) if s.promised]
    assert len([line for line in lines if line.startswith(f"curvesense at epoch {at}: overfitting: ")]) == 1
    assert not any(
        "overfitting" in line for line in lines[lines.index(next(x for x in lines if f" {at}: " in x)) + 1 :]
    )


@pytest.mark.slow
def test_it_stops_on_the_promise_and_not_on_an_earlier_hint():
    lookout = Lookout(stop_on=["overfitting"], say=len)
    seen = [lookout(epoch, **values) for epoch, values in enumerate(overfitting())]

    hint = next(i for i, s in enumerate(seen) if any(f.phenomenon == "overfitting" for f in s.findings))
    told = next(i for i, s in enumerate(seen) if s.promised)
    assert hint < told
    assert [s.stop for s in seen].index(True) == told


def test_without_hints_only_what_is_promised_is_said():
    lines: list[str] = []
    lookout = Lookout(hints=False, say=lines.append)
    for epoch, values in enumerate(overfitting()):
        lookout(epoch, **values)

    assert [line.partition(":")[2][:13] for line in lines] == [" overfitting:"]


def test_a_training_that_goes_back_ends_the_promise_and_says_so_once(caplog):
    lines: list[str] = []
    lookout = Lookout(say=lines.append)
    for epoch in (1, 2, 3, 2, 3, 4):
        lookout(epoch, val_loss=1.0, loss=1.0)

    assert lines == ["curvesense: epoch 2 comes after 3; from here on, all that is said is a hint"]
    assert caplog.records == []


def test_a_value_that_is_called_like_an_argument_is_taken_as_any_other():
    lookout = Lookout(say=len)
    for epoch in range(1, 10):
        lookout(epoch, loss=1.0, val_loss=1.0, **{"epoch": epoch - 1, "self": 2.0})

    assert not lookout.broken
    assert lookout.monitor.run.epochs.tolist() == list(range(1, 10))  # what was given as the epoch
    assert lookout.monitor.run["self"].tolist() == [2.0] * 9


def test_nothing_is_said_where_nothing_is_found():
    lines: list[str] = []
    looked(LOSSES, say=lines.append)

    assert lines == []


def test_lines_are_warnings_of_the_logger_curvesense(caplog):
    looked(LOSSES, detectors=[After()])

    assert [(r.name, r.levelname) for r in caplog.records] == [("curvesense", "WARNING")] * 2


def test_a_drop_of_a_logged_rate_is_seen_but_not_said():
    lines: list[str] = []
    seen = looked(LOSSES, detectors=[After("lr_drop", kind="logged")], say=lines.append)

    assert [f.phenomenon for s in seen for f in s.findings] == ["lr_drop"]
    assert lines == []


def test_stop_is_true_from_the_finding_on():
    assert [s.stop for s in looked(LOSSES, say=len, **STOPS)] == [False, False, True, True, True]


def test_stop_stays_false_on_another_finding():
    seen = looked(LOSSES, say=len, detectors=[After(), After("spike")], stop_on="spike")

    assert [s.stop for s in seen] == [False, False, True, True, True]
    assert not any(s.stop for s in looked(LOSSES, say=len, detectors=[After()]))


def test_the_best_epochs_are_those_that_beat_all_before():
    assert [s.best for s in looked([*LOSSES, math.nan, math.inf, 0.4])] == [
        *(True, True, False, True),
        *(False, False, False, False),
    ]


@pytest.mark.parametrize(
    ("settings", "values", "best"),
    [
        ({"best_by": "val_accuracy"}, [{"val_acc": 0.1}, {"val_acc": 0.3}, {"val_acc": 0.2}], [True, True, False]),
        ({"best_by": "val_accuracy"}, [{"val_err": 30}, {"val_err": 20}, {"val_err": 25}], [True, True, False]),
        ({"best_by": "val_err"}, [{"val_err": 30}, {"val_err": 20}, {"val_err": 25}], [True, True, False]),
        ({"best_by": "f1", "mode": "max"}, [{"f1": 0.1}, {"f1": 0.3}, {"f1": 0.2}], [True, True, False]),
        ({"best_by": "f1", "mode": "min"}, [{"f1": 0.1}, {"f1": 0.3}, {"f1": 0.05}], [True, False, True]),
        ({"mapping": {"val_loss": "x"}}, [{"x": 3.0, "val_loss": 1.0}, {"x": 2.0, "val_loss": 2.0}], [True, True]),
        ({}, [{"test_loss": 1.0, "val_loss": 2.0}, {"test_loss": 0.5, "val_loss": 3.0}], [True, False]),
        ({}, [{"val_loss": "0,5"}, {"val_loss": "0,4"}, {"val_loss": "oops"}], [True, True, False]),
        ({}, [{"loss": 1.0}], [False]),
    ],
)
def test_what_is_best_goes_by_the_series_asked_for(settings, values, best):
    lookout = Lookout(detectors=[], **settings)

    assert [lookout(epoch, **v).best for epoch, v in enumerate(values)] == best


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stop_on": ["overfiting"]}, "stop_on='overfiting'.*overfitting"),
        ({"best_by": "f1"}, "best_by='f1'.*mode='max'"),
        ({"mode": "up"}, "mode='up'"),
        ({"alpha": 2}, "alpha=2"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_training(settings, said):
    with pytest.raises(ValueError, match=said):
        Lookout(**settings)


def test_names_that_nobody_knows_are_said_once():
    lines: list[str] = []
    lookout = Lookout(say=lines.append)
    for epoch in range(10):
        lookout(epoch, foo=1.0)

    assert lines == ["curvesense knows none of 'foo'; name one: mapping={'val_loss': 'NAME'}"]


def test_an_error_of_its_own_is_logged_once_and_then_it_is_quiet(caplog):
    broken = Broken(RuntimeError("two\nlines"))
    seen = looked(LOSSES, detectors=[broken])

    assert seen == [Seen()] * len(LOSSES)
    assert broken.asked == [1]
    assert [r.message for r in caplog.records] == [
        "curvesense stops watching after an error of its own, training goes on: RuntimeError: two lines"
    ]


def test_a_say_that_raises_does_not_break_the_training(caplog):
    def say(line: str) -> None:
        raise OSError("closed")

    assert looked(LOSSES, say=say, **STOPS)[-1] == Seen()
    assert "OSError: closed" in caplog.text


def test_ctrl_c_passes():
    with pytest.raises(KeyboardInterrupt):
        looked(LOSSES, detectors=[Broken(KeyboardInterrupt())])


# the skins, on hosts with the hooks of the frameworks


@pytest.fixture
def skin(monkeypatch):
    """Loads the module of a framework's callback over a framework that is only a module with these attributes."""

    def load(framework: str, **modules: dict[str, Any]) -> ModuleType:
        for name in [n for n in sys.modules if n.split(".")[0] == framework]:
            monkeypatch.delitem(sys.modules, name)
        for name, attributes in modules.items():
            module = ModuleType(name)
            vars(module).update(attributes, __path__=[])
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.delitem(sys.modules, f"detectors.callbacks.{framework}", raising=False)
        module = importlib.import_module(f"detectors.callbacks.{framework}")
        del sys.modules[f"detectors.callbacks.{framework}"]  # nobody else gets this one, later tests neither
        return module

    return load


class KerasHost:
    """`fit` of a model that validates once an epoch."""

    def __init__(self) -> None:
        self.optimizer = SimpleNamespace(learning_rate=0.1)
        self.stop_training = False
        self.saved: list[tuple[int, str]] = []
        self.epoch = 0

    def save(self, path: str) -> None:
        self.saved.append((self.epoch, path))

    def fit(self, callback: Any, epochs: int = 5) -> int:
        callback.model = self
        callback.on_train_begin({})
        for self.epoch in range(epochs):
            callback.on_epoch_end(self.epoch, {"loss": 1.0, "val_loss": LOSSES[self.epoch]})
            if self.stop_training:
                break
        callback.on_train_end({})
        return self.epoch + 1


class LightningHost:
    """`fit` of a trainer that validates each `every` epochs and leaves old metrics where they are."""

    world_size, is_global_zero = 1, True

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.optimizers = [SimpleNamespace(param_groups=[{"lr": 0.1}])]
        self.callback_metrics: dict[str, float] = {}
        self.current_epoch, self.should_stop = 0, False
        self.saved: list[tuple[int, str]] = []

    def save_checkpoint(self, path: str) -> None:
        self.saved.append((self.current_epoch, path))

    def fit(self, callback: Any, epochs: int = 5) -> int:
        callback.on_fit_start(self, None)
        for self.current_epoch in range(epochs):
            callback.on_train_epoch_start(self, None)
            self.optimizers[0].param_groups[0]["lr"] /= 2  # a schedule steps before the epoch's end is told
            self.callback_metrics["train_loss"] = 1.0
            if self.current_epoch % self.every == 0:
                self.callback_metrics["val_loss"] = LOSSES[self.current_epoch]
                callback.on_validation_end(self, None)
            callback.on_train_epoch_end(self, None)
            if self.should_stop:
                break
        callback.on_fit_end(self, None)
        return self.current_epoch + 1


class TransformersHost:
    """`train` of a Trainer that logs two losses an epoch and evaluates after it."""

    def __init__(self, evaluates: str = "epoch", history: list[dict[str, Any]] | None = None) -> None:
        self.args = SimpleNamespace(eval_strategy=evaluates)
        self.state = SimpleNamespace(epoch=0.0, log_history=history or [], is_world_process_zero=True)
        self.saved: list[float] = []

    def train(self, callback: Any, epochs: int = 5) -> float:
        control = SimpleNamespace(should_training_stop=False, should_save=False)
        callback.on_train_begin(self.args, self.state, control)
        for epoch in range(epochs):
            for part in (0.5, 1.0):
                self.state.epoch = epoch + part
                logs = {"loss": 1.0 + part, "learning_rate": 0.1, "grad_norm": 3.0}
                callback.on_log(self.args, self.state, control, logs=logs)
            if self.args.eval_strategy != "no":
                callback.on_log(self.args, self.state, control, logs={"eval_loss": LOSSES[epoch]})
            if control.should_save:
                self.saved.append(self.state.epoch)
                control.should_save = False
            if control.should_training_stop:
                break
        summary = {"train_runtime": 1.0, "train_loss": 99.0}
        callback.on_log(self.args, self.state, control, logs=summary)
        callback.on_train_end(self.args, self.state, control)
        return self.state.epoch


@pytest.fixture
def keras_callback(skin):
    callbacks = SimpleNamespace(Callback=type("Callback", (), {"model": None}))
    return skin("keras", keras={"callbacks": callbacks, "ops": SimpleNamespace(convert_to_numpy=float)}).KerasCallback


@pytest.fixture
def lightning_callback(skin):
    modules = {"lightning": {}, "lightning.pytorch": {"Callback": type("Callback", (), {})}}
    return skin("lightning", **modules).LightningCallback


@pytest.fixture
def transformers_callback(skin):
    return skin("transformers", transformers={"TrainerCallback": type("TrainerCallback", (), {})}).TransformersCallback


def test_keras_stops_and_saves_the_best_epochs(keras_callback):
    host = KerasHost()

    assert host.fit(keras_callback(save_best="best.keras", say=len, **STOPS)) == 3
    assert host.saved == [(0, "best.keras"), (1, "best.keras")]


def test_keras_is_seen_with_its_epochs_from_1_and_the_rate_of_its_optimiser(keras_callback):
    callback = keras_callback(detectors=[])
    KerasHost().fit(callback)
    run = callback.lookout.monitor.run

    assert run.epochs.tolist() == [1, 2, 3, 4, 5]
    assert run["val_loss"].tolist() == LOSSES
    assert run["learning_rate"].tolist() == [0.1] * 5


def test_each_fit_of_keras_is_a_run_of_its_own(keras_callback):
    callback = keras_callback(detectors=[])
    KerasHost().fit(callback)
    KerasHost().fit(callback, epochs=2)

    assert callback.lookout.monitor.run["val_loss"].tolist() == LOSSES[:2]


@pytest.mark.parametrize(("framework", "host"), [("keras", KerasHost), ("lightning", LightningHost)])
def test_a_training_that_is_resumed_is_one_run(framework, host, request):
    made = request.getfixturevalue(f"{framework}_callback")
    first, second = made(detectors=[], save_best="best.keras"), made(detectors=[], save_best="best.keras")
    host().fit(first, epochs=4)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    resumed = host()
    resumed.fit(second, epochs=5)

    assert second.lookout.monitor.updates == 9  # its host begins at the first epoch again
    assert resumed.saved == []  # 0.4 was seen before
    resumed.fit(second, epochs=2)
    assert second.lookout.monitor.updates == 2  # a further training is a run of its own


def test_a_path_that_keras_would_not_save_to_is_refused_before_the_training(keras_callback):
    with pytest.raises(ValueError, match=r"save_best='best'.*\.keras"):
        keras_callback(save_best="best")


def test_lightning_stops_and_saves_the_best_epochs(lightning_callback):
    host = LightningHost()

    assert host.fit(lightning_callback(save_best="best.ckpt", say=len, **STOPS)) == 3
    assert host.saved == [(0, "best.ckpt"), (1, "best.ckpt")]


def test_lightning_is_seen_with_the_rate_that_the_epoch_began_with(lightning_callback):
    callback = lightning_callback(detectors=[])
    LightningHost().fit(callback)
    run = callback.lookout.monitor.run

    assert run.epochs.tolist() == [0, 1, 2, 3, 4]
    assert run["learning_rate"].tolist() == [0.1, 0.05, 0.025, 0.0125, 0.00625]


def test_a_validation_left_over_from_an_earlier_epoch_is_not_taken_for_a_new_one(lightning_callback):
    callback = lightning_callback(detectors=[])
    LightningHost(every=2).fit(callback)

    values = callback.lookout.monitor.run["val_loss"]
    assert [None if math.isnan(v) else v for v in values.tolist()] == [0.9, None, 0.7, None, 0.6]


def test_of_several_processes_of_lightning_the_others_do_what_the_first_has_seen(lightning_callback):
    host, callback = LightningHost(), lightning_callback(save_best="best.ckpt", **STOPS)
    host.world_size, host.is_global_zero = 2, False
    host.strategy = SimpleNamespace(broadcast=lambda flags, src: (True, host.current_epoch == 1))

    assert host.fit(callback) == 2
    assert host.saved == [(0, "best.ckpt"), (1, "best.ckpt")]
    assert callback.lookout.monitor.updates == 0


def test_transformers_stops_and_saves_the_best_evaluations(transformers_callback):
    host = TransformersHost()

    assert host.train(transformers_callback(save_best=True, say=len, **STOPS)) == 3.0
    assert host.saved == [1.0, 2.0]


def test_an_evaluation_of_transformers_stands_beside_the_mean_of_the_losses_before_it(transformers_callback):
    callback = transformers_callback(detectors=[])
    TransformersHost().train(callback)
    run = callback.lookout.monitor.run

    assert run.epochs.tolist() == [1, 2, 3, 4, 5]
    assert run["val_loss"].tolist() == LOSSES
    assert run["train_loss"].tolist() == [1.75] * 5
    assert run["learning_rate"].tolist() == [0.1] * 5


def test_without_evaluations_every_logged_loss_of_transformers_is_taken(transformers_callback):
    callback = transformers_callback(detectors=[])
    TransformersHost(evaluates="no").train(callback, epochs=2)

    assert callback.lookout.monitor.run.epochs.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert callback.lookout.monitor.run["train_loss"].tolist() == [1.5, 2.0, 1.5, 2.0]


def test_a_resumed_training_of_transformers_begins_with_what_was_logged(transformers_callback):
    callback = transformers_callback(detectors=[])
    history = [{"loss": 5.0, "epoch": -1.0, "step": 1}, {"eval_loss": 4.0, "epoch": -1.0, "step": 1}]
    TransformersHost(history=history).train(callback, epochs=1)

    assert callback.lookout.monitor.run["val_loss"].tolist() == [4.0, LOSSES[0]]


def test_an_evaluation_after_the_training_is_not_part_of_it(transformers_callback):
    callback, host = transformers_callback(detectors=[]), TransformersHost()
    host.train(callback)
    callback.on_log(host.args, host.state, SimpleNamespace(), logs={"eval_loss": 0.0})

    assert callback.lookout.monitor.run["val_loss"].tolist() == LOSSES


@pytest.mark.parametrize("framework", CALLBACKS.values())
def test_a_sabotaged_detector_does_not_break_any_training(framework, request, caplog):
    callback = request.getfixturevalue(f"{framework}_callback")(
        detectors=[Broken(RuntimeError("sabotage"))], stop_on=["overfitting"]
    )
    host: Any = {"keras": KerasHost, "lightning": LightningHost, "transformers": TransformersHost}[framework]()

    assert (host.train if framework == "transformers" else host.fit)(callback) == 5
    assert [r.message for r in caplog.records if "RuntimeError: sabotage" in r.message] == [
        "curvesense stops watching after an error of its own, training goes on: RuntimeError: sabotage"
    ]


@pytest.mark.parametrize("framework", ["keras", "lightning"])
def test_a_disk_that_is_full_does_not_break_any_training(framework, request, caplog):
    def save(path: str) -> None:
        raise OSError(28, "No space left on device")

    path = {"keras": "best.keras", "lightning": "best.ckpt"}[framework]
    callback = request.getfixturevalue(f"{framework}_callback")(save_best=path, detectors=[])
    host: Any = {"keras": KerasHost, "lightning": LightningHost}[framework]()
    host.save = host.save_checkpoint = save

    assert host.fit(callback) == 5
    assert len([r for r in caplog.records if "No space left" in r.message]) == 1


@pytest.mark.parametrize("framework", CALLBACKS.values())
def test_where_nothing_could_be_saved_it_is_said_at_the_end(framework, request):
    lines: list[str] = []
    path: Any = {"keras": "best.keras", "lightning": "best.ckpt", "transformers": True}[framework]
    callback = request.getfixturevalue(f"{framework}_callback")(
        save_best=path, detectors=[], best_by="val_accuracy", say=lines.append
    )
    host: Any = {"keras": KerasHost, "lightning": LightningHost, "transformers": TransformersHost}[framework]()
    (host.train if framework == "transformers" else host.fit)(callback)

    assert lines == ["curvesense saved nothing: val_accuracy was not logged; best_by=NAME says what to go by"]


def test_the_older_package_of_lightning_serves_where_the_newer_one_is_not(skin):
    older = type("Callback", (), {})
    module = skin("lightning", **{"lightning": {}, "pytorch_lightning": {"Callback": older}})

    assert issubclass(module.LightningCallback, older)


# the registry


@pytest.mark.parametrize(("name", "framework"), CALLBACKS.items())
def test_a_framework_that_is_missing_is_named_with_the_way_out(name, framework, monkeypatch):
    for module in (framework, "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"detectors.callbacks.{framework}", raising=False)

    with pytest.raises(ImportError, match=f"{name} needs .*: pip install {framework}"):
        getattr(detectors.callbacks, name)


def test_a_callback_that_there_is_not_is_an_attribute_error_that_lists_those_there_are():
    with pytest.raises(AttributeError, match="KerasCallback"):
        _ = detectors.callbacks.TensorFlowCallback


def test_the_error_itself_can_be_seen_at_the_level_debug(caplog):
    caplog.set_level(logging.DEBUG, "curvesense")
    looked([1.0], detectors=[Broken(RuntimeError("sabotage"))])

    assert "in detect" in caplog.text
