"""Watch a training under a promise: the chance that it ever raises a false alarm is at most alpha, however long it is.

>>> watch = Watch()
>>> watch.update(1, train_loss=2.3, val_loss=2.2)
[]

What can be watched so: `overfitting` (the expected validation loss never rises: `detectors.anytime`),
`loss_accuracy_divergence` (the same, and a like test that accuracy does not fall by a point in the same window: the
larger of the two p-values counts), `lr_drop` and `blow_up` (read off the log: nothing is left to chance). Both tests
hold at the whole alpha: where the loss never rises, a divergence is told only by a window in which a rise is.

What cannot: a `generalization_gap` or `underfitting` is a statement about the end of the run, a `plateau` one about
what is still to come, `double_descent` and `delayed_generalization` are told apart by what follows; `lr_drop_relief`,
`train_above_val`, `spike` and `oscillation` have no null here under which a false alarm is bounded for ever.

The domain: noise whose autocorrelation is at most the bound (0.8, or the caller's, or that of sister runs), see
`detectors.anytime`. A run whose noise plainly remembers for longer is `undetermined`, and raises no alarm. That
training loss does not rise as well is a rule and no part of the promise, as in `detectors.overfitting`.

What is told as soon as it is certain is told with the p-value that it takes, not with a smaller one for a stronger
rise; and its interval is long: what bounds it from below is a fall that is as sure.

A finding is never taken back. Another rise is looked for after a drop of the logged rate, at which the windows begin
anew, or after a fall that is as sure. What is kept are the last 1,360 evaluations for each of the two tests, and an
update costs at most 18 windows of each, however long the run is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from detectors.anytime import MOST, SHORTEST, SPAN, between, due, memory, weight, window_p
from detectors.claims import Claim, Coverage, FalseAlarms, Monotone, Online, standard
from detectors.live import scalar
from detectors.noise import FEWEST, autocorrelation
from detectors.readers import cells, names
from detectors.segments import AROUND, drop_positions
from detectors.shapes import unimodal_bottom
from detectors.vocabulary import (
    LARGEST,
    BadRun,
    Detector,
    Finding,
    Phenomenon,
    Run,
    Verdict,
    absent,
    found,
    undetermined,
)

__all__ = ["BOUND", "WATCHED", "Replay", "Watch"]

BOUND = 0.8  # on the autocorrelation, unless something else is known
BELOW = 0.05  # the chance that the interval begins after the bottom
MARGIN = 0.01  # accuracy that may be lost in a window of a divergence
NANS = 3  # training losses in a row that are NaN, from which the training is over
RECENT = 512  # values by which the memory of the noise is judged
LEVEL = 5  # values averaged for a level
CURVED = 4  # degree of the polynomial that a fall is taken to follow
UNWATCHED = {
    Phenomenon.GENERALIZATION_GAP: "it is a statement about the end of the run",
    Phenomenon.UNDERFITTING: "it is a statement about the end of the run",
    Phenomenon.PLATEAU: "it depends on what is still to come",
    Phenomenon.DOUBLE_DESCENT: "it depends on what follows",
    Phenomenon.DELAYED_GENERALIZATION: "it depends on what follows",
}
RISES = {
    Phenomenon.OVERFITTING: ("val_loss", "train_loss"),
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: ("val_loss", "val_accuracy"),
}
WATCHED = (*map(str, RISES), str(Phenomenon.LR_DROP), str(Phenomenon.BLOW_UP))


class Watch:
    """Take what is logged for each epoch, and give each finding once, as soon as it is certain enough.

    `detectors`: names of what to watch, or detectors of it; None is all of `WATCHED`. `alpha`: the chance of any false
    alarm, ever. `autocorrelation`: the bound on that of the noise; None is 0.8, or with `sisters` (finished runs of
    the same recipe, two or more) what they show. Sisters also tell how noisy the curve is: rises are seen earlier.
    `mapping` as in `read`. `smallest`: rises below this share of their bottom are not told.

    A value is a number or a scalar of NumPy, PyTorch or JAX, under any name that `read` knows; None is a value that is
    missing, and so is NaN, but for a training loss: three in a row are a `blow_up`. A value logged twice for one epoch
    counts once, and `notes` says so. ValueError for settings that cannot be, BadRun for an epoch that goes back.
    """

    def __init__(
        self,
        detectors: Sequence[str | Detector] | None = None,
        alpha: float = 0.05,
        *,
        autocorrelation: float | None = None,
        sisters: Sequence[Run] = (),
        mapping: Mapping[str, str] | None = None,
        smallest: float = 0.01,
    ) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha={alpha!r}: allowed is a number between 0 and 1")
        if autocorrelation is not None and not 0 <= autocorrelation <= MOST:
            raise ValueError(f"autocorrelation={autocorrelation!r}: allowed is a bound from 0 to {MOST}, or None")
        if not smallest >= 0:
            raise ValueError(f"smallest={smallest!r}: allowed is a share of 0 or more")
        self.watched = _asked(detectors)
        self.alpha, self.mapping = alpha, dict(mapping or {})
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.epoch: float | None = None
        self._row: dict[str, float] = {}
        self._known: set[str] = set()  # series that had a number at some time
        self._rates: list[tuple[float, float]] = []
        self._nans = 0
        self._rises = {}
        for phenomenon, needs in RISES.items():
            if phenomenon in self.watched:
                noise = _Sisters.of(sisters, needs[0], autocorrelation)
                self._rises[phenomenon] = _Rises(phenomenon, needs, alpha, smallest, noise)

    def update(self, /, epoch: object, **values: object) -> list[Finding]:
        """The findings that are new with the values logged for `epoch`."""
        now = scalar(epoch)
        if now is None or not math.isfinite(now):
            raise BadRun(f"an epoch is a number, not {epoch!r}")
        if self.epoch is not None and now < self.epoch:
            raise BadRun(
                f"epochs must not go back: {now:.10g} comes after {self.epoch:.10g}. A training that begins anew, or "
                "is resumed from an earlier epoch, is a run of its own: make a new Watch"
            )
        if now != self.epoch:
            self.epoch, self._row = now, {}
        fresh = self._take(values)
        new = [*self._blown_up(fresh), *self._dropped(fresh)]
        for rises in self._rises.values():
            if fresh.keys() & set(rises.needs):
                new += rises.feed(now, self._row)
        new = [f for f in new if f.phenomenon in self.watched]
        self.findings += new
        return new

    def replay(self, run: Run) -> Watch:
        """Take the rows of `run` in order, missing values left out; returns itself."""
        columns = {key: series.tolist() for key, series in run.series.items()}
        for i, epoch in enumerate(run.epochs.tolist()):
            self.update(epoch, **{key: values[i] for key, values in columns.items() if not math.isnan(values[i])})
        return self

    def __getitem__(self, phenomenon: str) -> Verdict:
        """What can be said of a phenomenon by now; KeyError for one that is not watched."""
        if phenomenon not in self.watched:
            raise KeyError(f"{phenomenon!r} is not watched; there are {', '.join(self.watched)}")
        mine = [f for f in self.findings if f.phenomenon == phenomenon]
        if mine:
            return found(phenomenon, mine)
        if phenomenon in self._rises:
            return self._rises[Phenomenon(phenomenon)].verdict(self._known)
        losses = ("train_loss", "val_loss")
        if phenomenon == Phenomenon.LR_DROP and "learning_rate" not in self._known:
            return undetermined(phenomenon, "learning_rate not logged")
        if phenomenon == Phenomenon.BLOW_UP and not self._known & set(losses):
            return undetermined(phenomenon, "neither train_loss nor val_loss is logged")
        return absent(phenomenon, "not so far")

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What can be said by now, of each phenomenon that is watched."""
        return tuple(self[phenomenon] for phenomenon in self.watched)

    def _take(self, values: Mapping[str, object]) -> dict[str, float]:
        """The series that these values are new for, in the row of the epoch from now on."""
        fresh: dict[str, tuple[tuple[int, ...], float]] = {}
        for name, value in values.items():
            series, rank, error = self._meaning(name)
            if series is None or value is None:
                continue
            number = scalar(value)
            if number is None:
                number = cells.number(value) if isinstance(value, str) else None
            if number is None or (series in fresh and fresh[series][0] <= rank):
                continue
            fresh[series] = rank, (100 - number if number > 1.5 else 1 - number) if error else number
        new = {}
        for series, (_, number) in fresh.items():
            if series in self._row:
                self._note(f"{series} came twice for epoch {self.epoch:.10g}: the first value counts")
                continue
            new[series] = number
            if not math.isnan(number):
                self._row[series] = number
                self._known.add(series)
        return new

    def _meaning(self, name: str) -> tuple[str | None, tuple[int, ...], bool]:
        for series, mine in self.mapping.items():
            if name == mine:
                return series, (), False
        meaning = names.lookup(name)
        if meaning is None or meaning.series in self.mapping:
            return None, (), False
        return meaning.series, meaning.rank, meaning.error

    def _note(self, text: str) -> None:
        if text.partition(" for epoch")[0] not in {note.partition(" for epoch")[0] for note in self.notes}:
            self.notes.append(text)

    def _blown_up(self, fresh: Mapping[str, float]) -> list[Finding]:
        """The first loss that is infinite, or the last of three training losses in a row that are no number."""
        if any(f.phenomenon == Phenomenon.BLOW_UP for f in self.findings) or self.epoch is None:
            return []
        if "train_loss" in fresh:
            self._nans = self._nans + 1 if math.isnan(fresh["train_loss"]) else 0
        infinite = [k for k in ("train_loss", "val_loss") if abs(fresh.get(k, 0.0)) >= LARGEST]
        if not infinite and self._nans < NANS:
            return []
        said = f"{infinite[0]} is infinite" if infinite else f"train_loss is no number, {NANS} times in a row"
        return [
            Finding(
                phenomenon=Phenomenon.BLOW_UP,
                onset=self.epoch,
                onset_interval=(self.epoch, self.epoch),
                level=1 - BELOW,
                known_at=self.epoch,
                kind="not_finite",
                explanation=f"{said} at epoch {self.epoch:.10g}: the training has blown up.",
                advice="Go on from an earlier checkpoint, with a smaller learning rate or clipped gradients.",
            )
        ]

    def _dropped(self, fresh: Mapping[str, float]) -> list[Finding]:
        """A drop of the logged rate, once the rates of the five epochs after it are known, as its definition asks."""
        rate = fresh.get("learning_rate", math.nan)
        if not 0 < rate < math.inf or self.epoch is None:
            return []
        self._rates = [*self._rates, (self.epoch, rate)][-2 * (AROUND + 1) :]
        epochs, rates = zip(*self._rates, strict=True)
        if len(rates) - 1 in drop_positions(np.array(rates)):  # sudden by what was before: windows begin anew
            for rises in self._rises.values():
                rises.restart(self.epoch)
        at = len(rates) - 1 - AROUND
        if at < 1 or at not in drop_positions(np.array(rates)):
            return []
        return [
            Finding(
                phenomenon=Phenomenon.LR_DROP,
                onset=epochs[at],
                onset_interval=(epochs[at], epochs[at]),
                level=1 - BELOW,
                known_at=self.epoch,
                kind="logged",
                effect={"factor": rates[at] / rates[at - 1]},
                evidence={"learning_rate_before": rates[at - 1], "learning_rate_after": rates[at]},
                explanation=(
                    f"the learning rate drops from {rates[at - 1]:.10g} to {rates[at]:.10g} at epoch "
                    f"{epochs[at]:.10g} (logged)."
                ),
            )
        ]


@dataclass
class _Rises:
    """One phenomenon that is a rise of the first of `needs`, on the rows that have all of them."""

    phenomenon: Phenomenon
    needs: tuple[str, str]
    alpha: float
    smallest: float
    sisters: _Sisters
    total: int = 0  # rows so far
    count: int = 0  # rows since the windows began anew
    kept: list[tuple[float, float, float]] = field(default_factory=list)  # epoch, loss, other; the last rows
    armed: float | None = -math.inf  # rises are looked for in windows that begin after it; None: not now
    told: float = -math.inf  # when a rise was told last
    low: float = -math.inf  # the bottom lies after it, unless with chance BELOW
    e_value: float = 0.0
    p_value: float = 1.0
    percent: bool = False
    quiet: str = ""  # why alarms are held back

    def restart(self, epoch: float) -> None:
        """Windows begin anew with the row of `epoch`."""
        self.count, self.kept = 0, []
        self.armed = self.low = math.nextafter(epoch, -math.inf)

    def feed(self, epoch: float, row: Mapping[str, float]) -> list[Finding]:
        """Take the row of `epoch` if it has all that is needed; the finding that it makes, if it makes one."""
        values = [row.get(key, math.nan) for key in self.needs]
        if not all(abs(v) < LARGEST for v in values) or (self.kept and self.kept[-1][0] == epoch):
            return []
        self.total, self.count = self.total + 1, self.count + 1
        self.kept.append((epoch, values[0], values[1]))
        if len(self.kept) > 2 * SPAN:
            del self.kept[:-SPAN]
        self.percent = self.percent or (self.needs[1] == "val_accuracy" and values[1] > 1.5)
        if self.sisters.reason:
            return []
        new: list[Finding] = []
        for size, blocks in due(self.count):
            window = np.array(self.kept[-size * blocks :])
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
        """Why the noise of the last values is plainly not that of the promise."""
        values = np.array([loss for _, loss, _ in self.kept[-RECENT:]])
        if len(values) < FEWEST:
            return ""
        rho = float(autocorrelation(values)[0])
        if rho - 2 / math.sqrt(len(values)) <= self.sisters.bound:
            return ""
        return (
            f"the noise remembers for longer (autocorrelation around {rho:.2f}) than the bound of "
            f"{self.sisters.bound:.2g} on it"
        )

    def _finding(self, window: np.ndarray) -> list[Finding]:
        """The rise of which `window`, shape (n, 3), is a part; none where it is too small, shared, or out of bounds."""
        kept = np.array(self.kept)
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
class _Sisters:
    """What sister runs tell of the noise: a bound on its autocorrelation, and series of it without the curve."""

    bound: float
    reason: str = ""  # why nothing can be said
    epochs: np.ndarray = field(default_factory=lambda: np.empty(0))
    noise: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))  # shape (sisters - 1, epochs)

    @classmethod
    def of(cls, runs: Sequence[Run], series: str, bound: float | None) -> _Sisters:
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


class Replay:
    """A watch of one phenomenon as a detector of finished runs: what it would have said while the run grew.

    So the exam can examine it, and `diagnose(run, detectors=[Replay("overfitting")])` can ask it.
    """

    needs: tuple[str, ...]
    claims: tuple[Claim, ...] = standard(
        FalseAlarms(growth=1.0, heavy_tails=True), Online(), without=(Coverage, Monotone)
    )

    def __init__(self, phenomenon: str = "overfitting", alpha: float = 0.05, **settings: Any) -> None:
        self.watch = Watch([phenomenon], alpha, **settings)  # ValueError where that cannot be
        self.phenomenon, self.alpha, self.settings = str(phenomenon), alpha, settings
        self.needs = tuple(sorted(RISES.get(Phenomenon(phenomenon), ())))

    def detect(self, run: Run) -> Verdict:
        """What a watch that saw the rows of `run` one by one says in the end."""
        return Watch([self.phenomenon], self.alpha, **self.settings).replay(run)[self.phenomenon]


def _asked(detectors: Sequence[str | Detector] | None) -> tuple[str, ...]:
    if isinstance(detectors, str):
        detectors = [detectors]
    asked = WATCHED if detectors is None else [str(d if isinstance(d, str) else d.phenomenon) for d in detectors]
    for name in asked:
        if name not in WATCHED:
            why = UNWATCHED.get(name, "there is no bound on its false alarms")  # type: ignore[call-overload]
            raise ValueError(f"{name!r} cannot be watched under a promise: {why}. Watched are {', '.join(WATCHED)}")
    return tuple(dict.fromkeys(asked))
