"""The logs that a command line means: files, folders, `-`, and patterns that the shell was kept from expanding."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from detectors.readers import expand

__all__ = ["logs"]


def logs(paths: Sequence[str]) -> list[str]:
    """The paths to read, each once, in order; one that names nothing stays, for `read` to say what is wrong with it.

    In a pattern, `**` stands for any folders. A file whose name looks like a pattern is that file.
    """
    named: dict[str, None] = {}
    for path in paths:
        if path == "-":
            named[path] = None
            continue
        for match in _matches(path):
            named.update(dict.fromkeys([str(file) for file in expand([match])] or [match]))
    return list(named)


def _matches(path: str) -> list[str]:
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    found = glob.glob(os.path.expanduser(path), recursive=True)  # `a/**` gives `a/` even where there is no a
    return sorted(filter(os.path.lexists, found)) or [path]
