"""The examples of `--help` run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import ENVIRONMENT, LOG

from detectors.cli import main, parser
from detectors.cli.status import INTERRUPTED, MEANING

README = (Path(__file__).parents[1] / "README.md").read_text()

COMMANDS = parser()._subparsers._group_actions[0].choices
EXAMPLES = [
    line.strip()
    for command in COMMANDS.values()
    for line in (command.epilog or "").splitlines()
    if "curvesense " in line and not line.strip().startswith("#")
]
SLOW = ("demo", "generate", "validate")  # they train, or import jax
RUN = [line for line in EXAMPLES if "curvesense diagnose" in line or "--once" in line or "completion" in line]
TRAINED = ("curvesense demo", "--tier trained")  # tried by .ci/run and by tests of their own


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_teaches_by_example_and_says_its_exit_statuses(name):
    said = COMMANDS[name].format_help()

    assert len([line for line in EXAMPLES if f"curvesense {name}" in line]) >= 2
    assert re.search(r"^Exit status: 0 +\w", said, re.MULTILINE)


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_what_the_command_line_takes(line):
    words = shlex.split(re.sub(r"^cat \S+ \| | > \S+$", "", line))

    assert words[0] == "curvesense"
    assert callable(parser().parse_args(words[1:]).run)


def in_shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What `line` does in a shell in which `curvesense` is this checkout's."""
    mapped = "my_metric" in line
    if "--out runs" not in line:
        (folder / "runs" / "a").mkdir(parents=True)
        (folder / "runs" / "a" / "metrics.csv").write_text(LOG)
    (folder / "log.csv").write_text(LOG.replace("val_loss", "my_metric") if mapped else LOG)
    for place in (".zfunc", ".local/share/bash-completion/completions"):
        (folder / place).mkdir(parents=True)
    function = f'curvesense() {{ "{sys.executable}" -m detectors.cli "$@"; }}; {line}'
    environment = {**ENVIRONMENT, "HOME": str(folder)}
    return subprocess.run(["sh", "-c", function], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="they are written for a POSIX shell")
@pytest.mark.parametrize("line", [line for line in RUN if "composed" not in line])
def test_an_example_runs(tmp_path, line):
    done = in_shell(line, tmp_path)
    (written,) = re.findall(r"> ~/(\S+)$", line) or [""]

    assert (done.returncode, done.stderr) == (3 if "--fail-on" in line else 0, "")
    assert "overfitting" in (done.stdout or (tmp_path / written).read_text())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="they are written for a POSIX shell")
@pytest.mark.parametrize(
    "line",
    [li for li in EXAMPLES if ("generate" in li and "trained" not in li) or "--only" in li or "--level quick" in li],
)
def test_an_example_of_the_simulator_runs(tmp_path, line):
    (tmp_path / "my_module.py").write_text("from detectors.lr_drop import LrDrop as MyDetector\n")
    line = re.sub("10000?", "20", line)

    done = in_shell(line, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_the_command_as_shells_expect_it(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    line = [sys.executable, "-m", "detectors.cli", "diagnose", "log.csv"]
    running = subprocess.Popen(line, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE)
    with running, (tmp_path / "log.csv").open("w"):  # waits for the reader
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=20)

    assert running.returncode == -signal.SIGINT
    assert 128 + signal.SIGINT == INTERRUPTED  # what a shell calls it
    assert complaints == b""


def test_the_table_of_exit_statuses_in_the_readme_is_that_of_the_code():
    _, _, after = README.partition("| exit status | |\n")
    table = re.findall(r"^\| (\d+) \| (.*) \|$", after.partition("\n\n")[0], re.MULTILINE)

    assert {int(status): says.replace("`", "") for status, says in table} == MEANING


@pytest.mark.parametrize("width", ["1", "0", "-5", "100000", "x"])
def test_an_absurd_terminal_is_no_traceback(tmp_path, monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", width)
    name = "a\x1b[2J\n" + "n" * 200
    (tmp_path / f"{name}.csv").write_text(LOG)

    assert main(["diagnose", str(tmp_path / f"{name}.csv"), "--color", "never"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize(("how", "status"), [("- <&-", 1), ("log.csv >&-", 0), ("log.csv 2>&-", 0)])
def test_a_stream_that_is_closed_from_the_start_is_no_traceback(tmp_path, how, status):
    (tmp_path / "log.csv").write_text(LOG)
    line = f'"{sys.executable}" -m detectors.cli diagnose {how}'

    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)

    assert done.returncode == status
    assert "Traceback" not in done.stderr
