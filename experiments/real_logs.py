"""How do the detectors compare with eyes on real logs? Writes `real_logs.csv` and `real_logs_lr_drop.csv`.

Reads the folder that CURVESENSE_LOGS names (normalised curves and labels made by eye, see its README) and changes no
setting for them. Undetermined counts as a miss where the label says yes; the first finding's onset is compared.

Drops of the rate are asked for without the logged rate. A drop is visible if a series lies, within 3 epochs, at least
4 widths of its local noise (20 evaluations on either side, the noisier one) beyond the line through the 8 before it.
Falls of the rate that nobody scheduled (adaptive rates, medians over layers, restarts) are not scored, nor is the cliff
where mixup was switched off: the folder's README names both.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tables import write

from detectors import diagnose, read
from detectors.catalogue import CATALOGUE
from detectors.diagnosis import Diagnosis
from detectors.vocabulary import Run
from sim.scores import exact_interval

#: To whose marginals the default composed recipes were fitted: their logs judge no detector and no recipe.
FITTED = ("gbaydin/hypergradient-descent", "liketheflower/DL_training", "prlz77/ResNeXt.pytorch")
WITHIN = 5  # epochs from the labelled onset
UNSCHEDULED = re.compile(r"hd_.*_hd|.*(geolr|blended|shake)")
MIXUP_OFF = (201, 301)
VISIBLE, SOON, LINE, AROUND = 4.0, 3, 8, 20


def f1(hits: int, misses: int, alarms: int) -> float:
    """2 TP / (2 TP + FN + FP)."""
    return 2 * hits / (2 * hits + misses + alarms)


def folder_of_logs() -> Path:
    """The folder that CURVESENSE_LOGS names; where it has no labels, a line that says so and exit status 2."""
    folder = Path(os.environ.get("CURVESENSE_LOGS", ""))
    if not (folder / "labels.csv").is_file():
        print("CURVESENSE_LOGS names no folder of real logs", file=sys.stderr)
        sys.exit(2)
    return folder


def labels_of(folder: Path) -> list[dict[str, str]]:
    """The labels of every log, a row a log."""
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def judging(labels: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those to whose repository no recipe was fitted."""
    return [row for row in labels if row["repo"] not in FITTED]


def main() -> int:
    folder = folder_of_logs()
    labels = labels_of(folder)
    kept = judging(labels)
    diagnoses = {row["name"]: diagnose(read(folder / "curves" / f"{row['name']}.csv")[0]) for row in labels}
    rows = [
        agreement(phenomenon, column, some, diagnoses)
        for some in (kept, labels)
        for phenomenon, column in (("overfitting", "eye_overfit"), ("loss_accuracy_divergence", "eye_divergence"))
    ]
    print(*rows, sep="\n")
    write("real_logs.csv", rows)
    write("real_logs_lr_drop.csv", drops(labels, diagnoses))
    return 0


def agreement(
    phenomenon: str, column: str, labels: list[dict[str, str]], diagnoses: Mapping[str, Diagnosis]
) -> dict[str, object]:
    """How the findings of one phenomenon agree with the labels in `column`."""
    yes = [row for row in labels if row[column] == "yes"]
    no = [row for row in labels if row[column] == "no"]
    hits = [row for row in yes if diagnoses[row["name"]][phenomenon].findings]
    alarms = [row for row in no if diagnoses[row["name"]][phenomenon].findings]
    undetermined = sum(diagnoses[row["name"]][phenomenon].status == "undetermined" for row in yes)
    close = judged = 0
    for row in hits:
        if phenomenon == "overfitting" and row["eye_confidence"] == "high":
            onset = diagnoses[row["name"]][phenomenon].findings[0].onset
            judged += 1
            close += abs(onset - float(row["eye_overfit_onset_epoch"])) <= WITHIN
    lo, hi = exact_interval(len(hits), len(yes))
    return {
        "logs": len(labels),
        "phenomenon": phenomenon,
        "labelled_yes": len(yes),
        "found": len(hits),
        "recall_low": f"{lo:.3f}",
        "recall_high": f"{hi:.3f}",
        "undetermined": undetermined,
        "labelled_no": len(no),
        "false_alarms": len(alarms),
        "f1": f"{f1(len(hits), len(yes) - len(hits), len(alarms)):.3f}",
        "onset_judged": judged,
        "onset_within_5": close,
    }


def drops(labels: list[dict[str, str]], diagnoses: Mapping[str, Diagnosis]) -> list[dict[str, object]]:
    """Drops found without the logged rate, per repository and over all."""
    by: dict[str, np.ndarray] = {}
    for row in labels:
        if UNSCHEDULED.match(row["name"]):
            continue
        run = diagnoses[row["name"]].run.without("learning_rate")
        true = [int(epoch) for epoch in row["lr_drop_epochs"].split(";") if epoch]
        said = [f.onset for f in CATALOGUE["lr_drop"]().detect(run)]
        found = [d for d in true if any(abs(s - d) <= SOON for s in said)]
        visible = [d for d in true if widths(run, d) >= VISIBLE]
        false = [s for s in said if all(abs(s - d) > SOON for d in true)]
        if "mixup" in row["name"]:
            false = [s for s in false if s not in MIXUP_OFF]
        counts = np.array([1, len(true), len(found), len(visible), len(set(visible) & set(found)), len(false)])
        judging = [] if row["repo"] in FITTED else ["all but the fitted"]
        for key in (row["repo"], *judging, "all"):
            by[key] = by.get(key, 0) + counts
    out = []
    for key, (runs, true, found, visible, seen, false) in sorted(
        by.items(), key=lambda item: item[0].startswith("all")
    ):
        out.append(
            {
                "repository": key,
                "runs": runs,
                "drops": true,
                "found": found,
                "visible": visible,
                "visible_found": seen,
                "recall_visible": f"{seen / visible:.3f}" if visible else "",
                "false": false,
                "precision": f"{found / (found + false):.3f}" if found + false else "",
            }
        )
        print(out[-1])
    return out


def widths(run: Run, epoch: int) -> float:
    """By how many widths of local noise the series that moves most at `epoch` does so."""
    moved = [0.0]
    for key in ("train_loss", "val_loss", "train_accuracy", "val_accuracy"):
        if key not in run:
            continue
        epochs, values = run.observed(key)
        sign = -1 if key.endswith("accuracy") else 1
        at = int(np.searchsorted(epochs, epoch))
        before, after = sign * values[max(at - AROUND, 0) : at], sign * values[at : at + AROUND]
        if min(len(before), len(after)) < LINE:
            continue
        noise = max(1.4826 * float(np.median(np.abs(np.diff(side, 2)))) / np.sqrt(6) for side in (before, after))
        slope, level = np.polyfit(np.arange(-LINE, 0), before[-LINE:], 1)
        line = level + slope * np.arange(SOON) if slope < 0 else before[-LINE:].mean()
        moved.append(float(np.max(line - after[:SOON])) / max(noise, 1e-12))
    return max(moved)


if __name__ == "__main__":
    sys.exit(main())
