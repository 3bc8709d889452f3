"""The offline runs of Weights & Biases, written by wandb, and damaged."""

from __future__ import annotations

import json
from pathlib import Path

from detectors.readers import Unreadable, expand, read

RUNS = Path(__file__).parent / "fixtures" / "wandb" / "wandb"
FILE = next(RUNS.glob("*seed0/*.wandb"))


def test_each_offline_run_is_a_run_with_its_name():
    runs = {run.name: run for run in read(RUNS)}
    expected = next(iter(json.loads((RUNS.parent / "expected.json").read_text())["logs"].values()))

    assert sorted(runs) == ["seed 0", "seed 1"]
    for seed, log in enumerate(expected):
        run = runs[f"seed {seed}"]
        assert list(run.epochs) == log["epochs"]
        assert {key: list(run[key]) for key in log["series"]} == log["series"]


def test_a_run_folder_is_one_log_and_the_link_to_the_latest_counts_once():
    assert [path.name for path in expand([RUNS])] == sorted(path.name for path in RUNS.glob("offline-*"))


def test_the_file_is_found_by_content(tmp_path):
    (tmp_path / "x.csv").write_bytes(FILE.read_bytes())

    assert [run.name for run in read(tmp_path / "x.csv")] == ["seed 0"]


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path):
    whole = FILE.read_bytes()
    rows = []
    for end in range(7, len(whole), 97):
        (tmp_path / "x").write_bytes(whole[:end])
        try:
            (run,) = read(tmp_path / "x")
            rows.append(len(run))
        except Unreadable:
            rows.append(0)

    assert rows == sorted(rows)
    assert rows[-1] == len(read(FILE)[0])
