"""Validation loss rises, and comes down again by at least half of the rise at the same learning rate.

The onset is the bottom before the rise, the end the bottom after it (the run's end while it still falls); effects are
the rise, the fall, and the share of the rise that is undone. The rise itself stays overfitting.

Method: the rises of `detectors.rising` (the climb test); what follows a top, up to the next drop, is put to the same
test turned round in time, where a fall is a climb. Both have to be significant, each at `alpha`: without a rise the
first errs in at most alpha of the runs, with one the second does. Three such pairs in a run are no second descent but
an oscillation. Epoch-wise double descent: Nakkiran et al., 2020, Deep double descent, arXiv:1912.02292, §6.

Blind spots: those of `overfitting`, for the rise and for the fall. Where the rate is not logged a fall may be the
schedule's, and the answer is "undetermined"; under a schedule that moves the rate all the time there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.claims import Claim, KnownAt, Monotone, standard
from detectors.climb import SHORTEST
from detectors.rising import RisingStretch, ahead, rising
from detectors.segments import cut, stacked_with_drops
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["DoubleDescent"]

UNDONE = 0.5  # of the rise, the definition's
SAME_RATE = 0.01  # a rate that changes by less has not changed
SWINGS = 3  # rises that come down again and are no second descent any more


@dataclass(frozen=True, kw_only=True)
class DoubleDescent:
    """Find rises of validation loss that more training undoes.

    `alpha`: false alarms accepted per run. `level`: confidence of the onset interval. `smallest`: rises below this
    share of their bottom are not reported.
    """

    alpha: float = 0.05
    level: float = 0.9
    smallest: float = 0.01
    phenomenon: ClassVar[str] = Phenomenon.DOUBLE_DESCENT
    needs: ClassVar[tuple[str, ...]] = ("val_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(without=(KnownAt, Monotone))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for drops, (val,) in stacked_with_drops(runs, "val_loss"):
            ahead(val, drops)

    def detect(self, run: Run) -> Verdict:
        """Rises that come down again by half."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val = run.observed("val_loss")
        if len(val) < 2 * SHORTEST:
            return undetermined(
                self.phenomenon, f"{len(val)} evaluations; a rise and a fall need {2 * SHORTEST} to be told from noise"
            )
        drops = sorted({d for d in cut(run).among(run, epochs) if 0 < d < len(val)})
        result = rising(val, drops, self.alpha, self.level)
        rates = run["learning_rate"][np.searchsorted(run.epochs, epochs)] if "learning_rate" in run else None
        pairs = []
        for s in result.stretches:
            if s.height < self.smallest * abs(s.bottom_level) or not s.ends:
                continue
            stop = min((d for d in drops if d > s.top), default=len(val))
            if (fall := _fall(val, s, stop, self.alpha, self.level)) is not None:
                pairs.append((s, fall))
        if not pairs:
            return absent(self.phenomenon, "no rise of val_loss comes down again by half at one learning rate")
        if len(pairs) >= SWINGS:
            return absent(self.phenomenon, f"val_loss rises and falls {len(pairs)} times: it swings")
        if rates is None:
            s = pairs[0][0]
            return undetermined(
                self.phenomenon,
                f"a fall follows the rise from epoch {epochs[s.bottom]:.10g}, but learning_rate is not logged: a lower "
                "rate would do the same",
            )
        kept = [(s, f) for s, f in pairs if _constant(rates[s.top : f.bottom + 1])]
        if not kept:
            return absent(self.phenomenon, "val_loss comes down again, but while the rate falls")
        return found(self.phenomenon, [self._finding(epochs, s, f, len(val)) for s, f in kept])

    def _finding(self, epochs: np.ndarray, s: RisingStretch, fall: _Fall, n: int) -> Finding:
        onset, top, bottom = (float(epochs[i]) for i in (s.bottom, s.top, fall.bottom))
        share = fall.height / s.height
        level = s.top_level - fall.height
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=bottom if fall.bottom < n - 1 else None,
            onset_interval=(float(epochs[s.interval[0]]), float(epochs[s.interval[1]])),
            level=self.level,
            known_at=bottom,
            p_value=max(s.p_value, fall.p_value),
            effect={"rise": s.height, "fall": fall.height, "share": share},
            evidence={
                "val_loss_at_onset": s.bottom_level,
                "val_loss_at_top": s.top_level,
                "val_loss_at_second_bottom": level,
                "top": top,
                "second_bottom": bottom,
            },
            explanation=(
                f"val_loss climbs from {s.bottom_level:.4g} around epoch {onset:.10g} to {s.top_level:.4g} at epoch "
                f"{top:.10g}, and without a change of the rate comes down again to {level:.4g} by epoch {bottom:.10g}, "
                f"{share:.0%} of the rise: more training undid it."
            ),
            advice=(
                "The second bottom is the lower one: patience paid; do not stop at the first rise of such a run."
                if level < s.bottom_level
                else f"The first bottom, around epoch {onset:.10g}, is still the lower one. If it goes on falling, "
                "train on; fewer wrong labels or more regularisation flatten the hump."
            ),
        )


@dataclass(frozen=True)
class _Fall:
    """The fall after a top: position of its bottom, height in the unit of the series, p-value."""

    bottom: int
    height: float
    p_value: float


def _fall(val: np.ndarray, s: RisingStretch, stop: int, alpha: float, level: float) -> _Fall | None:
    """The largest significant fall between the top of a rise and `stop`, if it undoes half of the rise."""
    start = max(s.top - s.scale // 2, s.bottom)
    after = val[start:stop][::-1]
    if len(after) < SHORTEST:
        return None
    stretches = rising(after, [], alpha, level).stretches
    if not stretches:
        return None
    best = max(stretches, key=lambda f: f.top_level - f.bottom_level)
    height = s.top_level - best.bottom_level
    if height < UNDONE * s.height or best.height < UNDONE * s.height:
        return None
    return _Fall(start + len(after) - 1 - best.bottom, height, best.p_value)


def _constant(rates: np.ndarray) -> bool:
    known = rates[np.isfinite(rates) & (rates > 0)]
    return bool(known.size and known.max() / known.min() - 1 <= SAME_RATE)
