"""Validation loss stands still for a while, with more of its descent still to come.

For at least ten evaluations and a tenth of the run the loss changes by less than 1 % of its total descent, and at least
5 % of it is still to come. The onset is the first epoch of that stretch, the end its last; the effect is what came
afterwards, as a share of the descent.

Method: that nothing changes is a statement that needs evidence of its own, a test of equivalence. In a window the
change along a straight line, and the bend away from it, have to be smaller than 1 % of the descent by their errors
(two one-sided tests: Schuirmann, 1987, Journal of Pharmacokinetics and Biopharmaceutics 15), what the line leaves no
wider than the noise, and the fall to the lowest level after it significant. Errors are those of AR(1) noise at a
deliberately high autocorrelation, with the width of the values around. Tests are counted for windows half of their
length apart that hold less than two of the shortest; in a longer one a loss that falls by 1 % of the descent in each
of the shortest falls by twice as much, and the chance that noise hides that is smaller by far. Windows that overlap
are one plateau, which goes on on either side while the smoothed loss is within 1 % of the descent of its level.

Blind spots: noise that hides 1 % of the descent, where the answer is "undetermined"; a run whose first evaluation comes
late has a small descent; an oscillation around a level is no plateau. That a loss at rest will fall again cannot be
known before it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import stdtr, stdtrit

from detectors.claims import Claim, FalseAlarms, KnownAt, Monotone, Recovers, standard
from detectors.noise import median
from detectors.null import SMALLEST_P
from detectors.remembered import remembered
from detectors.segments import cut
from detectors.steady_noise import autocorrelation, clipped_mean_square, despike, floor, moving_average
from detectors.together import stacked
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["Plateau"]

EVALUATIONS = 10  # the definition's
SHARE = 0.10
CHANGE = 0.01
TO_COME = 0.05
SHORTEST = 30
AROUND = 24  # values that tell the width of the noise
FREEDOM = 15.0  # of that width
LEVEL = 5  # values averaged for the lowest level
GROW = 1.5  # from one length of window to the next
WIDER = 2.0  # variance of what the line leaves, over that of the noise


@dataclass(frozen=True, eq=False)
class _Windows:
    """Windows of one length: starts, by how many errors each stands still and falls after it, the error of a change."""

    starts: np.ndarray
    size: int
    still: np.ndarray
    falls: np.ndarray
    to_come: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class _Moved:
    """Windows of one length, each field of shape (..., windows)."""

    change: np.ndarray  # along a line
    bent: np.ndarray
    left: np.ndarray  # mean square of what the line leaves
    fall: np.ndarray  # to the lowest level after the window


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Find stretches in which validation loss stood still before it fell again.

    `alpha`: false alarms accepted per run. `min_detectable_effect` is the number of evaluations for which it would have
    had to stand still to be found.
    """

    alpha: float = 0.05
    level: float = 0.9
    phenomenon: ClassVar[str] = Phenomenon.PLATEAU
    needs: ClassVar[tuple[str, ...]] = ("val_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True), without=(KnownAt, Monotone, Recovers)
    )

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for _, (val,) in stacked(runs, "val_loss"):
            if val.shape[-1] >= SHORTEST:
                despike.ahead(val)
                clean = despike(val)
                autocorrelation.ahead(clean)
                _squares.ahead(clean)
                _moved.ahead(clean)

    def detect(self, run: Run) -> Verdict:
        """Stretches at rest with a fall after them."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val = run.observed("val_loss")
        n = len(val)
        if n < SHORTEST:
            return undetermined(
                self.phenomenon, f"{n} evaluations; standing still needs {SHORTEST} to be told from noise"
            )
        clean = despike(val)
        scale = float(np.abs(val).max()) or 1.0
        smooth = moving_average(clean, LEVEL)
        descent = float(val[0] - smooth.min())
        if descent <= 1e-6 * scale:
            return absent(self.phenomenon, "val_loss does not fall below its first value")
        shortest, lengths = _shortest(n), _lengths(n)
        tests = 2 * sum(-(-n // size) for size in lengths if size < 2 * shortest)
        rho = float(np.ceil(50 * float(autocorrelation(clean)[1])) / 50)
        z = -float(stdtrit(FREEDOM, self.alpha / tests))
        z_fall = -float(stdtrit(FREEDOM, self.alpha / n))
        width = _width(clean, rho)
        windows = [_asked(*moved, width, descent, rho) for moved in zip(lengths, _moved(clean), strict=True)]
        told = [w.size for w in windows if float(median(w.error)) * z <= CHANGE * descent]
        least = float(told[0]) if told else None
        certain: list[tuple[int, int, float]] = []
        for w in windows:
            sure = (w.still >= z) & (w.falls >= z_fall) & (w.to_come >= TO_COME * descent)
            for i in np.flatnonzero(sure).tolist():
                p = max(float(stdtr(FREEDOM, -w.still[i])) * tests, float(stdtr(FREEDOM, -w.falls[i])) * n)
                certain.append((int(w.starts[i]), int(w.starts[i]) + w.size, min(p, 1.0)))
        if certain:
            return found(
                self.phenomenon, [self._finding(run, epochs, clean, descent, s) for s in _merged(certain)], least
            )
        if least is None or least > n / 2:
            return undetermined(
                self.phenomenon, f"the noise hides a change of 1 % of the descent ({CHANGE * descent:.2g})", least
            )
        return absent(
            self.phenomenon, f"val_loss does not stand still for {least:.0f} evaluations before it falls", least
        )

    def _finding(
        self, run: Run, epochs: np.ndarray, clean: np.ndarray, descent: float, stretch: tuple[int, int, float]
    ) -> Finding:
        lo, hi, p = stretch
        n = len(clean)
        level = float(clean[lo:hi].mean())
        smooth = np.convolve(np.pad(clean, LEVEL // 2, mode="edge"), np.full(LEVEL, 1 / LEVEL), mode="valid")
        error = float(np.std(clean[lo:hi] - smooth[lo:hi]))
        middle = (lo + hi) // 2

        def reach(step: int, within: float) -> int:
            at = middle
            while 0 <= at + step < n and abs(smooth[at + step] - level) < within:
                at += step
            return at

        start, end = reach(-1, CHANGE * descent + error / 2), reach(1, CHANGE * descent + error / 2)
        start, end = min(start, lo + (hi - lo) // 4), max(end, hi - 1 - (hi - lo) // 4)
        first, last = min(reach(-1, CHANGE * descent + 2 * error), start), max(lo, start)
        falls = float(moving_average(clean[end:], min(LEVEL, n - end)).min())
        to_come = (level - falls) / descent
        drops = [d for d in cut(run).among(run, epochs) if abs(d - end - 1) <= LEVEL]
        onset, finish = float(epochs[start]), float(epochs[end])
        why = (
            f" It ended with the drop of the rate at epoch {epochs[drops[0]]:.10g}: at the old rate, jitter had taken "
            "up what there was to gain."
            if drops
            else ""
        )
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=finish,
            onset_interval=(float(epochs[max(first - 1, 0)]), float(epochs[min(last + 1, n - 1)])),
            level=self.level,
            known_at=float(epochs[min(end + LEVEL, n - 1)]),
            kind="until_drop" if drops else "by_itself",
            p_value=max(p, SMALLEST_P),
            effect={"to_come": to_come, "evaluations": float(end - start + 1)},
            evidence={"val_loss_level": level, "val_loss_lowest_after": falls, "descent": descent},
            explanation=(
                f"from epoch {onset:.10g} to {finish:.10g} val_loss stands still at {level:.4g}, and {to_come:.0%} of "
                f"its descent is still to come.{why}"
            ),
            advice=(
                f"Drop the rate earlier: from epoch {onset:.10g} on nothing was gained at the old one."
                if drops
                else "It was no convergence: a patience shorter than this stretch would have stopped the run. A larger "
                "rate or a warm-up may shorten it."
            ),
        )


def _shortest(n: int) -> int:
    """Evaluations of the shortest plateau in a run of n."""
    return max(EVALUATIONS, int(np.ceil(SHARE * n)))


def _lengths(n: int) -> list[int]:
    """Those of the windows that are looked at."""
    out, size = [], float(_shortest(n))
    while round(size) <= n - LEVEL:
        out.append(round(size))
        size *= GROW
    return out


@remembered
def _moved(clean: np.ndarray) -> list[_Moved]:
    """How the windows of each length move, in series of shape (..., n)."""
    lowest = np.minimum.accumulate(moving_average(clean, LEVEL)[..., ::-1], axis=-1)[..., ::-1]
    out = []
    for size in _lengths(clean.shape[-1]):
        starts = _starts(clean.shape[-1], size)
        windows = sliding_window_view(clean, size, axis=-1)[..., starts, :]
        x, line, bend = _contrasts(size)
        change, bent, mean = (windows * line).sum(axis=-1), (windows * bend).sum(axis=-1), windows.mean(axis=-1)
        left = windows - mean[..., None] - change[..., None] * x
        out.append(_Moved(change, bent, (left**2).mean(axis=-1), mean - lowest[..., starts + size]))
    return out


def _starts(n: int, size: int) -> np.ndarray:
    """Of the windows of one length in a series of n values, an eighth of it apart."""
    return np.arange(0, n - size - LEVEL + 1, max(size // 8, 1))


def _asked(size: int, moved: _Moved, width: np.ndarray, descent: float, rho: float) -> _Windows:
    """Both questions of every window of one length; `width`, shape (m,), is that of the noise from each value on."""
    n = len(width) + AROUND - 1
    starts = _starts(n, size)
    errors = _errors(size, rho)
    ends = [np.minimum(np.maximum(at, 0), len(width) - 1) for at in (starts, starts + size - AROUND)]
    sigma = np.maximum(width[ends[0]], width[ends[1]])  # the larger one of those around the two ends
    allowed = CHANGE * descent
    bends = (allowed - np.abs(moved.bent)) * errors[0] / errors[1]
    still = np.minimum(allowed - np.abs(moved.change), bends) / (sigma * errors[0])
    still = np.where(moved.left <= WIDER * sigma**2, still, -np.inf)
    k = np.arange(1, LEVEL)
    short = np.sqrt((1 + 2 * np.sum((1 - k / LEVEL) * rho**k)) / LEVEL)
    falls = moved.fall / (sigma * np.hypot(errors[2], short))
    return _Windows(starts, size, still, falls, moved.fall, sigma * errors[0])


@remembered
def _squares(clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean squares of second differences from each value on, the least width) of series of shape (..., n)."""
    return clipped_mean_square(np.abs(np.diff(clean, 2, axis=-1)), AROUND - 2), floor(clean)


def _width(clean: np.ndarray, rho: float) -> np.ndarray:
    """The width of the noise among AROUND values from each one on, shape (n - AROUND + 1,)."""
    squares, least = _squares(clean)
    width: np.ndarray = np.maximum(np.sqrt(squares / (6 - 8 * rho + 2 * rho**2)), least)
    return width


@lru_cache(maxsize=256)
def _contrasts(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(positions from -0.5 to 0.5, weights of the change along a line, weights of the bend), each of shape (size,)."""
    x = np.linspace(-0.5, 0.5, size)
    third = size // 3
    bend = np.zeros(size)
    bend[third : size - third] = 1 / (size - 2 * third)
    bend[:third] = bend[size - third :] = -0.5 / third
    return x, x / (x @ x), bend


@lru_cache(maxsize=256)
def _errors(size: int, rho: float) -> tuple[float, float, float]:
    """Errors of the change, of the bend and of the mean for noise of unit width."""
    _, line, bend = _contrasts(size)
    lags = rho ** np.arange(size)

    def error(w: np.ndarray) -> float:
        c = np.correlate(w, w, mode="full")[size - 1 :]
        return float(np.sqrt(c[0] + 2 * c[1:] @ lags[1:]))

    return error(line), error(bend), error(np.full(size, 1 / size))


def _merged(certain: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Windows that overlap or touch, as one with the smallest p."""
    out: list[tuple[int, int, float]] = []
    for lo, hi, p in sorted(certain):
        if out and lo <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], hi), min(out[-1][2], p))
        else:
            out.append((lo, hi, p))
    return out
