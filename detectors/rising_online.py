"""The rises of a validation loss, told while it grows: the windows of `detectors.anytime` on rows as they come.

A window that rises for certain makes a finding where the rise is material, is not shared by training loss, and lies in
the domain of the promise; all three only hold alarms back. The bottom lies before the end of each such window, and
after the start of each window that falls as surely: that is the onset interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.anytime import MOST, SHORTEST, SPAN, between, due, memory, weight, window_p
from detectors.noise import estimate
from detectors.shapes import unimodal_bottom
from detectors.vocabulary import LARGEST, Finding, Phenomenon, Run, Verdict, absent, undetermined

__all__ = ["BELOW", "BOUND", "RISES", "RisesOnline", "SisterNoise"]

BOUND = 0.8  # on the autocorrelation, unless something else is known
BELOW = 0.05  # the chance that the interval begins after the bottom
MARGIN = 0.01  # accuracy that may be lost in a window of a divergence
RECENT = 512  # values by which the memory of the noise is judged
MEMORY = 0.75  # of the bound: what second differences must tell as well
LEVEL = 5  # values averaged for a level
CURVED = 4  # degree of the polynomial that a fall is taken to follow
RISES = {
    Phenomenon.OVERFITTING: ("val_loss", "train_loss"),
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: ("val_loss", "val_accuracy"),
}


@dataclass
class RisesOnline:
    """One phenomenon that is a rise of the first of `needs`, on the rows that have all of them."""

    phenomenon: Phenomenon
    needs: tuple[str, str]
    alpha: float
    smallest: float
    sisters: SisterNoise
    total: int = 0  # rows so far
    count: int = 0  # rows since the windows began anew
    buffer: np.ndarray = field(default_factory=lambda: np.empty((2 * SPAN, 3)))  # epoch, loss, other
    used: int = 0  # rows of it
    armed: float | None = -math.inf  # rises are looked for in windows that begin after it; None: not now
    told: float = -math.inf  # when a rise was told last
    low: float = -math.inf  # the bottom lies after it, unless with chance BELOW
    e_value: float = 0.0
    p_value: float = 1.0
    percent: bool = False
    quiet: str = ""  # why alarms are held back

    @property
    def kept(self) -> np.ndarray:
        """The last rows since the windows began anew, shape (n, 3): at least as many as the longest window has."""
        return self.buffer[: self.used]

    def restart(self, epoch: float) -> None:
        """Windows begin anew with the row of `epoch`."""
        self.count = self.used = 0
        self.armed = self.low = math.nextafter(epoch, -math.inf)

    def feed(self, epoch: float, row: Mapping[str, float]) -> list[Finding]:
        """Take the row of `epoch` if it has all that is needed; the finding that it makes, if it makes one."""
        values = [row.get(key, math.nan) for key in self.needs]
        if not all(abs(v) < LARGEST for v in values) or (self.used and self.kept[-1, 0] == epoch):
            return []
        self.total, self.count = self.total + 1, self.count + 1
        if self.used == len(self.buffer):
            self.buffer[:SPAN] = self.buffer[-SPAN:]
            self.used = SPAN
        self.buffer[self.used] = epoch, *values
        self.used += 1
        self.percent = self.percent or (self.needs[1] == "val_accuracy" and values[1] > 1.5)
        if self.sisters.reason:
            return []
        new: list[Finding] = []
        for size, blocks in due(self.count):
            window = self.kept[-size * blocks :]
            budget = weight(self.total, size)
            assert isinstance(budget, float)
            noise, bound = self.sisters.among(window[:, 0]), self.sisters.bound
            if float(window_p(-window[:, 1], size, blocks, bound, noise, CURVED, budget)) <= BELOW * budget:
                self.low = max(self.low, float(window[0, 0]))
                if self.armed is None and window[0, 0] >= self.told:
                    self.armed = float(window[0, 0])
            p = float(window_p(window[:, 1], size, blocks, bound, noise, ceiling=budget))
            if self.phenomenon == Phenomenon.LOSS_ACCURACY_DIVERGENCE and p <= self.alpha * budget:
                spare = MARGIN * (100 if self.percent else 1) * np.linspace(0, 1, len(window))
                p = max(p, float(window_p(window[:, 2] + spare, size, blocks, bound)))
            self.p_value = min(self.p_value, p / budget)
            if p <= self.alpha * budget:
                self.e_value += 1 / self.alpha
                if not new and self.armed is not None and window[0, 0] > self.armed:
                    new = self._finding(window)
        return new

    def verdict(self, known: Iterable[str]) -> Verdict:
        """What can be said where nothing was found."""
        missing = [key for key in self.needs if key not in set(known)]
        if missing:
            return undetermined(self.phenomenon, f"{' and '.join(missing)} not logged")
        if self.sisters.reason:
            return undetermined(self.phenomenon, self.sisters.reason)
        if self.total < SHORTEST:
            return undetermined(self.phenomenon, f"{self.total} evaluations; the first look is at {SHORTEST}")
        if reason := self._outside():
            return undetermined(self.phenomenon, reason)
        return absent(self.phenomenon, self.quiet or "no rise of val_loss that chance would not explain, so far")

    def _outside(self) -> str:
        """Why the noise of the last values is not that of the promise, as far as they tell.

        What a cubic leaves of them has an autocorrelation over a standard error above the bound, and so, within a
        quarter, have their second differences, which do not take a curve for memory.
        """
        values = self.kept[-min(RECENT, self.used // 2) :, 1]  # the first descent looks like memory
        n, bound = len(values), self.sisters.bound
        if n < SHORTEST:
            return ""
        q, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, n), 4))
        rest = values - values.mean()
        rest = rest - q @ (q.T @ rest)
        rho = float(rest[1:] @ rest[:-1] / max(rest @ rest, 1e-300))
        rho += (1 + 4 * rho) / n  # its bias
        if rho <= bound + math.sqrt((1 - bound**2) / n) or float(estimate(values)[0].rho) <= MEMORY * bound:
            return ""
        return f"the noise remembers for longer (autocorrelation around {rho:.2f}) than the bound of {bound:.2g} on it"

    def _finding(self, window: np.ndarray) -> list[Finding]:
        """The rise of which `window`, shape (n, 3), is a part; none where it is too small, shared, or out of bounds."""
        kept = self.kept
        high = float(window[-2, 0])
        inside = (kept[:, 0] >= max(self.low, self.armed or -math.inf)) & (kept[:, 0] <= high)
        stretch = kept[np.flatnonzero(inside)[0] :] if inside.any() else window
        at = min(unimodal_bottom(stretch[:, 1]), max(int(inside.sum()) - 1, 0))
        onset = float(stretch[at, 0])
        around = stretch[max(at - LEVEL // 2, 0) : at + LEVEL // 2 + 1]
        bottom, top = float(around[:, 1].mean()), float(stretch[-LEVEL:, 1].mean())
        if top - bottom < self.smallest * abs(bottom):
            return []
        before, after = float(around[:, 2].mean()), float(stretch[-LEVEL:, 2].mean())
        if self.phenomenon == Phenomenon.OVERFITTING and self._shared(window):
            self.quiet = "val_loss rises, but train_loss rises with it"
            return []
        if reason := self._outside():
            self.quiet = reason
            return []
        self.armed, self.told = None, float(kept[-1, 0])
        low = min(max(self.low, float(kept[0, 0])), onset)
        told = Finding(
            phenomenon=self.phenomenon,
            onset=onset,
            onset_interval=(low, max(high, onset)),
            level=max(1 - self.alpha - BELOW, 0.5),
            known_at=float(stretch[-1, 0]),
            p_value=min(self.p_value, 1.0),
            effect={"rise": top - bottom, "relative": (top - bottom) / max(abs(bottom), 1e-300)},
            evidence={
                "e_value": self.e_value,
                "window_from": float(window[0, 0]),
                "window_to": float(window[-1, 0]),
                "autocorrelation_bound": self.sisters.bound,
                "val_loss_at_onset": bottom,
                "val_loss_now": top,
                f"{self.needs[1]}_at_onset": before,
                f"{self.needs[1]}_now": after,
            },
            explanation=(
                f"val_loss was lowest around epoch {onset:.10g} ({bottom:.4g}) and has climbed to {top:.4g}, while "
                f"{self.needs[1]} went from {before:.4g} to {after:.4g}."
            ),
            advice=f"Keep the checkpoint from around epoch {onset:.10g}; a drop of the rate may still bring relief.",
        )
        if self.phenomenon == Phenomenon.OVERFITTING:
            return [told]
        rose = after - before > MARGIN * (100 if self.percent else 1)
        advice = "Choose the checkpoint by the metric that matters: the wrong answers get surer, not more."
        return [replace(told, kind="accuracy_rising" if rose else "accuracy_flat", advice=advice)]

    def _shared(self, window: np.ndarray) -> bool:
        """Whether training loss rises in the window as well: plainly, or half as much."""
        third = len(window) // 3
        (loss, train), scale = (
            (float(window[-third:, k].mean() - window[:third, k].mean()) for k in (1, 2)),
            abs(float(window[:third, 2].mean())),
        )
        if train <= self.smallest * scale:
            return False
        size = len(window) // 12
        return train > loss / 2 or float(window_p(window[-12 * size :, 2], size, 12, self.sisters.bound)) < BELOW


@dataclass
class SisterNoise:
    """What sister runs tell of the noise: a bound on its autocorrelation, and series of it without the curve."""

    bound: float
    reason: str = ""  # why nothing can be said
    epochs: np.ndarray = field(default_factory=lambda: np.empty(0))
    noise: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))  # shape (sisters - 1, epochs)

    @classmethod
    def of(cls, runs: Sequence[Run], series: str, bound: float | None) -> SisterNoise:
        """The noise of `series` in these runs, by contrasts between them: what they share is gone."""
        if not runs:
            return cls(BOUND if bound is None else bound)
        logged = [run.observed(series) for run in runs if series in run]
        if len(logged) < 2:
            return cls(bound or 0.0, f"sisters: {len(logged)} of {len(runs)} log {series}; two are needed")
        epochs = logged[0][0]
        for other, _ in logged[1:]:
            epochs = np.intersect1d(epochs, other)
        if len(epochs) < SHORTEST:
            return cls(bound or 0.0, f"sisters: {len(epochs)} epochs in common; {SHORTEST} are needed")
        values = np.stack([v[np.searchsorted(e, epochs)] for e, v in logged])
        noise = between(values)
        if bound is None:
            bound = float(memory(noise))
            if bound > MOST:
                return cls(MOST, f"sisters: they differ for longer than noise does (autocorrelation up to {bound:.2f})")
        return cls(bound, "", epochs, noise)

    def among(self, epochs: np.ndarray) -> np.ndarray | None:
        """The sisters' noise at these epochs, shape (sisters - 1, n); None where they have not all of them."""
        if not len(self.epochs):
            return None
        at = np.minimum(np.searchsorted(self.epochs, epochs), len(self.epochs) - 1)
        return self.noise[:, at] if (self.epochs[at] == epochs).all() else None
