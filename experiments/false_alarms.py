"""How often does each detector alarm on runs that have nothing to find? Writes `experiments/results/false_alarms.csv`.

The null families of a detector are the promised ones of `sim.families` and a grid: autocorrelation 0, 0.4 and 0.8;
flat, decaying and slowly decaying curves, training below validation or on a par; 60 and 200 epochs; with and without
null drops; for a detector that claims so, with heavy tails and with noise that grows or shrinks e-fold. The three with
most alarms at the largest alpha are searched again with more runs; the worst of them is judged on fresh seeds at every
alpha. `lr_drop` is asked without the logged rate, where it has to infer, and `underfitting` with the best loss as its
reference. The rows of a detector replace its old ones as they are known; `--only` asks these detectors anew. About an
hour on one core.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from multiprocessing import get_context

from tables import read, write

from detectors.catalogue import CATALOGUE, detect_many
from detectors.claims import FalseAlarms, claim_of
from detectors.vocabulary import Detector
from sim.composed import Composed, observe
from sim.families import is_null, null_for
from sim.scores import exact_interval

ALPHAS = (0.01, 0.05, 0.1)
FINALISTS = 3
FRESH = 10**6  # the first seed of the judgement; a search has the first ones
AT_ONCE = 500  # runs held at a time
SETTINGS: dict[str, dict[str, float]] = {"underfitting": {"reference": Composed().bayes}}
SHAPES: dict[str, dict[str, float]] = {
    "flat": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5},
    "decay": {"decay": 8.0, "train_decay": 6.0},
    "slow decay": {"decay": 40.0, "train_decay": 30.0},
    "flat, training on a par": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5, "train_bayes": 0.5},
}


def families() -> dict[str, Composed]:
    """The grid of null families by name."""
    out = {}
    for (shape, values), epochs, rho, dropped in product(SHAPES.items(), (60, 200), (0.0, 0.4, 0.8), (False, True)):
        milestones = (30, 0, 0) if epochs == 60 else (60, 120, 160)
        drops = dict(zip(("drop_1", "drop_2", "drop_3"), milestones, strict=True)) if dropped else {}
        name = f"{shape}, {epochs} epochs, autocorrelation {rho:g}, {'null drops' if dropped else 'no drop'}"
        out[name] = Composed(epochs=epochs, noise=0.02, rho=rho, **values, **drops)  # type: ignore[arg-type]
    return out


def claimed(detector: Detector) -> dict[str, Composed]:
    """The null families of a detector: those of all, and what its claim on false alarms adds to each of the grid."""
    claim = claim_of(detector, FalseAlarms)
    growths = {"": 0.0}
    if claim and claim.growth:
        growths |= {", growing noise": claim.growth, ", shrinking noise": -claim.growth}
    tails = {"": 0, ", heavy tails": 1} if claim and claim.heavy_tails else {"": 0}
    phenomenon = detector.phenomenon
    grid = {
        name + grows + heavy: replace(spec, growth=growth, tails=tail)
        for name, spec in families().items()
        if phenomenon == "lr_drop" or is_null(spec, phenomenon)
        for (grows, growth), (heavy, tail) in product(growths.items(), tails.items())
    }
    return grid | {name: family.recipe for name, family in null_for(phenomenon).items() if family.promised}


def counted(detector: Detector, spec: Composed, seeds: range) -> tuple[int, int]:
    """(runs of `spec` in which the detector finds something, runs in which it is undetermined)."""
    hidden = ("learning_rate",) if detector.phenomenon == "lr_drop" else ()
    alarms = undetermined = 0
    for start in seeds[::AT_ONCE]:
        runs = observe(spec, range(start, min(start + AT_ONCE, seeds.stop)))
        for verdict in detect_many(detector, [run.without(*hidden) for run in runs]):
            alarms += bool(verdict.findings)
            undetermined += verdict.status == "undetermined"
    return alarms, undetermined


def rows_of(phenomenon: str, runs: int, search: int, again: int) -> list[dict[str, object]]:
    """The rows of one detector, one for each alpha."""
    asked = {alpha: CATALOGUE[phenomenon](alpha=alpha, **SETTINGS.get(phenomenon, {})) for alpha in ALPHAS}
    lax = asked[max(ALPHAS)]
    null = claimed(lax)
    found = {name: counted(lax, spec, range(search))[0] for name, spec in null.items()}
    finalists = sorted(null, key=lambda name: -found[name])[:FINALISTS]
    worst = max(finalists, key=lambda name: counted(lax, null[name], range(search, search + again))[0])
    out: list[dict[str, object]] = []
    for alpha, detector in asked.items():
        alarms, undetermined = counted(detector, null[worst], range(FRESH, FRESH + runs))
        out.append(
            {
                "phenomenon": phenomenon,
                "alpha": alpha,
                "families": len(null),
                "worst_family": worst,
                "runs": runs,
                "alarms": alarms,
                "rate": f"{alarms / runs:.4f}",
                "upper_bound": f"{exact_interval(alarms, runs, 0.90)[1]:.4f}",
                "undetermined": undetermined,
            }
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="fresh runs of the worst family")
    parser.add_argument("--search", type=int, default=64, help="runs of each family in the search")
    parser.add_argument("--again", type=int, default=1000, help="runs of each of the three finalists")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=list(CATALOGUE), action="append", help="these detectors; other rows stay")
    args = parser.parse_args()
    rows: dict[str, list[dict[str, object]]] = {}
    for row in read("false_alarms.csv"):
        rows.setdefault(row["phenomenon"], []).append(dict(row))
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(rows_of, name, args.runs, args.search, args.again): name for name in args.only or CATALOGUE}
        for job in as_completed(jobs):
            rows[jobs[job]] = job.result()
            print(*rows[jobs[job]], sep="\n", flush=True)
            written = [row for name in CATALOGUE for row in rows.get(name, [])]
            write("false_alarms.csv", written)


if __name__ == "__main__":
    main()
