"""One JSON document: a list a series (Keras' `History.history`), an object an epoch, or several runs of either.

What a document may hold is in `document`: the history of runs of Weights & Biases, their tables and pandas' "split"
too.
"""

from __future__ import annotations

import re

from detectors.readers import document
from detectors.readers.source import Source
from detectors.readers.table import Table

__all__ = ["NAME", "parse", "sniff"]

NAME = "json_document"


def sniff(source: Source) -> bool:
    """Whether it begins as an object or as a list of objects ("[05:57:48] started" is neither)."""
    return re.match(r'\s*(\{\s*["}]|\[\s*[{\]])', source.start) is not None


def parse(source: Source) -> list[Table]:
    """A table for each run in the document."""
    return document.tables(document.decoded(source.text), source.title)
