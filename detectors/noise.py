"""How noisy a curve is, whether the noise grows, and for how long it remembers.

The model is AR(1) noise around a smooth trend, whose width changes exponentially along the series. Second differences
at lag k do not see a straight trend and barely a curved one; the mean squares V_k at the lags 1, 2, 4, 8 and 16 depend
on the autocorrelation as

    V_k ~ 6 - 8 rho^k + 2 rho^2k,

from which rho is told by weighted least squares on the logarithms (a longer lag says more about a long memory, and
less surely), and V_1 then gives the width. The growth is that of a gamma regression of the squares at lag 1 on time,
shrunk towards none by what it is worth in so many values. Where a curve begins steeply, its second differences are all
of one sign: that head is left out, at each lag its own.

Everything works along the last axis, so that many runs are measured at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from detectors.remembered import remembered

__all__ = [
    "FEWEST",
    "LOG_WIDTH",
    "RHO_GRID",
    "RHO_MOST",
    "RHO_PROMISED",
    "Estimate",
    "Noise",
    "ahead",
    "clipped_mean_square",
    "despike",
    "estimate",
    "floor",
    "likeliest",
    "mean_square",
    "median",
    "moving_average",
    "noise_of",
    "widths",
]

FEWEST = 6  # values from which noise can be estimated
LAGS = (1, 2, 4, 8, 16)
VALUES_PER_LAG = 6  # a series has a lag only if it is this many times as long
RHO_GRID = np.arange(0.0, 0.981, 0.02)
RHO_MARGIN = 1.0  # the autocorrelation is taken this much over sqrt(n) above its estimate, ...
RHO_PROMISED = 0.8  # ... but that margin ends at the largest one that is promised, ...
RHO_MOST = 0.95  # ... and nothing is taken beyond this
RHO_UNKNOWN = 0.5  # the estimate where a series is too short for two lags
DISTINCT = 4  # steps between values that are rounded, at least
CLIP = 3.0  # robust standard deviations at which second differences are clipped
OUTLIER = 3.0  # robust standard deviations by which a value may stick out from its neighbours
BESIDE = 3  # neighbours on either side
HEAD = 0.45  # of the signs' sum a step: what the head of a curve must gain, and noise does not
STEPS = 4  # of the gamma regression
GROWTH_MOST = 6.0  # the largest growth that is told
GROWTH_PRIOR = 0.7  # standard deviation of the growth towards none
LOG_WIDTH = 1.2  # squared error of the logarithm of a width told from one value (simulated)
FLOOR = 1e-4  # of the interquartile range, and ...
ROUNDING = 1e-7  # ... of the level: no log resolves less
TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Noise:
    """AR(1) noise: `sigma` (unit of the series) is its width half-way, told at the deliberately high `rho_upper`.

    `rho` is the estimate of the lag-one autocorrelation itself, `growth` the logarithm of the factor by which the width
    grows over the series.
    """

    sigma: float
    rho: float
    rho_upper: float
    growth: float = 0.0

    def se_of_mean(self, m: int) -> float:
        """Standard error of the mean of `m` successive values half-way."""
        k = np.arange(1, m)
        return float(self.sigma * np.sqrt((1 + 2 * np.sum((1 - k / m) * self.rho_upper**k)) / m))

    def independent(self, m: int) -> float:
        """How many independent values `m` successive ones are worth for a mean."""
        return (self.sigma / self.se_of_mean(m)) ** 2

    def widths(self, n: int) -> np.ndarray:
        """The width at each value of the series of n that this noise was told from, shape (n,)."""
        return self.sigma * widths(np.asarray(self.growth), n)


@dataclass(frozen=True, eq=False)
class Estimate:
    """The noise of many series: the fields of `Noise`, each of shape (...)."""

    sigma: np.ndarray
    rho: np.ndarray
    rho_upper: np.ndarray
    growth: np.ndarray

    def one(self) -> Noise:
        """The noise of a single series."""
        return Noise(float(self.sigma), float(self.rho), float(self.rho_upper), float(self.growth))


@remembered
def noise_of(values: np.ndarray) -> Noise:
    """The noise of one series of shape (n,), n >= FEWEST, outliers set aside."""
    (e,) = estimate(despike(values))
    return e.one()


def ahead(series: np.ndarray) -> None:
    """Measure series of shape (runs, n), n >= FEWEST, at once, for `noise_of` and `despike` of each."""
    despike.ahead(series)
    estimate.ahead(despike(series))


@remembered
def estimate(*pieces: np.ndarray, margin: float = RHO_MARGIN, longest: int = LAGS[-1]) -> tuple[Estimate, ...]:
    """The noise of series in pieces of shapes (..., n_i), n_i >= FEWEST, outliers set aside before.

    Each piece has a width and a growth of its own, all have one memory. The upper autocorrelation lies `margin` over
    the square root of the number of values above the estimate. No lag is more than `longest`: in long ones the sharp
    corner of a curve passes for memory.
    """
    measured = []
    misfit: np.ndarray | float = 0.0
    total = 0
    for piece in pieces:
        n, least = piece.shape[-1], floor(piece)
        growth = _growth(piece, least)
        lags = [k for k in _lags(n) if k <= longest]
        relative = widths(-growth, n)
        v = np.stack([_behind_head(piece, k, relative, least) for k in lags], axis=-1)
        measured.append((v[..., 0], growth, least))
        if len(lags) > 1:
            misfit = misfit + n * _misfit(np.log(np.maximum(v, TINY)), lags)
            total += n
    rho = RHO_GRID[np.argmin(misfit, axis=-1)] if total else np.full(pieces[0].shape[:-1], RHO_UNKNOWN)
    above = np.minimum(rho + margin / np.sqrt(total or max(p.shape[-1] for p in pieces)), RHO_PROMISED)
    upper = np.maximum(above, np.minimum(rho, RHO_MOST))
    share = 6 - 8 * upper + 2 * upper**2
    return tuple(Estimate(np.maximum(np.sqrt(v / share), least), rho, upper, growth) for v, growth, least in measured)


def widths(growth: np.ndarray, n: int) -> np.ndarray:
    """Widths at each of n values over that half-way, shape (..., n)."""
    relative: np.ndarray = np.exp(growth[..., None] * ((np.arange(n) + 0.5) / n - 0.5))
    return relative


def likeliest(log_squares: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """The autocorrelation, shape (...), that fits the logarithms of V_k at `lags` best, shape (..., lags)."""
    rho: np.ndarray = RHO_GRID[np.argmin(_misfit(log_squares, lags), axis=-1)]
    return rho


def mean_square(values: np.ndarray, k: int) -> np.ndarray:
    """V_k, shape (...): clipped mean square of the second differences at lag `k` of series of shape (..., n)."""
    return _clipped_mean_square(np.abs(_second_differences(values, k)))


def clipped_mean_square(differences: np.ndarray, window: int) -> np.ndarray:
    """Mean squares of absolute `differences`, shape (..., n), over windows of them: shape (..., n - window + 1).

    Those beyond CLIP robust standard deviations of their window count as that much.
    """
    return _clipped_mean_square(sliding_window_view(differences, window, axis=-1))


def _clipped_mean_square(d: np.ndarray) -> np.ndarray:
    limit = CLIP * 1.4826 * median(d)[..., None]
    square: np.ndarray = (np.minimum(d, limit) ** 2).sum(axis=-1) / d.shape[-1]
    return square


def median(values: np.ndarray) -> np.ndarray:
    """The medians of `values`, finite and of shape (..., n), shape (...): NumPy's, many times as fast."""
    n = values.shape[-1]
    half = n // 2
    if n % 2:
        middle: np.ndarray = np.partition(values, half, axis=-1)[..., half]
        return middle
    parts = np.partition(values, (half - 1, half), axis=-1)
    between: np.ndarray = (parts[..., half - 1] + parts[..., half]) / 2
    return between


@remembered
def despike(values: np.ndarray) -> np.ndarray:
    """`values`, shape (..., n), with those that stick out from their neighbours brought back.

    A value may lie OUTLIER robust standard deviations above the third largest or below the third smallest of the three
    neighbours on either side: no trend makes it do so, and three outliers in a row cannot hide each other. Beyond its
    ends the curve is taken to go on falling. (Winsorising by local order statistics; cf. Hampel's filter, 1974.)
    """
    if values.shape[-1] < 2 * BESIDE + 1:
        return values
    side = (*values.shape[:-1], BESIDE)
    padded = np.concatenate([np.full(side, np.inf), values, np.full(side, -np.inf)], axis=-1)
    n = values.shape[-1]
    beside = np.stack([padded[..., i : i + n] for i in range(2 * BESIDE + 1) if i != BESIDE], axis=-1)
    middle = np.partition(beside, [BESIDE - 1, BESIDE], axis=-1)
    jitter = _spread(np.abs(_second_differences(values, 1))) / np.sqrt(6)
    least, step = _resolution(values)
    room = OUTLIER * np.maximum(jitter, least)
    steps = np.maximum(np.ceil(room / np.where(step > 0, step, 1.0)), 2)  # rounded values stay on their grid
    room = np.where(step > 0, steps * step, room)[..., None]
    clean: np.ndarray = np.minimum(np.maximum(values, middle[..., BESIDE - 1] - room), middle[..., BESIDE] + room)
    return clean


def moving_average(values: np.ndarray, m: int) -> np.ndarray:
    """Means of `m` successive values along the last axis, shape (..., n - m + 1)."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1), np.result_type(values, 0.0))
    np.cumsum(values, axis=-1, out=total[..., 1:])
    means: np.ndarray = (total[..., m:] - total[..., :-m]) / m
    return means


def floor(values: np.ndarray) -> np.ndarray:
    """The least width, shape (...), that noise in series of shape (..., n) can have: no log resolves less.

    Values rounded to a step have at least the noise of the rounding, whose variance is a twelfth of its square.
    """
    least, step = _resolution(values)
    return np.asarray(np.maximum(least, step / np.sqrt(12)))


def _resolution(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the least width of noise, the step to which the values are rounded, 0 for none), each of shape (...)."""
    n = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    low, high = ordered[..., n // 4], ordered[..., 3 * n // 4]
    least: np.ndarray = FLOOR * (high - low) + ROUNDING * np.abs(low) + TINY
    gaps = np.diff(ordered, axis=-1)
    same = gaps <= least[..., None]
    step = np.where(same, np.inf, gaps).min(axis=-1, initial=np.inf)
    ties = same.sum(axis=-1)
    rounded = (ties >= n / 4) & (n - 1 - ties >= DISTINCT)  # so many ties are no accident, and no staircase has them
    return least, np.where(rounded, step, 0.0)


def _growth(values: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Logarithm of the factor by which the noise grows over series of shape (..., n), shape (...), shrunk."""
    n = values.shape[-1]
    d = _second_differences(values, 1)
    body = _body(d)
    count = body.sum(axis=-1, keepdims=True)
    time = (np.arange(1, n - 1) + 0.5) / n - 0.5
    centred = np.where(body, time - (time * body).sum(axis=-1, keepdims=True) / count, 0.0)
    spread = (centred**2).sum(axis=-1)
    d = np.abs(d)
    growth = np.zeros(values.shape[:-1])
    for _ in range(STEPS):  # Fisher scoring: the logarithm of the squares' mean grows by twice the growth
        square = _clipped(d * widths(-growth, n)[..., 1:-1], least) ** 2
        square = np.where(body, square, 0.0)  # what lies in the head may be larger by any factor
        mean = np.maximum(square.sum(axis=-1, keepdims=True) / count, TINY)
        growth = growth + 0.5 * (centred * (square / mean)).sum(axis=-1) / spread
        growth = np.minimum(np.maximum(growth, -GROWTH_MOST), GROWTH_MOST)
    shrunk: np.ndarray = growth * GROWTH_PRIOR**2 / (GROWTH_PRIOR**2 + LOG_WIDTH / spread)
    return shrunk


def _behind_head(values: np.ndarray, k: int, relative: np.ndarray, least: np.ndarray) -> np.ndarray:
    """V_k of the second differences times `relative`, shape (..., n), without the head of the curve, shape (...)."""
    d = _second_differences(values, k)
    body = _body(d)
    d = np.abs(d) * relative[..., k:-k]
    square: np.ndarray = (_clipped(d, least) ** 2 * body).sum(axis=-1) / body.sum(axis=-1)
    return square


def _second_differences(values: np.ndarray, k: int) -> np.ndarray:
    """Those at lag `k` of series of shape (..., n), shape (..., n - 2k)."""
    d: np.ndarray = values[..., 2 * k :] - 2 * values[..., k:-k] + values[..., : -2 * k]
    return d


def _body(differences: np.ndarray) -> np.ndarray:
    """Which of the second differences, shape (..., n), lie behind the steep convex start; at least half of them do.

    The start ends where the sum of their signs, less what noise might gain, was largest.
    """
    total = np.cumsum(np.sign(differences) - HEAD, axis=-1)[..., : differences.shape[-1] // 2]
    if not total.shape[-1]:
        return np.ones(differences.shape, bool)
    last = np.argmax(total, axis=-1)[..., None]
    steep = total.max(axis=-1, keepdims=True) > 0
    body: np.ndarray = ~steep | (np.arange(differences.shape[-1]) > last)
    return body


def _clipped(differences: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Absolute `differences`, shape (..., n), no larger than noise makes them; `least` is its least width."""
    spread = np.maximum(_spread(differences), np.sqrt(6) * least)
    clipped: np.ndarray = np.minimum(differences, CLIP * spread[..., None])
    return clipped


def _spread(differences: np.ndarray) -> np.ndarray:
    """Robust standard deviation of absolute `differences`, shape (..., n); the plain one where most of them are 0."""
    half = differences.shape[-1] // 2
    middle = np.partition(differences, half, axis=-1)[..., half]  # many times as fast as a median of NumPy's
    if np.all(middle > 0):
        return np.asarray(1.4826 * middle)
    return np.where(middle > 0, 1.4826 * middle, np.sqrt(np.mean(differences**2, axis=-1)))


def _lags(n: int) -> list[int]:
    """The lags that a series of n values is long enough for."""
    return [k for k in LAGS if k == 1 or (n >= VALUES_PER_LAG * k and n - 2 * k >= FEWEST)]


def _misfit(log_squares: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Squared misfit, shape (..., RHO_GRID), of AR(1) noise of any width; a lag counts by its independent pieces."""
    r = RHO_GRID[:, None] ** np.array(lags)
    weight = 1 / np.array(lags)
    weight /= weight.sum()
    off = log_squares[..., None, :] - np.log(6 - 8 * r + 2 * r**2)
    off = off - (off * weight).sum(axis=-1, keepdims=True)
    squares: np.ndarray = (off**2 * weight).sum(axis=-1)
    return squares
