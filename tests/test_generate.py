"""Labelled runs on disk, and the commands that the simulator adds: what they write, and what they refuse."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import commands, dataset
from sim.composed import Composed, compose_one, draw
from sim.dataset import write

pq = pytest.importorskip("pyarrow.parquet", reason="DATA SETS NOT TESTED: pyarrow is missing, install the extra [sim]")

SERIES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
HEAD = ("run_id", "tier", "seed", "epochs", "recipe")


def table(folder: Path) -> Any:
    """All parts of a data set as one table."""
    return pq.read_table(folder / "data")


def drawn(i: int) -> Composed:
    """The recipe of run `i` of the data set 3."""
    return draw(np.random.default_rng([3, i]))


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty composed runs of the data set 3, among them some with events too small to count."""
    return write(tmp_path_factory.mktemp("twenty") / "new" / "set", tier="composed", runs=20, seed=3)


@pytest.fixture(scope="module")
def rows(twenty: Path) -> list[dict[str, Any]]:
    return table(twenty).to_pylist()


# what is written


def test_there_is_one_row_a_run(rows):
    assert [row["run_id"] for row in rows] == list(range(20))


def test_a_row_has_a_recipe_the_observed_series_the_risk_and_the_events(rows):
    assert set(rows[0]) == {*HEAD, *SERIES, "risk", "events"}


def test_a_row_says_where_it_belongs(rows):
    assert {(row["tier"], row["seed"], row["epochs"]) for row in rows} == {("composed", 3, 200)}


@pytest.mark.parametrize("series", [*SERIES, "risk"])
def test_every_series_has_a_finite_number_for_every_epoch(rows, series):
    values = np.array([row[series] for row in rows])

    blown_up = np.array([json.loads(row["recipe"])["blow_up_at"] > 0 for row in rows])

    assert values.shape == (20, 200)
    assert np.isfinite(values[~blown_up]).all()


def test_the_recipe_is_that_of_the_run(rows):
    assert [json.loads(row["recipe"]) for row in rows] == [asdict(drawn(i)) for i in range(20)]


def test_the_recipe_makes_the_risk_and_the_events_again(rows):
    again = compose_one(drawn(3))

    assert np.array_equal(rows[3]["risk"], again.expected.mean("risk").astype(np.float32))
    events = [(e["phenomenon"], e["kind"], e["onset"], e["end"], e["material"]) for e in rows[3]["events"]]
    assert events == [(e.phenomenon, e.kind, e.onset, e.end, e.material) for e in again.events]


def test_the_runs_of_a_data_set_have_noise_of_their_own(rows):
    residuals = np.array([np.array(row["val_loss"]) / row["risk"] - 1 for row in rows])

    assert np.abs(np.corrcoef(residuals) - np.eye(20)).max() < 0.7  # 200 values each, autocorrelation up to 0.6


def test_an_event_has_its_band_around_its_onset(rows):
    events = [event for row in rows for event in row["events"]]

    assert len(events) > 20
    assert all(e["band_lo"] <= e["onset"] <= e["band_hi"] for e in events)


def test_an_event_is_a_struct_with_named_effects(rows):
    events = [event for row in rows for event in row["events"]]

    named = {"phenomenon", "kind", "onset", "end", "band_lo", "band_hi", "material", "effect"}
    assert {frozenset(event) for event in events} == {frozenset(named)}
    drops = [dict(event["effect"])["factor"] for event in events if event["phenomenon"] == "lr_drop"]
    assert set(np.round(drops, 6)) <= {0.1, 0.2, 0.5}


def test_each_event_is_in_some_runs_and_not_in_others(rows):
    for phenomenon in ("overfitting", "lr_drop", "loss_accuracy_divergence", "train_above_val"):
        there = {phenomenon in {e["phenomenon"] for e in row["events"] if e["material"]} for row in rows}

        assert there == {True, False}, phenomenon


def test_the_card_names_the_command(twenty):
    assert "generate --tier composed --runs 20 --seed 3" in (twenty / "README.md").read_text()


def test_the_card_counts_the_events_that_are_material(rows, twenty):
    events = [event for row in rows for event in row["events"]]
    counts = Counter(event["phenomenon"] for event in events if event["material"])
    counted = re.findall(r"^\| (\w+) \| (\d+) \|$", (twenty / "README.md").read_text(), flags=re.MULTILINE)

    assert len(events) > counts.total()
    assert counted == [(name, str(counts[name])) for name in sorted(counts)]


def test_the_card_explains_every_column(rows, twenty):
    card = (twenty / "README.md").read_text()
    explained = set(re.findall(r"`(\w+)`", card))

    assert {*HEAD, "risk", "events", *rows[0]["events"][0]} - explained == set()


def test_nothing_unfinished_is_left(twenty):
    assert sorted(p.name for p in twenty.rglob("*") if p.is_file()) == ["README.md", "part-00000.parquet"]


def test_a_part_has_its_name_only_when_it_is_complete(tmp_path, monkeypatch):
    def fill_the_disk(rows: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"PAR1")
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", fill_the_disk)

    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / "set", tier="composed", runs=1, seed=0)
    assert list(tmp_path.rglob("*.parquet")) == []


# the same again


def test_a_run_depends_on_the_seed_and_its_number_alone(twenty, tmp_path):
    ten = table(write(tmp_path / "ten", tier="composed", runs=10, seed=3))

    assert ten.equals(table(twenty).slice(0, 10))


def test_a_run_does_not_depend_on_the_part_in_which_it_is_written(twenty, tmp_path, monkeypatch):
    monkeypatch.setitem(dataset.PART, "composed", 3)

    parts = write(tmp_path / "parts", tier="composed", runs=7, seed=3)
    assert len(list((parts / "data").iterdir())) == 3
    assert table(parts).equals(table(twenty).slice(0, 7))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The first runs of the data set 8."""
    return table(write(tmp_path_factory.mktemp("other"), tier="composed", runs=4, seed=8)).to_pylist()


def test_another_seed_makes_other_recipes(rows, other):
    assert {row["recipe"] for row in other} & {row["recipe"] for row in rows} == set()


def test_another_seed_makes_other_noise(rows, other):
    for a, b in zip(rows, other, strict=False):
        residuals = [np.array(row["val_loss"]) / row["risk"] - 1 for row in (a, b)]

        assert abs(np.corrcoef(residuals)[0, 1]) < 0.6  # 200 values, autocorrelation up to 0.6; the same draws have 0.8


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


def test_generate_writes_the_runs_and_says_where(tmp_path, capsys):
    status = generated("--tier", "composed", "--runs", "2", "--out", tmp_path / "set", "--seed", "3")

    assert status == 0
    assert capsys.readouterr().out == f"wrote 2 composed runs to {tmp_path / 'set'}\n"
    assert table(tmp_path / "set").num_rows == 2


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
    (ENOUGH[2:], "required: --tier"),
    ((*ENOUGH[:2], *ENOUGH[4:]), "required: --runs"),
    (ENOUGH[:4], "required: --out"),
    ((*ENOUGH, "--tier", "analytic"), "'?composed'?, '?trained'?"),  # Python 3.11 quotes the choices, 3.14 does not
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
