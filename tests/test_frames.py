"""Reading what is in memory: frames, histories, dicts; and tables that hold several runs."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Unreadable, diagnose, read
from detectors.vocabulary import Run

LOSSES = [2.0, 1.0, 0.5, 0.25]
COLUMNS: dict[str, list[Any]] = {"epoch": [1, 2, 3, 4], "val_loss": LOSSES, "Train Acc.": [10.0, 20.0, 30.0, 40.0]}
LONG: dict[str, list[Any]] = {
    "run": ["a", "b", "a", "b", "a", "b"],
    "epoch": [1, 1, 2, 2, 3, 3],
    "val_loss": [3.0, 30.0, 2.0, 20.0, 1.0, 10.0],
}
FRAMES: dict[str, Callable[[Any], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy polars": pl.LazyFrame,
    "dict of lists": dict,
    "dict of arrays": lambda columns: {key: np.array(values) for key, values in columns.items()},
    "dict of pandas' series": lambda columns: {key: pd.Series(values) for key, values in columns.items()},
    "dict of Polars' series": lambda columns: {key: pl.Series(values) for key, values in columns.items()},
    "list of dicts": lambda columns: pd.DataFrame(columns).to_dict("records"),
    "arrow": lambda columns: pl.DataFrame(columns).to_arrow(),
    "record array": lambda columns: pd.DataFrame(columns).to_records(index=False),
}
any_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


def only(data: Any, **options: Any) -> Run:
    (run,) = read(data, **options)
    return run


@any_frame
def test_the_columns_become_series_under_their_usual_names_and_units(frame):
    run = only(frame(COLUMNS))

    assert list(run.epochs) == [1, 2, 3, 4]
    assert list(run["val_loss"]) == LOSSES
    assert run["train_accuracy"] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@any_frame
def test_a_column_of_runs_makes_several(frame):
    runs = read(frame(LONG))

    assert [(run.name, list(run["val_loss"])) for run in runs] == [("a", [3, 2, 1]), ("b", [30, 20, 10])]
    assert [run.group for run in runs] == ["", ""]


@any_frame
def test_a_mapping_says_which_column_is_which_series(frame):
    run = only(frame({"t": [5, 6, 7], "m": [3.0, 2.0, 1.0]}), mapping={"epoch": "t", "val_loss": "m"})

    assert list(run.epochs) == [5, 6, 7]
    assert list(run["val_loss"]) == [3, 2, 1]


@any_frame
def test_lists_in_the_cells_make_a_run_a_row(frame):
    runs = read(frame({"run_name": ["a", "b"], "val_loss": [[3.0, 2.0, 1.0], [5.0, 4.0, 2.0]]}))

    assert [(run.name, list(run["val_loss"])) for run in runs] == [("a", [3, 2, 1]), ("b", [5, 4, 2])]


def test_a_run_says_what_it_was_read_from():
    assert [only(frame(COLUMNS)).source for frame in (pd.DataFrame, pl.DataFrame, dict)] == [
        *("pandas.DataFrame", "polars.DataFrame", "dict")
    ]


def test_a_run_of_a_frame_can_be_diagnosed():
    assert diagnose(only(pd.DataFrame(COLUMNS))).reading.text.startswith("Validation loss is lowest around epoch")


# a History of Keras


def history(**values: Any) -> Any:
    """What `model.fit` returns, of a model that was trained on from its fifth epoch."""
    return types.SimpleNamespace(history=values, epoch=[5, 6, 7], model=types.SimpleNamespace(name="digits"))


def test_a_history_has_its_own_epochs_and_the_name_of_its_model():
    run = only(history(loss=[3.0, 2.0, 1.0], val_loss=[3.0, 2.5, 2.0]))

    assert run.name == "digits"
    assert list(run.epochs) == [5, 6, 7]
    assert list(run["train_loss"]) == [3, 2, 1]


def test_a_history_of_numpy_scalars_is_read():
    run = only(history(loss=[np.float32(3), np.float32(2), np.array(1.0)], learning_rate=[np.float32(0.5)] * 3))

    assert list(run["train_loss"]) == [3, 2, 1]
    assert list(run["learning_rate"]) == [0.5, 0.5, 0.5]


def test_a_history_before_training_is_refused():
    with pytest.raises(Unreadable, match=r"SimpleNamespace: it has no rows of named values$"):
        read(history())


def test_the_history_of_a_trainer_is_read_as_its_file_is():
    path = Path(__file__).parent / "fixtures" / "transformers" / "trainer_state.json"
    (expected,) = read(path)
    run = only(json.loads(path.read_text())["log_history"])

    assert run.notes == expected.notes
    np.testing.assert_array_equal(run.epochs, expected.epochs)
    np.testing.assert_array_equal([run[key] for key in run.series], [expected[key] for key in expected.series])


# what is special about a frame


def test_the_index_of_pandas_counts_where_it_has_a_name():
    run = only(pd.DataFrame(COLUMNS).assign(epoch=[3, 4, 5, 6]).set_index("epoch"))

    assert list(run.epochs) == [3, 4, 5, 6]


def test_the_levels_of_an_index_tell_runs_apart():
    runs = read(pd.DataFrame(LONG).set_index(["run", "epoch"]))

    assert [(run.name, list(run.epochs)) for run in runs] == [("a", [1, 2, 3]), ("b", [1, 2, 3])]


def test_columns_of_several_levels_are_joined():
    run = only(pd.DataFrame({("train", "loss"): LOSSES, ("val", "loss"): LOSSES}))

    assert {"train_loss", "val_loss"} <= run.series.keys()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([2.0, None, 1.0]),
        pd.Series([2, None, 1], dtype="Int64"),
        pd.Series(["2.0", None, "1.0"]),
        pd.Series([2.0, pd.NA, 1.0], dtype=object),
        pl.Series([2.0, None, 1.0]),
        pl.Series(["2.0", "", "1.0"]),
        [Decimal(2), None, 1],
        [2, float("nan"), "1"],
    ],
)
def test_what_is_missing_is_nan(values):
    np.testing.assert_array_equal(only({"val_loss": values})["val_loss"], [2, np.nan, 1])


def test_two_columns_of_one_name_are_kept_apart():
    run = only(pd.DataFrame([[1.0, 5.0], [0.5, 4.0]], columns=["val_loss", "val_loss"]))

    assert list(run["val_loss"]) == [1, 0.5]
    assert list(run["val_loss_2"]) == [5, 4]


def test_dates_are_no_numbers():
    run = only(pd.DataFrame({"when": pd.date_range("2024-01-01", periods=4), "val_loss": LOSSES}))

    assert set(run.series) == {"val_loss"}


def test_reading_loads_no_package_of_frames():
    code = """
import sys
from detectors import read
read({"val_loss": [2.0, 1.0]})
print(sorted({"pandas", "polars", "pyarrow", "keras"} & set(sys.modules)))
"""

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# several runs in one table


def table(**columns: list[Any]) -> list[Run]:
    rows = len(next(iter(columns.values())))
    return read(pd.DataFrame({**columns, "val_loss": np.linspace(2, 1, rows)}))


def test_runs_of_several_seeds_share_a_group():
    runs = table(seed=[0, 0, 1, 1])

    assert [(run.name, run.group) for run in runs] == [("run seed 0", "run"), ("run seed 1", "run")]


def test_runs_of_several_names_and_seeds_are_grouped_by_name():
    runs = table(run=["a"] * 4 + ["b"] * 4, seed=[0, 0, 1, 1] * 2)

    names = ["a seed 0", "a seed 1", "b seed 0", "b seed 1"]
    assert [(run.name, run.group) for run in runs] == [(name, name[0]) for name in names]


def test_a_name_goes_before_an_identity_and_two_of_one_name_are_told_apart():
    runs = table(run_id=["x", "x", "y", "y", "z", "z"], run_name=["a", "a", "a", "a", "b", "b"])

    assert [run.name for run in runs] == ["a", "a (y)", "b"]


def test_numbers_of_runs_are_called_runs():
    assert [run.name for run in table(run_id=[7, 7, 12, 12])] == ["run 7", "run 12"]


def test_one_seed_is_one_run():
    (run,) = table(seed=[3, 3, 3])

    assert run.name == "run"
    assert run.group == ""


def test_a_run_a_row_is_a_list_of_results_and_stays_one():
    assert len(table(run_id=[1, 2, 3, 4])) == 1


def test_rows_that_name_no_run_are_left_out_with_a_note():
    runs = table(run=["a", "a", None, "b", "b"])

    assert [len(run) for run in runs] == [2, 2]
    assert any("rows that name no run are left out: 1" in note for note in runs[0].notes)


def test_a_mapped_column_tells_no_runs_apart():
    run = only({"seed": [2.0, 2.0, 1.0, 1.0]}, mapping={"val_loss": "seed"})

    assert list(run["val_loss"]) == [2, 2, 1, 1]


def test_a_long_csv_holds_several_runs_too(tmp_path):
    path = tmp_path / "sweep.csv"
    pd.DataFrame({**LONG, "seed": [0, 1] * 3}).drop(columns="run").to_csv(path, index=False)
    runs = read(path)

    assert [(run.name, run.group) for run in runs] == [("sweep seed 0", "sweep"), ("sweep seed 1", "sweep")]
    assert list(runs[1]["val_loss"]) == [30, 20, 10]


def test_odd_cells_stay_with_their_run():
    runs = read({"run": ["a", "b", "a", "b"], "val_loss": ["1,234.5", "oops", 2.0, 1.0]})

    assert list(runs[0]["val_loss"]) == [1234.5, 2]
    np.testing.assert_array_equal(runs[1]["val_loss"], [np.nan, 1])


# what is no log


class Hostile:
    columns = property(lambda self: 1 / 0)


@pytest.mark.parametrize(
    "data",
    [
        *(None, 3, b"log.csv", [], {}, (), [1, 2], {"loss_of": "x"}, {1: {2: {3: 4}}}, pd.Series(LOSSES), object()),
        *(pd.DataFrame(), pl.DataFrame(), pd.DataFrame({"x": ["a", "b"]}), pd.DataFrame({"val_loss": []})),
        *({"val_loss": []}, {"val_loss": [[], []]}, [{}], Hostile()),
        *(np.zeros(3), np.zeros((2, 2)), {"x": object()}, pd.DataFrame, [None, {"val_loss": 1}]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_log_is_refused_in_one_line(data):
    with pytest.raises(Unreadable) as caught:
        read(data)

    assert "\n" not in str(caught.value)


def test_what_was_expected_is_said():
    with pytest.raises(
        Unreadable, match=r"^int: a path is expected, or a frame of pandas or Polars, a History of Keras"
    ):
        read(3)


def test_a_format_is_for_files():
    with pytest.raises(Unreadable, match="format='delimited' is for files"):
        read(COLUMNS, format="delimited")


def test_lists_that_hold_themselves_are_refused_or_left_out():
    loop: list[Any] = [1.0]
    loop.append(loop)
    with pytest.raises(Unreadable):
        read({"val_loss": loop})


def test_an_integer_beyond_all_floats_counts_as_infinite():
    assert list(only({"val_loss": [10**400, 2, 1]})["val_loss"]) == [np.inf, 2, 1]


def answer(data: Any) -> str:
    """The name of the first run in `data`, or why there is none."""
    try:
        return f"read: {read(data)[0].name!r}"
    except Unreadable as error:
        return str(error)


cells = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.decimals(), st.binary(max_size=3)),
    *(st.lists(st.floats(), max_size=3), st.dictionaries(st.text(max_size=3), st.floats(), max_size=2), st.dates()),
)
keys = st.one_of(st.sampled_from(["val_loss", "epoch", "run", "seed", "lr", "history", "columns", "data"]), st.text())


@pytest.mark.slow
@given(st.dictionaries(keys, st.one_of(cells, st.lists(cells, max_size=6)), max_size=5))
def test_any_dict_is_read_or_refused(columns):
    assert len(answer(columns).splitlines()) == 1


@given(st.lists(st.dictionaries(keys, cells, max_size=5), max_size=5))
def test_any_list_of_dicts_is_read_or_refused(records):
    assert len(answer(records).splitlines()) == 1
