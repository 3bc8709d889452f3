"""Simulate the null distributions of the spike and the oscillation test; write their tables in `detectors/`.

For each length: the upper quantiles of a run's largest statistic on flat AR(1) noise, everything estimated as in use,
of which the largest is kept over autocorrelations 0 to 0.8 and four kinds of noise: normal, Student's t with four
degrees of freedom, growing and shrinking e-fold. About ten minutes each; `--only` makes one of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from climb_null import ar1
from falls_null import KINDS

from detectors.oscillation import peak_statistic
from detectors.spike import leaps

LENGTHS = (25, 32, 40, 50, 64, 80, 100, 140, 200, 300, 500, 1024)
RHO = (0.0, 0.2, 0.4, 0.6, 0.8)
LEVELS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)
CHUNK = 500  # series at a time
STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "spike": lambda values: leaps(values).statistic.max(axis=-1),
    "oscillation": peak_statistic,
}
LEVEL = 50.0  # widths of the noise by which the level lies above nothing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20_242)
    parser.add_argument("--only", choices=list(STATISTICS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors")
    args = parser.parse_args()
    for name in [args.only] if args.only else STATISTICS:
        rows: list[str] = []
        for n in LENGTHS:
            worst = np.zeros(len(LEVELS))
            for r, rho in enumerate(RHO):
                for k, change in enumerate(KINDS.values()):
                    rng = np.random.default_rng([args.seed, n, r, k])
                    found = np.concatenate(
                        [
                            STATISTICS[name](LEVEL + change(ar1(rng, CHUNK, n, rho)))
                            for _ in range(max(args.runs // CHUNK, 1))
                        ]
                    )
                    worst = np.maximum(worst, np.quantile(found, 1 - np.array(LEVELS)))
            worst = np.maximum.accumulate(worst + 1e-6 * np.arange(len(LEVELS)))  # strictly increasing, to be inverted
            print(name, n, np.round(worst[[4, 7, 12]], 2), flush=True)
            rows += [f"{n},{level:g},{v:.4f}" for level, v in zip(LEVELS, worst, strict=True)]
        how = f"--runs {args.runs} --seed {args.seed} with NumPy {np.__version__}"
        head = f"# written by experiments/further_null.py {how}"
        (args.out / f"{name}_null.csv").write_text("\n".join([head, "length,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
