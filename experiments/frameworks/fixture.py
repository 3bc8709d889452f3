"""What every script here shares: `--out DIR`, and `expected.json` with what the framework itself reported.

`expected.json` holds, for each log that a script leaves, what a reader has to find in it: the runs, the epochs (or
steps) of each, and the numbers of each series, taken from the framework's memory and not from its file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

LIST = re.compile(r"\[[^]\[{}\"]*]")  # a list of numbers, which takes one line
Series = Mapping[str, Sequence[float | None]]  # None where this epoch has no value of that series


def run(epochs: Sequence[float], series: Series) -> dict[str, object]:
    """One run as `expected.json` has it."""
    return {"epochs": list(epochs), "series": {name: list(values) for name, values in series.items()}}


def neutral(folder: Path) -> None:
    """Rename event files, whose names hold the machine, the time and the process, to something that never changes."""
    for n, path in enumerate(sorted(folder.rglob("events.out.tfevents.*"))):
        version = ".v2" if path.suffix == ".v2" else ""
        path.rename(path.with_name(f"events.out.tfevents.{1700000000 + n}.machine.1.{n}{version}"))


def make(script: Callable[[Path], Mapping[str, Sequence[dict[str, object]]]], packages: Sequence[str]) -> None:
    """Let `script` train in an empty folder, and lay what it wrote into `--out` with `expected.json` beside it.

    `script` takes the folder, writes its logs there and returns {log: runs}. It is called within that folder, so that a
    framework that notes where it runs can be told a relative path.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill; what is in it is replaced")
    out = parser.parse_args().out.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, out.name)
        folder.mkdir()
        os.chdir(folder)
        try:
            expected = script(Path())
        finally:
            os.chdir(out.anchor)
        made_with = {package: version(package) for package in packages}
        text = json.dumps({"made_with": made_with, "logs": expected}, indent=1)
        (folder / "expected.json").write_text(LIST.sub(lambda numbers: " ".join(numbers[0].split()), text) + "\n")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(folder, out, symlinks=True)
    print(f"{out}: {', '.join(expected)}", file=sys.stderr)
