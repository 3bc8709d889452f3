"""The default distribution of trained recipes: tasks of a few shapes, each with a range of every number.

Each shape compiles once, a few seconds; rates, schedules, noise levels, lengths and seeds compile nothing. So a data
set of any size costs as many compilations as there are tasks here (and one more each for the ideal world).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sim.recipe import SEED_FIGURE, Recipe
from sim.schedules import Schedule

__all__ = ["TASKS", "draw"]

_PLANE = Recipe(
    data="two_moons",
    classes=2,
    dimension=2,
    separation=4.0,
    label_noise=0.1,
    train_size=256,
    val_size=1024,
    width=64,
    normalisation="none",
    augmentation=0.0,
    learning_rate=0.1,
    weight_decay=1e-4,
)

#: Shapes with the middle of their numbers; `draw` moves the numbers and leaves the shapes.
TASKS: dict[str, Recipe] = {
    "blobs, batch normalisation": SEED_FIGURE,
    "blobs, class-dependent noise, imbalance": replace(
        SEED_FIGURE,
        noise_kind="class_dependent",
        imbalance=4.0,
        classes=5,
        normalisation="layer",
        width=64,
        learning_rate=0.05,
        augmentation=0.3,
        train_size=512,
    ),
    "blobs, logistic regression": replace(
        SEED_FIGURE, depth=0, normalisation="none", learning_rate=0.02, augmentation=0.1, train_size=256, classes=4
    ),
    "teacher, dropout": replace(
        SEED_FIGURE,
        data="teacher",
        modes=16,
        separation=2.0,
        classes=4,
        width=64,
        normalisation="none",
        dropout=0.2,
        learning_rate=0.05,
        augmentation=0.1,
        label_noise=0.1,
    ),
    "teacher, AdamW": replace(
        SEED_FIGURE,
        data="teacher",
        modes=16,
        separation=2.0,
        classes=4,
        width=64,
        normalisation="none",
        optimiser="adamw",
        nesterov=False,
        learning_rate=2e-3,
        weight_decay=1e-2,
        augmentation=0.1,
        label_noise=0.1,
    ),
    "two moons": _PLANE,
    "spirals, Adam": replace(
        _PLANE,
        data="spirals",
        classes=3,
        separation=3.0,
        train_size=384,
        optimiser="adam",
        nesterov=False,
        learning_rate=3e-3,
    ),
    "textures, convnet": replace(
        SEED_FIGURE,
        data="textures",
        classes=8,
        dimension=64,
        separation=3.0,
        network="convnet",
        width=16,
        learning_rate=0.1,
        augmentation=0.2,
        shift_augmentation=1,
        train_size=512,
        val_size=1024,
    ),
}


def draw(rng: np.random.Generator) -> Recipe:
    """A likely recipe: a task, numbers around its own, a schedule, and a length of 60 to 200 epochs."""
    base = TASKS[str(rng.choice(list(TASKS)))]

    def about(name: str, factor: float) -> float:
        return float(getattr(base, name) * factor ** rng.uniform(-1, 1))

    epochs = int(rng.integers(6, 21)) * 10
    settings: dict[str, Any] = {
        "separation": about("separation", 1.3),
        "learning_rate": about("learning_rate", 3.0),
        "weight_decay": about("weight_decay", 5.0),
        "augmentation": about("augmentation", 2.0),
        "dropout": about("dropout", 1.5),
        "label_noise": float(rng.choice([0.0, rng.uniform(0, 0.3)])),
        "val_shift": float(rng.choice([0.0, rng.uniform(0, 0.3)], p=[0.75, 0.25])),
        "schedule": _SCHEDULES[str(rng.choice(list(_SCHEDULES)))](rng, epochs),
        "epochs": epochs,
    }
    if rng.random() < 0.25:
        settings["val_label_noise"] = 0.0
    return replace(base, **settings)


def _step(rng: np.random.Generator, epochs: int) -> Schedule:
    count = int(rng.integers(1, 4))
    at = np.sort(rng.choice(np.arange(2, epochs // 5), count, replace=False)) * 5
    return Schedule(milestones=tuple(int(m) for m in at), factor=float(rng.choice([0.1, 0.2, 0.5])))


_SCHEDULES: dict[str, Callable[[np.random.Generator, int], Schedule]] = {
    "step": _step,
    "cosine": lambda rng, epochs: Schedule(kind="cosine", warmup=int(rng.integers(0, 6))),
    "wsd": lambda rng, epochs: Schedule(kind="wsd", warmup=int(rng.integers(0, 6)), decay=float(rng.uniform(0.1, 0.5))),
    "constant": lambda rng, epochs: Schedule(kind="constant"),
}
