"""The logs that a command line means: files, folders, `-`, and patterns that the shell was kept from expanding."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from detectors.readers import expand

__all__ = ["logs"]


def logs(paths: Sequence[str]) -> dict[str, bool]:
    """The paths to read, each once, in order, and whether it was only found in a folder.

    One that names nothing stays, for `read` to say what is wrong with it. In a pattern, `**` stands for any folders. A
    file whose name looks like a pattern is that file.
    """
    named: dict[str, bool] = {}
    for path in paths:
        for match in [path] if path == "-" else _matches(path):
            inside = path != "-" and os.path.isdir(match)
            for file in ([str(file) for file in expand([match])] if inside else []) or [match]:
                named[file] = named.get(file, True) and inside and file != match
    return named


def _matches(path: str) -> list[str]:
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    found = glob.glob(os.path.expanduser(path), recursive=True)  # `a/**` gives `a/` even where there is no a
    return sorted(filter(os.path.lexists, found)) or [path]
