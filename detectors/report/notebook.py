"""Runs, findings, verdicts and diagnoses in a notebook: small tables in the colours of the page, and plots."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from detectors import display
from detectors.diagnosis import Diagnosis
from detectors.report.summary import row
from detectors.report.text import headline, printable, title
from detectors.vocabulary import LARGEST, BadRun, Finding, Run, Verdict

__all__ = ["box", "table", "text"]

POINTS = 120  # of a curve as small as these
_BOX = "border:1px solid #8888;border-radius:4px;padding:.5em .8em;max-width:48em;overflow-x:auto"


@display.html.register
def _run(run: Run) -> str:
    head = ("series", "rows", "first", "lowest", "last", "")
    rows = []
    for key, values in run.series.items():
        seen = values[np.abs(values) < LARGEST]
        numbers = [f"{x:.4g}" for x in (seen[0], seen.min(), seen[-1])] if len(seen) else ["-"] * 3
        rows.append([text(key), str(len(seen)), *numbers, _sparkline(seen)])
    said = f"{len(run):,} rows, epoch {run.epochs[0]:.10g} to {run.epochs[-1]:.10g}"
    return box(f"<b>{text(run.name)}</b>: {said}", table(head, rows))


@display.html.register
def _finding(finding: Finding) -> str:
    lo, hi = finding.onset_interval
    numbers = {**finding.effect, **finding.evidence}
    rows = [[text(k), text(v if isinstance(v, str) else f"{v:.4g}")] for k, v in numbers.items()]
    said = f"<b>{text(headline(finding))}</b><br>onset in {lo:.10g} to {hi:.10g} at {finding.level:.0%}"
    return box(said, table((), rows), text(finding.advice))


@display.html.register
def _verdict(verdict: Verdict) -> str:
    reason = f": {text(verdict.reason)}" if verdict.reason else ""
    said = f"<b>{text(title(verdict.phenomenon))}</b>: {verdict.status}{reason}"
    return box(said, *(text(headline(f)) for f in verdict.findings))


@display.html.register
def _diagnosis(diagnosis: Diagnosis) -> str:
    rows = []
    for v in diagnosis.verdicts:
        said = "<br>".join(text(headline(f)) for f in v.findings) or text(v.reason)
        status = f"<b>{v.status}</b>" if v.findings else v.status
        rows.append([text(title(v.phenomenon)), status, said])
    advice = "".join(f"<li>{text(a)}</li>" for a in diagnosis.reading.advice)
    head = f"<b>{text(diagnosis.run.name)}</b>: {text(row(diagnosis).said)}"
    return box(head, text(diagnosis.reading.text), f"<ul>{advice}</ul>", table(("", "", ""), rows))


@display.plot.register
def _plot_run(run: Run, *series: str, ax: Any = None) -> Any:
    plt = _pyplot()
    for key in series:
        if key not in run.series:
            raise BadRun(f"{run.name!r} has no {key!r}; it logs {sorted(run.series)}")
    losses = [key for key in run.series if key in ("train_loss", "val_loss")]
    keys = series or losses or tuple(run.series)
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    for key in keys:
        if key in run:
            epochs, values = run.observed(key)
            ax.plot(epochs, values, label=printable(key.replace("_", " ")))
    ax.set(xlabel="epoch", title=printable(run.name).replace("$", r"\$"))
    if ax.lines:
        ax.legend()
    return ax


@display.plot.register
def _plot_diagnosis(diagnosis: Diagnosis, *series: str, ax: Any = None) -> Any:
    _pyplot()
    from detectors.report.figure import figure

    return np.array(figure(diagnosis).axes)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("plot() needs matplotlib: pip install 'curvesense[plot]'") from None
    return plt


def text(value: object) -> str:
    """`value` as it may stand in HTML, on one line."""
    return escape(printable(str(value)))


def box(*parts: str) -> str:
    """Pieces of HTML below each other in a frame; empty ones are left out."""
    return f'<div style="{_BOX}">' + "".join(f"<div>{part}</div>" for part in parts if part) + "</div>"


def table(head: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    """Cells of HTML below a head, which may be empty; nothing where there is no row."""
    cell = '<td style="text-align:left;vertical-align:top">'
    top = f"<tr>{''.join(f'<th style=text-align:left>{h}</th>' for h in head)}</tr>" if any(head) else ""
    body = "".join(f"<tr>{''.join(f'{cell}{c}</td>' for c in cells)}</tr>" for cells in rows)
    # a page without a doctype would not let a table inherit
    return f"<table style='color:inherit;font:inherit'>{top}{body}</table>" if body else ""


def _sparkline(values: np.ndarray) -> str:
    """The curve as a line in the colour of the text, which is read on a dark and on a light page."""
    if len(values) < 2:
        return ""
    few = values[np.linspace(0, len(values) - 1, min(len(values), POINTS)).astype(int)]
    span = float(few.max() - few.min()) or 1.0
    x, y = np.linspace(1, 99, len(few)), 19 - 18 * ((few - few.min()) / span)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/>'
    return f'<svg width="100" height="20" role="img" aria-label="curve">{line}</svg>'
