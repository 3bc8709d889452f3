"""The scan test: does a noisy series stay above zero for three values or more?

For windows of 3, 4, 6, 9, ... values at every place, the mean of all but the largest one, over the width of the noise
there: a single high value, as the first epoch of a run has it, makes no stretch. The statistic is the largest over
places and lengths, each length divided by its own 99 % point (scan statistics: Glaz, Naus & Wallenstein, 2001). The
start of the series is where a stretch is likely, so half of alpha goes to the windows there, and half to all.

The null distribution is simulated with everything that is estimated, for a series that lies at zero but for its first
value, which is huge; the worst is taken over autocorrelations up to 0.8 and noise that is normal or Student's t with
four degrees of freedom, of constant width, growing or shrinking e-fold: `experiments/scan_null.py` writes it to
`scan_null.csv`.

Limits: up to three high values in a row, elsewhere than at the start, are taken for outliers (`detectors.noise`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from detectors.noise import despike, estimate, moving_average, widths
from detectors.null import Table, read
from detectors.remembered import remembered

__all__ = ["ALL", "SHORTEST", "START", "Scan", "ahead", "means_but_largest", "scan", "scan_statistic", "sizes", "table"]

SHORTEST = 8  # values that the test needs
LEAST = 3  # values of a stretch
LONGEST = 8  # lag from which the memory is told: where a stretch ends the series has a corner
START, ALL = 1, 2  # cases of the null distribution: windows at the start of the series, all windows
LONGEST_WINDOW = 1024  # values; longer stretches are seen by these


@dataclass(frozen=True, eq=False)
class Scan:
    """`ratios[i]` has the statistic of the windows of `sizes(n)[i]` values by their first position; `width` (n,)."""

    ratios: tuple[np.ndarray, ...]
    width: np.ndarray
    units: np.ndarray

    def p_value(self, lo: int, hi: int) -> float:
        """The chance that noise has anything like the windows within positions lo..hi-1."""
        n = len(self.width)
        inside = [r[lo : max(hi - size + 1, lo)] for r, size in zip(self.ratios, sizes(n), strict=True)]
        p = table().p_value(n, ALL, max((float(r.max()) for r in inside if len(r)), default=-np.inf))
        if lo == 0:
            p = min(p, table().p_value(n, START, max((float(r[0]) for r in inside if len(r)), default=-np.inf)))
        return min(1.0, 2 * p)

    def known(self, lo: int, hi: int, alpha: float) -> int:
        """The last position of the earliest window within lo..hi-1 that is significant at `alpha`, else hi - 1."""
        n = len(self.width)
        ends = [hi - 1]
        anywhere, at_start = (table().critical(n, case, alpha / 2) for case in (ALL, START))
        for r, size in zip(self.ratios, sizes(n), strict=True):
            inside = r[lo : max(hi - size + 1, lo)]
            tells = inside > anywhere
            if lo == 0 and len(inside):
                tells[0] |= inside[0] > at_start
            ends += [lo + int(at) + size - 1 for at in np.flatnonzero(tells)[:1]]
        return min(ends)


def scan(values: np.ndarray) -> Scan:
    """The test on one series of shape (n,), n >= SHORTEST."""
    ratios, width, units = _ratios(values)
    return Scan(tuple(ratios), width, units)


def ahead(series: np.ndarray) -> None:
    """Test series of shape (runs, n) at once, for `scan` of each."""
    if series.shape[-1] >= SHORTEST:
        _ratios.ahead(series)
        despike.ahead(series)


def scan_statistic(values: np.ndarray) -> np.ndarray:
    """The largest statistics at the start and anywhere in series of shape (..., n), shape (2, ...)."""
    ratios = _ratios(values)[0]
    return np.array([np.max([r[..., 0] for r in ratios], axis=0), np.max([r.max(axis=-1) for r in ratios], axis=0)])


def sizes(n: int) -> list[int]:
    """Lengths of the windows in a series of n values: 3, 4, 6, 10, ... up to n, or to the longest that is tabulated."""
    out, size = [LEAST], LEAST * 1.5
    while int(size) <= min(n, LONGEST_WINDOW):
        out.append(int(size))
        size *= 1.5
    return out


def means_but_largest(values: np.ndarray, size: int) -> np.ndarray:
    """Means of `size` successive values without the largest of them, shape (..., n - size + 1)."""
    largest = maximum_filter1d(values, size, axis=-1, origin=-(size // 2))[..., : values.shape[-1] - size + 1]
    means: np.ndarray = (moving_average(values, size) * size - largest) / (size - 1)
    return means


def table() -> Table:
    """The simulated null."""
    return read("scan_null.csv")


@remembered
def _ratios(values: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """(the statistic of every window of each size, the width of the noise, the units), one for each series."""
    n = values.shape[-1]
    clean = despike(values)
    (e,) = estimate(clean, longest=LONGEST)
    width = e.sigma[..., None] * widths(e.growth, n)
    units = table().units(n, e.rho_upper, len(sizes(n)))
    ratios = [
        means_but_largest(clean, size) / (moving_average(width, size) * units[..., i, None])
        for i, size in enumerate(sizes(n))
    ]
    return ratios, width, units
