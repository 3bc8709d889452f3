"""Learning-rate schedules, one rate an epoch.

`milestones` follow PyTorch's MultiStepLR: a milestone of m means m epochs at the old rate, so the first epoch at the
new rate is m + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np

__all__ = ["BadSchedule", "Schedule"]

Kind = Literal["constant", "step", "cosine", "wsd"]


class BadSchedule(ValueError):
    """A schedule that cannot be; the message names the field, the value and what would be allowed."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves: `rates(peak, epochs)` gives the rate of each epoch, shape (epochs,).

    `constant`; `step` (times `factor` after each milestone); `cosine` (from the peak to `final` times the peak;
    Loshchilov & Hutter, 2017, arXiv:1608.03983); `wsd` (warm-up, stable, then linear decay to `final` times the peak
    over the last `decay` share of the run; Hu et al., 2024, arXiv:2404.06395). Each may begin with a linear warm-up of
    `warmup` epochs. `skipped` names milestones (by position) that are left out *until the next one*, after which the
    rates are those of the schedule again: the twin without that drop.
    """

    kind: Kind = "step"
    milestones: tuple[int, ...] = (60, 120, 160)
    factor: float = 0.2
    warmup: int = 0
    decay: float = 0.2
    final: float = 0.0
    skipped: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "step", "cosine", "wsd"):
            raise BadSchedule(f"kind={self.kind!r}: allowed are 'constant', 'step', 'cosine', 'wsd'")
        for name, values in (("milestones", self.milestones), ("skipped", self.skipped), ("warmup", (self.warmup,))):
            if not all(isinstance(v, Integral) for v in values):
                raise BadSchedule(f"{name}={getattr(self, name)!r}: allowed are whole numbers")
        object.__setattr__(self, "milestones", tuple(int(m) for m in self.milestones))
        object.__setattr__(self, "skipped", tuple(sorted(int(k) for k in self.skipped)))
        if self.kind == "step":
            if any(m < 1 for m in self.milestones) or list(self.milestones) != sorted(set(self.milestones)):
                raise BadSchedule(f"milestones={self.milestones!r}: allowed are increasing epochs from 1")
            if not 0 < self.factor < 1:
                raise BadSchedule(f"factor={self.factor!r}: allowed is a number between 0 and 1")
        for k in self.skipped:
            if self.kind != "step" or not 0 <= k < len(self.milestones):
                raise BadSchedule(f"skipped={self.skipped!r}: a step schedule has milestones 0..n-1 to skip")
        if self.warmup < 0:
            raise BadSchedule(f"warmup={self.warmup!r}: allowed are 0 or more epochs")
        if not 0 < self.decay <= 1:
            raise BadSchedule(f"decay={self.decay!r}: allowed is a share of the run in (0, 1]")
        if not 0 <= self.final < 1:
            raise BadSchedule(f"final={self.final!r}: allowed is a share of the peak rate in [0, 1)")

    def rates(self, peak: float, epochs: int) -> np.ndarray:
        """The learning rate used during each epoch, shape (epochs,), float64."""
        if self.kind == "step" and self.milestones and self.milestones[-1] >= epochs:
            raise BadSchedule(
                f"milestones={self.milestones!r}: allowed are epochs before the last one; the run has {epochs} epochs"
            )
        if self.warmup >= epochs:
            raise BadSchedule(f"warmup={self.warmup!r}: allowed are fewer than the run's {epochs} epochs")
        x = np.arange(epochs)
        if self.kind == "step":
            power = np.zeros(epochs)
            for k, milestone in enumerate(self.milestones):
                power[milestone:] = power[milestone - 1] if k in self.skipped else k + 1
            scale = self.factor**power
        elif self.kind == "cosine":
            done = (x - self.warmup).clip(0) / max(epochs - self.warmup, 1)
            scale = self.final + (1 - self.final) * (1 + np.cos(np.pi * done)) / 2
        elif self.kind == "wsd":
            tail = max(round(self.decay * epochs), 1)
            done = (x - (epochs - tail) + 1).clip(0) / tail
            scale = 1 - (1 - self.final) * done.clip(0, 1)
            scale = np.maximum(scale, 1e-6)
        else:
            scale = np.ones(epochs)
        if self.warmup:
            scale = scale * np.minimum((x + 1) / self.warmup, 1.0)
        return peak * scale

    def without_drop(self, k: int) -> Schedule:
        """The same schedule with drop `k` left out until the next milestone."""
        return replace(self, skipped=tuple(sorted({*self.skipped, k})))
