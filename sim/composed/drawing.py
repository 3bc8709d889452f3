"""The default distribution of composed recipes: each of the six events in a quarter of them or more, others in some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.composed.recipe import FIELDS, Composed, columns_of, recipes_of

__all__ = ["draw", "draws"]

_UNIFORMS = 96  # that a recipe takes from its generator, those of the future included
_DEFAULTS = columns_of([Composed()])
_ACCIDENT = 0.04  # the chance of each of the rarer events


def draw(rng: np.random.Generator) -> Composed:
    """A recipe; what it is depends on the generator alone."""
    spec: Composed = recipes_of(draws([rng]))[0]
    return spec


def draws(rngs: Sequence[np.random.Generator]) -> dict[str, np.ndarray]:
    """The recipes that `draw` gives for each generator, as arrays of shape (generators,)."""
    numbers = iter(np.array([rng.random(_UNIFORMS) for rng in rngs]).reshape(len(rngs), _UNIFORMS).T)

    def uniform(low: float, high: float) -> np.ndarray:
        out: np.ndarray = low + (high - low) * next(numbers)
        return out

    def log_uniform(low: float, high: float) -> np.ndarray:
        out: np.ndarray = np.exp(uniform(np.log(low), np.log(high)))
        return out

    def whole(low: int, high: int) -> np.ndarray:
        out: np.ndarray = np.floor(uniform(low, high))
        return out

    def chance(share: float) -> np.ndarray:
        there: np.ndarray = next(numbers) < share
        return there

    def sometimes(share: float, value: np.ndarray) -> np.ndarray:
        return np.where(chance(share), value, 0.0)

    bayes = log_uniform(0.1, 1.2)
    kind = next(numbers)
    stepped = kind < 0.75
    count = np.where(stepped, whole(0, 4), 0.0)
    # milestones that increase, in 30 .. 179: sorted numbers of 30 .. 177, the second one later by 1, the third by 2
    places = np.sort([whole(30, 178) for _ in range(3)], 0) + np.arange(3)[:, None]
    drops = [np.where(count > k, places[k], 0.0) for k in range(3)]
    cosine = (kind >= 0.75) & (kind < 0.9)
    wsd = np.where(kind >= 0.9, uniform(0.1, 0.4), 0.0)
    fields = {
        "bayes": bayes,
        "train_bayes": bayes * np.where(chance(0.3), uniform(0.9, 1.0), log_uniform(0.02, 1.0)),
        "decay": log_uniform(2, 15),
        "train_decay": log_uniform(3, 20),
        "power": sometimes(0.25, uniform(0.5, 2.5)),
        "pace": sometimes(0.15, uniform(0.2, 1.0)),
        "factor": np.array([0.1, 0.1, 0.2, 0.5])[whole(0, 4).astype(int)],
        "drop_1": drops[0],
        "drop_2": drops[1],
        "drop_3": drops[2],
        "cosine": cosine.astype(float),
        "wsd": wsd,
        "final": np.where(wsd > 0, 0.1, 0.0),
        "warmup": sometimes(0.2, whole(2, 12)),
        "noise_floor": sometimes(0.85, log_uniform(0.05, 1.0)),
        "relax": uniform(0.5, 4.0),
        "overfit": sometimes(0.5, log_uniform(0.02, 0.5)),
        "overfit_at": whole(30, 150),
        "overfit_span": whole(20, 120),
        "overfit_shape": uniform(1.0, 2.0),
        "shared": sometimes(0.1, uniform(0.02, 0.3)),
        "drift": sometimes(0.5, uniform(0.02, 0.4)),
        "drift_at": whole(30, 150),
        "drift_span": whole(20, 120),
        "calibration_share": np.where(chance(0.5), 1.0, uniform(0.3, 1.0)),
        "gain": sometimes(0.5, uniform(0.0, 0.05)),
        "mode": sometimes(0.4, uniform(0.02, 0.3)),
        "objective": sometimes(0.15, uniform(0.02, 0.2)),
        "noise": log_uniform(0.002, 0.05),
        "rho": uniform(0.0, 0.5),
        "accuracy_noise": log_uniform(0.001, 0.01),
        "growth": sometimes(0.7, uniform(-3.0, 0.5)),
        "noise_rate": sometimes(0.85, uniform(0.2, 1.0)),
        "tails": sometimes(0.1, np.ones(len(rngs))),
        "val_size": sometimes(0.3, np.floor(log_uniform(200, 20000))),
        "jump": sometimes(_ACCIDENT, uniform(0.05, 0.4)),
        "jump_at": whole(30, 150),
        "plateau_span": sometimes(_ACCIDENT, whole(20, 60)),
        "spike": sometimes(_ACCIDENT, uniform(0.2, 2.0)),
        "spike_at": whole(30, 180),
        "spike_span": whole(1, 4),
        "swing": sometimes(_ACCIDENT, uniform(0.1, 0.6)),
        "swing_at": whole(20, 120),
        "swing_span": whole(20, 80),
        "swing_period": whole(2, 7),
        "blow_up_at": sometimes(_ACCIDENT / 2, whole(20, 180)),
        "blow_up_span": whole(0, 8),
        "underfit": sometimes(_ACCIDENT, uniform(0.3, 0.8)),
        "delay": sometimes(_ACCIDENT, whole(60, 120)),
        "double_descent": sometimes(2 * _ACCIDENT, uniform(0.6, 1.0)),
    }
    fields["noise_correlation"] = uniform(0.1, 0.98)
    fields["train_noise_ratio"] = log_uniform(0.05, 1.0)
    fields["train_floor"] = log_uniform(0.7, 2.0)
    fields["train_noise"] = log_uniform(0.001, 0.02)
    fields["top"] = 1 - log_uniform(0.03, 0.35)
    fields["plateau_at"] = np.round(fields["decay"])
    fields["double_descent_at"] = fields["overfit_at"] + fields["overfit_span"]
    fields["double_descent_span"] = whole(10, 40)
    fields["initial"] = np.maximum(2.3, bayes + fields["underfit"] + 0.3)
    fields["train_top"] = np.where(fields["delay"] > 0, 1.0, 1 - log_uniform(0.001, 0.1))
    return {name: fields.get(name, np.repeat(_DEFAULTS[name], len(rngs))) for name in FIELDS}
