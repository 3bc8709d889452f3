"""A diagnosis as a picture: loss, accuracy, and a line for each phenomenon where the detectors put it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.condense import condensed
from detectors.diagnosis import Diagnosis
from detectors.report.text import printable, title
from detectors.vocabulary import LARGEST, Event, Finding, Phenomenon, Run

__all__ = ["COLOURS", "MARKS", "OTHER", "SHADED", "boxes", "figure", "save"]

#: Of the question's phenomena Okabe and Ito's, which colour-blind eyes tell apart; the further ones have marks besides.
COLOURS = {
    Phenomenon.OVERFITTING: "#D55E00",
    Phenomenon.LR_DROP_RELIEF: "#009E73",
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: "#0072B2",
    Phenomenon.TRAIN_ABOVE_VAL: "#E69F00",
    Phenomenon.GENERALIZATION_GAP: "#CC79A7",
    Phenomenon.PLATEAU: "#5B8FD9",
    Phenomenon.SPIKE: "#C2316B",
    Phenomenon.BLOW_UP: "#777777",
    Phenomenon.OSCILLATION: "#2E9C9C",
    Phenomenon.UNDERFITTING: "#8A8A2E",
    Phenomenon.DOUBLE_DESCENT: "#7A5FD0",
    Phenomenon.DELAYED_GENERALIZATION: "#A0683A",
}
#: Hatches of the further phenomena: no dozen colours differ for every eye, and none in grey. In `page.css` likewise.
MARKS = {
    Phenomenon.PLATEAU: "--",
    Phenomenon.SPIKE: "||",
    Phenomenon.BLOW_UP: "xx",
    Phenomenon.OSCILLATION: "//",
    Phenomenon.UNDERFITTING: "..",
    Phenomenon.DOUBLE_DESCENT: "\\\\",
    Phenomenon.DELAYED_GENERALIZATION: "++",
}
OTHER = "#56B4E9"
#: What is shaded over the curves: a gap mostly runs to the end, and what is further is seen in the curve itself.
SHADED = tuple(p for p in COLOURS if p not in MARKS and p != Phenomenon.GENERALIZATION_GAP)
_TRAIN, _VAL = "#7F7F7F", "#111111"
_LOSSES = {"train_loss": _TRAIN, "val_loss": _VAL}
DECADES = 30.0  # the highest over the lowest loss from which the axis is logarithmic
FEW = 30  # values of a series that are dots as well
LONG = 400  # values from which a curve may have a moving average
ROUGH = 0.01  # of the height of a panel: noise from which a curve is drawn light, under its moving average
WIDE = 0.07  # of the width of a panel: what the name of a drop takes
LONGEST = 60  # characters of a title


def figure(diagnosis: Diagnosis, truth: Sequence[Event] | None = None) -> Any:
    """A matplotlib Figure with axes labelled `loss`, `accuracy` (where logged) and `timeline`.

    Boxes are shaded where the detectors put them; with `truth`, thin black ticks on the timeline show where the events
    are. A noisy curve is drawn light, with its moving average over it, cut where the rate drops. A loss that falls over
    more than a decade and a half is on a logarithmic axis. The first epochs and the highest hundredth do not set the
    range. Needs matplotlib: `pip install 'curvesense[plot]'`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    run = condensed(diagnosis.run)
    accuracies = [k for k in ("train_accuracy", "val_accuracy") if k in run]
    rows = [
        p
        for p in (*COLOURS, *_others(diagnosis))
        if _found(diagnosis, p) or any(e.phenomenon == p and e.material for e in truth or ())
    ]
    panels = ["loss", *(["accuracy"] if accuracies else []), "timeline"]
    heights = [
        3.0 if any(k in run for k in _LOSSES) else 0.7,
        *([2.0] if accuracies else []),
        0.35 + 0.3 * max(len(rows), 1),
    ]
    fig = Figure(figsize=(9.5, sum(heights) + 1.1), layout="constrained")
    axes = dict(
        zip(panels, fig.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0], strict=True)
    )
    for label, ax in axes.items():
        ax.set_label(label)
        ax.spines[["top", "right"]].set_visible(False)
    drops = _found(diagnosis, Phenomenon.LR_DROP)
    cuts = [f.onset for f in drops]
    lines = _curves(axes["loss"], run, _LOSSES, cuts, may_be_log=True)
    axes["loss"].set_ylabel("loss" if axes["loss"].get_yscale() == "linear" else "loss, logarithmic")
    if accuracies:
        _curves(axes["accuracy"], run, {"train_accuracy": _TRAIN, "val_accuracy": _VAL}, cuts)
        axes["accuracy"].set_ylabel("accuracy")
    first, last = float(run.epochs[0]), float(run.epochs[-1])
    room = (float(np.diff(run.epochs).min()) if len(run) > 1 else 1.0) / 2
    for ax in (axes[p] for p in panels[:-1]):
        for f in boxes(diagnosis):
            end = last if f.end is None else max(f.end, f.onset + room)
            ax.axvspan(f.onset, end, color=COLOURS[f.phenomenon], alpha=0.13, lw=0)  # type: ignore[index]
    for ax in axes.values():
        for f in drops:
            ax.axvline(f.onset, color="0.45", lw=0.9, ls="-" if f.kind == "logged" else (0, (4, 3)))
    _name_drops(axes["loss"], drops, last - first)
    keep = diagnosis.reading.keep_epoch
    if keep is not None:
        level = lines["val_loss"][int(np.argmin(np.abs(run.observed("val_loss")[0] - keep)))]
        label = f"lowest around epoch {keep:.10g}"
        axes["loss"].plot(keep, level, "*", ms=12, color="black", mec="white", zorder=5, label=label)
    _timeline(axes["timeline"], diagnosis, rows, last, room, truth)
    axes["timeline"].set_xlabel("epoch")
    axes["timeline"].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    handles, labels = axes["loss"].get_legend_handles_labels()
    if not handles and accuracies:
        handles, labels = axes["accuracy"].get_legend_handles_labels()
    fig.legend(handles, labels, fontsize=8, frameon=False, loc="outside upper right", ncols=4)
    fig.suptitle(_short(printable(run.name)), fontsize=11, x=0.01, ha="left", parse_math=False)
    axes["loss"].set_xlim(first - room, last + room)
    return fig


def boxes(diagnosis: Diagnosis) -> list[Finding]:
    """The findings that are shaded over the curves.

    A rise that accuracy does not confirm is shaded as that, not as overfitting too.
    """
    milder = {f.onset for f in _found(diagnosis, Phenomenon.LOSS_ACCURACY_DIVERGENCE)}
    shaded = [f for p in SHADED for f in _found(diagnosis, p)]
    return [f for f in shaded if f.phenomenon != Phenomenon.OVERFITTING or f.onset not in milder]


def save(fig: Any, path: str) -> None:
    """Write the figure; the format follows the suffix (png, svg, pdf). Text in svg and pdf stays text."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in an alphabet that the font has not is boxes
        fig.savefig(path, dpi=150)


def _curves(
    ax: Any, run: Run, colours: dict[str, str], cuts: Sequence[float], may_be_log: bool = False
) -> dict[str, np.ndarray]:
    """Draw the series of one panel in the range that shows most of them well; the values of each line that is read."""
    drawn = {key: run.observed(key) for key in colours if key in run}
    if not drawn:
        ax.text(0.5, 0.5, "not logged", transform=ax.transAxes, ha="center", va="center", color="0.4")
        ax.set_yticks([])
        return {}
    # the first epochs would flatten the rest
    low = min(float(values.min()) for _, values in drawn.values())
    high = max(float(np.quantile(values[len(values) // 20 :], 0.99)) for _, values in drawn.values())
    means = {key: _moving(epochs, values, cuts) for key, (epochs, values) in drawn.items()}
    rough = any(np.median(np.abs(values - means[key])) > ROUGH * (high - low) for key, (_, values) in drawn.items())
    lines = means if rough else {key: values for key, (_, values) in drawn.items()}
    for key, (epochs, values) in drawn.items():
        if rough:
            ax.plot(epochs, values, color=colours[key], lw=0.8, alpha=0.35)
        dots = "." if len(values) <= FEW else ""
        ax.plot(epochs, lines[key], color=colours[key], lw=1.4, marker=dots, label=key.replace("_", " "))
        beyond = run.epochs[np.abs(run[key]) >= LARGEST]
        if len(beyond):
            place = ax.get_xaxis_transform()  # at the top, wherever that is
            ax.plot(beyond, np.full(len(beyond), 0.97), "x", ms=5, color="#D55E00", transform=place, label="infinite")
    judge = drawn.get("val_loss", next(iter(drawn.values())))[1]  # a training loss near 0 must not flatten a rise
    if may_be_log and low > 0 and float(judge.min()) < float(np.quantile(judge[len(judge) // 20 :], 0.99)) / DECADES:
        ax.set_yscale("log")
        ax.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.12)
    else:
        height = high - low or abs(high) / 10 or 1.0
        ax.set_ylim(low - 0.06 * height, high + 0.12 * height)
    return lines


def _moving(epochs: np.ndarray, values: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
    """The mean of each value and its neighbours, a fiftieth of a long run, across no cut; shape (n,)."""
    half = len(values) // 100 if len(values) >= LONG else 0
    mean = np.empty_like(values)
    edges = [0, *sorted(set(np.searchsorted(epochs, cuts).tolist()) - {0, len(values)}), len(values)]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        sums = np.append(0.0, np.cumsum(values[start:end]))
        at = np.arange(end - start)
        first, beyond = np.maximum(at - half, 0), np.minimum(at + half + 1, end - start)
        mean[start:end] = (sums[beyond] - sums[first]) / (beyond - first)
    return mean


def _name_drops(ax: Any, drops: Sequence[Finding], length: float) -> None:
    """Say by how much the rate drops, above the panel; of drops side by side the first."""
    free = -np.inf
    for f in sorted(drops, key=lambda drop: drop.onset):
        if f.onset < free:
            continue
        free = f.onset + WIDE * length
        label = f"lr ×{f.effect['factor']:.3g}" if "factor" in f.effect else "drop?"
        place = {"xycoords": ("data", "axes fraction"), "xytext": (2, 2), "textcoords": "offset points"}
        ax.annotate(label, (f.onset, 1.0), fontsize=8, color="0.35", **place)


def _timeline(
    ax: Any, diagnosis: Diagnosis, rows: list[str], last: float, room: float, truth: Sequence[Event] | None
) -> None:
    for y, phenomenon in enumerate(reversed(rows)):
        colour = COLOURS.get(phenomenon, OTHER)  # type: ignore[call-overload]
        for f in _found(diagnosis, phenomenon):
            end = last if f.end is None else max(f.end, f.onset + room)
            mark = {"hatch": MARKS.get(phenomenon, ""), "edgecolor": "white"}  # type: ignore[call-overload]
            ax.barh(y, end - f.onset, left=f.onset, height=0.45, facecolor=colour, alpha=0.75, lw=0, **mark)
            lo, hi = f.onset_interval
            ax.plot([lo, min(hi, f.onset)], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
            ax.plot([f.onset, min(hi, end)], [y, y], color="white", lw=1.6, solid_capstyle="butt")
        for e in truth or ():
            if e.phenomenon == phenomenon and e.material:
                end = last if e.end is None else e.end
                ax.plot([e.onset, end], [y - 0.36, y - 0.36], color="black", lw=0.9)
                ax.plot([e.onset, e.onset], [y - 0.45, y + 0.45], color="black", lw=0.9)
    ax.set_yticks(range(len(rows)), [title(r) for r in reversed(rows)], fontsize=8)
    ax.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    if not rows:
        ax.text(0.5, 0.5, "nothing found", transform=ax.transAxes, ha="center", va="center", color="0.4")
    note = "bars: detectors, line: onset interval" + ("; black ticks: truth" if truth is not None else "")
    ax.set_title(note, fontsize=8, color="0.35", loc="right", pad=2)


def _short(name: str) -> str:
    """A long name keeps both its ends, where names of runs differ."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]} … {name[-half:]}"


def _found(diagnosis: Diagnosis, phenomenon: str) -> list[Finding]:
    return [f for v in diagnosis.verdicts if v.phenomenon == phenomenon for f in v]


def _others(diagnosis: Diagnosis) -> list[str]:
    known = {*COLOURS, Phenomenon.LR_DROP}
    return [str(v.phenomenon) for v in diagnosis.verdicts if v.phenomenon not in known and v.findings]
