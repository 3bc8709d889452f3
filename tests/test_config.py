"""The config: where it is looked for, what it sets, what overrules it, and what is said where it is wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli import HEALTHY, LOG

from detectors.catalogue import CATALOGUE, built_in
from detectors.cli import main
from detectors.cli.config import KEYS, settings

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`curvesense diagnose log.csv` below a pyproject.toml with this table: status, output, errors."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "log.csv").write_text(LOG)
    monkeypatch.chdir(tmp_path / "inner")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(table: str | None, *args: str) -> tuple[int, str, str]:
        if table is not None:
            (tmp_path / "pyproject.toml").write_text(f"[tool.curvesense]\n{table}\n")
        status = main(["diagnose", "log.csv", *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def asked(out: str) -> list[str]:
    return [v["phenomenon"] for v in json.loads(out)[0]["verdicts"]]


# what it sets


def test_detectors_are_chosen(call):
    assert asked(call('detectors = ["lr_drop", "overfitting"]', "--json")[1]) == ["lr_drop", "overfitting"]


def test_detectors_are_left_out(call):
    assert asked(call('skip = "lr_drop"', "--json")[1]) == [name for name in CATALOGUE if name != "lr_drop"]


def test_alpha_is_set(call):
    assert f"alpha {built_in(0.012)[0].alpha:.4g}," in call("alpha = 0.012", "-v")[1]


def test_what_must_not_be_there_is_set(call):
    assert call('fail_on = ["overfitting"]')[0] == 3


def test_a_metric_is_mapped(call):
    Path("log.csv").write_text(LOG.replace("val_loss", "mine"))

    assert call('map = { val_loss = "mine" }', "-q")[1].startswith("inner/log: overfitting from ")


def test_a_format_is_named(call):
    assert call('format = "json_lines"')[0] == 1


@pytest.mark.parametrize("key", ["fail-on", "fail_on"])
def test_a_key_may_have_a_hyphen(call, key):
    assert call(f'{key} = "overfitting"')[0] == 3


def test_colour_is_set(call):
    assert "\x1b[1m" in call('color = "always"')[1]


def test_no_color_of_the_person_outweighs_the_colour_of_the_project(call, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in call('color = "always"')[1]


def test_the_manner_of_the_answer_is_set(call):
    assert call("summary = true")[1].startswith("run ")


# what overrules it


def test_an_option_overrules_a_list_and_does_not_add_to_it(call):
    out = call('detectors = ["lr_drop"]', "--json", "--detectors", "overfitting", "--detectors", "train_above_val")[1]

    assert asked(out) == ["overfitting", "train_above_val"]


def test_an_option_overrules_alpha(call):
    assert f"alpha {built_in(0.06)[0].alpha:.4g}," in call("alpha = 0.5", "-v", "--alpha", "0.06")[1]


@pytest.mark.parametrize(
    ("manner", "start"), [("--json", "["), ("-v", "inner/log: 120 rows"), ("-q", "inner/log: over")]
)
def test_a_manner_that_is_asked_for_overrules_another(call, manner, start):
    assert call("summary = true", manner)[1].startswith(start)


def test_it_can_be_left_unread(call):
    assert call("nonsense = 1", "--no-config")[0] == 0


# where it is


def test_another_file_may_be_named(call, tmp_path):
    (tmp_path / "other.toml").write_text('[tool.curvesense]\nfail_on = "overfitting"\n')

    assert call("alpha = 7", "--config", "../other.toml")[0] == 3


def test_a_nearer_file_without_the_table_is_passed_over(call):
    Path("pyproject.toml").write_text("[tool.ruff]\n")

    assert call('fail_on = "overfitting"')[0] == 3


def test_a_nearer_table_is_the_only_one(call):
    Path("pyproject.toml").write_text("[tool.curvesense]\n")

    assert call('fail_on = "overfitting"')[0] == 0


def test_every_command_reads_it(call, capsys, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.curvesense]\nnonsense = 1\n")

    assert main(["generate", "--tier", "composed", "--runs", "1", "--out", "runs"]) == 2
    assert "nonsense" in capsys.readouterr().err


# what is wrong with it


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("alpha = 2", "alpha = 2: allowed is a number between 0 and 1"),
        ("alpha = true", "alpha = True: allowed is a number between 0 and 1"),
        ("alpha = [1]", "alpha = [1]: allowed is a number between 0 and 1"),
        ("alpha = nan", "alpha = nan: allowed is a number between 0 and 1"),
        ('color = "red"', "color = 'red': allowed are auto, always, never"),
        ("color = [1]", "color = [1]: allowed are auto, always, never"),
        ('format = "excel"', "format = 'excel': allowed are "),
        ('map = "a=b"', "map = 'a=b': allowed is a table such as"),
        ("map = { val_loss = 3 }", "map = {'val_loss': 3}: allowed is a table such as"),
        ("detectors = []", "detectors = []: allowed are one or more of overfitting, "),
        ('fail_on = ["overfitting", 3]', "fail_on = 3: allowed are overfitting, "),
        ('skip = "happiness"', "skip = 'happiness': allowed are overfitting, "),
        ('quiet = "yes"', "quiet = 'yes': allowed are true and false"),
        ("aplha = 0.1", "has no key 'aplha' (= 0.1); did you mean alpha?"),
        ("zzz = 0.1", f"has no key 'zzz' (= 0.1); allowed are {', '.join(KEYS)}"),
        ("fail-on = 'lr_drop'\nfail_on = 'lr_drop'", "has fail_on twice"),
    ],
)
def test_a_wrong_line_is_status_2_and_one_line_with_file_key_value_and_what_is_allowed(call, tmp_path, table, said):
    status, out, err = call(table)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"curvesense: {tmp_path / 'pyproject.toml'}: [tool.curvesense] ")
    assert said in err


@pytest.mark.parametrize(
    "content", [b"[tool", b"\xff\xfe", b"", b"tool = 3", b"[tool]\ncurvesense = 3", b"a = " + b"[" * 5000]
)
def test_a_file_that_is_no_config_is_one_line(call, content):
    Path("odd.toml").write_bytes(content)

    status, out, err = call(None, "--config", "odd.toml")

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("curvesense: odd.toml: ")


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\nb.toml"])
def test_a_config_that_is_not_there_is_one_line(call, name):
    status, _, err = call(None, "--config", name)

    assert (status, err.count("\n")) == (2, 1)
    assert "it cannot be read" in err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nobody is refused a file here")
def test_a_config_that_may_not_be_read_is_one_line(call, tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "pyproject.toml").chmod(0)

    assert re.fullmatch(
        r"curvesense: .*: it cannot be read: Permission denied; --no-config does without\n", call(None)[2]
    )


def test_two_ways_to_choose_the_config_are_wrong_usage(call):
    with pytest.raises(SystemExit) as caught:
        call(None, "--config", "x.toml", "--no-config")

    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--skip", ",".join(CATALOGUE)], "no detector is left to ask"),
        (["--skip", "overfitting", "--fail-on", "overfitting"], "that detector is not asked"),
        (["-q", "-v"], "choose one"),
    ],
)
def test_options_that_contradict_each_other_are_status_2_before_anything_is_read(call, args, said):
    status, out, err = call(None, *args)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_where_overfitting_was_not_asked_nothing_is_said_about_training_too_long(call):
    Path("log.csv").write_text(HEALTHY)

    assert "trained for too long" in call(None)[1]
    assert "trained for too long" not in call(None, "--skip", "overfitting")[1]


def test_the_readme_shows_a_config_that_is_one_with_every_kind_of_key(tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), flags=re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(block)

    said = settings(None, tmp_path)

    assert KEYS.keys() - said.keys() == {"detectors", "quiet", "verbose"}  # which it names in its comments
    assert all(name in block for name in KEYS)
