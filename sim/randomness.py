"""Random streams keyed by (seed, purpose, sister, epoch), never by position in a chain of splits.

A twin changes one thing in a recipe; because each purpose has a stream of its own, everything else is drawn exactly as
in the run itself. Sister runs share the streams of the data and of the initial weights and differ in the rest.
"""

from __future__ import annotations

from enum import IntEnum

import jax
import numpy as np

__all__ = ["Purpose", "generator", "stream"]


class Purpose(IntEnum):
    """What a random number is for. Append only: the value is part of every stream."""

    CENTRES = 0  # of the data distribution
    TRAIN_INPUTS = 1
    TRAIN_LABELS = 2
    VAL_INPUTS = 3
    VAL_LABELS = 4
    WEIGHTS = 5
    ORDER = 6  # of the minibatches
    AUGMENTATION = 7
    POPULATION = 8
    FRESH_INPUTS = 9  # of the ideal world
    FRESH_LABELS = 10
    NOISE = 11  # of the evaluation, in composed runs
    SHIFT = 12  # the direction in which validation is shifted
    TRANSLATION = 13  # of images, in pixels
    DROPOUT = 14


def stream(seed: jax.Array | int, purpose: Purpose, *counters: jax.Array | int) -> jax.Array:
    """The key of one stream: `counters` are, in order, sister and epoch where the purpose differs between them."""
    key = jax.random.fold_in(jax.random.key(seed), int(purpose))
    for counter in counters:
        key = jax.random.fold_in(key, counter)
    return key


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """The stream of NumPy with this key, for what is drawn in double precision or once a run."""
    return np.random.default_rng([seed, int(purpose), *counters])
