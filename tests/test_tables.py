"""A file of results comes back as it was written, and says by what it was made."""

from __future__ import annotations

import sys

import numpy as np
import tables


def test_rows_come_back_and_the_command_stands_beside_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["/somewhere/experiments/power.py", "--runs", "20", "--keep", "/home/me/kept"])

    tables.write("b.csv", [{"x": 1, "y": "a, b"}, {"x": 2, "y": ""}])
    tables.write("a.csv", [{"x": 1}])
    tables.write("b.csv", [{"x": 3, "y": "c"}])

    assert tables.read("b.csv", tmp_path / "results") == [{"x": "3", "y": "c"}]
    made = tables.read("provenance.csv", tmp_path / "results")
    assert [row["file"] for row in made] == ["a.csv", "b.csv"]
    assert {row["command"] for row in made} == {"python experiments/power.py --runs 20 --keep kept"}
    assert f"numpy {np.__version__}" in made[0]["versions"]


def test_a_file_that_is_not_there_has_no_rows(tmp_path):
    assert tables.read("nothing.csv", tmp_path) == []
