"""A diagnosis as a picture: loss, accuracy, and a line for each phenomenon where the detectors put it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.condense import condensed
from detectors.diagnosis import Diagnosis
from detectors.report.text import title
from detectors.vocabulary import Event, Finding, Phenomenon

__all__ = ["COLOURS", "OTHER", "boxes", "figure", "save"]

#: Okabe and Ito's colours, which colour-blind eyes tell apart.
COLOURS = {
    Phenomenon.OVERFITTING: "#D55E00",
    Phenomenon.LR_DROP_RELIEF: "#009E73",
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: "#0072B2",
    Phenomenon.TRAIN_ABOVE_VAL: "#E69F00",
    Phenomenon.GENERALIZATION_GAP: "#CC79A7",
}
OTHER = "#56B4E9"
_TRAIN, _VAL = "#7F7F7F", "#111111"


def figure(diagnosis: Diagnosis, truth: Sequence[Event] | None = None) -> Any:
    """A matplotlib Figure with axes labelled `loss`, `accuracy` (where logged) and `timeline`.

    Boxes are shaded where the detectors put them; with `truth`, thin black ticks on the timeline show where the events
    are. Needs matplotlib: `pip install 'curvesense[plot]'`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    run = condensed(diagnosis.run)
    accuracies = [k for k in ("train_accuracy", "val_accuracy") if k in run]
    rows = [
        p
        for p in (*COLOURS, *_others(diagnosis))
        if _found(diagnosis, p) or any(e.phenomenon == p for e in truth or ())
    ]
    panels = ["loss", *(["accuracy"] if accuracies else []), "timeline"]
    heights = [3.0, *([2.0] if accuracies else []), 0.35 + 0.3 * max(len(rows), 1)]
    fig = Figure(figsize=(9.5, sum(heights) + 1.1), layout="constrained")
    axes = dict(
        zip(panels, fig.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0], strict=True)
    )
    for label, ax in axes.items():
        ax.set_label(label)
        ax.spines[["top", "right"]].set_visible(False)
    _curves(axes["loss"], run, {"train_loss": _TRAIN, "val_loss": _VAL})
    axes["loss"].set_ylabel("loss")
    if accuracies:
        _curves(axes["accuracy"], run, {"train_accuracy": _TRAIN, "val_accuracy": _VAL})
        axes["accuracy"].set_ylabel("accuracy")
    last = float(run.epochs[-1])
    for ax in (axes[p] for p in panels[:-1]):
        for f in boxes(diagnosis):
            end = last if f.end is None else max(f.end, f.onset + 0.5)
            ax.axvspan(f.onset, end, color=COLOURS[f.phenomenon], alpha=0.13, lw=0)  # type: ignore[index]
    for ax in axes.values():
        for f in _found(diagnosis, Phenomenon.LR_DROP):
            ax.axvline(f.onset, color="0.45", lw=0.9, ls="-" if f.kind == "logged" else (0, (4, 3)))
    for f in _found(diagnosis, Phenomenon.LR_DROP):
        label = f"lr ×{f.effect['factor']:.3g}" if "factor" in f.effect else "drop?"
        axes["loss"].annotate(
            label,
            (f.onset, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, 2),
            textcoords="offset points",
            fontsize=8,
            color="0.35",
        )
    keep = diagnosis.reading.keep_epoch
    if keep is not None:
        epochs, val = run.observed("val_loss")
        at = int(np.argmin(np.abs(epochs - keep)))
        axes["loss"].plot(
            keep, val[at], "*", ms=12, color="black", mec="white", zorder=5, label=f"lowest: epoch {keep:.10g}"
        )
    _timeline(axes["timeline"], diagnosis, rows, last, truth)
    axes["timeline"].set_xlabel("epoch")
    axes["timeline"].xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.legend(*axes["loss"].get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside upper right", ncols=3)
    fig.suptitle(run.name, fontsize=11, x=0.01, ha="left")
    axes["loss"].set_xlim(float(run.epochs[0]) - 0.5, last + 0.5)
    return fig


def boxes(diagnosis: Diagnosis) -> list[Finding]:
    """The findings that are shaded over the curves.

    A rise that accuracy does not confirm is shaded as that, not as overfitting too; a gap mostly runs to the end.
    """
    milder = {f.onset for f in _found(diagnosis, Phenomenon.LOSS_ACCURACY_DIVERGENCE)}
    shaded = [f for p in COLOURS if p != Phenomenon.GENERALIZATION_GAP for f in _found(diagnosis, p)]
    return [f for f in shaded if f.phenomenon != Phenomenon.OVERFITTING or f.onset not in milder]


def save(fig: Any, path: str) -> None:
    """Write the figure; the format follows the suffix (png, svg, pdf). Text in svg and pdf stays text."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        fig.savefig(path, dpi=150)


def _curves(ax: Any, run: Any, colours: dict[str, str]) -> None:
    low, high = [], []
    for key, colour in colours.items():
        if key in run:
            epochs, values = run.observed(key)
            ax.plot(epochs, values, color=colour, lw=1.3, label=key.replace("_", " "))
            low.append(values.min())
            high.append(np.quantile(values[len(values) // 20 :], 0.99))  # the first epochs would flatten the rest
    if low:
        lo, hi = float(min(low)), float(max(high))
        ax.set_ylim(lo - 0.06 * (hi - lo) - 1e-9, hi + 0.12 * (hi - lo) + 1e-9)


def _timeline(ax: Any, diagnosis: Diagnosis, rows: list[str], last: float, truth: Sequence[Event] | None) -> None:
    for y, phenomenon in enumerate(reversed(rows)):
        colour = COLOURS.get(phenomenon, OTHER)  # type: ignore[call-overload]
        for f in _found(diagnosis, phenomenon):
            end = last if f.end is None else max(f.end, f.onset + 0.5)
            ax.barh(y, end - f.onset, left=f.onset, height=0.45, color=colour, alpha=0.75, lw=0)
            ax.plot(f.onset_interval, [y, y], color="white", lw=1.6, solid_capstyle="butt")
        for e in truth or ():
            if e.phenomenon == phenomenon and e.material:
                end = last if e.end is None else e.end
                ax.plot([e.onset, end], [y - 0.36, y - 0.36], color="black", lw=0.9)
                ax.plot([e.onset, e.onset], [y - 0.45, y + 0.45], color="black", lw=0.9)
    ax.set_yticks(range(len(rows)), [title(r) for r in reversed(rows)], fontsize=8)
    ax.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    if not rows:
        ax.text(0.5, 0.5, "nothing found", transform=ax.transAxes, ha="center", va="center", color="0.4")
    note = "bars: detectors, white line: onset interval" + ("; black: truth" if truth is not None else "")
    ax.set_title(note, fontsize=8, color="0.35", loc="right", pad=2)


def _found(diagnosis: Diagnosis, phenomenon: str) -> list[Finding]:
    return [f for v in diagnosis.verdicts if v.phenomenon == phenomenon for f in v]


def _others(diagnosis: Diagnosis) -> list[str]:
    known = {*COLOURS, Phenomenon.LR_DROP}
    return [str(v.phenomenon) for v in diagnosis.verdicts if v.phenomenon not in known and v.findings]
