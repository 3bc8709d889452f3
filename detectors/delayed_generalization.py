"""Validation accuracy gets half-way long after the training set is fitted.

Half-way between its first and its best value at least three times later than training accuracy reaches 0.99, counted
from the start of the run. The onset is the epoch at which it gets half-way; effects are how many times later, and the
gain.

Method: the training set is fitted once five evaluations in a row are at 0.99 or above, which noise makes late rather
than early. Validation accuracy at three times that epoch has to be below half-way against its noise, and has to climb
from there on by the climb test (`detectors.climb`); both have to be significant. Half-way is where the monotone
least-squares fit gets there. Gains below a tenth are left unsaid: two noisy evaluations at the ceiling are no delay.
Power et al., 2022, Grokking: generalization beyond overfitting on small algorithmic datasets, arXiv:2201.02177.

Blind spots: a first evaluation that comes late hides how early the training set was fitted; accuracies that are logged
in steps of a percent; a drop of the rate may bring the same gain, and the finding says so where one is near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import stdtr

from detectors.claims import Claim, Coverage, FalseAlarms, KnownAt, Monotone, standard
from detectors.climb import LARGEST, SHORTEST, climbs
from detectors.null import SMALLEST_P
from detectors.segments import cut
from detectors.steady_noise import despike, moving_average, noise_of
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["DelayedGeneralization"]

FITTED = 0.99  # the definition's
DELAY = 3.0
SURE = 5  # evaluations in a row at which the training set is fitted
LEVEL = 5  # evaluations averaged for a level


@dataclass(frozen=True, kw_only=True)
class DelayedGeneralization:
    """Find runs that generalise long after they have fitted their training set.

    `alpha`: false alarms accepted per run. `gain`: of accuracy, below which nothing is said.
    """

    alpha: float = 0.05
    level: float = 0.9
    gain: float = 0.1
    phenomenon: ClassVar[str] = Phenomenon.DELAYED_GENERALIZATION
    needs: ClassVar[tuple[str, ...]] = ("train_accuracy", "val_accuracy")
    claims: ClassVar[tuple[Claim, ...]] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True), without=(Coverage, KnownAt, Monotone)
    )

    def detect(self, run: Run) -> Verdict:
        """Whether validation accuracy came late."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, train, val = run.observed("train_accuracy", "val_accuracy")
        n = len(val)
        if n < 2 * SHORTEST:
            return undetermined(self.phenomenon, f"{n} evaluations; {2 * SHORTEST} are needed")
        fitted = np.flatnonzero((sliding_window_view(train, SURE) >= FITTED).all(axis=-1))
        if not fitted.size:
            return absent(self.phenomenon, f"train_accuracy does not stay at {FITTED} or above")
        at = int(fitted[0])
        spacing = float(np.median(np.diff(epochs)))
        since = (epochs - epochs[0]) / spacing + 1  # evaluations from the start, wherever the log counts from
        early = int(np.searchsorted(since, DELAY * since[at]))  # from here on it is three times later
        if n - early < SHORTEST:
            return absent(self.phenomenon, f"train_accuracy reached {FITTED} too late for a delay to be seen")
        clean = despike(val)
        low = float(clean[:LEVEL].min())  # the first values may climb already; their lowest is a start
        high = float(moving_average(clean, LEVEL).max())
        half = (low + high) / 2
        if high - low < self.gain:
            return absent(self.phenomenon, f"val_accuracy gains {high - low:.3f}, under {self.gain:g}")
        fit = _monotone(clean)
        crossing = int(np.argmax(fit >= half))
        if since[crossing] < DELAY * since[at]:
            times = f"{since[crossing] / since[at]:.1f}"
            return absent(
                self.phenomenon, f"val_accuracy gets half-way {times} times later than train_accuracy to {FITTED}"
            )
        step = -(-(n - early) // LARGEST)
        m = (n - early) // step
        later = val[n - m * step :].reshape(m, step).mean(axis=1)
        climb = climbs(later, self.alpha)
        before = clean[max(early - LEVEL, 0) : early]
        noise = noise_of(val[max(early - 8 * LEVEL, 0) : early] if early >= SHORTEST else val)
        freedom = max(noise.independent(8 * LEVEL) - 1, 3.0)
        below = float(stdtr(freedom, -(half - float(before.mean())) / noise.se_of_mean(len(before))))
        p = max(below, climb.p_value, SMALLEST_P)
        if p > self.alpha or not climb.found:
            return absent(self.phenomenon, "val_accuracy climbs late, but not beyond its noise")
        return found(self.phenomenon, [self._finding(run, epochs, since, at, crossing, fit, low, high, p)])

    def _finding(
        self,
        run: Run,
        epochs: np.ndarray,
        since: np.ndarray,
        at: int,
        crossing: int,
        fit: np.ndarray,
        low: float,
        high: float,
        p: float,
    ) -> Finding:
        onset, fitted = float(epochs[crossing]), float(epochs[at])
        times = float(since[crossing] / since[at])
        first = int(np.argmax(fit >= low + 0.4 * (high - low)))
        last = int(np.argmax(fit >= low + 0.6 * (high - low)))
        near = [d for d in cut(run).among(run, epochs) if abs(d - crossing) <= LEVEL]
        drop = f" The rate drops at epoch {epochs[near[0]]:.10g}, which may be why." if near else ""
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            onset_interval=(float(epochs[max(min(first, crossing) - 1, 0)]), float(epochs[max(last, crossing)])),
            level=self.level,
            known_at=float(epochs[min(max(last, crossing) + SHORTEST, len(epochs) - 1)]),
            p_value=p,
            effect={"times_later": times, "gain": high - low},
            evidence={"fitted_at": fitted, "val_accuracy_first": low, "val_accuracy_best": high},
            explanation=(
                f"train_accuracy stays at {FITTED} from epoch {fitted:.10g} on, and val_accuracy gets half-way from "
                f"{low:.3f} to {high:.3f} only at epoch {onset:.10g}, {times:.1f} times later: the model memorised "
                f"first and generalised afterwards.{drop}"
            ),
            advice="Do not stop such a run when training is fitted. More weight decay or more data bring it earlier.",
        )


def _monotone(values: np.ndarray) -> np.ndarray:
    """The increasing least-squares fit, shape (n,): pool adjacent violators (Barlow et al., 1972)."""
    blocks: list[tuple[float, int]] = []  # total, size
    for y in values.tolist():
        total, size = y, 1
        while blocks and blocks[-1][0] * size >= total * blocks[-1][1]:
            t, s = blocks.pop()
            total, size = total + t, size + s
        blocks.append((total, size))
    return np.concatenate([np.full(size, total / size) for total, size in blocks])
