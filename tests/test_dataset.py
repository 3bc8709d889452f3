"""Data sets: what is written, that its bits depend on the plan alone, and that nothing breaks one in silence."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.catalogue import MODELS, model
from sim.dataset import Dataset, open_dataset, plan, produce, write
from sim.dataset import folder as folders
from sim.dataset.card import SNIPPETS
from sim.dataset.columns import encoded
from sim.dataset.planning import SPLITS
from sim.dataset.recipes import layout, rebuild
from sim.dataset.shard import added, make, quantile
from sim.engines import ENGINES, Crowd, Lost
from sim.model import Tier

pa = pytest.importorskip("pyarrow", reason="DATA SETS NOT TESTED: pyarrow is missing, install the extra [sim]")
pq = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).parents[1]
HEAD = {"run_id", "model", "run_seed", "split", "epochs"}
PLAIN = ("composed", "margin")  # the others take longer to compile
cheap = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in PLAIN else [pytest.mark.slow])
        for name, m in MODELS.items()
        if m.tier is not Tier.TRAINED
    ],
)


def content(out: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture
def no_sheet(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the drawing: every sheet is that of `whole`."""
    drawn = (whole / "examples.png").read_bytes()
    monkeypatch.setattr("sim.dataset.making.sheet", lambda *args: drawn)


def stopped(count: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the `count`-th file that is written from now on fail as if the process or the disk ended there."""
    left = itertools.count(-count)
    real = os.replace

    def replace(*args: Any) -> None:
        if next(left) >= 0:
            raise error
        real(*args)

    monkeypatch.setattr(folders.os, "replace", replace)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 composed runs of the data set 3 in three shards."""
    return write(tmp_path_factory.mktemp("whole") / "new" / "set", tier="composed", runs=150, seed=3, shard=64)


@pytest.fixture(scope="module")
def data(whole: Path) -> Dataset:
    return Dataset(whole)


@pytest.fixture(scope="module")
def rows(data: Dataset) -> list[dict[str, Any]]:
    return data.table().to_pylist()


# what is written


def test_there_is_one_row_a_run(rows):
    assert [row["run_id"] for row in rows] == list(range(150))


def test_a_row_has_its_recipe_the_observed_series_and_the_truth(rows):
    composed = model("composed")
    recipe = {field.column for field in layout(composed.recipe)}
    truth = {f"expected.{name}" for name in composed.curves} | {"reference", "ambiguous", "twins", "events"}

    assert set(rows[0]) == {*HEAD, *recipe, *composed.series, *truth}


def test_the_columns_of_a_recipe_have_types(data):
    kinds = {str(data.table().schema.field(name).type) for name in ("recipe.noise", "recipe.epochs")}

    assert kinds == {"double", "int64"}


def test_a_row_makes_its_run_again(data, rows):
    composed = model("composed")
    for i in (0, 149):
        recipe = rebuild(composed.recipe, rows[i])
        (again,) = composed.make([recipe], [rows[i]["run_seed"]])

        assert recipe == data[i].recipe
        assert data[i].events == again.events
        for key in again.run.series:
            np.testing.assert_array_equal(data[i].run[key], again.run[key].astype(np.float32))
        for key, curve in again.expected.curves.items():
            np.testing.assert_array_equal(data[i].expected.curves[key], curve.astype(np.float32))
        assert data[i].expected.without_drop.keys() == again.expected.without_drop.keys()


@pytest.mark.usefixtures("no_sheet")
def test_a_series_that_is_not_logged_is_null_and_not_read_back(tmp_path):
    content = json.dumps({"model": "composed", "recipe": {"logged": 0}})
    made = Dataset(write(tmp_path / "set", runs=2, recipes=content))

    assert made.table(["learning_rate"]).to_pylist() == [{"learning_rate": None}] * 2
    assert "learning_rate" not in made[1].run.series


def test_the_runs_of_a_data_set_have_noise_of_their_own(rows):
    rows = [row for row in rows[:40] if row["epochs"] == rows[0]["epochs"]]
    residuals = np.array([np.array(row["val_loss"]) / row["expected.risk"] - 1 for row in rows])

    assert np.abs(np.corrcoef(residuals) - np.eye(len(rows))).max() < 0.7  # 200 values, autocorrelation up to 0.6


def test_an_event_has_its_band_around_its_onset(rows):
    events = [event for row in rows for event in row["events"]]

    assert len(events) > 100
    assert all(e["band_lo"] <= e["onset"] <= e["band_hi"] for e in events)


def test_a_series_is_stored_without_a_dictionary_in_split_bytes_and_text_with_one(whole):
    group = pq.ParquetFile(whole / "data" / "part-00000.parquet").metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}

    assert "BYTE_STREAM_SPLIT" in columns["val_loss.list.element"].encodings
    assert not columns["val_loss.list.element"].has_dictionary_page
    assert columns["split"].has_dictionary_page
    assert columns["recipe.noise"].statistics is not None


@pytest.mark.parametrize("name", [name for name, m in MODELS.items() if m.tier is Tier.TRAINED])
def test_the_recipe_of_a_trained_run_survives_the_columns(name):
    recipe = model(name).draw(np.random.default_rng(0))

    assert rebuild(type(recipe), {field.column: field.of([recipe])[0] for field in layout(type(recipe))}) == recipe


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name not in PLAIN])
def test_a_model_lists_every_series_and_expectation_that_its_runs_have(name):
    """A composed one needs no such test: its runs are made and written all the time."""
    short = {"model": name, "rest": "defaults", "recipe": {"epochs": 4, "schedule": {"kind": "constant"}}}
    small = json.dumps(short) if model(name).tier is Tier.TRAINED else ""

    assert read(make(plan(name, runs=1, recipes=small), 0).content).num_rows == 1


def test_a_setting_that_no_column_can_hold_is_named():
    @dataclass(frozen=True)
    class Odd:
        ways: dict

    Odd.__annotations__["ways"] = dict

    with pytest.raises(TypeError, match=r"Odd\.ways is <class 'dict'>: allowed are bool, int"):
        layout(Odd)


# what is said about it


def test_the_manifest_has_the_checksum_of_every_shard(whole):
    shards = json.loads((whole / "manifest.json").read_text())["shards"]

    assert [shard["runs"] for shard in shards] == [64, 64, 22]
    for shard in shards:
        assert hashlib.sha256((whole / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]


def test_the_manifest_says_what_bits_depend_on(data):
    assert data.manifest["machine"].keys() == {"processor", "backend", "device"}
    assert data.manifest["libraries"]["jax"]
    assert data.manifest["hash"] == plan("composed", runs=150, seed=3, shard=64).hash


def test_the_counts_are_those_of_the_rows(data, rows):
    events = [event for row in rows for event in row["events"]]
    counts = data.manifest["counts"]

    for grey in (False, True):
        counted = Counter(e["phenomenon"] for e in events if e["material"] is not grey)
        said = {name: of["grey" if grey else "material"] for name, of in counts["phenomena"].items()}
        assert said == {name: counted[name] for name in said}
        assert set(counted) <= set(said)
    assert counts["splits"] == {name: sum(row["split"] == name for row in rows) for name in SPLITS}


def test_the_strengths_are_those_of_the_rows_to_the_width_of_a_bin(data, rows):
    events = [event for row in rows for event in row["events"] if event["phenomenon"] == "overfitting"]
    sizes = [item["value"] for e in events if e["material"] for item in e["effect"] if item["name"] == "relative"]

    said = quantile(data.manifest["counts"]["phenomena"]["overfitting"]["strength"], 0.5)
    assert said == pytest.approx(np.median(sizes), rel=0.13)


def test_the_card_explains_every_column_and_counts_the_events(data, rows, whole):
    card = (whole / "README.md").read_text()

    assert [name for name in rows[0] if f"`{name}`" not in card] == []
    overfitting = data.manifest["counts"]["phenomena"]["overfitting"]
    assert f"| `overfitting` | {overfitting['material']} | {overfitting['grey']} |" in card
    assert "generate --model composed --runs 150 --seed 3" in card


@pytest.mark.parametrize("library", SNIPPETS)
def test_the_card_loads_it_in(library, whole, monkeypatch):
    packages = {"Polars": "polars", "DuckDB": "duckdb", "datasets (Hugging Face)": "datasets"}
    pytest.importorskip(packages.get(library, library if library != "curvesense" else "sim"))
    monkeypatch.chdir(whole)
    assert SNIPPETS[library].strip() in (whole / "README.md").read_text()
    names: dict[str, Any] = {}

    exec(SNIPPETS[library], names)

    if "train" in names:
        assert len(names["train"]) == Dataset(whole).manifest["counts"]["splits"]["train"]
    if "found" in names:
        counted = Dataset(whole).manifest["counts"]["phenomena"]
        assert dict(names["found"]) == {name: of["runs"] for name, of in counted.items() if of["runs"]}


# the same again


def test_what_is_finished_holds_what_belongs_there_and_nothing_else(whole):
    parts = [f"data/part-{i:05d}.parquet" for i in range(3)]

    assert sorted(content(whole)) == ["README.md", *parts, "examples.png", "manifest.json"]


@cheap
@pytest.mark.parametrize("shard", [1, 200])
def test_a_run_depends_on_the_seed_and_its_number_alone(name, shard):
    block = model(name).block
    many = plan(name, runs=2 * block + 5, seed=4, shard=1)
    few = plan(name, runs=block + 3, seed=4, shard=shard)

    whole = pa.concat_tables([read(make(many, i).content) for i in reversed(range(many.shards))]).sort_by("run_id")
    part = pa.concat_tables([read(make(few, i).content) for i in reversed(range(few.shards))]).sort_by("run_id")
    assert encoded([part], {}) == encoded([whole.slice(0, block + 3)], {})  # as bytes, for NaN is not NaN


def read(file: bytes) -> Any:
    return pq.read_table(pa.BufferReader(file))


@pytest.mark.slow
def test_the_same_plan_makes_the_same_folder_to_the_byte(whole, tmp_path):
    again = write(tmp_path / "set", tier="composed", runs=150, seed=3, shard=64)

    assert content(again) == content(whole)


def test_runs_of_several_lengths_are_made_together_and_stand_in_order():
    recipes = '{"model": "composed", "recipe": {"epochs": {"choice": [200, 90, 120]}}}'
    mixed = read(make(plan("composed", runs=70, seed=4, recipes=recipes), 0).content)
    lengths = mixed["epochs"].to_pylist()
    composed = model("composed")

    assert mixed["run_id"].to_pylist() == list(range(70))
    assert set(lengths) == {200, 90, 120}
    for row in (mixed.slice(i, 1).to_pylist()[0] for i in (0, 1, 2, 69)):
        (again,) = composed.make([rebuild(composed.recipe, row)], [row["run_seed"]])
        assert len(row["val_loss"]) == row["epochs"]
        np.testing.assert_array_equal(row["val_loss"], again.run["val_loss"].astype(np.float32))
        assert [event["phenomenon"] for event in row["events"]] == [event.phenomenon for event in again.events]


def test_another_seed_makes_other_runs(rows):
    other = read(make(plan("composed", runs=4, seed=8), 0).content).to_pylist()

    assert {row["run_seed"] for row in other} & {row["run_seed"] for row in rows} == set()
    assert {row["recipe.noise"] for row in other} & {row["recipe.noise"] for row in rows} == set()


def test_no_two_runs_of_a_data_set_share_their_random_streams():
    seeds = plan("composed", runs=2**31 - 1).seeds(range(10**6, 10**6 + 300_000))

    assert len(np.unique(seeds)) == 300_000
    assert seeds.min() >= 0
    assert seeds.max() < 2**31


def test_a_split_has_its_shares_and_does_not_depend_on_how_many_runs_there_are():
    ids = range(100_000)
    few, many = (plan("composed", runs=runs, seed=1) for runs in (100_000, 10**7))

    shares = np.bincount(few.splits(ids)) / 100_000
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.005)  # five standard deviations
    assert np.array_equal(few.splits(ids), many.splits(ids))


def test_tallies_of_shards_add_up_to_that_of_the_whole():
    parts = plan("composed", runs=150, seed=3, shard=64)
    whole = plan("composed", runs=150, seed=3)

    assert added(make(parts, i).tally for i in range(3)) == make(whole, 0).tally


# stopped and started again


@pytest.mark.slow
@pytest.mark.usefixtures("no_sheet")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
@pytest.mark.parametrize("count", range(7))
def test_stopped_at_any_file_it_goes_on_and_ends_as_if_it_had_not_been(count, error, whole, tmp_path, monkeypatch):
    def again() -> Path:
        return write(tmp_path / "set", tier="composed", runs=150, seed=3, shard=64)

    with monkeypatch.context() as patch:
        stopped(count, patch, error)
        with pytest.raises(type(error)):
            again()
    assert not (tmp_path / "set" / "manifest.json").exists()

    assert content(again()) == content(whole)


def test_what_is_complete_is_not_made_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stopped(3, patch, KeyboardInterrupt())  # the journal and two shards are there
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "set", runs=150, seed=3, shard=64)
    made: list[int] = []
    monkeypatch.setattr("sim.dataset.making.make", lambda plan, number, advance: made.append(number))

    with pytest.raises(AttributeError):
        write(tmp_path / "set", runs=150, seed=3, shard=64)

    assert made == [2]


@pytest.fixture
def begun(no_sheet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set 3 with two shards of three."""
    with monkeypatch.context() as patch:
        stopped(3, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "set", runs=150, seed=3, shard=64)
    return tmp_path / "set"


def test_a_line_of_the_journal_that_was_cut_short_is_forgotten(begun, whole):
    with (begun / "unfinished.jsonl").open("a") as file:
        file.write('{"shard": 2, "fi')

    assert content(write(begun, runs=150, seed=3, shard=64)) == content(whole)


def test_a_shard_that_was_lost_is_made_again(begun, whole):
    (begun / "data" / "part-00000.parquet").unlink()

    assert content(write(begun, runs=150, seed=3, shard=64)) == content(whole)


def test_what_a_killed_process_left_half_written_is_swept_away(begun, whole):
    (begun / "data" / ".part-00002.parquet.unfinished").write_bytes(b"PAR1")

    assert content(write(begun, runs=150, seed=3, shard=64)) == content(whole)


def flipped(path: Path) -> None:
    """One bit of a file is another."""
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)


def test_a_damaged_shard_is_found_before_work_starts(begun, monkeypatch):
    flipped(begun / "data" / "part-00001.parquet")
    monkeypatch.setattr("sim.dataset.making.make", lambda *args: pytest.fail("it works"))

    with pytest.raises(OSError, match=r"part-00001\.parquet is not what was written \(checksum\); delete it"):
        write(begun, runs=150, seed=3, shard=64)


@pytest.mark.usefixtures("no_sheet")
def test_a_complete_data_set_is_verified_and_a_shard_that_is_damaged_or_lost_can_be_made_again(whole, tmp_path):
    out = write(tmp_path / "set", runs=150, seed=3, shard=64)
    assert write(out, runs=150, seed=3, shard=64) == out
    flipped(out / "data" / "part-00001.parquet")

    with pytest.raises(OSError, match=r"part-00001\.parquet is not what was written"):
        write(out, runs=150, seed=3, shard=64)
    with pytest.raises(OSError, match=r"part-00001\.parquet is not what was written"):
        Dataset(out).verify()
    (out / "data" / "part-00001.parquet").unlink()
    with pytest.raises(OSError, match=r"part-00001\.parquet is missing"):
        Dataset(out).verify()
    assert content(write(out, runs=150, seed=3, shard=64)) == content(whole)


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_of_another_data_set_is_refused_and_what_differs_is_said(finished, begun, whole):
    out = whole if finished else begun
    before = content(out)

    with pytest.raises(OSError, match=r"holds another data set: runs 150 there, 151 here; seed 3 there, 4 here"):
        write(out, runs=151, seed=4, shard=64)

    assert content(out) == before


@pytest.mark.parametrize(("key", "name"), [("machine", "processor"), ("libraries", "jaxlib")])
def test_bits_of_another_machine_are_not_mixed_in(key, name, begun):
    journal = begun / "unfinished.jsonl"
    first, rest = journal.read_text().split("\n", 1)
    header = json.loads(first)
    header[key][name] = "another"
    journal.write_text(json.dumps(header) + "\n" + rest)

    with pytest.raises(OSError, match=f"another {key}, and bits would differ: {name} .?another.? there"):
        write(begun, runs=150, seed=3, shard=64)


@pytest.mark.parametrize("name", ["manifest.json", "unfinished.jsonl"])
@pytest.mark.parametrize("text", ["", "{", "[]\n", "{}\n", '{"curvesense": 1}\n', "\x00\n"])
def test_a_manifest_or_journal_of_somebody_else_is_refused_in_one_line(name, text, tmp_path):
    (tmp_path / name).write_text(text)

    with pytest.raises(OSError, match=r"damaged") as caught:
        write(tmp_path, runs=1)
    assert "\n" not in str(caught.value)


def test_two_processes_do_not_write_one_data_set(begun):
    planned = plan("composed", runs=150, seed=3, shard=64)
    header = json.loads((begun / "unfinished.jsonl").read_text().splitlines()[0])

    with (
        folders.opened(begun, planned, header["machine"], header["libraries"], lambda runs: None),
        pytest.raises(OSError, match="is being written by another process"),
    ):
        write(begun, runs=150, seed=3, shard=64)


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    real, left = os.fsync, itertools.count(-4)

    def fsync(handle: int) -> None:
        if next(left) >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(folders.os, "fsync", fsync)

    with pytest.raises(OSError, match=r"cannot write .*: No space left on device") as caught:
        write(tmp_path / "set", runs=150, seed=3, shard=64)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*.unfinished")) == []


# read back


def test_a_data_set_has_a_length_and_its_runs_in_order(data):
    assert len(data) == 150
    assert [labelled.run.name for labelled in itertools.islice(data, 130, 133)] == [
        data[i].run.name for i in (130, 131, 132)
    ]
    assert data[-1].run.name == data[149].run.name
    with pytest.raises(IndexError, match=r"run 150: there are 150 runs"):
        data[150]


def test_a_split_is_read_alone(data):
    pytest.importorskip("pandas")
    frame = data.to_pandas(columns=["run_id", "val_loss"], split="test")

    assert list(frame) == ["run_id", "val_loss"]
    assert len(frame) == data.manifest["counts"]["splits"]["test"]
    with pytest.raises(ValueError, match="split='tests': allowed are 'train', 'validation', 'test'"):
        data.table(split="tests")


def test_a_data_set_shows_itself_with_counts_and_the_sheet(data, whole):
    shown = data._repr_html_()

    assert base64.b64encode((whole / "examples.png").read_bytes()).decode() in shown
    assert "<td>overfitting</td>" in shown


def test_only_what_the_manifest_lists_is_read(whole, tmp_path):
    import shutil

    out = Path(shutil.copytree(whole, tmp_path / "set"))
    shutil.copy(out / "data" / "part-00000.parquet", out / "data" / "part-00003.parquet")

    assert len(open_dataset(out).table()) == 150


def test_a_folder_without_a_data_set_is_refused(tmp_path, begun):
    with pytest.raises(OSError, match=r"holds no data set to read; it has no manifest\.json"):
        Dataset(tmp_path)
    with pytest.raises(OSError, match="it is not complete: run the command that began it again"):
        Dataset(begun)


# who makes it


def ends(number: int, advance: Callable[[int], None], *, flags: Path) -> int:
    """The square of a number; each number ends the process that is asked for it, the first time."""
    flag = flags / str(number)
    advance(1)
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refuses(number: int, advance: Callable[[int], None]) -> int:
    raise ZeroDivisionError("by zero")


def dies(number: int, advance: Callable[[int], None]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.slow
def test_several_workers_make_the_same_bytes(whole, tmp_path):
    planned = plan("composed", runs=150, seed=3, shard=64)

    assert content(produce(tmp_path / "set", planned, Crowd(workers=2), quiet=True)) == content(whole)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_the_piece_that_it_was_at(tmp_path):
    told: list[int] = []
    with ENGINES["local"].opened(partial(ends, flags=tmp_path), Crowd(workers=2)) as crew:
        results = sorted(crew.results(range(3), told.append))

    assert results == [0, 1, 4]
    assert sum(told) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("work", "said"), [(refuses, "ZeroDivisionError: by zero"), (dies, "3 workers died")])
def test_a_worker_that_fails_is_heard(work, said):
    with ENGINES["local"].opened(work, Crowd(workers=2)) as crew, pytest.raises(Lost, match=said):
        list(crew.results([7], lambda done: None))


def generate(out: Path, *more: str, limit: int | None = None, **environment: str) -> subprocess.Popen[str]:
    """The command, as a user runs it, in a process of its own."""
    options = ["--tier", "composed", "--runs", "150", "--seed", "3", "--shard-runs", "64", "--out", str(out), *more]
    code = "import sys; from detectors.cli import main; sys.exit(main(sys.argv[1:]))"
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); " + code
    return subprocess.Popen(
        [sys.executable, "-c", code, "generate", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(out: Path) -> int:
    """How many lines the journal has; a complete data set counts as very many."""
    if (out / "manifest.json").exists():
        return 1000
    journal = out / "unfinished.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def awaited(ready: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until `ready` or until the process has ended."""
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_any_moment_it_goes_on_and_ends_as_if_it_had_not_been(workers, whole, tmp_path):
    moments = random.Random(int(workers))
    out, killed = tmp_path / "set", 0
    for _ in range(2):
        process = generate(out, "--workers", workers)
        there = lines(out)
        awaited(lambda there=there: lines(out) > there, process)
        time.sleep(moments.uniform(0, 0.3))  # somewhere in the next shard
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    process = generate(out, "--workers", workers)
    said = process.communicate(timeout=120)

    assert killed > 0
    assert process.returncode == 0, said
    assert content(out) == content(whole)


def of_ray(mark: str) -> list[int]:
    """The workers at work in the Ray cluster that was started by a process with this mark in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"ray::_Maker.do" in (process / "cmdline").read_bytes()
                and mark.encode() in (process / "environ").read_bytes()
            ):
                found.append(int(process.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="RAY NOT TESTED: no /proc to find a worker in")
def test_a_ray_cluster_makes_the_same_bytes_though_a_worker_is_killed(tmp_path):
    pytest.importorskip("ray", reason="RAY NOT TESTED: it is missing, install the extra [ray]")
    planned = plan("composed", runs=600, seed=3, shard=64)
    mark = f"MARK={tmp_path}"
    process = generate(
        tmp_path / "set", "--runs", "600", "--engine", "ray", "--workers", "2", MARK=str(tmp_path), RAY_DEDUP_LOGS="0"
    )
    awaited(lambda: of_ray(mark), process)
    (worker, *_) = of_ray(mark)
    os.kill(worker, signal.SIGKILL)
    _, said = process.communicate(timeout=200)

    assert process.returncode == 0, said
    shards = json.loads((tmp_path / "set" / "manifest.json").read_text())["shards"]
    assert [shard["sha256"] for shard in shards] == [make(planned, i).sha256 for i in range(planned.shards)]


def test_a_ray_cluster_that_is_not_there_is_missed_at_once(tmp_path):
    pytest.importorskip("ray", reason="RAY NOT TESTED: it is missing, install the extra [ray]")
    process = generate(tmp_path / "set", "--engine", "ray", "--address", "127.0.0.1:1")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    assert said == "curvesense: there is no Ray cluster at 127.0.0.1:1: [Errno 111] Connection refused\n"
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_ctrl_c_stops_it_cleanly(tmp_path):
    process = generate(tmp_path / "set", "--workers", "2", "--runs", "100000")
    awaited(lambda: lines(tmp_path / "set") > 1, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode in (130, -signal.SIGINT)  # a shell says 130 for both
    assert said.splitlines() == ["curvesense: stopped; what is complete stays, and the same command goes on"]
    assert list(tmp_path.rglob("*.unfinished")) == []


@pytest.mark.slow
def test_a_disk_that_is_full_is_said_in_one_line(tmp_path):
    process = generate(tmp_path / "set", "--no-cache", "--workers", "1", limit=100_000)
    _, said = process.communicate(timeout=120)

    assert process.returncode == 2
    assert said.count("\n") == 1
    assert "part-00000.parquet: File too large" in said
    assert [path.name for path in (tmp_path / "set").rglob("*") if path.is_file()] == ["unfinished.jsonl"]


@pytest.mark.slow
def test_it_is_imported_without_what_only_a_command_needs():
    code = "import sys, sim.dataset, sim.engines; print({'pyarrow', 'matplotlib', 'ray'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert done.stdout == "set()\n"
