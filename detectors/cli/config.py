"""The table [tool.curvesense] of a pyproject.toml: the defaults of a project, which options overrule.

The file is the nearest one, from the current folder upwards, that has such a table. Keys are those of `KEYS`; a hyphen
is as good as an underscore.
"""

from __future__ import annotations

import os
import tomllib
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from detectors.catalogue import CATALOGUE
from detectors.cli import values
from detectors.cli.terminal import COLOURS
from detectors.readers import FORMATS

__all__ = ["KEYS", "BadConfig", "settings"]

KEYS: dict[str, Callable[[object], Any]] = {
    "alpha": values.alpha,
    "color": values.one_of(COLOURS),
    "detectors": values.names(list(CATALOGUE)),
    "fail_on": values.names(list(CATALOGUE)),
    "format": values.one_of([format.NAME for format in FORMATS]),
    "jobs": values.jobs,
    "map": values.mapping,
    "quiet": values.switch,
    "skip": values.names(list(CATALOGUE)),
    "summary": values.switch,
    "verbose": values.switch,
}


class BadConfig(ValueError):
    """A config that cannot be used: the message names the file, the key, the value and what is allowed."""


def settings(file: str | None, folder: Path) -> dict[str, Any]:
    """What the config says: that in `file`, or the nearest one from `folder` upwards, or {}.

    BadConfig says what is wrong with it. A NO_COLOR of the person outweighs a `color` of the project.
    """
    path, table = (Path(file), _table(Path(file))) if file is not None else _nearest(folder)
    if table is None:
        if file is not None:
            raise BadConfig(f"{file}: it has no table [tool.curvesense]")
        return {}
    if not isinstance(table, Mapping):
        raise BadConfig(f"{path}: tool.curvesense = {table!r}: allowed is a table [tool.curvesense]")
    said: dict[str, Any] = {}
    for written, value in table.items():
        key = written.replace("-", "_")
        if key not in KEYS:
            close = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(KEYS)}"
            raise BadConfig(f"{path}: [tool.curvesense] has no key {written!r} (= {value!r}); {hint}")
        if key in said:
            raise BadConfig(f"{path}: [tool.curvesense] has {key} twice, once with a hyphen; leave one out")
        try:
            said[key] = KEYS[key](value)
        except ArgumentTypeError as error:
            raise BadConfig(f"{path}: [tool.curvesense] {written} = {error}") from None
    if os.environ.get("NO_COLOR"):
        said.pop("color", None)
    return said


def _nearest(folder: Path) -> tuple[Path, Any]:
    for parent in (folder, *folder.parents):
        path = parent / "pyproject.toml"
        if os.path.isfile(path):
            table = _table(path)
            if table is not None:
                return path, table
    return folder, None


def _table(path: Path) -> Any:
    """What stands at [tool.curvesense], None where there is no such thing."""
    try:
        tool = tomllib.loads(path.read_bytes().decode()).get("tool")
    except OSError as error:
        raise BadConfig(f"{path}: it cannot be read: {error.strerror}; --no-config does without") from None
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{path}: it is no TOML: {error or 'nested too deep'}; --no-config does without") from None
    return tool.get("curvesense") if isinstance(tool, dict) else None
