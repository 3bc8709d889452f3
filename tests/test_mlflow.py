"""MLflow's two stores, written by MLflow, and damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from detectors.readers import Unreadable, expand, read

STORES = Path(__file__).parent / "fixtures" / "mlflow"


@pytest.mark.parametrize("store", ["mlruns", "mlflow.db"])
def test_each_run_of_a_store_is_a_run_with_its_name_and_its_experiment(store):
    runs = {run.name: run for run in read(STORES / store)}
    expected = next(iter(json.loads((STORES / "expected.json").read_text())["logs"].values()))

    assert {(run.name, run.group) for run in runs.values()} == {("seed_0", "digits"), ("seed_1", "digits")}
    for seed, log in enumerate(expected):
        run = runs[f"seed_{seed}"]
        assert list(run.epochs) == log["epochs"]
        assert {key: list(run[key]) for key in log["series"]} == log["series"]


def test_a_store_is_one_log_a_run():
    assert len(expand([STORES / "mlruns"])) == 2


def test_a_half_written_line_of_a_metric_is_left_out(tmp_path):
    shutil.copytree(STORES / "mlruns", tmp_path / "mlruns")
    (folder, _) = expand([tmp_path / "mlruns"])
    whole = read(folder)[0]
    with (folder / "metrics" / "val_loss").open("a") as file:
        file.write("17000")

    (run,) = read(folder)

    assert np.array_equal(run["val_loss"], whole["val_loss"])
    assert any("left out: 1" in note for note in run.notes)


@pytest.mark.parametrize("size", [16, 100, 4096, 100_000])
def test_a_database_that_is_cut_off_is_unreadable_or_read_in_part(tmp_path, size):
    (tmp_path / "x.db").write_bytes((STORES / "mlflow.db").read_bytes()[:size])

    with pytest.raises(Unreadable, match=r"x\.db: "):
        read(tmp_path / "x.db")


def test_another_database_is_no_log(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE t (a)")
    connection.close()

    with pytest.raises(Unreadable, match="no metrics of MLflow"):
        read(tmp_path / "x.db")


def test_reading_leaves_the_database_as_it_is(tmp_path):
    shutil.copy(STORES / "mlflow.db", tmp_path)
    read(tmp_path / "mlflow.db")

    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert (tmp_path / "mlflow.db").read_bytes() == (STORES / "mlflow.db").read_bytes()


def test_a_step_beyond_all_numbers_is_damage_and_no_error(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "meta.yaml").write_text("run_name: seed 0\n")
    (tmp_path / "metrics" / "val_loss").write_text(f"1 3.0 0\n2 2.0 1\n3 1.0 {'9' * 400}\n")
    (run,) = read(tmp_path)

    assert list(run["val_loss"]) == [3, 2]
    assert "lines that are not time, value and step are left out: 1" in run.notes
