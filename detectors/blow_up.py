"""Training loss stops being a number, or ends at or above where it began.

The onset is the first epoch that is not finite, or the first from which the loss stays at or above its first value to
the end; kind `not_finite` or `above_start`.

Method: an infinite value, or one beyond 1e100, is a fact. A value that is missing is one only where the rest of the log
goes on, be it with the numbers of its epochs alone: from three rows on, and more than twice as many as were ever
missing before, a loss that is no longer logged is not a number. A last value above the first one is held against its
noise, with the tail of Student's t with four degrees of freedom, the heaviest that noise is allowed (the difference of
two such values has a lighter one); the width is the larger one of the whole run and of its end, so a run that never
learned is none.

Blind spots: a run that dies with its first bad value and logs nothing after it looks as if it had been stopped, and
rows laid out beforehand for epochs to come as if it had broken down; a log of means over an epoch dates it to that
epoch; a loss below its first value that never learns is no blow-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import stdtr

from detectors.claims import Claim, FalseAlarms, Monotone, PValues, standard
from detectors.null import SMALLEST_P
from detectors.steady_noise import FEWEST, noise_of
from detectors.vocabulary import LARGEST, Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["BlowUp"]

ROWS = 3  # without a value, while the log goes on, that are no gap
AROUND = 20  # values at the end whose noise counts
TAILS = 4.0  # degrees of freedom of the heaviest noise


@dataclass(frozen=True, kw_only=True)
class BlowUp:
    """Find the epoch at which training broke down.

    `alpha`: false alarms accepted per run; only a finite loss that ends above its start can be one.
    """

    alpha: float = 0.05
    level: float = 0.9
    phenomenon: ClassVar[str] = Phenomenon.BLOW_UP
    needs: ClassVar[tuple[str, ...]] = ("train_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True),
        without=(PValues, Monotone),  # what is not finite has no p-value
    )

    def detect(self, run: Run) -> Verdict:
        """The breakdown of training, of which there is at most one."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        loss = run["train_loss"]
        with np.errstate(invalid="ignore"):
            known = np.abs(loss) < LARGEST
        infinite = np.flatnonzero(~known & ~np.isnan(loss))
        first = int(np.flatnonzero(known)[0])
        infinite = infinite[infinite > first]
        silent, short = _silence(run, known)
        broken = min([*infinite[:1].tolist(), *([silent] if silent is not None else [])], default=None)
        rows = np.flatnonzero(known)
        if broken is None and len(rows) < FEWEST + 2:
            return undetermined(
                self.phenomenon, f"{len(rows)} values of train_loss; {FEWEST + 2} are needed to know a rise from noise"
            )
        above, p = self._above(loss[rows], broken is not None and broken >= rows[-1])
        if broken is None and above is None:
            if short:
                return undetermined(
                    self.phenomenon, f"train_loss is missing in the last {short} rows: not a number, or not logged yet"
                )
            return absent(self.phenomenon, "train_loss is finite, and below its first value at the end")
        starts = [broken] if broken is not None else []
        if above is not None and (broken is None or broken > rows[above]):
            starts.append(int(rows[above]))
        at = min(starts)
        kind = "above_start" if broken is None else "not_finite"
        onset = float(run.epochs[at])
        last = float(loss[rows[-1]])
        before = float(run.epochs[rows[rows < at][-1]])
        what = (
            f"train_loss is not a number from epoch {run.epochs[broken]:.10g} on; the last one before it was "
            f"{loss[rows[rows < broken][-1]]:.4g}"
            if broken is not None
            else f"from epoch {onset:.10g} to the end train_loss is at or above its first value ({loss[first]:.4g}), "
            f"at last {last:.4g}"
        )
        wait = ROWS - 1 if broken is not None and not infinite.size else 0
        known_at = float(run.epochs[min((at if broken is None else broken) + wait, len(run) - 1)])
        return found(
            self.phenomenon,
            [
                Finding(
                    phenomenon=self.phenomenon,
                    onset=onset,
                    onset_interval=(before, onset),
                    level=self.level,
                    known_at=known_at,
                    kind=kind,
                    p_value=None if broken is not None else p,
                    effect={"first": float(loss[first]), "last": last},
                    evidence={"train_loss_first": float(loss[first]), "train_loss_last": last},
                    explanation=f"{what}: training broke down.",
                    advice=(
                        f"Go back to a checkpoint from before epoch {onset:.10g}. Lower the rate or warm it up, clip "
                        "the gradient's norm, and look for a logarithm or a division of zero, or half precision."
                    ),
                )
            ],
        )

    def _above(self, values: np.ndarray, broken: bool) -> tuple[int | None, float]:
        """(where `values` stay at or above the first one to the end, p of the last one); None where they do not."""
        below = np.flatnonzero(values < values[0])
        start = int(below[-1]) + 1 if below.size else 1
        if start >= len(values):
            return None, 1.0
        if broken:
            return start, 0.0  # it has no end to be judged by noise
        if len(values) < FEWEST + 2:
            return None, 1.0
        sigma = max(noise_of(values).sigma, noise_of(values[-AROUND:]).sigma)
        p = max(float(stdtr(TAILS, -(values[-1] - values[0]) / sigma)), SMALLEST_P)
        return (start if p <= self.alpha and values[-1] > values[0] else None), p


def _silence(run: Run, known: np.ndarray) -> tuple[int | None, int]:
    """(row from which the loss is no longer logged while the log goes on, rows at the end that are too few to say)."""
    logged = np.logical_or.reduce([known, *(np.isfinite(v) for key, v in run.series.items() if key != "train_loss")])
    end = int(np.flatnonzero(logged)[-1]) + 1
    if len(run) - end >= ROWS:  # rows that go on without a single value: all that was to be logged is no number
        logged[end:] = True
    there = known[logged]
    rows = np.flatnonzero(logged)
    filled = np.flatnonzero(there)
    gaps = np.diff(filled) - 1
    missing = len(there) - 1 - int(filled[-1])
    if missing == 0:
        return None, 0
    longest = int(gaps.max()) if gaps.size else 0
    if missing >= max(ROWS, 2 * longest + 1) and len(filled) > 1:
        return int(rows[filled[-1] + 1]), 0
    return None, missing if missing > longest else 0
