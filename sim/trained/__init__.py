"""The trained tier: networks really trained, in which the phenomena emerge; nothing is injected but their cause.

Truth is the mean over sister runs (same data and initial weights; other minibatch orders, augmentation noise, dropout
and fresh population samples), so that the standard error over sisters covers both SGD and the sampling of the
population.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.segments import drop_positions
from detectors.vocabulary import Run
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.recipe import BadRecipe, Recipe
from sim.trained.draw import draw
from sim.trained.fleet import Measured, train_families
from sim.truth import Expected
from sim.twins import family

__all__ = ["MODEL", "SISTERS", "label", "lane_epochs", "measure", "train"]

SISTERS = 8
_NOISE_WINDOW = 21  # epochs over which the noise of a reading is taken to be the same
_DROPS = ("without_drop",)
_SERIES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
_EXPECTED = (
    *("train_loss", "train_accuracy", "train_loss_eval", "train_accuracy_eval"),
    *("risk", "population_accuracy", "risk_calibrated", "temperature"),
)


def train(
    recipes: Sequence[Recipe],
    *,
    sisters: int = SISTERS,
    twins: Collection[str] = _DROPS,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> list[LabelledRun]:
    """One labelled run for each recipe (its sister 0), with truth from `sisters` sister runs.

    `twins` names the kinds of twins to train as well, of `sim.twins.TWINS`, sister by sister; those that a recipe
    cannot have are left out. Without the twins of its drops relief is not labelled. `progress` is called with the
    number of sister-epochs done since its last call; `lane_epochs` says how many there will be. `threads` defaults to
    the number of cores.
    """
    return label(recipes, measure(recipes, sisters=sisters, twins=twins, progress=progress, threads=threads))


def measure(
    recipes: Sequence[Recipe],
    *,
    sisters: int = SISTERS,
    twins: Collection[str] = _DROPS,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> list[dict[str | int, Measured]]:
    """What `label` turns into labelled runs: for each recipe the measurements of its run and of its twins by name.

    A metric of `sim.trained.program.METRICS` has shape (sisters, epochs), one of OBSERVED (epochs,).
    """
    if sisters < 2:
        raise BadRecipe(f"sisters={sisters!r}: allowed are 2 or more, for a standard error")
    return train_families([family(r, twins) for r in recipes], sisters, progress, threads)


def label(recipes: Sequence[Recipe], measured: Sequence[Mapping[str | int, Measured]]) -> list[LabelledRun]:
    """The labelled runs in what `measure` returned for the same recipes."""
    return [_labelled(recipe, members) for recipe, members in zip(recipes, measured, strict=True)]


def lane_epochs(recipes: Sequence[Recipe], *, sisters: int = SISTERS, twins: Collection[str] = _DROPS) -> int:
    """How many epochs of single runs `train` counts in its progress, shared prefixes of twins included."""
    return sum(len(family(r, twins)) * sisters * r.epochs for r in recipes)


def _labelled(recipe: Recipe, members: Mapping[str | int, Measured]) -> LabelledRun:
    rates = recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    epochs = np.arange(1.0, recipe.epochs + 1)
    drops = drop_positions(rates)
    run = members["run"]
    expected = Expected(
        epochs=epochs,
        learning_rate=rates,
        curves={**{name: run[name] for name in _EXPECTED}, "noise_width": _noise_width(run["val_loss"])},
        without_drop={d: members[d]["risk"] for d in drops if d in members},
        twins={k: m["risk"] for k, m in members.items() if isinstance(k, str) and k != "run"},
    )
    series = {name: run[name] if run[name].ndim == 1 else run[name][0] for name in _SERIES}
    observed = Run(
        epochs=epochs,
        series={**series, "learning_rate": rates},
        name=f"seed-{recipe.seed}",
        source="trained",
    )
    return labelled(observed, expected, recipe)


def _noise_width(values: np.ndarray) -> np.ndarray:
    """The local noise of a series that was read from one run, shape (1, epochs), from its second differences.

    Their variance is 6 times that of white noise; the median over a window hears neither spikes nor bends.
    """
    values = values.astype(np.float64)
    if len(values) < 3:
        return np.full((1, len(values)), np.nan)
    size = np.abs(np.diff(values, 2))
    half = _NOISE_WINDOW // 2
    local = [np.median(size[max(i - half, 0) : i + half + 1]) for i in range(len(size))]
    return np.pad(1.4826 / np.sqrt(6) * np.array(local), 1, mode="edge")[None]


def _make(recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[LabelledRun]:
    seeded = [replace(recipe, seed=seed) for recipe, seed in zip(recipes, seeds, strict=True)]
    return train(seeded, twins=("without_drop", "fresh_samples"))


MODEL = Model(
    name="network",
    tier=Tier.TRAINED,
    recipe=Recipe,
    draw=draw,
    make=_make,
    series=(*_SERIES, "learning_rate"),
    curves=(*_EXPECTED, "noise_width"),
    block=4,  # families enough for several cores
)
