"""Which causes of a rise a run's curves cannot tell apart, whoever looks at them.

Two runs are alike where the expectations of what they log differ by less than their noise shows. `apart` is their
distance in standard deviations of the best linear statistic: with d = `apart`, the best test between the two, both
equally likely, is wrong in Φ(−d/2) of the cases (Neyman & Pearson, 1933; exact for normal noise with the widths and the
AR(1) coefficient of the run). Under `CONFUSED` that is one in six or more, and the run is called ambiguous.
"""

from __future__ import annotations

import numpy as np

from sim.truth import Expected

__all__ = ["CONFUSED", "apart", "whitened"]

CONFUSED = 2.0
#: What is logged, by its expectation, and the width of its noise; the last two are white, whatever the first two are.
_LOGGED = {
    "risk": "noise_width",
    "population_accuracy": "noise_width_val_accuracy",
    "train_loss": "noise_width_train_loss",
    "train_accuracy": "noise_width_val_accuracy",
}


def whitened(difference: np.ndarray, width: np.ndarray, rho: np.ndarray | float) -> np.ndarray:
    """A difference of expectations, shape (..., epochs), in units in which its AR(1) noise is white and of width 1."""
    z = np.divide(difference, width, out=np.where(difference == 0, 0.0, np.inf), where=width > 0)
    out = z.copy()
    with np.errstate(invalid="ignore"):
        out[..., 1:] = (z[..., 1:] - rho * z[..., :-1]) / np.sqrt(1 - np.square(rho))
    return np.asarray(np.nan_to_num(out, nan=0.0, posinf=np.inf, neginf=-np.inf))


def apart(a: Expected, b: Expected, rho: float = 0.0) -> float:
    """How far apart two runs are for whoever sees their losses and accuracies, in standard deviations of the first.

    `rho` is the autocorrelation of the validation's noise. A series whose expectation or width is not known counts for
    nothing.
    """
    total = 0.0
    for curve, width in _LOGGED.items():
        if curve in a.curves and curve in b.curves and width in a.curves:
            memory = rho if curve in ("risk", "population_accuracy") else 0.0
            total += float((whitened(b.mean(curve) - a.mean(curve), a.mean(width), memory) ** 2).sum())
    return float(np.sqrt(total))
