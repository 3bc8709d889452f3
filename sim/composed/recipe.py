"""What makes a composed run: a few dozen scalars, checked on construction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from sim.recipe import BadRecipe
from sim.schedules import Schedule

__all__ = [
    "DROPS",
    "FIELDS",
    "Composed",
    "check_noise",
    "check_schedule",
    "columns_of",
    "not_negative",
    "positive",
    "recipes_of",
    "scalars",
    "schedule_of",
    "switches",
]

DROPS = 3  # a composed run has at most this many


@dataclass(frozen=True, kw_only=True, repr=False)
class Composed:
    """A composed run: scalars only. The defaults make a healthy one; 0 switches an event off.

    Losses in nats, times in epochs; what begins at epoch `..._at` is first seen in the next one. The equations that
    give each scalar its meaning are in `sim.composed.expectation`, those of the noise in `sim.composed.noise`.
    """

    epochs: int = 200
    # the schedule: `drop_1` .. `drop_3` are milestones (epochs at the old rate), 0 for none, each times `factor`; or a
    # cosine; or stable and then linear over the last share `wsd` of the run. Both end at `final` times the peak.
    learning_rate: float = 0.1
    warmup: int = 0
    drop_1: int = 0
    drop_2: int = 0
    drop_3: int = 0
    factor: float = 0.2
    cosine: int = 0
    wsd: float = 0.0
    final: float = 0.0
    # the descent: exponential, or with `power` a power law; `pace` makes its clock depend on the rate
    initial: float = 2.3
    bayes: float = 0.5
    decay: float = 8.0
    train_bayes: float = 0.47
    train_decay: float = 9.0
    power: float = 0.0
    pace: float = 0.0
    underfit: float = 0.0
    delay: int = 0
    plateau_at: int = 0
    plateau_span: int = 0
    # the noise floor of SGD; that of training is `train_floor` times as high
    noise_floor: float = 0.0
    train_floor: float = 1.0
    relax: float = 1.0
    # rises
    overfit: float = 0.0
    overfit_at: int = 0
    overfit_span: int = 50
    overfit_shape: float = 1.0
    double_descent: float = 0.0
    double_descent_at: int = 0
    double_descent_span: int = 50
    shared: float = 0.0
    drift: float = 0.0
    drift_at: int = 0
    drift_span: int = 50
    calibration_share: float = 1.0
    gain: float = 0.0
    # accidents
    jump: float = 0.0
    jump_at: int = 0
    spike: float = 0.0
    spike_at: int = 0
    spike_span: int = 2
    swing: float = 0.0
    swing_at: int = 0
    swing_span: int = 40
    swing_period: int = 2
    blow_up_at: int = 0
    blow_up_span: int = 0
    # accuracies, and what a training loop adds to its loss
    top: float = 0.95
    slope: float = 0.3
    train_top: float = 0.97
    mode: float = 0.0
    objective: float = 0.0
    # the noise of the evaluation
    noise: float = 0.01
    rho: float = 0.0
    accuracy_noise: float = 0.003
    train_noise: float = 0.005
    train_noise_ratio: float = 1.0
    noise_correlation: float = 0.0
    growth: float = 0.0
    noise_rate: float = 0.0
    tails: int = 0
    val_size: int = 0
    logged: int = 1

    def __post_init__(self) -> None:
        def allow(name: str, ok: object, allowed: str) -> None:
            if not ok:
                raise BadRecipe(f"{name}={getattr(self, name)!r}: allowed is {allowed}")

        for group in _GROUPS:
            group.check(self, allow)
        allow("epochs", self.epochs >= 2, "2 or more")
        allow("tails", self.tails in (0, 1), "0 (normal) or 1 (Student's t with 4 degrees of freedom)")
        allow("swing_period", self.swing_period >= 2, "2 or more epochs")
        lowest = max(self.bayes, self.train_bayes) + self.underfit
        allow("initial", self.initial >= lowest, f"at least bayes and train_bayes, each with underfit: {lowest:g}")
        check_noise(self, allow)
        check_schedule(self, allow)

    def __repr__(self) -> str:
        """What differs from the defaults, as code."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Composed({', '.join(changed)})"

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs after which the rate drops."""
        return tuple(m for m in (self.drop_1, self.drop_2, self.drop_3) if m)

    @property
    def schedule(self) -> Schedule:
        """The schedule that the drops make, or the cosine, or the warm-up, stable and decay phases."""
        return schedule_of(self)


Allow = Callable[[str, object, str], None]


class Group:
    """Fields of which the same is asked; where all are fine, as they nearly always are, that is seen soon.

    `fine` is asked of a tuple of values.
    """

    def __init__(self, names: Sequence[str], fine: Callable[[tuple[Any, ...]], bool], allowed: str) -> None:
        self.names, self.fine, self.allowed = tuple(names), fine, allowed
        self.values = attrgetter(*names)

    def check(self, recipe: Any, allow: Allow) -> None:
        """Refuse the first field that is not fine."""
        values = self.values(recipe)
        if not self._all(values):
            for name, value in zip(self.names, values, strict=True):
                allow(name, self._all((value,)), self.allowed)

    def _all(self, values: tuple[Any, ...]) -> bool:
        try:
            return self.fine(values)
        except (TypeError, OverflowError):
            return False  # it is no number, or none that a float can hold


def scalars(recipe: type[Any]) -> tuple[Group, Group]:
    """What is asked of any recipe of scalars first."""
    whole = [f.name for f in fields(recipe) if f.type == "int"]
    return (
        Group([f.name for f in fields(recipe)], lambda values: all(map(math.isfinite, values)), "a finite number"),
        Group(whole, lambda values: values == tuple(map(int, values)), "a whole number"),
    )


def positive(names: Sequence[str]) -> Group:
    """Fields that are above 0."""
    return Group(names, lambda values: min(values) > 0, "above 0")


def not_negative(names: Sequence[str]) -> Group:
    """Fields that are 0 or more."""
    return Group(names, lambda values: min(values) >= 0, "0 or more")


def switches(names: Sequence[str]) -> Group:
    """Fields that are 0 or 1."""
    return Group(names, lambda values: {0, 1}.issuperset(values), "0 or 1")


def check_noise(recipe: Any, allow: Allow) -> None:
    """Refuse a noise that cannot be; of any recipe with the fields of a `Composed` that say how its values scatter."""
    for name in ("rho", "noise_correlation"):
        allow(name, 0 <= getattr(recipe, name) < 1, "a coefficient in [0, 1)")
    allow("noise_rate", abs(recipe.noise_rate) <= 2, "an exponent in [-2, 2]")


def check_schedule(recipe: Any, allow: Allow) -> None:
    """Refuse a schedule that cannot be; of any recipe with the fields of a `Composed` that say how the rate moves."""
    dropped = bool(recipe.drop_1 or recipe.drop_2 or recipe.drop_3)
    allow("cosine", not (recipe.cosine and dropped), "0 with drops")
    allow("wsd", 0 <= recipe.wsd <= 1, "a share of the run in [0, 1]")
    allow("wsd", not (recipe.wsd and (dropped or recipe.cosine)), "0 with drops or a cosine")
    allow("final", 0 <= recipe.final < 1, "a share of the peak rate in [0, 1)")
    allow("final", not recipe.final or recipe.cosine or recipe.wsd, "0 without a cosine or wsd, which end there")
    allow("warmup", 0 <= recipe.warmup < recipe.epochs, f"a number of epochs in [0, {recipe.epochs})")
    allow("factor", 0 < recipe.factor <= 1, "a number in (0, 1]")
    if dropped:
        milestones = [m for m in (recipe.drop_1, recipe.drop_2, recipe.drop_3) if m]
        if not all(1 <= a < b for a, b in zip(milestones, [*milestones[1:], recipe.epochs], strict=True)):
            raise BadRecipe(
                f"drop_1..drop_3: milestones={tuple(milestones)!r}: allowed are increasing epochs in "
                f"[1, {recipe.epochs}), 0 for none"
            )


def schedule_of(recipe: Any) -> Schedule:
    """The schedule of such a recipe."""
    if recipe.cosine:
        return Schedule(kind="cosine", milestones=(), warmup=recipe.warmup, final=recipe.final)
    if recipe.wsd:
        return Schedule(kind="wsd", milestones=(), warmup=recipe.warmup, final=recipe.final, decay=recipe.wsd)
    if recipe.factor == 1:
        return Schedule(kind="constant", milestones=(), warmup=recipe.warmup)
    return Schedule(kind="step", milestones=recipe.milestones, factor=recipe.factor, warmup=recipe.warmup)


FIELDS = tuple(f.name for f in fields(Composed))
_POSITIVE = (
    *("decay", "train_decay", "relax", "overfit_span", "drift_span", "overfit_shape", "learning_rate"),
    *("double_descent_span", "spike_span", "swing_span"),
)
_NOT_NEGATIVE = (
    *("bayes", "train_bayes", "power", "pace", "underfit", "delay", "plateau_at", "plateau_span", "noise_floor"),
    *("overfit", "overfit_at", "double_descent_at", "shared", "drift", "drift_at", "jump", "jump_at", "spike"),
    *("spike_at", "swing", "swing_at", "blow_up_at", "blow_up_span", "slope", "objective", "noise"),
    *("accuracy_noise", "train_noise", "train_noise_ratio", "train_floor", "val_size"),
)
_GROUPS = (
    *scalars(Composed),
    positive(_POSITIVE),
    not_negative(_NOT_NEGATIVE),
    switches(("cosine", "logged")),
    Group(
        ("double_descent", "top", "train_top"), lambda values: 0 <= min(values) <= max(values) <= 1, "a share in [0, 1]"
    ),
)


def columns_of(specs: Sequence[Any]) -> dict[str, np.ndarray]:
    """The fields of many recipes of one class of scalars as arrays of shape (specs,), float64."""
    names = tuple(f.name for f in fields(specs[0])) if specs else FIELDS
    values = attrgetter(*names)
    table = np.array([values(s) for s in specs], np.float64).reshape(len(specs), len(names))
    return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(names)}


def recipes_of(columns: Mapping[str, np.ndarray], recipe: type[Any] = Composed) -> list[Any]:
    """The recipes in such columns, which are ones that can be: `columns_of` backwards, nothing is checked again."""
    names = tuple(f.name for f in fields(recipe))
    whole = {f.name for f in fields(recipe) if f.type == "int"}
    plain = [(columns[k].astype(int) if k in whole else columns[k].astype(float)).tolist() for k in names]
    out = []
    for row in zip(*plain, strict=True):
        new = object.__new__(recipe)
        new.__dict__.update(zip(names, row, strict=True))
        out.append(new)
    return out
