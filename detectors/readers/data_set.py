"""The folder of a data set that `curvesense generate` wrote: what its manifest lists, and nothing else that lies there.

Proven on data sets of all tiers. One that is too large to hold is refused: a file of it can be read alone.
"""

from __future__ import annotations

import json
import os

from detectors.readers import parquet
from detectors.readers.source import Source
from detectors.readers.table import Table, Unreadable

__all__ = ["NAME", "members", "parse", "sniff"]

NAME = "data_set"
MANIFEST, BEGUN = "manifest.json", "unfinished.jsonl"
MARK = b'"curvesense": "data set"'
LARGEST = 1 << 29  # bytes of all series


def sniff(source: Source) -> bool:
    """Whether it is a folder with such a manifest, or one in which a data set was begun."""
    return bool(members(source))


def members(folder: Source) -> frozenset[str]:
    """All entries, where one of them is the manifest, or the journal of a data set that is not complete."""
    for name in (MANIFEST, BEGUN):
        if folder.entries.get(name) is False and MARK in folder.inner(name).head:
            return frozenset(folder.entries)
    return frozenset()


def parse(source: Source) -> list[Table]:
    """The runs of every file, in order."""
    if MANIFEST not in source.entries:
        raise Unreadable("this data set is not complete; the command that began it goes on with it")
    try:
        files = [str(shard["file"]) for shard in json.loads(source.inner(MANIFEST).text)["shards"]]
    except (ValueError, KeyError, TypeError, RecursionError):  # lists within lists
        raise Unreadable(f"its {MANIFEST} is damaged") from None
    if len(set(files)) < len(files):
        raise Unreadable(f"its {MANIFEST} lists a file twice")
    tables: list[Table] = []
    size = 0
    for file in files:
        if os.path.isabs(file) or ".." in file.split("/"):
            raise Unreadable(f"its {MANIFEST} names a file outside of it")
        tables += (found := parquet.parse(source.inner(file)))
        size += sum(column.nbytes for table in found for column in table.columns.values())
        if size > LARGEST:
            raise Unreadable(f"it is too much to hold at once; read one of its files, as {files[0]}")
    return tables
