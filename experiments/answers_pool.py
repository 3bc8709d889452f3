"""The pool of trained networks behind `answers.py`: its design, and what was measured of it.

A family is one data set and one set of initial weights (a seed), trained with eight sister runs without any drop of the
rate and with each of seven single drops, three factors and three epochs. So each run with a drop has the twin without
it, and its siblings with another drop, down to each random draw; they share the epochs before it. The seeds go through
all pairs of label noise and width in turn; what is not asked about (rate, augmentation, separation, weight decay) is
spread over them by a Halton sequence, so that no answer rests on one recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import qmc

from sim.recipe import Recipe
from sim.schedules import Schedule
from sim.trained.fleet import Measured, train_families

SISTERS = 8
EPOCHS = 80
WIDTHS = (16, 32, 64)
NOISES = (0.0, 0.15, 0.3)
FACTORS = (2, 5, 10)
#: Drops: the factor by which the rate falls, and the epochs before, multiples of ten, of which the fleet can share a
#: prefix. The earliest has one factor only, since it shares the least.
DROPS = ((5, 10), (2, 20), (5, 20), (10, 20), (2, 40), (5, 40), (10, 40))
SEEDS = 216
NO_DROP = "no drop"
#: What differs between seeds: field of the recipe, lowest, highest, and whether it is spread evenly in its logarithm.
SPREAD = (
    ("learning_rate", 0.08, 0.5, True),
    ("augmentation", 0.4, 0.8, False),
    ("separation", 0.8, 1.0, False),
    ("weight_decay", 1e-4, 5e-4, True),
)
BASE = Recipe(train_size=512, batch_size=64, val_size=1024, epochs=EPOCHS, schedule=Schedule(kind="constant"))


def recipe(seed: int) -> Recipe:
    """The recipe of a family, without a drop."""
    halton = qmc.Halton(1 + len(SPREAD), scramble=False)
    halton.fast_forward(1 + seed)
    place = np.delete(halton.random(1)[0], 1)  # base 3 follows the nine pairs of label noise and width
    settings = {}
    for (name, low, high, logarithmic), share in zip(SPREAD, place, strict=True):
        value = low * (high / low) ** share if logarithmic else low + (high - low) * share
        settings[name] = float(f"{value:.4g}")
    width, noise = WIDTHS[seed % 3], NOISES[seed // 3 % 3]
    return replace(BASE, seed=seed, width=width, label_noise=noise, **settings)


def members(base: Recipe) -> dict[str | int, Recipe]:
    """The family of a recipe: itself under NO_DROP, and "factor@epochs" for each drop."""
    dropped = {
        f"{factor}@{epochs}": replace(base, schedule=Schedule(milestones=(epochs,), factor=1 / factor))
        for factor, epochs in DROPS
    }
    return {NO_DROP: base, **dropped}


def stored(folder: Path, base: Recipe) -> Path:
    """Where the curves of a family are kept."""
    return folder / f"seed-{base.seed}.npz"


def train(bases: Sequence[Recipe], folder: Path, together: int = 2, done: Callable[[int], None] | None = None) -> None:
    """Train those families whose curves are not in `folder` yet, `together` at a time; `done` is told how many."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [base for base in bases if not stored(folder, base).exists()]
    for start in range(0, len(missing), together):
        batch = missing[start : start + together]
        for base, measured in zip(batch, train_families([members(b) for b in batch], SISTERS), strict=True):
            flat = {f"{name}/{metric}": v for name, run in measured.items() for metric, v in run.items()}
            partial = stored(folder, base).with_suffix(".partial.npz")
            np.savez_compressed(partial, **flat)
            partial.replace(stored(folder, base))
        if done:
            done(len(batch))


def load(folder: Path, base: Recipe) -> dict[str, Measured]:
    """What was measured of each member of a family: metrics of shape (sisters, epochs), observed ones (epochs,)."""
    out: dict[str, Measured] = {}
    with np.load(stored(folder, base)) as file:
        for key in file.files:
            name, metric = key.split("/")
            out.setdefault(name, {})[metric] = file[key]
    return out
