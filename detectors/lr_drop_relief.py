"""A drop of the learning rate makes validation better than it would have been without it.

The onset is the first epoch at the new rate, the end the bottom of the next rise of the validation loss, else the next
drop or the end of the run. Truth is the twin without the drop; a log has no twin, so the effect is what the curve shows
against the line on which it was going.

Method: the means of the 4 and of the 12 evaluations after the drop against the line that the curve was on, in units of
the noise; the null distribution is simulated (`detectors.continuation`). One test is counted for each drop. That
understates the effect.
Why: SGD noise keeps the loss above the bottom of its valley in proportion to the rate; a lower rate removes that part
at once, and leaves what is memorised (Zhang et al., 2019, arXiv:1907.04164, for the quadratic model).

Blind spots: relief slower than a dozen evaluations; a run that the drop harms; drops that are not logged and not
visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from detectors.claims import Claim, FalseAlarms, standard
from detectors.climb import SHORTEST as SHORTEST_RISE
from detectors.continuation import AFTER, BEFORE, HORIZONS, continued, least_ratio, p_value
from detectors.continuation import ahead as continued_ahead
from detectors.falls import SHORTEST
from detectors.noise import FEWEST, Noise, despike, moving_average
from detectors.rising import ahead, rising
from detectors.segments import cut, segments, stacked_with_drops
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["LrDropRelief"]

SMOOTH = 5  # values averaged for a best level


@dataclass(frozen=True, kw_only=True)
class LrDropRelief:
    """Find the drops that improved validation, how long it lasted, and whether it beat the best epoch before.

    `alpha`: false alarms accepted per run. `smallest`: improvements below this share of the loss are not reported.
    `min_detectable_effect` is a share of the validation loss before the drop, for the drop that shows most.
    """

    alpha: float = 0.05
    level: float = 0.9
    smallest: float = 0.005
    phenomenon: ClassVar[str] = Phenomenon.LR_DROP_RELIEF
    needs: ClassVar[tuple[str, ...]] = ("val_loss",)
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        asked: list[tuple[np.ndarray, ...]] = []
        for drops, (val,) in stacked_with_drops(runs, "val_loss"):
            ahead(val, drops)
            for values, at in zip(val, drops, strict=True):
                pieces = segments(len(values), at)
                sides = [(before, d, end) for (before, d), (_, end) in pairwise(pieces) if _enough(before, d, end)]
                asked += [_around(despike(values), pieces, *side) for side in sides]
        continued_ahead(asked)

    def detect(self, run: Run) -> Verdict:
        """Drops after which validation loss is below the line that it was on."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val = run.observed("val_loss")
        where = cut(run)
        drops = sorted({d for d in where.among(run, epochs) if 0 < d < len(val)})
        if not drops and not where.logged and len(val) < SHORTEST:
            return undetermined(self.phenomenon, "learning_rate not logged, and too few evaluations to infer its drops")
        if not drops:
            how = "logged rate" if where.logged else "curves (learning_rate not logged)"
            return absent(self.phenomenon, f"no drop in the {how}")
        smooth = despike(val)
        pieces = segments(len(val), drops)
        relapses = rising(val, drops, self.alpha, self.level).stretches if len(val) >= SHORTEST_RISE else ()
        findings, unclear, least = [], [], []
        for (before, d), (_, end) in pairwise(pieces):
            if not _enough(before, d, end):
                unclear.append(f"too few evaluations around epoch {epochs[d]:.10g}")
                continue
            left, right, *others = _around(smooth, pieces, before, d, end)
            sides = continued(left, right, *others)
            sizes = len(left), len(right), len(left) + min(len(right), AFTER) + sum(len(o) for o in others)
            needed = least_ratio(self.alpha / len(drops), *sizes) * float(sides.least)
            p = min(1.0, p_value(float(sides.ratio), *sizes) * len(drops))
            base = abs(float(smooth[max(before, d - SMOOTH) : d].mean()))
            least.append(needed / max(base, 1e-300))
            improvement = float(sides.improvement)
            if p <= self.alpha and improvement > self.smallest * base:
                relapse = next((s for s in relapses if d <= s.bottom < end), None)
                finish = relapse.bottom if relapse else end - 1
                top = relapse.top if relapse else None
                noise = sides.noise[0].one(), sides.noise[1].one()
                findings.append(self._finding(epochs, smooth, d, finish, top, p, improvement, noise, where.logged))
        smallest = min(least) if least else None
        if findings:
            return found(self.phenomenon, findings, smallest)
        if not least:
            return undetermined(self.phenomenon, "; ".join(unclear))
        return absent(self.phenomenon, "no drop takes val_loss below the line that it was on", smallest)

    def _finding(
        self,
        epochs: np.ndarray,
        val: np.ndarray,
        d: int,
        finish: int,
        top: int | None,
        p: float,
        improvement: float,
        noise: tuple[Noise, Noise],
        logged: bool,
    ) -> Finding:
        def best(values: np.ndarray) -> float:
            return float(moving_average(values, min(SMOOTH, len(values))).min())

        before, after = best(val[:d]), best(val[d : finish + SMOOTH])
        margin = 2 * float(np.hypot(noise[0].se_of_mean(SMOOTH), noise[1].se_of_mean(SMOOTH)))
        new_best = after < before
        clear = abs(before - after) > margin
        level_before = float(val[max(d - SMOOTH, 0) : d].mean())
        level_end = float(val[max(finish - SMOOTH // 2, d) : finish + SMOOTH // 2 + 1].mean())
        last = finish == len(val) - 1
        compared = (
            f"That {'beats' if new_best else 'does not beat'} the best before the drop ({before:.4g})"
            f"{'' if clear else ', within the noise'}."
        )
        relapse = "" if top is None else f" From epoch {epochs[finish]:.10g} it rises again, to {val[top]:.4g}."
        onset = float(epochs[d])
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=None if last else float(epochs[finish]),
            onset_interval=(onset, onset)
            if logged
            else (float(epochs[max(d - 1, 0)]), float(epochs[min(d + 1, len(epochs) - 1)])),
            level=self.level,
            known_at=float(epochs[min(d + HORIZONS[0] - 1, len(epochs) - 1)]),
            kind="new_best" if new_best else "relief",
            p_value=p,
            effect={
                "improvement": improvement,
                "relative": improvement / max(abs(level_before), 1e-300),
                "visible": level_before - level_end,
            },
            evidence={
                "val_loss_before": level_before,
                "val_loss_at_end": level_end,
                "best_before": before,
                "best_after": after,
                "beats_best_before": ("yes" if new_best else "no") + ("" if clear else ", within the noise"),
                "noise_before": noise[0].sigma,
                "noise_after": noise[1].sigma,
            },
            explanation=(
                f"the drop at epoch {onset:.10g} takes val_loss from {level_before:.4g} to {after:.4g}. "
                f"{compared}{relapse} A lower rate removes the part of the loss that comes from the jitter of SGD, "
                "which a model has whether it overfits or not; what it has memorised stays."
            ),
            advice=(
                f"The drop paid until epoch {epochs[finish]:.10g}: stop there, or drop again."
                if new_best and top is not None
                else ""
                if new_best
                else f"The best checkpoint lies before epoch {onset:.10g}: drop the rate earlier, or average weights."
            ),
        )


def _enough(before: int, d: int, end: int) -> bool:
    """Whether there are values enough on either side of a drop at position d, between its neighbours."""
    return d - before >= FEWEST and end - d >= HORIZONS[0]


def _around(smooth: np.ndarray, pieces: list[tuple[int, int]], before: int, d: int, end: int) -> tuple[np.ndarray, ...]:
    """What `continued` asks for of series of shape (..., n): the sides of the drop, and the other pieces."""
    settled = max(before + (d - before) // 4, d - BEFORE)  # past the fast changes at the start of a piece
    if d - settled < FEWEST:
        settled = before
    others = (smooth[..., lo:hi] for lo, hi in pieces if (hi <= before or lo >= end) and hi - lo >= FEWEST)
    return smooth[..., settled:d], smooth[..., d:end], *others
