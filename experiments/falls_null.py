"""Simulate the null distribution of the largest sudden fall and write `detectors/falls_null.csv`.

For each length: the upper quantiles of the statistic on AR(1) noise around a steep straight line, where none of the
test's restrictions binds, everything estimated as in use, of which the largest is kept over autocorrelations 0 to 0.8
and four kinds of noise: normal, Student's t with four degrees of freedom (in the margin; the memory is that of a normal
series behind it), growing and shrinking e-fold. At 3,000 runs about ten minutes of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from climb_null import ar1
from scipy.special import ndtr, stdtrit

from detectors import falls

LENGTHS = (25, 32, 40, 50, 64, 80, 100, 140, 200, 300, 500, 1024)
RHO = (0.0, 0.2, 0.4, 0.6, 0.8)
LEVELS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda y: y,
    "heavy": lambda y: stdtrit(4, ndtr(y)) / np.sqrt(2),
    "growing": lambda y: y * np.exp(np.linspace(-0.5, 0.5, y.shape[-1])),
    "shrinking": lambda y: y * np.exp(np.linspace(0.5, -0.5, y.shape[-1])),
}
STEEP = 20.0  # widths of the noise that the line falls by at each step
CHUNK = 500  # series at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20_241)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors" / "falls_null.csv")
    args = parser.parse_args()
    rows: list[str] = []
    for n in LENGTHS:
        worst = np.zeros(len(LEVELS))
        for r, rho in enumerate(RHO):
            for k, change in enumerate(KINDS.values()):
                rng = np.random.default_rng([args.seed, n, r, k])
                found = np.concatenate(
                    [
                        falls.fall_statistic(change(ar1(rng, CHUNK, n, rho)) - STEEP * np.arange(n))
                        for _ in range(args.runs // CHUNK)
                    ]
                )
                # "higher": nothing falls in many short series, and minus infinity has no neighbours
                worst = np.maximum(worst, np.quantile(found, 1 - np.array(LEVELS), method="higher"))
        worst = np.maximum.accumulate(worst + 1e-6 * np.arange(len(LEVELS)))  # strictly increasing, to be inverted
        print(n, np.round(worst[[4, 7, 12]], 2), flush=True)
        rows += [f"{n},{level:g},{v:.4f}" for level, v in zip(LEVELS, worst, strict=True)]
    header = f"# written by experiments/falls_null.py --runs {args.runs} --seed {args.seed} with NumPy {np.__version__}"
    args.out.write_text("\n".join([header, "length,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
