"""Parquet files: flat tables, tables of several runs, the data sets of the simulator, and damaged ones."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors import Unreadable, read
from detectors.cli import main
from detectors.readers import expand
from sim.dataset import write

COLUMNS: dict[str, list[Any]] = {"epoch": [1, 2, 3], "val_loss": [3.0, 2.0, 1.0], "note": ["x", None, "y"]}
WRITERS = {
    "pyarrow": lambda path: pq.write_table(pa.table(COLUMNS), path),
    "pandas": lambda path: pd.DataFrame(COLUMNS).to_parquet(path),
    "polars": lambda path: pl.DataFrame(COLUMNS).write_parquet(path),
}


def saved(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_flat_table_is_a_run(tmp_path, writer):
    writer(tmp_path / "digits.parquet")
    (run,) = read(tmp_path / "digits.parquet")

    assert run.name == "digits"
    assert list(run.epochs) == [1, 2, 3]
    assert list(run["val_loss"]) == [3, 2, 1]


def test_the_format_is_found_by_content_and_compressed_too(tmp_path):
    path = saved(tmp_path / "log.parquet", COLUMNS)
    (tmp_path / "log.txt").write_bytes(path.read_bytes())
    (tmp_path / "log.gz").write_bytes(gzip.compress(path.read_bytes()))

    assert [list(read(tmp_path / name)[0]["val_loss"]) for name in ("log.txt", "log.gz")] == [[3, 2, 1]] * 2


def test_a_column_of_runs_makes_several(tmp_path):
    path = saved(tmp_path / "x.parquet", {"run": ["a", "a", "b", "b"], "val_loss": [2.0, 1.0, 4.0, 3.0]})

    assert [(run.name, list(run["val_loss"])) for run in read(path)] == [("a", [2, 1]), ("b", [4, 3])]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *((pa.float16(), [2.0, None, 1.0]), (pa.float32(), [2.0, None, 1.0]), (pa.int64(), [2, None, 1])),
        *((pa.decimal128(5, 2), [2, None, 1]), (pa.string(), ["2", None, "1"]), (pa.large_string(), ["2", "", "1"])),
        (pa.dictionary(pa.int8(), pa.string()), ["2", None, "1"]),
    ],
    ids=str,
)
def test_any_kind_of_number_is_read_and_null_is_missing(tmp_path, kind, values):
    (run,) = read(saved(tmp_path / "x.parquet", {"val_loss": pa.array(values, kind)}))

    np.testing.assert_array_equal(run["val_loss"], [2, np.nan, 1])


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)])
def test_lists_make_a_run_a_row_and_rows_without_are_left_out(tmp_path, kind):
    lists = pa.array([[2.0, 1.0], None, [4.0, None]], kind)
    runs = read(saved(tmp_path / "x.parquet", {"run_id": ["a", "b", "c"], "val_loss": lists}))

    assert [run.name for run in runs] == ["a", "c"]
    np.testing.assert_array_equal([run["val_loss"] for run in runs], [[2, 1], [4, np.nan]])


# what the simulator writes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("generated") / "out", tier="composed", runs=3, seed=7)


def test_a_generated_data_set_is_its_runs(data):
    rows = pq.read_table(data / "data").to_pylist()
    runs = read(data)

    assert [run.name for run in runs] == ["run 0", "run 1", "run 2"]
    for run, row in zip(runs, rows, strict=True):
        np.testing.assert_array_equal(run["val_loss"], row["val_loss"])
        assert len(run) == row["epochs"]


def test_no_run_of_a_data_set_shows_the_risk(data):
    frame = pd.read_parquet(data / "data")

    for source in (data, data / "data" / "part-00000.parquet", frame):
        assert {key for run in read(source) for key in run.series} == {
            "train_loss",
            "train_accuracy",
            "val_loss",
            "val_accuracy",
            "learning_rate",
        }


def test_the_command_reads_a_data_set(data, capsys):
    assert main(["diagnose", "--summary", str(data)]) == 0

    said = capsys.readouterr().out
    assert [f"run {i}" in said for i in range(4)] == [True, True, True, False]


def test_a_data_set_is_one_log_and_only_what_its_manifest_lists_is_read(data, tmp_path):
    out = Path(shutil.copytree(data, tmp_path / "set"))
    shutil.copy(out / "data" / "part-00000.parquet", out / "data" / "part-00001.parquet")

    assert expand([tmp_path]) == [out]
    assert [len(read(out)), len(read(tmp_path))] == [3, 3]
    assert [note for note in read(tmp_path)[0].notes if "left out" in note] == []


def edited(out: Path, **changes: object) -> None:
    """Change entries of the manifest."""
    document = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**document, **changes}))


INSIDE, OUTSIDE = {"file": "data/part-00000.parquet"}, {"file": "../data/part-00000.parquet"}
DAMAGES = [
    (lambda out: (out / "manifest.json").rename(out / "unfinished.jsonl"), "is not complete; the command that began"),
    (lambda out: edited(out, shards=[INSIDE, INSIDE]), "lists a file twice"),
    (lambda out: edited(out, shards=[OUTSIDE]), "names a file outside of it"),
    (lambda out: edited(out, shards=3), "manifest.json is damaged"),
    (lambda out: edited(out, shards=[{}]), "manifest.json is damaged"),
    (lambda out: (out / "data" / "part-00000.parquet").unlink(), "No such file"),
    (lambda out: (out / "data" / "part-00000.parquet").write_bytes(b"PAR1"), "damaged Parquet file"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_damaged_data_set_is_refused_in_one_line(damage, reason, data, tmp_path):
    out = Path(shutil.copytree(data, tmp_path / "set"))
    damage(out)

    with pytest.raises(Unreadable, match=reason) as caught:
        read(out)
    assert "\n" not in str(caught.value)


def test_a_data_set_that_is_too_large_to_hold_says_how_to_read_a_part(data, monkeypatch):
    monkeypatch.setattr("detectors.readers.data_set.LARGEST", 1000)

    with pytest.raises(Unreadable, match=r"is too much to hold at once; read one of its files, as data/part-00000"):
        read(data)


# what cannot be read


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.parquet", COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(
        Unreadable, match=r"x\.parquet: a Parquet file needs pyarrow: pip install 'curvesense\[parquet\]'$"
    ):
        read(path)


@pytest.mark.parametrize(
    "columns", [{"x": [{"a": 1}]}, {"val_loss": pa.array([], pa.float64())}, {"x": [True]}, {"val_loss": [[], []]}]
)
def test_a_file_without_series_is_refused(tmp_path, columns):
    with pytest.raises(Unreadable):
        read(saved(tmp_path / "x.parquet", columns))


def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path):
    whole = saved(tmp_path / "x.parquet", COLUMNS).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.parquet"
    refused = []
    for i in range(300):
        content = bytearray(whole[: rng.integers(4, len(whole))] if i % 2 else whole)
        for at in rng.integers(4, len(content), size=3) if len(content) > 4 else ():
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            read(path)
        except Unreadable as error:
            refused.append(str(error))

    assert len(refused) >= 150
    assert [line for line in refused if "\n" in line] == []


def repeated(value: Any, times: int) -> Any:
    """The same value so many times, made without holding them."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([value]))


BOMBS = {
    "rows": {"val_loss": repeated(1.0, (1 << 25) + 1)},
    "a list": {"val_loss": [np.ones((1 << 25) + 1)]},
    "text": {"val_loss": np.ones(1 << 14), "run": repeated("x" * (1 << 15), 1 << 14)},
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="MEMORY NOT MEASURED: only Linux tells the peak")
@pytest.mark.parametrize("columns", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_repetitions_is_read_or_refused_in_bounded_memory(tmp_path, columns):
    path = saved(tmp_path / "x.parquet", columns, compression="zstd", store_schema=False)
    code = f"""
import re
from pathlib import Path
from detectors import Unreadable, read
import numpy, pyarrow.parquet
def peak(): return int(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\\t", ""))[1])
before = peak()
try:
    print(len(read({str(path)!r})))
except Unreadable as error:
    print("beyond" in str(error))
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said, grown = done.stdout.split()

    assert path.stat().st_size < 1 << 22
    assert said in ("True", "1")
    assert int(grown) < 150_000  # KiB; each is 256 MiB or more
