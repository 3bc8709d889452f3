"""How noisy a curve is whose noise has one width, and for how long that noise remembers: for tests calibrated with it.

The model is AR(1) noise around a smooth trend. Second differences at lags 1, 2 and 4 do not see a straight trend and
barely a curved one; the ratios of their mean squares depend on the autocorrelation alone,

    V_k / V_1 = (6 - 8 rho^k + 2 rho^2k) / (6 - 8 rho + 2 rho^2),

and V_1 then gives the level. Everything works along the last axis, so that many runs are measured at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from detectors.noise import clipped_mean_square, mean_square, median, moving_average
from detectors.remembered import remembered

__all__ = [
    "FEWEST",
    "LAGS",
    "RHO_GRID",
    "RHO_MOST",
    "Noise",
    "autocorrelation",
    "clipped_mean_square",
    "despike",
    "floor",
    "mean_square",
    "misfit",
    "moving_average",
    "noise_of",
    "width",
]

FEWEST = 6  # values from which noise can be estimated
LAGS = (1, 2, 4)
RHO_GRID = np.arange(0.0, 0.981, 0.02)
RHO_MARGIN = 2.0  # the autocorrelation is taken this much over sqrt(n) above its estimate, ...
RHO_MOST = 0.95  # ... at most this
RHO_UNKNOWN = 0.5  # the estimate where a series is too short for two lags
OUTLIER = 4.5  # robust standard deviations from the running median at which a value is replaced by it
FLOOR = 1e-4  # of the interquartile range, and ...
ROUNDING = 1e-7  # ... of the level: no log resolves less


@dataclass(frozen=True)
class Noise:
    """AR(1) noise: `sigma` (unit of the series) is its standard deviation at the deliberately high `rho_upper`.

    `rho` is the estimate of the lag-one autocorrelation itself.
    """

    sigma: float
    rho: float
    rho_upper: float

    def se_of_mean(self, m: int) -> float:
        """Standard error of the mean of `m` successive values."""
        k = np.arange(1, m)
        return float(self.sigma * np.sqrt((1 + 2 * np.sum((1 - k / m) * self.rho_upper**k)) / m))

    def independent(self, m: int) -> float:
        """How many independent values `m` successive ones are worth for a mean."""
        return (self.sigma / self.se_of_mean(m)) ** 2


@remembered
def noise_of(values: np.ndarray) -> Noise:
    """The noise of one series of shape (n,), n >= FEWEST, outliers set aside."""
    clean = despike(values)
    rho, upper = autocorrelation(clean)
    return Noise(float(width(clean, upper)), float(rho), float(upper))


@remembered
def autocorrelation(*pieces: np.ndarray, margin: float = RHO_MARGIN) -> tuple[np.ndarray, np.ndarray]:
    """(rho, rho_upper), each of shape (...), of noise that has one autocorrelation in all `pieces`.

    Each piece has shape (..., n) with n >= FEWEST of its own; their levels and widths of noise may differ. `rho_upper`
    lies `margin` over the square root of the number of values above the estimate.
    """
    total_misfit: np.ndarray | float = 0.0
    total = 0
    for values in pieces:
        n = values.shape[-1]
        lags = [k for k in LAGS if n - 2 * k >= FEWEST]
        if len(lags) < 2:
            continue
        v = np.stack([mean_square(values, k) for k in lags], axis=-1)
        log = np.log(np.maximum(v, np.finfo(float).tiny))
        total_misfit = total_misfit + n * misfit(log[..., 1:] - log[..., :1], lags)
        total += n
    shape = pieces[0].shape[:-1]
    rho = RHO_GRID[np.argmin(total_misfit, axis=-1)] if total else np.full(shape, RHO_UNKNOWN)
    total = total or pieces[0].shape[-1]
    return rho, np.minimum(rho + margin / np.sqrt(total), RHO_MOST)


def width(values: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Standard deviation, shape (...), of noise of known autocorrelation in series of shape (..., n), n >= FEWEST."""
    sigma: np.ndarray = np.sqrt(mean_square(values, 1) / (6 - 8 * rho + 2 * rho**2))
    floored: np.ndarray = np.maximum(sigma, floor(values))
    return floored


def misfit(ratios: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Squared misfit, shape (..., RHO_GRID), of AR(1) noise of each autocorrelation on the grid.

    `ratios` are the logarithms of V_k / V_1 at the lags after the first one, shape (..., lags - 1).
    """
    r = RHO_GRID[:, None] ** np.array(lags)
    model = np.log(6 - 8 * r + 2 * r**2)
    squares: np.ndarray = ((ratios[..., None, :] - (model[:, 1:] - model[:, :1])) ** 2).sum(-1)
    return squares


@remembered
def despike(values: np.ndarray, window: int = 7) -> np.ndarray:
    """`values` (shape (..., n)) with those far from their running median replaced by it (Hampel, 1974)."""
    if values.shape[-1] < window:
        return values
    size = [1] * (values.ndim - 1) + [window]
    smooth = median_filter(values, size=size, mode="mirror")
    residual = values - smooth
    # 1.4826: median absolute to standard deviation; 1.25: the running median follows the noise a little.
    spread = 1.25 * 1.4826 * median(np.abs(residual))[..., None]
    return np.where(np.abs(residual) > OUTLIER * np.maximum(spread, floor(values)[..., None]), smooth, values)


def floor(values: np.ndarray) -> np.ndarray:
    """The least width, shape (...), that noise in series of shape (..., n) can have: no log resolves less."""
    n = values.shape[-1]
    quartiles = np.partition(values, [n // 4, 3 * n // 4], axis=-1)
    spread = quartiles[..., 3 * n // 4] - quartiles[..., n // 4]
    return np.asarray(FLOOR * spread + ROUNDING * np.abs(quartiles[..., n // 4]) + np.finfo(float).tiny)
