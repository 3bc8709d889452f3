"""Logs too long to hold: neighbouring rows become their mean, within bounded memory, and nothing else is lost."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Run, Unreadable, read
from detectors.readers import source, stack
from detectors.readers.source import Source

ROWS = 6000
LOSS = 2 - np.arange(ROWS) / ROWS


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch):
    """As if memory held 2,000 cells, and text came 4 kB at a time."""
    monkeypatch.setattr(stack, "MOST", 2000)
    monkeypatch.setattr(source, "CHUNK", 4096)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., list[Run]]:
    def save(header: str, rows: list[str], name: str = "log.csv", **options: object) -> list[Run]:
        (tmp_path / name).write_text("\n".join([header, *rows, ""]))
        return read(tmp_path / name, **options)

    return save


def csv(delimiter: str = ",") -> list[str]:
    return [delimiter.join([str(i), f"{LOSS[i]:.6f}", "0.1" if i < 3000 else "0.01"]) for i in range(ROWS)]


def json_lines() -> list[str]:
    return [json.dumps({"step": i, "loss": LOSS[i], "lr": 0.1 if i < 3000 else 0.01}) for i in range(1, ROWS)]


@pytest.mark.parametrize(
    ("header", "rows"),
    [("step,loss,lr", csv()), (json.dumps({"step": 0, "loss": LOSS[0], "lr": 0.1}), json_lines())],
    ids=["CSV", "JSON lines"],
)
def test_neighbouring_rows_become_their_mean_at_the_last_of_them(short, saved, header, rows):
    (run,) = saved(header, rows)
    starts = np.append(0, run.epochs[:-1] + 1).astype(int)
    ends = run.epochs.astype(int) + 1

    assert 100 < len(run) < 500
    assert ends[-1] == ROWS
    assert run["train_loss"] == pytest.approx([LOSS[a:b].mean() for a, b in zip(starts, ends, strict=True)], abs=1e-6)
    assert list(run["learning_rate"]) == [0.1 if end <= 3000 else 0.01 for end in ends]
    assert "6000 rows are too many to hold: up to 16 neighbours are one row, their mean" in run.notes


def test_a_log_that_can_be_held_is_not_averaged(saved):
    (run,) = saved("step,loss,lr", csv())

    assert (len(run), run.notes) == (ROWS, ())


@pytest.mark.parametrize("name", [lambda i: "abab"[i // 1500], lambda i: str(i // 1500)], ids=["text", "numbers"])
def test_rows_of_two_runs_are_never_put_together(short, saved, name):
    runs = saved("run,step,loss", [f"{name(i)},{i},{ord(name(i))}" for i in range(ROWS)])

    assert len(runs) == len({name(i) for i in range(ROWS)})
    assert [set(run["train_loss"]) for run in runs] == [{ord(run.name[-1])} for run in runs]


def test_validation_once_an_epoch_stays_with_its_epoch(short, saved):
    rows = [f"{i // 100},{i},1,{i // 100 if i % 100 == 99 else ''}" for i in range(ROWS)]
    (run,) = saved("epoch,step,loss,val_loss", rows)
    epochs, val = run.observed("val_loss")

    assert list(epochs) == list(val) == list(range(60))


def test_a_resumption_is_read_as_it_always_is(short, saved):
    (run,) = saved("step,loss", [*[f"{i},1" for i in range(4000)], *[f"{i},2" for i in range(3000, ROWS)]])

    assert set(run["train_loss"]) == {1, 2}
    assert any("epochs do not increase throughout" in note for note in run.notes)


def test_cells_that_are_no_plain_number_are_read_before_they_are_averaged(short, saved):
    rows = [f"{i};0,45;85 %;{'oops' if i == 7 else 1}" for i in range(ROWS)]
    (run,) = saved("step;loss;acc;extra", rows)

    assert set(np.round(run["train_loss"], 6)) == {0.45}
    assert set(np.round(run["train_accuracy"], 6)) == {0.85}
    assert {"commas are read as decimal points", "cells with a % sign are divided by 100"} <= set(run.notes)
    assert any("column 'extra': 'oops' is no number" in note for note in run.notes)


def test_missing_values_are_no_part_of_a_mean_and_an_infinite_one_is_seen(short, saved):
    rows = [f"{i},{'' if i % 2 else 3},{'inf' if i == 5000 else 2}" for i in range(ROWS)]
    (run,) = saved("step,loss,val_loss", rows)

    assert set(run.observed("train_loss")[1]) == {3}
    assert np.isinf(run["val_loss"]).sum() == 1


def test_runs_in_turn_row_by_row_are_refused_and_do_not_fill_the_memory(short, saved):
    with pytest.raises(Unreadable, match=r"rows are too many to hold, and no neighbours are alike. Split it$"):
        saved("run,step,loss", [f"{'ab'[i % 2]},{i},1" for i in range(ROWS)])


def test_the_memory_of_a_long_log_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "MOST", 1 << 16)  # half a MiB
    monkeypatch.setattr(source, "CHUNK", 1 << 17)
    with (tmp_path / "steps.csv").open("w") as file:
        for block in range(40):
            file.write("step,loss,val_loss\n" * (not block))
            file.write("".join(f"{i},1.000000001,2.000000001\n" for i in range(block * 5000, (block + 1) * 5000)))
    tracemalloc.start()
    try:
        (run,) = read(tmp_path / "steps.csv")
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()

    assert (tmp_path / "steps.csv").stat().st_size > 5e6
    assert run["train_loss"] == pytest.approx(1)
    assert peak < 3  # MiB


characters = st.text(st.sampled_from("ab\n\n\rö,漢"), max_size=60).map(lambda text: f"a{text}")


@settings(deadline=None)
@given(text=characters, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]), size=st.integers(1, 9))
def test_blocks_are_whole_lines_and_together_the_text(tmp_path_factory, text, encoding, size):
    path = tmp_path_factory.mktemp("blocks") / "log"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text).encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", size)
        patch.setattr(source, "HEAD", 4)
        blocks = list(Source(str(path)).blocks())

    assert "".join(blocks) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(block.endswith("\n") for block in blocks[:-1])


def test_a_document_too_large_to_hold_is_refused_and_says_what_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "LARGEST_TEXT", 1 << 20)
    (tmp_path / "log.json").write_text(json.dumps({"loss": [0.125] * 200_000}))

    with pytest.raises(
        Unreadable, match=r"text of more than 1 MiB, which has to be held whole. Write CSV or JSON lines"
    ):
        read(tmp_path / "log.json")
