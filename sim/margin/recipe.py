"""What makes a run of the margin model: its scalars, the schedule, the noise of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sim.composed.recipe import check_noise, check_schedule, not_negative, positive, scalars, schedule_of, switches
from sim.margin.dynamics import PARAMETERS
from sim.recipe import BadRecipe
from sim.schedules import Schedule

__all__ = ["Margin"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Margin:
    """A run of the two-channel margin model: each scalar is a cause, nothing in it is an effect.

    Rates per epoch at the peak rate; margins in units of the width of the signal's own noise. The equations, and the
    letters of the scalars, are in `sim.margin.dynamics`. The defaults are `SEED_MARGIN`: all four of the question.
    """

    epochs: int = 200
    learning_rate: float = 0.1
    warmup: int = 0
    drop_1: int = 60
    drop_2: int = 120
    drop_3: int = 160
    factor: float = 0.2
    cosine: int = 0
    wsd: float = 0.0
    final: float = 0.0
    # what moves
    weight_decay: float = 0.01096
    gradient: float = 0.01485
    fast: float = 1.364
    slow: float = 1.633
    fast_rate: float = 0.2496
    slow_rate: float = 0.1431
    memory_rate: float = 0.3832
    memory_power: float = 9.52e-05
    gate: float = 3.464
    sgd_noise: float = 16.49
    settling: float = 0.917
    confidence_rate: float = 0.4357
    confidence_power: float = 0.261
    recall: float = 0.169
    confusion: float = 2.079
    augmentation: float = 0.285
    # the noise of the evaluation, as in a composed run
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
    # of the labels: 1 also asks which causes of a rise no curve can tell apart (`sim.margin.rivals`; seconds a run)
    causes: int = 0

    def __post_init__(self) -> None:
        def allow(name: str, ok: object, allowed: str) -> None:
            if not ok:
                raise BadRecipe(f"{name}={getattr(self, name)!r}: allowed is {allowed}")

        for group in _GROUPS:
            group.check(self, allow)
        allow("epochs", self.epochs >= 2, "2 or more")
        check_noise(self, allow)
        check_schedule(self, allow)

    def __repr__(self) -> str:
        """What differs from the defaults, as code."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Margin({', '.join(changed)})"

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs after which the rate drops."""
        return tuple(m for m in (self.drop_1, self.drop_2, self.drop_3) if m)

    @property
    def schedule(self) -> Schedule:
        """The schedule that the drops make, or the cosine, or the warm-up, stable and decay phases."""
        return schedule_of(self)


_GROUPS = (
    *scalars(Margin),
    positive(("weight_decay", "gradient", "fast", "gate", "learning_rate")),
    not_negative((*PARAMETERS, "noise", "accuracy_noise", "train_noise", "train_noise_ratio", "val_size")),
    switches(("cosine", "logged", "tails", "causes")),
)
