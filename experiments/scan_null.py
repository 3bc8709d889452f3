"""Simulate the null distribution of the scan test and write `detectors/scan_null.csv`.

As `climb_null.py`, for series at zero whose first value is huge: the 99 % points of each length of window in known
noise, then the quantiles of the statistics with everything estimated; the column `pieces` says of which (1: the windows
at the start, 2: all). About five minutes.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from climb_null import CHUNK, GROWTHS, KEPT, LEVELS, RHO, SEARCHED, UNIT_LEVEL, in_chunks, noise

from detectors import scan
from detectors.noise import despike
from detectors.null import Table

LENGTHS = (8, 12, 16, 22, 30, 40, 60, 100, 140, 200, 300, 500, 1024)
HUGE = 1000.0


def series(rng: np.random.Generator, n: int, rho: float, growth: float = 0.0, heavy: bool = False) -> np.ndarray:
    """Noise behind one huge value, shape (CHUNK, n)."""
    y = noise(rng, CHUNK, n, rho, growth, heavy)
    y[:, 0] = HUGE
    return y


def units(seed: int, runs: int, n: int, rho: float) -> np.ndarray:
    """The 99 % points of each size of window in known noise, normal or heavy, shape (sizes,)."""

    def found(heavy: bool) -> np.ndarray:
        rng = np.random.default_rng([seed, n, round(100 * rho), heavy])

        def some() -> np.ndarray:
            y = despike(series(rng, n, rho, heavy=heavy))
            return np.stack([scan.means_but_largest(y, size).max(axis=-1) for size in scan.sizes(n)], axis=-1)

        return np.asarray(np.quantile(in_chunks(runs, some), UNIT_LEVEL, axis=0))

    return np.maximum(found(heavy=False), found(heavy=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--search", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=20_243)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors" / "scan_null.csv")
    args = parser.parse_args()
    rows: list[str] = []
    unit = []
    for n in LENGTHS:
        unit.append(np.array([units(args.seed, args.runs, n, rho) for rho in RHO]))
        for rho, points in zip(RHO, unit[-1], strict=True):
            rows += [f"unit,{n},,{rho:g},{m},,{v:.4f}" for m, v in zip(scan.sizes(n), points, strict=True)]
    first_pass = Table(*(np.array(v) for v in (LENGTHS, RHO, (scan.START, scan.ALL), LEVELS)), tuple(unit), ())
    scan.table = lambda: first_pass  # type: ignore[assignment]
    kinds = list(product(SEARCHED, GROWTHS, (False, True)))
    for n in LENGTHS:

        def statistics(rng: np.random.Generator, runs: int, kind: tuple[float, float, bool], n: int = n) -> np.ndarray:
            return in_chunks(runs, lambda: scan.scan_statistic(series(rng, n, *kind)).T)

        found = [
            statistics(np.random.default_rng([args.seed, n, k]), args.search, kind) for k, kind in enumerate(kinds)
        ]
        for case in (scan.START, scan.ALL):
            score = [np.quantile(f[:, case - 1], (0.95, 0.99)).sum() for f in found]
            worst = np.full(len(LEVELS), -np.inf)
            for k in np.argsort(score)[-KEPT:].tolist():
                many = statistics(np.random.default_rng([args.seed, n, k, case]), args.runs, kinds[k])[:, case - 1]
                worst = np.maximum(worst, np.quantile(many, 1 - np.array(LEVELS)))
            print(n, case, kinds[int(np.argmax(score))], np.round(worst[[6, 9, 13]], 3), flush=True)
            rows += [f"tail,{n},{case},,,{level:g},{v:.4f}" for level, v in zip(LEVELS, worst, strict=True)]
    header = (
        f"# written by experiments/scan_null.py --runs {args.runs} --search {args.search} --seed {args.seed} "
        f"with NumPy {np.__version__}"
    )
    args.out.write_text("\n".join([header, "what,length,pieces,rho,scale,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
