"""Validation loss rises while validation accuracy does not fall.

The loss keeps paying for examples that are wrong with growing confidence, although no more of them are wrong: Guo et
al., 2017, On calibration of modern neural networks, arXiv:1706.04599, §3. The onset is the bottom of the loss; kind
`accuracy_rising` or `accuracy_flat`; the effects are the rise of the loss and the change of the accuracy over it.

Method: the rises of `detectors.rising`; for each, the mean accuracy around the top less that around the bottom, against
max(0.002, two standard errors). Reference for the definition: `sim.truth`.

Blind spots: those of `overfitting`; and curves alone cannot say how much of the rise is overconfidence: that needs the
loss after temperature scaling, or a calibration error per epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.claims import STANDARD, Claim
from detectors.climb import SHORTEST
from detectors.noise import despike
from detectors.rising import RisingStretch, levels, rising
from detectors.segments import cut
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["LossAccuracyDivergence"]


@dataclass(frozen=True, kw_only=True)
class LossAccuracyDivergence:
    """Find rises of validation loss that accuracy does not confirm.

    `alpha`, `level`, `smallest`: as for `Overfitting`. `margin`: a change of accuracy that counts as none. `window`:
    evaluations averaged at either end. `blind`: where
    two standard errors of that change exceed it, the answer is "undetermined". `min_detectable_effect` is a share of
    the lowest loss.
    """

    alpha: float = 0.05
    level: float = 0.9
    smallest: float = 0.01
    margin: float = 0.002
    window: int = 9
    blind: float = 0.03
    phenomenon: ClassVar[str] = Phenomenon.LOSS_ACCURACY_DIVERGENCE
    needs: ClassVar[tuple[str, ...]] = ("val_loss", "val_accuracy")
    claims: ClassVar[tuple[Claim, ...]] = STANDARD

    def detect(self, run: Run) -> Verdict:
        """Rises of validation loss over which validation accuracy does not fall."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val, accuracy = run.observed("val_loss", "val_accuracy")
        if len(val) < SHORTEST:
            return undetermined(
                self.phenomenon, f"{len(val)} evaluations; a rise needs {SHORTEST} to be told from noise"
            )
        result = rising(val, cut(run).among(run, epochs), self.alpha, self.level)
        if not result.pieces:
            return undetermined(self.phenomenon, f"no {SHORTEST} evaluations in a row at one learning rate")
        findings, unclear = [], []
        for s in result.stretches:
            if s.height < self.smallest * abs(s.bottom_level):
                continue
            start, after, se = levels(accuracy, s, self.window)
            change = after - start
            margin = max(self.margin, 2 * se)
            if margin > self.blind:
                unclear.append(epochs[s.bottom])
            elif change >= -margin:
                findings.append(self._finding(s, epochs, change, se, start, margin))
        assert result.smallest is not None
        least = result.smallest / max(abs(float(despike(val).min())), 1e-300)
        if findings:
            return found(self.phenomenon, findings, least)
        if unclear:
            return undetermined(
                self.phenomenon,
                f"val_loss rises from epoch {unclear[0]:.10g}, but val_accuracy is too noisy to compare",
                least,
            )
        reason = "val_accuracy falls with each rise of val_loss" if result.stretches else "val_loss does not rise"
        return absent(self.phenomenon, reason, least)

    def _finding(
        self, s: RisingStretch, epochs: np.ndarray, change: float, se: float, start: float, margin: float
    ) -> Finding:
        onset, top = float(epochs[s.bottom]), float(epochs[s.top])
        rose = change > margin
        moved = f"rose from {start:.4f} to {start + change:.4f}" if rose else f"stayed at {start:.3f} ({change:+.4f})"
        per_error = (s.top_level / max(1 - start - change, 1e-9)) / (s.bottom_level / max(1 - start, 1e-9))
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=top if s.ends else None,
            onset_interval=(float(epochs[s.interval[0]]), float(epochs[s.interval[1]])),
            level=self.level,
            known_at=float(epochs[s.known]),
            kind="accuracy_rising" if rose else "accuracy_flat",
            p_value=s.p_value,
            effect={"rise": s.height, "relative": s.height / abs(s.bottom_level), "accuracy": change},
            evidence={
                "val_loss_at_onset": s.bottom_level,
                "val_loss_at_top": s.top_level,
                "top": top,
                "val_accuracy_at_onset": start,
                "val_accuracy_change": change,
                "val_accuracy_change_se": se,
                "loss_per_error_grew_by": per_error,
            },
            explanation=(
                f"from epoch {onset:.10g} to {top:.10g} val_loss climbed from {s.bottom_level:.4g} to "
                f"{s.top_level:.4g} while val_accuracy {moved}. No more examples are wrong, but the wrong ones are "
                "wrong with more confidence."
            ),
            advice=(
                "Choose the checkpoint by the metric that matters; if probabilities matter, fit one temperature on "
                "held-out data or use label smoothing. Log the temperature-scaled loss or a calibration error to see "
                "how much of the rise is overconfidence: these curves cannot tell."
            ),
        )
