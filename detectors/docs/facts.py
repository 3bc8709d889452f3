"""What the pages say that a file of the project says already: read when the documentation is built, so it is true then.

`facts()` is a dictionary of Markdown that pages use as `{{ overfitting.method }}`: the sections of a detector's
docstring, its measured rates from `experiments/results`, the curves of `pictures/gallery.json`, the constants of the
truth, the tables of log formats and names.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from detectors.catalogue import CATALOGUE
from detectors.report.text import title

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "experiments" / "results"


def version() -> str:
    """The version that pyproject.toml gives."""
    import tomllib

    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def facts() -> dict[str, Any]:
    """Every substitution, as plain strings in dictionaries."""
    gallery = json.loads((HERE / "pictures" / "gallery.json").read_text())
    curves = _curves()
    shown = {name: _curve(name, curves[name], entry) for name, entry in gallery.items()}
    return {
        "curve": shown,
        "truth": _constants(),
        **{name: {**sections(name), **measured(name)} for name in CATALOGUE},
    }


def sections(phenomenon: str) -> dict[str, str]:
    """The docstring of a detector in parts: `line`, `definition`, `method`, `blind`."""
    doc = importlib.import_module(f"detectors.{phenomenon}").__doc__ or ""
    line, _, rest = doc.partition("\n\n")
    definition, method, blind = re.split(r"\n(?:Method|Blind spots): ", rest)
    return {"line": line, "definition": definition, "method": _upper(method), "blind": _upper(blind)}


def measured(phenomenon: str) -> dict[str, str]:
    """What was measured of a detector, as a table, from the result files."""
    (seed,) = (r for r in _rows("seed_figure_detectors") if r["phenomenon"] == phenomenon)
    (null,) = (r for r in _rows("false_alarms") if r["phenomenon"] == phenomenon)
    real = [r for r in _rows("real_logs") if r["phenomenon"] == phenomenon]
    lines = [
        ("events found, in trained runs whose truth is known", f"{seed['matched']} of {seed['events']}"),
        ("findings that are such an event", f"{seed['matched']} of {seed['findings']}"),
        ("false alarms in trained runs with nothing to find", f"{seed['false_alarms']} of {seed['healthy_null_runs']}"),
        (
            f"false alarms on the worst null curves that a search found ({null['worst_family']})",
            f"{null['alarms']} of {null['runs']}",
        ),
    ]
    if seed["interval_covers"] != "nan":
        lines.insert(2, ("onset intervals, of 90 %, that hold the true onset", _percent(seed["interval_covers"])))
    for r in real:
        lines.append(("found in real logs, of those labelled so by eye", f"{r['found']} of {r['labelled_yes']}"))
        lines.append(("false alarms in real logs", f"{r['false_alarms']} of {r['labelled_no']}"))
    return {"measured": _table(["measured", ""], lines), "recall": _percent(seed["recall"])}


def _curves() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "experiments" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["gallery"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    curves: dict[str, Any] = module.CURVES
    return curves


def _curve(name: str, curve: Any, entry: dict[str, Any]) -> dict[str, str]:
    found = [p for p, v in entry["verdicts"].items() if v["status"] == "found"]
    alt = f"Loss and accuracy over epochs. {curve.shows} Found: {', '.join(map(title, found)) or 'nothing'}."
    picture = f":::{{figure}} /pictures/{name}.png\n:alt: {alt}\n:class: curve\n\n{curve.shows}\n:::"
    return {"picture": picture, "shows": curve.shows, "title": curve.title, "reading": entry["reading"]}


def _constants() -> dict[str, str]:
    """The numbers of `sim.truth` by their names, shares in percent."""
    truth = importlib.import_module("sim.truth")
    return {
        name: f"{100 * value:.4g} %" if 0 < value < 1 else f"{value:g}"
        for name, value in vars(truth).items()
        if name.isupper() and isinstance(value, int | float)
    }


def _rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def _table(head: list[str], body: list[tuple[str, ...]]) -> str:
    lines = [tuple(head), ("---",) * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percent(share: str) -> str:
    return f"{100 * float(share):.0f} %"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
