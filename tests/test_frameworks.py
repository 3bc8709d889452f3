"""Logs that the real frameworks wrote are read as what the frameworks themselves reported.

Each folder of tests/fixtures comes from a script in experiments/frameworks, with the numbers that the framework held in
memory in its `expected.json`. Where a framework is installed (the extra [frameworks]) its script is run anew (slow).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from detectors.readers import FORMATS, read
from detectors.readers.names import CANONICAL
from detectors.readers.source import Source

FIXTURES = Path(__file__).parent / "fixtures"
SCRIPTS = Path(__file__).parents[1] / "experiments" / "frameworks"

LOGS = {  # log: the format that recognises it, runs, epochs
    "fastai/history.csv": ("delimited", 1, 12),
    "keras/history.json": ("json_document", 1, 15),
    "keras/training.csv": ("delimited", 1, 15),
    "keras_tensorboard/logs": ("tensorboard", 1, 15),
    "lightgbm/evals_result.json": ("json_document", 1, 25),
    "lightning/csv/version_0/metrics.csv": ("delimited", 1, 15),
    "lightning/tensorboard": ("tensorboard", 1, 15),
    "mlflow/mlflow.db": ("mlflow", 2, 12),
    "mlflow/mlruns": ("mlflow", 2, 12),
    "tensorboard/runs": ("tensorboard", 2, 20),
    "tensorboard/together": ("tensorboard", 1, 20),
    "tensorboardx/run": ("tensorboard", 1, 20),
    "timm/summary.csv": ("delimited", 1, 20),
    "transformers/trainer_state.json": ("trainer_state", 1, 8),
    "ultralytics/results.csv": ("delimited", 1, 10),
    "wandb/wandb": ("wandb", 2, 20),
}


def expected(folder: Path, log: str) -> list[dict]:
    return json.loads((folder / "expected.json").read_text())["logs"][log]


def agree(folder: Path, log: str) -> None:
    """Assert that the runs in the log have the epochs and the numbers of `expected.json`, in any order of the runs."""
    runs = sorted(read(folder / log), key=lambda run: run["train_loss"][0])  # MLflow's identifiers are random
    for run, reported in zip(
        runs, sorted(expected(folder, log), key=lambda run: run["series"]["train_loss"][0]), strict=True
    ):
        assert list(run.epochs) == reported["epochs"]
        for series, values in reported["series"].items():
            # results.csv holds six digits, a float32 seven
            np.testing.assert_allclose(run[series], values, rtol=1e-5, err_msg=series)


def split(log: str) -> tuple[Path, str]:
    framework, _, rest = log.partition("/")
    return FIXTURES / framework, rest


@pytest.mark.parametrize("log", [log for log in LOGS if (FIXTURES / log).is_file()])
def test_a_log_is_recognised_by_its_content(log):
    source = Source(str(FIXTURES / log))

    assert next(format.NAME for format in FORMATS if format.sniff(source)) == LOGS[log][0]


@pytest.mark.parametrize("log", LOGS)
def test_a_log_holds_the_numbers_that_the_framework_reported(log):
    runs = read(FIXTURES / log)

    assert (len(runs), {len(run.epochs) for run in runs}) == (LOGS[log][1], {LOGS[log][2]})
    agree(*split(log))


@pytest.mark.parametrize("log", LOGS)
def test_no_other_column_is_taken_for_a_series(log):
    runs, reported = read(FIXTURES / log), expected(*split(log))

    assert [set(run.series) & set(CANONICAL) for run in runs] == [set(run["series"]) for run in reported]


def test_every_fixture_is_in_the_table():
    made = {path.parent.name: json.loads(path.read_text())["logs"] for path in FIXTURES.glob("*/expected.json")}

    assert {f"{framework}/{log}" for framework, logs in made.items() for log in logs} == set(LOGS)


def test_every_fixture_has_a_script_and_the_other_way_round():
    assert {path.parent.name for path in FIXTURES.glob("*/expected.json")} == {
        path.stem.removeprefix("with_") for path in SCRIPTS.glob("with_*.py")
    }


def test_the_training_loss_of_a_trainer_is_the_mean_of_those_logged_since_the_evaluation_before(tmp_path):
    entries = [
        {"loss": 4.0, "epoch": 0.5, "step": 1},
        {"loss": 2.0, "epoch": 1.0, "step": 2},
        {"eval_loss": 5.0, "epoch": 1.0, "step": 2},
        {"eval_accuracy": 0.5, "epoch": 1.0, "step": 2},
        {"loss": 1.0, "epoch": 1.5, "step": 3},
        {"eval_loss": 6.0, "epoch": 2.0, "step": 4},
        {"loss": 0.5, "epoch": 2.5, "step": 5},
        {"train_loss": 9.0, "train_runtime": 3.0, "epoch": 2.5, "step": 5},
    ]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": entries}))

    (run,) = read(tmp_path / "trainer_state.json")

    assert (list(run.epochs), list(run["train_loss"]), list(run["val_loss"])) == ([1, 2], [3, 1], [5, 6])
    assert run["val_accuracy"][0] == 0.5
    assert any("after the last evaluation are left out: 1" in note for note in run.notes)


def test_a_trainer_that_never_evaluated_has_a_row_for_each_logging_step(tmp_path):
    entries = [{"loss": 2.0, "epoch": 0.5, "step": 1}, {"loss": 1.0, "epoch": 1.0, "step": 2}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": entries}))

    (run,) = read(tmp_path / "trainer_state.json")

    assert (list(run.epochs), list(run["train_loss"])) == ([0.5, 1], [2, 1])


def test_the_log_txt_of_the_classic_cifar_repositories_is_read(tmp_path):
    """They have no package: these lines are what their `Logger` writes, a tab after each cell and six decimals."""
    names = ["Learning Rate", "Train Loss", "Valid Loss", "Train Acc.", "Valid Acc."]
    rows = [[0.1, 1.5, 1.4, 45.25, 50.5], [0.1, 1.1, 1.2, 60.75, 58.0], [0.02, 0.9, 1.0, 68.5, 65.0]]
    lines = ["".join(f"{name}\t" for name in names), *("".join(f"{x:.6f}\t" for x in row) for row in rows)]
    (tmp_path / "log.txt").write_text("\n".join(lines) + "\n")

    (run,) = read(tmp_path / "log.txt")

    assert list(run.epochs) == [1, 2, 3]
    columns = ("learning_rate", "train_loss", "val_loss", "train_accuracy", "val_accuracy")
    percent = np.array([1, 1, 1, 100, 100])
    np.testing.assert_allclose(np.transpose([run[name] for name in columns]) * percent, rows)


@pytest.mark.slow
@pytest.mark.parametrize("framework", sorted(path.parent.name for path in FIXTURES.glob("*/expected.json")))
def test_a_log_made_anew_reads_the_same(framework, tmp_path):
    made_with = json.loads((FIXTURES / framework / "expected.json").read_text())["made_with"]
    for package in made_with:
        try:
            version(package)
        except PackageNotFoundError:
            pytest.skip(f"NOT MADE ANEW: {package} is not installed; see experiments/frameworks/README.md")
    out = tmp_path / framework
    command = [sys.executable, str(SCRIPTS / f"with_{framework}.py"), "--out", str(out)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": ""})

    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (
        json.loads((folder / "expected.json").read_text())["logs"] for folder in (FIXTURES / framework, out)
    )
    shape = {log: [(run["epochs"], list(run["series"])) for run in runs] for log, runs in before.items()}
    assert {log: [(run["epochs"], list(run["series"])) for run in runs] for log, runs in after.items()} == shape
    for log in after:
        agree(out, log)
