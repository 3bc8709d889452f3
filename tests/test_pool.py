"""Many logs are read in several processes, and answered as if it were one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from test_cli import ENVIRONMENT, LOG

from detectors.cli import main, pool
from detectors.cli.pool import Answer, answers, processes
from detectors.vocabulary import BadRun, Run, Verdict, absent


def fragile(paths: Sequence[str]) -> Iterator[Answer]:
    """Stands for logs of which one ends the process that reads it."""
    for path in paths:
        if path == "fatal":
            os._exit(1)
        yield Answer(path, reading=float(os.getpid()))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for i in range(6):
        rows = [f"{epoch},{loss:.4f}" for epoch, loss in enumerate(2 + rng.normal(0, 0.1, 40), 1)]
        (tmp_path / f"{i}.csv").write_text("\n".join(["epoch,val_loss", *rows]) if i % 3 else LOG)
    (tmp_path / "4.csv").write_text("epoch,val_loss\n")
    return tmp_path


@pytest.mark.parametrize(
    "manner", ["--json", *(pytest.param(m, marks=pytest.mark.slow) for m in ("--summary", "--color=never"))]
)
def test_the_answers_of_two_processes_are_those_of_one_and_in_order(logs, capsys, manner):
    said = []
    for jobs in ("1", "2"):
        status = main(["diagnose", str(logs), manner, "--jobs", jobs])
        said.append((status, *capsys.readouterr()))

    assert said[0] == said[1]
    assert said[0][0] == 1
    assert "4.csv" in said[0][2]


@pytest.mark.slow
def test_paths_come_back_in_order_from_processes_that_are_not_this_one():
    paths = [str(i) for i in range(100)]
    given = list(answers(fragile, paths, 2))

    assert [answer.path for answer in given] == paths
    assert os.getpid() not in {answer.reading for answer in given}


def test_a_run_that_is_refused_is_the_error_of_its_log_alone(logs):
    class Refuses:
        phenomenon = "overfitting"

        def detect(self, run: Run) -> Verdict:
            if "train_loss" in run:
                raise BadRun(f"{run.name!r} is refused")
            return absent("overfitting", "nothing to see")

    paths = [str(logs / f"{i}.csv") for i in range(6)]
    given = list(pool.Question(0.05, (Refuses(),))(paths))

    assert [answer.path for answer in given] == paths
    assert [bool(answer.error) for answer in given] == [True, False, False, True, True, False]
    assert [len(answer.diagnoses) for answer in given] == [0, 1, 1, 0, 0, 1]
    assert "is refused" in given[0].error


@pytest.mark.slow
def test_a_process_that_dies_is_an_error_and_leaves_no_other():
    before = set(multiprocessing.active_children())

    with pytest.raises(BrokenProcessPool):
        list(answers(fragile, ["a", "fatal", *"bcdefgh"], 2))
    until = time.monotonic() + 5
    while (left := set(multiprocessing.active_children()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == set()


def test_that_a_process_died_is_said_in_one_line(logs, capsys, monkeypatch):
    def died(*_: object):
        raise BrokenProcessPool
        yield

    monkeypatch.setattr(pool, "answers", died)

    assert main(["diagnose", str(logs), "--jobs", "2"]) == 1
    assert capsys.readouterr().err == (
        "curvesense: a process that read logs has died, for want of memory perhaps: try --jobs 1\n"
    )


@pytest.mark.parametrize(
    ("jobs", "paths", "used"),
    [(0, 5, 1), (0, 500, pool._cores()), (3, 500, 3), (3, 2, 2), (1, 500, 1)],
)
def test_a_core_each_is_used_for_hundreds_of_logs_and_what_is_asked_for_else(jobs, paths, used):
    assert processes(jobs, ["log.csv"] * paths) == used


def test_standard_input_is_read_by_this_process():
    assert processes(2, ["-", *["log.csv"] * 500]) == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "257", ""])
def test_a_number_of_processes_that_cannot_be_is_wrong_usage(value, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["diagnose", "log.csv", f"--jobs={value}"])

    assert refused.value.code == 2
    assert f"{value!r}: allowed is a whole number from 1 to 256" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_whatever_ends_the_command_ends_its_processes(tmp_path, how):
    for i in range(400):
        (tmp_path / f"{i}.csv").write_text(LOG)
    command = [sys.executable, "-m", "detectors.cli", "diagnose", *[str(tmp_path)] * 9, "--jobs", "2", "--json"]
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def children() -> list[str]:
        found = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        return [child for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]

    try:
        until = time.monotonic() + 20
        while len(started := children()) < 2 and running.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)
        running.send_signal(how)
        _, complaints = running.communicate(timeout=20)
        until = time.monotonic() + 10
        while (left := [c for c in started if Path(f"/proc/{c}").exists()]) and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        running.kill()

    assert (running.returncode, len(started), left) == (-how, 2, [])
    assert b"Traceback" not in complaints
