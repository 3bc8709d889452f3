"""Simulate the null distribution of a curve below its line and write `detectors/continuation_null.csv`.

For each number of values before and after a drop, and from which the memory of the noise is told: the upper quantiles
of the statistic (`detectors.continuation`), everything estimated as in use, on flat curves and on steep straight lines,
for the kinds of noise of `climb_null.py`. All kinds are simulated on few runs, the three with the largest quantiles
anew on many; the largest is kept. About five minutes.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from climb_null import GROWTHS, KEPT, LEVELS, SEARCHED, in_chunks, noise

from detectors.continuation import continued
from detectors.noise import FEWEST, despike

BEFORE = (6, 12, 30, 60)
AFTER = (4, 12, 30)
TOLD = (10, 30, 60, 120, 240)
SLOPES = (0.0, 2.0)  # widths of the noise by which the curve falls at each step
CHUNK = 500
FURTHER = 60  # values of a further piece


def cases() -> list[tuple[int, int, int]]:
    """Values before, after, and told from; the smallest number told from that the two sides give, and larger ones."""
    out = []
    for before, after in product(BEFORE, AFTER):
        least = max(told for told in TOLD if told <= before + after)
        out += [(before, after, told) for told in TOLD if told >= least]
    return out


def statistics(
    rng: np.random.Generator,
    runs: int,
    case: tuple[int, int, int],
    rho: float,
    growth: float,
    heavy: bool,
    slope: float,
) -> np.ndarray:
    """The statistic of curves with a null drop, shape (runs,)."""
    before, after, told = case

    def some() -> np.ndarray:
        y = noise(rng, CHUNK, before + after, rho, growth, heavy) - slope * np.arange(before + after)
        rest = told - before - after
        sizes = [min(FURTHER, rest - i) for i in range(0, rest, FURTHER)]
        others = [despike(noise(rng, CHUNK, n, rho, growth, heavy)) for n in sizes if n >= FEWEST]
        clean = despike(y)
        return continued(clean[:, :before], clean[:, before:], *others).ratio

    return in_chunks(runs, some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--search", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=20_242)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "detectors" / "continuation_null.csv")
    args = parser.parse_args()
    kinds = list(product(SEARCHED, GROWTHS, (False, True), SLOPES))
    rows = []
    for case in cases():
        score = [
            np.quantile(
                statistics(np.random.default_rng([args.seed, *case, k]), args.search, case, *kind), (0.95, 0.99)
            ).sum()
            for k, kind in enumerate(kinds)
        ]
        worst = np.full(len(LEVELS), -np.inf)
        for k in np.argsort(score)[-KEPT:].tolist():
            found = statistics(np.random.default_rng([args.seed, *case, k, 1]), args.runs, case, *kinds[k])
            worst = np.maximum(worst, np.quantile(found, 1 - np.array(LEVELS)))
        print(*case, kinds[int(np.argmax(score))], np.round(worst[[6, 9, 13]], 2), flush=True)
        rows += [",".join([*map(str, case), f"{v:g}", f"{x:.4f}"]) for v, x in zip(LEVELS, worst, strict=True)]
    header = (
        f"# written by experiments/continuation_null.py --runs {args.runs} --search {args.search} --seed {args.seed} "
        f"with NumPy {np.__version__}"
    )
    args.out.write_text("\n".join([header, "before,after,told,level,value", *rows]) + "\n")


if __name__ == "__main__":
    main()
