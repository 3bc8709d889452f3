"""Training ends far above the loss that could be reached, and validation with it.

At the end training loss lies above the reference, the loss of the best model, by at least a fifth of what it lay above
it at first, and validation loss above training loss by less than a tenth of that. It holds for the run as a whole: the
onset is its first epoch. Kind `still_falling` or `settled`.

Method: curves do not know what could be reached, so the reference is a setting: the Bayes loss where the data are
simulated, the entropy of the labels where annotators disagree, or the loss of a much larger model. Both conditions are
tested on the mean of the last evaluations against the noise, and both have to hold (an intersection-union test: Berger,
1982, Technometrics 24). Without a reference a loss that cannot be negative still rules it out where training came below
a fifth of its first value, or where the gap is a tenth of it; else the answer is "undetermined", with the reference
below which the run would underfit.

Blind spots: the first value of a log is a mean over an epoch, lower than the loss at the start; augmentation and
dropout lift the logged training loss; a validation set that is easier hides a gap. A run stopped while it still fell is
told as one that underfits, which is true of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import stdtr

from detectors.claims import (
    Claim,
    Coverage,
    EpochFree,
    FalseAlarms,
    Nested,
    Precise,
    PValues,
    Recovers,
    Robust,
    UnitFree,
)
from detectors.null import SMALLEST_P
from detectors.steady_noise import FEWEST, despike, noise_of
from detectors.together import stacked
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["Underfitting"]

LEFT = 0.20  # of the initial excess, the definition's
GAP = 0.10
LAST = 10  # evaluations at the end, ...
SHARE = 0.1  # ... or this share of them, are its level
AROUND = 40  # evaluations at the end that tell the noise
SHORTEST = 20


@dataclass(frozen=True, kw_only=True)
class Underfitting:
    """Find runs that end before, or above, what the data allow.

    `alpha`: false alarms accepted per run. `reference`: the loss that the best model would have, in the unit of the
    loss; None where nobody knows.
    """

    alpha: float = 0.05
    level: float = 0.9
    reference: float | None = None
    phenomenon: ClassVar[str] = Phenomenon.UNDERFITTING
    needs: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss")

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Without a reference it finds nothing, and promises no more than that."""
        always: tuple[Claim, ...] = (FalseAlarms(growth=1.0, heavy_tails=True), EpochFree())
        if self.reference is None:
            return (*always, UnitFree())
        return (*always, Recovers(), Precise(), Coverage(), PValues(), Robust(), Nested())

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for _, (train, val) in stacked(runs, "train_loss", "val_loss"):
            despike.ahead(train)
            despike.ahead(val)

    def detect(self, run: Run) -> Verdict:
        """Whether the end of the run lies above the reference."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, train, val = run.observed("train_loss", "val_loss")
        n = len(train)
        if n < SHORTEST:
            return undetermined(self.phenomenon, f"{n} evaluations; {SHORTEST} are needed to know the end from noise")
        m = max(LAST, round(SHARE * n)) if n >= 2 * LAST else n // 2
        first = float(train[0])
        loss, ends = (float(despike(v)[-m:].mean()) for v in (train, val))
        gap = ends - loss
        if self.reference is None:
            return self._without(first, loss, gap)
        noises = [noise_of(v[-AROUND:]) for v in (train, val - train)]
        se_loss, se_gap = (noise.se_of_mean(m) for noise in noises)
        freedom = max(min(noise.independent(m) for noise in noises) - 1, 3.0)
        start = noise_of(train[: max(AROUND, FEWEST + 2)]).sigma  # of one value
        if float(np.ptp(train)) == 0:
            return absent(self.phenomenon, "train_loss never changes: nothing was learnt, or nothing measured")
        excess = first - self.reference
        if excess <= 0:
            return absent(self.phenomenon, f"train_loss begins at {first:.4g}, not above the reference")
        left = loss - self.reference - LEFT * excess
        room = GAP * excess - gap
        p = max(
            float(stdtr(freedom, -left / np.hypot(se_loss, LEFT * start))),
            float(stdtr(freedom, -room / np.hypot(se_gap, GAP * start))),
            SMALLEST_P,
        )
        share = (loss - self.reference) / excess
        if p > self.alpha:
            return absent(
                self.phenomenon, f"{share:.0%} of the initial excess is left, the gap is {gap / excess:.0%} of it"
            )
        falling = float(despike(train)[-2 * m : -m].mean()) - loss > 0.1 * (loss - self.reference)
        return found(
            self.phenomenon,
            [
                Finding(
                    phenomenon=self.phenomenon,
                    onset=float(epochs[0]),
                    onset_interval=(float(epochs[0]), float(epochs[0])),
                    level=self.level,
                    known_at=float(epochs[-1]),
                    kind="still_falling" if falling else "settled",
                    p_value=p,
                    effect={"left": share, "gap": gap / excess, "above_reference": loss - self.reference},
                    evidence={
                        "train_loss_first": first,
                        "train_loss_at_end": loss,
                        "val_loss_at_end": ends,
                        "reference": self.reference,
                    },
                    explanation=(
                        f"training ends at {loss:.4g}, {share:.0%} of its initial excess above the "
                        f"{self.reference:.4g} that could be reached, and validation is no further off ({ends:.4g}): "
                        f"the model does not fit even its training set{', and it still falls' if falling else ''}."
                    ),
                    advice=(
                        "Train on: the loss still falls."
                        if falling
                        else "Use a larger model, less regularisation or augmentation, or another rate; more data will "
                        "not help."
                    ),
                )
            ],
        )

    def _without(self, first: float, loss: float, gap: float) -> Verdict:
        """What can be said where the reference is only known to be no less than 0."""
        fitted = loss < LEFT * first
        if fitted or gap >= GAP * first > 0:
            why = "less than a fifth of its first value is left" if fitted else f"the gap is {gap / first:.0%} of that"
            return absent(self.phenomenon, f"whatever could be reached: train_loss began at {first:.4g}, and {why}")
        below = (loss - LEFT * first) / (1 - LEFT)
        return undetermined(
            self.phenomenon,
            f"what loss could be reached is not in the curves; if it is below {below:.3g}, the run underfits",
        )
