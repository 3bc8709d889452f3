"""What the pages say that a file of the project says already: read when the documentation is built, so it is true then.

`facts()` is a dictionary of Markdown that pages use as `{{ overfitting.method }}`: the sections of a detector's
docstring, its measured rates from `experiments/results`, the curves of `pictures/gallery.json`, the constants of the
truth, the tables of log formats and names.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detectors.callbacks import CALLBACKS
from detectors.catalogue import CATALOGUE
from detectors.cli import diagnose
from detectors.cli.config import KEYS
from detectors.cli.status import MEANING
from detectors.readers import FORMATS, names
from detectors.report.text import title
from detectors.rising_online import RISES
from detectors.watch import WATCHED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "experiments" / "results"


def version() -> str:
    """The version that pyproject.toml gives."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def facts() -> dict[str, Any]:
    """Every substitution, as plain strings in dictionaries."""
    gallery = json.loads((HERE / "pictures" / "gallery.json").read_text())
    curves = importlib.import_module("gallery").CURVES  # conf.py puts experiments/ on the path
    readme = importlib.import_module("readme")
    return {
        "curve": {name: _curve(name, curves[name], gallery[name]) for name in curves},
        "gallery": "\n\n".join(_entry(name, curves[name], gallery[name]) for name in curves),
        "truth": _constants("sim.truth"),
        "further": _constants("sim.further"),
        "table": {name: readme.TABLES[name]() for name in ("detectors", "boxes", "alarms", "real")},
        "logs": _formats() | _names(),
        "callbacks": _callbacks(),
        "watched": _watched(),
        "together": _together(),
        "config": _config(),
        "statuses": _table(["exit status", ""], [(str(code), says) for code, says in MEANING.items()]),
        "phenomena": _phenomena(curves),
        **{name: {**sections(name), **measured(name), "kin": _kin(name, curves)} for name in CATALOGUE},
    }


def sections(phenomenon: str) -> dict[str, str]:
    """The docstring of a detector in parts: `line`, `definition`, `method`, `blind`."""
    doc = importlib.import_module(f"detectors.{phenomenon}").__doc__ or ""
    line, _, rest = doc.partition("\n\n")
    definition, method, blind = re.split(r"\n(?:Method|Blind spots): ", rest)
    return {"line": line, "definition": definition, "method": _upper(method), "blind": _upper(blind)}


def measured(phenomenon: str) -> dict[str, str]:
    """What was measured of a detector, as a table, from the result files."""
    lines = []
    recall = ""  # of the further phenomena no trained run of the question's recipe has any
    for seed in (r for r in _rows("seed_figure_detectors") if r["phenomenon"] == phenomenon):
        lines += [
            ("events found, in trained runs whose truth is known", f"{seed['matched']} of {seed['events']}"),
            ("findings that are such an event", f"{seed['matched']} of {seed['findings']}"),
        ]
        if seed["interval_covers"] != "nan":
            lines.append(("onset intervals, of 90 %, that hold the true onset", _percent(seed["interval_covers"])))
        alarms = f"{seed['false_alarms']} of {seed['healthy_null_runs']}"
        lines.append(("false alarms in trained runs with nothing to find", alarms))
        recall = _percent(seed["recall"]) if seed["recall"] != "nan" else ""
    for null in (r for r in _rows("false_alarms") if r["phenomenon"] == phenomenon):
        worst = f"false alarms at alpha {null['alpha']} on the worst null curves found ({null['worst_family']})"
        lines.append((worst, f"{null['alarms']} of {null['runs']}"))
    real = [r for r in _rows("real_logs") if r["phenomenon"] == phenomenon]
    for r in real:
        lines.append(("found in real logs, of those labelled so by eye", f"{r['found']} of {r['labelled_yes']}"))
        lines.append(("false alarms in real logs", f"{r['false_alarms']} of {r['labelled_no']}"))
    return {"measured": _table(["measured", ""], lines), "recall": recall}


def _curve(name: str, curve: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """A picture with its caption, what the detectors say of it, and the first true event of each phenomenon."""
    found = [p for p, v in entry["verdicts"].items() if v["status"] == "found"]
    alt = f"Loss and accuracy by epoch. {curve.shows} Found: {', '.join(map(title, found)) or 'nothing'}."
    log = f"{{download}}`{name}.csv </pictures/{name}.csv>`"
    picture = f":::{{figure}} /pictures/{name}.png\n:alt: {alt}\n:class: curve\n\n{curve.shows} Its log: {log}\n:::"
    advice = "\n".join(f"> - {line}" for line in entry["advice"])
    first: dict[str, dict[str, str]] = {}
    for e in entry["truth"]:
        if e["material"]:
            span = {"span": _span(e), "kind": e["kind"]}
            first.setdefault(e["phenomenon"], span | {k: f"{v:.2g}" for k, v in e["effect"].items()})
    return {"picture": picture, "reading": f"> {entry['reading']}\n>\n{advice}", "truth": first}


def _entry(name: str, curve: Any, entry: dict[str, Any]) -> str:
    """A curve of the gallery: the picture, truth and verdicts side by side, the reading, the code."""
    true: dict[str, list[str]] = {}
    for event in entry["truth"]:
        if event["material"]:
            true.setdefault(event["phenomenon"], []).append(_span(event))
    said = {p: [_span(f) for f in v["findings"]] for p, v in entry["verdicts"].items()}
    lines = [
        (f"[{title(p)}](/phenomena/{p}.md)", ", ".join(true.get(p, [])) or "–", ", ".join(said[p]) or "–")
        for p in CATALOGUE
        if true.get(p) or said[p]
    ]
    verdicts = _table(["", "in truth, epochs", "found, epochs"], lines)
    kind = {"strong": "plain to see", "weak": "hardly to be seen", "look-alike": "a look-alike"}[curve.look]
    heading = f"(curve-{name.replace('_', '-')})=\n## {curve.title}"
    about = f"*[{_upper(title(curve.about))}](/phenomena/{curve.about}.md), {kind}.*"
    text = _curve(name, curve, entry)
    return "\n\n".join([heading, about, text["picture"], verdicts, text["reading"], f"```python\n{entry['code']}\n```"])


def _span(what: dict[str, Any]) -> str:
    """The epochs of an event or a finding; a drop has one."""
    point = what["end"] == what["onset"] or what["kind"] in ("logged", "inferred") or "factor" in what.get("effect", {})
    return f"{what['onset']:g}" + (
        "" if point else f" to {'the end' if what['end'] is None else format(what['end'], 'g')}"
    )


def _kin(phenomenon: str, curves: dict[str, Any]) -> str:
    """The other curves of the gallery that are about a phenomenon, small, each a link to its entry."""
    shown = [
        f":::{{figure}} /pictures/{name}.png\n:alt: {curve.title}\n:target: ../gallery.html#curve-"
        f"{name.replace('_', '-')}\n\n{curve.title}\n:::"
        for name, curve in curves.items()
        if curve.about == phenomenon and name != phenomenon
    ]
    return "::::{container} kin\n" + "\n".join(shown) + "\n::::" if shown else ""


def _phenomena(curves: dict[str, Any]) -> str:
    """The table of phenomena: the page, the first line of the docstring, how much is found."""
    lines = [
        (f"[{_upper(title(p))}](/phenomena/{p}.md)", sections(p)["line"], measured(p)["recall"]) for p in CATALOGUE
    ]
    return _table(["phenomenon", "what it is", "found, of the events in trained runs"], lines)


def _formats() -> dict[str, str]:
    """The log formats in the order in which they are tried, with the first paragraph of each module."""
    lines = [(f"`{f.NAME}`", " ".join((f.__doc__ or "").partition("\n\n")[0].split())) for f in FORMATS]
    return {"formats": _table(["`--format`", "what it reads"], lines)}


def _names() -> dict[str, str]:
    """What loggers call each series."""

    def spelled(words: Iterable[str]) -> str:
        return ", ".join(f"`{word}`" for word in words if word)

    sides = {side: spelled(words) for side, words in names.SIDES.items()}
    lines = [
        ("a training series", f"{sides['train']}, or nothing, with a loss or an accuracy"),
        ("a validation series", f"{sides['val']}, with a loss or an accuracy"),
        ("… a loss", spelled(names.LOSSES)),
        ("… an accuracy", spelled(names.ACCURACIES)),
        ("… an error rate, read as 1 − accuracy", spelled(names.ERRORS)),
        *((f"`{series}`", spelled(words)) for series, words in names.OTHERS.items()),
        ("the axis", f"{spelled(names.EPOCHS)}; without one of them {spelled(names.STEPS)}"),
    ]
    return {"names": _table(["series", "names that mean it"], lines)}


def _callbacks() -> str:
    """The callback of each framework with the first line of its docstring."""
    lines = []
    for name, file in CALLBACKS.items():
        source = ast.parse((ROOT / "detectors" / "callbacks" / f"{file}.py").read_text())  # no framework is needed
        (found,) = (node for node in source.body if isinstance(node, ast.ClassDef) and node.name == name)
        doc = (ast.get_docstring(found) or "").partition("\n")[0]
        lines.append((f"{{py:class}}`~detectors.callbacks.{file}.{name}`", doc))
    return _table(["callback", "what it does"], lines)


def _watched() -> dict[str, str]:
    """What a watch watches, how often it was wrong, and how late it was."""
    rows = _rows("online")
    kinds = [
        (_upper(title(name)), "by chance at most `alpha`" if name in RISES else "read off the log") for name in WATCHED
    ]
    alarms = [
        (r["curve"], r["epochs"], f"{float(r['share']):.4f}", r["high"], r["runs"])
        for r in rows
        if r["what"] == "false alarms" and r["rule"] == "watch, alpha 0.05"
    ]
    power = [r for r in rows if r["what"] == "power" and r["epochs"] == "200"]
    rules = list(dict.fromkeys(r["rule"].partition(" (")[0] for r in power))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for r in power:
        told = f"{float(r['share']):.2f}" + (f", {r['delay']}" if r["delay"] else "")
        cells.setdefault((r["autocorrelation"], r["height"]), {})[r["rule"].partition(" (")[0]] = told
    head = ["curve", "epochs", "runs that ever alarm", "95 % upper bound", "runs"]
    return {
        "phenomena": _table(["watched", "false alarms"], kinds),
        "alarms": _table(head, alarms),
        "power": _table(
            ["autocorrelation", "height", *rules], [(*key, *(cell[r] for r in rules)) for key, cell in cells.items()]
        ),
    }


def _together() -> dict[str, str]:
    """How often the test of several runs was wrong, and what it finds."""
    rows = _rows("group")
    alarms = [
        (r["curve"], r["runs"], r["rule"].removeprefix("alpha "), r["value"], r["high"], r["groups"])
        for r in rows
        if r["what"] == "false alarms"
    ]
    cells: dict[str, dict[str, str]] = {}
    for r in rows:
        if r["what"] == "power":
            cells.setdefault(r["curve"], {})[r["runs"]] = f"{float(r['value']):.2f}"
    sizes = list(dict.fromkeys(size for cell in cells.values() for size in cell))
    head = ["curve", "runs", "alpha", "groups that alarm", "95 % upper bound", "groups"]
    return {
        "alarms": _table(head, alarms),
        "power": _table(
            ["", *(f"{size} runs" if size != "1" else "one run" for size in sizes)],
            [(curve, *(cell[size] for size in sizes)) for curve, cell in cells.items()],
        ),
    }


def _config() -> str:
    """The keys of [tool.curvesense], with what the help says of the option that each is the default of."""
    parser = argparse.ArgumentParser()
    diagnose.configure(parser)
    helps = {"color": "auto, always or never", "quiet": "as -q"}
    helps |= {action.dest: action.help or "" for action in parser._actions}  # argparse has no public list of them
    return _table(["key", ""], [(f"`{key}`", helps[key]) for key in KEYS])


def _constants(module: str) -> dict[str, str]:
    """The numbers of a module of definitions by their names, shares in percent."""
    truth = importlib.import_module(module)
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
