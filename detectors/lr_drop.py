"""The learning rate falls to at most two thirds in one epoch.

The onset is the first epoch at the new rate (a milestone of m means m epochs at the old rate: the drop is at m + 1);
the effect is the factor, where the rate is logged, and the change of the losses.

Method: where `learning_rate` is logged, the definition is applied to it (kind `logged`). Where it is not, a drop is
inferred from a sudden fall of a loss that its noise and its trend do not explain (kind `inferred`,
`detectors.falls`).

Blind spots: an inferred drop is a sudden fall; anything else that makes one (augmentation switched off, weights
averaged, data changed) looks the same. A drop that moves no curve cannot be inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.claims import Claim, FalseAlarms, standard
from detectors.falls import SHORTEST
from detectors.segments import ahead, cut
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["LrDrop"]


@dataclass(frozen=True, kw_only=True)
class LrDrop:
    """Find the drops of the learning rate, from its log or from what they do to the losses.

    `alpha`: false alarms accepted per run where the rate is not logged.
    """

    alpha: float = 0.05
    level: float = 0.9
    phenomenon: ClassVar[str] = Phenomenon.LR_DROP
    needs: ClassVar[tuple[str, ...]] = ()
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        ahead(runs)

    def detect(self, run: Run) -> Verdict:
        """Drops of the rate; the finding's kind says how it is known."""
        logged = "learning_rate" in run
        losses = [k for k in ("train_loss", "val_loss") if k in run]
        if not logged and not losses:
            return undetermined(self.phenomenon, "neither learning_rate nor a loss is logged")
        if not logged and max(len(run.observed(k)[0]) for k in losses) < SHORTEST:
            return undetermined(self.phenomenon, f"learning_rate not logged; inferring needs {SHORTEST} evaluations")
        result = cut(run, self.alpha)
        if not result.drops:
            return absent(
                self.phenomenon, "no drop in the logged rate" if logged else "no sudden fall; learning_rate not logged"
            )
        if logged:
            return found(self.phenomenon, [self._logged(run, d) for d in result.drops])
        findings = []
        for fall in result.falls:
            onset = float(run.epochs[fall.position])
            epochs = run.observed(fall.series)[0]
            at = int(np.searchsorted(epochs, onset))
            findings.append(
                Finding(
                    phenomenon=self.phenomenon,
                    onset=onset,
                    onset_interval=(
                        float(epochs[max(at - 1, 0)]),
                        float(epochs[min(at + 1, len(epochs) - 1)]),
                    ),
                    level=self.level,
                    known_at=float(run.epochs[fall.known]),
                    kind="inferred",
                    p_value=fall.p_value,
                    effect={"fall": fall.height},
                    evidence={"series": fall.series, "noise_widths": fall.widths},
                    explanation=(
                        f"{fall.series} falls by {fall.height:.4g} at epoch {onset:.10g} within one epoch, "
                        f"{fall.widths:.0f} noise widths below where it was going, and stays there: most likely a "
                        "drop of the learning rate, which is not logged."
                    ),
                    advice="Log the learning rate; then this need not be guessed.",
                )
            )
        return found(self.phenomenon, findings)

    def _logged(self, run: Run, d: int) -> Finding:
        rates = run["learning_rate"]
        known = np.flatnonzero(np.isfinite(rates[:d]) & (rates[:d] > 0))
        before, after = float(rates[known[-1]]), float(rates[d])
        onset = float(run.epochs[d])
        logged = np.logical_or.reduce([np.isfinite(values[: d + 1]) for values in run.series.values()])
        # where the rate of a row is missing, the drop may have come with that row; an empty row is none
        first = int(np.flatnonzero(logged[known[-1] + 1 :])[0]) + int(known[-1]) + 1
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            onset_interval=(float(run.epochs[first]), onset),
            level=self.level,
            known_at=onset,
            kind="logged",
            effect={"factor": after / before},
            evidence={"learning_rate_before": before, "learning_rate_after": after},
            explanation=f"the learning rate drops from {before:.10g} to {after:.10g} at epoch {onset:.10g} (logged).",
            advice="",
        )
