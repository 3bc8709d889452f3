"""Validation loss rises while validation accuracy does not fall.

The loss keeps paying for examples that are wrong with growing confidence, although no more of them are wrong: Guo et
al., 2017, On calibration of modern neural networks, arXiv:1706.04599, §3. The onset is the bottom of the loss; kind
`accuracy_rising` or `accuracy_flat`; the effects are the rise of the loss and the change of the accuracy over it.

Method: the rises of `detectors.rising`; for each, the mean accuracy around the top less that around the bottom, against
max(0.002, two standard errors). Reference for the definition: `sim.truth`.

How much of the rise is overconfidence: with `val_confidence` (the mean of the largest probability) or `val_ece` logged,
a model that is right in a share a and believes c loses a log(a/c) + (1 − a) log((1 − a)/(1 − c)) nats more than if it
believed a. That is the part of its miscalibration that shows in the means (grouping can only hide some of it: Kull &
Flach, 2015, Novel decompositions of proper scoring rules, ECML); its growth over the rise, as a share of it, is the
`calibration_share`, for a loss in nats. An ECE is taken as overconfidence, c = a + ECE.

Blind spots: those of `overfitting`; without one of these series the curves cannot say how much of the rise is
overconfidence; with them, what is overconfident in one place and too cautious in another is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.claims import Claim, FalseAlarms, standard
from detectors.climb import SHORTEST
from detectors.noise import despike
from detectors.rising import RisingStretch, ahead, levels, levels_ahead, rising
from detectors.segments import cut, stacked_with_drops
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
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for drops, (val, accuracy) in stacked_with_drops(runs, "val_loss", "val_accuracy"):
            ahead(val, drops)
            levels_ahead(val, drops, accuracy, self.alpha, self.level)

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
                share = _calibration(run, epochs, s, start, start + change)
                findings.append(self._finding(s, epochs, change, se, start, margin, share))
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
        self,
        s: RisingStretch,
        epochs: np.ndarray,
        change: float,
        se: float,
        start: float,
        margin: float,
        part: _Calibration | None,
    ) -> Finding:
        onset, top = float(epochs[s.bottom]), float(epochs[s.top])
        rose = change > margin
        moved = f"rose from {start:.4f} to {start + change:.4f}" if rose else f"stayed at {start:.3f} ({change:+.4f})"
        errors = max(1 - start, 1e-9) / max(1 - start - change, 1e-9)
        per_error = errors * s.top_level / s.bottom_level if s.bottom_level else float("nan")
        told = ""
        log = (
            " Log the temperature-scaled loss or a calibration error to see how much of the rise is overconfidence: "
            "these curves cannot tell."
        )
        if part is not None:
            log = ""
            told = (
                f" By {part.series}, confidence exceeds accuracy by {part.before:.3f} at the bottom and "
                f"{part.after:.3f} at the top: overconfidence accounts for about {part.share:.0%} of the rise."
            )
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=top if s.ends else None,
            onset_interval=(float(epochs[s.interval[0]]), float(epochs[s.interval[1]])),
            level=self.level,
            known_at=float(epochs[s.known]),
            kind="accuracy_rising" if rose else "accuracy_flat",
            p_value=s.p_value,
            effect={
                "rise": s.height,
                "relative": s.relative,
                "accuracy": change,
                **({} if part is None else {"calibration_share": part.share}),
            },
            evidence={
                "val_loss_at_onset": s.bottom_level,
                "val_loss_at_top": s.top_level,
                "top": top,
                "val_accuracy_at_onset": start,
                "val_accuracy_change": change,
                "val_accuracy_change_se": se,
                "loss_per_error_grew_by": per_error,
                **(
                    {}
                    if part is None
                    else {"overconfidence_at_onset": part.before, "overconfidence_at_top": part.after}
                ),
            },
            explanation=(
                f"from epoch {onset:.10g} to {top:.10g} val_loss climbed from {s.bottom_level:.4g} to "
                f"{s.top_level:.4g} while val_accuracy {moved}. No more examples are wrong, but the wrong ones are "
                f"wrong with more confidence.{told}"
            ),
            advice=(
                "Choose the checkpoint by the metric that matters; if probabilities matter, fit one temperature on "
                f"held-out data or use label smoothing.{log}"
            ),
        )


@dataclass(frozen=True)
class _Calibration:
    """How far confidence exceeds accuracy at both ends of a rise, by which series, and what share of it that makes."""

    series: str
    before: float
    after: float
    share: float


def _calibration(run: Run, epochs: np.ndarray, s: RisingStretch, before: float, after: float) -> _Calibration | None:
    """What the logged confidence or calibration error says; None where neither is there over the whole rise."""
    for key in ("val_confidence", "val_ece"):
        if key not in run:
            continue
        values = run[key][np.searchsorted(run.epochs, epochs)]
        if not np.isfinite(values[s.around_bottom[0] : s.around_top[1]]).all():
            continue
        start, end, _ = levels(values, s)
        beliefs = (start, end) if key == "val_confidence" else (before + start, after + end)
        costs = [_overconfidence(a, c) for a, c in zip((before, after), beliefs, strict=True)]
        return _Calibration(key, beliefs[0] - before, beliefs[1] - after, (costs[1] - costs[0]) / s.height)
    return None


def _overconfidence(accuracy: float, confidence: float) -> float:
    """Nats that a model loses which is right in a share `accuracy` and believes `confidence`."""
    a, c = (min(max(v, 1e-6), 1 - 1e-6) for v in (accuracy, confidence))
    return float(a * np.log(a / c) + (1 - a) * np.log((1 - a) / (1 - c)))
