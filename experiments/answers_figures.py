"""The figures of `answers.py`, one a question."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from answers_pool import FACTORS, NOISES, WIDTHS
from answers_run import WINDOW
from answers_tables import PAIRS, SIGNALS, Pool, crossed, drops, estimate, stopping
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter

BLUE, ORANGE, GREEN, GREY, PINK = "#0072B2", "#D55E00", "#009E73", "#999999", "#CC79A7"  # Okabe & Ito
THREE = (BLUE, GREEN, ORANGE)
KINDS = {"overconfidence": BLUE, "between": GREY, "decisions": ORANGE}
MEANING = {
    "overconfidence": "pure overconfidence",
    "between": "too small to say",
    "decisions": "worse at any temperature",
}
WHERE = {"bottom before": ORANGE, "bottom between": GREEN, "bottom after": BLUE}
LABELLED = {"3", "5", "10", "20", "30", "2%", "5%", "10%", "20%", "25%", "50%", "100%"}  # thresholds


def tidy(ax: Axes) -> None:
    """Without the frame above and on the right."""
    ax.spines[["top", "right"]].set_visible(False)


def rises(pool: Pool) -> Figure:
    """Each rise after a drop against what the best temperature leaves of it; and the shares of the three kinds."""
    fig = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=(1, 1.25))
    has = (pool["drop"] > 0) & (pool["rise_kind"] != "")
    for kind, color in KINDS.items():
        there = has & (pool["rise_kind"] == kind)
        left.plot(pool["rise"][there], pool["rise_calibrated"][there], ".", ms=3.5, color=color, alpha=0.6, mew=0)
    most = float(np.nanmax(pool["rise"][has]))
    left.plot([0.02, most], [0.02, most], color="black", lw=0.8)
    left.axhline(0, color="black", lw=0.8)
    left.set_xscale("log")
    left.set_yscale("symlog", linthresh=0.02)
    left.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    left.set_yticks([-0.1, -0.05, -0.02, 0, 0.02, 0.05, 0.1, 0.2, 0.5])
    left.set_xlim(0.018, 1.1 * most)
    left.set_xlabel("rise of the validation loss after the drop")
    left.set_ylabel("its change at the best temperature")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.set_minor_formatter(NullFormatter())
    left.text(0.03, 0.034, "no overconfidence", rotation=24, ha="left", va="bottom", fontsize=8)
    left.set_title("each dot a run with a drop", fontsize=10)

    after = pool["drop"] > 0
    worse = pool["rise_accuracy_seen"] < 0
    groups = {
        "never a drop": ~after,
        "validation accuracy lower at the top": after & worse,
        "validation accuracy not lower": after & ~worse,
        **{f"drop by {f}": crossed(pool) & (pool["factor"] == f) for f in reversed(FACTORS)},
        **{f"width {w}": after & (pool["width"] == w) for w in reversed(WIDTHS)},
        **{f"label noise {n:g}": after & (pool["label_noise"] == n) for n in reversed(NOISES)},
        "all after a drop": after,
    }
    for y, there in enumerate(groups.values()):
        kind, seeds = pool["rise_kind"], pool["seed"]
        there = there & (kind != "")
        begin = 0.0
        for name, color in KINDS.items():
            share = float((kind[there] == name).mean()) if there.any() else 0.0
            right.barh(y, share, left=begin, color=color, label=MEANING[name] if not y else None, height=0.72)
            begin += share
        middle, low, high = estimate(kind[there] == "overconfidence", seeds[there])
        right.errorbar(middle, y, xerr=[[middle - low], [high - middle]], color="black", lw=1.2, capsize=2)
        right.text(1.01, y, f"{there.sum()}", va="center", fontsize=8)
    right.set_yticks(range(len(groups)), list(groups), fontsize=9)
    right.set_xlim(0, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_xlabel("share of the runs with a rise (number on the right)")
    fig.legend(*right.get_legend_handles_labels(), fontsize=9, frameon=False, ncols=3, loc="outside upper right")
    for ax in (left, right):
        tidy(ax)
    return fig


def relief(pool: Pool) -> Figure:
    """The share of reliefs that still last, by epochs after the drop: a column a label noise; by factor, by width.

    The band is the interval over seeds; there is none where all last or none does.
    """
    fig = Figure(figsize=(11, 6), layout="constrained")
    axes = fig.subplots(2, len(NOISES), sharex=True, sharey=True)
    has = crossed(pool) & np.isin(pool["relief_kind"], ("relief", "new_best"))
    # still lasting at epoch x: those that end later, or not at all
    lasts = np.where(pool["relief_ends"] == 1, pool["relief_length"], WINDOW + 1)
    x = np.arange(WINDOW + 1)
    rows = (("factor", FACTORS, "drop by"), ("width", WIDTHS, "width"))
    for line, (key, levels, word) in zip(axes, rows, strict=True):
        for ax, noise in zip(line, NOISES, strict=True):
            for level, color in zip(levels, THREE, strict=True):
                there = has & (pool["label_noise"] == noise) & (pool[key] == level)
                seeds, length = pool["seed"][there], lasts[there]
                ends = np.array([estimate(length > e, seeds) for e in x])
                ends[np.isin(ends[:, 0], (0, 1)), 1:] = np.nan  # the exact interval of all or none would jump
                ax.plot(x, ends[:, 0], color=color, label=f"{word} {level}")
                ax.fill_between(x, ends[:, 1], ends[:, 2], color=color, alpha=0.15, lw=0)
            tidy(ax)
        line[0].legend(fontsize=9, frameon=False, loc="lower left")
        line[0].set_ylabel("share of reliefs that last")
    for ax, noise in zip(axes[0], NOISES, strict=True):
        ax.set_title(f"label noise {noise:g}", fontsize=10)
    for ax in axes[1]:
        ax.set_xlabel("epochs after the drop")
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0, 0].set_ylim(0, 1.02)
    return fig


def early(pool: Pool) -> Figure:
    """By how much the early drop is better than the late one, by where the bottom without a drop lies."""
    fig = Figure(figsize=(11, 6), layout="constrained")
    axes = fig.subplots(2, 2, sharex=True, sharey="row")
    known = drops(pool)
    panels = {
        "best_risk": "loss at the best epoch, % lower",
        "final_risk": "loss at the last epoch, % lower",
        "best_accuracy": "accuracy at the best epoch, points higher",
        "final_accuracy": "accuracy at the last epoch, points higher",
    }
    for ax, (measure, title) in zip(axes.flat, panels.items(), strict=True):
        for i, (where, color) in enumerate(WHERE.items()):
            for x, pair in enumerate(PAIRS):
                (row,) = [
                    r
                    for r in known
                    if (r["factor"], r["early"], r["late"]) == pair and r["seeds"] == where and r["measure"] == measure
                ]
                middle, low, high = (100 * float(str(row[f"better{end}"])) for end in ("", "_low", "_high"))
                at = x + 0.2 * (i - 1)
                word = where.replace("before", "before the early drop").replace("after", "after both")
                ax.errorbar(
                    at, middle, yerr=[[middle - low], [high - middle]], fmt="o", ms=4, color=color, capsize=2,
                    label=f"lowest loss without a drop: {word.removeprefix('bottom ')}" if not x else None,
                )  # fmt: skip
        ax.axhline(0, color="black", lw=0.8)
        ax.set_title(title, fontsize=10)
        tidy(ax)
    ticks = [f"drop by {f}:\n{a} or {b}" for f, a, b in PAIRS]
    for ax in axes[1]:
        ax.set_xticks(range(len(PAIRS)), ticks, fontsize=9)
    for ax in axes[:, 0]:
        ax.set_ylabel("early against late: ↑ early is better")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=9, frameon=False, ncols=3, loc="outside upper center")
    return fig


def stop(pool: Pool) -> Figure:
    """Regret of every rule against the epochs that it trains, for runs that never drop and for those with a drop."""
    lines = {
        "patience": (BLUE, "patience", (-6, -12)),
        "rise": (GREEN, "rise above the lowest", (3, 4)),
        "gap": (ORANGE, "gap to the evaluated training loss", (3, 4)),
        "logged gap": (PINK, "gap to the logged training loss", (-24, -9)),
    }
    marks = {
        "patience 10, accuracy": ("s", "patience 10 with accuracy, its best kept"),
        "to the end, accuracy": ("D", "to the end, best accuracy kept"),
        "last": ("X", "to the end, last epoch kept"),
        "true rise": ("^", "truth: bottom of the first rise"),
        "true gap 10%": ("v", "truth: onset of the 10 % gap"),
    }
    known = {(r["runs"], r["rule"]): r for r in stopping(pool)}
    fig = Figure(figsize=(11, 8), layout="constrained")
    axes = fig.subplots(2, 2, sharex=True, sharey="row")

    def numbers(runs: str, rule: str, measure: str) -> tuple[float, ...]:
        row = known[runs, rule]
        middle, low, high = (100 * float(str(row[f"{measure}{end}"])) for end in ("", "_low", "_high"))
        return float(str(row["epochs"])), middle, middle - low, high - middle

    for column, runs in enumerate(("no drop", "any drop")):
        for line, measure in zip(axes, ("loss", "accuracy"), strict=True):
            ax = line[column]
            for signal, (color, label, beside) in lines.items():
                x, y, down, up = np.array([numbers(runs, rule, measure) for rule in SIGNALS[signal]]).T
                ax.errorbar(x, y, yerr=[down, up], fmt="o-", ms=3, color=color, elinewidth=0.5, alpha=0.9, label=label)
                for rule, a, b in zip(SIGNALS[signal][:-1], x, y, strict=False):
                    word = rule.rpartition(" ")[2]
                    if a < 70 and word in LABELLED:  # beyond, they crowd where nobody stops
                        ax.annotate(word, (a, b), beside, textcoords="offset points", fontsize=8,
                                    color=color)  # fmt: skip
            for rule, (marker, label) in marks.items():
                x1, y1, down1, up1 = numbers(runs, rule, measure)
                ax.errorbar(x1, y1, yerr=[[down1], [up1]], fmt=marker, ms=6, color="black", elinewidth=0.8, label=label)
            ax.set_yscale("log")
            ax.grid(axis="y", color="0.92")
            tidy(ax)
        axes[0, column].set_title("runs without a drop" if runs == "no drop" else "runs with a drop", fontsize=10)
        axes[1, column].set_xlabel("mean epochs trained, of 80")
    axes[0, 0].set_ylabel("mean regret in loss, % of the lowest")
    axes[1, 0].set_ylabel("mean regret in accuracy, points")
    for line in axes:
        line[0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=9, frameon=False, ncols=3, loc="outside upper center")
    return fig


FIGURES: dict[str, Callable[[Pool], Figure]] = {"rises": rises, "relief": relief, "drops": early, "stopping": stop}
