"""The trained tier: networks really trained, in which the phenomena emerge; nothing is injected but their cause.

Truth is the mean over sister runs (same data and initial weights; other minibatch orders, augmentation noise and fresh
population samples), so that the standard error over sisters covers both SGD and the sampling of the population.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from detectors.segments import drop_positions
from detectors.vocabulary import Run
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.recipe import SEED_FIGURE, BadRecipe, Recipe, without_drop
from sim.trained.fleet import METRICS, Lane, train_lanes
from sim.truth import Expected

__all__ = ["MODEL", "SISTERS", "label", "lane_epochs", "measure", "train"]

SISTERS = 8
_OBSERVED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
_EXPECTED = tuple(m for m in METRICS if m not in ("val_loss", "val_accuracy"))


def train(
    recipes: Sequence[Recipe],
    *,
    sisters: int = SISTERS,
    twins: bool = True,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> list[LabelledRun]:
    """One labelled run for each recipe (its sister 0), with truth from `sisters` sister runs.

    With `twins`, each drop of a step schedule gets its twin without that drop, sister by sister; without them relief is
    not labelled. All recipes must have equal `epochs`. `progress` is called with the number of lane-epochs done since
    its last call; `lane_epochs` says how many there will be. `threads` defaults to the number of cores.
    """
    metrics = measure(recipes, sisters=sisters, twins=twins, progress=progress, threads=threads)
    return label(recipes, metrics, sisters=sisters, twins=twins)


def measure(
    recipes: Sequence[Recipe],
    *,
    sisters: int = SISTERS,
    twins: bool = True,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> dict[str, np.ndarray]:
    """The measurements that `label` turns into labelled runs: each of `METRICS` with shape (lanes, epochs).

    Lanes are ordered by recipe, then the run before its twins in order of the drops, then by sister.
    """
    if sisters < 2:
        raise BadRecipe(f"sisters={sisters!r}: allowed are 2 or more, for a standard error")
    lanes = [Lane(member, s) for r in recipes for member in _family(r, twins) for s in range(sisters)]
    return train_lanes(lanes, progress, threads)


def label(
    recipes: Sequence[Recipe], metrics: dict[str, np.ndarray], *, sisters: int = SISTERS, twins: bool = True
) -> list[LabelledRun]:
    """The labelled runs in what `measure` returned for the same arguments."""
    out, start = [], 0
    for recipe in recipes:
        size = len(_family(recipe, twins)) * sisters
        out.append(_labelled(recipe, sisters, {k: v[start : start + size] for k, v in metrics.items()}))
        start += size
    return out


def lane_epochs(recipes: Sequence[Recipe], *, sisters: int = SISTERS, twins: bool = True) -> int:
    """How many epochs of single runs `train` counts in its progress, shared prefixes of twins included."""
    return sum(len(_family(r, twins)) * sisters * r.epochs for r in recipes)


def _family(recipe: Recipe, twins: bool) -> list[Recipe]:
    drops = range(len(recipe.schedule.milestones)) if twins and recipe.schedule.kind == "step" else ()
    return [recipe, *(without_drop(recipe, k) for k in drops)]


def _labelled(recipe: Recipe, sisters: int, metrics: dict[str, np.ndarray]) -> LabelledRun:
    rates = recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    epochs = np.arange(1.0, recipe.epochs + 1)
    drops = drop_positions(rates)
    count = len(metrics["risk"]) // sisters - 1
    without = {
        m: metrics["risk"][(k + 1) * sisters : (k + 2) * sisters]
        for k, m in enumerate(recipe.schedule.milestones[:count])
        if m in drops
    }
    expected = Expected(
        epochs=epochs,
        learning_rate=rates,
        curves={name: metrics[name][:sisters] for name in _EXPECTED},
        without_drop=without,
    )
    series = {name: metrics[name][0] for name in _OBSERVED}
    run = Run(
        epochs=epochs,
        series={**series, "learning_rate": rates},
        name=f"seed-{recipe.seed}",
        source="trained",
    )
    return labelled(run, expected, recipe)


def _make(recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[LabelledRun]:
    return train([replace(recipe, seed=seed) for recipe, seed in zip(recipes, seeds, strict=True)])


MODEL = Model(
    name="network",
    tier=Tier.TRAINED,
    recipe=Recipe,
    draw=lambda rng: SEED_FIGURE,
    make=_make,
    series=(*_OBSERVED, "learning_rate"),
    block=1,
)
