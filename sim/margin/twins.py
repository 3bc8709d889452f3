"""Curves of the margin model with their twins, and what each of its three causes did to a rise.

Twins share everything with their run but one thing: the schedule without a drop; no memory at all (`fresh_samples`, the
ideal world, in which each example is new); weights whose effective rate does not grow back (`no_regrowth`), or logits
whose scale does not grow (`no_scale_growth`), from the first drop on. Nothing is drawn, so they are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product
from math import factorial

import numpy as np

from sim.composed.expectation import Curves, shares
from sim.composed.recipe import DROPS
from sim.margin.dynamics import NEVER, PARAMETERS, trajectories

__all__ = ["CAUSES", "attribution", "expected"]

#: In the order of what a lane may freeze.
CAUSES = ("memorisation", "regrowth", "scale_growth")
_TWINS = ("fresh_samples", "no_regrowth", "no_scale_growth")


def expected(c: Mapping[str, np.ndarray], epochs: int) -> Curves:
    """The expectations of recipes that all have this number of epochs, and of their twins."""
    return curves_of(c, epochs, _TWINS)


def curves_of(c: Mapping[str, np.ndarray], epochs: int, twins: tuple[str, ...]) -> Curves:
    """The same with these of the twins besides those without a drop."""
    share = shares(c, epochs)
    numbers = np.stack([c[name] for name in PARAMETERS], 1)
    runs = len(numbers)
    never = np.full((runs, 3), NEVER)
    run = trajectories(numbers, share[:, 0], never, whole=True)
    risk = run["risk"][:, 1:]
    milestones = np.stack([c[f"drop_{k + 1}"] for k in range(DROPS)], 1)
    without = np.repeat(risk[:, None], share.shape[1] - 1, 1)
    row, drop = np.nonzero((share[:, 1:] != share[:, :1]).any(2))
    lanes = [(row, share[row, 1 + drop], never[row])]
    first = np.where(milestones > 0, milestones, np.inf).min(1)
    first = np.where(np.isfinite(first), first, 0.0)
    for name in twins:
        frozen = never.copy()
        frozen[:, _TWINS.index(name)] = 0.0 if name == "fresh_samples" else first
        lanes.append((np.arange(runs), share[:, 0], frozen))
    index, rates, frozen = (np.concatenate([lane[i] for lane in lanes]) for i in range(3))
    if len(index):
        of_twins = trajectories(numbers[index], rates, frozen, whole=False)["risk"][:, 1:]
        without[row, drop] = of_twins[: len(row)]
    else:
        of_twins = risk[:0]
    start = len(row)

    def over_the_epoch(name: str) -> np.ndarray:
        mean: np.ndarray = (run[name][:, :-1] + run[name][:, 1:]) / 2
        return mean

    return Curves(
        share=share[:, 0],
        risk=risk,
        population_accuracy=run["population_accuracy"][:, 1:],
        train_loss_eval=run["train_loss_eval"][:, 1:],
        train_loss=over_the_epoch("train_mode_loss"),
        risk_calibrated=run["risk_calibrated"][:, 1:],
        train_accuracy_eval=run["train_accuracy_eval"][:, 1:],
        train_accuracy=over_the_epoch("train_mode_accuracy"),
        without_drop=without,
        twins={name: of_twins[start + k * runs : start + (k + 1) * runs] for k, name in enumerate(twins)},
    )


def attribution(c: Mapping[str, np.ndarray], epochs: int, bottom: int, top: int) -> dict[str, float]:
    """What each cause did to R from epoch `bottom` to epoch `top` of one recipe, in nats.

    For each of the eight settings of three switches the run goes on from `bottom` with the other causes frozen as they
    are there: memory, weights, scale. A cause is given its Shapley value, the mean over all orders of what switching it
    on adds (Shapley, 1953, A value for n-person games); `rest` is what happens with all of them frozen, so the four add
    up to the change of R.
    """
    numbers = np.stack([c[name] for name in PARAMETERS], 1)
    settings = list(product((False, True), repeat=3))
    frozen = np.array([[NEVER if on else float(bottom) for on in setting] for setting in settings])
    share = np.repeat(shares(c, epochs)[:, 0], len(settings), 0)
    risk = trajectories(np.repeat(numbers, len(settings), 0), share, frozen, whole=False)["risk"]
    change = {setting: float(risk[k, top] - risk[k, bottom]) for k, setting in enumerate(settings)}
    out = {"rest": change[(False, False, False)]} | dict.fromkeys(CAUSES, 0.0)
    for order in permutations(range(3)):
        on = [False, False, False]
        for cause in order:
            before = change[(on[0], on[1], on[2])]
            on[cause] = True
            out[CAUSES[cause]] += (change[(on[0], on[1], on[2])] - before) / factorial(3)
    return out
