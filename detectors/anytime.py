r"""Does a curve that is still growing rise? A test that may look after each value, of a run of any length.

Null: the expected curve never increases; around it AR(1) normal noise, whose level is not known and whose coefficient
rho is anything up to a stated bound. The chance that the test ever rejects is at most alpha, however long the run is.

Method. Windows of 12 and of 20 blocks, of 1, 2, 3, 4, 6, ... 68 values each, end every second block. On the block means
x of a window, with Sigma(rho) the exact correlations of block means of AR(1) noise, level and slope are fitted by
generalised least squares, and then a bend, so that one is not taken for noise:

    t(rho) = slope / its standard error, from the residuals,          p = the largest P(t with N - 3 degrees > t(rho))

over six coefficients from 0 to the bound. Each window i has a weight w_i, the weights of all windows that can ever be
sum to less than 1, and the test rejects once p_i <= alpha w_i. In terms of e-values: e_i = 1 / (alpha w_i) where that
holds, else 0, has expectation at most 1, and so has E = sum of w_i e_i over all windows for ever. Their sum so far only
grows and never exceeds that, so it is an e-process in whichever filtration, and the chance that it ever reaches
1 / alpha is at most alpha (Markov's inequality does what Ville's, 1939, does elsewhere). Windows may overlap and their
noise may depend; each is looked at once. Vovk & Wang, 2021, E-values, Annals of Statistics 49; Ramdas, Gruenwald, Vovk
& Shafer, 2023, Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38. The running minimum
of p_i / w_i is an anytime-valid p-value (Howard, Ramdas, McAuliffe & Sekhon, 2021, Annals of Statistics 49).

Why a flat curve is the worst: the slope's weights have negative partial sums, so its expectation is at most 0 where the
curve never increases (the idea of Duembgen & Walther, 2008, arXiv:0706.3968). Given the slope, the residuals are normal
and independent of it, and a curve that is no parabola makes their squares larger (Anderson, 1955): both push t down.
This is exact at each of the six coefficients; between them it is measured (`experiments/online.py`).

What was not done, since it breaks the promise: one coefficient estimated from the run itself (a slow rise looks like
memory, and chance like none), and averages of sequential likelihood ratios of different windows (each is an e-process
in a filtration of its own).

What it rests on. The level of the noise may change from window to window, not much within one. With tails like
Student's t with 4 degrees of freedom, and with noise that grows e-fold over the run, it was measured and holds; nothing
is proved there: a lone outlier cannot make a slope. A bound on rho that is too low voids it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtr

__all__ = ["BLOCKS", "MOST", "SHORTEST", "SIZES", "SPAN", "anytime_p", "between", "due", "memory", "weight", "window_p"]

SIZES = (1, 2, 3, 4, 6, 9, 14, 20, 30, 45, 68)  # values averaged in a block
BLOCKS = (12, 20)  # blocks in a window
STRIDE = 2  # blocks between the ends of two windows
SHORTEST = SIZES[0] * BLOCKS[0]  # values before the first window is full
SPAN = SIZES[-1] * BLOCKS[-1]  # values of the longest window
DEGREE = 2  # of the polynomial beside the slope: a bend is no noise
PACE = 200.0  # values on which four tenths of the weight are spent; half are spent on 344
GRID = (1.0, 0.0, 0.9, 0.75, 0.5, 0.25)  # shares of the bound at which the autocorrelation is tried
MOST = 0.95  # the largest bound: beyond it a wandering plateau and a rise are one
ROUNDING = 1e-7  # of the level: the least standard deviation of a block


def due(count: int) -> Iterator[tuple[int, int]]:
    """(size, blocks) of the windows that end with value number `count` since the start of the stretch."""
    for size in SIZES:
        if count % (STRIDE * size) == 0:
            for blocks in BLOCKS:
                if count >= size * blocks:
                    yield size, blocks


def weight(total: float | np.ndarray, size: int) -> float | np.ndarray:
    """The weight of a window of blocks of `size` that ends with value number `total` of the run.

    Over all windows of a run without an end the weights sum to less than 1: each is the mass that a density of heavy
    tail, 1 / ((1 + x) (1 + log(1 + x))^2) with x = total / 200, has since the window before.
    """
    since = np.log1p((np.asarray(total, float) - STRIDE * size) / PACE)
    now = np.log1p(np.asarray(total, float) / PACE)
    share = (1 / (1 + since) - 1 / (1 + now)) / (len(SIZES) * len(BLOCKS))
    return float(share) if share.ndim == 0 else share


def window_p(
    values: np.ndarray,
    size: int,
    blocks: int,
    bound: float,
    noise: np.ndarray | None = None,
    degree: int = DEGREE,
    ceiling: float = 1.0,
) -> np.ndarray:
    """P-values, shape (...), of "no rise" in windows of shape (..., size * blocks); `bound` on the autocorrelation.

    `noise`, shape (..., m, size * blocks), are m series without a curve that have the same noise in the same window
    (`between` sister runs): they add m times the degrees of freedom. The residuals are those of a polynomial of
    `degree`: a high one where the curve is far from straight and much above its noise, as a decay is. P-values above
    `ceiling` may be too small, but not below it.
    """
    shape = values.shape[:-1]
    others = None if noise is None else _means(noise.reshape(-1, *noise.shape[-2:]), size)
    x = _means(values.reshape(-1, values.shape[-1]), size)
    return _p(x, size, bound, others, degree, ceiling).reshape(shape)


def _p(x: np.ndarray, size: int, bound: float, others: np.ndarray | None, degree: int, ceiling: float) -> np.ndarray:
    """The p-values, shape (runs,), of windows that are given by their block means, shape (runs, blocks)."""
    least = (ROUNDING * np.abs(x.mean(-1))) ** 2
    x = x - x.mean(-1, keepdims=True)
    p, left = np.zeros(len(x)), np.arange(len(x))
    for fit in _fits(size, x.shape[-1], bound, degree):
        squares, degrees = fit.squares(x[left]), fit.degrees
        if others is not None:
            squares, degrees = squares + fit.squares(others[left]).sum(-1), degrees * (1 + others.shape[-2])
        slope, variance = x[left] @ fit.slope, squares / degrees + least[left]
        t = np.divide(slope, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
        p[left] = np.maximum(p[left], stdtr(degrees, -t))
        left = left[p[left] <= ceiling]
        if not len(left):
            break
    return p


def _means(values: np.ndarray, size: int) -> np.ndarray:
    """Means of successive blocks of `size` values along the last axis, the rest left out."""
    n = values.shape[-1] // size
    means: np.ndarray = values[..., : n * size].reshape(*values.shape[:-1], n, size).mean(-1)
    return means


def anytime_p(values: np.ndarray, bound: float, noise: np.ndarray | None = None) -> np.ndarray:
    """The anytime-valid p-value after each value of the runs of shape (runs, n), shape (runs, n); 1 at first.

    The chance that it is ever at most alpha in a run that never rises is at most alpha. `noise`, shape (runs, m, n), is
    that of the sister runs of each.
    """
    runs, n = values.shape
    best = np.full((runs, n), np.inf)
    for size in SIZES:
        means = _means(values, size)
        others = None if noise is None else _means(noise, size)
        for blocks in BLOCKS:
            for end in range(blocks, n // size + 1, STRIDE):
                part, share = slice(end - blocks, end), weight(end * size, size)
                assert isinstance(share, float)
                p = _p(means[:, part], size, bound, None if others is None else others[..., part], DEGREE, share)
                last = end * size - 1
                best[:, last] = np.minimum(best[:, last], p / share)
    running: np.ndarray = np.minimum(np.minimum.accumulate(best, axis=1), 1.0)
    return running


def between(runs: np.ndarray) -> np.ndarray:
    """The noise of k sister runs, shape (..., k, n), without what they share: contrasts of shape (..., k - 1, n)."""
    k = runs.shape[-2]
    helmert = np.tril(-np.ones((k - 1, k))) + np.diag(np.arange(1.0, k), 1)[: k - 1]
    contrasts: np.ndarray = (helmert / np.linalg.norm(helmert, axis=1, keepdims=True)) @ runs
    return contrasts


def memory(noise: np.ndarray) -> np.ndarray:
    """A bound on the autocorrelation of noise of shape (..., m, n), shape (...): two standard errors above it."""
    product, square = (noise[..., 1:] * noise[..., :-1]).sum((-2, -1)), (noise**2).sum((-2, -1))
    rho = np.divide(product, square, out=np.zeros_like(square), where=square > 0)
    bound: np.ndarray = np.maximum(rho, 0) + 2 / np.sqrt(noise.shape[-2] * noise.shape[-1])
    rounded: np.ndarray = np.ceil(50 * bound) / 50  # so that few designs serve all runs
    return rounded


@dataclass(frozen=True, eq=False)
class _Fit:
    """A level and a slope fitted to block means of noise with one autocorrelation.

    `slope`, shape (blocks,), are the weights of the slope in standard deviations; `rest`, shape (degrees of freedom,
    blocks), takes block means to independent residuals.
    """

    slope: np.ndarray
    rest: np.ndarray

    @property
    def degrees(self) -> int:
        return len(self.rest)

    def squares(self, x: np.ndarray) -> np.ndarray:
        """The sum of squared residuals of block means of shape (..., blocks), shape (...)."""
        total: np.ndarray = ((x @ self.rest.T) ** 2).sum(-1)
        return total


@lru_cache(maxsize=256)
def _fits(size: int, blocks: int, bound: float, degree: int) -> tuple[_Fit, ...]:
    return tuple(_fit(size, blocks, share * bound, degree) for share in (GRID if bound > 0 else (1.0,)))


def _fit(size: int, blocks: int, rho: float, degree: int) -> _Fit:
    n = size * blocks
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    noise = (rho**lags).reshape(blocks, size, blocks, size).mean((1, 3))
    whiten = np.linalg.inv(np.linalg.cholesky(noise))
    place = np.linspace(-1, 1, blocks)
    q, r = np.linalg.qr(whiten @ np.vander(place, degree + 1, increasing=True), mode="complete")
    return _Fit(slope=np.sign(r[1, 1]) * q[:, 1] @ whiten, rest=q[:, degree + 1 :].T @ whiten)
