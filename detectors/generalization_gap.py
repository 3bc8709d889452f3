"""From some epoch on, validation loss stays above training loss by more than a tenth.

The strict sense of "the model fits its training set better than new data". The onset is the smallest epoch from which
val_loss − train_loss stays above 10 % of the lowest validation loss; the effect is the final gap.

Method: a logged training loss is a mean over the epoch while the weights move, so it belongs half an epoch earlier:
epoch x of the validation loss is compared with the mean of the training losses of epochs x and x + 1. Where
`train_loss_eval` (evaluation mode, un-augmented) is logged, it is used as it is; `kind` says which. The onset is the
last crossing of the smoothed gap; the interval holds every epoch at which the smoothed gap is within its noise of the
threshold, and every epoch before where the logged training loss first lay above the validation loss, since then
something lifts it. p is that of the gap's mean after the onset against the threshold.

Blind spots: augmentation and dropout lift the logged training loss, which hides the gap or makes it late; a small
validation set shifts the whole curve by its own sampling error, which no single run can show. `known_at` rests on the
noise of the whole run and is not promised: a shorter run may take its decay for noise, and hesitate longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import stdtr, stdtrit

from detectors.claims import Claim, FalseAlarms, KnownAt, standard
from detectors.climb import SHORTEST
from detectors.noise import Noise, ahead, despike, moving_average, noise_of, smoothed
from detectors.together import stacked
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["GeneralizationGap"]


@dataclass(frozen=True, kw_only=True)
class GeneralizationGap:
    """Find the epoch from which validation loss stays above training loss.

    `alpha`: chance of a finding in a run whose gap ends below the threshold. `share`: the threshold, of the lowest
    validation loss. `window`: values averaged to smooth the gap. `min_detectable_effect` is the final gap, as a share
    of the lowest validation loss, that would have been told from the threshold.
    """

    alpha: float = 0.05
    level: float = 0.9
    share: float = 0.10
    window: int = 5
    phenomenon: ClassVar[str] = Phenomenon.GENERALIZATION_GAP
    needs: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss")
    claims: ClassVar[tuple[Claim, ...]] = standard(FalseAlarms(growth=1.0, heavy_tails=True), without=(KnownAt,))

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for key in ("train_loss", "train_loss_eval"):
            for _, (val, train) in stacked([run for run in runs if _train_key(run) == key], "val_loss", key):
                if val.shape[-1] >= SHORTEST:
                    train = _earlier(train) if key == "train_loss" else train
                    despike.ahead(val)
                    despike.ahead(val - train)
                    ahead(self._excess(val, train)[1])

    def detect(self, run: Run) -> Verdict:
        """The last time the gap rises above a tenth of the lowest validation loss."""
        train_key = _train_key(run)
        measured = train_key != "train_loss"
        if missing := run.missing((train_key, "val_loss")):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, val, train = run.observed("val_loss", train_key)
        if len(val) < SHORTEST:
            return undetermined(self.phenomenon, f"{len(val)} evaluations; {SHORTEST} are needed")
        if not measured:
            train = _earlier(train)
        low, excess = self._excess(val, train)
        lowest = float(low)
        noise = noise_of(excess)
        smooth = smoothed(excess, self.window)
        below = np.flatnonzero(~(smooth > 0))
        onset = int(below[-1]) + 1 if below.size else 0
        z = -float(stdtrit(max(noise.independent(len(val)) - 1, 3.0), self.alpha))
        least = self.share + z * noise.se_of_mean(self.window) / max(lowest, 1e-300)
        after = excess[onset:]
        if len(after) < self.window:
            return absent(self.phenomenon, f"the gap ends below {self.share:.0%} of the lowest validation loss", least)
        se = noise.se_of_mean(len(after))
        freedom = max(noise.independent(len(after)) - 1, 3.0)
        # the largest of the running means is what selects this stretch: one test for each doubling of its length
        p = min(1.0, float(stdtr(freedom, -after.mean() / se)) * (1 + np.log2(len(val) / self.window)))
        if p > self.alpha:
            return absent(
                self.phenomenon,
                f"the gap ends within its noise of {self.share:.0%} of the lowest validation loss",
                least,
            )
        known = self._known(excess[onset:], noise, len(val))
        near = np.abs(smooth) <= z * noise.se_of_mean(self.window)
        lo = hi = onset
        while lo > 0 and near[lo - 1]:
            lo -= 1
        while hi + 1 < len(near) and near[hi + 1]:
            hi += 1
        first_gap = float(smooth[: onset + 1].min()) + self.share * lowest
        lifted = not measured and first_gap < -z * noise.se_of_mean(self.window)
        if lifted:  # training was made harder than evaluation, and nobody knows for how long by how much
            lo = 0
        final = float((val - train)[-self.window :].mean())
        finding = Finding(
            phenomenon=self.phenomenon,
            onset=epochs[onset],
            onset_interval=(epochs[lo], epochs[hi]),
            level=self.level,
            known_at=epochs[min(onset + known - 1, len(epochs) - 1)],
            kind="evaluation_mode" if measured else "logged_half_an_epoch_earlier",
            p_value=p,
            effect={"final_gap": final, "relative": final / lowest if lowest > 0 else float("nan")},
            evidence={
                "train_series": train_key,
                "val_loss_lowest": lowest,
                "final_val_loss": float(val[-self.window :].mean()),
                "final_train_loss": float(train[-self.window :].mean()),
            },
            explanation=(
                f"{'at the latest ' if lifted else ''}from epoch {epochs[onset]:.10g} on val_loss stays more than "
                f"{self.share:.0%} of its lowest value above {train_key}; the gap ends at {final:.4g}. "
                "A gap by itself is normal: it says that training loss has stopped measuring how good the model is."
            ),
            advice=(
                f"From epoch {epochs[onset]:.10g} on, judge by validation."
                if measured
                else f"From epoch {epochs[onset]:.10g} on, judge by validation. To date the gap, log the training loss "
                "in evaluation mode too."
            ),
        )
        return found(self.phenomenon, [finding], least)

    def _excess(self, val: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(lowest smoothed loss, shape (...); the gap over what counts, shape (..., n)) of series of shape (..., n)."""
        lowest = np.abs(moving_average(despike(val), self.window).min(axis=-1))
        return lowest, despike(val - train) - self.share * lowest[..., None]

    def _known(self, after: np.ndarray, noise: Noise, size: int) -> int:
        """How many values after the onset were needed to be sure of it."""
        m, se = np.arange(self.window, len(after)), noise.se_of_means(len(after))[self.window - 1 : -1]
        freedom = np.maximum((noise.sigma / se) ** 2 - 1, 3.0)
        p = stdtr(freedom, -np.cumsum(after)[self.window - 1 : -1] / m / se)
        told = np.flatnonzero(p * (1 + np.log2(size / self.window)) <= self.alpha)
        return int(m[told[0]]) if told.size else len(after)


def _train_key(run: Run) -> str:
    """The training loss that is compared."""
    return "train_loss_eval" if "train_loss_eval" in run else "train_loss"


def _earlier(train: np.ndarray) -> np.ndarray:
    """Logged training losses, shape (..., n), half an epoch earlier."""
    return np.concatenate([(train[..., :-1] + train[..., 1:]) / 2, train[..., -1:]], axis=-1)
