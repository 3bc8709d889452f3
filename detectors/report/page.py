"""Diagnoses as one self-contained HTML file: curves to zoom and hover, the evidence behind each finding, no network.

The scripts and the style are the files of `assets/`, put in as they are; what they draw is the document of
`report.document`, with the curves beside it. All text from logs travels as JSON and is shown by `textContent` alone,
and a Content-Security-Policy admits nothing but the two scripts and the style of the page itself, by their hashes.
Curves are drawn by uPlot, whose licence lies beside it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from detectors.condense import MOST, condensed
from detectors.diagnosis import Diagnosis
from detectors.group import GroupDiagnosis
from detectors.report.document import document, group_document
from detectors.report.figure import COLOURS, MARKS, OTHER, boxes
from detectors.report.text import render, render_group, title, where
from detectors.vocabulary import LARGEST, Run

__all__ = ["page", "save"]

ROOM = 100_000  # numbers of curves in one page: about 1 MB
LEAST = 512  # rows that each run keeps, however many runs there are
FEWEST = 8  # series that each run keeps
PANELS = {"train_loss": "loss", "val_loss": "loss", "train_accuracy": "accuracy", "val_accuracy": "accuracy"}
FIRST = (*PANELS, "learning_rate")  # the order of the legend; all others follow
SCRIPTS = ("uPlot.iife.min.js", "elements.js", "plot.js", "run.js", "compare.js", "start.js")
STYLES = ("uPlot.min.css", "page.css")
_UNSAFE = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page(
    diagnoses: Sequence[Diagnosis],
    unreadable: Sequence[tuple[str, str]] = (),
    together: Sequence[GroupDiagnosis] = (),
) -> str:
    """The HTML of one run, or of several to compare; `unreadable` are (file, error) of logs that were not read.

    `together` is what runs of one recipe show together.

    Long runs are drawn as means over blocks of rows, so that the page stays small; it says so.
    """
    if not diagnoses:
        raise ValueError("a page needs at least one diagnosis, there is none")
    rows = min(MOST, max(LEAST, ROOM // (len(diagnoses) * (1 + max(len(d.run.series) for d in diagnoses)))))
    most = max(FEWEST, ROOM // (len(diagnoses) * LEAST))
    data = {
        "runs": [_run(d, rows, most) for d in diagnoses],
        "unreadable": [{"source": source, "error": error} for source, error in unreadable],
        "groups": [group_document(g) for g in together],
        "titles": {str(v.phenomenon): title(v.phenomenon) for d in diagnoses for v in d.verdicts},
        "colours": {**{str(p): c for p, c in COLOURS.items()}, "": OTHER},
        "marks": [str(p) for p in MARKS],
    }
    script = "\n".join(["(() => {", *(_asset(name) for name in SCRIPTS), "})();"])
    style = "\n".join(_asset(name) for name in STYLES)
    heading = diagnoses[0].run.name if len(diagnoses) == 1 else f"{len(diagnoses)} runs"
    return Template(_asset("page.html")).substitute(
        title=_escaped(heading),
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=_json(data),
        text=_escaped("\n".join([*(render(d, 78) for d in diagnoses), *(render_group(g, 78) for g in together)])),
    )


def save(content: str, path: str) -> None:
    """Write the page whole or not at all: a reader never sees half of it. OSError where it cannot be written."""
    target = Path(path).resolve()
    if target.exists() and not target.is_file():  # a device, a pipe: nothing to replace
        target.write_text(content, encoding="utf-8")
        return
    part = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        part.write_text(content, encoding="utf-8")
        os.replace(part, target)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _run(diagnosis: Diagnosis, rows: int, most: int) -> dict[str, Any]:
    """The document of one run with its curves, and with what text and figure say about a finding in words."""
    run = diagnosis.run
    short = condensed(run, rows)
    keys = sorted(run.series, key=lambda k: (FIRST.index(k) if k in FIRST else len(FIRST), k))
    shaded = {id(f) for f in boxes(diagnosis)}
    described = document(diagnosis)
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", diagnosis.reading.text)
    for verdict, shown in zip(diagnosis.verdicts, described["verdicts"], strict=True):
        for finding, entry in zip(verdict, shown["findings"], strict=True):
            entry["where"] = where(finding)
            entry["shaded"] = id(finding) in shaded
    return {
        **described,
        "first": float(run.epochs[0]),
        "last": float(run.epochs[-1]),
        "block": -(-len(run) // rows),  # rows averaged into one point
        "left_out": max(0, len(keys) - most),
        "x": [float(e) for e in short.epochs],
        "curves": [_curve(short, key) for key in keys[:most]],
        "headline": sentences[0],
        "rest": " ".join(sentences[1:]),
    }


def _curve(run: Run, key: str) -> dict[str, Any]:
    known = key in FIRST
    return {
        "key": key,
        "label": key.replace("_", " ") if known else key,
        "panel": PANELS.get(key, key.replace("_", " ") if known else key),
        "values": [_short(v) for v in run[key]],
    }


def _short(value: float) -> float | str | None:
    """Six digits; null where nothing was logged, a word where it is infinite."""
    if np.isnan(value):
        return None
    if abs(value) >= LARGEST:
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}")


def _json(data: Any) -> str:
    """JSON that no HTML parser mistakes for markup, in ASCII."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda m: _UNSAFE[m.group()], text)


def _escaped(text: str) -> str:
    """`text` for HTML, in ASCII: half a surrogate pair, as odd file names have it, must not stop the writing."""
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("detectors.report") / "assets" / name).read_text(encoding="utf-8")
