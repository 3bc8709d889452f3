"""How often does a monitor alarm where one look at the end would not, and what does an update cost?

Writes `experiments/results/live.csv`: on runs of flat families of 200 epochs that have nothing to find, the share with
any finding of overfitting at the end (one look, alpha = 0.05 over all detectors) and with one told at any time (a look
after each update); and milliseconds an update over 200 and over a long run. An hour or more on one core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from tables import write

from detectors.live import Monitor
from detectors.vocabulary import Run
from sim.composed import Composed, observe
from sim.scores import exact_interval

PHENOMENON = "overfitting"


def watched(run: Run) -> tuple[bool, bool]:
    """(told at any time, found by the last look)."""
    monitor, told = Monitor(), False
    for i, epoch in enumerate(run.epochs):
        new = monitor.update(epoch, **{key: values[i] for key, values in run.series.items()})
        told = told or any(f.phenomenon == PHENOMENON for f in new)
    assert monitor.diagnosis is not None
    return told, bool(monitor.diagnosis[PHENOMENON].findings)


def cost(updates: int) -> float:
    """Milliseconds of processor time an update, on losses of which the second rises from the middle on."""
    x, rng, monitor = np.arange(updates) / updates, np.random.default_rng(0), Monitor()
    train = 2 * np.exp(-5 * x) + rng.normal(0, 0.01, updates)
    val = 2 * np.exp(-5 * x) + 0.3 + 0.4 * np.clip(x - 0.5, 0, None) + rng.normal(0, 0.02, updates)
    start = time.process_time()
    for i in range(updates):
        monitor.update(i + 1, loss=train[i], val_loss=val[i])
    return 1e3 * (time.process_time() - start) / updates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="runs of each family")
    parser.add_argument("--updates", type=int, default=100_000, help="of the long run whose updates are timed")
    args = parser.parse_args()
    rows = []
    for rho in (0.0, 0.4, 0.8):
        spec = Composed(initial=0.6, decay=0.5, train_decay=0.5, noise=0.02, rho=rho)
        results = np.array([watched(run) for run in observe(spec, range(args.runs))])
        for name, count in zip(("told at any time", "found at the end"), results.sum(0), strict=True):
            low, high = exact_interval(int(count), args.runs)
            share = f"{count / args.runs:.3f}"
            rows.append([f"flat, autocorrelation {rho:g}: {name}", share, f"{low:.3f}", f"{high:.3f}", args.runs])
            print(rows[-1], flush=True)
    for updates in (200, args.updates):
        rows.append([f"milliseconds an update over {updates} updates", f"{cost(updates):.2f}", "", "", 1])
        print(rows[-1], flush=True)
    head = ["what", "value", "low", "high", "runs"]
    write("live.csv", [dict(zip(head, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
