"""`curvesense watch` follows logs that grow, in lines and in a pseudo terminal, and leaves it as it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import hard_files
import pytest

from detectors.cli import main

pyte = pytest.importorskip("pyte", reason="TERMINAL NOT TESTED: pip install 'curvesense[test]'")
ROOT = Path(__file__).parents[1]


def log(rows: int) -> str:
    """A log that overfits from epoch 40 on."""
    lines = ["epoch,train_loss,val_loss"]
    for epoch in range(1, rows + 1):
        ripple = 0.004 * (-1) ** epoch
        lines.append(f"{epoch},{2 * 0.9**epoch + ripple},{0.4 + 2 * 0.9**epoch + 0.01 * max(epoch - 40, 0) + ripple}")
    return "\n".join(lines) + "\n"


class Terminal:
    """A command on a pseudo terminal of its own, and what its screen shows."""

    def __init__(self, *arguments: str, rows: int = 32, columns: int = 100, **environment: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes = b""
        self.parent, child = pty.openpty()
        self.resize(rows, columns)
        fixed = ("COLUMNS", "LINES")  # what Python's readline leaves in the environment, in xdist's processes too
        outer = {name: value for name, value in os.environ.items() if name not in fixed}
        env = {**outer, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
        command = [sys.executable, "-m", "detectors.cli", "watch", "--interval", "0.2", *arguments]
        self.process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, env=env, start_new_session=True, close_fds=True
        )
        os.close(child)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.parent, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def read(self, seconds: float) -> None:
        """Take in what is written for `seconds`, or until the command has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.parent], [], [], 0.05)[0]:
                try:
                    part = os.read(self.parent, 65536)
                except OSError:  # the other side is closed
                    return
                if not part:
                    return
                self.bytes += part
                self.stream.feed(part)

    def shows(self, text: str, within: float = 20) -> bool:
        """Whether `text` comes to stand on the screen."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if text in "\n".join(self.screen.display):
                return True
            self.read(0.2)
        return False

    def shows_first(self, text: str, within: float = 20) -> bool:
        """Whether `text` comes to stand in the first line, as it does once all is drawn anew."""
        end = time.monotonic() + within
        while text not in self.screen.display[0] and time.monotonic() < end:
            self.read(0.2)
        return text in self.screen.display[0]

    def ends(self, number: int) -> int:
        self.process.send_signal(number)
        self.read(10)
        return self.process.wait(10)


@pytest.fixture
def terminal():
    made: list[Terminal] = []

    def start(*arguments: str, **settings) -> Terminal:
        made.append(Terminal(*arguments, **settings))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        with contextlib.suppress(OSError):
            os.close(one.parent)


# in lines


def test_one_look_says_each_finding_in_a_line_with_a_time_stamp_and_then_the_reading(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(log(90))

    assert main(["watch", str(tmp_path), "--once"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ": overfitting: val_loss" in line]
    assert len(lines) == 1
    assert time.strptime(lines[0].split()[0], "%H:%M:%S")
    assert 40 < float(lines[0].partition("epoch ")[2].partition(":")[0]) < 90  # when it was certain


def test_what_has_no_promise_is_called_a_hint_and_can_be_left_out(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(log(50))
    main(["watch", str(tmp_path), "--once"])
    hints = [line for line in capsys.readouterr().out.splitlines() if ", a hint: " in line]
    main(["watch", str(tmp_path), "--once", "--no-hints"])

    assert len(hints) >= 1
    assert ", a hint: " not in capsys.readouterr().out


def test_sister_runs_tell_how_noisy_a_run_is(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(log(90))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "1.csv").write_text(log(90))

    assert main(["watch", str(tmp_path / "a.csv"), "--once", "--sisters", str(tmp_path / "none")]) == 2
    assert "--sisters" in capsys.readouterr().err
    assert main(["watch", str(tmp_path / "a.csv"), "--once", "--sisters", str(tmp_path / "old"), "--no-hints"]) == 0
    assert ": overfitting: " not in capsys.readouterr().out  # one sister tells nothing


def test_a_log_that_is_not_there_is_named_and_the_status_is_1(tmp_path, capsys):
    assert main(["watch", str(tmp_path / "none.csv"), "--once"]) == 1
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--interval", "0"], ["--until-idle", "soon"], ["--map", "x"], ["--autocorrelation", "1"]]
)
def test_wrong_usage_has_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["watch", "log.csv", *arguments])

    assert exit_.value.code == 2


@pytest.mark.slow
def test_a_log_that_grows_halves_and_grows_again_is_followed_until_it_is_idle(tmp_path):
    path = tmp_path / "a.csv"
    command = [sys.executable, "-m", "detectors.cli", "watch", str(tmp_path), "--interval", "0.1", "--until-idle", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        waiting = process.stderr.readline()
        for text in (log(50), log(90)[:-7], "", log(20), log(90)):  # half-written, truncated, begun anew
            path.write_text(text)
            time.sleep(0.3)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert out.count(": overfitting: val_loss") >= 1
    assert "waiting for a log" in waiting


def epochs_as_json(first: int, last: int) -> bytes:
    rows = [line.split(",") for line in log(last).splitlines()[first:]]
    return "".join(
        json.dumps({"epoch": int(e), "loss": float(t), "val_loss": float(v)}) + "\n" for e, t, v in rows
    ).encode()


def epochs_as_events(first: int, last: int) -> bytes:
    rows = [line.split(",") for line in log(last).splitlines()[first:]]
    return b"".join(hard_files.scalars(int(e), float(t), float(v)) for e, t, v in rows)


def epochs_as_lightning(first: int, last: int) -> bytes:
    """Two steps, the validation and the mean of training for each epoch, each in a row of its own."""
    lines = ["epoch,step,train_loss_epoch,train_loss_step,val_loss"] if first == 1 else []
    for row in log(last).splitlines()[first:]:
        e, t, v = int(row.split(",")[0]) - 1, *row.split(",")[1:]
        lines += [f"{e},{2 * e},,{t},", f"{e},{2 * e + 1},,{t},", f"{e},{2 * e + 1},,,{v}", f"{e},{2 * e + 1},{t},,"]
    return "".join(f"{line}\n" for line in lines).encode()


def epochs_with_their_number(first: int, last: int) -> bytes:
    """Events over steps, with the epoch as a scalar among others, as Lightning's logger writes them."""
    rows = [line.split(",") for line in log(last).splitlines()[first:]]
    return b"".join(
        hard_files.scalars(2 * int(e) - 1, float(t), float(v))
        + hard_files.records([hard_files.value(2 * int(e) - 1, b"epoch", float(e) - 1)])
        for e, t, v in rows
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "grown", "last"),
    [
        ("a.jsonl", epochs_as_json, "90"),
        ("metrics.csv", epochs_as_lightning, "89"),
        ("events.out.tfevents.1.host", epochs_as_events, "90"),
        ("events.out.tfevents.2.host", epochs_with_their_number, ""),
    ],
)
def test_a_log_that_a_framework_appends_to_is_followed(tmp_path, name, grown, last):
    (tmp_path / name).write_bytes(grown(1, 20))
    command = [
        sys.executable,
        "-m",
        "detectors.cli",
        "watch",
        str(tmp_path),
        "--interval",
        "0.1",
        "--until-idle",
        "1.5",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        time.sleep(0.5)
        whole = grown(21, 90)
        with (tmp_path / name).open("ab") as file:
            for at in range(0, len(whole), 1000):  # in the middle of a line, of a record
                file.write(whole[at : at + 1000])
                file.flush()
                time.sleep(0.05)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    assert out.count("overfitting: val_loss was lowest") == 1
    assert f"epoch {last}: Validation loss is lowest" in out if last else "Validation loss is lowest" in out


# in a terminal


def test_the_screen_shows_the_curves_and_the_finding_while_the_log_grows(tmp_path, terminal):
    path = tmp_path / "a.csv"
    path.write_text(log(30))
    shown = terminal(str(path))

    assert shown.shows("> a, epoch 30")
    assert shown.shows("train_loss")
    path.write_text(log(90))
    assert shown.shows("overfitting: val_loss was lowest")
    assert shown.ends(signal.SIGINT) == 0
    assert "Validation loss is lowest around epoch" in "\n".join(shown.screen.display)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_the_terminal_is_put_back(tmp_path, terminal, number, status):
    shown = terminal(str(tmp_path))

    assert shown.shows("no log yet")
    before = termios.tcgetattr(shown.parent)
    assert shown.ends(number) == status
    assert shown.bytes.rfind(b"\x1b[?1049l") > shown.bytes.rfind(b"\x1b[?1049h") >= 0  # the other screen is left
    assert shown.bytes.rfind(b"\x1b[?25h") > shown.bytes.rfind(b"\x1b[?25l")  # the cursor shows
    assert termios.tcgetattr(shown.parent) == before


def test_no_color_is_honoured_and_another_size_is_drawn(tmp_path, terminal):
    (tmp_path / "a.csv").write_text(log(90))
    (tmp_path / "b.csv").write_text(log(20))
    shown = terminal(str(tmp_path), NO_COLOR="1")

    assert shown.shows("2 runs")
    shown.resize(20, 60)
    assert shown.shows_first("2 runs")
    assert not any(cell.fg != "default" for line in shown.screen.buffer.values() for cell in line.values())
