r"""A linear teacher on Gaussian features: a training set, and a validation set of any size at the price of a small one.

Features x ~ N(0, diag λ), labels y = xᵀ w* + ε with ε ~ N(0, σ²). With the error δ = w − w* of a student,

    residual ε − xᵀ δ        R = E (y − xᵀ w)² = σ² + Σ λₖ δₖ²

The spectrum is a power law, λₖ = k^(−decay). With `slow` below 1 there are two scales: the second half of the features
is the first one times `slow`. Feature k contributes λₖ E[w*ₖ²] ∝ k^(−signal_decay) to the initial excess risk `signal`,
and where there are two scales the slow half contributes `slow_share` of it.

The loss on a finite validation set depends on its Gram matrix alone, which for Gaussian (x, ε) is a Wishart matrix. Its
Cholesky factor is drawn directly (Bartlett, 1933, Proceedings of the Royal Society of Edinburgh 53), so that a set of
a million examples costs as much as one of a hundred, and the loss is exact for any student.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.analytic.checks import allow, check
from sim.randomness import Purpose, generator

__all__ = ["Teacher", "check_teacher", "rotated", "scales", "teacher"]

_LEAST = {"dimension": 2, "decay": 0, "signal_decay": 0, "noise": 0, "train_size": 2, "epochs": 2}
_ABOVE = {"signal": 0, "learning_rate": 0}


def rotated(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """rows @ matrix, shape (n, k), in products of 64 rows: a row has the same bits however many there are."""
    padded = np.zeros((-(-len(rows) // 64) * 64, rows.shape[1]))
    padded[: len(rows)] = rows
    product: np.ndarray = (padded.reshape(-1, 64, rows.shape[1]) @ matrix).reshape(-1, matrix.shape[1])
    return product[: len(rows)]


class Teacher(NamedTuple):
    """`lam` and `w_star` of shape (d,); training inputs `X` (n, d) and label noise `eps` (n,); the validation set."""

    lam: np.ndarray
    w_star: np.ndarray
    X: np.ndarray
    eps: np.ndarray
    sigma: float
    gram: np.ndarray  # of the validation set, its factor: lower triangular, (d + 1, d + 1), over the examples' root

    def risk(self, delta: np.ndarray) -> np.ndarray:
        """R of students with errors `delta`, shape (..., d)."""
        risk: np.ndarray = self.sigma**2 + (self.lam * delta**2).sum(-1)
        return risk

    def val_loss(self, delta: np.ndarray) -> np.ndarray:
        """The loss on the validation set of students with errors `delta`, shape (epochs, d)."""
        residual = np.concatenate([-delta * np.sqrt(self.lam), np.full((len(delta), 1), self.sigma)], 1)
        loss: np.ndarray = (rotated(residual, self.gram) ** 2).sum(1)
        return loss


def check_teacher(recipe: Any, *, least: dict[str, float] | None = None) -> None:
    """Check the fields that recipes with a teacher share, and those in `least`."""
    check(recipe, least={**_LEAST, **(least or {})}, above=_ABOVE)
    allow(recipe, "slow", 1e-6 <= recipe.slow <= 1, "a share in 1e-6..1")
    for name in ("decay", "signal_decay"):
        allow(recipe, name, getattr(recipe, name) <= 10, "0..10")
    allow(recipe, "dimension", recipe.dimension <= 2048, "2..2048")
    allow(recipe, "train_size", recipe.train_size <= 100_000, "2..100000")
    allow(recipe, "slow_share", 0 <= recipe.slow_share <= 1, "a share in [0, 1]")
    least_size = recipe.dimension + 1
    allow(recipe, "val_size", recipe.val_size >= least_size, f"dimension + 1 = {least_size} or more examples")


def scales(recipe: Any) -> tuple[np.ndarray, np.ndarray]:
    """λ and the contributions λ E[w*²] to the initial excess risk, each of shape (dimension,)."""
    d = recipe.dimension
    if recipe.slow == 1:
        k = np.arange(1.0, d + 1)
        share = k**-recipe.signal_decay
        return k**-recipe.decay, recipe.signal * share / share.sum()
    half = np.arange(d) >= (d + 1) // 2
    k = np.where(half, np.arange(d) - (d + 1) // 2, np.arange(d)) + 1.0
    share = k**-recipe.signal_decay
    share = np.where(half, recipe.slow_share / share[half].sum(), (1 - recipe.slow_share) / share[~half].sum()) * share
    return k**-recipe.decay * np.where(half, recipe.slow, 1.0), recipe.signal * share


def teacher(recipe: Any, seed: int) -> Teacher:
    """The teacher and the data of one run, in double precision; each part has a stream of its own."""
    d, n, m = recipe.dimension, recipe.train_size, recipe.val_size
    lam, contributes = scales(recipe)
    rng = generator(seed, Purpose.VAL_INPUTS)
    gram = np.tril(rng.standard_normal((d + 1, d + 1)), -1)
    gram[np.diag_indices(d + 1)] = np.sqrt(rng.chisquare(m - np.arange(d + 1)))
    return Teacher(
        lam=lam,
        w_star=np.sqrt(contributes / lam) * generator(seed, Purpose.CENTRES).standard_normal(d),
        X=generator(seed, Purpose.TRAIN_INPUTS).standard_normal((n, d)) * np.sqrt(lam),
        eps=recipe.noise * generator(seed, Purpose.TRAIN_LABELS).standard_normal(n),
        sigma=recipe.noise,
        gram=gram / np.sqrt(m),
    )
