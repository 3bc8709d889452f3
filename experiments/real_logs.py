"""How do the detectors compare with eyes on real logs? Writes `experiments/results/real_logs.csv`.

Reads the folder that CURVESENSE_LOGS names (normalised curves and labels made by eye, see its README) and changes no
setting for them. Undetermined counts as a miss where the label says yes; the first finding's onset is compared.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

from detectors import diagnose, read
from sim.scores import exact_interval

RESULTS = Path(__file__).parent / "results"
WITHIN = 5  # epochs from the labelled onset


def f1(hits: int, misses: int, alarms: int) -> float:
    """2 TP / (2 TP + FN + FP)."""
    return 2 * hits / (2 * hits + misses + alarms)


def main() -> int:
    folder = Path(os.environ.get("CURVESENSE_LOGS", ""))
    if not (folder / "labels.csv").is_file():
        print("CURVESENSE_LOGS names no folder of real logs", file=sys.stderr)
        return 2
    with (folder / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    diagnoses = {row["name"]: diagnose(read(folder / "curves" / f"{row['name']}.csv")[0]) for row in labels}
    rows = []
    for phenomenon, column in (("overfitting", "eye_overfit"), ("loss_accuracy_divergence", "eye_divergence")):
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
        rows.append(
            {
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
        )
        print(rows[-1])
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "real_logs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
