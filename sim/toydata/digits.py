"""Handwritten digits: the 1,797 real images of 8 x 8 grey levels that scikit-learn ships, ten classes.

The test part of Alpaydin & Kaynak, 1998, "Optical recognition of handwritten digits", UCI Machine Learning Repository,
doi:10.24432/C50P49. They are all there are: by the seed, `train_size` of them are for training, the next `val_size` for
validation, and the rest are the population, each once (but for one, if they are odd). So the population risk is exact
for that rest and differs between sisters by their training alone; their standard error says how sure it is for these
images, not for handwriting at large. Of m of them, the latter is known to the standard deviation of a single image's
loss over √m (for a rise or the effect of a twin: of its change), which `experiments/digits.py` measures.

A pixel is divided by the root of the mean variance of the pixels, 0 stays 0, so that an image moved by augmentation has
paper behind it. Wrong labels are added as in any data set; there are no fresh images, hence no ideal world.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sim.randomness import Purpose, stream
from sim.shape import Numbers, Shape

_IMAGES = 1797


def allowed(recipe: Any) -> Iterator[tuple[str, bool, str]]:
    """Ten classes of 8 x 8 pixels as frequent as they are, and images left for the population."""
    missing = "another one, or these after pip install scikit-learn, which has the images"
    yield "data", find_spec("sklearn") is not None, missing
    yield "classes", recipe.classes == 10, "10 with data='digits'"
    yield "dimension", recipe.dimension == 64, "64 with data='digits', images of 8 x 8 pixels"
    for name in ("imbalance", "val_imbalance"):
        yield name, getattr(recipe, name) in (1, None), "1 with data='digits', whose classes come with the images"
    left = _IMAGES - recipe.val_size
    enough = f"fewer than {left - 1} with data='digits', which has {_IMAGES} images, and val_size={recipe.val_size}"
    yield "train_size", recipe.train_size < left - 1, enough
    yield "fresh_samples", not recipe.fresh_samples, f"False with data='digits', which has {_IMAGES} images and no more"


def world(shape: Shape, numbers: Numbers) -> jax.Array:
    """The images in random order, shape (1797,): for training, for validation, for the population."""
    return jax.random.permutation(stream(numbers.seed, Purpose.CENTRES), _IMAGES)


def examples(
    shape: Shape, numbers: Numbers, world: jax.Array, size: int, key: jax.Array, purpose: Purpose
) -> tuple[jax.Array, jax.Array]:
    """Images of shape (size, 64), row by row, and the digits that they show.

    Training and validation have their own, a population as many of the rest as there are, the same number in each half,
    on which temperatures are fitted and judged in turn; `key` decides which are in which.
    """
    images, digits = _all()
    held_out = shape.train_size + shape.val_size
    if purpose == Purpose.TRAIN_INPUTS:
        chosen = world[: shape.train_size]
    elif purpose == Purpose.VAL_INPUTS:
        chosen = world[shape.train_size : held_out]
    else:
        chosen = jax.random.permutation(key, world[held_out:])[: min(size, (_IMAGES - held_out) // 2 * 2)]
    return jnp.asarray(images)[chosen], jnp.asarray(digits)[chosen]


@lru_cache
def _all() -> tuple[np.ndarray, np.ndarray]:
    """All images of shape (1797, 64) and the digits that they show, shape (1797,)."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    scale = np.sqrt(images.var(0).mean())
    return (images / scale).astype(np.float32), digits.astype(np.int32)
