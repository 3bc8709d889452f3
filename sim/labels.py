"""Labels: how often each class comes, and how often a label is wrong.

Imbalance is the number of examples of the first class for one of the last; frequencies in between fall geometrically
(the long tail of Cui et al., 2019, arXiv:1901.05555). Wrong labels are symmetric (any other class, equally often) or
class-dependent: a class is taken for the next one (the pair flips of Han et al., 2018, arXiv:1804.06872), never in the
first class and twice as often as on average in the last.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.randomness import Purpose
from sim.shape import Numbers, Shape

__all__ = ["draw", "frequencies", "noisy", "soft", "wrong_shares"]

_VALIDATION = (Purpose.VAL_INPUTS, Purpose.POPULATION)


def frequencies(shape: Shape, imbalance: jax.Array | float) -> jax.Array:
    """The share of each class, shape (classes,)."""
    weight = imbalance ** (-jnp.arange(shape.classes) / (shape.classes - 1))
    return weight / weight.sum()


def draw(shape: Shape, numbers: Numbers, size: int, key: jax.Array, purpose: Purpose) -> jax.Array:
    """The true classes of `size` examples, shape (size,), whole numbers."""
    if shape.balanced:
        return jax.random.randint(key, (size,), 0, shape.classes)
    imbalance = numbers.population_imbalance if purpose in _VALIDATION else numbers.imbalance
    edges = jnp.cumsum(frequencies(shape, imbalance))[:-1]
    label: jax.Array = (jax.random.uniform(key, (size, 1)) > edges[None]).sum(1)
    return label


def wrong_shares(shape: Shape, share: jax.Array | float) -> jax.Array:
    """The share of labels of each class that are wrong, shape (classes,); their mean is `share`."""
    if shape.noise_kind == "symmetric":
        return jnp.full(shape.classes, share)
    return share * 2 * jnp.arange(shape.classes) / (shape.classes - 1)


def noisy(shape: Shape, label: jax.Array, share: jax.Array, key: jax.Array) -> jax.Array:
    """The labels that are given, wrong ones among them, as 0 and 1, shape (size, classes)."""
    k1, k2 = jax.random.split(key)
    # the same draws flip more labels when the share grows
    if shape.noise_kind == "symmetric":
        wrong = jax.random.uniform(k1, label.shape) < share
        other = (label + jax.random.randint(k2, label.shape, 1, shape.classes)) % shape.classes
    else:
        wrong = jax.random.uniform(k1, label.shape) < wrong_shares(shape, share)[label]
        other = (label + 1) % shape.classes
    return jax.nn.one_hot(jnp.where(wrong, other, label), shape.classes)


def soft(shape: Shape, label: jax.Array, share: jax.Array) -> jax.Array:
    """The probability of each label that may be given for the true class, shape (size, classes)."""
    clean = jax.nn.one_hot(label, shape.classes)
    if shape.noise_kind == "symmetric":
        return (1 - share) * clean + share / (shape.classes - 1) * (1 - clean)
    wrong = wrong_shares(shape, share)[label][:, None]
    return (1 - wrong) * clean + wrong * jnp.roll(clean, 1, axis=1)
