"""The synthetic models, one line each; the first of a tier is the one that its name alone means."""

from __future__ import annotations

from sim import composed, margin, trained
from sim.analytic import gradient_flow, linear_regression, logistic_regression, noisy_quadratic
from sim.model import Model, Tier

__all__ = ["MODELS", "model"]

MODELS: dict[str, Model] = {
    m.name: m
    for m in (
        composed.MODEL,
        margin.MODEL,
        noisy_quadratic.MODEL,
        gradient_flow.MODEL,
        linear_regression.MODEL,
        logistic_regression.MODEL,
        trained.MODEL,
    )
}


def model(name: str) -> Model:
    """The model of this name, or the first one of the tier of this name; KeyError says which there are."""
    if name in MODELS:
        return MODELS[name]
    of_tier = [m for m in MODELS.values() if m.tier == name]
    if not of_tier:
        raise KeyError(f"no model {name!r}: there are {', '.join(MODELS)}, and the tiers {', '.join(Tier)}")
    return of_tier[0]
