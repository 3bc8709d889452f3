"""Simulated runs of the same strength as real ones: which of a pool stand against which log, by marginals alone.

The pool is what a model draws by default, stretched to the lengths of real logs, its noise drawn from a range that
holds theirs. A run is three numbers: how long it is, how noisy its validation loss is (for drops of the rate, its
training loss), how strong the phenomenon is (or, in a run without it, what looks most like it), in widths of that
noise. All three are measured on the logged curves by the same code on either side; no detector is asked, and of the
labels nothing enters but yes or no. Each real run gets the simulated ones with its label that lie nearest, none of them
twice (an assignment of least total distance); distances are in standard deviations of the real runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.optimize import linear_sum_assignment

from detectors.shapes import rises
from detectors.vocabulary import Run

__all__ = ["MARGINALS", "STRENGTHS", "marginals", "nearest", "noisier", "stretched"]

NOISE = (0.002, 0.2)  # width over level of losses in logs
MARGINALS = ("log epochs", "log noise over level", "log strength")
SHORTEST = 20  # values of a run that can be measured
LEAST_SPREAD = 0.1  # of a marginal, in the unit of its logarithm, where all real runs are alike
#: Fields of composed recipes that are times; they grow with the length of the run. What lasts a few epochs does not.
TIMES = (
    *("drop_1", "drop_2", "drop_3", "decay", "train_decay", "relax", "warmup", "delay", "plateau_at", "plateau_span"),
    *("overfit_at", "overfit_span", "double_descent_at", "double_descent_span", "drift_at", "drift_span", "jump_at"),
    *("spike_at", "swing_at", "swing_span", "blow_up_at"),
)
RATES = ("weight_decay", "gradient", "fast_rate", "slow_rate", "memory_rate", "confidence_rate")  # per epoch


def stretched(recipe: Any, epochs: int) -> Any:
    """The recipe of a run of another length: what happens in it happens at the same shares of the run.

    Of a composed recipe or one of the margin model; another one is returned as it is.
    """
    names = {f.name: f.type for f in fields(recipe)}
    if "drop_1" not in names:
        return recipe
    factor = epochs / recipe.epochs
    changes: dict[str, Any] = {"epochs": epochs}
    for name in TIMES:
        value = getattr(recipe, name, 0)
        if value:
            changes[name] = max(round(value * factor), 1) if names[name] == "int" else value * factor
    changes |= {name: getattr(recipe, name) / factor for name in RATES if name in names}
    drops = [name for name in ("drop_1", "drop_2", "drop_3") if changes.get(name)]
    for before, after in zip(drops, drops[1:], strict=False):  # two drops that fall together in a short run
        changes[after] = max(changes[after], changes[before] + 1)
    return replace(recipe, **changes)


def noisier(recipe: Any, rng: np.random.Generator) -> Any:
    """The recipe with the noise of each loss drawn from NOISE, where it has fields for them; accuracies keep theirs."""
    low, high = np.log(NOISE)
    drawn = {name: float(np.exp(rng.uniform(low, high))) for name in ("noise", "train_noise")}
    return replace(recipe, **{k: v for k, v in drawn.items() if k in {f.name for f in fields(recipe)}})


def noise_width(values: np.ndarray) -> float:
    """Robust width of the noise of a curve of shape (n,), in its unit, from second differences."""
    return 1.4826 * float(np.median(np.abs(np.diff(values, 2)))) / np.sqrt(6) + 1e-9 if len(values) > 4 else np.nan


def _rise(run: Run) -> float:
    val = run.observed("val_loss")[1]
    smooth = uniform_filter1d(val, max(5, len(val) // 40), mode="nearest")
    return max((r.prominence for r in rises(smooth)), default=0.0) / noise_width(val)


def _inversion(run: Run) -> float:
    _, train, val = run.observed("train_loss", "val_loss")
    length = np.arange(1, max(len(val) // 10, 3) + 1)
    means = np.cumsum((train - val)[: len(length)]) / length[: len(val)]
    return max(float(means[2:].max()), 0.0) / noise_width(
        val
    )  # of the stretch of three epochs or more where it is most


def _spike(run: Run) -> float:
    val = run.observed("val_loss")[1]
    return float(np.max((val - median_filter(val, 11, mode="nearest"))[5:], initial=0.0)) / noise_width(val)


def _fall(run: Run) -> float:
    values = run.observed("train_loss")[1]
    late = max(len(values) // 10, 5)  # the descent of the first epochs is no drop
    falls = uniform_filter1d(values, 5, mode="nearest")
    return float(np.max(falls[late - 5 : -5] - falls[late:], initial=0.0)) / noise_width(values)


#: How strong a run shows a phenomenon, or what looks most like it, in widths of the noise.
STRENGTHS: dict[str, Callable[[Run], float]] = {
    "overfitting": _rise,
    "loss_accuracy_divergence": _rise,
    "lr_drop": _fall,
    "train_above_val": _inversion,
    "spike": _spike,
    "blow_up": _rise,
}


def marginals(run: Run, phenomenon: str) -> np.ndarray:
    """The numbers of MARGINALS, shape (3,); NaN where the run does not log what is needed."""
    key = "train_loss" if phenomenon == "lr_drop" else "val_loss"  # which not every log with drops has
    values = run.observed(key)[1] if key in run else np.empty(0)
    if len(values) < SHORTEST:
        return np.full(3, np.nan)
    level = abs(float(np.median(values[len(values) // 2 :])))
    noise = np.log(noise_width(values) / max(level, 1e-9))
    return np.array([np.log(len(values)), noise, np.log1p(STRENGTHS[phenomenon](run))])


def nearest(real: np.ndarray, pool: np.ndarray, each: int) -> np.ndarray:
    """Positions in the pool, shape (runs, each), of those that stand against each real run; ValueError if it has fewer.

    `real` has shape (runs, marginals), `pool` shape (others, marginals); rows of the pool with NaN stand for nobody.
    """
    usable = np.flatnonzero(np.isfinite(pool).all(1))
    if len(usable) < each * len(real):
        raise ValueError(f"the pool has {len(usable)} runs: {each} for each of {len(real)} real ones are needed")
    scale = np.maximum(real.std(0), LEAST_SPREAD)
    copies = np.repeat(real, each, axis=0)
    distance = (((copies[:, None] - pool[usable][None]) / scale) ** 2).sum(2)
    _, columns = linear_sum_assignment(np.sqrt(distance))
    return np.asarray(usable[columns].reshape(len(real), each))
