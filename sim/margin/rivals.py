"""Is a rise of the margin model memorisation, or the effective rate that grows back? Rivals that lack one of the two.

For a run the nearest one without memory (no recall, no confusion) is looked for, and the nearest one whose effective
rate does not grow back (no weight decay to speak of): Levenberg and Marquardt's method in the logarithms of the other
scalars, from a few starts, on everything that is logged in units of its noise. If either comes so near that nobody can
tell it from the run (`sim.ambiguity`), the cause of the run's rise is ambiguous. A fit that ends in a bad minimum makes
a run look less ambiguous than it is, never more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detectors.vocabulary import Phenomenon
from sim.ambiguity import CONFUSED, in_units_of_noise
from sim.composed.expectation import shares
from sim.composed.recipe import columns_of
from sim.labelled import LabelledRun
from sim.margin.dynamics import BLOCK, NEVER, PARAMETERS, trajectories
from sim.margin.recipe import Margin

__all__ = ["Rival", "nearest", "with_causes"]

_ROUNDS = 20
_STEP = 1e-4  # of a logarithm, for the derivatives
#: What a rival lacks, and where its starts lie: factors on the weight decay and on the gradient.
_LACKS = {
    "memorisation": ({"recall": 0.0, "confusion": 0.0}, ((1.0, 1.0), (1.0, 4.0), (0.3, 3.0))),
    "regrowth": ({"weight_decay": 1e-6, "gradient": 2e-6}, ((1.0, 1.0),)),
}


@dataclass(frozen=True, kw_only=True)
class Rival:
    """The nearest recipe that lacks a cause, and how far it is from the run, in standard deviations of the noise."""

    lacks: str
    recipe: Margin
    apart: float


def nearest(labelled: LabelledRun, lacks: str) -> Rival:
    """The nearest recipe to a run that lacks `memorisation` or `regrowth`."""
    recipe: Margin = labelled.recipe
    fixed, starts = _LACKS[lacks]
    c = columns_of([recipe])
    share = shares(c, recipe.epochs)[:, 0]
    free = [k for k, name in enumerate(PARAMETERS) if name not in fixed and getattr(recipe, name) > 0]
    own = np.array([fixed.get(name, getattr(recipe, name)) for name in PARAMETERS], np.float64)
    e = labelled.expected
    targets = {k: e.mean(k) for k in ("risk", "population_accuracy", "train_loss", "train_accuracy")}
    width = {
        "risk": e.mean("noise_width"),
        "population_accuracy": e.mean("noise_width_val_accuracy"),
        "train_loss": e.mean("noise_width_train_loss"),
        "train_accuracy": e.mean("noise_width_val_accuracy") * recipe.train_noise_ratio,
    }

    def residuals(numbers: np.ndarray) -> np.ndarray:
        lanes = len(numbers)
        out = trajectories(numbers, np.repeat(share, lanes, 0), np.full((lanes, 3), NEVER), whole=True)
        seen = {
            "risk": out["risk"][:, 1:],
            "population_accuracy": out["population_accuracy"][:, 1:],
            "train_loss": (out["train_mode_loss"][:, :-1] + out["train_mode_loss"][:, 1:]) / 2,
            "train_accuracy": (out["train_mode_accuracy"][:, :-1] + out["train_mode_accuracy"][:, 1:]) / 2,
        }
        differences = {k: seen[k] - y for k, y in targets.items()}
        white = in_units_of_noise(differences, width, recipe.rho, recipe.noise_correlation)
        return np.asarray(np.nan_to_num(np.concatenate(white, 1), nan=1e6, posinf=1e6, neginf=-1e6))

    best, distance = own, np.inf
    for factors in starts:
        start = own.copy()
        start[[PARAMETERS.index("weight_decay"), PARAMETERS.index("gradient")]] *= factors
        found, away = _least_squares(residuals, start, free)
        if away < distance:
            best, distance = found, away
    scalars = {name: float(v) for name, v in zip(PARAMETERS, best, strict=True)}
    return Rival(lacks=lacks, recipe=replace(recipe, **scalars), apart=distance)  # type: ignore[arg-type]


def _least_squares(
    residuals: Callable[[np.ndarray], np.ndarray], start: np.ndarray, free: list[int]
) -> tuple[np.ndarray, float]:
    """Levenberg and Marquardt's method in the logarithms of the free scalars, all steps of a round in one block."""
    damping = 10.0 ** np.arange(-4, 5)
    at, bound = start.copy(), 1.0
    here = float((residuals(at[None]) ** 2).sum())
    for _ in range(_ROUNDS):
        probes = np.repeat(at[None], 1 + len(free), 0)
        for row, k in enumerate(free):
            probes[1 + row, k] *= np.exp(_STEP)
        r = residuals(probes)
        jacobian = (r[1:] - r[0]) / _STEP
        normal, slope = jacobian @ jacobian.T, jacobian @ r[0]
        scale = np.diag(normal) + 1e-12
        steps = np.stack([np.linalg.solve(normal + np.diag(d * scale), -slope) for d in damping])
        tries = np.repeat(at[None], len(damping), 0)
        tries[:, free] *= np.exp(np.clip(steps, -bound, bound))
        losses = (residuals(tries) ** 2).sum(1)
        k = int(np.argmin(losses))
        if not losses[k] < here * (1 - 1e-4):
            break
        at, here = tries[k], float(losses[k])
    return at, float(np.sqrt(here))


def with_causes(labelled: LabelledRun) -> LabelledRun:
    """The same run, with the causes of its rise that nobody can tell apart from its curves in `ambiguous`.

    A run without a material rise that is overfitting has none.
    """
    assert len(PARAMETERS) < BLOCK  # a round of a fit is one block
    if not labelled.of(Phenomenon.OVERFITTING):
        return labelled
    unclear = any(nearest(labelled, lacks).apart < CONFUSED for lacks in _LACKS)
    return replace(labelled, ambiguous=("memorisation", "regrowth") if unclear else ())
