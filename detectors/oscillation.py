"""Validation loss swings up and down with a period of its own.

At least six alternating swings, each of at least four widths of the other noise, at one learning rate. The onset is the
first turn; the effects are the height of a swing, in the unit of the loss and in widths, and the period in epochs.

Method: noise that remembers swings too, but with no period: its spectrum falls from low frequencies to high ones. So
the spectrum of the series, and of its halves, quarters, ..., tapered, is searched for a frequency whose power stands
out of that at lower *and* at higher ones; a decay, which has most power at the lowest, stands out of none. The null
distribution of the largest ratio of a run is simulated with all that is estimated, the worst of autocorrelation up to
0.8, normal noise, Student's t with four degrees of freedom, and noise that grows or shrinks e-fold
(`experiments/further_null.py` writes `oscillation_null.csv`). What stands out is fitted by a sine wave; what that
leaves is the other noise. The swings last as long as their demodulated amplitude is half of its largest.
A line against its neighbourhood: Thomson, 1982, Spectrum estimation and harmonic analysis, Proceedings of the IEEE 70.

Blind spots: fewer than eight swings; a period that changes from one swing to the next; a period under six evaluations
where some are left out; a schedule of the rate that goes up and down makes the loss swing as well.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import median_filter

from detectors.claims import Claim, FalseAlarms, standard
from detectors.null import SMALLEST_P, upper_tail
from detectors.remembered import remembered
from detectors.segments import cut, segments, stacked_with_drops
from detectors.steady_noise import autocorrelation, floor, moving_average
from detectors.together import by_length
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["SHORTEST", "Oscillation", "peak_statistic"]

SWINGS = 6  # the definition's
WIDTHS = 4.0
SHORTEST = 25  # values, one of which the whitening takes
SHORTEST_WINDOW = 24
PERIODS = 4  # in a window, at least
SHRINK = 1.5  # from one size of window to the next
STEP = 4  # of a window's size between two
FINER = 2  # times as many frequencies as there are values
LOBE = 3 * FINER  # frequencies by which a neighbour is apart from the peak itself
REACH = 12 * FINER  # frequencies on a side that are its neighbourhood
INDEPENDENT = 1.5 * FINER  # neighbouring frequencies that are worth one, under the taper
STEADY = 6  # values, at least, over which an amplitude is told
AROUND = 25  # values that say how far an outlier is off, ...
OUTLIER = 6.0  # ... in robust standard deviations of them
LARGEST = 1024  # values that were simulated


@dataclass(frozen=True)
class _Peak:
    """Where the spectrum stands out most: half-open range of positions, frequency in cycles a value, the statistic."""

    lo: int
    hi: int
    frequency: float
    statistic: float


@dataclass(frozen=True, kw_only=True)
class Oscillation:
    """Find stretches in which validation loss swings up and down at one learning rate.

    `alpha`: false alarms accepted per run.
    """

    alpha: float = 0.05
    level: float = 0.9
    phenomenon: ClassVar[str] = Phenomenon.OSCILLATION
    needs: ClassVar[tuple[str, ...]] = ("val_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for drops, (val,) in stacked_with_drops(runs, "val_loss"):
            parts = (values[lo:hi] for values, at in zip(val, drops, strict=True) for lo, hi in _parts(len(values), at))
            for alike in by_length(parts):
                _peaks.ahead(alike)

    def detect(self, run: Run) -> Verdict:
        """Swings of validation loss."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val, seen = _evenly(*run.observed("val_loss"))
        if len(val) < SHORTEST:
            return undetermined(
                self.phenomenon, f"{len(val)} evaluations; swings need {SHORTEST} to be told from noise"
            )
        parts = _parts(len(val), cut(run).among(run, epochs))
        if not parts:
            return undetermined(self.phenomenon, f"no {SHORTEST} evaluations in a row at one learning rate")
        findings = []
        for lo, hi in parts:
            peak = _largest_peak(val[lo:hi])
            p = min(1.0, _p_value(hi - lo, peak.statistic) * len(parts))
            if p <= self.alpha and (finding := self._finding(epochs[lo:hi], val[lo:hi], seen[lo:hi], peak, p)):
                findings.append(finding)
        if findings:
            return found(self.phenomenon, findings)
        return absent(self.phenomenon, "val_loss swings with no period of its own, or by less than its noise")

    def _finding(
        self, epochs: np.ndarray, values: np.ndarray, seen: np.ndarray, peak: _Peak, p: float
    ) -> Finding | None:
        lo, hi = _extent(values, peak)
        if hi - lo < 8:
            return None
        inside = values[lo:hi]
        frequency, wave = _sine(inside, seen[lo:hi], peak)
        swing = float(wave.max() - wave.min())
        rest = (inside - wave)[seen[lo:hi]]
        other = 1.4826 * float(np.median(np.abs(rest - np.median(rest)))) + float(floor(values))
        if swing < WIDTHS * other or swing < 0.005 * abs(float(np.median(inside))):
            return None
        period = 1 / frequency
        quarter = round(period / 4)
        start, end = min(lo + quarter, hi - 1), max(hi - 1 - quarter, lo)
        count = int(2 * (hi - lo) * frequency)
        if count < SWINGS or end <= start:
            return None
        step = float(epochs[-1] - epochs[0]) / (len(epochs) - 1)
        onset, last = float(epochs[start]), float(epochs[end])
        margin = max(round(period), 3)
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=None if hi >= len(values) else last,
            onset_interval=(float(epochs[max(start - margin, 0)]), float(epochs[min(start + margin, len(epochs) - 1)])),
            level=self.level,
            known_at=float(epochs[min(max(peak.hi, hi) - 1, len(epochs) - 1)]),
            p_value=p,
            effect={
                "height": swing,
                "relative": swing / max(abs(float(inside.mean())), 1e-300),
                "period": period * step,
                "swings": count,
            },
            evidence={"widths": swing / other, "other_noise": other},
            explanation=(
                f"from epoch {onset:.10g} to {last:.10g} val_loss swings up and down by {swing:.4g}, "
                f"{swing / other:.0f} widths of its other noise, with a period of {period * step:.3g} epochs: "
                f"about {count} swings, more regular than noise can be."
            ),
            advice=(
                "If the learning rate does not swing with it, it is too high for the sharpest direction of the loss: "
                "lower it, enlarge the batch, or average weights over a period. Compare checkpoints at the same phase."
            ),
        )


def _evenly(epochs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(epochs, values, whether seen) at even distances: what is left out is interpolated, at the next one there is."""
    seen = np.ones(len(epochs), bool)
    if len(epochs) < SHORTEST:
        return epochs, values, seen
    gaps = np.diff(epochs)
    spacing = float(np.median(gaps))
    count = round((epochs[-1] - epochs[0]) / spacing) + 1
    if gaps.max() <= 1.5 * spacing or count > 2 * len(epochs):
        return epochs, values, seen
    grid = np.linspace(epochs[0], epochs[-1], count)
    at = np.minimum(np.searchsorted(epochs, grid - spacing / 4), len(epochs) - 1)
    return epochs[at], np.interp(grid, epochs, values), np.abs(epochs[at] - grid) <= spacing / 4


def _parts(n: int, drops: list[int]) -> list[tuple[int, int]]:
    """Half-open ranges of positions at one learning rate that are long enough, and no longer than was simulated."""
    return [
        (start, min(start + LARGEST, hi))
        for lo, hi in segments(n, drops)
        for start in range(lo, hi, LARGEST)
        if min(start + LARGEST, hi) - start >= SHORTEST
    ]


def peak_statistic(values: np.ndarray) -> np.ndarray:
    """The largest statistic of each of the series of shape (..., n), n >= SHORTEST, shape (...)."""
    return _peaks(values)[-1]


def _largest_peak(values: np.ndarray) -> _Peak:
    """Where the spectrum of one series of shape (n,) stands out most."""
    lo, hi, frequency, statistic = _peaks(values)
    return _Peak(int(lo), int(hi), float(frequency), float(statistic))


@remembered
def _peaks(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The fields of the largest peak of each of the series of shape (..., n), each of shape (...)."""
    *shape, n = values.shape
    runs = values.reshape(-1, n)
    every = np.arange(len(runs))
    lo, hi = np.zeros(len(runs), int), np.full(len(runs), n)
    frequency, best = np.full(len(runs), 0.25), np.zeros(len(runs))
    for starts, size, statistic in _spectra(runs):
        bins = statistic.shape[-1]
        flat = statistic.reshape(len(runs), -1)
        at = np.argmax(flat, axis=-1)
        better = flat[every, at] > best
        best = np.where(better, flat[every, at], best)
        start = starts[at // bins]
        lo, hi = np.where(better, start, lo), np.where(better, start + size + 1, hi)
        frequency = np.where(better, (at % bins + PERIODS * FINER) / (FINER * size), frequency)
    return tuple(found.reshape(shape) for found in (lo, hi, frequency, best))


def _without_outliers(values: np.ndarray) -> np.ndarray:
    """Series of shape (runs, n) with values far from their running median replaced by it, one of three spikes as well.

    Far is said by the values around, so that a stretch of swings stays what it is.
    """
    median = median_filter(values, size=(1, 7), mode="mirror")
    off = np.abs(values - median)
    spread = 1.25 * 1.4826 * median_filter(off, size=(1, AROUND), mode="mirror")
    cleaned: np.ndarray = np.where(off > OUTLIER * np.maximum(spread, floor(values)[:, None]), median, values)
    return cleaned


def _spectra(values: np.ndarray) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """(starts, size, how far each frequency from PERIODS a window on stands out: (runs, windows, bins)) by size."""
    unit = np.ldexp(1.0, np.frexp(np.abs(values).max(axis=-1, keepdims=True))[1])
    values = _without_outliers(values / unit)
    rho = autocorrelation(values)[0][:, None]
    white = values[:, 1:] - rho * values[:, :-1]
    least = (floor(values) * 1e-3) ** 2  # of power: a curve without noise has some all the same
    n = white.shape[-1]
    out = []
    size = n
    while size >= SHORTEST_WINDOW:
        starts = np.unique(np.linspace(0, n - size, -(-STEP * (n - size) // size) + 1).round().astype(int))
        windows = sliding_window_view(white, size, axis=-1)[:, starts]
        out.append((starts, size, _standing_out(windows, least)))
        size = int(size / SHRINK)
    return out


def _standing_out(windows: np.ndarray, least: np.ndarray) -> np.ndarray:
    """-log of the chance that a frequency's power stands out so far of the lower and of the higher ones.

    For the power of noise, over its mean at m independent neighbours, that is m log(1 + ratio / m); here the mean is
    that of the side where it is larger.
    """
    size = windows.shape[-1]
    taper = np.hanning(size + 2)[1:-1]
    tapered = (windows - windows.mean(axis=-1, keepdims=True)) * taper
    power = np.abs(np.fft.rfft(tapered, FINER * size, axis=-1)) ** 2 / (taper**2).sum()
    power = power + least[:, None, None]
    last = power.shape[-1]
    total = np.concatenate([np.zeros((*power.shape[:-1], 1)), np.cumsum(power, axis=-1)], axis=-1)
    at = np.arange(PERIODS * FINER, last)
    below = np.maximum(at - REACH, 1), np.maximum(at - LOBE + 1, 2)
    above = np.minimum(at + LOBE, last), np.minimum(at + REACH + 1, last)  # none next to the highest frequency
    means = [(total[..., hi] - total[..., lo]) / np.maximum(hi - lo, 1) for lo, hi in (below, above)]
    m = (below[1] - below[0] + above[1] - above[0]) / INDEPENDENT
    ratio = power[..., at] / np.maximum(np.maximum(*means), np.finfo(float).tiny)
    stands: np.ndarray = m * np.log1p(ratio / m)
    return stands


def _sine(values: np.ndarray, seen: np.ndarray, peak: _Peak) -> tuple[float, np.ndarray]:
    """(frequency, wave) near the peak's in the least-squares fit of it and a parabola to what is `seen` of `values`."""
    t = np.arange(len(values))
    x = np.linspace(-1, 1, len(values))
    best: tuple[float, float, np.ndarray] = (np.inf, peak.frequency, np.zeros(len(values)))
    resolution = 1 / (peak.hi - peak.lo)
    for frequency in np.clip(peak.frequency + np.linspace(-0.5, 0.5, 9) * resolution, 1e-3, 0.5):
        phase = 2 * np.pi * frequency * t
        parts = [np.ones_like(x), x, x**2, np.cos(phase), *([np.sin(phase)] if frequency < 0.5 else [])]
        design = np.stack(parts, axis=1)
        fit = np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]
        error = float((((values - design @ fit)[seen]) ** 2).sum())
        if error < best[0]:
            best = (error, float(frequency), design[:, 3:] @ fit[3:])
    return best[1], best[2]


def _extent(values: np.ndarray, peak: _Peak) -> tuple[int, int]:
    """Half-open range of positions around the peak's window where its amplitude is at least half of the usual one."""
    n = len(values)
    m = min(max(round(1 / peak.frequency), 2), n // 2)
    padded = np.pad(values, (m // 2, m - 1 - m // 2), mode="edge")
    level = values - moving_average(padded, m)  # what a period averages out
    turning = level * np.exp(-2j * np.pi * peak.frequency * np.arange(n))
    m = min(max(m, STEADY), n // 2)
    amplitude = np.abs(moving_average(np.pad(turning, (m // 2, m - 1 - m // 2)), m))
    inside = amplitude[peak.lo : peak.hi]
    top = peak.lo + int(np.argmax(inside))
    strong = amplitude >= np.median(inside[inside >= np.median(inside)]) / 2
    lo, hi = top, top + 1
    while lo > 0 and strong[lo - 1]:
        lo -= 1
    while hi < n and strong[hi]:
        hi += 1
    return lo, hi


def _p_value(n: int, statistic: float) -> float:
    lengths, levels, points = _table()
    row = points[min(int(np.searchsorted(lengths, n)), len(lengths) - 1)]
    return max(upper_tail(statistic, row, np.log(levels)), SMALLEST_P)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lengths, levels descending, upper points of shape (lengths, levels)) as in `oscillation_null.csv`."""
    lines = files("detectors").joinpath("oscillation_null.csv").read_text().splitlines()
    rows = [
        (int(row["length"]), float(row["level"]), float(row["value"]))
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
    ]
    lengths = sorted({n for n, _, _ in rows})
    levels = sorted({level for _, level, _ in rows}, reverse=True)
    points = {(n, level): value for n, level, value in rows}
    return np.array(lengths), np.array(levels), np.array([[points[n, v] for v in levels] for n in lengths])
