"""What the charts of Weights & Biases export, and JSON with the history of several runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import Unreadable, read

CHART = """"Step","brisk-sun-2 - val_loss","brisk-sun-2 - val_loss__MIN","brisk-sun-2 - val_loss__MAX",\
"a - b, c - val_loss","a - b, c - val_loss__MIN","a - b, c - val_loss__MAX"
"0","2.5","2.5","2.5","","",""
"10","1.5","1.5","1.5","3","3","3"
"20","1.25","1.25","1.25","2","2","2"
"30","","","","1","1","1"
"""
EPOCHS = [{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": 1.0}]
WORSE = [{"epoch": 1, "val_loss": 4.0}, {"epoch": 2, "val_loss": 3.0}]


@pytest.fixture
def log(tmp_path: Path):
    def runs(content: Any, name: str = "wandb_export_2024.csv"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read(path)

    return runs


def test_each_name_before_the_dash_is_a_run_on_its_own_steps(log):
    runs = log(CHART)

    assert [run.name for run in runs] == ["brisk-sun-2", "a - b, c"]
    assert [list(run.epochs) for run in runs] == [[0, 10, 20], [10, 20, 30]]
    assert [list(run["val_loss"]) for run in runs] == [[2.5, 1.5, 1.25], [3, 2, 1]]


def test_bounds_that_say_nothing_new_are_left_out_in_silence(log):
    runs = log(CHART)

    assert [set(run.series) for run in runs] == [{"val_loss"}] * 2
    assert [run.notes for run in runs] == [()] * 2


def test_the_spread_of_a_group_is_left_out_with_a_note(log):
    (run,) = log("Step,Group: a - loss,Group: a - loss__MIN,Group: a - loss__MAX\n1,2,1,3\n2,1,0.5,1.5\n")

    assert run.name == "Group: a"
    assert any("the smallest and the largest values" in note for note in run.notes)


def test_several_metrics_of_a_run_belong_together(log):
    columns = [
        f"r - {metric}{bound}" for metric in ("_step", "val/acc", "train/loss") for bound in ("", "__MIN", "__MAX")
    ]
    (run,) = log("epoch," + ",".join(columns) + "\n1,9,9,9,50,50,50,2,2,2\n2,19,19,19,75,75,75,1,1,1\n")

    assert list(run.epochs) == [1, 2]
    assert {key: list(values) for key, values in run.series.items()} == {
        "train_loss": [2, 1],
        "val_accuracy": [0.5, 0.75],
    }


def test_two_runs_of_one_name_stay_two(log):
    runs = log("Step" + ",r - loss,r - loss__MIN,r - loss__MAX" * 2 + "\n1,2,2,2,4,4,4\n2,1,1,1,3,3,3\n")

    assert [(run.name, list(run["train_loss"])) for run in runs] == [("r", [2, 1]), ("r (2)", [4, 3])]


def test_a_chart_over_time_counts_in_time(log):
    (run,) = log('"Relative Time (Process)","r - loss","r - loss__MIN","r - loss__MAX"\n0.5,3,3,3\n1.5,2,2,2\n')

    assert list(run["train_loss"]) == [3, 2]


def test_a_run_of_text_does_not_take_the_others_with_it(log):
    runs = log(
        "Step,a - loss,a - loss__MIN,a - loss__MAX,b - hint,b - hint__MIN,b - hint__MAX\n1,3,3,3,x,x,x\n2,2,2,2,y,y,y\n"
    )

    assert [run.name for run in runs] == ["a"]
    assert any("'b'" in note for note in runs[0].notes)


@pytest.mark.parametrize("rows", ["", "\n", "\n1\n", "\n,,,\n", "\n1,,,\n", '\n"1,2\n', "\nx,y,z,w\n"])
def test_a_chart_without_values_is_refused_in_one_line(log, rows):
    with pytest.raises(Unreadable) as caught:
        log("Step,r - loss,r - loss__MIN,r - loss__MAX" + rows)

    assert "\n" not in str(caught.value)


# JSON


def test_the_history_that_the_interface_gives_is_a_run_on_its_steps(log):
    (run,) = log([{"_step": 10 * i, "_runtime": i, "_timestamp": 1.7e9 + i, "val_loss": 2.0 - i} for i in range(3)])

    np.testing.assert_array_equal(run.epochs, [0, 10, 20])
    np.testing.assert_array_equal(run["val_loss"], [2, 1, 0])


@pytest.mark.parametrize(
    "document",
    [
        {"a": EPOCHS, "b": WORSE},
        [{"name": "a", "history": EPOCHS}, {"name": "b", "history": WORSE}],
        [
            {"id": "a", "config": {"lr": 1}, "history": {"val_loss": [2, 1]}},
            {"id": "b", "history": {"val_loss": [4, 3]}},
        ],
        [{"run": name, **row} for name, rows in (("a", EPOCHS), ("b", WORSE)) for row in rows],
    ],
    ids=["by name", "list of histories", "list of lists", "long"],
)
def test_the_histories_of_several_runs_are_several_runs(log, document):
    expected = [("a", [2, 1]), ("b", [4, 3])]

    assert [(run.name, list(run["val_loss"])) for run in log(document, "runs.json")] == expected
    assert [(run.name, list(run["val_loss"])) for run in read(document)] == expected


def test_a_run_that_cannot_be_read_is_left_out_with_a_note(log):
    runs = log([{"name": "a", "history": EPOCHS}, {"name": "b", "history": {}}], "runs.json")

    assert [run.name for run in runs] == ["a"]
    assert any("'b'" in note for note in runs[0].notes)


def test_a_table_of_columns_and_data_is_a_run(log):
    (run,) = log({"columns": ["epoch", "val_loss"], "data": [[1, 2.0], [2, 1.5], [3]]}, "media.table.json")

    np.testing.assert_array_equal(run["val_loss"], [2, 1.5, np.nan])


def test_one_history_in_a_wrapper_is_called_after_its_file(log):
    (run,) = log({"best": 1, "log_history": EPOCHS}, "trainer.json")

    assert run.name == "trainer"
    assert list(run["val_loss"]) == [2, 1]


PUBLISHED = """"Step","swept-galaxy-5 - train_loss","swept-galaxy-5 - train_loss__MIN",\
"swept-galaxy-5 - train_loss__MAX"
"12","0.03683819994330406","0.03683819994330406","0.03683819994330406"
"14","0.0982651561498642","0.0982651561498642","0.0982651561498642"
"21","0.1385035514831543","0.1385035514831543","0.1385035514831543"
"""  # the first lines of an export in a public repository, see the reader


def test_an_export_that_was_published_is_read(log):
    (run,) = log(PUBLISHED)

    assert (run.name, list(run.epochs)) == ("swept-galaxy-5", [12, 14, 21])
    assert list(run["train_loss"]) == [0.03683819994330406, 0.0982651561498642, 0.1385035514831543]
    assert run.notes == ()


def test_the_export_of_a_run_s_own_page_has_no_name_and_is_called_after_the_file(log):
    (run,) = log('"Step","val_loss","val_loss__MIN","val_loss__MAX"\n"1","3","3","3"\n"2","2","2","2"\n', "exp.csv")

    assert (run.name, list(run.series), list(run["val_loss"])) == ("exp", ["val_loss"], [3, 2])


@pytest.mark.parametrize("axis", ["Relative Time (Process)", "Relative Time (Wall)", "Wall Time"])
def test_an_export_over_the_time_counts_its_rows(log, axis):
    (run,) = log(
        f'"{axis}","a - val_loss","a - val_loss__MIN","a - val_loss__MAX"\n"1.5","3","3","3"\n"3.5","2","2","2"\n'
    )

    assert list(run.epochs) == [1, 2]
    assert "there is no column of epochs: rows are counted from 1" in run.notes
