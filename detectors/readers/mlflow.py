"""MLflow's stores: a run's folder below `mlruns`, or the SQLite database of a tracking server, with all its runs.

A run is called as MLflow calls it and grouped by its experiment; deleted runs are left out. The axis is the step, of
which the value that was written last counts. Databases are opened for reading alone.

Proven on both stores written by MLflow.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from detectors.readers.source import Source
from detectors.readers.table import NoLog, Table, Unreadable, bounded

__all__ = ["NAME", "members", "parse", "sniff"]

NAME = "mlflow"
SQLITE = b"SQLite format 3\0"
PATIENCE = 60.0  # seconds that a query may take: a view that somebody made may never end
LARGEST = 1.79e308  # what the database holds for infinity
QUERY = """
SELECT r.run_uuid, r.name, e.name, m.key, m.step, CASE WHEN m.is_nan THEN NULL ELSE m.value END
FROM metrics m JOIN runs r ON r.run_uuid = m.run_uuid LEFT JOIN experiments e ON e.experiment_id = r.experiment_id
WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid, m.key, m.timestamp
"""

Points = dict[str, dict[int, float]]  # by metric: the value of each step


def sniff(source: Source) -> bool:
    """Whether it is the folder of a run, or a SQLite database."""
    return bool(members(source)) if source.is_folder else source.head.startswith(SQLITE)


def members(folder: Source) -> frozenset[str]:
    """All that is in the folder of a run: artifacts are no logs."""
    run = folder.entries.get("metrics") is True and folder.entries.get("meta.yaml") is False
    return frozenset(folder.entries) if run else frozenset()


def parse(source: Source) -> list[Table]:
    """A table a run."""
    return [_of_folder(source)] if source.is_folder else _of_database(source)


def _of_folder(source: Source) -> Table:
    folder = Path(source.path)
    points: Points = {}
    broken = 0
    for parent, _, files in os.walk(folder / "metrics"):
        for file in sorted(files):
            metric = points.setdefault(Path(parent, file).relative_to(folder / "metrics").as_posix(), {})
            try:
                lines = source.inner(os.path.relpath(os.path.join(parent, file), folder)).text.split("\n")
            except Unreadable:  # not yet written
                continue
            for line in lines:  # time, value, step
                try:
                    _, value, step = line.split()
                    metric[np.int64(step).item()] = float(value)  # a step beyond 64 bits is damage
                except (ValueError, OverflowError):
                    broken += bool(line.strip())
    notes = [f"lines that are not time, value and step are left out: {broken}"] if broken else []
    name = _said(source.inner("meta.yaml"), "run_name") or _said(source.inner("tags/mlflow.runName"), "")
    group = _said(Source(str(folder.absolute().parent / "meta.yaml")), "name")
    return _table(points, name, group, notes)


def _said(file: Source, key: str) -> str:
    """The value of `key` in a YAML file of plain lines, or the first line where `key` is empty; empty if not there."""
    try:
        found = re.search(rf"^{key}: *(.*)$" if key else r"^(.*)$", file.text, re.MULTILINE)
    except Unreadable:
        return ""
    return found[1].strip().strip("'\"") if found else ""


def _of_database(source: Source) -> list[Table]:
    uri = f"file:{quote(os.path.abspath(source.path))}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            end = time.monotonic() + PATIENCE
            connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
            return _tables(connection.execute(QUERY))
        finally:
            connection.close()
    except (sqlite3.Error, ValueError, OverflowError) as error:
        kind = NoLog if "no such table" in str(error) else Unreadable  # any program may keep its data so
        raise kind(f"this SQLite database holds no metrics of MLflow that can be read ({error})") from None


def _tables(rows: Iterable[tuple[object, ...]]) -> list[Table]:
    runs: dict[object, tuple[str, str, Points]] = {}
    for run, name, experiment, key, step, value in rows:
        points = runs.setdefault(run, (str(name or run), str(experiment or ""), {}))[2]
        number = float(value) if isinstance(value, int | float) else np.nan
        if isinstance(step, int):
            points.setdefault(str(key), {})[step] = number if abs(number) < LARGEST else np.copysign(np.inf, number)
    return [_table(points, name, group, []) for name, group, points in runs.values()]


def _table(points: Points, name: str, group: str, notes: list[str]) -> Table:
    steps = np.array(sorted({step for metric in points.values() for step in metric}), dtype=np.float64)
    bounded(len(steps), len(points))
    columns = {"step": steps}
    for key, metric in points.items():
        column = np.full(len(steps), np.nan)
        column[np.searchsorted(steps, np.array(list(metric), dtype=np.float64))] = list(metric.values())
        columns[key if key != "step" else "step (logged)"] = column
    return Table(columns=columns, lines=np.arange(len(steps)), notes=tuple(notes), place="row", name=name, group=group)
