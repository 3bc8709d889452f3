"""How do the detectors compare with eyes on real logs? Writes `real_logs.csv`, `real_logs_lr_drop.csv` and where they
disagree, `real_logs_disagreements.csv`.

Reads the folder that CURVESENSE_LOGS names (normalised curves and labels made by eye, see its README) and changes no
setting for them. Undetermined counts as a miss where the label says yes; the first finding's onset is compared, where
the eye was sure of it. SAID has what a look at the picture of each disagreement told; `--pictures DIR` draws them.

Drops of the rate are asked for without the logged rate. A drop is visible if a series lies, within 3 epochs, at least
4 widths of its local noise (20 evaluations on either side, the noisier one) beyond the line through the 8 before it.
Falls of the rate that nobody scheduled (adaptive rates, medians over layers, restarts) are not scored, nor is the cliff
where mixup was switched off: the folder's README names both.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tables import write

from detectors import diagnose, read
from detectors.catalogue import CATALOGUE
from detectors.diagnosis import Diagnosis
from detectors.report.figure import figure, save
from detectors.vocabulary import Run
from sim.scores import exact_interval

#: To whose marginals the default composed recipes were fitted: their logs judge no detector and no recipe.
FITTED = ("gbaydin/hypergradient-descent", "liketheflower/DL_training", "prlz77/ResNeXt.pytorch")
WITHIN = 5  # epochs from the labelled onset
UNSCHEDULED = re.compile(r"hd_.*_hd|.*(geolr|blended|shake)")
MIXUP_OFF = (201, 301)
VISIBLE, SOON, LINE, AROUND = 4.0, 3, 8, 20
EYES = {"overfitting": "eye_overfit", "loss_accuracy_divergence": "eye_divergence"}

_SMALL = (
    "Missed: it moves the training loss by four to seven widths of its noise, and nothing else. Anywhere in the run, "
    "with a width and a memory of the noise that are estimated, as much comes by chance more often than promised: the "
    "statistic is 2.2 to 4.3, and 4.9 to 5.1 are asked."
)
_STEEP = (
    "Missed: the drops and the steep curve pass for noise that remembers (an autocorrelation of 0.95), for which a "
    "fall is no surprise: the statistic is 2.8 to 4.1, and 4.7 to 4.9 are asked."
)
#: What a look at the picture told, by log and phenomenon.
SAID = {
    ("bp_lr_0.01_geolr_cifar100_resnet_110", "overfitting"): (
        "Contested: from 25 to 40 the loss is as low as its noise lets one tell; the interval, 25 to 59, holds both."
    ),
    ("bp_baseline_cifar100_alexnet", "loss_accuracy_divergence"): (
        "Missed: the rise is found; accuracy goes from 0.418 to 0.432 with a standard error of 0.016, by which a fall "
        "cannot be ruled out."
    ),
    ("hd_vgg_sgdn", "overfitting"): (
        "Missed: the loss goes from 0.49 to 0.53, two widths of its noise, as by chance in 8 % of runs (p = 0.08). The "
        "eye was not sure either."
    ),
    ("keras_vgg16imagenetpretrained_beta_cifar10", "overfitting"): (
        "Missed: the loss goes from 0.44 to 0.48, less than one width of the noise that it has until then, through "
        "drops that are five to twelve epochs apart."
    ),
    ("keras_vgg16imagenetpretrained_beta_cifar10", "loss_accuracy_divergence"): "Missed: the same rise.",
    **{
        (name, "lr_drop"): _SMALL
        for name in (
            "bp_baseline_cifar10_resnet_110",
            "bp_baseline_cifar100_WRN_28_10_drop",
            "bp_baseline_cifar100_resnet_110",
            "gcv_cifar_resnet56_v1",
            "gcv_cifar_resnet56_v1_mixup",
        )
    },
    **{
        (name, "lr_drop"): _STEEP
        for name in ("keras_resnet18_cifar10backup", "keras_vgg16imagenetpretrained_upsampleimage_cifar10")
    },
    ("keras_vgg16imagenetpretrained_beta_cifar10", "lr_drop"): (
        "Missed: a spike of the training loss just before it hides the fall there; for that of the validation loss the "
        "statistic is 2.6, and 4.7 is asked."
    ),
}


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw each log on which they disagree")
    pictures = parser.parse_args().pictures
    folder = folder_of_logs()
    labels = labels_of(folder)
    kept = judging(labels)
    diagnoses = {row["name"]: diagnose(read(folder / "curves" / f"{row['name']}.csv")[0]) for row in labels}
    repositories = {row["repo"]: [r for r in labels if r["repo"] == row["repo"]] for row in labels}
    rows = [
        {"repository": name, **agreement(phenomenon, some, diagnoses)}
        for name, some in {"all but the fitted": kept, "all": labels, **repositories}.items()
        for phenomenon in EYES
    ]
    print(*rows, sep="\n")
    write("real_logs.csv", rows)
    asked = {r["name"]: Drops.asked(r, diagnoses[r["name"]].run) for r in labels if not UNSCHEDULED.match(r["name"])}
    write("real_logs_lr_drop.csv", drops(labels, asked))
    differing = [line for r in labels for line in disagreements(r, diagnoses[r["name"]], asked.get(r["name"]))]
    write("real_logs_disagreements.csv", differing)
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        for name in sorted({str(line["log"]) for line in differing}):
            save(figure(diagnoses[name]), str(pictures / f"{name}.png"))
    return 0


@dataclass(frozen=True)
class Drops:
    """The scheduled drops of one log, those that a series shows, and what is found without the logged rate."""

    true: list[int]
    visible: list[int]
    found: list[int]
    false: list[float]

    @classmethod
    def asked(cls, row: Mapping[str, str], run: Run) -> Drops:
        """Ask the detector about a log whose falls of the rate were scheduled."""
        true = [int(epoch) for epoch in row["lr_drop_epochs"].split(";") if epoch]
        said = [f.onset for f in CATALOGUE["lr_drop"]().detect(run.without("learning_rate"))]
        false = [s for s in said if all(abs(s - d) > SOON for d in true)]
        return cls(
            true=true,
            visible=[d for d in true if widths(run, d) >= VISIBLE],
            found=[d for d in true if any(abs(s - d) <= SOON for s in said)],
            false=[s for s in false if s not in MIXUP_OFF] if "mixup" in row["name"] else false,
        )


def disagreements(row: Mapping[str, str], diagnosis: Diagnosis, drops: Drops | None) -> list[dict[str, object]]:
    """Where the detectors and the label of one log disagree, and what a look at it told."""
    out = []

    def differs(phenomenon: str, eye: object, detector: object) -> None:
        said = SAID.get((row["name"], phenomenon), "not looked at")
        out.append({"log": row["name"], "repository": row["repo"], "phenomenon": phenomenon, "eye": eye,
                    "detector": detector, "said": said})  # fmt: skip

    for phenomenon, column in EYES.items():
        verdict = diagnosis[phenomenon]
        if (row[column] == "yes") != bool(verdict.findings) and row[column] in ("yes", "no"):
            differs(phenomenon, row[column], verdict.status)
    for finding in diagnosis["overfitting"].findings[:1]:
        if (onset := labelled_onset(row)) is not None and abs(finding.onset - onset) > WITHIN:
            differs("overfitting", f"from {onset:g}", f"from {finding.onset:g}")
    for drop in sorted(set(drops.visible) - set(drops.found)) if drops else ():
        differs("lr_drop", f"at {drop}", "absent there")
    return out


def labelled_onset(row: Mapping[str, str]) -> float | None:
    """The epoch from which the eye, sure of itself, saw overfitting."""
    sure = row["eye_overfit"] == "yes" and row["eye_confidence"] == "high"
    return float(row["eye_overfit_onset_epoch"]) if sure else None


def agreement(phenomenon: str, labels: list[dict[str, str]], diagnoses: Mapping[str, Diagnosis]) -> dict[str, object]:
    """How the findings of one phenomenon agree with the labels."""
    column = EYES[phenomenon]
    yes = [row for row in labels if row[column] == "yes"]
    no = [row for row in labels if row[column] == "no"]
    hits = [row for row in yes if diagnoses[row["name"]][phenomenon].findings]
    alarms = [row for row in no if diagnoses[row["name"]][phenomenon].findings]
    undetermined = sum(diagnoses[row["name"]][phenomenon].status == "undetermined" for row in yes)
    close = judged = 0
    for row in hits:
        if phenomenon == "overfitting" and (onset := labelled_onset(row)) is not None:
            judged += 1
            close += abs(diagnoses[row["name"]][phenomenon].findings[0].onset - onset) <= WITHIN
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
        "f1": f"{f1(len(hits), len(yes) - len(hits), len(alarms)):.3f}" if yes or alarms else "",
        "onset_judged": judged,
        "onset_within_5": close,
    }


def drops(labels: list[dict[str, str]], asked: Mapping[str, Drops]) -> list[dict[str, object]]:
    """Drops found without the logged rate, per repository and over all."""
    by: dict[str, np.ndarray] = {}
    for row in labels:
        if (of := asked.get(row["name"])) is None:
            continue
        seen = set(of.visible) & set(of.found)
        counts = np.array([1, *map(len, (of.true, of.found, of.visible, seen, of.false))])
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
