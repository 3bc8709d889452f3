"""Damaged logs of every format are read or `Unreadable`; `experiments/fuzz.py` does the same at full size."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import fuzz as script
import pytest

from detectors.readers import FORMATS, Unreadable, read

FILES = [format.NAME for format in FORMATS]
NAMES = [*FILES, "memory"]


@pytest.fixture(scope="module")
def fuzz():
    before = signal.signal(signal.SIGALRM, script.too_long)
    yield script
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", params=NAMES)
def tally(request: pytest.FixtureRequest, fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory):
    """What became of 500 damaged logs of a format."""
    counted = fuzz.Tally()
    folder = tmp_path_factory.mktemp("damaged")
    for number in range(500):
        name = request.param if number % 2 else None
        if request.param == "memory":
            fuzz.ask(fuzz.specimen(number), None, counted)
        else:
            fuzz.attempt(folder, fuzz.mutant(request.param, number), name, counted)
    return counted


@pytest.mark.slow
def test_damaged_logs_are_read_or_unreadable_in_time_and_nothing_else(tally):
    assert tally.failures == []
    assert tally.read + tally.unreadable == 500


def test_some_damage_is_survived_and_some_is_not(tally):
    assert min(tally.read, tally.unreadable) >= 5


def test_every_valid_log_that_is_damaged_is_read_before(fuzz: ModuleType, tmp_path: Path):
    tally = fuzz.Tally()
    for name in FILES:
        for log in fuzz.seeds(name):
            fuzz.attempt(tmp_path, log, name, tally)

    assert (tally.unreadable, tally.failures) == (0, [])


def test_the_same_number_is_the_same_file(fuzz: ModuleType):
    assert fuzz.mutant("delimited", 7) == fuzz.mutant("delimited", 7) != fuzz.mutant("delimited", 8)


def test_a_format_that_raises_something_else_is_a_failure(fuzz: ModuleType, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fuzz, "read", lambda path, format: [][0])
    tally = fuzz.Tally()
    fuzz.attempt(tmp_path, {"log.csv": b"epoch,loss\n1,2\n"}, None, tally)

    assert (tally.read, tally.unreadable) == (0, 0)
    assert "IndexError" in tally.failures[0]


WIDE = 30_000


def renamed_columns() -> bytes:
    """A CSV whose header comes again with other names before each row."""
    return b"".join(b"epoch,loss,x%d\n%d,2,3\n" % (i, i) for i in range(WIDE))


def renamed_keys() -> bytes:
    """JSON lines of which each has a name of its own."""
    return b"".join(b'{"epoch": %d, "loss": 2, "x%d": 3}\n' % (i, i) for i in range(WIDE))


@pytest.mark.slow
@pytest.mark.parametrize("make", [renamed_columns, renamed_keys])
def test_names_that_change_from_row_to_row_do_not_fill_the_memory(tmp_path: Path, make: Callable[[], bytes]):
    (tmp_path / "log").write_bytes(make())

    with pytest.raises(Unreadable, match="too many"):
        read(tmp_path / "log")


@pytest.mark.parametrize("cell", ["a,", "loss,", "1,", "epoch;"])
def test_lines_of_a_hundred_thousand_cells_do_not_take_for_ever(tmp_path: Path, cell: str):
    (tmp_path / "log").write_text((cell * 100_000 + "\n") * 50)
    start = time.process_time()

    with pytest.raises(Unreadable):
        read(tmp_path / "log", format="delimited")
    assert time.process_time() - start < 10
