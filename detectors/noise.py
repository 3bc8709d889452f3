"""How noisy a curve is, whether the noise grows, and for how long it remembers.

The model is AR(1) noise around a smooth trend, whose width changes exponentially along the series. Second differences
at lag k do not see a straight trend and barely a curved one; the mean squares V_k at the lags 1, 2, 4, 8 and 16 depend
on the autocorrelation as

    V_k ~ 6 - 8 rho^k + 2 rho^2k,

from which rho is told by weighted least squares on the logarithms (a longer lag says more about a long memory, and
less surely), and V_1 then gives the width. The growth is that of a gamma regression of the squares at lag 1 on time,
shrunk towards none by what it is worth in so many values. Where a curve begins steeply, its second differences are all
of one sign: that head is left out, at each lag its own.

Everything works along the last axis, so that many runs are measured at once, and so are series of different lengths,
padded behind: sums are taken one value after the other, to which zeros add nothing, so that what is said of a series is
the same, to the bit, in any company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

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
    "despike_ahead",
    "estimate",
    "floor",
    "likeliest",
    "mean_square",
    "measure_ahead",
    "median",
    "moving_average",
    "noise_of",
    "se_of_mean",
    "smoothed",
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
LIKE = np.array([*(k * 2**i for i in range(2, 24) for k in (2, 3))])  # lengths at which others begin to be padded


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
        return self.sigma * se_of_mean(self.rho_upper, m)

    def se_of_means(self, n: int) -> np.ndarray:
        """Standard errors of the means of 1, 2, ... n successive values half-way, shape (n,)."""
        m, k = np.arange(1, n + 1), np.arange(n)
        powers = np.where(k > 0, self.rho_upper**k, 0.0)
        se: np.ndarray = self.sigma * np.sqrt((1 + 2 * (np.cumsum(powers) - np.cumsum(k * powers) / m)) / m)
        return se

    def independent(self, m: int) -> float:
        """How many independent values `m` successive ones are worth for a mean."""
        return (self.sigma / self.se_of_mean(m)) ** 2

    def widths(self, n: int) -> np.ndarray:
        """The width at each value of the series of n that this noise was told from, shape (n,)."""
        return self.sigma * widths(np.asarray(self.growth), n)


@lru_cache(maxsize=1 << 12)
def se_of_mean(rho: float, m: int) -> float:
    """Standard error of the mean of `m` successive values of AR(1) noise of width 1."""
    k = np.arange(1, m)
    return float(np.sqrt((1 + 2 * np.sum((1 - k / m) * rho**k)) / m))


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


def ahead(series: Iterable[np.ndarray]) -> None:
    """Measure series of shapes (n_i,), n_i >= FEWEST, at once, for `noise_of` and `despike` of each."""
    series = list(series)
    despike_ahead(series)
    measure_ahead([despike(values) for values in series])


def despike_ahead(series: Iterable[np.ndarray]) -> None:
    """Set the outliers of series of shapes (n_i,) aside at once, for `despike` of each."""

    def clean(alike: list[np.ndarray]) -> Iterator[np.ndarray]:
        return (row[: len(values)].copy() for row, values in zip(_despiked(*_padded(alike)), alike, strict=True))

    despike.ahead_by(partial(_by_like_length, clean), (values for values in series if len(values) > 2 * BESIDE))


def measure_ahead(pieces: Iterable[np.ndarray], longest: int = LAGS[-1]) -> None:
    """Measure pieces of shapes (n_i,), n_i >= FEWEST, at once, for `estimate` of them, outliers set aside before."""

    def measure(alike: list[np.ndarray]) -> Iterator[_Measured]:
        return _measured_in_rows(*_padded(alike), longest).rows()

    _measured.ahead_by(partial(_by_like_length, measure), pieces, longest=longest)


@remembered
def estimate(*pieces: np.ndarray, margin: float = RHO_MARGIN, longest: int = LAGS[-1]) -> tuple[Estimate, ...]:
    """The noise of series in pieces of shapes (..., n_i), n_i >= FEWEST, outliers set aside before.

    Each piece has a width and a growth of its own, all have one memory. The upper autocorrelation lies `margin` over
    the square root of the number of values above the estimate. No lag is more than `longest`: in long ones the sharp
    corner of a curve passes for memory.
    """
    measured = [_measured(piece, longest=longest) for piece in pieces]
    misfit: np.ndarray | float = 0.0
    total = 0
    for piece, m in zip(pieces, measured, strict=True):
        if m.misfit is not None:
            misfit = misfit + piece.shape[-1] * m.misfit
            total += piece.shape[-1]
    rho = RHO_GRID[np.argmin(misfit, axis=-1)] if total else np.full(pieces[0].shape[:-1], RHO_UNKNOWN)
    above = np.minimum(rho + margin / np.sqrt(total or max(p.shape[-1] for p in pieces)), RHO_PROMISED)
    upper = np.maximum(above, np.minimum(rho, RHO_MOST))
    share = 6 - 8 * upper + 2 * upper**2
    return tuple(Estimate(np.maximum(np.sqrt(m.square / share), m.least), rho, upper, m.growth) for m in measured)


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is told of series one by one: `square` is V_1, `misfit` that of each autocorrelation, None with one lag."""

    square: np.ndarray
    growth: np.ndarray
    least: np.ndarray
    misfit: np.ndarray | None

    def rows(self) -> Iterator[_Measured]:
        """One by one."""
        misfit = self.misfit if self.misfit is not None else [None] * len(self.square)
        return map(_Measured, self.square, self.growth, self.least, misfit)


@remembered
def _measured(piece: np.ndarray, longest: int) -> _Measured:
    """Of series of shape (..., n): the answers have shape (...), the misfit (..., RHO_GRID)."""
    *shape, n = piece.shape
    rows = piece.reshape(-1, n)
    m = _measured_in_rows(rows, np.full(len(rows), n), longest)
    misfit = m.misfit if m.misfit is None else m.misfit.reshape(*shape, -1)
    return _Measured(m.square.reshape(shape), m.growth.reshape(shape), m.least.reshape(shape), misfit)


def _measured_in_rows(values: np.ndarray, sizes: np.ndarray, longest: int) -> _Measured:
    """Of the first `sizes` values of series of shape (runs, n), all long enough for the same lags."""
    lags = [k for k in _lags(int(sizes.min())) if k <= longest]
    resolution, step = _resolution(values, sizes)
    least = np.maximum(resolution, step / np.sqrt(12))
    growth = _growth(values, sizes, least)
    relative = _widths(-growth, sizes, values.shape[-1])
    v = np.stack([_behind_head(values, sizes, k, relative, least) for k in lags], axis=-1)
    misfit = _misfit(np.log(np.maximum(v, TINY)), lags) if len(lags) > 1 else None
    return _Measured(v[:, 0], growth, least, misfit)


def _by_like_length(measure: Callable[[list[np.ndarray]], Iterable[Any]], series: list[np.ndarray]) -> list[Any]:
    """What `measure` gives of series of shapes (n_i,), in order; it is given those that are about as long.

    None of them is half as long again as another, or has other lags.
    """
    order = sorted(range(len(series)), key=lambda i: len(series[i]))
    answers: list[Any] = [None] * len(series)
    for _, alike in groupby(order, lambda i: int(np.searchsorted(LIKE, len(series[i]), side="right"))):
        places = list(alike)
        for i, given in zip(places, measure([series[i] for i in places]), strict=True):
            answers[i] = given
    return answers


def _padded(series: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(series of shapes (n_i,) padded behind by their largest value, shape (runs, n); their sizes, shape (runs,))."""
    sizes = np.array([len(values) for values in series])
    rows = np.empty((len(series), int(sizes.max())))
    for row, values in zip(rows, series, strict=True):
        row[: len(values)] = values
        row[len(values) :] = values.max()
    return rows, sizes


def widths(growth: np.ndarray, n: int) -> np.ndarray:
    """Widths at each of n values over that half-way, shape (..., n)."""
    return _widths(growth, np.asarray(n), n)


def _widths(growth: np.ndarray, sizes: np.ndarray, n: int) -> np.ndarray:
    """Likewise of series of `sizes`, shape (...), at n values."""
    relative: np.ndarray = np.exp(growth[..., None] * ((np.arange(n) + 0.5) / sizes[..., None] - 0.5))
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
    n = values.shape[-1]
    if n <= 2 * BESIDE:
        return values
    rows = values.reshape(-1, n)
    return _despiked(rows, np.full(len(rows), n)).reshape(values.shape)


def _despiked(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The same of the first `sizes` values, more than 2 BESIDE, of series of shape (runs, n)."""
    runs, n = values.shape
    side = (runs, BESIDE)
    inside = np.where(np.arange(n) < sizes[:, None], values, -np.inf)
    beyond = np.concatenate([np.full(side, np.inf), inside, np.full(side, -np.inf)], axis=-1)
    beside = np.stack([beyond[:, i : i + n] for i in range(2 * BESIDE + 1) if i != BESIDE], axis=-1)
    middle = np.partition(beside, [BESIDE - 1, BESIDE], axis=-1)
    jitter = _spread(np.abs(_second_differences(values, 1)), sizes - 2) / np.sqrt(6)
    least, step = _resolution(values, sizes)
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


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Centred means of `window` successive values of a series of shape (n,), the first and the last ones repeated."""
    means = moving_average(values, window)
    return np.concatenate([means[:1].repeat(window // 2), means, means[-1:].repeat(window - 1 - window // 2)])


def floor(values: np.ndarray) -> np.ndarray:
    """The least width, shape (...), that noise in series of shape (..., n) can have: no log resolves less.

    Values rounded to a step have at least the noise of the rounding, whose variance is a twelfth of its square.
    """
    *shape, n = values.shape
    rows = values.reshape(-1, n)
    least, step = _resolution(rows, np.full(len(rows), n))
    return np.asarray(np.maximum(least, step / np.sqrt(12))).reshape(shape)


def _resolution(values: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the least width of noise, the step to which the values are rounded, 0 for none), each of shape (runs,).

    Of the first `sizes` values of series of shape (runs, n); the others, where there are any, are the largest.
    """
    runs, n = np.arange(len(values)), values.shape[-1]
    ordered = np.sort(values, axis=-1)
    low, high = ordered[runs, sizes // 4], ordered[runs, 3 * sizes // 4]
    least: np.ndarray = FLOOR * (high - low) + ROUNDING * np.abs(low) + TINY
    gaps = np.diff(ordered, axis=-1)
    same = gaps <= least[:, None]
    step = np.where(same, np.inf, gaps).min(axis=-1, initial=np.inf)
    ties = same.sum(axis=-1) - (n - sizes)
    rounded = (ties >= sizes / 4) & (sizes - 1 - ties >= DISTINCT)  # no accident, and no staircase has so many
    return least, np.where(rounded, step, 0.0)


def _growth(values: np.ndarray, sizes: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Logarithm of the factor by which the noise grows over the first `sizes` values, shape (runs,), shrunk."""
    n = values.shape[-1]
    d = _second_differences(values, 1)
    body = _body(d, sizes - 2)
    count = body.sum(axis=-1)[:, None]
    time = (np.arange(1, n - 1) + 0.5) / sizes[:, None] - 0.5
    centred = np.where(body, time - _total(time * body)[:, None] / count, 0.0)
    spread = _total(centred**2)
    d = np.abs(d)
    growth = np.zeros(len(values))
    for _ in range(STEPS):  # Fisher scoring: the logarithm of the squares' mean grows by twice the growth
        square = _clipped(d * _widths(-growth, sizes, n)[:, 1:-1], sizes - 2, least) ** 2
        square = np.where(body, square, 0.0)  # what lies in the head may be larger by any factor
        mean = np.maximum(_total(square)[:, None] / count, TINY)
        growth = growth + 0.5 * _total(centred * (square / mean)) / spread
        growth = np.minimum(np.maximum(growth, -GROWTH_MOST), GROWTH_MOST)
    shrunk: np.ndarray = growth * GROWTH_PRIOR**2 / (GROWTH_PRIOR**2 + LOG_WIDTH / spread)
    return shrunk


def _behind_head(values: np.ndarray, sizes: np.ndarray, k: int, relative: np.ndarray, least: np.ndarray) -> np.ndarray:
    """V_k of the second differences times `relative`, shape (runs, n), without the head of the curve, shape (runs,)."""
    d = _second_differences(values, k)
    body = _body(d, sizes - 2 * k)
    d = np.abs(d) * relative[:, k:-k]
    square: np.ndarray = _total(_clipped(d, sizes - 2 * k, least) ** 2 * body) / body.sum(axis=-1)
    return square


def _total(values: np.ndarray) -> np.ndarray:
    """Sums of series of shape (..., n), one value after the other: zeros behind add nothing, to the bit."""
    total: np.ndarray = np.cumsum(values, axis=-1)[..., -1]
    return total


def _second_differences(values: np.ndarray, k: int) -> np.ndarray:
    """Those at lag `k` of series of shape (..., n), shape (..., n - 2k)."""
    d: np.ndarray = values[..., 2 * k :] - 2 * values[..., k:-k] + values[..., : -2 * k]
    return d


def _body(differences: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which of the first `sizes` second differences, shape (runs, n), lie behind the steep convex start.

    The start ends where the sum of their signs, less what noise might gain, was largest; at least half lie behind it.
    """
    n = differences.shape[-1]
    place, half = np.arange(n), sizes[:, None] // 2
    total = np.cumsum(np.sign(differences) - HEAD, axis=-1)
    total = np.where(place < half, total, -np.inf)
    steep = total.max(axis=-1, initial=-np.inf) > 0
    last = np.where(steep, np.argmax(total, axis=-1), -1)[:, None]
    body: np.ndarray = (place > last) & (place < sizes[:, None])
    return body


def _clipped(differences: np.ndarray, sizes: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Absolute `differences`, shape (runs, n), no larger than noise makes them; `least` is its least width."""
    spread = np.maximum(_spread(differences, sizes), np.sqrt(6) * least)
    clipped: np.ndarray = np.minimum(differences, CLIP * spread[:, None])
    return clipped


def _spread(differences: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Robust standard deviation of the first `sizes` absolute differences, shape (runs, n), shape (runs,).

    The plain one where most of them are 0.
    """
    runs, n = differences.shape
    if (sizes == n).all():
        middle = np.partition(differences, n // 2, axis=-1)[:, n // 2]  # many times as fast as a median of NumPy's
    else:
        inside = np.arange(n) < sizes[:, None]
        middle = np.sort(np.where(inside, differences, np.inf), axis=-1)[np.arange(runs), sizes // 2]
    if np.all(middle > 0):
        return np.asarray(1.4826 * middle)
    squares = np.where(np.arange(n) < sizes[:, None], differences**2, 0.0)
    return np.where(middle > 0, 1.4826 * middle, np.sqrt(_total(squares) / sizes))


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
