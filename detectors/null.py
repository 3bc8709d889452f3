"""A simulated null distribution: the chance of a statistic, from its upper quantiles at some levels.

A test that looks at many places and scales at once divides what it finds at each scale by a `unit`, a 99 % point for
known noise, so that no scale drowns the others; the largest quotient is its statistic, and `tail` holds the quantiles
of that with everything estimated as in use.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np

__all__ = ["SMALLEST_P", "Table", "critical", "read", "read_rows", "upper_tail"]

SMALLEST_P = 1e-4  # smaller ones would be an extrapolation of the simulated tables


def upper_tail(statistic: float, points: np.ndarray, logs: np.ndarray) -> float:
    """The chance of a null statistic of this size or more.

    `points` are ascending upper quantiles, shape (levels,), `logs` the logarithms of their levels, shape (levels,).
    Log-linear between them and beyond the last one; 1 below the first.
    """
    if statistic > points[-1]:
        slope = (logs[-1] - logs[-4]) / (points[-1] - points[-4])
        return float(np.exp(logs[-1] + slope * (statistic - points[-1])))
    if statistic < points[0]:
        return 1.0
    return float(np.exp(np.interp(statistic, points, logs)))


def critical(alpha: float, points: np.ndarray, logs: np.ndarray) -> float:
    """The null statistic that is exceeded with chance `alpha`: `upper_tail` inverted, within the range of the table."""
    if alpha < np.exp(logs[-1]):
        return float(points[-1] + (points[-1] - points[-4]) / (logs[-1] - logs[-4]) * (np.log(alpha) - logs[-1]))
    return float(np.interp(np.log(alpha), logs[::-1], points[::-1]))


@dataclass(frozen=True, eq=False)
class Table:
    """For each length `unit[i]`, shape (autocorrelations, scales), and `tail[i]`, shape (pieces, levels), ascending."""

    lengths: np.ndarray
    rho: np.ndarray
    pieces: np.ndarray
    levels: np.ndarray
    unit: tuple[np.ndarray, ...]
    tail: tuple[np.ndarray, ...]

    def units(self, n: int, rho: np.ndarray, scales: int) -> np.ndarray:
        """Units of the first `scales` scales in a series of n values, shape (..., scales)."""
        unit = self.unit[self._row(n)][:, :scales]
        i = np.clip(np.searchsorted(self.rho, rho) - 1, 0, len(self.rho) - 2)
        w = np.clip((rho - self.rho[i]) / (self.rho[i + 1] - self.rho[i]), 0, 1)[..., None]
        interpolated: np.ndarray = unit[i] * (1 - w) + unit[i + 1] * w
        return interpolated

    @cached_property
    def logs(self) -> np.ndarray:
        """The logarithms of the levels, shape (levels,)."""
        return np.asarray(np.log(self.levels))

    def critical(self, n: int, pieces: int, alpha: float) -> float:
        """The statistic that a null series of n values exceeds with chance `alpha`."""
        return critical(alpha, self._points(n, pieces), self.logs)

    def p_value(self, n: int, pieces: int, statistic: float) -> float:
        """The chance of a statistic of this size in a null series of n values."""
        return max(upper_tail(statistic, self._points(n, pieces), self.logs), SMALLEST_P)

    def _points(self, n: int, pieces: int) -> np.ndarray:
        """The upper quantiles for the tabulated number of pieces at or above `pieces`."""
        points: np.ndarray = self.tail[self._row(n)][
            min(int(np.searchsorted(self.pieces, pieces)), len(self.pieces) - 1)
        ]
        return points

    def _row(self, n: int) -> int:
        """The tabulated length that stands for n: the next longer one, since what is found grows with length."""
        return min(int(np.searchsorted(self.lengths, n)), len(self.lengths) - 1)


@lru_cache(maxsize=4)
def read(name: str) -> Table:
    """The table in a file of the package with the columns what, length, pieces, rho, scale, level and value."""
    unit: dict[int, dict[float, list[float]]] = {}
    tail: dict[int, dict[int, dict[float, float]]] = {}
    for row in read_rows(name):
        n, value = int(row["length"]), float(row["value"])
        if row["what"] == "unit":
            unit.setdefault(n, {}).setdefault(float(row["rho"]), []).append(value)
        else:
            tail.setdefault(n, {}).setdefault(int(row["pieces"]), {})[float(row["level"])] = value
    lengths = sorted(unit)
    pieces = sorted(tail[lengths[0]])
    levels = sorted(tail[lengths[0]][pieces[0]], reverse=True)
    return Table(
        np.array(lengths),
        np.array(sorted(unit[lengths[0]])),
        np.array(pieces),
        np.array(levels),
        tuple(np.array([unit[n][r] for r in sorted(unit[n])]) for n in lengths),
        tuple(np.array([[tail[n][p][level] for level in levels] for p in pieces]) for n in lengths),
    )


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file of the package, comments left out."""
    lines = files("detectors").joinpath(name).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
