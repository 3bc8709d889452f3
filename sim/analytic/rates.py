"""The learning rates of a run, and of its twins without a drop."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.segments import drop_positions

__all__ = ["rates", "without_drops"]


def rates(recipe: Any) -> np.ndarray:
    """The rate of each epoch, shape (epochs,)."""
    of_epochs: np.ndarray = recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    return of_epochs


def without_drops(recipe: Any) -> dict[int, np.ndarray]:
    """By the position of each drop: the rates of the twin without it, shape (epochs,)."""
    schedule = recipe.schedule
    drops = drop_positions(rates(recipe)) if schedule.kind == "step" else []
    return {
        m: schedule.without_drop(k).rates(recipe.learning_rate, recipe.epochs)
        for k, m in enumerate(schedule.milestones)
        if m in drops
    }
