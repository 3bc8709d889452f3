"""Answers that look at nothing, or at one number: what any detector must beat."""

from __future__ import annotations

import numpy as np

from baselines.rule import Baseline, Claim

__all__ = ["BASELINES"]

PHENOMENA = (
    "overfitting",
    "generalization_gap",
    "lr_drop",
    "lr_drop_relief",
    "loss_accuracy_divergence",
    "train_above_val",
    "plateau",
    "spike",
    "blow_up",
    "oscillation",
    "underfitting",
    "double_descent",
    "delayed_generalization",
)


def never(val: np.ndarray) -> list[Claim]:
    """Nothing is ever there."""
    return []


def always(val: np.ndarray, *, share: float = 0.0) -> list[Claim]:
    """One claim in each run, at a fixed share of its length."""
    at = int(share * (len(val) - 1))
    return [(at, at)]


def every(val: np.ndarray, *, k: int = 20) -> list[Claim]:
    """A claim every k epochs."""
    return [(e, e) for e in range(k, len(val), k)]


def argmin(val: np.ndarray) -> list[Claim]:
    """One claim in each run, at its lowest validation loss."""
    at = int(np.argmin(np.where(np.isfinite(val), val, np.inf)))
    return [(at, len(val) - 1)]


def _dummy(name: str, phenomenon: str, function: object, **more: object) -> Baseline:
    return Baseline(
        name=f"dummy: {name}",
        phenomenon=phenomenon,
        needs=("val_loss",),
        function=function,
        source="",
        **more,  # type: ignore[arg-type]
    )


BASELINES = tuple(
    dummy
    for p in PHENOMENA
    for dummy in (
        _dummy("never", p, never, raw=True),
        _dummy("always", p, always, grid=tuple({"share": s} for s in (0.0, 0.1, 0.25, 0.5, 0.75)), raw=True),
        _dummy("every k", p, every, grid=tuple({"k": k} for k in (10, 20, 40, 60, 80)), raw=True),
        _dummy("argmin", p, argmin, raw=True),
    )
)
