"""Which logs lie below a folder: files that may be one, and folders that some format reads as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from detectors.readers.source import SUFFIXES as COMPRESSED
from detectors.readers.source import Source

__all__ = ["logs"]

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".log", ".db", ".sqlite", ".wandb", ".parquet")

Members = Callable[[Source], frozenset[str]]


def logs(paths: Iterable[str | Path], members: Members) -> list[Path]:
    """The logs that `paths` name and that lie below those of them that are folders, in order of name.

    `members(folder)` names the entries of a folder that a format reads together: the folder is then a log itself, and
    these are not looked into. Files are found by suffix and not opened. Nothing is raised: what does not exist stays
    in the list, for `read` to say so. A folder that is reached twice (a link to its parent) counts once.
    """
    found: dict[Path, None] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        found.update(dict.fromkeys(_below(str(path), members, seen) if os.path.isdir(path) else [Path(path)]))
    return list(found)


def _below(top: str, members: Members, seen: set[tuple[int, int]]) -> Iterator[Path]:
    folders = [top]
    while folders:
        folder = Source(folders.pop())
        try:
            status = os.stat(folder.path)
        except OSError:  # it went away in between
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        taken = members(folder)
        if taken:
            yield Path(folder.path)
        rest = {name: is_folder for name, is_folder in folder.entries.items() if name not in taken}
        yield from (Path(folder.path, name) for name, is_folder in rest.items() if not is_folder and _may_be(name))
        folders += [os.path.join(folder.path, name) for name, is_folder in reversed(rest.items()) if is_folder]


def _may_be(name: str) -> bool:
    stem, suffix = os.path.splitext(name.lower())
    return (os.path.splitext(stem)[1] if suffix in COMPRESSED else suffix) in SUFFIXES
