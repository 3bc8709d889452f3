"""How often is a rise of a given height found, and is that more often than by a known test? Writes `power.csv`.

A decay from 20 noise widths, then a rise over the second half, in AR(1) noise; 200 and 600 evaluations. The climb test
is held against the multiscale t-test of adjacent windows, each in 8 batches, that judges by batch variances: both tests
are calibrated on the same null runs, flat with autocorrelation 0 to 0.8 and noise that is normal, heavy-tailed, growing
or shrinking, so that the worst of these families alarms in 5 %. Beside them, at its own alpha = 0.05, `overfitting` on
runs of `sim.composed` of 200 epochs; of those found the share whose first onset interval holds the true onset, its
median length, and that of an oracle: the shortest set of onsets with 90 % of the posterior for someone who knows the
curve and the noise, and only not by how much the rise is shifted. About five minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from climb_null import ar1, noise
from scipy.stats import chi2
from tables import write

from detectors.catalogue import detect_many
from detectors.climb import climb_statistic
from detectors.overfitting import Overfitting
from sim.ambiguity import whitened
from sim.composed import Composed, compose_one, observe
from sim.composed.expectation import expected
from sim.composed.recipe import columns_of

ALPHA = 0.05
CONFIDENCE = 0.9  # of the onset intervals
TOLD = ("found", "undetermined", "missed", "covers", "length", "oracle")
RHO = (0.0, 0.3, 0.5, 0.8)
RISES = (2.0, 4.0, 8.0)
LENGTHS = (200, 600)
KINDS = ((0.0, False), (0.0, True), (1.0, False), (-1.0, False))
LEVEL = 0.5  # of the composed validation loss after its decay
WIDTH = 0.01  # of the noise, relative


class MultiscaleT:
    """Welch's t of adjacent windows of 16, 32, ... values in 8 batches, over its 95 % point for this autocorrelation.

    The quantiles are Bonferroni's over scales, at the estimated autocorrelation and 1.64 of its standard errors; that
    is told from the trimmed second differences at lags 1 and 2.
    """

    batches = 8
    grid = np.array([0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])

    def __init__(self, n: int, runs: int = 2000) -> None:
        self.sizes = [size for size in (16, 32, 64, 128, 256) if 2 * size <= n]
        points, errors = [], []
        for rho in self.grid:
            y = ar1(np.random.default_rng([5, round(100 * rho)]), runs, n, rho)
            level = 1 - ALPHA / len(self.sizes)
            points.append([np.quantile(self.largest(y, size), level) for size in self.sizes])
            errors.append(np.sqrt(np.mean((self.memory(y) - rho) ** 2)))
        self.points, self.errors = np.maximum.accumulate(points, axis=0), np.array(errors)

    def largest(self, y: np.ndarray, size: int) -> np.ndarray:
        """The largest t of windows of `size` values in series of shape (runs, n), shape (runs,)."""
        m, b = self.batches, size // self.batches
        means = y[:, : y.shape[1] // b * b].reshape(len(y), -1, b).mean(-1)
        windows = np.lib.stride_tricks.sliding_window_view(means, m, axis=-1)
        mean, variance = windows.mean(-1), windows.var(-1, ddof=1)
        floor = 2e-4 * np.ptp(y, axis=1, keepdims=True)
        t = (mean[:, m:] - mean[:, :-m]) / np.sqrt((variance[:, m:] + variance[:, :-m]) / m + floor**2)
        return np.asarray(t.max(axis=1))

    def memory(self, y: np.ndarray, trim: float = 0.9) -> np.ndarray:
        """The autocorrelation told from each series, shape (runs,)."""
        grid = np.linspace(0, 0.97, 400)
        v = []
        for k in (1, 2):
            d = np.sort((y[:, 2 * k :] - 2 * y[:, k:-k] + y[:, : -2 * k]) ** 2, axis=1)
            v.append(d[:, : int(trim * d.shape[1])].mean(1) / chi2.cdf(chi2.ppf(trim, 1), 3) * trim)
        return np.interp(v[1] / v[0], (1 + grid) * (3 - grid**2) / (3 - grid), grid)

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """The statistic of series of shape (runs, n), shape (runs,)."""
        rho = self.memory(y)
        upper = np.minimum(rho + 1.64 * np.interp(rho, self.grid, self.errors), 0.95)
        ratios = [
            self.largest(y, size) / np.interp(upper, self.grid, self.points[:, i]) for i, size in enumerate(self.sizes)
        ]
        return np.asarray(np.max(ratios, axis=0))


def calibrated(test: Callable[[np.ndarray], np.ndarray], n: int, runs: int) -> float:
    """The value that the statistic exceeds in 5 % of the runs of the worst null family."""
    families = product(RHO, KINDS)
    found = [
        test(noise(np.random.default_rng([1, n, k]), runs, n, rho, *kind)) for k, (rho, kind) in enumerate(families)
    ]
    return max(float(np.quantile(statistic, 1 - ALPHA)) for statistic in found)


def verdicts(rise: float, rho: float, runs: int) -> dict[str, str]:
    """What `overfitting` says about composed runs of 200 epochs, as shares, and of its onset intervals (see above)."""
    height = rise * WIDTH * LEVEL
    spec = Composed(noise=WIDTH, rho=rho, overfit=height, overfit_at=100, overfit_span=100)
    observed = observe(spec, range(runs))
    told = detect_many(Overfitting(alpha=ALPHA, level=CONFIDENCE), observed)
    status = [verdict.status for verdict in told]
    shares = {name: status.count(name) / runs for name in ("found", "undetermined", "absent")}
    (event,) = (e for e in compose_one(spec).events if e.phenomenon == "overfitting")
    out = {name: f"{share:.3f}" for name, share in zip(TOLD, shares.values(), strict=False)}
    found = [i for i, verdict in enumerate(told) if verdict.findings]
    if not found:
        return out | dict.fromkeys(TOLD[len(shares) :], "")
    low, high = np.array([told[i].findings[0].onset_interval for i in found]).T
    known = oracle(spec, np.stack([observed[i]["val_loss"] for i in found]))
    return out | {
        "covers": f"{((low <= event.onset) & (event.onset <= high)).mean():.3f}",
        "length": f"{np.median(high - low):.0f}",
        "oracle": f"{np.median(known):.0f}",
    }


def oracle(spec: Composed, losses: np.ndarray) -> np.ndarray:
    """How many epochs the shortest set of onsets spans that has 90 % of the posterior, shape (runs,).

    Of those who know all of the recipe but `overfit_at`, each value of which is as likely before; losses of shape
    (runs, epochs). Each value is as likely as the noise makes what is seen (`sim.ambiguity.whitened`).
    """
    shifted = [replace(spec, overfit_at=at) for at in range(1, spec.epochs - 1)]
    risk = expected(columns_of(shifted), spec.epochs).risk
    onset = 1 + risk.argmin(axis=1)
    width = compose_one(spec).expected.mean("noise_width")
    away = np.stack([(whitened(losses - curve, width, spec.rho) ** 2).sum(axis=1) for curve in risk], axis=1)
    posterior = np.exp((away.min(axis=1, keepdims=True) - away) / 2)
    posterior /= posterior.sum(axis=1, keepdims=True)
    order = np.argsort(-posterior, axis=1)
    sums = np.take_along_axis(posterior, order, axis=1).cumsum(axis=1)
    kept = [onset[best[: 1 + int(np.searchsorted(s, CONFIDENCE))]] for best, s in zip(order, sums, strict=True)]
    return np.array([float(np.ptp(epochs)) for epochs in kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    args = parser.parse_args()
    out = []
    for n in LENGTHS:
        tests: dict[str, Callable[[np.ndarray], np.ndarray]] = {"climb": climb_statistic, "multiscale": MultiscaleT(n)}
        critical = {name: calibrated(test, n, args.runs) for name, test in tests.items()}
        x = np.arange(n)
        for rise, rho in product(RISES, RHO):
            curve = 20 * np.exp(-x / (0.075 * n)) + rise * np.clip(2 * x / n - 1, 0, None)
            y = curve + ar1(np.random.default_rng([2, n, round(10 * rho)]), args.runs, n, rho)
            row: dict[str, object] = {"rise": f"{rise:g}", "epochs": n, "rho": f"{rho:g}", "runs": args.runs}
            row |= {name: f"{(test(y) > critical[name]).mean():.3f}" for name, test in tests.items()}
            row |= verdicts(rise, rho, max(args.runs // 4, 1)) if n == LENGTHS[0] else dict.fromkeys(TOLD, "")
            print(row, flush=True)
            out.append(row)
    write("power.csv", out)


if __name__ == "__main__":
    main()
