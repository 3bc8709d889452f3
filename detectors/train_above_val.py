"""Training loss, as logged, lies above validation loss.

T − R = lag (the logged loss is a mean over the epoch, so it is half an epoch old) + mode (dropout, augmentation, batch
statistics) + objective (terms that only the training loss has) + (L − R). The onset is the first epoch of a stretch of
at least three in which T − V exceeds 0.5 % of V; `end` its last.

Method: stretches of positive smoothed excess; each is tested by the means of its windows of three values or more, the
largest value of a window left out (`detectors.scan`: the null is simulated, the start of the run counts for half).
Cause, as far as the series allow: the lag is half the fall of the training loss over an epoch; if it makes more than
half of the excess the kind is `lag`, if `train_loss_eval` is logged the rest is split into `mode` and
`train_minus_risk`, otherwise the kind is `mode_or_objective`, or `mixed`.

Blind spots: a validation set that is easier than the population by chance lifts the whole difference; no single run
shows that. An easier or leaking validation set looks the same as dropout unless accuracy is logged in evaluation mode.
Two epochs of true excess in a row are no stretch, and pass for one where they stand far out of the noise: promised is
silence where it is one at most, as at the start of a run whose training loss is a mean over the epoch.
`known_at` rests on the noise of the whole run and is not promised: a shorter run may take its decay for noise.
Nor is it that a stronger excess is surer: in one run of nine its p-value is the larger one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.claims import Claim, FalseAlarms, KnownAt, Monotone, standard
from detectors.noise import despike, median, smoothed
from detectors.scan import ALL, SHORTEST, ahead, scan, sizes, table
from detectors.together import stacked
from detectors.vocabulary import LARGEST, Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["TrainAboveVal"]


@dataclass(frozen=True, kw_only=True)
class TrainAboveVal:
    """Find stretches in which the logged training loss is the higher one, and why.

    `alpha`: false alarms accepted per run. `share`: excess, of the validation loss, from which it counts. `shortest`:
    epochs in a row. `min_detectable_effect` is the mean excess over ten epochs, as a share of the validation loss, that
    would have been seen.
    """

    alpha: float = 0.05
    level: float = 0.9
    share: float = 0.005
    shortest: int = 3
    phenomenon: ClassVar[str] = Phenomenon.TRAIN_ABOVE_VAL
    needs: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss")
    claims: ClassVar[tuple[Claim, ...]] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True), without=(KnownAt, Monotone)
    )

    def ahead(self, runs: Sequence[Run]) -> None:
        """Measure many runs at once, for `detect` of each."""
        for _, (train, val) in stacked(runs, "train_loss", "val_loss"):
            ahead(self._excess(train, val))

    def detect(self, run: Run) -> Verdict:
        """Stretches in which training loss exceeds validation loss."""
        if missing := run.missing(self.needs):
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        epochs, train, val = run.observed("train_loss", "val_loss")
        n = len(val)
        if n < SHORTEST:
            return undetermined(self.phenomenon, f"{n} evaluations; {SHORTEST} are needed")
        excess = self._excess(train, val)
        result = scan(excess)
        smooth = smoothed(despike(excess), self.shortest)
        findings = []
        for lo, hi in _stretches(smooth > 0, self.shortest):
            while lo < hi and excess[lo] <= 0:
                lo += 1
            while hi > lo and excess[hi - 1] <= 0:
                hi -= 1
            if hi - lo < self.shortest:
                continue
            p = result.p_value(lo, hi)
            if p <= self.alpha:
                known, sigma = result.known(lo, hi, self.alpha), float(result.width[lo:hi].mean())
                findings.append(self._finding(run, epochs, train, val, lo, hi, known, p, sigma))
        size = int(np.searchsorted(sizes(n), 10, side="right")) - 1  # a window of about ten values
        hidden = table().critical(n, ALL, self.alpha / 2) * float(result.units[size] * median(result.width))
        least = self.share + hidden / max(float(median(np.abs(val))), 1e-300)
        if findings:
            return found(self.phenomenon, findings, least)
        return absent(self.phenomenon, "training loss is not above validation loss for three epochs in a row", least)

    def _excess(self, train: np.ndarray, val: np.ndarray) -> np.ndarray:
        """How far training lies above what counts, in series of shape (..., n)."""
        excess: np.ndarray = train - val - self.share * np.abs(val)
        return excess

    def _finding(
        self,
        run: Run,
        epochs: np.ndarray,
        train: np.ndarray,
        val: np.ndarray,
        lo: int,
        hi: int,
        known: int,
        p: float,
        sigma: float,
    ) -> Finding:
        difference = float((train - val)[lo:hi].mean())
        parts, kind = _cause(run, epochs, train, lo, hi, difference)
        why = {
            "lag": "the logged training loss is a mean over the epoch and so half an epoch old while the model still "
            "improves fast; it goes away by itself",
            "mode": "training is made harder than evaluation (dropout, augmentation, batch statistics)",
            "train_minus_risk": "even in evaluation mode the training set is harder than the validation set",
            "mode_or_objective": "being half an epoch old explains little of it; what remains is training made harder "
            "than evaluation (dropout, augmentation, label smoothing, extra loss terms) or an easier validation set",
            "mixed": "no single part makes more than half of it",
        }[kind]
        onset, last = float(epochs[lo]), float(epochs[hi - 1])
        where = f"from epoch {onset:.10g} to {last:.10g}" if last > onset else f"at epoch {onset:.10g}"
        near = np.flatnonzero(np.abs((train - val)[: lo + 1] - self.share * val[: lo + 1]) > 2 * sigma)
        first = float(epochs[near[-1] + 1]) if near.size and near[-1] + 1 <= lo else onset
        return Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            end=None if hi == len(epochs) else last,
            onset_interval=(min(first, onset), float(epochs[min(lo + 1, len(epochs) - 1)])),
            level=self.level,
            known_at=float(epochs[known]),
            kind=kind,
            p_value=p,
            effect={"mean": difference, **parts},
            evidence={
                "epochs": hi - lo,
                "train_loss_mean": float(train[lo:hi].mean()),
                "val_loss_mean": float(val[lo:hi].mean()),
                "noise": sigma,
            },
            explanation=(f"{where} train_loss lies above val_loss, by {difference:.4g}: {why}."),
            advice=(
                "Nothing to mend. To compare the two, evaluate a fixed part of the training set in evaluation mode."
                if kind in ("lag", "mode")
                else "Evaluate a fixed part of the training set in evaluation mode: if it lies below val_loss, the "
                "excess is regularisation and harmless; if not, check the validation set for leaks."
            ),
        )


def _cause(
    run: Run, epochs: np.ndarray, train: np.ndarray, lo: int, hi: int, difference: float
) -> tuple[dict[str, float], str]:
    """Parts of the mean excess over positions lo..hi-1, and the one that makes over half of it."""
    smooth = despike(train)
    half_fall = np.append(smooth[:-1] - smooth[1:], smooth[-2] - smooth[-1]) / 2
    parts = {"lag": float(half_fall[lo:hi].mean())}
    rest = "mode_or_objective"
    at = np.searchsorted(run.epochs, epochs[lo:hi])
    measured = run["train_loss_eval"][at] - run["val_loss"][at] if "train_loss_eval" in run else np.array([])
    known = np.abs(measured) < LARGEST
    if known.any():
        parts["train_minus_risk"] = float(measured[known].mean())
        rest = "mode"
    parts[rest] = difference - sum(parts.values())
    cause = max(parts, key=lambda k: parts[k])
    return parts, cause if parts[cause] > 0.5 * difference else "mixed"


def _stretches(mask: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """Half-open ranges of at least `shortest` in which `mask` holds; gaps under `shortest` are closed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    joined: list[tuple[int, int]] = []
    for lo, hi in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and lo - joined[-1][1] < shortest:
            joined[-1] = (joined[-1][0], hi)
        else:
            joined.append((lo, hi))
    return [(lo, hi) for lo, hi in joined if hi - lo >= shortest]
