"""The files of results: where they lie, and with what each was made.

They lie in `experiments/results/`, or in the folder that CURVESENSE_RESULTS names. Beside them, `provenance.csv` says
of each file by which command it was made, on which day and with which versions; the seeds are in the scripts.
"""

from __future__ import annotations

import csv
import datetime
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "made", "read", "versions", "write"]

RESULTS = Path(os.environ.get("CURVESENSE_RESULTS") or Path(__file__).parent / "results")
_LIBRARIES = ("numpy", "scipy", "jax")
_IF_USED = ("sklearn", "torch", "hypothesis", "pyarrow")  # named where a script has imported them
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, all with the keys of the first, as the file `name` of the results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    _write(RESULTS / name, rows)
    made(name)


def read(name: str, folder: Path | None = None) -> list[dict[str, str]]:
    """The rows of a file of the results, none if it is not there."""
    path = (folder or RESULTS) / name
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def made(name: str) -> None:
    """Note that this command has made a file of the results, a figure for instance."""
    others = [row for row in read("provenance.csv") if row["file"] != name]
    row = {
        "file": name,
        "command": shlex.join(["python", f"experiments/{Path(sys.argv[0]).name}", *map(_plain, sys.argv[1:])]),
        "made": datetime.date.today().isoformat(),
        "versions": versions(),
    }
    _write(RESULTS / "provenance.csv", sorted([*others, row], key=lambda r: r["file"]))


def versions() -> str:
    """Python and the libraries that a number rests on."""
    used = [*_LIBRARIES, *(name for name in _IF_USED if name in sys.modules)]
    libraries = [f"{name} {version(_DISTRIBUTIONS.get(name, name))}" for name in used]
    return ", ".join([f"python {platform.python_version()}", *libraries])


def _plain(argument: str) -> str:
    """An argument without the folders of this machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
