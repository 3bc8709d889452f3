"""The examples of `--help` run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from test_cli import ENVIRONMENT, LOG

from detectors.cli import main, parser

EXAMPLES = [
    line.strip()
    for line in parser()._subparsers._group_actions[0].choices["diagnose"].epilog.splitlines()
    if "curvesense diagnose" in line
]


def test_there_are_enough_of_them():
    assert len(EXAMPLES) >= 5


@pytest.mark.skipif(os.name != "posix", reason="they are written for a POSIX shell")
@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_runs(tmp_path, line):
    mapped = "my_metric" in line
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "metrics.csv").write_text(LOG)
    (tmp_path / "log.csv").write_text(LOG.replace("val_loss", "my_metric") if mapped else LOG)
    function = f'curvesense() {{ "{sys.executable}" -m detectors.cli "$@"; }}; {line}'

    done = subprocess.run(["sh", "-c", function], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (3 if "--fail-on" in line else 0, "")
    assert "overfitting" in done.stdout


@pytest.mark.parametrize("width", ["1", "0", "-5", "100000", "x"])
def test_an_absurd_terminal_is_no_traceback(tmp_path, monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", width)
    name = "a\x1b[2J\n" + "n" * 200
    (tmp_path / f"{name}.csv").write_text(LOG)

    assert main(["diagnose", str(tmp_path / f"{name}.csv"), "--color", "never"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize(("how", "status"), [("- <&-", 1), ("log.csv >&-", 0), ("log.csv 2>&-", 0)])
def test_a_stream_that_is_closed_from_the_start_is_no_traceback(tmp_path, how, status):
    (tmp_path / "log.csv").write_text(LOG)
    line = f'"{sys.executable}" -m detectors.cli diagnose {how}'

    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)

    assert done.returncode == status
    assert "Traceback" not in done.stderr
