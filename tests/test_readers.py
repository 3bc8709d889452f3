"""Reading logs: names, units, axes, formats, and everything that goes wrong in real files.

The real logs, which others own and which are never copied here, are used where CURVESENSE_LOGS names their folder.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib
import io
import json
import lzma
import os
import pkgutil
import sys
import threading
import time
import tracemalloc
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import detectors.readers
from detectors.readers import FORMATS, Unreadable, delimited, expand, names, read, source
from detectors.vocabulary import Run

Log = Callable[..., Run]
Save = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    """Write text or bytes to a file and return its path."""

    def save(content: str | bytes, name: str = "run.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return save


@pytest.fixture
def log(saved: Save) -> Log:
    """The run in a file of this content."""

    def run(content: str | bytes, name: str = "run.csv", **options: object) -> Run:
        (only,) = read(saved(content, name), **options)
        return only

    return run


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that the examples of a property write over."""
    return tmp_path_factory.mktemp("readers") / "scratch"


def noted(run: Run, *words: str) -> bool:
    """Whether one note of the run holds all these words."""
    return any(all(word in note for word in words) for note in run.notes)


# names


LOGGED = {
    "train_loss": [
        *("train_loss", "loss", "Train Loss", "training_loss", "train/loss"),
        *("LossEpoch", "Loss/train", "train_loss_step", "loss "),
    ],
    "val_loss": [
        *("val_loss", "Valid Loss", "valid_loss", "test_loss", "validation loss"),
        *("eval_loss", "val/loss", "ValidLossEpoch", "valLoss", "dev_loss"),
    ],
    "train_accuracy": ["acc", "accuracy", "train_acc", "Train Acc.", "categorical_accuracy", "acc_epoch", "Acc@1"],
    "val_accuracy": [
        "val_acc",
        "Valid Acc.",
        "test_acc",
        "val_accuracy",
        "eval_accuracy",
        "test_accuracy",
        "eval_top1",
    ],
    "learning_rate": ["lr", "Learning Rate", "learning_rate", "LR", "AlphaEpoch"],
    "train_loss_eval": ["train_loss_eval", "Train Eval Loss"],
    "val_ece": ["val_ece", "ECE", "test_ece"],
}


@pytest.mark.parametrize(("header", "series"), [(name, series) for series in LOGGED for name in LOGGED[series]])
def test_a_logged_name_becomes_its_series(log, header, series):
    run = log(f"epoch,{header}\n1,0.5\n2,0.25\n")

    assert {key: list(values) for key, values in run.series.items()} == {series: [0.5, 0.25]}


def test_every_canonical_name_stands_for_itself():
    assert {name: names.lookup(name).series for name in names.CANONICAL} == {name: name for name in names.CANONICAL}


ORDER = [
    *[("val_loss", "valid_loss"), ("valid_loss", "eval_loss"), ("eval_loss", "test_loss"), ("learning_rate", "lr")],
    *[("train_loss", "loss"), ("LossEpoch", "Loss"), ("train_loss_epoch", "train_loss"), ("loss", "train_loss_step")],
    *[("val_acc", "val_err"), ("val_acc", "test_acc"), ("val_accuracy", "val_acc")],
]


@pytest.mark.parametrize(("first", "then"), [*ORDER, *[(then, first) for first, then in ORDER]])
def test_of_two_columns_for_one_series_the_first_in_the_documented_order_wins(log, first, then):
    run = log(f"epoch,{first},{then}\n1,0.5,0.125\n2,0.25,0.75\n")

    winner, loser = (first, then) if (first, then) in ORDER else (then, first)
    values = {first: [0.5, 0.25], then: [0.125, 0.75]}
    series = names.lookup(first).series
    assert list(run[series]) == values[winner]
    assert [list(kept) for key, kept in run.series.items() if key != series] == [values[loser]]
    assert noted(run, f"{series} is column {winner!r}", repr(loser))


def test_a_column_with_a_single_number_yields_to_one_with_more(log):
    run = log("epoch,loss,train_loss\n1,3,\n2,2,\n3,1,2\n")  # a summary row of the whole training has the better name

    assert list(run["train_loss"]) == [3, 2, 1]


def test_other_numeric_columns_keep_their_own_name_in_snake_case(log):
    run = log('epoch,loss,Grad Norm,time(s),model\n1,2,0.5,31,"resnet"\n2,1,0.4,30,"resnet"\n')

    assert list(run.series) == ["train_loss", "grad_norm", "time_s"]
    assert noted(run, "without a number", "'model'")


def test_columns_of_one_name_are_both_kept(log):
    run = log("epoch,loss,x,x,Grad Norm,grad_norm\n1,2,3,4,5,6\n")

    assert [run[key][0] for key in ("x", "x_4", "grad_norm", "grad_norm_2")] == [3, 4, 5, 6]


def test_a_mapping_overrules_the_table_of_names(log):
    run = log("epoch,val_loss,My Metric\n1,2,3\n2,1,5\n", mapping={"val_loss": "My Metric", "swa": "val_loss"})

    assert (list(run["val_loss"]), list(run["swa"])) == ([3, 5], [2, 1])


def test_a_mapped_name_may_differ_in_spelling(log):
    assert list(log("epoch,My  Metric,loss\n1,3,2\n", mapping={"val_loss": "my_metric"})["val_loss"]) == [3]


def test_a_mapping_may_name_the_axis(log):
    assert list(log("tick,loss\n10,2\n20,1\n", mapping={"epoch": "tick"}).epochs) == [10, 20]


def test_the_series_that_a_mapping_displaces_keeps_another_name(log):
    run = log("epoch,val_loss,other\n1,2,3\n", mapping={"val_loss": "other"})

    assert (run["val_loss"][0], run["val_loss_2"][0]) == (3, 2)


def test_a_mapped_error_rate_is_still_an_error_rate(log):
    run = log("epoch,test_error(%),val_acc\n1,40,0.5\n", mapping={"val_accuracy": "test_error(%)"})

    assert run["val_accuracy"][0] == pytest.approx(0.6)


def test_an_accuracy_that_does_not_say_whose_it_is_is_noted_beside_losses_that_do(log):
    fastai = log("epoch,train_loss,valid_loss,accuracy\n0,2,2,0.5\n")
    alone = log("epoch,train_loss,accuracy\n0,2,0.5\n")
    keras = log("epoch,loss,val_loss,accuracy\n0,2,2,0.5\n")

    assert "val_accuracy" in fastai
    assert noted(fastai, "'accuracy' counts as validation", "--map train_accuracy='accuracy'")
    assert "train_accuracy" in alone
    assert noted(alone, "'accuracy' counts as training", "--map val_accuracy='accuracy'")
    assert "train_accuracy" in keras
    assert keras.notes == ()


def test_an_accuracy_that_does_not_say_whose_it_is_goes_where_a_mapping_says(log):
    run = log("epoch,train_loss,valid_loss,accuracy\n0,2,2,0.5\n", mapping={"train_accuracy": "accuracy"})

    assert list(run.series) == ["train_loss", "val_loss", "train_accuracy"]


def test_of_the_losses_of_minibatches_beside_one_validation_an_epoch_the_mean_is_kept(log):
    run = log("epoch,step,train_loss_step,val_loss\n0,1,4,\n0,2,2,\n0,2,,5\n1,3,1,\n1,4,2,\n1,4,,3\n")

    assert (list(run.epochs), list(run["train_loss"]), list(run["val_loss"])) == ([0, 1], [3, 1.5], [5, 3])
    assert noted(run, "train_loss has several values an epoch", "mean")


def test_losses_logged_in_weighted_parts_are_summed_where_no_total_is_logged(log):
    padded = "   epoch,  train/box_loss,  train/cls_loss,  val/box_loss,  val/cls_loss\n  0,  1,  2,  3,  4\n"
    run = log(padded)
    total = log("epoch,train/loss,train/box_loss,train/cls_loss\n0,9,1,2\n")

    assert (run["train_loss"][0], run["val_loss"][0]) == (3, 7)
    assert noted(run, "train_loss is the sum of 'train/box_loss', 'train/cls_loss'")
    assert total["train_loss"][0] == 9


def test_losses_whose_weights_no_log_tells_are_not_summed(log):
    run = log("epoch,val_loss,train/kl_loss,train/recon_loss\n0,9,1,2\n")

    assert list(run.series) == ["val_loss", "train_kl_loss", "train_recon_loss"]


@pytest.mark.parametrize(("series", "name"), [(s, n) for s, found in names.spellings().items() for n in found])
def test_each_spelling_that_the_table_lists_stands_for_its_series(series, name):
    meaning = names.lookup(name)

    assert names.is_axis(name) if series == "epoch" else meaning is not None and meaning.series == series


NO_SERIES = [
    *("train_runtime", "eval_runtime", "eval_samples_per_second", "total_flos", "grad_norm", "loss_scale"),
    *("evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations", "best_val_loss", "train_loss_std"),
    *("metrics/precision(B)", "metrics/mAP50(B)", "metrics/accuracy_top5", "eval_top5", "train/box_loss", "lr/pg1"),
]


@pytest.mark.parametrize("name", NO_SERIES)
def test_what_frameworks_log_beside_the_series_is_none_of_them(name):
    assert names.lookup(name) is None


# units


def test_accuracy_in_percent_becomes_a_fraction_and_a_note_says_so(log):
    run = log("epoch,val_acc\n1,50\n2,75\n")

    assert list(run["val_accuracy"]) == [0.5, 0.75]
    assert noted(run, "val_accuracy = 'val_acc' / 100", "percent")


def test_accuracy_as_a_fraction_stays(log):
    run = log("epoch,val_acc\n1,0.5\n2,1.0\n")

    assert (list(run["val_accuracy"]), run.notes) == ([0.5, 1.0], ())


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        ((1.0, 1.2), (40, 60), (0.012, 0.6)),  # 1.2 is no fraction: nothing learnt, in percent
        ((0.5, 0.9), (1.0, 2.1), (0.009, 0.021)),  # the first epochs of a thousand classes
        ((0.9, 0.97), (60, 65), (0.97, 0.65)),  # each in its own unit
        ((0.2, 0.4), (0.3, 0.5), (0.4, 0.5)),
    ],
)
def test_the_units_of_both_accuracies_are_decided_together(log, train, val, expected):
    run = log(f"epoch,acc,val_acc\n1,{train[0]},{val[0]}\n2,{train[1]},{val[1]}\n")

    assert (run["train_accuracy"][1], run["val_accuracy"][1]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("header", "cell", "accuracy"),
    [
        *[("test_error(%)", "45.5", 0.545), ("test_error(%)", "0.5", 0.995)],  # the name says percent
        *[("val_err", "0.25", 0.75), ("Valid Error", "12.5", 0.875)],
    ],
)
def test_an_error_rate_becomes_an_accuracy(log, header, cell, accuracy):
    run = log(f"epoch,{header}\n1,{cell}\n")

    assert run["val_accuracy"][0] == pytest.approx(accuracy)
    assert noted(run, "val_accuracy = 1 - ", header, "error rate")


def test_an_error_without_a_side_is_the_training_error(log):
    assert log("epoch,error\n1,0.25\n")["train_accuracy"][0] == 0.75


@pytest.mark.parametrize(("cell", "reach"), [("5120", "5120"), ("-1", "-1")])
def test_an_accuracy_that_cannot_be_one_is_kept_under_its_own_name(log, cell, reach):
    run = log(f"epoch,loss,val_acc\n1,2,{cell}\n")

    assert "val_accuracy" not in run.series
    assert (run["val_acc"][0], noted(run, "'val_acc' is no accuracy", reach)) == (float(cell), True)


# the axis


@pytest.mark.parametrize("header", ["epoch", "Epoch", "step", "iteration", "global_step", "Iter"])
def test_the_axis_is_the_column_of_epochs_or_steps_and_keeps_its_numbers(log, header):
    run = log(f"{header},loss\n0,2\n5,1\n")

    assert (list(run.epochs), list(run.series)) == ([0, 5], ["train_loss"])


def test_without_a_column_of_epochs_rows_are_counted_from_one(log):
    run = log("loss,val_loss\n3,4\n2,3\n1,2\n")

    assert list(run.epochs) == [1, 2, 3]
    assert noted(run, "no column of epochs")


def test_a_column_of_epochs_without_a_number_is_no_axis(log):
    run = log("epoch,loss\nfirst,2\nsecond,1\n")

    assert (list(run.epochs), noted(run, "without a number", "'epoch'")) == ([1, 2], True)


def test_epochs_come_before_steps(log):
    run = log("step,epoch,loss\n100,1,2\n200,2,1\n")

    assert (list(run.epochs), list(run["step"])) == ([1, 2], [100, 200])


def test_steps_are_the_axis_where_a_series_has_several_values_an_epoch(log):
    run = log("epoch,step,loss,val_loss\n" + "".join(f"{i // 10},{i},{i},{i}\n" for i in range(30)))

    assert (len(run), list(run.epochs[:3]), "epoch" in run) == (30, [0, 1, 2], True)
    assert noted(run, "'step'", "several values an epoch")


def test_iterations_that_log_validation_once_an_epoch_become_epochs(log):
    rows = "0,0,2.5,2.4,2.3\n1,1,2.2,nan,nan\n1,2,2.1,2.15,2.0\n2,3,1.9,nan,nan\n2,4,1.8,1.85,1.7\n"
    run = log("Epoch,Iteration,Loss,LossEpoch,ValidLossEpoch\n" + rows)

    assert (list(run.epochs), list(run["train_loss"]), list(run["val_loss"])) == (
        [0, 1, 2],
        [2.4, 2.15, 1.85],
        [2.3, 2.0, 1.7],
    )
    assert noted(run, "5 rows hold 3 epochs")


def test_training_and_validation_of_an_epoch_may_stand_in_different_rows(log):
    run = log("epoch,loss,val_loss\n0,,2\n0,3,\n1,,1\n1,2,\n")

    assert (list(run["train_loss"]), list(run["val_loss"])) == ([3, 2], [2, 1])


def test_of_epochs_that_a_resumed_run_repeats_the_later_value_is_kept(log):
    run = log("epoch,loss,val_loss\n1,5,5\n2,4,4\n3,3,3\n2,40,\n3,30,35\n4,20,25\n")

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2, 3, 4], [5, 40, 30, 20])
    assert np.array_equal(run["val_loss"], [5, np.nan, 35, 25], equal_nan=True)  # the old run is not mixed in
    assert noted(run, "are sorted", "of 2 that come again")


def test_unsorted_epochs_are_sorted(log):
    run = log("epoch,loss\n3,1\n1,3\n2,2\n")

    assert noted(run, "are sorted")
    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2, 3], [3, 2, 1])


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 12), st.integers(-99, 99)), min_size=1, max_size=40))
def test_of_repeated_epochs_the_last_in_the_file_is_kept(scratch, rows):
    scratch.write_text("epoch,loss\n" + "".join(f"{epoch},{loss}\n" for epoch, loss in rows))

    (run,) = read(scratch)

    assert dict(zip(run.epochs, run["train_loss"], strict=True)) == dict(rows)


def test_a_row_with_a_step_but_no_epoch_belongs_to_the_epoch_of_the_row_below(log):
    run = log("epoch,lr-SGD,step,train_loss,val_loss\n,0.1,0,,\n0,,9,3,\n0,,9,,2\n,0.01,10,,\n1,,19,1,\n")  # Lightning

    assert (list(run.epochs), list(run["learning_rate"]), list(run["train_loss"])) == ([0, 1], [0.1, 0.01], [3, 1])
    assert noted(run, "rows with 'step' but no 'epoch'", "below: 2")


def test_rows_without_an_epoch_are_left_out(log):
    run = log("epoch,loss\n1,3\n,7\n2,2\n")

    assert (list(run.epochs), noted(run, "rows without an epoch", "1, the first is line 3")) == ([1, 2], True)


# formats


def test_every_format_in_the_package_is_registered():
    modules = [
        importlib.import_module(f"detectors.readers.{m.name}") for m in pkgutil.iter_modules(detectors.readers.__path__)
    ]
    formats = {module for module in modules if hasattr(module, "sniff") or hasattr(module, "NAME")}

    assert formats == set(FORMATS)
    assert {format.NAME for format in FORMATS} == {module.__name__.rpartition(".")[2] for module in formats}


def delimited_by(delimiter: str) -> Callable[[Mapping[str, Sequence[float]]], str]:
    def write(columns: Mapping[str, Sequence[float]]) -> str:
        rows = zip(*columns.values(), strict=True)
        return "\n".join([delimiter.join(columns), *(delimiter.join(map(repr, row)) for row in rows)]) + "\n"

    return write


def records(columns: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


WRITERS: dict[str, Callable[[Mapping[str, Sequence[float]]], str]] = {
    "commas": delimited_by(","),
    "semicolons": delimited_by(";"),
    "tabs": delimited_by("\t"),
    "tabs, also at the end": lambda columns: delimited_by("\t")(columns).replace("\n", "\t\n"),
    "quotes": lambda columns: "\n".join(
        ",".join(f'"{c}"' for c in row.split(",")) for row in delimited_by(",")(columns).split()
    ),
    "spaces around": delimited_by(" , "),
    "windows lines": lambda columns: delimited_by(",")(columns).replace("\n", "\r\n"),
    "object of lists": lambda columns: json.dumps({"model": "mlp", "seed": 3} | dict(columns)),
    "nested object of lists, indented": lambda columns: json.dumps({"note": {"by": "me"}} | dict(columns), indent=1),
    "list of objects": lambda columns: json.dumps(records(columns), indent=2),
    "object a line": lambda columns: "\n".join(map(json.dumps, records(columns))),
    "settings, then object a line": lambda columns: "\n".join(
        map(json.dumps, [{"lr": 1.0, "a": 1}, *records(columns)])
    ),
}

finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[float]]:
    rows = draw(st.integers(1, 12))
    keys = draw(st.lists(st.sampled_from(["train_loss", "val_loss", "grad_norm", "val_ece"]), min_size=1, unique=True))
    epochs = draw(st.lists(st.integers(0, 10**6), min_size=rows, max_size=rows, unique=True).map(sorted))
    columns = {key: draw(st.lists(finite, min_size=rows, max_size=rows)) for key in ["train_loss", *keys]}
    return {"epoch": epochs, **columns}


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@settings(max_examples=60, deadline=None)
@given(columns=tables())
def test_any_table_of_finite_numbers_reads_back_equal(scratch, writer, columns):
    scratch.write_bytes(writer(columns).encode())

    (run,) = read(scratch)

    assert {"epoch": list(run.epochs)} | {key: list(values) for key, values in run.series.items()} == columns


cell = st.one_of(
    finite.map(repr),
    st.sampled_from(
        ["", " ", "nan", "NaN", "inf", "-Infinity", "None", "1,5", "oops", "#", '"2"', "1e400", "0x10", "1_0", " 7 "]
    ),
    st.sampled_from(["loss", "epoch", '"', "1 234", "5%", "[1, 2]"]),
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    rows=st.lists(st.one_of(st.tuples(finite.map(repr), cell), st.lists(cell, max_size=4)), min_size=1, max_size=12),
    delimiter=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["", "\n", "\n\n"]),
)
@example(rows=[["0.0", "0.0", "nan"]], delimiter=",", end="")  # a number too many, and not just a delimiter
@example(rows=[("0.0", "1.0,"), ("0.0", ","), ("0.0", "")], delimiter=",", end="\n")
def test_clean_blocks_parsed_by_numpy_read_as_line_by_line(rows, delimiter, end):
    text = f"epoch{delimiter}loss\n" + "\n".join(map(delimiter.join, rows)) + end

    def outcome(block: int, clean: Callable[..., np.ndarray | None]) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "BLOCK", block)
            patch.setattr(delimited, "_clean", clean)
            try:
                table = delimited.table([text])
            except Unreadable as error:
                return str(error)
            return (
                {key: [*map(repr, column)] for key, column in table.columns.items()},
                list(table.lines),
                dict(table.odd),
                table.notes,
            )

    assert outcome(1, delimited._clean) == outcome(1 << 17, lambda *_: None)


@pytest.mark.parametrize("text", ["epoch,loss,größe\n1,2,0.5\n2,1,0.25\n", '{"loss": [2, 1], "größe": [0.5, 0.25]}'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_any_encoding_reads_as_the_same_run(log, encoding, text):
    run = log(text.encode(encoding))

    assert {key: list(values) for key, values in run.series.items()} == {"train_loss": [2, 1], "größe": [0.5, 0.25]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(log, end):
    run = log(end.join(["epoch,loss,model", "1,2,mlp", "2,1,mlp", ""]))

    assert (list(run.epochs), list(run["train_loss"]), len(run.notes)) == ([1, 2], [2, 1], 1)


def test_the_format_is_found_by_content_and_not_by_suffix(log):
    assert list(log('{"loss": [2, 1]}', name="run.csv")["train_loss"]) == [2, 1]


def test_a_format_that_is_asked_for_is_not_looked_for(saved):
    with pytest.raises(Unreadable, match="there is no header"):
        read(saved('{"loss": [2, 1]}'), format="delimited")


def test_a_format_that_does_not_exist_is_refused_with_those_that_do(saved):
    with pytest.raises(Unreadable, match=r"'yaml'.*json_lines, .*json_document, .*delimited"):
        read(saved("epoch,loss\n1,2\n"), format="yaml")


def test_a_list_of_rates_a_layer_becomes_its_median(log):
    run = log("Epoch\tTrain Loss\tLearning Rate\t\n0.000\t2.5\t[0.1, 0.2, 0.6]\t\n1.000\t2.0\t[0.01, 0.03]\t\n")

    assert list(run["learning_rate"]) == [0.2, 0.02]
    assert len(run.notes) == 1
    assert noted(run, "'Learning Rate' holds a list in 2 cells", "median")


def test_a_list_in_another_column_is_no_number(log):
    run = log('{"loss": 2, "schedule": [150, 225]}\n{"loss": 1, "schedule": [150, 225]}\n')

    assert (list(run.series), noted(run, "without a number", "'schedule'")) == (["train_loss"], True)


def test_nested_objects_are_named_by_their_path(log):
    run = log('[{"epoch": 1, "train": {"loss": 2}, "val": {"loss": 3}}]')

    assert (run["train_loss"][0], run["val_loss"][0]) == (2, 3)


def test_a_first_line_with_the_settings_is_no_epoch(log):
    run = log('{"learning_rate": 0.1, "epochs": 2}\n{"learning_rate": 0.1, "epochs": 2, "loss": 2.0}\n{"loss": 1.0}\n')

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2], [2, 1])
    assert noted(run, "line 1 holds settings")


@pytest.mark.parametrize("more", [{"acc": [0.1, 0.2, 0.3]}, {"val_acc": [0.1, 0.2], "lr": [1, 1]}])
def test_lists_cut_off_within_an_epoch_are_filled_up(log, more):
    run = log(json.dumps({"loss": [3, 2, 1], "val_loss": [3, 2], **more}))

    assert np.array_equal(run["val_loss"], [3, 2, np.nan], equal_nan=True)
    assert noted(run, "one item early", "'val_loss'")


def test_lists_that_cannot_be_aligned_are_left_out(log):
    run = log('{"loss": [4, 3, 2, 1], "acc": [0.1, 0.2, 0.3, 0.4], "val_loss": [3, 2]}')

    assert ("val_loss" in run, noted(run, "cannot be aligned", "'val_loss' (2)")) == (False, True)


def test_standard_input_is_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"epoch,loss\n1,2\n")))

    (run,) = read("-")

    assert (run.name, run.source, len(run)) == ("stdin", "-", 1)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("seed-3.csv", "seed-3"),
        ("vgg/log.txt", "vgg/log"),
        ("vgg/metrics.csv", "vgg/metrics"),
        ("vgg/Results.json", "vgg/Results"),
    ],
)
def test_a_run_is_called_after_its_file_and_its_folder_where_that_says_nothing(log, tmp_path, file, name):
    run = log("epoch,loss\n1,2\n", name=file)

    assert (run.name, run.source) == (name, str(tmp_path / file))


# bad input


@pytest.mark.parametrize(
    ("content", "says"),
    [
        *[("", "is empty"), (" \n\n", "is empty"), ("\0\0\0\0", "is empty")],
        ("epoch,loss,val_loss\n", "line 1 is a header, but no row"),
        ("epoch,loss,val_loss\n1,2\n2,1\n", "line 2 has 2 cells, the header has 3"),
        ("0,2.5,2.4\n1,2.3,2.2\n", "line 1: there is no header.*epoch,train_loss,val_loss"),
        (bytes(range(256)) * 4, "binary"),
        (b"\x1f\x8b\x08\x08" + bytes(range(1, 32)) * 3, "cannot be decompressed"),
        ("foo,bar\n1,2\n3,4\n", "'foo', 'bar'.*--map val_loss=NAME"),
        ('{"foo": [1, 2], "bar": [3, 4]}', "'foo', 'bar'.*--map val_loss=NAME"),
        ('{"lr": 0.1, "epochs": 100}', "'lr', 'epochs'.*--map val_loss=NAME"),  # settings, not a log
        ('{"loss": [1, 2,\n "val_loss": [3, 4]}', "line 2, column 12: this is not JSON"),
        *[
            ("[]", "no epochs"),
            ("{}", "no rows|no column"),
            ('{"loss": []}', "no rows"),
            ("[" * 99999 + "{", "JSON|format"),
        ],
        ('[{"loss": ' + "[" * 5000 + "]" * 5000 + "}]", "JSON"),
        ("Dear diary,\ntoday the loss went down.\n", "no log in a format that we know.*'Dear diary,'"),
    ],
)
def test_what_cannot_be_read_says_why_in_one_line(saved, content, says):
    path = saved(content)

    with pytest.raises(Unreadable, match=says) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        *[("missing.csv", "No such file"), ("new\nline.csv", "new line.csv: .*No such file")],
        *[("folder", "there is no log in this folder"), ("nu\0ll.csv", "null byte")],
    ],
)
def test_what_cannot_be_opened_is_unreadable(tmp_path, name, says):
    (tmp_path / "folder").mkdir()

    with pytest.raises(Unreadable, match=says):
        read(tmp_path / name)


def test_a_mapped_name_that_is_not_there_is_refused_with_those_that_are(saved):
    with pytest.raises(Unreadable, match=r"'nope'.*'epoch', 'loss'"):
        read(saved("epoch,loss\n1,2\n"), mapping={"val_loss": "nope"})


def test_a_mapped_column_without_numbers_is_refused(saved):
    with pytest.raises(Unreadable, match="'model', mapped to val_loss, has no number"):
        read(saved("epoch,loss,model\n1,2,a\n"), mapping={"val_loss": "model"})


def test_one_epoch_is_a_run(log):
    assert len(log("epoch,loss,val_loss\n1,2,3\n")) == 1


def test_missing_validation_is_no_error(log):
    assert log("epoch,loss\n1,2\n2,1\n").missing(["val_loss"]) == ["val_loss"]


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "None", "null", "N/A", "-"])
def test_a_missing_value_is_nan(log, cell):
    run = log(f"epoch,loss\n1,2\n2,{cell}\n3,1\n")

    assert (np.isnan(run["train_loss"][1]), run.notes) == (True, ())


@pytest.mark.parametrize(("cell", "value"), [("inf", np.inf), ("-Infinity", -np.inf), ("1e999", np.inf)])
def test_an_infinite_value_is_infinite(log, cell, value):
    assert log(f"epoch,loss\n1,2\n2,{cell}\n")["train_loss"][1] == value


def test_json_may_hold_null_nan_strings_and_huge_integers(log):
    run = log('{"loss": [null, NaN, "0.5", "nan", -Infinity, 1%s]}' % ("0" * 400))

    assert np.array_equal(run["train_loss"], [np.nan, np.nan, 0.5, np.nan, -np.inf, np.inf], equal_nan=True)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *[('"1,234.5"', 1234.5), ('"12,345,678"', 12345678.0), ("1 234", 1234.0), ('"1,234"', 1234.0)],
        *[("\u22120.5", -0.5), ("123456789012345678901234567890", 123456789012345678901234567890.0)],
    ],
)
def test_a_number_may_be_written_for_people(log, cell, value):
    run = log(f"epoch,loss\n1,{cell}\n2,1\n")

    assert (run["train_loss"][0], len(run)) == (value, 2)


def test_commas_are_decimal_where_one_can_only_be_that(log):
    run = log("epoch;loss;val_loss\n1;2,5;1,234\n2;1,25;1,125\n")

    assert (list(run["train_loss"]), list(run["val_loss"])) == ([2.5, 1.25], [1.234, 1.125])
    assert noted(run, "decimal points")


@pytest.mark.parametrize(
    "cell", ["5" + "%" * 9999, "[" * 9999, "1," * 9999, "9" * 99999, "\u0663", "1__0", "0x10", "1e", "%"]
)
def test_an_absurd_cell_costs_itself_alone(log, cell):
    run = log(f"epoch\tloss\n1\t2\n2\t{cell}\n3\t1\n")

    assert (list(run.epochs), run["train_loss"][0], run["train_loss"][2]) == ([1, 2, 3], 2, 1)


def test_a_percent_sign_in_a_cell_counts(log):
    assert list(log("epoch,val_acc\n1,0.25%\n2,1%\n")["val_accuracy"]) == [0.0025, 0.01]


def test_a_text_among_numbers_is_missing_and_a_note_says_where(log):
    run = log("epoch,loss,val_loss\n1,3,4\n2,oops,3\n3,1,2\n4,diverged,1\n")

    assert np.array_equal(run["train_loss"], [3, np.nan, 1, np.nan], equal_nan=True)
    assert noted(run, "line 3", "'loss'", "'oops'", "first of 2")


def test_a_last_line_cut_off_by_a_crash_is_left_out(log):
    run = log("epoch,loss,val_loss\n1,3,4\n2,2,3\n3,1.")

    assert (list(run.epochs), noted(run, "line 4, the last one, is cut off (2 of 3 cells)")) == ([1, 2], True)


def test_a_last_object_cut_off_by_a_crash_is_left_out(log):
    run = log('{"epoch": 1, "loss": 2}\n{"epoch": 2, "lo', name="log.jsonl")

    assert (list(run.epochs), noted(run, "line 2, the last one, is cut off")) == ([1], True)


def test_lines_that_do_not_fit_cost_themselves_alone(log):
    run = log('epoch,loss\n1,3\n<<<<<<< HEAD\n2,2,9\n3,1\n4,"7\n5,0.5\n')

    assert (list(run.epochs), noted(run, "do not fit the header", "2, the first is line 3")) == ([1, 3, 4, 5], True)


def test_lines_that_are_no_object_cost_themselves_alone(log):
    run = log('starting\n{"epoch": 1, "loss": 2}\nWARNING: slow\n{"epoch": 2, "loss": 1}\n')

    assert (list(run.epochs), noted(run, "no JSON object", "2, the first is line 1")) == ([1, 2], True)


def test_comments_blank_lines_and_chatter_before_the_header_are_skipped(log):
    run = log("$ python train.py\nloading, please wait\n# epoch, loss: see below\n\nepoch,loss\n# warm\n1,2\n\n2,1\n")

    assert (list(run.epochs), list(run["train_loss"]), run.notes) == ([1, 2], [2, 1], ())


def test_a_line_of_names_that_we_know_is_the_header_before_others(log):
    run = log("batch, width\n128, 32\nepoch,loss\n1,2\n2,1\n")

    assert (list(run["train_loss"]), run.notes) == ([2, 1], ())


def test_cells_stand_between_what_makes_names_that_we_know(log):
    assert list(log("epoch\tloss\tx (1, 2, 3, 4, 5)\n1\t2\t3\n").series) == ["train_loss", "x_1_2_3_4_5"]


def test_a_header_that_is_commented_out_is_found(log):
    assert list(log("# epoch,loss\n1,2\n2,1\n")["train_loss"]) == [2, 1]


def test_a_header_again_in_the_middle_appends_its_rows(log):
    run = log("epoch,loss\n1,3\n2,2\nepoch,loss\n2,1\n3,0.5\n")

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2, 3], [3, 1, 0.5])
    assert noted(run, "header comes again in line 4")


def test_another_header_in_the_middle_renames_the_columns_below_it(log):
    run = log("epoch,loss\n1,3\nepoch,val_loss,loss\n2,4,2\n")

    assert list(run["train_loss"]) == [3, 2]
    assert np.array_equal(run["val_loss"], [np.nan, 4], equal_nan=True)


def test_a_line_of_text_with_one_known_name_is_no_header(log):
    run = log("epoch,loss,a,b\n1,2,3,4\nepoch,took,too,long\n2,1,3,4\n")

    assert (list(run["train_loss"]), list(run["a"])) == ([2, 1], [3, 3])


@pytest.mark.parametrize("rest", [b"", b"\n3,0.5\n"])
def test_null_bytes_that_a_crash_of_the_machine_left_are_left_out(log, rest):
    run = log(b"epoch,loss\n1,2\n2,1" + b"\0" * 9000 + rest)

    assert (list(run["train_loss"][:2]), len(run), noted(run, "null bytes")) == ([2, 1], 3 if rest else 2, True)


SAMPLES = [
    b"epoch,loss,val_loss,acc,lr\n0,2.5,2.4,10.5,0.1\n1,2.0,nan,20.5,0.1\n2,1.5,1.9,,0.01\n",
    b'Epoch\tTrain Loss\tValid Acc.\tLearning Rate\t\n0.0\t2.5\t"1,234.5"\t[0.1, 0.2]\t\n1.0\t2.0\t2.5\t[0.1, 0.3]\t\n',
    b"\xef\xbb\xbfepoch;test_error(%);val_loss\r\n1;45,5;2\r\n2;40,5;1\r\nepoch;test_error(%);val_loss\r\n3;1;1\r\n",
    b'{"loss": [2.5, 2.0, null], "val_loss": [2.5, 2.1, 1e5], "seed": 3, "nested": {"lr": [1, 1, 1]}}',
    b'{"lr": 0.1}\n{"epoch": 0, "loss": 2.5, "s": [1, 2]}\n{"epoch": 1, "loss": "NaN", "val_acc": 55}\n{"epoch": 1',
    b'[{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 2.25, "val": {"loss": 3}}]',
    "epoch,loss\n1,2\n2,1\n".encode("utf-16"),
]
edits = st.lists(
    st.tuples(
        st.integers(0, 250),
        st.integers(0, 12),
        st.one_of(st.binary(max_size=4), st.sampled_from([b",", b"\n", b'"', b"9"])),
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=st.one_of(st.sampled_from(SAMPLES), st.binary(max_size=200)), changes=edits)
def test_damaged_bytes_are_read_or_unreadable_and_nothing_else(scratch, sample, changes):
    for start, length, inserted in changes:
        sample = sample[:start] + inserted + sample[start + length :]
    scratch.write_bytes(sample)

    assert said_in_one_line(scratch)


def said_in_one_line(path: Path) -> bool:
    """Whether all that `read` says about this file, error or notes, is one line each."""
    try:
        (run,) = read(path)
    except Unreadable as error:
        return str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
    return all(len(note.splitlines()) == 1 for note in run.notes)


@pytest.fixture
def step_log(tmp_path: Path) -> Path:
    """Half a million steps, validation once in a thousand."""
    lines = [f"{i},{2 - i / 500_000!r},{'1.5' if i % 1000 == 0 else ''}\n" for i in range(500_000)]
    path = tmp_path / "steps.csv"
    path.write_text("step,loss,val_loss\n" + "".join(lines))
    return path


def test_a_long_step_log_reads_within_its_time(step_log):
    start = time.process_time()  # so that a busy machine does not count

    (run,) = read(step_log)
    spent = time.process_time() - start

    assert (len(run), len(run.observed("train_loss", "val_loss")[0])) == (500_000, 500)
    assert spent < 5 / 4  # a quarter of: 2 million rows, 5 s


@pytest.mark.slow
def test_a_long_step_log_reads_within_its_memory(step_log):
    tracemalloc.start()
    try:
        read(step_log)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()

    assert peak < (1024 - 128) / 4  # MiB, a quarter of: 2 million rows, 1 GiB, less what Python and numpy take


# how it is packed


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("suffix", PACKED)
def test_a_compressed_log_is_seen_through_and_called_without_its_suffix(tmp_path, suffix):
    path = tmp_path / f"seed_3.csv.{suffix}"
    path.write_bytes(PACKED[suffix](b"epoch,loss\n1,2\n2,1\n"))
    (run,) = read(path)

    assert (run.name, list(run["train_loss"]), run.notes) == ("seed_3", [2, 1], ())


@pytest.mark.slow
@pytest.mark.parametrize("suffix", PACKED)
def test_a_compressed_log_that_is_cut_off_is_read_up_to_there(tmp_path, suffix):
    rng = np.random.default_rng(0)
    whole = PACKED[suffix](b"epoch,loss\n" + b"".join(b"%d,%.9f\n" % (i, rng.random()) for i in range(100_000)))
    (tmp_path / "log.csv").write_bytes(whole[: 3 * len(whole) // 4])
    (run,) = read(tmp_path / "log.csv")

    assert 1000 < len(run) < 100_000
    assert any("the compressed file is damaged or cut off" in note for note in run.notes)


@pytest.mark.parametrize("suffix", PACKED)
def test_a_bomb_is_refused_before_it_is_held(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(source, "LARGEST_COMPRESSED", 1 << 20)
    (tmp_path / "log.csv").write_bytes(PACKED[suffix](b"epoch,loss\n" + b"1,2\n" * (1 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match=r"it grows beyond 1 MiB|Memory usage limit"):
            read(tmp_path / "log.csv")
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()

    assert peak < 15


def test_a_pipe_that_is_named_is_read(tmp_path):
    os.mkfifo(tmp_path / "live.csv")
    writer = threading.Thread(target=lambda: (tmp_path / "live.csv").write_text("epoch,loss\n1,2\n2,1\n"))
    writer.start()
    (run,) = read(tmp_path / "live.csv")
    writer.join()

    assert list(run["train_loss"]) == [2, 1]


@pytest.mark.parametrize(
    "stream", [io.TextIOWrapper(io.BytesIO(b"epoch,loss\n1,2\n")), io.StringIO("epoch,loss\n1,2\n")]
)
def test_standard_input_may_be_any_stream(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdin", stream)

    assert list(read("-")[0]["train_loss"]) == [2]


def test_standard_input_may_be_missing(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(Unreadable, match="there is no standard input"):
        read("-")


def test_a_stream_too_large_for_memory_waits_on_disk(monkeypatch):
    monkeypatch.setattr(source, "IN_MEMORY", 1000)
    monkeypatch.setattr(sys, "stdin", io.StringIO("epoch,loss\n" + "".join(f"{i},1\n" for i in range(1000))))

    assert len(read("-")[0]) == 1000


# a run a line


RUNS = [{"run": name, "lr": 0.1, "val_loss": [3.0, 2.0], "epoch": [1, 2]} for name in "ab"]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_an_object_with_the_whole_of_a_series_is_a_run(tmp_path, suffix):
    text = json.dumps(RUNS) if suffix == "json" else "\n".join(map(json.dumps, RUNS))
    (tmp_path / f"sweep.{suffix}").write_text(text)
    runs = read(tmp_path / f"sweep.{suffix}")

    assert [(run.name, list(run.epochs), list(run["val_loss"])) for run in runs] == [
        ("a", [1, 2], [3, 2]),
        ("b", [1, 2], [3, 2]),
    ]


def test_lines_between_runs_that_are_none_are_left_out_with_a_note(tmp_path):
    (tmp_path / "sweep.jsonl").write_text("\n".join([json.dumps(RUNS[0]), '{"done": 1}', json.dumps(RUNS[1])]))
    runs = read(tmp_path / "sweep.jsonl")

    assert [run.name for run in runs] == ["a", "b"]
    assert "lines that hold no series are left out: 1" in runs[0].notes


# folders


def test_a_folder_expands_to_the_logs_below_it(tmp_path):
    for file in (
        "c/1.txt",
        "b/log.txt",
        "a.csv",
        "b/c/run.JSONL",
        "b/model.pt",
        "notes.md",
        "b/x.log",
        "x.tsv",
        "x.json",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    assert [str(path.relative_to(tmp_path)) for path in expand([tmp_path])] == [
        *("a.csv", "x.json", "x.tsv", "b/log.txt", "b/x.log", "b/c/run.JSONL", "c/1.txt"),
    ]


def test_files_are_taken_as_they_are_and_once(tmp_path):
    paths = [tmp_path / "model.pt", tmp_path / "missing.csv", tmp_path / "model.pt", "-"]

    assert expand(paths) == [tmp_path / "model.pt", tmp_path / "missing.csv", Path("-")]


def test_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log.csv").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)  # two of them: 2 ** 40 paths before the system refuses
    (tmp_path / "a" / "too").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")

    assert expand([tmp_path]) == [tmp_path / "a" / "log.csv"]


def test_a_pipe_in_a_folder_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "live.log")

    assert expand([tmp_path]) == []


# real logs


@pytest.fixture(scope="module")
def logs() -> Path:
    """The folder of real logs; their README says where they come from."""
    folder = os.environ.get("CURVESENSE_LOGS")
    if not folder:
        pytest.skip("CURVESENSE_LOGS is not set: it names the folder with the real logs (curves/, raw/, labels.csv)")
    return Path(folder)


CURVE = {"lr": "learning_rate", "train_acc": "train_accuracy", "val_acc": "val_accuracy"}


def curve(path: Path) -> dict[str, np.ndarray]:
    """A normalised curve, by the csv module alone."""
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {CURVE.get(key, key): np.array([float(row[key] or "nan") for row in rows]) for key in rows[0]}


def same(run: Run, expected: Mapping[str, np.ndarray]) -> list[str]:
    """The series that differ; rounding of a division by 100 apart."""
    series = {key: values for key, values in expected.items() if key != "epoch" and np.isfinite(values).any()}
    return [
        key
        for key, values in series.items()
        if key not in run
        or len(run) != len(values)
        or not np.allclose(run[key], values, rtol=1e-12, atol=1e-15, equal_nan=True)
    ]


def test_every_normalised_curve_reads_equal(logs):
    paths = sorted((logs / "curves").glob("*.csv"))
    wrong = {path.stem: same(read(path)[0], curve(path)) for path in paths}

    assert len(wrong) == 91
    assert {name: series for name, series in wrong.items() if series} == {}


def labelled(logs: Path) -> list[tuple[Path, dict[str, str]]]:
    rows = list(csv.DictReader((logs / "labels.csv").read_text().splitlines()))
    files = [(logs / "raw" / row["repo"].replace("/", "__") / row["path"], row) for row in rows]
    return [(path, row) for path, row in files if path.exists()]


def test_every_raw_log_of_a_known_format_reads_equal_to_its_curve(logs):
    wrong = {
        row["name"]: same(read(path)[0], curve(logs / "curves" / f"{row['name']}.csv"))
        for path, row in labelled(logs)
        if row["format"] != "gluoncv_text_log"
    }

    assert len(wrong) == 61
    assert {name: series for name, series in wrong.items() if series} == {}


def test_every_raw_log_of_an_unknown_format_is_unreadable_in_one_line(logs):
    for path, row in labelled(logs):
        if row["format"] == "gluoncv_text_log":
            with pytest.raises(Unreadable, match="no log in a format that we know") as caught:
                read(path)
            assert len(str(caught.value).splitlines()) == 1
