"""What makes a trained run: a frozen recipe, checked on construction, and its twins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal

from sim.networks import NETWORKS
from sim.schedules import BadSchedule, Schedule
from sim.toydata import TOYDATA

__all__ = [
    "DOUBLE_DESCENT",
    "GROKKING",
    "HEALTHY",
    "SEED_FIGURE",
    "BadRecipe",
    "Recipe",
    "made",
    "twin",
    "without_drop",
]


class BadRecipe(ValueError):
    """A recipe that cannot be trained; the message names the field, the value and what would be allowed."""


def made(recipe: type[Any], values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Any:
    """`recipe(**values)` of a frozen dataclass, all its fields given: checked as ever, and made in half the time."""
    new = object.__new__(recipe)
    new.__dict__.update(values)
    new.__post_init__()
    return new


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A classifier trained on a toy data set: each field is a cause, nothing in it is an effect.

    Data: `data` names one of `sim.toydata`; `classes`, `modes`, `dimension` and `separation` mean what its file says.
    The first class is `imbalance` times as frequent as the last. A share `label_noise` of labels is wrong, of a kind
    that `sim.labels` explains. Validation (and the population) has the imbalance and the label noise of training unless
    `val_imbalance` or `val_label_noise` says otherwise, and its inputs are moved by `val_shift` standard deviations a
    coordinate in a random direction. `fresh_samples` draws new training examples for each epoch: the ideal world of
    Nakkiran et al., 2021 (arXiv:2010.08127).
    Model: `network` names one of `sim.networks`, of `depth` hidden layers of `width` ReLU units or channels with
    `normalisation`; `dropout` is the share of them that is left out at each step. The initial weights of He et al.,
    2015, are multiplied by `init_scale`.
    Training: sgd and adam add `weight_decay` to the gradient; for adamw it is decoupled, times the rate alone
    (Loshchilov & Hutter, 2019, arXiv:1711.05101). `momentum` is the first beta of the Adams, `nesterov` makes them
    NAdam. `augmentation` is the standard deviation of Gaussian noise added to training inputs, `shift_augmentation` the
    number of pixels by which an image is moved at most, either way.
    """

    seed: int = 0
    # data
    data: str = "blobs"
    classes: int = 10
    modes: int = 4
    dimension: int = 32
    separation: float = 0.8
    imbalance: float = 1.0
    label_noise: float = 0.2
    noise_kind: Literal["symmetric", "class_dependent"] = "symmetric"
    val_imbalance: float | None = None
    val_label_noise: float | None = None
    val_shift: float = 0.0
    train_size: int = 1024
    val_size: int = 2048
    fresh_samples: bool = False
    # model
    network: str = "mlp"
    width: int = 128
    depth: int = 2
    normalisation: Literal["none", "batch", "layer"] = "batch"
    dropout: float = 0.0
    init_scale: float = 1.0
    # training
    optimiser: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.2
    momentum: float = 0.9
    beta2: float = 0.999
    nesterov: bool = True
    weight_decay: float = 2e-4
    batch_size: int = 32
    augmentation: float = 0.7
    shift_augmentation: int = 0
    schedule: Schedule = field(default_factory=Schedule)
    epochs: int = 200

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type == "int":
                self._allow(f.name, isinstance(value, Integral) and not isinstance(value, bool), "a whole number")
            elif f.type == "bool":
                self._allow(f.name, isinstance(value, bool), "True or False")
            elif f.type in ("float", "float | None") and value is not None:
                self._allow(f.name, _is_finite(value), "a finite number")
            elif f.name in _NAMES:
                self._allow(f.name, value in _NAMES[f.name], _listed(_NAMES[f.name]))
        for name, (least, below) in _RANGES.items():
            value, limit = (
                getattr(self, name),
                f"{least} or more" if below is None else f"a number in [{least}, {below})",
            )
            self._allow(name, value is None or (value >= least and (below is None or value < below)), limit)
        self._allow("seed", 0 <= self.seed < 2**31, "a whole number in 0..2^31-1")
        self._allow("learning_rate", self.learning_rate > 0, "above 0")
        self._allow("init_scale", self.init_scale > 0, "above 0")
        self._allow("batch_size", 1 <= self.batch_size <= self.train_size, f"1..train_size={self.train_size}")
        if self.normalisation == "batch":
            self._allow("batch_size", self.batch_size >= 2, "2 or more with batch normalisation")
        if self.noise_kind == "class_dependent":
            half = "a share in [0, 0.5] with noise_kind='class_dependent', or labels of the last class are never right"
            self._allow("label_noise", self.label_noise <= 0.5, half)
            self._allow("val_label_noise", self.population_label_noise <= 0.5, half)
        if self.shift_augmentation:
            side = round(self.dimension**0.5)
            self._allow("dimension", side**2 == self.dimension, "a square, an image, with shift_augmentation")
            self._allow("shift_augmentation", self.shift_augmentation < side, f"0..{side - 1}, less than a side")
        for part in (TOYDATA[self.data], NETWORKS[self.network]):
            for name, ok, allowed in part.allowed(self):
                self._allow(name, ok, allowed)
        self._allow("schedule", isinstance(self.schedule, Schedule), "a Schedule")
        try:
            self.schedule.rates(self.learning_rate, self.epochs)
        except BadSchedule as error:
            raise BadRecipe(f"schedule.{error}") from None

    def _allow(self, name: str, ok: bool, allowed: str) -> None:
        if not ok:
            raise BadRecipe(f"{name}={getattr(self, name)!r}: allowed is {allowed}")

    @property
    def population_label_noise(self) -> float:
        """The share of wrong labels in the validation distribution."""
        return self.label_noise if self.val_label_noise is None else self.val_label_noise

    @property
    def population_imbalance(self) -> float:
        """How much more frequent the first class is than the last in the validation distribution."""
        return self.imbalance if self.val_imbalance is None else self.val_imbalance

    @property
    def balanced(self) -> bool:
        """Whether all classes are equally frequent, in training and in validation."""
        return self.imbalance == 1 == self.population_imbalance


_NAMES: dict[str, tuple[str, ...]] = {
    "data": tuple(TOYDATA),
    "noise_kind": ("symmetric", "class_dependent"),
    "network": tuple(NETWORKS),
    "normalisation": ("none", "batch", "layer"),
    "optimiser": ("sgd", "adam", "adamw"),
}

_RANGES: dict[str, tuple[float, float | None]] = {  # from, and below
    "classes": (2, None),
    "modes": (1, None),
    "dimension": (1, None),
    "separation": (0, None),
    "imbalance": (1, None),
    "label_noise": (0, 1),
    "val_imbalance": (1, None),
    "val_label_noise": (0, 1),
    "train_size": (2, None),
    "val_size": (1, None),
    "width": (1, None),
    "depth": (0, None),
    "dropout": (0, 1),
    "momentum": (0, 1),
    "beta2": (0, 1),
    "weight_decay": (0, None),
    "augmentation": (0, None),
    "shift_augmentation": (0, None),
    "epochs": (1, None),
}


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"


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

#: Epoch-wise double descent: logistic regression overfits the loud features first and learns the faint ones later.
#: It depends on the draw of the 128 examples: 3 of 8 seeds show it (0, 3 and 7), `experiments/slow_successes.py`.
DOUBLE_DESCENT = Recipe(
    data="two_speeds",
    classes=2,
    dimension=64,
    separation=0.6,
    label_noise=0.1,
    train_size=128,
    depth=0,
    normalisation="none",
    learning_rate=0.05,
    momentum=0.0,
    nesterov=False,
    weight_decay=0.0,
    augmentation=0.0,
    schedule=Schedule(kind="constant"),
    epochs=600,
)

#: Delayed generalisation: addition modulo 23 is known by heart within 20 epochs, and understood hundreds later
#: (all of 8 seeds).
GROKKING = Recipe(
    data="modular",
    classes=23,
    dimension=46,
    label_noise=0.0,
    train_size=370,
    val_size=512,
    depth=1,
    normalisation="none",
    optimiser="adamw",
    learning_rate=0.01,
    beta2=0.98,
    nesterov=False,
    weight_decay=1.0,
    batch_size=185,
    augmentation=0.0,
    schedule=Schedule(kind="constant"),
    epochs=600,
)
