"""What makes a trained run: a frozen recipe, checked on construction, and its twins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal

from sim.schedules import BadSchedule, Schedule

__all__ = ["HEALTHY", "SEED_FIGURE", "BadRecipe", "Recipe", "twin", "without_drop"]


class BadRecipe(ValueError):
    """A recipe that cannot be trained; the message names the field, the value and what would be allowed."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A classifier trained on Gaussian blobs: each field is a cause, nothing in it is an effect.

    Data: `classes` of `modes` Gaussian blobs each in `dimension` dimensions; centres are N(0, separation²) around the
    origin, inputs N(centre, 1), both scaled so that an input coordinate has unit variance. A share `label_noise` of
    labels is replaced by another class, in training and, unless `val_label_noise` says otherwise, in validation.
    Model: `depth` hidden layers of `width` ReLU units with `normalisation`. `weight_decay` is added to the gradient
    (for adamw it is decoupled). `augmentation` is the standard deviation of Gaussian noise added to training inputs.
    `fresh_samples` draws new training examples for each epoch: the ideal world of Nakkiran et al., 2021
    (arXiv:2010.08127).
    """

    seed: int = 0
    # data
    classes: int = 10
    modes: int = 4
    dimension: int = 32
    separation: float = 0.8
    label_noise: float = 0.2
    val_label_noise: float | None = None
    train_size: int = 1024
    val_size: int = 2048
    fresh_samples: bool = False
    # model
    width: int = 128
    depth: int = 2
    normalisation: Literal["none", "batch"] = "batch"
    # training
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.2
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 2e-4
    batch_size: int = 32
    augmentation: float = 0.7
    schedule: Schedule = field(default_factory=Schedule)
    epochs: int = 200

    def __post_init__(self) -> None:
        def allow(name: str, ok: bool, allowed: str) -> None:
            value = getattr(self, name)
            if not ok:
                raise BadRecipe(f"{name}={value!r}: allowed is {allowed}")

        for f in fields(self):
            value = getattr(self, f.name)
            if f.type == "int" and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise BadRecipe(f"{f.name}={value!r}: allowed is a whole number")
            if f.type in ("float", "float | None") and value is not None and not _is_finite(value):
                raise BadRecipe(f"{f.name}={value!r}: allowed is a finite number")
        allow("seed", 0 <= self.seed < 2**31, "a whole number in 0..2^31-1")
        for name, least in (("classes", 2), ("modes", 1), ("dimension", 1), ("width", 1), ("depth", 1), ("epochs", 1)):
            allow(name, getattr(self, name) >= least, f"{least} or more")
        allow("separation", self.separation >= 0, "0 or more")
        allow("label_noise", 0 <= self.label_noise < 1, "a share in [0, 1)")
        if self.val_label_noise is not None:
            allow("val_label_noise", 0 <= self.val_label_noise < 1, "a share in [0, 1), or None")
        allow("train_size", self.train_size >= 2, "2 or more examples")
        allow("val_size", self.val_size >= 1, "1 or more examples")
        allow("batch_size", 1 <= self.batch_size <= self.train_size, f"1..train_size={self.train_size}")
        allow("normalisation", self.normalisation in ("none", "batch"), "'none' or 'batch'")
        allow("optimiser", self.optimiser in ("sgd", "adamw"), "'sgd' or 'adamw'")
        if self.normalisation == "batch":
            allow("batch_size", self.batch_size >= 2, "2 or more with batch normalisation")
        allow("learning_rate", self.learning_rate > 0, "above 0")
        allow("momentum", 0 <= self.momentum < 1, "a number in [0, 1)")
        allow("weight_decay", self.weight_decay >= 0, "0 or more")
        allow("augmentation", self.augmentation >= 0, "0 or more")
        try:
            self.schedule.rates(self.learning_rate, self.epochs)
        except BadSchedule as error:
            raise BadRecipe(f"schedule.{error}") from None

    @property
    def population_label_noise(self) -> float:
        """The share of wrong labels in the validation distribution."""
        return self.label_noise if self.val_label_noise is None else self.val_label_noise


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def twin(recipe: Recipe, **changes: Any) -> Recipe:
    """The same run with one thing changed and each random draw the same, because streams are keyed by purpose.

    `twin(r, fresh_samples=True)` is the ideal world, `twin(r, label_noise=0.0)` has clean training labels and, unless
    told otherwise, keeps the validation distribution of `r`.
    """
    if not changes:
        raise BadRecipe("a twin needs one thing that is changed")
    if "seed" in changes:
        raise BadRecipe("seed: another seed is another run, not a twin")
    if "label_noise" in changes:
        changes.setdefault("val_label_noise", recipe.population_label_noise)
    try:
        return replace(recipe, **changes)
    except TypeError as error:
        raise BadRecipe(f"no such field: {error}") from None


def without_drop(recipe: Recipe, k: int) -> Recipe:
    """The twin that keeps the old rate at milestone `k` (0-based) until the next one."""
    return twin(recipe, schedule=recipe.schedule.without_drop(k))


#: The question's schedule on a task that shows its four phenomena; how often: `experiments/seed_figure.py`.
SEED_FIGURE = Recipe()

#: The same task without the causes: fresh examples at every step (the ideal world, which cannot memorise), inputs as
#: they are, and a rate that never drops at once.
HEALTHY = Recipe(fresh_samples=True, augmentation=0.0, schedule=Schedule(kind="cosine"))
