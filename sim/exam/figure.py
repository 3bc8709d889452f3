"""The picture of a failure: the curve that a check failed on, what the detector claimed, what is true."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.vocabulary import Run
from sim.exam.check import Sight

__all__ = ["figure", "svg"]

_CLAIM, _TRUTH = "#D55E00", "#009E73"  # Okabe and Ito's colours, which colour-blind eyes tell apart
_CURVES = {"val_loss": "#111111", "train_loss": "#8a8a8a", "val_accuracy": "#0072B2"}
_OTHERS = ("#56B4E9", "#CC79A7", "#E69F00")
_MOST = 2  # runs side by side


def figure(sights: Sequence[Sight]) -> Any:
    """A matplotlib Figure with a panel for each of the last two runs that the check looked at.

    Curves above; below, on the same epochs, a line for what is true (bar, tick at the onset, band of the onset) and one
    for what the detector claims (bar, tick, interval).
    """
    from matplotlib.figure import Figure

    shown = [s for s in sights if len(s.run)][-_MOST:]
    fig = Figure(figsize=(4.6 * max(len(shown), 1), 2.9), layout="constrained")
    axes = fig.subplots(2, max(len(shown), 1), squeeze=False, sharex="col", height_ratios=[3, 1])
    for column, sight in enumerate(shown):
        _curves(axes[0, column], sight.run)
        axes[0, column].set_title(sight.title or "the run", fontsize=9, loc="left")
        _spans(axes[1, column], sight)
        for ax in axes[:, column]:
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
        axes[1, column].set_xlabel("epoch", fontsize=8)
    return fig


def svg(sights: Sequence[Sight]) -> str:
    """The figure as SVG text, its letters as text."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "curvesense"}):
        figure(sights).savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _curves(ax: Any, run: Run) -> None:
    others = iter(_OTHERS)
    names = [n for n in _CURVES if n in run] or [n for n in run.series if n in run and n != "learning_rate"][:3]
    finite: list[np.ndarray] = []
    for name in names:
        epochs, values = run.observed(name)
        if "accuracy" in name and finite:
            continue  # another scale
        colour = _CURVES.get(name) or next(others, "#111111")
        ax.plot(epochs, values, color=colour, lw=1.2, label=name, marker="." if len(epochs) < 30 else None)
        finite.append(values)
    if "learning_rate" in run:
        epochs, rates = run.observed("learning_rate")
        for i in np.flatnonzero(rates[1:] < rates[:-1] * 2 / 3):
            ax.axvline(epochs[i + 1], color="0.6", lw=0.8)
    if finite:
        ax.legend(fontsize=7, frameon=False, loc="best")
        values = np.concatenate(finite)
        low, high = float(values.min()), float(np.quantile(values, 0.98))
        if high > low:
            ax.set_ylim(low - 0.08 * (high - low), high + 0.15 * (high - low))
    else:
        ax.text(0.5, 0.5, "no finite value", transform=ax.transAxes, ha="center", fontsize=8, color="0.4")


def _spans(ax: Any, sight: Sight) -> None:
    last = float(sight.run.epochs[-1])
    for event in sight.events or ():
        end = last if event.end is None else event.end
        style = "-" if event.material else ":"
        ax.plot([event.onset, end], [1, 1], color=_TRUTH, lw=2.5, ls=style, solid_capstyle="butt")
        ax.plot([event.onset] * 2, [0.75, 1.25], color=_TRUTH, lw=1.5)
        if event.band is not None:
            ax.axvspan(*event.band, ymin=0.55, ymax=0.95, color=_TRUTH, alpha=0.2, lw=0)
    findings = sight.verdict.findings if sight.verdict is not None else ()
    for finding in findings:
        end = last if finding.end is None else finding.end
        ax.plot([finding.onset, end], [0, 0], color=_CLAIM, lw=2.5, solid_capstyle="butt")
        ax.plot([finding.onset] * 2, [-0.25, 0.25], color=_CLAIM, lw=1.5)
        ax.axvspan(*finding.onset_interval, ymin=0.05, ymax=0.45, color=_CLAIM, alpha=0.2, lw=0)
    said = "no answer" if sight.verdict is None else sight.verdict.status
    truth = "truth: not given" if sight.events is None else "truth" if sight.events else "truth: nothing"
    ax.set_yticks([0, 1], [f"claim: {said}", truth], fontsize=8)
    ax.set_ylim(-0.6, 1.6)
    ax.margins(x=0.02)
