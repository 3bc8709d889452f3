"""A log that grows, or a folder in which logs appear: which runs changed since the last look."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from detectors.readers import expand, read
from detectors.readers.table import Unreadable
from detectors.vocabulary import Run

__all__ = ["Follow"]

Stamp = tuple[int, int, int]  # inode, bytes, time of the last change


class Follow:
    """Follow the log or the folder at `path`; `read_options` are those of `read`.

    A log is read anew, and whole, when it or a file that belongs to it has another size, time or inode, so that a
    truncated or a replaced log is simply read again. What is not there yet, or is not readable yet (a header without a
    row), is waited for; the reason stands in `waiting`.
    """

    def __init__(
        self, path: str | Path, *, format: str | None = None, mapping: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self.waiting: dict[Path, str] = {}  # logs that cannot be read at present, and why
        self._format, self._mapping = format, mapping
        self._stamps: dict[Path, frozenset[tuple[str, Stamp]]] = {}

    def poll(self) -> list[Run]:
        """The runs that changed since the last call, whole; the first call gives all, [] says that nothing changed."""
        changed: list[Run] = []
        logs = expand([self.path])
        for log in logs:
            stamps = frozenset(_stamps(str(log)))  # taken before reading: what is written meanwhile is seen next time
            if stamps and stamps == self._stamps.get(log):
                continue
            try:
                changed += read(log, format=self._format, mapping=self._mapping)
                self.waiting.pop(log, None)
            except Unreadable as error:
                self.waiting[log] = str(error)
            self._stamps[log] = stamps
        for gone in self._stamps.keys() - set(logs):
            del self._stamps[gone]
            self.waiting.pop(gone, None)
        return changed


def _stamps(path: str) -> Iterator[tuple[str, Stamp]]:
    """The state of a file, or of a folder and of every file in it."""
    inside = (os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names)
    for file in chain([path], inside):
        try:
            status = os.stat(file)
        except OSError:  # it went away in between
            continue
        yield file, (status.st_ino, status.st_size, status.st_mtime_ns)
