"""Simulate the null distribution of the climb test and write `detectors/climb_null.csv`.

Two passes per length: the 99 % point of the climb at each scale for known AR(1) noise of unit variance; then, with the
noise estimated and outliers clipped as in use, the upper quantiles of the statistic, of which the largest over the
autocorrelations 0 to 0.8 is kept. About ten minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from detectors import climb

LENGTHS = (12, 16, 22, 30, 40, 55, 75, 100, 140, 200, 300, 500, 1024)
RHO = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
POOLS = (1, 2, 4)  # times its own length that a series shares its autocorrelation with
PROMISED = 0.8
LEVELS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)
UNIT_LEVEL = 0.99


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) noise of unit variance, shape (runs, n)."""
    e = rng.standard_normal((runs, n))
    e[:, 1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], e, axis=-1))


def statistic(rng: np.random.Generator, runs: int, n: int, pool: int, rho: float) -> np.ndarray:
    """The climb statistic of flat series of n values in runs `pool` times as long, shape (runs,)."""
    whole = ar1(rng, runs, n * pool, rho)
    pieces = [climb.despike(whole[:, i * n : (i + 1) * n]) for i in range(1, pool)]
    return climb.climb_statistic(whole[:, :n], pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20_240)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors" / "climb_null.csv")
    args = parser.parse_args()
    rows: list[str] = []
    units = []
    for n in LENGTHS:
        rng = np.random.default_rng([args.seed, n, 0])
        unit = []
        for rho in RHO:
            chunks = [
                np.stack([climb.largest_climb(y, m) for m in climb.scales(n)], -1)
                for y in (ar1(rng, 1000, n, rho) for _ in range(args.runs // 1000))
            ]
            unit.append(np.quantile(np.concatenate(chunks), UNIT_LEVEL, axis=0))
            rows += [f"unit,{n},,{rho:g},{m},,{v:.4f}" for m, v in zip(climb.scales(n), unit[-1], strict=True)]
        units.append(np.array(unit))
        print(n, np.round(unit[0], 2))
    first_pass = climb.Table(*(np.array(v) for v in (LENGTHS, RHO, POOLS, LEVELS)), tuple(units), ())
    climb.table = lambda: first_pass  # type: ignore[assignment]
    for n in LENGTHS:
        for pool in POOLS:
            worst = np.zeros(len(LEVELS))
            for rho in (r for r in RHO if r <= PROMISED):
                rng = np.random.default_rng([args.seed, n, pool, round(100 * rho)])
                found = np.concatenate([statistic(rng, 1000, n, pool, rho) for _ in range(args.runs // 1000)])
                worst = np.maximum(worst, np.quantile(found, 1 - np.array(LEVELS)))
            print(n, pool, np.round(worst[[6, 9, 13]], 3), flush=True)
            rows += [f"tail,{n},{pool},,,{level:g},{v:.4f}" for level, v in zip(LEVELS, worst, strict=True)]
    header = f"# written by experiments/climb_null.py --runs {args.runs} --seed {args.seed} with NumPy {np.__version__}"
    args.out.write_text("\n".join([header, "what,length,pool,rho,scale,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
