"""Optimisers by name, each the transformation of gradients that optax puts together; the rate is applied afterwards.

Coupled weight decay is added to the gradient, and goes through momentum and through Adam's division by the root of
the second moment; decoupled decay (adamw) is added after both.
"""

from __future__ import annotations

from collections.abc import Callable

import optax

from sim.shape import Numbers, Shape

__all__ = ["OPTIMISERS"]


def _sgd(shape: Shape, numbers: Numbers) -> optax.GradientTransformation:
    return optax.chain(
        optax.add_decayed_weights(numbers.weight_decay), optax.trace(numbers.momentum, nesterov=shape.nesterov)
    )


def _moments(shape: Shape, numbers: Numbers) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=numbers.momentum, b2=numbers.beta2, nesterov=shape.nesterov)


def _adam(shape: Shape, numbers: Numbers) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(numbers.weight_decay), _moments(shape, numbers))


def _adamw(shape: Shape, numbers: Numbers) -> optax.GradientTransformation:
    return optax.chain(_moments(shape, numbers), optax.add_decayed_weights(numbers.weight_decay))


OPTIMISERS: dict[str, Callable[[Shape, Numbers], optax.GradientTransformation]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
}
