"""How exact are the analytic models, what does a run of each cost, and what do their default recipes show?

Exact: the expectation against simulated runs, as z-scores of a mean over 4,096 of them, or `--runs` (whole series in
windows of 20 epochs for SGD; for gradient flow, which has no noise but that of the validation set, means over
validation sets; for logistic regression the population values of weights against fresh examples). Beside the largest z
stands in how many of the comparisons an expectation that is 1 % wrong would be more than 4 standard errors off.
Cost: processor time of a run with its truth and its twins, as the number of NumPy normals drawn in that time.

One row a model in `results/analytic.csv`; `--only` makes one row and keeps the others. All take 7 minutes of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from tables import read, write

from detectors.vocabulary import Phenomenon
from sim.analytic import gradient_flow, linear_regression, logistic_regression, noisy_quadratic
from sim.analytic.logistic_sgd import Lane, trajectories
from sim.analytic.margin import accuracy, risk
from sim.analytic.rates import rates
from sim.analytic.teacher import teacher
from sim.catalogue import MODELS
from sim.model import Model
from sim.randomness import Purpose
from sim.truth import is_null

WINDOW = 20
SHOWN = [str(p) for p in Phenomenon]

Comparison = tuple[np.ndarray, np.ndarray]  # exact, shape (k,), and simulated, shape (runs, k)


def windows(curve: np.ndarray) -> np.ndarray:
    """Means over windows of epochs, the last axis."""
    return np.stack([part.mean(-1) for part in np.split(curve, curve.shape[-1] // WINDOW, -1)], -1)


def noisy_quadratics(number: int) -> Iterator[Comparison]:
    """Eight noisy recipes, each run with so many seeds."""
    drawn = [noisy_quadratic.draw(np.random.default_rng([11, i])) for i in range(16)]
    for recipe in [r for r in drawn if r.noise > 0][:8]:
        logged = np.stack(noisy_quadratic.paths([recipe] * number, range(number)), 1)
        exact = noisy_quadratic.moments([recipe], [rates(recipe)[None]])[0]
        yield windows(exact["train_loss"][0]), windows(logged[0])
        yield windows(exact["risk"][0]), windows(logged[1])


def gradient_flows(number: int) -> Iterator[Comparison]:
    """Eight recipes, each with one training set and so many validation sets."""
    for i in range(8):
        recipe = gradient_flow.draw(np.random.default_rng([11, i]))
        data = teacher(recipe, i)
        delta = gradient_flow.flow(gradient_flow._init(data)[0], rates(recipe))[WINDOW - 1 :: WINDOW]
        sets = [teacher(replace(recipe, train_size=2), seed).gram for seed in range(number)]
        yield data.risk(delta), np.stack([data._replace(gram=gram).val_loss(delta) for gram in sets])


def linear_regressions(number: int) -> Iterator[Comparison]:
    """Four recipes, each with one training set and so many orders of the minibatches."""
    for i in range(4):
        recipe = linear_regression.draw(np.random.default_rng([11, i]))
        data = teacher(recipe, i)
        delta, logged = linear_regression.paths(data, recipe, rates(recipe), np.random.default_rng(i), number)
        exact = linear_regression.moments(data, recipe, rates(recipe)[None], data.eps[None])
        yield windows(exact["train_loss"][0]), windows(logged)
        yield windows(exact["risk"][0]), windows(data.risk(delta))


def logistic_regressions(number: int) -> Iterator[Comparison]:
    """Four recipes; weights at three epochs of one run of each, on 256 times as many fresh examples."""
    for i in range(4):
        recipe = logistic_regression.draw(np.random.default_rng([11, i]))
        of = logistic_regression.sample(recipe, i, recipe.train_size, Purpose.TRAIN_INPUTS, Purpose.TRAIN_LABELS)
        lane = Lane(recipe, i, 0, rates(recipe), of.x, of.y)
        w = trajectories([lane], fresh=False)[0][0][[9, 49, 149]]
        fresh = logistic_regression.sample(recipe, i, 256 * number, Purpose.POPULATION, Purpose.FRESH_LABELS)
        margin = fresh.y[:, None] * (fresh.x @ w.T)
        m, scale = recipe.classes
        mu, s = w @ m, np.sqrt((w**2) @ scale**2)
        yield risk(mu, s, recipe.label_noise), np.logaddexp(0.0, -margin)
        yield accuracy(mu, s, recipe.label_noise), (margin > 0).astype(np.float64)


COMPARISONS = {
    "noisy_quadratic": noisy_quadratics,
    "gradient_flow": gradient_flows,
    "linear_regression": linear_regressions,
    "logistic_regression": logistic_regressions,
}


def exactness(name: str, number: int) -> dict[str, object]:
    """The largest z-score of all comparisons of a model, and how many see an error of 1 %."""
    z, off = [], []
    for exact, runs in COMPARISONS[name](number):
        error = runs.std(0, ddof=1) / np.sqrt(len(runs))
        z += list((runs.mean(0) - exact) / error)
        off += list(np.minimum(*(abs(runs.mean(0) - wrong * exact) / error for wrong in (0.99, 1.01))))
    return {
        "comparisons": len(z),
        "largest_z": f"{np.abs(z).max():.2f}",
        "one_percent_seen": int((np.array(off) > 4).sum()),
    }


def normals_per_second() -> float:
    """NumPy normals drawn in a second of processor time."""
    rng, start = np.random.default_rng(0), time.process_time()
    for _ in range(20):
        rng.standard_normal(1_000_000)
    return 20_000_000 / (time.process_time() - start)


def default_recipes(model: Model, draws: int) -> dict[str, object]:
    """What a run costs, and the share of runs in which each phenomenon is material."""
    recipes = [model.draw(np.random.default_rng([13, i])) for i in range(draws)]
    model.make(recipes[:1], [0])  # compiles
    speed = normals_per_second()
    counts, null, spent = dict.fromkeys(SHOWN, 0), 0, 0.0
    for at in range(0, draws, 64):
        start = time.process_time()
        runs = model.make(recipes[at : at + 64], range(at, min(at + 64, draws)))
        spent += time.process_time() - start
        null += sum(is_null(run.expected) for run in runs)
        for name in SHOWN:
            counts[name] += sum(bool(run.of(name)) for run in runs)
    speed = (speed + normals_per_second()) / 2
    return {
        "draws": draws,
        "milliseconds": f"{1000 * spent / draws:.3g}",
        "normals": f"{spent / draws * speed:.2g}",
        "null": f"{null / draws:.3f}",
        **{name: f"{count / draws:.3f}" for name, count in counts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000, help="default recipes of each model")
    parser.add_argument("--runs", type=int, default=4096, help="simulated runs that an expectation is held against")
    parser.add_argument("--only", choices=list(COMPARISONS))
    args = parser.parse_args()
    for name in [args.only] if args.only else COMPARISONS:
        made: dict[str, object] = {
            "model": name,
            **exactness(name, args.runs),
            **default_recipes(MODELS[name], args.draws),
        }
        print(made, flush=True)
        kept: dict[str, dict[str, object]] = {row["model"]: dict(row) for row in read("analytic.csv")}
        kept[name] = made
        write("analytic.csv", [kept[name] for name in COMPARISONS if name in kept])


if __name__ == "__main__":
    main()
