"""Following logs: what counts as a change, and what is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import hard_files
import numpy as np
import pytest

from detectors.readers.follow import Follow

HEADER = "epoch,loss,val_loss\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def test_the_first_poll_gives_the_run_and_the_next_nothing(path):
    path.write_text(HEADER + "1,3,4\n")
    follow = Follow(path)

    assert [list(run["train_loss"]) for run in follow.poll()] == [[3]]
    assert follow.poll() == []


def test_a_log_that_grew_is_given_whole(path):
    path.write_text(HEADER + "1,3,4\n")
    follow = Follow(path)
    follow.poll()
    with path.open("a") as file:
        file.write("2,2,3\n")

    assert [list(run["train_loss"]) for run in follow.poll()] == [[3, 2]]


def test_a_log_that_is_not_there_yet_is_waited_for(path):
    follow = Follow(path)

    assert follow.poll() == []
    assert "No such file" in follow.waiting[path]
    path.write_text(HEADER + "1,3,4\n")
    assert len(follow.poll()) == 1
    assert follow.waiting == {}


def test_a_header_without_a_row_is_waited_for(path):
    path.write_text(HEADER)
    follow = Follow(path)

    assert follow.poll() == []
    assert "no row" in follow.waiting[path]


def test_a_line_that_is_half_written_comes_when_it_is_whole(path):
    path.write_text(HEADER + "1,3,4\n2,2")
    follow = Follow(path)

    assert [list(run.epochs) for run in follow.poll()] == [[1]]
    with path.open("a") as file:
        file.write(",3\n")
    assert [list(run["val_loss"]) for run in follow.poll()] == [[4, 3]]


@pytest.mark.parametrize("swap", [False, True])
def test_a_log_that_begins_again_is_read_again(path, swap):
    path.write_text(HEADER + "1,3,4\n2,2,3\n")
    follow = Follow(path)
    follow.poll()
    if swap:  # rotation: another file under the same name
        (path.parent / "new").write_text(HEADER + "1,5,6\n2,4,3\n")
        os.replace(path.parent / "new", path)
    else:
        path.write_text(HEADER + "1,5,6\n")

    (run,) = follow.poll()

    assert run["train_loss"][0] == 5


def test_a_folder_gives_new_logs_and_those_that_changed_alone(tmp_path):
    (tmp_path / "a.csv").write_text(HEADER + "1,3,4\n")
    (tmp_path / "b.csv").write_text(HEADER + "1,3,4\n")
    follow = Follow(tmp_path)
    first = [run.name for run in follow.poll()]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.csv").write_text(HEADER + "1,3,4\n")
    (tmp_path / "b.csv").write_text(HEADER + "1,3,4\n2,2,3\n")

    assert (first, [run.name for run in follow.poll()]) == (["a", "b"], ["b", "c"])


def test_a_log_that_went_away_and_came_back_is_given_again(path):
    path.write_text(HEADER + "1,3,4\n")
    follow = Follow(path.parent)
    follow.poll()
    content = path.read_bytes()
    path.unlink()

    assert follow.poll() == []
    path.write_bytes(content)
    assert [run.name for run in follow.poll()] == [f"{path.parent.name}/log"]


def test_the_options_of_read_hold_for_each_poll(path):
    path.write_text("epoch,mine\n1,3\n2,2\n")

    (run,) = Follow(path, format="delimited", mapping={"val_loss": "mine"}).poll()

    assert np.array_equal(run["val_loss"], [3, 2])


def test_an_event_file_that_grows_is_given_whole_and_a_record_that_is_half_written_comes_later(tmp_path):
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(hard_files.scalars(1, 3.0, 4.0))
    follow = Follow(tmp_path)
    lengths = [len(follow.poll()[0])]
    more = hard_files.scalars(2, 2.0, 3.0) + hard_files.scalars(3, 1.0, 2.0)
    for part in (more[:-9], more[-9:]):
        with path.open("ab") as file:
            file.write(part)
        lengths += [int(np.isfinite(run["val_loss"]).sum()) for run in follow.poll()]

    assert lengths == [1, 2, 3]
    assert follow.poll() == []
