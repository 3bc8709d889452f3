"""How often does each detector alarm on runs that have nothing to find? Writes `experiments/results/false_alarms.csv`.

Every detector is asked, at alpha = 0.05, about runs of each null family: autocorrelation 0, 0.4 and 0.8; flat,
decaying and slowly decaying curves, training below validation or on a par; 60 and 200 epochs; with and without null
drops; a detector that claims so, also of those with heavy tails and with noise that grows or shrinks e-fold. The family
with most alarms on a first set of seeds is judged on fresh ones. `lr_drop` is asked without the logged rate, where it
has to infer, and `underfitting` with the best loss as its reference. About half an hour; `--only` asks one detector
anew and leaves the other rows.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

from detectors.catalogue import CATALOGUE
from detectors.claims import FalseAlarms, claim_of
from detectors.vocabulary import Detector
from sim.composed import Composed, compose_one, observe
from sim.scores import exact_interval

RESULTS = Path(__file__).parent / "results"
ALPHA = 0.05
SETTINGS: dict[str, dict[str, float]] = {"underfitting": {"reference": Composed().bayes}}
SHAPES: dict[str, dict[str, float]] = {
    "flat": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5},
    "decay": {"decay": 8.0, "train_decay": 6.0},
    "slow decay": {"decay": 40.0, "train_decay": 30.0},
    "flat, training on a par": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5, "train_bayes": 0.5},
}


def families() -> dict[str, Composed]:
    """Every null family by name."""
    out = {}
    for (shape, values), epochs, rho, dropped in product(SHAPES.items(), (60, 200), (0.0, 0.4, 0.8), (False, True)):
        milestones = (30, 0, 0) if epochs == 60 else (60, 120, 160)
        drops = dict(zip(("drop_1", "drop_2", "drop_3"), milestones, strict=True)) if dropped else {}
        name = f"{shape}, {epochs} epochs, autocorrelation {rho:g}, {'null drops' if dropped else 'no drop'}"
        out[name] = Composed(epochs=epochs, noise=0.02, rho=rho, **values, **drops)  # type: ignore[arg-type]
    return out


def claimed(detector: Detector) -> dict[str, Composed]:
    """The null families of a detector: those of all, and what its claim on false alarms adds to each."""
    claim = claim_of(detector, FalseAlarms)
    growths = {"": 0.0}
    if claim and claim.growth:
        growths |= {", growing noise": claim.growth, ", shrinking noise": -claim.growth}
    tails = {"": 0, ", heavy tails": 1} if claim and claim.heavy_tails else {"": 0}
    return {
        name + grows + heavy: replace(spec, growth=growth, tails=tail)
        for name, spec in families().items()
        for (grows, growth), (heavy, tail) in product(growths.items(), tails.items())
    }


def alarms(detector: Detector, spec: Composed, seeds: range) -> int:
    """Runs of `spec` in which the detector finds something."""
    hidden = ("learning_rate",) if detector.phenomenon == "lr_drop" else ()
    return sum(bool(detector.detect(run.without(*hidden)).findings) for run in observe(spec, seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="fresh runs of the worst family")
    parser.add_argument("--search", type=int, default=64, help="runs of each family in the search")
    parser.add_argument("--only", choices=list(CATALOGUE))
    args = parser.parse_args()
    kept = {}
    if args.only:
        with (RESULTS / "false_alarms.csv").open() as file:
            kept = {row["phenomenon"]: row for row in csv.DictReader(file) if row["phenomenon"] != args.only}
    rows: list[dict[str, object]] = []
    for phenomenon, make in CATALOGUE.items():
        if phenomenon in kept:
            rows.append(kept[phenomenon])
            continue
        detector = make(alpha=ALPHA, **SETTINGS.get(phenomenon, {}))
        null = {
            name: spec
            for name, spec in claimed(detector).items()
            if phenomenon == "lr_drop" or not compose_one(spec).of(phenomenon, grey=True)
        }
        found = {name: alarms(detector, spec, range(args.search)) for name, spec in null.items()}
        worst = max(found, key=lambda name: found[name])
        count = alarms(detector, null[worst], range(10**6, 10**6 + args.runs))
        rows.append(
            {
                "phenomenon": phenomenon,
                "alpha": ALPHA,
                "families": len(null),
                "worst_family": worst,
                "runs": args.runs,
                "alarms": count,
                "rate": f"{count / args.runs:.4f}",
                "upper_bound": f"{exact_interval(count, args.runs, 0.90)[1]:.4f}",
            }
        )
        print(rows[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "false_alarms.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
