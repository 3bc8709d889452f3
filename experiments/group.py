"""Does the test of several runs keep its level, and what does it find that one run does not show?

Writes `experiments/results/group.csv`. *false alarms*: the share of groups whose curve never rises with a p-value of at
most alpha, for 6, 8 and 10 runs of 200 epochs; autocorrelation 0.5 and 0.9, heavy tails, noise that grows e-fold, a
steep and a slow decay; also of relief at a drop that does nothing. *power*: a linear rise over the second half, its
height in noise widths, for 6 to 16 runs, beside the single-run test (`detectors.overfitting`) on one of them; how often
the onset interval holds the bottom, its length, and how often the interval of the height holds it. A quarter of an hour
on one core.
"""

from __future__ import annotations

import argparse
from itertools import product
from time import process_time

import numpy as np
from scipy.signal import lfilter
from tables import read, write

from detectors.group import diagnose_group, rise_contrasts
from detectors.overfitting import Overfitting
from detectors.sign_flip import flipped_maxima, p_values, t_of
from detectors.vocabulary import Run
from sim.scores import exact_interval

N = 200
TIME = np.arange(N) / N
CHUNK = 500  # groups at a time
DECAY = 20 * np.exp(-TIME / 0.075)
FAMILIES = {  # autocorrelation, kind of noise, curve in noise widths
    "flat, autocorrelation 0.5": (0.5, "normal", 0 * TIME),
    "flat, autocorrelation 0.9": (0.9, "normal", 0 * TIME),
    "flat, autocorrelation 0.5, heavy tails": (0.5, "heavy tails", 0 * TIME),
    "flat, autocorrelation 0.5, growing noise": (0.5, "growing", 0 * TIME),
    "decay, autocorrelation 0.5": (0.5, "normal", DECAY),
    "slow decay, autocorrelation 0.9": (0.9, "normal", -2 * TIME),
}
LEVEL = 0.9


def noise_like(rng: np.random.Generator, runs: int, rho: float, kind: str = "normal") -> np.ndarray:
    """AR(1) noise of unit variance, shape (runs, N)."""
    e = rng.standard_t(4, (runs, N)) / np.sqrt(2) if kind == "heavy tails" else rng.standard_normal((runs, N))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    growth = np.exp(TIME - 0.5) if kind == "growing" else 1.0
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1)) * growth


def runs_of(values: np.ndarray, drop: bool = False) -> list[Run]:
    """Runs with these validation losses, in noise widths; training losses fall."""
    series = {"train_loss": 30 - 10 * TIME}
    if drop:
        series["learning_rate"] = np.where(np.arange(N) < N // 2, 0.1, 0.01)
    return [Run(epochs=np.arange(1.0, N + 1), series={"val_loss": 30 + v, **series}) for v in values]


def false_alarms(groups: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for runs, (family, (rho, kind, curve)) in product((6, 8, 10), FAMILIES.items()):
        rng, found = np.random.default_rng([1, runs]), []
        for size in [CHUNK] * (groups // CHUNK) + [groups % CHUNK] * (groups % CHUNK > 0):
            slopes, _ = rise_contrasts(curve + noise_like(rng, size * runs, rho, kind))  # of all groups at once
            for contrasts in slopes.reshape(size, runs, -1):
                found.append(p_values(t_of(contrasts), flipped_maxima(contrasts)).min())
        p = np.array(found)
        for alpha in (0.01, 0.05):
            rows.append(row("false alarms", runs, family, f"alpha {alpha:g}", p <= alpha))
        print(rows[-1], flush=True)
    for runs, name in product((6, 8), ("flat", "decay")):
        rng, curve = np.random.default_rng([2, runs]), DECAY if name == "decay" else 0 * TIME
        hit = [
            bool(diagnose_group(runs_of(curve + noise_like(rng, runs, 0.5), drop=True)).findings)
            for _ in range(groups // 10)
        ]
        rows.append(row("false alarms", runs, f"{name}, with a drop that does nothing", "alpha 0.05", np.array(hit)))
        print(rows[-1], flush=True)
    return rows


def power(groups: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for rho, height in product((0.0, 0.5, 0.8), (1, 2, 4)):
        curve = DECAY + height * np.maximum(2 * TIME - 1, 0)
        rise = f"rise of {height} noise widths, autocorrelation {rho:g}"
        bottom, true = int(np.argmin(curve)) + 1, float(curve[-1] - curve.min())
        rng = np.random.default_rng([3, height, int(10 * rho)])
        single = Overfitting(smallest=0.0)
        alone = [bool(single.detect(run).findings) for run in runs_of(curve + noise_like(rng, groups, rho))]
        rows.append(row("power", 1, rise, "single run", np.array(alone)))
        print(rows[-1], flush=True)
        for runs in (6, 8, 10, 12, 16):
            found = []
            size = groups if runs < 12 else groups // 2
            for _ in range(size):
                verdict = diagnose_group(runs_of(curve + noise_like(rng, runs, rho)), smallest=0.0)["overfitting"]
                found.append(verdict.findings[:1])
            hit = np.array([bool(f) for f in found])
            rows.append(row("power", runs, rise, "together", hit))
            told = [f[0] for f in found if f]
            if told:
                holds = [f.onset_interval[0] <= bottom <= f.onset_interval[1] for f in told]
                high = [f.effect["prominence_low"] <= true <= f.effect["prominence_high"] for f in told]
                length = np.median([f.onset_interval[1] - f.onset_interval[0] for f in told])
                rows.append(row("onset interval holds the bottom", runs, rise, "together", np.array(holds)))
                rows.append(row("interval of the height holds it", runs, rise, "together", np.array(high)))
                rows.append(
                    ["median length of the onset interval", runs, rise, "together", f"{length:g}", "", "", len(told)]
                )
        print(*rows[-20:], sep="\n", flush=True)
    return rows


def row(what: str, runs: int, family: str, rule: str, hit: np.ndarray) -> list[object]:
    low, high = exact_interval(int(hit.sum()), len(hit), 0.95)
    return [what, runs, family, rule, f"{hit.mean():.4f}", f"{low:.4f}", f"{high:.4f}", len(hit)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=20_000, help="null groups of each family")
    parser.add_argument("--power", type=int, default=300, help="groups with a rise, in each cell")
    parser.add_argument("--only", choices=["false alarms", "power"], help="the rows of the other stay as they are")
    args = parser.parse_args()
    parts = {"false alarms": lambda: false_alarms(args.groups), "power": lambda: power(args.power)}
    kept: list[list[object]] = [[*row.values()] for row in read("group.csv")] if args.only else []
    start = process_time()
    rows: list[list[object]] = []
    for part, ask in parts.items():
        if args.only in (None, part):
            rows += ask()
        else:
            rows += [row for row in kept if (row[0] == "false alarms") == (part == "false alarms")]
    print(f"{process_time() - start:.0f} s of processor time")
    head = ["what", "runs", "curve", "rule", "value", "low", "high", "groups"]
    write("group.csv", [dict(zip(head, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
