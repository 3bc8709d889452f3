"""The commands that the simulator adds: what they write, and what they refuse."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import pytest

from sim import commands
from sim.dataset import write
from sim.machine import cache_folder, keep_programs

pq = pytest.importorskip("pyarrow.parquet", reason="DATA SETS NOT TESTED: pyarrow is missing, install the extra [sim]")


@pytest.fixture
def no_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the drawing."""
    monkeypatch.setattr("sim.dataset.making.sheet", lambda *args: b"")


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the settings of JAX as they are."""
    monkeypatch.setattr("sim.machine.keep_programs", lambda folder: None)


def table(folder: Path) -> Any:
    """All parts of a data set as one table."""
    return pq.read_table(folder / "data")


# folders that are refused


def a_folder_with_a_file(path: Path) -> Path:
    (path / "notes.txt").touch()
    return path


def a_folder_with_a_hidden_file(path: Path) -> Path:
    (path / ".notes").touch()
    return path


def a_file(path: Path) -> Path:
    (path / "set").touch()
    return path / "set"


def a_folder_below_a_file(path: Path) -> Path:
    (path / "set").touch()
    return path / "set" / "new"


def a_folder_below_a_locked_one(path: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("LOCKED FOLDER NOT TESTED: root may write anywhere")
    (path / "locked").mkdir(mode=0o500)
    return path / "locked" / "new"


REFUSED = [
    (a_folder_with_a_file, "not empty; choose a new folder"),
    (a_folder_with_a_hidden_file, "not empty; choose a new folder"),
    (a_file, "is a file; --out names a folder"),
    (a_folder_below_a_file, "Not a directory"),
    (a_folder_below_a_locked_one, "Permission denied"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line(tmp_path, make, reason):
    out = make(tmp_path)

    with pytest.raises(OSError, match=reason) as caught:
        write(out, tier="composed", runs=1, seed=0)

    assert "\n" not in str(caught.value)
    assert str(out) in str(caught.value)


def test_a_folder_that_is_refused_is_left_as_it_was(tmp_path):
    with pytest.raises(OSError, match="not empty"):
        write(a_folder_with_a_file(tmp_path), tier="composed", runs=1, seed=0)

    assert [path.name for path in tmp_path.rglob("*")] == ["notes.txt"]


@pytest.mark.usefixtures("no_sheet", "no_cache")
def test_an_empty_folder_is_filled(tmp_path):
    assert table(write(tmp_path, tier="composed", runs=1, seed=0)).num_rows == 1


# commands


def parsed(command: Any, *args: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=command.__name__)
    command(parser)
    return parser.parse_args([str(arg) for arg in args])


def generated(*args: str | Path) -> int:
    namespace = parsed(commands.generate, *args)
    return namespace.run(namespace)


@pytest.mark.usefixtures("no_sheet", "no_cache")
def test_generate_writes_the_runs_and_says_where(tmp_path, capsys):
    status = generated("--tier", "composed", "--runs", "2", "--out", tmp_path / "set", "--seed", "3")

    assert status == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"wrote 2 composed runs to {tmp_path / 'set'}\n", "")
    assert table(tmp_path / "set").num_rows == 2


@pytest.mark.usefixtures("no_sheet", "no_cache")
def test_generate_takes_a_model_a_split_and_the_size_of_a_file(tmp_path):
    options = ("--model", "composed", "--runs", "70", "--split", "0.5/0/0.5", "--shard-runs", "10", "--workers", "1")

    assert generated(*options, "--out", tmp_path / "set") == 0
    assert len(list((tmp_path / "set" / "data").iterdir())) == 2  # of a block of 64 runs each, at the least
    assert set(table(tmp_path / "set")["split"].to_pylist()) == {"train", "test"}


NONSENSE = [
    ((), "which runs? allowed are --tier, --model and --recipe"),
    (("--model", "transformer"), "no model 'transformer': there are composed"),
    (("--tier", "trained", "--model", "composed"), "--tier trained: composed is of the tier composed"),
    (("--recipe", "missing.toml"), "missing.toml: No such file or directory. The examples that come with us are "),
    (("--recipe", "overfitting", "--model", "network"), "--model network: overfitting is for composed"),
]


@pytest.mark.parametrize(("options", "reason"), NONSENSE)
def test_generate_says_in_one_line_what_cannot_be_asked_for(options, reason, tmp_path, capsys):
    status = generated(*options, "--runs", "2", "--out", tmp_path / "set")

    said = capsys.readouterr()
    assert (status, said.out, said.err.count("\n")) == (2, "", 1)
    assert reason in said.err
    assert not (tmp_path / "set").exists()


def test_compiled_programs_are_kept_where_the_user_says(tmp_path, monkeypatch):
    settings: dict[str, Any] = {}
    monkeypatch.setattr(type(jax.config), "update", lambda self, name, value: settings.update({name: value}))
    monkeypatch.setenv("CURVESENSE_CACHE", str(tmp_path / "own"))

    keep_programs(cache_folder())

    (folder,) = (tmp_path / "own").iterdir()  # one a type of processor
    assert settings["jax_compilation_cache_dir"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder("asked") == Path("asked")
    monkeypatch.delenv("CURVESENSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "curvesense" / "programs"


def test_compiled_programs_are_not_kept_where_others_can_write(tmp_path, monkeypatch):
    monkeypatch.setattr(type(jax.config), "update", lambda self, name, value: pytest.fail("it is used"))
    monkeypatch.setattr("sim.machine._processor", lambda: "cpu")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu").chmod(0o777)

    with pytest.raises(OSError, match="can be written by others, and programs are run from it; choose --cache DIR"):
        keep_programs(tmp_path)


def test_generate_says_what_to_install_where_ray_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    assert generated("--tier", "composed", "--runs", "2", "--out", tmp_path / "set", "--engine", "ray") == 2
    assert capsys.readouterr().err == "curvesense: this command needs ray: pip install 'curvesense[ray]'\n"


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_generate_says_in_one_line_why_it_cannot_write(tmp_path, capsys, make, reason):
    status = generated("--tier", "composed", "--runs", "2", "--out", make(tmp_path))

    said = capsys.readouterr()
    assert (status, said.out, said.err.count("\n")) == (2, "", 1)
    assert re.match(f"curvesense: .*{reason}", said.err)


def test_generate_says_what_to_install_where_something_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert generated("--tier", "composed", "--runs", "2", "--out", tmp_path / "set") == 2
    assert capsys.readouterr().err == "curvesense: this command needs pyarrow: pip install 'curvesense[sim]'\n"


ENOUGH = ("--tier", "composed", "--runs", "1", "--out", "set")


BAD_ARGUMENTS: list[tuple[Sequence[str], str]] = [
    ((*ENOUGH[:2], *ENOUGH[4:]), "required: --runs"),
    (ENOUGH[:4], "required: --out"),
    ((*ENOUGH, "--tier", "real"), "'?composed'?, '?analytic'?, '?trained'?"),  # Python 3.11 quotes choices, 3.14 not
    *[((*ENOUGH, "--split", s), f"'{s}': allowed are three shares") for s in ("1", "0.5/0.5/0.5", "a/b/c", "2/-1/0")],
    ((*ENOUGH, "--engine", "spark"), "'?local'?, '?ray'?"),
    ((*ENOUGH, "--workers", "0"), "'0': allowed is 1 or more"),
    ((*ENOUGH, "--runs", "0"), "'0': allowed is 1 or more"),
    ((*ENOUGH, "--runs=-1"), "'-1': allowed is a whole number"),
    *[((*ENOUGH, "--runs", n), f"'{n}': allowed is a whole number") for n in ("ten", "1.5", "1e3", "²", "")],
    ((*ENOUGH, "--seed=-1"), r"'-1': allowed is a whole number in 0\.\.2\^31-1"),
    ((*ENOUGH, "--seed", str(2**31)), r"'2147483648': allowed is a whole number in 0\.\.2\^31-1"),
]


@pytest.mark.parametrize(("args", "message"), BAD_ARGUMENTS)
def test_generate_refuses_wrong_arguments_and_says_what_is_allowed(args, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(commands.generate, *args)

    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])


def test_generate_takes_the_largest_seed():
    assert parsed(commands.generate, *ENOUGH, "--seed", str(2**31 - 1)).seed == 2**31 - 1


def test_generate_makes_the_data_set_0_unless_told_otherwise():
    assert parsed(commands.generate, *ENOUGH).seed == 0


def test_demo_needs_no_arguments():
    args = parsed(commands.demo)

    assert (args.out, type(args.seed)) == (Path("demo"), int)


@pytest.mark.parametrize("seed", ["-1", "one", str(2**31)])
def test_demo_refuses_a_seed_that_is_none(seed, capsys):
    with pytest.raises(SystemExit):
        parsed(commands.demo, f"--seed={seed}")

    assert f"'{seed}': allowed is a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("make", [a_file, a_folder_below_a_file])
def test_demo_says_in_one_line_that_it_cannot_write_before_it_trains(tmp_path, capsys, make):
    out = make(tmp_path)
    args = parsed(commands.demo, "--out", out)

    status = args.run(args)

    said = capsys.readouterr()
    assert (status, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"curvesense: cannot write to {out}: ")


@pytest.mark.parametrize("command", [commands.demo, commands.generate], ids=lambda c: c.__name__)
def test_the_first_line_of_a_command_is_its_help(command):
    assert command.__doc__.splitlines()[0].endswith(".")
