"""`curvesense validate`, the pytest plugin, the page, and the tutorials of the exam's README, as users meet them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim.exam import CHECKS, examine
from sim.exam.page import page
from sim.exam.reproduce import BadTarget, Target, load
from sim.exam.sabotage import Late, Mute

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "sim" / "exam" / "README.md").read_text()
FILES = dict(re.findall(r"```python file=(\S+)\n(.*?)```", MANUAL, flags=re.DOTALL))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", "COLUMNS": "100"}

BROKEN = """
from dataclasses import dataclass
from detectors import absent, undetermined

@dataclass(frozen=True)
class Silent:
    phenomenon = "overfitting"
    def detect(self, run):
        return absent(self.phenomenon) if "val_loss" in run else undetermined(self.phenomenon, "val_loss not logged")

class Raises(Silent):
    def detect(self, run):
        raise RuntimeError("<b>boom</b>")

class Needs:
    def __init__(self, width): ...
    def detect(self, run): ...

silent = Silent()
number = 3
"""


def curvesense(*words: str, at: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """What the command line answers in a folder."""
    command = [sys.executable, "-m", "detectors.cli", *words]
    return subprocess.run(command, cwd=at, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broken.py").write_text(BROKEN)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


# the tutorials


def test_the_first_tutorial_is_under_thirty_lines():
    assert len(FILES["late_rise.py"].splitlines()) < 30


@pytest.mark.release
def test_the_first_tutorial_ends_in_a_validated_detector(folder):
    done = curvesense("validate", "late_rise:LateRise", "--json", at=folder)
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [c["name"] for c in report["checks"] if c["status"] == "failed"] == []
    shown = {c["name"] for c in report["checks"] if c["status"] == "not promised"}
    assert {"intervals_hold_the_onset", "puts_it_where_it_is", "is_surer_of_a_stronger_event"} <= shown  # so the text


@pytest.mark.slow
def test_the_first_tutorial_is_right_about_what_fails_without_its_price_for_choosing(folder):
    text = FILES["late_rise.py"]
    assert text.count("len(low) * ") == 1
    (folder / "greedy.py").write_text(text.replace("len(low) * ", ""))
    words = ("--only", "stays_silent_on_null_families", "--only", "p_values_are_none_too_small", "--json")
    report = json.loads(curvesense("validate", "greedy:LateRise", *words, at=folder).stdout)

    assert [c["status"] for c in report["checks"]] == ["failed", "failed"]


@pytest.mark.slow
def test_the_second_tutorial_validates_a_detector_of_a_new_phenomenon(folder):
    done = curvesense("validate", "restart:Restart", "--subject", "restart:SUBJECT", "--json", at=folder)
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert report["phenomenon"] == "restart"
    assert sum(c["status"] == "passed" for c in report["checks"]) >= 30


def test_the_manual_counts_its_checks():
    assert MANUAL.count("\n| contract | `") == sum(c.group == "contract" for c in CHECKS.values())
    assert "Forty-three checks" in MANUAL
    assert len(CHECKS) == 43


# the command


@pytest.mark.slow
def test_a_failing_detector_makes_the_status_1_and_leaves_a_page_and_a_test(folder):
    words = ("--only", "finds_what_was_injected", "--html", "report.html", "--replay", "failures")
    done = curvesense("validate", "broken:Silent", *words, at=folder)

    assert done.returncode == 1
    assert "finds_what_was_injected" in done.stdout
    assert "FAILED" in done.stdout
    assert "<svg" not in (folder / "report.html").read_text()  # the picture is embedded as data
    assert "data:image/svg+xml;base64," in (folder / "report.html").read_text()
    test = folder / "failures" / "test_finds_what_was_injected.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    again = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert again.returncode == 1
    assert "CheckFailed" in again.stdout


@pytest.mark.slow
def test_an_instance_can_be_named_as_well_as_a_class(folder):
    done = curvesense("validate", "broken:silent", "--only", "repeats_itself", at=folder)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_a_module_prints_when_it_is_imported_is_kept_out_of_the_report(folder):
    (folder / "talks.py").write_text("print('hello')\nfrom broken import Silent\n")
    done = curvesense("validate", "talks:Silent", "--only", "repeats_itself", "--json", at=folder)

    assert json.loads(done.stdout)["passed"]
    assert done.stderr == "hello\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("broken", "'broken': expected module:name"),
        ("nowhere:X", "cannot import nowhere"),
        ("broken:Nope", "broken has no 'Nope'"),
        ("broken:Needs", "calling it without arguments raised TypeError"),
        ("broken:number", "3 is no detector"),
    ],
)
def test_a_detector_that_cannot_be_loaded_is_one_line_and_status_2(folder, target, what):
    done = curvesense("validate", target, at=folder)

    assert done.returncode == 2
    assert what in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("--level", "hard"), ("--time-limit", "0"), ("--seed", "-1"), ("--only", "nope"), ("--subject", "broken:number")],
)
def test_a_setting_that_cannot_be_is_wrong_usage(folder, words):
    done = curvesense("validate", "broken:Silent", *words, at=folder)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_one_line(folder):
    done = curvesense("validate", "broken:Silent", "--only", "repeats_itself", "--html", "no/such/r.html", at=folder)

    assert done.returncode == 2
    assert "cannot write no/such/r.html: No such file or directory" in done.stderr


@pytest.mark.slow
def test_what_a_detector_raises_is_escaped_in_the_page(folder, monkeypatch):
    monkeypatch.chdir(folder)
    detector, _, target = load("broken:Raises")
    text = page(examine(detector, level="quick", only=["repeats_itself"]), target)

    assert "<b>boom" not in text
    assert "&lt;b&gt;boom" in text


@pytest.mark.slow
def test_the_page_needs_no_network_and_no_script():
    text = page(examine(Late(), level="quick", only=["finds_what_was_injected", "ignores_names"]))

    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "<script" not in text


def test_a_detector_that_cannot_be_found_is_refused_by_name():
    with pytest.raises(BadTarget, match="has no 'Nobody'"):
        load("sim.exam.sabotage:Nobody")


def test_a_class_is_called_and_an_instance_is_not():
    assert load("sim.exam.sabotage:Mute")[2] == Target(module="sim.exam.sabotage", name="Mute", called=True)
    assert isinstance(load("sim.exam.sabotage:Mute")[0], Mute)


# the plugin


def pytest_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.slow
def test_the_exam_runs_with_nothing_written_at_all(folder):
    words = ("--pyargs", "sim.exam", "--detector", "late_rise:LateRise", "--exam-level", "quick")
    done = pytest_in(folder, *words, "-k", "repeats or ignores or prints")

    assert done.returncode == 0, done.stdout
    assert re.search(r"5 passed, \d+ deselected", done.stdout)


@pytest.mark.slow
def test_without_a_detector_the_exam_says_how_to_name_one(folder):
    done = pytest_in(folder, "--pyargs", "sim.exam", "-rs")

    assert done.returncode == 0
    assert "no detector is named: --detector my_module:MyDetector" in done.stdout


@pytest.mark.slow
def test_a_detector_that_cannot_be_imported_is_said_by_pytest(folder):
    done = pytest_in(folder, "--pyargs", "sim.exam", "--detector", "nowhere:X")

    assert done.returncode != 0
    assert "--detector cannot import nowhere" in done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_no_detector_is_said_once_by_pytest(folder):
    done = pytest_in(folder, "--pyargs", "sim.exam", "--detector", "broken:number")

    assert done.returncode != 0
    assert "--detector 3 is no detector" in done.stdout + done.stderr
    assert "1 error in" in done.stdout


@pytest.mark.slow
def test_the_plugin_loads_neither_jax_nor_the_simulator(folder):
    (folder / "test_mine.py").write_text(
        "import sys\ndef test_it():\n    assert not {'jax', 'sim', 'hypothesis_not'} & set(sys.modules)\n"
    )
    done = pytest_in(folder, "test_mine.py")

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_without_the_extra_the_plugin_says_what_to_install(folder):
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'jax' else find(name, package)\n"
    )
    command = [sys.executable, "-m", "pytest", "--pyargs", "sim.exam", "--detector", "late_rise:LateRise"]
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{blocked}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    assert done.returncode == 4
    assert "pip install 'curvesense[sim]'" in done.stderr
