"""The list of experiments names scripts that are there, with arguments that they take, and leaves none out unsaid."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import run_all

SCRIPTS = Path(run_all.__file__).parent
#: Not of `run_all`: null distributions that ship with the detectors, pictures of the manual, parts of other scripts.
PARTS = "curve_features|answers_.*|transfer_.*|matched|digits_torch|fleet_speed|ordinary_loop|readme|run_all|tables"
ELSEWHERE = re.compile(rf".*_null|gallery|{PARTS}")
ARGUMENTS = [(s.script, level, a) for s in run_all.STAGES for level in ("small", "full") if (a := getattr(s, level))]


def test_every_script_is_run_or_known_to_be_no_experiment_of_its_own():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    run = {stage.script for stage in run_all.STAGES}

    assert run <= scripts
    assert not [name for name in scripts - run if not ELSEWHERE.fullmatch(name)]


@pytest.mark.parametrize(("script", "level", "arguments"), ARGUMENTS)
def test_a_script_takes_the_arguments_that_it_is_given(script, level, arguments):
    text = (SCRIPTS / f"{script}.py").read_text()

    assert all(f'"{word}"' in text for word in arguments if word.startswith("--"))


def test_a_stage_without_its_library_or_its_logs_says_so(monkeypatch):
    monkeypatch.delenv("CURVESENSE_LOGS", raising=False)

    assert run_all.Stage("x", libraries=("numpy", "no_such_library")).lacks() == "not installed: no_such_library"
    assert "CURVESENSE_LOGS" in run_all.Stage("x", logs=True).lacks()
    assert not run_all.Stage("x", libraries=("numpy",)).lacks()


@pytest.mark.parametrize(("code", "status"), [("pass", 0), ("import sys; sys.exit('broken')", 1)])
def test_a_script_that_fails_is_told_and_the_others_go_on(code, status, tmp_path, monkeypatch, capsys):
    (tmp_path / "first.py").write_text(code)
    (tmp_path / "second.py").write_text("import os; print(os.environ['CURVESENSE_RESULTS'])")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setattr(run_all, "STAGES", (run_all.Stage("first"), run_all.Stage("second", small=None)))
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--level", "small", "--out", str(tmp_path / "out")])
    monkeypatch.setattr("tables.RESULTS", tmp_path / "out")
    monkeypatch.setenv("CURVESENSE_RESULTS", "")

    answer = run_all.main()

    told = capsys.readouterr().out
    assert answer == status
    assert ("failed with exit code 1" in told) == bool(status)
    assert "left out: only at level full" in told
    assert (tmp_path / "out" / "run_all.csv").read_text().count("\n") == 3
