"""Validation loss turns up while training loss does not.

The onset is the (flat) bottom of the expected validation loss, the checkpoint to keep; the effect is the height that
the curve climbs from there (its prominence), in units of the loss and relative to the bottom.

Method: the noise is measured between the drops of the learning rate, and the whole run is tested for climbs
(`detectors.climb`: multiscale contrasts, the null simulated with the noise estimated). The onset is the bottom of the
unimodal least-squares fit, its interval comes from the same simultaneous statements. A rise that the training loss
shares is not overfitting. Rises under 1 % of the bottom are left unsaid.

Blind spots: a rise of less than a dozen evaluations; a validation set that changes during training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from detectors.claims import Claim, FalseAlarms, standard
from detectors.climb import SHORTEST
from detectors.noise import despike
from detectors.rising import RisingStretch, ahead, levels, levels_ahead, rising
from detectors.segments import cut, stacked_with_drops
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["Overfitting"]

WINDOW = 9  # values averaged for the level of the training loss at either end of a rise


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """Find the epoch from which more training made validation worse.

    `alpha`: false alarms accepted per run, for AR(1) noise with coefficient up to 0.8. `level`: confidence of the onset
    interval. `smallest`: rises below this share of their bottom are not reported. `blind`: where only rises above this
    share could have been seen, the answer is "undetermined". `min_detectable_effect` is a share of the lowest loss.
    """

    alpha: float = 0.05
    level: float = 0.9
    smallest: float = 0.01
    blind: float = 0.25
    phenomenon: ClassVar[str] = Phenomenon.OVERFITTING
    needs: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss")
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for drops, (val, train) in stacked_with_drops(runs, "val_loss", "train_loss"):
            ahead(val, drops)
            levels_ahead(val, drops, train, self.alpha, self.level)

    def detect(self, run: Run) -> Verdict:
        """Rises of validation loss during which training loss did not get worse."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val, train = run.observed("val_loss", "train_loss")
        if len(val) < SHORTEST:
            return undetermined(
                self.phenomenon, f"{len(val)} evaluations; a rise needs {SHORTEST} to be told from noise"
            )
        drops = cut(run).among(run, epochs)
        result = rising(val, drops, self.alpha, self.level)
        findings, shared = [], 0
        for s in result.stretches:
            if s.height < self.smallest * abs(s.bottom_level):
                continue
            before, after, se = levels(train, s, WINDOW, steep=True)
            # where training is too noisy to tell, half as high a rise of its own is enough to leave it open
            if after - before > max(self.smallest * abs(before), min(2 * se, s.height / 2)):
                shared += 1
            else:
                findings.append(self._finding(s, epochs.tolist(), before, after))
        least = result.smallest / max(abs(float(despike(val).min())), 1e-300)
        if findings:
            return found(self.phenomenon, findings, least)
        if shared:
            return absent(self.phenomenon, "validation loss rises, but training loss rises with it", least)
        if least > self.blind:
            return undetermined(
                self.phenomenon, f"the noise hides any rise under {least:.0%} of the lowest validation loss", least
            )
        return absent(self.phenomenon, f"no rise; one of {least:.1%} of the lowest loss would have been seen", least)

    def _finding(self, s: RisingStretch, epochs: list[float], before: float, after: float) -> Finding:
        onset, top = epochs[s.bottom], epochs[s.top]
        widths = s.height / s.noise.sigma
        end = top if s.ends else None
        trained = f"training loss went from {before:.4g} to {after:.4g}"
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=end,
            onset_interval=(epochs[s.interval[0]], epochs[s.interval[1]]),
            level=self.level,
            known_at=epochs[s.known],
            p_value=s.p_value,
            effect={"prominence": s.height, "relative": s.relative},
            evidence={
                "val_loss_at_onset": s.bottom_level,
                "val_loss_at_top": s.top_level,
                "top": top,
                "train_loss_at_onset": before,
                "train_loss_at_top": after,
                "noise_widths": widths,
                "autocorrelation": s.noise.rho,
            },
            explanation=(
                f"val_loss was lowest around epoch {onset:.10g} ({s.bottom_level:.4g}) and climbed to "
                f"{s.top_level:.4g} by epoch {top:.10g}, {widths:.0f} noise widths higher, while {trained}. The model "
                "fitted what is particular to its training set."
            ),
            advice=f"Without a later drop, stop around epoch {onset:.10g}; more data or regularisation move it later.",
        )
