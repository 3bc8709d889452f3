"""Validation loss is far up for a moment and comes back.

Up by at least eight widths of the noise around it, back within five evaluations. The onset is the first evaluation that
is up; the effect is the height, in the unit of the loss and in widths.

Method: each value is held against the medians of the seven evaluations before and after it, whichever is higher: a jump
that stays and the corner of a fall are not up against both. The width is that of the twenty evaluations on either side,
by second differences at lags one and four, the wider, so that a smooth bend is no peak without noise. Under heavy tails
a leap of ten widths happens by chance, and so do such dips: the statistic is the leap over the mean of the three
deepest dips. The null distribution of a run's largest one is simulated with all that is estimated, the worst of
autocorrelation up to 0.8, normal noise, Student's t with four degrees of freedom, and noise that grows or shrinks
e-fold (`experiments/further_null.py` writes `spike_null.csv`).
Robust filtering by medians: Hampel, 1974, The influence curve, Journal of the American Statistical Association 69.

Blind spots: one corrupt evaluation looks the same, unless training loss is up as well; the first and the last three
evaluations; where the loss falls steeply; a spike at a drop of the rate; a second spike within twenty evaluations of a
larger one widens the noise for it.
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

from detectors.claims import Claim, FalseAlarms, Recovers, Robust, standard
from detectors.noise import median
from detectors.null import SMALLEST_P, upper_tail
from detectors.remembered import remembered
from detectors.segments import cut
from detectors.steady_noise import autocorrelation, clipped_mean_square, despike, floor
from detectors.together import stacked
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["SHORTEST", "Leaps", "Spike", "leaps"]

WIDTHS = 8.0  # the definition's
BACK = 5  # evaluations within which it is back
SIDE = 7  # evaluations whose median is the level on a side, ...
FEWEST = 3  # ... at the ends of a run at least so many
AROUND = 20  # evaluations that tell the width on a side
LAGS = (1, 4)
DIPS = 3  # deepest dips that tell how heavy the tails of the noise are, ...
LEAST_TAIL = 2.0  # ... in widths at least
SHORTEST = 24
SMALLEST = 0.005  # of the loss: a height below it is none, however quiet the noise
LARGEST = 1024  # values that were simulated; a longer series counts as several


@dataclass(frozen=True, kw_only=True)
class Spike:
    """Find evaluations at which validation loss leaps up and comes back.

    `alpha`: false alarms accepted per run. `min_detectable_effect` is the height of a spike that would have been seen,
    as a share of the median loss.
    """

    alpha: float = 0.05
    level: float = 0.9
    phenomenon: ClassVar[str] = Phenomenon.SPIKE
    needs: ClassVar[tuple[str, ...]] = ("val_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True),
        Recovers(share=0.8, strength=24),  # tails that it must allow for make ten widths nothing special
        without=(Robust,),  # one outlier is what it looks for
    )

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for _, (val,) in stacked(runs, "val_loss"):
            if val.shape[-1] >= SHORTEST:
                leaps.ahead(val)

    def detect(self, run: Run) -> Verdict:
        """Spikes of validation loss; the kind says whether training loss is up as well."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val = run.observed("val_loss")
        n = len(val)
        if n < SHORTEST:
            return undetermined(self.phenomenon, f"{n} evaluations; a spike needs {SHORTEST} to be told from noise")
        up = leaps(val)
        height, widths, width = up.height, up.widths, up.width
        critical = max(_critical(n, self.alpha) * float(up.tail[0]), WIDTHS)
        level = np.abs(val - height)
        least = critical * float(median(width)) / max(float(median(np.abs(val))), 1e-300)
        places = np.flatnonzero((widths >= critical) & (height >= SMALLEST * level))
        if places.size and (drops := cut(run).among(run, epochs)):  # a bend at a drop is no way back
            places = places[[not any(i < d <= i + BACK for d in drops) for i in places.tolist()]]
        kept: list[int] = []
        for i in sorted(places.tolist(), key=lambda i: -widths[i]):
            if all(abs(i - k) >= BACK for k in kept):
                kept.append(i)
        if not kept:
            return absent(self.phenomenon, "no evaluation is up against those before and after it", least)
        return found(self.phenomenon, [self._finding(run, epochs, val, i, up) for i in kept], least)

    def _finding(
        self,
        run: Run,
        epochs: np.ndarray,
        val: np.ndarray,
        top: int,
        leaps_: Leaps,
    ) -> Finding:
        up, widths, width = (float(a[top]) for a in (leaps_.height, leaps_.widths, leaps_.width))
        base = float(val[top] - up)
        start = top
        while start > max(top - BACK + 1, 0) and val[start - 1] - base >= up / 2:
            start -= 1
        end = top + 1
        while end < min(top + BACK, len(val) - 1) and val[end] - base > 0.1 * up + 2 * width:
            end += 1
        known = min(max(top + FEWEST, end), len(val) - 1)
        training = _training(run, epochs[start], epochs[top])
        shared = training >= WIDTHS / 2
        onset, peak = float(epochs[start]), float(epochs[top])
        also = (
            f" train_loss is up as well, by {training:.0f} of its widths: the weights themselves took a bad step."
            if shared
            else " train_loss shows nothing of it." if "train_loss" in run else ""
        )  # fmt: skip
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=float(epochs[end]),
            onset_interval=(float(epochs[max(start - 1, 0)]), peak),
            level=self.level,
            known_at=float(epochs[known]),
            kind="shared" if shared else "validation_only",
            p_value=_p_value(len(val), float(leaps_.statistic[top])),
            effect={"height": up, "relative": up / max(abs(base), 1e-300), "widths": widths},
            evidence={
                "val_loss_at_peak": float(val[top]),
                "val_loss_around": base,
                "peak": peak,
                "noise": width,
                **({"train_loss_widths": training} if "train_loss" in run else {}),
            },
            explanation=(
                f"val_loss leaps from {base:.4g} to {val[top]:.4g} at epoch {peak:.10g}, {widths:.0f} noise "
                f"widths, and is back by epoch {epochs[end]:.10g}.{also}"
            ),
            advice=(
                f"Take no checkpoint from epochs {onset:.10g} to {epochs[end]:.10g}. If spikes come again, clip the "
                "gradient's norm, lower the rate, or look at the batches of that epoch."
                if shared
                else f"Take no checkpoint from epochs {onset:.10g} to {epochs[end]:.10g}; evaluate it again to see "
                "whether the model or the evaluation was off."
            ),
        )


@dataclass(frozen=True, eq=False)
class Leaps:
    """Of each value of series of shape (..., n): how far it is up, and on what that rests; each of shape (..., n).

    `height` is that over the higher side (unit of the series, -inf for the first and the last three values), `widths`
    the same in widths, `width` the standard deviation of the noise around it; `tail`, shape (..., 1), is the mean of
    the three deepest dips in widths. The test's statistic is widths / tail.
    """

    height: np.ndarray
    widths: np.ndarray
    width: np.ndarray
    tail: np.ndarray

    @property
    def statistic(self) -> np.ndarray:
        """Shape (..., n)."""
        ratio: np.ndarray = self.widths / self.tail
        return ratio


@remembered
def leaps(values: np.ndarray) -> Leaps:
    """The leaps in series of shape (..., n), n >= SHORTEST."""
    n = values.shape[-1]
    unit = np.ldexp(1.0, np.frexp(np.abs(values).max(axis=-1, keepdims=True))[1])  # squares of any unit are numbers
    values = values / unit
    before, after = (np.full(values.shape, fill) for fill in (np.inf, np.inf))
    middle = median(sliding_window_view(values, SIDE, axis=-1))  # of positions i to i + SIDE - 1
    before[..., SIDE:] = middle[..., : n - SIDE]
    after[..., : n - SIDE] = middle[..., 1:]
    for i in range(FEWEST, SIDE):
        before[..., i] = median(values[..., :i])
        after[..., n - 1 - i] = median(values[..., n - i :])
    width = _widths(values)
    height = values - np.maximum(before, after)
    known = slice(FEWEST, n - FEWEST)
    dips = ((np.minimum(before, after) - values) / width)[..., known]
    deepest = np.partition(dips, dips.shape[-1] - DIPS, axis=-1)[..., -DIPS:]
    tail = np.maximum(deepest.mean(axis=-1, keepdims=True), LEAST_TAIL)
    return Leaps(height * unit, height / width, width * unit, tail)


def _widths(values: np.ndarray) -> np.ndarray:
    """The standard deviation of the noise around each value, shape (..., n): that of the lag at which it is wider."""
    n = values.shape[-1]
    rho = autocorrelation(despike(values))[0][..., None]
    squares = []
    for k in LAGS:
        d = np.abs(values[..., 2 * k :] - 2 * values[..., k:-k] + values[..., : -2 * k])
        squares.append(clipped_mean_square(d, AROUND - 2 * k) / (6 - 8 * rho**k + 2 * rho ** (2 * k)))
    at = np.arange(n)
    before, after = np.clip(at - AROUND, 0, n - AROUND), np.clip(at + 1, 0, n - AROUND)
    both = [(square[..., before] + square[..., after]) / 2 for square in squares]
    widths: np.ndarray = np.maximum(np.sqrt(np.maximum(*both)), floor(values)[..., None])
    return widths


def _training(run: Run, first: float, last: float) -> float:
    """How many widths the training loss is up at these epochs or one later; 0 where it is not known."""
    if "train_loss" not in run:
        return 0.0
    epochs, train = run.observed("train_loss")
    if len(train) < SHORTEST:
        return 0.0
    at = slice(int(np.searchsorted(epochs, first)), int(np.searchsorted(epochs, last, side="right")) + 1)
    up = leaps(train).widths[at]
    return max(float(up.max()), 0.0) if up.size else 0.0


def _critical(n: int, alpha: float) -> float:
    """The least ratio that is significant at `alpha`."""
    points, logs = _tail(n)
    log = np.log(alpha / -(-n // LARGEST))
    if log < logs[-1]:
        return float(points[-1] + (points[-1] - points[-4]) / (logs[-1] - logs[-4]) * (log - logs[-1]))
    return float(np.interp(log, logs[::-1], points[::-1]))


def _p_value(n: int, ratio: float) -> float:
    return min(1.0, max(upper_tail(ratio, *_tail(n)) * -(-n // LARGEST), SMALLEST_P))


def _tail(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(upper quantiles ascending, logarithms of their levels) for the tabulated length next to n, the longer one."""
    lengths, levels, points = _table()
    return points[min(int(np.searchsorted(lengths, n)), len(lengths) - 1)], np.log(levels)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lengths, levels descending, upper points of shape (lengths, levels)) as in `spike_null.csv`."""
    lines = files("detectors").joinpath("spike_null.csv").read_text().splitlines()
    rows = [
        (int(row["length"]), float(row["level"]), float(row["value"]))
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
    ]
    lengths = sorted({n for n, _, _ in rows})
    levels = sorted({level for _, level, _ in rows}, reverse=True)
    points = {(n, level): value for n, level, value in rows}
    return np.array(lengths), np.array(levels), np.array([[points[n, v] for v in levels] for n in lengths])
