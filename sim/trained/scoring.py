"""What is measured of logits: the loss, the accuracy, and the loss at the best temperature."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["accuracy", "calibrated", "loss"]


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy in nats; `logits` and `y`, probabilities of labels, have shape (examples, classes)."""
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.sum(y * logits, -1))


def accuracy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Expected share of labels that are the likeliest class; shapes as in `loss`."""
    top = jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1])
    return jnp.mean(jnp.sum(top * y, -1))


def calibrated(logits: jax.Array, y: jax.Array, inverse: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Loss with each half's logits divided by the temperature fitted on the other half (Guo et al., 2017).

    The loss is convex in the inverse temperature; Newton's method starts from `inverse`, the last epoch's two values.
    """
    z = logits.reshape(2, -1, logits.shape[-1])
    q = y.reshape(2, -1, y.shape[-1])

    def newton(_: int, beta: jax.Array) -> jax.Array:
        p = jax.nn.softmax(beta[:, None, None] * z, -1)
        mean = jnp.sum(p * z, -1)
        slope = jnp.mean(mean - jnp.sum(q * z, -1), -1)
        curvature = jnp.mean(jnp.sum(p * z * z, -1) - mean**2, -1)
        factor = jnp.clip(1 - slope / (beta * curvature + 1e-12), 0.5, 2.0)
        return jnp.clip(beta * factor, 0.01, 100.0)

    beta = jax.lax.fori_loop(0, 4, newton, inverse)
    swapped = beta[::-1, None, None] * z
    return jnp.mean(jax.nn.logsumexp(swapped, -1) - jnp.sum(q * swapped, -1)), beta
