"""Which causes of a rise a run's curves cannot tell apart, whoever looks at them.

Two runs are alike where the expectations of what they log differ by less than their noise shows. `apart` is their
distance in standard deviations of the best linear statistic: with d = `apart`, the best test between the two, both
equally likely, is wrong in Φ(−d/2) of the cases (Neyman & Pearson, 1933; exact for normal noise with the widths, the
AR(1) coefficient and the correlation of the run). Under `CONFUSED` that is one in six or more, and the run is called
ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.truth import Expected

__all__ = ["CONFUSED", "apart", "in_units_of_noise", "whitened"]

CONFUSED = 2.0
#: What is logged, by its expectation, and the width of its noise; the last two are white, whatever the first two are.
_LOGGED = {
    "risk": "noise_width",
    "population_accuracy": "noise_width_val_accuracy",
    "train_loss": "noise_width_train_loss",
    "train_accuracy": "noise_width_val_accuracy",
}
_VALIDATION = ("risk", "population_accuracy")
_EVALUATIONS = (_VALIDATION, ("train_loss", "train_accuracy"))  # a loss and an accuracy of the same examples


def whitened(difference: np.ndarray, width: np.ndarray, rho: np.ndarray | float) -> np.ndarray:
    """A difference of expectations, shape (..., epochs), in units in which its AR(1) noise is white and of width 1."""
    z = np.divide(difference, width, out=np.where(difference == 0, 0.0, np.inf), where=width > 0)
    out = z.copy()
    with np.errstate(invalid="ignore"):
        out[..., 1:] = (z[..., 1:] - rho * z[..., :-1]) / np.sqrt(1 - np.square(rho))
    return np.asarray(np.nan_to_num(out, nan=0.0, posinf=np.inf, neginf=-np.inf))


def in_units_of_noise(
    difference: Mapping[str, np.ndarray], width: Mapping[str, np.ndarray], rho: float, correlation: float
) -> list[np.ndarray]:
    """Differences of the expectations of what is logged, each of shape (..., epochs), where all noise is white.

    `rho` is the autocorrelation of the validation's noise, `correlation` that of a loss's noise with the error rate's.
    """
    white = {k: whitened(d, width[k], rho if k in _VALIDATION else 0.0) for k, d in difference.items()}
    for loss, accuracy in _EVALUATIONS:
        if correlation and loss in white and accuracy in white:  # what the loss does not tell of the accuracy's noise
            white[accuracy] = (white[accuracy] + correlation * white[loss]) / np.sqrt(1 - correlation**2)
    return list(white.values())


def apart(
    a: Expected, b: Expected, rho: float = 0.0, correlation: float = 0.0, train_noise_ratio: float = 1.0
) -> float:
    """How far apart two runs are for whoever sees their losses and accuracies, in standard deviations of the first.

    `rho`, `correlation` (field `noise_correlation`) and `train_noise_ratio` are those of the first run's noise. A
    series whose expectation or width is not known counts for nothing.
    """
    known = {k: w for k, w in _LOGGED.items() if k in a.curves and k in b.curves and w in a.curves}
    width = {k: a.mean(w) * (train_noise_ratio if k == "train_accuracy" else 1.0) for k, w in known.items()}
    white = in_units_of_noise({k: b.mean(k) - a.mean(k) for k in known}, width, rho, correlation)
    return float(np.sqrt(sum(float((z**2).sum()) for z in white)))
