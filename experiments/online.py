"""Does a watch keep its promise, and how late is it? Writes `experiments/results/online.csv`.

*false alarms*: the share of runs whose curve never rises in which overfitting is ever told (by the e-process alone,
without the rules that hold alarms back), at alpha 0.01, 0.05 and 0.1. Families: flat, decay, slow decay, steps, a drop,
a cosine; autocorrelation 0 to the bound of 0.8, also between the coefficients that are tried; normal noise, Student's t
with four degrees of freedom, noise that grows or shrinks e-fold. The worst at 1,000 epochs is judged on fresh seeds, at
2,000 epochs too; autocorrelation beyond the bound, and sister runs, have rows of their own.

*power*: a linear rise over the second half, its height in noise widths, against rules that are tuned to alarm in 0.05
of the same runs without the rise, at the true autocorrelation, which no user knows: patience (epochs without a new
minimum), and the height above the lowest value so far (Prechelt, 1998), raw and of means over five epochs. About ten
minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from time import process_time

import numpy as np
from scipy.signal import lfilter
from tables import read, write

from detectors.anytime import MOST, anytime_p, between, memory
from detectors.noise import moving_average
from detectors.rising_online import BOUND
from detectors.vocabulary import Run
from detectors.watch import Watch
from sim.scores import exact_interval

ALPHAS = (0.01, 0.05, 0.1)
CHUNK = 2000  # runs at a time
SISTERS = 5
SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of time in 0..1, in noise widths
    "flat": lambda u: 0 * u,
    "decay": lambda u: 20 * np.exp(-u / 0.06),
    "slow decay": lambda u: 5 * np.exp(-u / 0.4),
    "steps": lambda u: -np.floor(20 * u),
    "drop": lambda u: 8 * np.exp(-u / 0.04) + 4 * (u < 0.5),
    "cosine": lambda u: 5 * np.cos(np.pi * u),
}
NOISES = ("normal noise", "heavy tails", "growing noise", "shrinking noise")


def noise_like(rng: np.random.Generator, shape: tuple[int, ...], rho: float, kind: str = "normal noise") -> np.ndarray:
    """AR(1) noise along the last axis, of unit variance on average."""
    n = shape[-1]
    e = rng.standard_t(4, shape) / np.sqrt(2) if kind == "heavy tails" else rng.standard_normal(shape)
    e[..., 1:] *= np.sqrt(1 - rho**2)
    growth = {"growing noise": 1.0, "shrinking noise": -1.0}.get(kind, 0.0)
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1)) * np.exp(growth * (np.arange(n) / n - 0.5))


def watched(
    rng: np.random.Generator, runs: int, curve: np.ndarray, rho: float, kind: str = "normal noise"
) -> np.ndarray:
    """The anytime p-values of `runs` runs around `curve`, shape (runs, n)."""
    n, sizes = len(curve), [CHUNK] * (runs // CHUNK) + [runs % CHUNK] * (runs % CHUNK > 0)
    return np.concatenate([anytime_p(curve + noise_like(rng, (size, n), rho, kind), BOUND) for size in sizes])


def with_sisters(rng: np.random.Generator, runs: int, curve: np.ndarray, rho: float) -> np.ndarray:
    """The same with five sisters each, from which the bound and the noise come; 1 where they tell nothing."""
    noise = noise_like(rng, (runs, 1 + SISTERS, len(curve)), rho)
    others = between(noise[:, 1:])
    bounds, p = memory(others), np.ones((runs, len(curve)))
    for bound in np.unique(bounds[bounds <= MOST]):
        mine = bounds == bound
        p[mine] = anytime_p(curve + noise[mine, 0], float(bound), others[mine])
    return p


def ever(what: str, p: np.ndarray) -> list[list[object]]:
    """Rows on how many runs ever alarm."""
    rows: list[list[object]] = []
    for alpha in ALPHAS:
        count = int((p[:, -1] <= alpha).sum())
        low, high = exact_interval(count, len(p), 0.95)
        said = [f"{v:.4f}" for v in (count / len(p), low, high)]
        rows.append(["false alarms", what, p.shape[1], "", "", f"watch, alpha {alpha:g}", *said, "", "", len(p)])
    print(rows[-2], flush=True)
    return rows


def checked(rho: float, runs: int) -> list[list[object]]:
    """Rows on flat runs of 600 epochs as a watch answers about them, with its check of the autocorrelation."""
    falling, rows = np.linspace(2, 1, 600), list[list[object]]()
    status = []
    for val in noise_like(np.random.default_rng([8]), (runs, 600), rho):
        run = Run(epochs=np.arange(600), series={"val_loss": 10 + val, "train_loss": falling})
        status.append(Watch(["overfitting"], smallest=0).replay(run)["overfitting"].status)
    for said in ("found", "undetermined"):
        count = status.count(said)
        low, high = exact_interval(count, runs, 0.95)
        what = f"beyond the bound, with the check of it: flat, autocorrelation {rho:g}, {said}"
        share = [f"{v:.4f}" for v in (count / runs, low, high)]
        rows.append(["false alarms", what, 600, "", "", "watch, alpha 0.05", *share, "", "", runs])
        print(rows[-1], flush=True)
    return rows


def false_alarms(runs: int, search: int) -> list[list[object]]:
    return [*worst(("normal noise",), runs, search), *worst(NOISES[1:], runs, search), *others(min(runs, 2000))]


def worst(kinds: tuple[str, ...], runs: int, search: int) -> list[list[object]]:
    """Rows on the family of these kinds of noise that alarms most, on fresh seeds; a quarter as many long runs."""
    time, found = np.arange(1000) / 1000, {}
    for i, (shape, rho, kind) in enumerate(product(SHAPES, (0.0, 0.48, 0.76, 0.8), kinds)):
        p = watched(np.random.default_rng([1, len(kinds), i]), search, SHAPES[shape](time), rho, kind)
        found[shape, rho, kind] = int((p[:, -1] <= 0.5).sum())  # often enough to be compared
    shape, rho, kind = max(found, key=lambda key: found[key])
    rows: list[list[object]] = []
    for n, size in ((1000, runs), (2000, runs // 4)):
        curve = SHAPES[shape](np.arange(n) / n)
        p = watched(np.random.default_rng([2, n]), size, curve, rho, kind)
        rows += ever(f"worst of {len(found)} families, {kind}: {shape}, autocorrelation {rho:g}", p)
    return rows


def others(runs: int) -> list[list[object]]:
    """Rows on runs beyond the bound, without and with the check of it, and on runs with sisters."""
    rows: list[list[object]] = []
    for rho in (0.9, 0.95):
        p = watched(np.random.default_rng([3]), runs, np.zeros(1000), rho)
        rows += ever(f"beyond the bound, before the check of it: flat, autocorrelation {rho:g}", p)
        rows += checked(rho, min(runs, 100))
    for rho in (0.0, 0.5, 0.8):
        p = with_sisters(np.random.default_rng([4]), runs, np.zeros(200), rho)
        rows += ever(f"with {SISTERS} sisters: flat, autocorrelation {rho:g}", p)
    return rows


def patience(y: np.ndarray) -> np.ndarray:
    """Epochs since the lowest value so far, shape (runs, n)."""
    new = y <= np.minimum.accumulate(y, axis=1)
    at = np.where(new, np.arange(y.shape[1]), 0)
    return np.asarray(np.arange(y.shape[1]) - np.maximum.accumulate(at, axis=1), float)


def above(y: np.ndarray) -> np.ndarray:
    """Height above the lowest value so far, shape (runs, n)."""
    return np.asarray(y - np.minimum.accumulate(y, axis=1))


def above_smooth(y: np.ndarray) -> np.ndarray:
    """The same of means over five values."""
    return np.pad(above(moving_average(y, 5)), ((0, 0), (4, 0)))


RULES = {"patience": patience, "height above the minimum": above, "the same, means of 5": above_smooth}


def power(runs: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for n, rho in product((200, 1000), (0.0, 0.5, 0.8)):
        time = np.arange(n) / n
        decay = 20 * np.exp(-time / 0.075)
        null = decay + noise_like(np.random.default_rng([5, n]), (4000, n), rho)
        limits = {name: np.quantile(rule(null).max(1), 0.95, method="higher") for name, rule in RULES.items()}
        for height in (2, 4, 8, 16):
            curve = decay + height * np.maximum(2 * time - 1, 0)
            onset = int(np.argmin(curve))
            y = curve + noise_like(np.random.default_rng([6, n, height]), (runs, n), rho)
            hits = {f"{name} (beyond {limits[name]:.3g})": rule(y) > limits[name] for name, rule in RULES.items()}
            p = watched(np.random.default_rng([6, n, height]), runs, curve, rho)
            sisters = with_sisters(np.random.default_rng([7, n, height]), min(runs, 500), curve, rho)
            hits = {"watch, alpha 0.05": p <= 0.05, f"watch with {SISTERS} sisters": sisters <= 0.05, **hits}
            for name, hit in hits.items():
                first = np.where(hit.any(1), hit.argmax(1), n)
                right, early = (first >= onset) & (first < n), first < onset
                low, high = exact_interval(int(right.sum()), len(hit), 0.95)
                delay = f"{np.median(first[right]) - onset:.0f}" if right.any() else ""
                said = [f"{v:.3f}" for v in (right.mean(), low, high)]
                rows.append(
                    ["power", "linear rise", n, rho, height, name, *said, delay, f"{early.mean():.3f}", len(hit)]
                )
            print(*rows[-len(hits) :], sep="\n", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="fresh runs of the worst families")
    parser.add_argument("--search", type=int, default=60, help="runs of each family in the search")
    parser.add_argument("--power", type=int, default=300, help="runs with a rise, in each cell")
    parser.add_argument("--only", choices=["false alarms", "power"], help="the rows of the other stay as they are")
    args = parser.parse_args()
    parts = {"false alarms": lambda: false_alarms(args.runs, args.search), "power": lambda: power(args.power)}
    kept: list[list[object]] = [[*row.values()] for row in read("online.csv")] if args.only else []
    start = process_time()
    rows: list[list[object]] = []
    for part, ask in parts.items():
        if args.only in (None, part):
            rows += ask()
        else:
            rows += [row for row in kept if (row[0] == "false alarms") == (part == "false alarms")]
    print(f"{process_time() - start:.0f} s of processor time")
    head = ["what", "curve", "epochs", "autocorrelation", "height", "rule", "share", "low", "high", "delay"]
    head += ["too early", "runs"]
    write("online.csv", [dict(zip(head, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
