"""Simulate the null distribution of the climb test and write `detectors/climb_null.csv`.

Two passes per length. First the 99 % point of the climb at each scale for known AR(1) noise of unit width, the larger
one of normal noise and of Student's t with four degrees of freedom, outliers brought back as in use. Then, with
everything estimated as in use, the upper quantiles of the statistic: for each autocorrelation from 0 to 0.8 and each
kind of noise (normal or t, of constant width, growing or shrinking e-fold) on few runs; the three with the largest
quantiles are simulated anew on many, and the largest is kept. About ten minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit

from detectors import climb
from detectors.noise import despike
from detectors.null import Table

LENGTHS = (12, 16, 22, 30, 40, 55, 75, 100, 140, 200, 300, 500, 1024)
RHO = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SEARCHED = (0.0, 0.3, 0.5, 0.7, 0.8)
PIECES = (1, 2, 4, 8)  # equal ones, each with a width and a growth of its own
LEVELS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)
UNIT_LEVEL = 0.99
GROWTHS = (0.0, 1.0, -1.0)
KEPT = 3  # kinds of noise that are simulated on many runs
CHUNK = 500  # series at a time


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) noise of unit variance, shape (runs, n)."""
    e = rng.standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1))


def noise(rng: np.random.Generator, runs: int, n: int, rho: float, growth: float, heavy: bool) -> np.ndarray:
    """AR(1) noise whose width grows by exp(`growth`), normal or, in the margin, Student's t with four degrees."""
    y = ar1(rng, runs, n, rho)
    if heavy:
        y = stdtrit(4, ndtr(y)) / np.sqrt(2)
    return np.asarray(y * np.exp(growth * ((np.arange(n) + 0.5) / n - 0.5)))


def in_chunks(runs: int, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The rows of as many calls of `make` as `runs` rows need."""
    return np.concatenate([make() for _ in range(-(-runs // CHUNK))])


def units(seed: int, runs: int, n: int, rho: float) -> np.ndarray:
    """The 99 % points of the largest climbs at each scale in known noise, shape (scales,)."""

    def climbs(heavy: bool) -> np.ndarray:
        rng = np.random.default_rng([seed, n, round(100 * rho), heavy])

        def some() -> np.ndarray:
            y = noise(rng, CHUNK, n, rho, 0.0, heavy)
            y, width = despike(y) if heavy else y, np.ones_like(y)
            return np.stack([climb.largest_climb(y, width, m) for m in climb.scales(n)], axis=-1)

        return np.asarray(np.quantile(in_chunks(runs, some), UNIT_LEVEL, axis=0))

    return np.maximum(climbs(heavy=False), climbs(heavy=True))


def statistics(
    rng: np.random.Generator, runs: int, n: int, pieces: int, rho: float, growth: float, heavy: bool
) -> np.ndarray:
    """The climb statistic of flat series of n values in that many pieces, shape (runs,), as far as n has room."""
    cuts = [n * i // pieces for i in range(1, pieces)] if n >= pieces * climb.SHORTEST else []

    def some() -> np.ndarray:
        return climb.climb_statistic(noise(rng, CHUNK, n, rho, growth, heavy), cuts)

    return in_chunks(runs, some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--search", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=20_240)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors" / "climb_null.csv")
    args = parser.parse_args()
    rows: list[str] = []
    unit = []
    for n in LENGTHS:
        unit.append(np.array([units(args.seed, args.runs, n, rho) for rho in RHO]))
        for rho, points in zip(RHO, unit[-1], strict=True):
            rows += [f"unit,{n},,{rho:g},{m},,{v:.4f}" for m, v in zip(climb.scales(n), points, strict=True)]
        print(n, np.round(unit[-1][0], 2), flush=True)
    first_pass = Table(*(np.array(v) for v in (LENGTHS, RHO, PIECES, LEVELS)), tuple(unit), ())
    climb.table = lambda: first_pass  # type: ignore[assignment]
    kinds = list(product(SEARCHED, GROWTHS, (False, True)))
    for n, pieces in product(LENGTHS, PIECES):
        score = []
        for k, kind in enumerate(kinds):
            found = statistics(np.random.default_rng([args.seed, n, pieces, k]), args.search, n, pieces, *kind)
            score.append(np.quantile(found, (0.95, 0.99)).sum())
        worst = np.zeros(len(LEVELS))
        for k in np.argsort(score)[-KEPT:].tolist():
            rng = np.random.default_rng([args.seed, n, pieces, k, 1])
            found = statistics(rng, args.runs, n, pieces, *kinds[k])
            worst = np.maximum(worst, np.quantile(found, 1 - np.array(LEVELS)))
        print(n, pieces, kinds[int(np.argmax(score))], np.round(worst[[6, 9, 13]], 3), flush=True)
        rows += [f"tail,{n},{pieces},,,{level:g},{v:.4f}" for level, v in zip(LEVELS, worst, strict=True)]
    header = (
        f"# written by experiments/climb_null.py --runs {args.runs} --search {args.search} --seed {args.seed} "
        f"with NumPy {np.__version__}"
    )
    args.out.write_text("\n".join([header, "what,length,pieces,rho,scale,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
