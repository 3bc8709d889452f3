"""How often does the seed recipe show the question's boxes, and how often do the detectors recover them?

Trains seeds 0-63 of the seed recipe, each with 8 sister runs and the twin without each drop, and 64 healthy runs, asks
every built-in detector about the observed curves, and writes to `experiments/results/`:

- `seed_figure_boxes.csv`: for each box, the number of seeds in which the truth shows it, with an exact 95 % interval;
- `seed_figure_events.csv`: every event and every finding, run by run;
- `seed_figure_detectors.csv`: recall, precision, F1, median distance to the band, coverage, false alarms;
- `seed_figure.png`: one seed that shows all of it.

A seed shows the red, green and blue box if for one of its drops there is a material rise of the population risk before
it (red), relief at it with a positive twin effect (green), and after it a material rise over which accuracy does not
fall (blue); the fourth is a stretch of training loss above validation risk. About 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from tables import RESULTS, made, versions, write
from tqdm import tqdm

from detectors.catalogue import CATALOGUE
from detectors.diagnosis import diagnose
from detectors.report.figure import save
from detectors.vocabulary import Phenomenon
from sim.demo import draw
from sim.labelled import LabelledRun
from sim.recipe import HEALTHY, SEED_FIGURE, Recipe
from sim.scores import exact_interval, score
from sim.trained import label, lane_epochs, measure

BATCH = 8  # seeds trained at a time
SHOWN = 16  # the seed that the figure and the demo show: its truth has all four boxes


def boxes(labelled: LabelledRun) -> dict[str, bool]:
    """Which boxes the truth of one run shows; red, green and blue about the drop that shows most of them."""
    over = labelled.of(Phenomenon.OVERFITTING)
    relief = [e for e in labelled.of(Phenomenon.LR_DROP_RELIEF) if e.effect["mean"] > 0]
    divergence = labelled.of(Phenomenon.LOSS_ACCURACY_DIVERGENCE)
    best = {"red": False, "green": False, "blue": False}
    for drop in (e.onset for e in labelled.of(Phenomenon.LR_DROP)):
        here = {
            "red": any(e.onset < drop for e in over),
            "green": any(e.onset == drop for e in relief),
            "blue": any(e.onset >= drop for e in divergence),
        }
        if sum(here.values()) > sum(best.values()):
            best = here
    inversion = bool(labelled.of(Phenomenon.TRAIN_ABOVE_VAL))
    return {**best, "train_above_val": inversion, "all_four": all(best.values()) and inversion}


def trained(recipes: list[Recipe], what: str, keep: Path | None) -> list[LabelledRun]:
    """Train in batches with one progress bar; with `keep`, what was measured is stored there and used the next time."""
    stored = None if keep is None else keep / f"{what}-{len(recipes)}.pickle"
    if stored is not None and stored.exists():
        return label(recipes, pickle.loads(stored.read_bytes()))
    measured = []
    with tqdm(total=lane_epochs(recipes), desc=what, unit=" epochs", disable=not sys.stderr.isatty()) as bar:
        for start in range(0, len(recipes), BATCH):
            measured += measure(recipes[start : start + BATCH], progress=bar.update)
    if stored is not None:
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(pickle.dumps(measured))
    return label(recipes, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument(
        "--keep", type=Path, help="folder that keeps what was measured, so that scoring can be repeated"
    )
    args = parser.parse_args()
    seeds = range(args.seeds)
    runs = trained([replace(SEED_FIGURE, seed=s) for s in seeds], "seed", args.keep)
    healthy = trained([replace(HEALTHY, seed=s) for s in seeds], "healthy", args.keep)

    shown = [boxes(r) for r in runs]
    rows: list[dict[str, object]] = []
    for box in shown[0]:
        k = sum(s[box] for s in shown)
        lo, hi = exact_interval(k, len(shown))
        rows.append(
            {"box": box, "seeds": len(shown), "shown": k, "share": f"{k / len(shown):.3f}",
             "low": f"{lo:.3f}", "high": f"{hi:.3f}", "versions": versions()}
        )  # fmt: skip
        print(f"{box:<16} {k}/{len(shown)}  {k / len(shown):.2f}  [{lo:.2f}, {hi:.2f}]")
    write("seed_figure_boxes.csv", rows)

    alpha = 0.05
    diagnoses = [diagnose(r.run, alpha=alpha) for r in runs]
    quiet = [diagnose(r.run, alpha=alpha) for r in healthy]
    table: list[dict[str, object]] = []
    for phenomenon in CATALOGUE:
        s = score(runs, [d[phenomenon] for d in diagnoses], phenomenon)
        h = score(healthy, [d[phenomenon] for d in quiet], phenomenon)
        table.append(
            {
                "phenomenon": phenomenon,
                "events": s.events,
                "findings": s.findings,
                "matched": s.matched,
                "recall": f"{s.recall:.3f}",
                "precision": f"{s.precision:.3f}",
                "f1": f"{s.f1:.3f}",
                "median_distance": f"{s.median_distance:.1f}",
                "interval_covers": f"{s.covered / s.matched if s.matched else float('nan'):.3f}",
                "undetermined_runs": s.undetermined,
                "healthy_runs": h.runs,
                "healthy_null_runs": h.null_runs,
                "false_alarms": h.false_alarms,
            }
        )
        print(table[-1])
    write("seed_figure_detectors.csv", table)

    lines: list[dict[str, object]] = []
    for family, labelled, said in (("seed", runs, diagnoses), ("healthy", healthy, quiet)):
        for r, d in zip(labelled, said, strict=True):
            for what, items in (("event", r.events), ("finding", d.findings)):
                for i in items:
                    lines.append(
                        {
                            "family": family,
                            "run": r.run.name,
                            "what": what,
                            "phenomenon": str(i.phenomenon),
                            "onset": f"{i.onset:g}",
                            "end": "" if i.end is None else f"{i.end:g}",
                            "kind": i.kind,
                            "material": getattr(i, "material", ""),
                            "effect": " ".join(f"{k}={v:.4g}" for k, v in i.effect.items()),
                        }
                    )
    write("seed_figure_events.csv", lines)
    if args.seeds > SHOWN:
        save(draw(runs[SHOWN], diagnoses[SHOWN]), str(RESULTS / "seed_figure.png"))
        made("seed_figure.png")


if __name__ == "__main__":
    main()
