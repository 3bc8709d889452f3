"""Where in a run do events lie, on real logs and on composed runs as drawn? Writes `transfer_places.csv`.

What `transfer.py` does not match, and so what may set the two apart: how many events a run has that has any, where in
the run they begin, for how many epochs they last, how many begin within five epochs from a drop of the rate on. Real
events are the labels of eyes (`transfer_cases.py`), simulated ones the truth. Needs CURVESENSE_LOGS; a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matched import noisier, stretched
from real_logs import WITHIN, folder_of_logs
from tables import write
from transfer_cases import Case, of_logs, of_simulated

from detectors.segments import drop_positions
from detectors.vocabulary import Event
from sim.composed import MODEL

PHENOMENA = ("overfitting", "loss_accuracy_divergence", "train_above_val", "spike")
RUNS = 600


def places(cases: Sequence[Case], phenomenon: str, side: str) -> dict[str, Any]:
    """A row of the table."""
    shown = [(case, event) for case in cases for event in case.events]
    onsets = [(e.onset - c.run.epochs[0]) / (c.run.epochs[-1] - c.run.epochs[0]) for c, e in shown]
    lasting = [e.end - e.onset + 1 for _, e in shown if e.end is not None]
    dropped = [(c, e) for c, e in shown if "learning_rate" in c.run and drop_positions(c.run["learning_rate"])]
    row: dict[str, Any] = {"phenomenon": phenomenon, "side": side, "runs": sum(bool(c.events) for c in cases)}
    row |= {"events": len(shown), "at_a_drop": sum(after_drop(c, e) for c, e in dropped), "of": len(dropped)}
    for name, values in (("onset", onsets), ("epochs", lasting)):
        for q in (25, 50, 75):
            row[f"{name}_{q}"] = f"{np.quantile(values, q / 100):.3g}" if values else ""
    return row


def after_drop(case: Case, event: Event) -> bool:
    """Whether an event begins within five epochs from a drop on."""
    epochs = case.run.epochs
    return any(0 <= event.onset - epochs[d] <= WITHIN for d in drop_positions(case.run["learning_rate"]))


def main() -> int:
    folder = folder_of_logs()
    lengths = [len(case.run.epochs) for case in of_logs(folder, "overfitting")]
    rngs = [np.random.default_rng([4, i]) for i in range(RUNS)]
    drawn = [noisier(recipe, rng) for recipe, rng in zip(MODEL.drawn(rngs), rngs, strict=True)]
    recipes = [stretched(recipe, lengths[i % len(lengths)]) for i, recipe in enumerate(drawn)]
    runs = MODEL.make(recipes, [int(rng.integers(2**31)) for rng in rngs])
    rows = []
    for phenomenon in PHENOMENA:
        rows.append(places(of_logs(folder, phenomenon), phenomenon, "real"))
        rows.append(places([of_simulated(run, phenomenon) for run in runs], phenomenon, "simulated"))
        print(*rows[-2:], sep="\n", flush=True)
    write("transfer_places.csv", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
