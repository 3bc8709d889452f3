"""The seed figure: runs that show the question's four boxes, the detectors' reading of one, and the truth beside it."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.diagnosis import Diagnosis, diagnose
from detectors.progress import progress
from detectors.report.figure import figure, save
from detectors.report.text import render, title
from detectors.vocabulary import Event, Phenomenon
from sim.labelled import LabelledRun
from sim.machine import cache_folder, keep_programs
from sim.recipe import SEED_FIGURE
from sim.trained import lane_epochs, train

__all__ = ["draw", "run_demo"]

_BOXES = {
    Phenomenon.OVERFITTING: "red box: validation loss rises",
    Phenomenon.LR_DROP_RELIEF: "green box: a lower rate helps a model that already overfits",
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: "blue box: loss rises, accuracy does not fall",
    Phenomenon.TRAIN_ABOVE_VAL: "and nobody asked: training loss above validation loss",
}


def run_demo(out: Path, seed: int, quiet: bool = False) -> int:
    """Train the seed recipe with its sisters and twins, explain it, and write `figure.png` and `run.csv` to `out`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"curvesense: cannot write to {out}: {error.strerror}", file=sys.stderr)
        return 2
    try:
        keep_programs(cache_folder())
    except OSError as error:
        print(f"curvesense: compiled programs are not kept: {error}", file=sys.stderr)
    recipe = replace(SEED_FIGURE, seed=seed)
    print("Training 8 sister runs and their twins without each drop; the first epochs wait for the compiler.")
    with progress(lane_epochs([recipe]), "epochs", "training", quiet=quiet) as advance:
        (labelled,) = train([recipe], progress=advance)
    diagnosis = diagnose(labelled.run)
    print(render(diagnosis))
    print("Beside the truth, which no detector saw")
    for phenomenon, box in _BOXES.items():
        print(f"\n  {box}")
        for line in _beside(diagnosis, labelled, phenomenon):
            print(f"    {line}")
    save(draw(labelled, diagnosis), str(out / "figure.png"))
    _write_csv(labelled, out / "run.csv")
    print(f"\nwrote {out / 'figure.png'} and {out / 'run.csv'}; try: curvesense diagnose {out / 'run.csv'}")
    return 0


def draw(labelled: LabelledRun, diagnosis: Diagnosis) -> Any:
    """The diagnosis as a figure, with the truth: events, the twin without a drop, the temperature-scaled loss."""
    fig = figure(diagnosis, truth=labelled.events)
    expected = labelled.expected
    (loss,) = (ax for ax in fig.axes if ax.get_label() == "loss")
    limits = loss.get_ylim()
    epochs = expected.epochs
    for k, (drop, twin) in enumerate(expected.without_drop.items()):
        following = min([d for d in expected.without_drop if d > drop], default=len(epochs))
        loss.plot(
            epochs[drop - 1 : following],
            twin.mean(0)[drop - 1 : following],
            color="#009E73",
            ls="--",
            lw=1.4,
            label="population loss without that drop (twin)" if k == 0 else None,
        )
    loss.plot(
        epochs, expected.mean("risk"), color="#0072B2", lw=1.0, alpha=0.9, label="population loss, mean of sisters"
    )
    loss.plot(
        epochs, expected.mean("risk_calibrated"), color="#0072B2", ls=":", lw=1.4, label="the same, temperature-scaled"
    )
    low = float(expected.mean("risk_calibrated").min())
    loss.set_ylim(min(limits[0], low - 0.03 * (limits[1] - limits[0])), limits[1])
    fig.legends[0].remove()
    fig.legend(*loss.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside upper right", ncols=3)
    return fig


def _beside(diagnosis: Diagnosis, labelled: LabelledRun, phenomenon: str) -> list[str]:
    said = diagnosis[phenomenon].findings
    lines = [f"detector: {_span(f.onset, f.end)}{_kind(f.kind)}" for f in said]
    if not said:
        verdict = diagnosis[phenomenon]
        lines = [f"detector: {verdict.status}: {verdict.reason}"]
    events = labelled.of(phenomenon)
    lines += [f"truth:    {_span(e.onset, e.end)}{_kind(e.kind)}{_band(e)}; {_meaning(e)}" for e in events]
    return lines if events else [*lines, f"truth:    no {title(phenomenon)} to find"]


def _span(onset: float, end: float | None) -> str:
    return f"epoch {onset:.10g} to {'the end' if end is None else f'{end:.10g}'}"


def _kind(kind: str) -> str:
    return f", {kind.replace('_', ' ')}" if kind else ""


def _band(event: Event) -> str:
    assert event.band is not None
    lo, hi = event.band
    return f", onset as good anywhere in {lo:.10g}..{hi:.10g}" if hi > lo else ""


def _meaning(event: Event) -> str:
    e = event.effect
    if event.phenomenon == Phenomenon.OVERFITTING:
        return f"the population loss climbs by {e['prominence']:.3f} ({e['relative']:.1%})"
    if event.phenomenon == Phenomenon.LR_DROP_RELIEF:
        return f"{e['mean']:.3f} ± {e['mean_se']:.3f} below the twin without the drop, in the mean"
    if event.phenomenon == Phenomenon.LOSS_ACCURACY_DIVERGENCE:
        share = e.get("calibration_share")
        known = "" if share is None else f", {share:.0%} of the rise is overconfidence"
        return f"the population loss climbs by {e['rise']:.3f}, accuracy changes by {e['accuracy']:+.4f}{known}"
    parts = ", ".join(f"{k.replace('_', ' ')} {e[k]:+.3f}" for k in ("lag", "mode", "train_minus_risk") if k in e)
    return f"excess {e['mean']:.3f} = {parts}"


def _write_csv(labelled: LabelledRun, path: Path) -> None:
    run = labelled.run
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *run.series])
        for i, epoch in enumerate(run.epochs):
            writer.writerow([f"{epoch:.10g}", *(f"{np.float32(values[i])}" for values in run.series.values())])
