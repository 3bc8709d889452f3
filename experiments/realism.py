"""Can a classifier tell simulated curves from real ones, and by what? Writes `realism.csv` and `realism_features.csv`.

A classifier two-sample test (Lopez-Paz & Oquab, 2017, arXiv:1610.06545): a random forest on the features of
`curve_features.py`, fixed beforehand, is to tell as many simulated runs as there are real ones from those. An area
under the curve of 0.5 says that it cannot. `grouped` leaves one repository of real logs out at a time, so that what is
learned is not its authors; `within` is the plain cross-validation of the simulated runs against one repository at a
time, to be read beside `real against real`: one repository against all others, by the same code. Two generators that
know nothing of training are baselines: exponentials with white noise, and curves in the style of the prior of LC-PFN
(Adriaensen et al., 2023, arXiv:2310.20447). Intervals: 95 %, by resampling the runs of each side (and, where grouped,
the repositories), over several draws of simulated runs.

Simulated runs get the number of epochs of the real run that they stand against. Needs the folder that CURVESENSE_LOGS
names, and the extra `[leaderboard]`. With `--pairs DIR` it draws pairs of real and simulated runs that look alike to
the forest and pairs that do not; those pictures show logs of others, so they stay out of the project.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from curve_features import SERIES, features
from real_logs import folder_of_logs, judging, labels_of
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from tables import read as kept
from tables import write

from detectors import Run, read
from sim.catalogue import MODELS
from sim.model import Tier
from sim.recipe import BadRecipe
from sim.trained import train

VIEWS = {"all series": SERIES, "validation loss": ("val_loss",)}
WITHOUT = ", no accuracies"  # a view for models that log none
SMALLEST = 8  # runs of a repository that stands on its own


def real_runs(folder: Path) -> list[tuple[str, Run]]:
    """(repository, run) of every real log with at least 40 epochs of validation loss."""
    rows = judging(labels_of(folder))
    runs = [(row["repo"], read(folder / "curves" / f"{row['name']}.csv")[0]) for row in rows]
    return [(repo, run) for repo, run in runs if np.isfinite(run["val_loss"]).sum() >= 40]


def naive(rng: np.random.Generator, epochs: int) -> Run:
    """Exponentials with white noise: what a first test of a detector is usually written on."""
    x = np.arange(1.0, epochs + 1)

    def decay(start: float, end: float, tau: float, noise: float) -> np.ndarray:
        return end + (start - end) * np.exp(-x / tau) + noise * rng.normal(size=epochs)

    tau, start, noise = epochs * rng.uniform(0.02, 0.3), rng.uniform(1.5, 5.0), np.exp(rng.uniform(-5, -2))
    low = rng.uniform(0.02, 1.0)
    series = {
        "train_loss": decay(start, low * rng.uniform(0.2, 1.0), tau, 0.3 * noise),
        "val_loss": decay(start, low, tau, noise),
        "train_accuracy": 1 - decay(0.9, 0.2 * low * rng.uniform(0.2, 1.0), tau, 0.1 * noise),
        "val_accuracy": 1 - decay(0.9, 0.2 * low, tau, 0.3 * noise),
    }
    return Run(epochs=x, series=series)


def lc_pfn(rng: np.random.Generator, epochs: int) -> Run:
    """Weighted sums of pow3, ilog2 and janoschek, drawn as published, rejected until they improve within [0, 1]."""
    x = np.arange(1.0, epochs + 1)

    def curve() -> np.ndarray:
        while True:
            w = rng.uniform(0, 1, 3)
            pow3 = rng.uniform(0, 1.25) - rng.uniform(-0.6, 0.6) * x ** -np.exp(2 * rng.normal())
            ilog2 = rng.uniform(0, 1) - rng.uniform(-0.5, 0.5) / np.log(x + 1)
            top, bottom = rng.uniform(0, 1), rng.uniform(0, 2)
            k, delta = np.exp(-2 + rng.normal()), np.exp(0.5 * rng.normal())
            janoschek = top - (top - bottom) * np.exp(-k * x**delta)
            y = (w[0] * pow3 + w[1] * ilog2 + w[2] * janoschek) / w.sum()
            if y[-1] > y[0] and y.min() >= 0 and y.max() <= 1:
                return y

    noise = np.exp(-4 + rng.normal())
    train, val = curve(), curve()
    seen = {k: v + noise * rng.normal(size=epochs) for k, v in (("train_accuracy", train), ("val_accuracy", val))}
    losses = {k.replace("accuracy", "loss"): 1 - v + noise * rng.normal(size=epochs) for k, v in seen.items()}
    return Run(epochs=x, series={**seen, **losses})


Source = Callable[[int, Sequence[int]], list[Run]]


def simulated(name: str) -> Source:
    """The runs that a model of the catalogue draws by default, of given lengths where its recipe can have them."""
    model = MODELS[name]

    def make(seed: int, lengths: Sequence[int]) -> list[Run]:
        recipes, seeds = [], []
        for i, epochs in enumerate(lengths):
            rng = np.random.default_rng([seed, i])
            recipe = model.draw(rng)
            if "epochs" in {f.name for f in fields(recipe)}:
                with contextlib.suppress(BadRecipe):  # its drops lie beyond; it keeps its own length
                    recipe = replace(recipe, epochs=epochs)
            recipes.append(recipe)
            seeds.append(int(rng.integers(2**31)))
        if model.tier == Tier.TRAINED:  # what is observed needs no twins
            seeded = [replace(recipe, seed=s) for recipe, s in zip(recipes, seeds, strict=True)]
            return [labelled.run for labelled in train(seeded, sisters=2, twins=())]
        return [labelled.run for labelled in model.make(recipes, seeds)]

    return make


def drawn(one: Callable[[np.random.Generator, int], Run]) -> Source:
    """The source of a generator that draws a run of any length."""
    return lambda seed, lengths: [one(np.random.default_rng([seed, i]), n) for i, n in enumerate(lengths)]


def table(runs: Sequence[Run], view: tuple[str, ...]) -> np.ndarray:
    """Features of each run, shape (runs, features), NaN where a run cannot tell."""
    return np.array([list(features(run, view).values()) for run in runs])


def filled(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Each with its NaN at the median of `train`: that a value is missing gives nobody away."""
    median = np.nan_to_num(np.nanmedian(np.where(np.isfinite(train), train, np.nan), axis=0))
    return [np.where(np.isfinite(x), x, median) for x in (train, *others)]


@dataclass(frozen=True)
class Forest:
    """The classifier, the same for every comparison."""

    trees: int

    def __call__(self, seed: int) -> RandomForestClassifier:
        return RandomForestClassifier(n_estimators=self.trees, min_samples_leaf=2, random_state=seed)


def held_out(forest: Forest, x: np.ndarray, y: np.ndarray, folds: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """The probability of class 1 for each run, from forests that did not see its fold; shape (runs,)."""
    out = np.full(len(y), np.nan)
    for test in folds:
        train = np.setdiff1d(np.arange(len(y)), test)
        a, b = filled(x[train], x[test])
        out[test] = forest(seed).fit(a, y[train]).predict_proba(b)[:, 1]
    return out


def plain(y: np.ndarray, seed: int) -> list[np.ndarray]:
    """Five stratified folds."""
    split = StratifiedKFold(5, shuffle=True, random_state=seed).split(y[:, None], y)
    return [test for _, test in split]


def grouped(y: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """A fold for each repository of real runs (class 1), with as many simulated ones."""
    fake = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    folds, start = [], 0
    for group in np.unique(groups[y == 1]):
        real = np.flatnonzero((y == 1) & (groups == group))
        folds.append(np.concatenate([real, fake[start : start + len(real)]]))
        start += len(real)
    return folds


def interval(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """Resampled areas under the curve: runs of each side anew, and repositories where there are groups."""
    rng = np.random.default_rng(seed)
    fake, real = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    out = []
    for _ in range(200):
        if groups is None:
            chosen = rng.choice(real, len(real))
        else:
            names = np.unique(groups[real])
            chosen = np.concatenate([real[groups[real] == g] for g in rng.choice(names, len(names))])
        index = np.concatenate([rng.choice(fake, len(fake)), chosen])
        out.append(roc_auc_score(y[index], p[index]))
    return np.array(out)


def compare(forest: Forest, real: np.ndarray, repos: np.ndarray, fakes: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Rows of a generator against the real runs: grouped, and within each repository that is large enough."""
    rows = []
    areas: dict[str, list[float]] = {}
    spread: dict[str, list[np.ndarray]] = {}
    sizes: dict[str, int] = {}

    def note(name: str, y: np.ndarray, p: np.ndarray, groups: np.ndarray | None, seed: int) -> None:
        areas.setdefault(name, []).append(float(roc_auc_score(y, p)))
        spread.setdefault(name, []).append(interval(y, p, groups, seed))
        sizes[name] = int(y.sum())

    for seed, fake in enumerate(fakes):
        x, y = np.concatenate([fake, real]), np.repeat([0, 1], [len(fake), len(real)])
        groups = np.concatenate([np.full(len(fake), ""), repos])
        note("grouped", y, held_out(forest, x, y, grouped(y, groups, seed), seed), groups, seed)
        for repo in np.unique(repos):
            mine = np.flatnonzero(repos == repo)
            if len(mine) >= SMALLEST:
                xr, yr = np.concatenate([fake[mine], real[mine]]), np.repeat([0, 1], [len(mine), len(mine)])
                note(f"within {repo}", yr, held_out(forest, xr, yr, plain(yr, seed), seed), None, seed)
    for name, values in areas.items():
        lo, hi = np.quantile(np.concatenate(spread[name]), [0.025, 0.975])
        rows.append({"comparison": name, "real": sizes[name], "auc": np.mean(values), "low": lo, "high": hi})
    within = [np.mean(v) for k, v in areas.items() if k.startswith("within")]
    rows.append(
        {
            "comparison": "within, mean",
            "real": len(real),
            "auc": np.mean(within),
            "low": min(within),
            "high": max(within),
        }
    )
    return rows


def between(forest: Forest, real: np.ndarray, repos: np.ndarray) -> list[dict[str, Any]]:
    """Rows of one repository against as many runs of all others."""
    rows = []
    for repo in np.unique(repos):
        mine, others = np.flatnonzero(repos == repo), np.flatnonzero(repos != repo)
        if len(mine) < SMALLEST:
            continue
        areas, spread = [], []
        for seed in range(5):
            other = np.random.default_rng(seed).choice(others, min(len(mine), len(others)), replace=False)
            x, y = real[np.concatenate([other, mine])], np.repeat([0, 1], [len(other), len(mine)])
            p = held_out(forest, x, y, plain(y, seed), seed)
            areas.append(roc_auc_score(y, p))
            spread.append(interval(y, p, None, seed))
        lo, hi = np.quantile(np.concatenate(spread), [0.025, 0.975])
        rows.append({"comparison": f"within {repo}", "real": len(mine), "auc": np.mean(areas), "low": lo, "high": hi})
    mean = [r["auc"] for r in rows]
    rows.append(
        {"comparison": "within, mean", "real": len(real), "auc": np.mean(mean), "low": min(mean), "high": max(mean)}
    )
    return rows


def giveaways(forest: Forest, real: np.ndarray, fake: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """How much the area falls when a feature is shuffled among held-out runs, with its medians on either side."""
    x, y = np.concatenate([fake, real]), np.repeat([0, 1], [len(fake), len(real)])
    total = np.zeros(x.shape[1])
    for seed, test in enumerate(plain(y, 0)):
        a, b = filled(x[np.setdiff1d(np.arange(len(y)), test)], x[test])
        model = forest(seed).fit(a, y[np.setdiff1d(np.arange(len(y)), test)])
        total += permutation_importance(model, b, y[test], scoring="roc_auc", n_repeats=5, random_state=seed)[
            "importances_mean"
        ]
    alone = [_alone(fake[:, k], real[:, k]) for k in range(x.shape[1])]
    rows = [
        {
            "feature": name,
            "loss_of_auc": total[k] / 5,
            "auc_alone": alone[k],
            "simulated_median": np.nanmedian(fake[:, k]) if np.isfinite(fake[:, k]).any() else np.nan,
            "real_median": np.nanmedian(real[:, k]) if np.isfinite(real[:, k]).any() else np.nan,
        }
        for k, name in enumerate(names)
    ]
    return sorted(rows, key=lambda r: -r["auc_alone"])


def _alone(fake: np.ndarray, real: np.ndarray) -> float:
    """The area under the curve of one feature, whichever way it points."""
    f, r = fake[np.isfinite(fake)], real[np.isfinite(real)]
    if min(len(f), len(r)) < SMALLEST:
        return np.nan
    area = roc_auc_score(np.repeat([0, 1], [len(f), len(r)]), np.concatenate([f, r]))
    return max(area, 1 - area)


def pairs(forest: Forest, folder: Path, name: str, real: Sequence[Run], fake: Sequence[Run]) -> None:
    """Pictures of the pairs that lie closest and farthest by the forest's probability of being real."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    x = np.concatenate([table(fake, SERIES), table(real, SERIES)])
    y = np.repeat([0, 1], [len(fake), len(real)])
    p = held_out(forest, x, y, plain(y, 0), 0)
    best, worst = np.argsort(-p[: len(fake)])[:4], np.argsort(p[: len(fake)])[:4]
    near = [int(np.argmin(np.abs(p[len(fake) :] - p[i]))) for i in (*best, *worst)]
    drawing, axes = pyplot.subplots(4, 4, figsize=(16, 11))
    for k, (i, j) in enumerate(zip((*best, *worst), near, strict=True)):
        for ax, run, what in (
            (axes[k // 2, 2 * (k % 2)], fake[i], "simulated"),
            (axes[k // 2, 2 * (k % 2) + 1], real[j], "real"),
        ):
            for key, colour in (("train_loss", "C0"), ("val_loss", "C1")):
                if key in run:
                    ax.plot(run.epochs, run[key], colour, lw=0.8)
            ax.set_title(f"{what}: real with {p[i] if what == 'simulated' else p[len(fake) + j]:.2f}", fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    drawing.savefig(folder / f"{name}.png", dpi=70, bbox_inches="tight")
    pyplot.close(drawing)


def rounded(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with three decimals."""
    return [{k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2, help="sets of simulated runs")
    parser.add_argument("--only", nargs="*", default=[], help="models to compare, default all; the rows of others stay")
    parser.add_argument("--trained", type=int, default=1, help="draws of the trained models, the slowest to make")
    parser.add_argument("--trees", type=int, default=150, help="of the forest")
    parser.add_argument("--pairs", type=Path, help="draw example pairs into this folder, outside the project")
    args = parser.parse_args()
    forest = Forest(args.trees)
    folder = folder_of_logs()
    labelled = real_runs(folder)
    repos, real = np.array([repo for repo, _ in labelled]), [run for _, run in labelled]
    lengths = [len(run.epochs) for run in real]
    sources: dict[str, Source] = {"exponential, white noise": drawn(naive), "LC-PFN style prior": drawn(lc_pfn)}
    sources |= {name: simulated(name) for name in MODELS}
    if unknown := sorted(set(args.only) - set(sources)):
        parser.error(f"--only {unknown[0]!r}: there are {', '.join(sources)}")
    by_view: dict[str, list[dict[str, Any]]] = {}
    away: list[dict[str, Any]] = []
    known = {view: table(real, keys) for view, keys in VIEWS.items()}
    for view, features_of in known.items():
        by_view[view] = [
            {"view": view, "generator": "real against real", **r} for r in between(forest, features_of, repos)
        ]
    for name, source in sources.items():
        if args.only and name not in args.only:
            continue
        draws = args.trained if name in MODELS and MODELS[name].tier == "trained" else args.draws
        fakes = [source(seed, lengths) for seed in range(draws)]
        for view, keys in VIEWS.items() if fakes else ():
            keep = tuple(key for key in keys if any(key in run for run in fakes[0]))
            mine = known[view] if keep == keys else table(real, keep)
            tables = [table(fake, keep) for fake in fakes]
            told = view if keep == keys else f"{view}{WITHOUT}"
            rows = [{"view": told, "generator": name, **row} for row in compare(forest, mine, repos, tables)]
            by_view[view] += rows
            print(rows[-1], next(r for r in rows if r["comparison"] == "grouped"), flush=True)
            if view == "all series":
                labels = list(features(real[0], keep))
                away += [{"generator": name, **row} for row in giveaways(forest, mine, tables[0], labels)[:8]]
                if args.pairs:
                    pairs(forest, args.pairs, name, real, fakes[0])
    rows = [row for rows in by_view.values() for row in rows]
    if args.only:  # the others stay as they are
        new = {row["generator"] for row in rows}
        rows = [*(row for row in kept("realism.csv") if row["generator"] not in new), *rows]
        away = [*(row for row in kept("realism_features.csv") if row["generator"] not in new), *away]
    order = list(dict.fromkeys(["real against real", *sources, *(row["generator"] for row in rows)]))
    views = list(dict.fromkeys(row["view"].removesuffix(WITHOUT) for row in rows))

    def place(row: Mapping[str, Any]) -> tuple[int, int]:
        return views.index(row["view"].removesuffix(WITHOUT)), order.index(row["generator"])

    write("realism.csv", rounded(sorted(rows, key=place)))
    write("realism_features.csv", rounded(sorted(away, key=lambda row: order.index(row["generator"]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
