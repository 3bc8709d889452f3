r"""Many steps of a linear stochastic recursion at once: x ← A x + noise of covariance Q, with x = (θ, v) in each mode.

Covariances follow V ← A V Aᵀ + Q. The sum of E[θ²] over the states *before* each of the steps is linear in the second
moments S at the start, ⟨W, S⟩ + w; one step has W = [[1, 0], [0, 0]] and w = 0. A stretch 1 and then a stretch 2 are

    A = A₂ A₁      Q = A₂ Q₁ A₂ᵀ + Q₂      W = W₁ + A₁ᵀ W₂ A₁      w = w₁ + w₂ + ⟨W₂, Q₁⟩

so K steps take log K products. Nothing cancels: double precision keeps 1e-12 of the recursion step by step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Stretch", "dot", "power", "then", "turned"]


class Stretch(NamedTuple):
    """What a number of steps does; the first axis holds the 4 entries of A, 3 of the symmetric Q and W; w has none."""

    A: np.ndarray
    Q: np.ndarray
    W: np.ndarray
    w: np.ndarray


def turned(A: np.ndarray, S: np.ndarray) -> np.ndarray:
    """A S Aᵀ for symmetric S."""
    (a, b, c, d), (p, q, r) = A, S
    return np.stack(
        [
            a * a * p + 2 * a * b * q + b * b * r,
            a * c * p + (a * d + b * c) * q + b * d * r,
            c * c * p + 2 * c * d * q + d * d * r,
        ]
    )


def dot(W: np.ndarray, S: np.ndarray) -> np.ndarray:
    """⟨W, S⟩ for symmetric W and S."""
    product: np.ndarray = W[0] * S[0] + 2 * W[1] * S[1] + W[2] * S[2]
    return product


def then(first: Stretch, second: Stretch) -> Stretch:
    """What the first and then the second do."""
    (a, b, c, d), (e, f, g, h) = second.A, first.A
    return Stretch(
        A=np.stack([a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h]),
        Q=turned(second.A, first.Q) + second.Q,
        W=first.W + turned(first.A[[0, 2, 1, 3]], second.W),
        w=first.w + second.w + dot(second.W, first.Q),
    )


def power(step: Stretch, steps: int) -> Stretch:
    """What `steps` (1 or more) such steps do."""
    whole = None
    while steps:
        if steps & 1:
            whole = step if whole is None else then(whole, step)
        steps >>= 1
        step = then(step, step) if steps else step
    assert whole is not None
    return whole
