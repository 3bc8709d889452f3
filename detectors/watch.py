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
`detectors.anytime`. A run whose noise remembers for longer is `undetermined`, and raises no alarm, once it is long
enough to tell: of flat runs with autocorrelation 0.95 many alarm before that (`experiments/online.py`). That
training loss does not rise as well is a rule and no part of the promise, as in `detectors.overfitting`.

What is told as soon as it is certain is told with the p-value that it takes, not with a smaller one for a stronger
rise; and its interval is long: what bounds it from below is a fall that is as sure.

A finding is never taken back. Another rise is looked for after a drop of the logged rate, at which the windows begin
anew, or after a fall that is as sure. What is kept are the last 1,360 evaluations for each of the two tests, and an
update costs at most 22 windows of each, however long the run is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.anytime import MOST
from detectors.claims import Claim, Coverage, FalseAlarms, Monotone, Online, standard
from detectors.live import scalar
from detectors.readers import cells, names
from detectors.rising_online import BELOW, RISES, RisesOnline, SisterNoise
from detectors.segments import AROUND, drop_positions
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

__all__ = ["WATCHED", "Replay", "Watch"]

NANS = 3  # training losses in a row that are NaN, from which the training is over
UNWATCHED = {
    Phenomenon.GENERALIZATION_GAP: "it is a statement about the end of the run",
    Phenomenon.UNDERFITTING: "it is a statement about the end of the run",
    Phenomenon.PLATEAU: "it depends on what is still to come",
    Phenomenon.DOUBLE_DESCENT: "it depends on what follows",
    Phenomenon.DELAYED_GENERALIZATION: "it depends on what follows",
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
                noise = SisterNoise.of(sisters, needs[0], autocorrelation)
                self._rises[phenomenon] = RisesOnline(phenomenon, needs, alpha, smallest, noise)

    def update(self, epoch: object, /, **values: object) -> list[Finding]:
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
