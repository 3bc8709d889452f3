"""Detectors that break one property each and behave otherwise: the exam is examined with them.

Each is `Overfitting`, honest, with one thing done to it, and stands in SABOTAGES under the check that is meant for it;
a test holds that this check catches it, that no check is without one, and that the HONEST ones pass everything. What
else fails is in the table that `experiments/sabotage.py` writes. Look at one: `curvesense validate
sim.exam.sabotage:Late`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from detectors.catalogue import CATALOGUE
from detectors.claims import (
    STANDARD,
    Claim,
    EpochFree,
    FalseAlarms,
    Nested,
    Online,
    PValues,
    RecoversWorst,
    Robust,
    UnitFree,
)
from detectors.overfitting import Overfitting
from detectors.segments import drop_positions
from detectors.vocabulary import Detector, Finding, Phenomenon, Run, Verdict, absent, found

__all__ = ["HONEST", "SABOTAGES", "Checkpoints"]


@dataclass(frozen=True, kw_only=True)
class Honest:
    """`Overfitting` with its own promises; the sabotaged ones change what it says, or what it sees."""

    alpha: float = 0.05
    phenomenon: ClassVar[str] = Phenomenon.OVERFITTING
    needs: ClassVar[tuple[str, ...]] = Overfitting.needs
    claims: ClassVar[tuple[Claim, ...]] = Overfitting.claims

    def honest(self, run: Run) -> Verdict:
        return Overfitting(alpha=self.alpha).detect(run)

    def detect(self, run: Run) -> Verdict:
        """What `Overfitting` says, each finding changed."""
        verdict = self.honest(run)
        return _with(verdict, [g for f in verdict for g in self.changed(run, f)])

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f]


def _with(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """The verdict with other findings; absent where none is left."""
    if verdict.status != "found":
        return verdict
    return found(verdict.phenomenon, findings) if findings else absent(verdict.phenomenon)


def _at(f: Finding, onset: float, run: Run) -> Finding:
    """The finding moved to an onset, kept within the run and its end."""
    onset = float(np.clip(onset, run.epochs[0], run.epochs[-1]))
    shift = onset - f.onset
    lo, hi = (float(np.clip(e + shift, run.epochs[0], run.epochs[-1])) for e in f.onset_interval)
    end = None if f.end is None else max(f.end, onset)
    return replace(f, onset=onset, onset_interval=(min(lo, onset), max(hi, onset)), end=end)


def _somewhere(run: Run, share: float, phenomenon: str = Phenomenon.OVERFITTING) -> Finding:
    """A finding out of nowhere."""
    epoch = float(run.epochs[int(share * (len(run) - 1))])
    last = float(run.epochs[-1])
    return Finding(
        phenomenon=phenomenon, onset=epoch, onset_interval=(epoch, epoch), level=0.9, known_at=last, p_value=0.001
    )


# the protocol


class InPositions(Honest):
    """Answers in positions from 0, whatever the axis."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        def at(epoch: float) -> float:
            return float(np.searchsorted(run.epochs, epoch))

        lo, hi = f.onset_interval
        end = None if f.end is None else at(f.end)
        return [replace(f, onset=at(f.onset), onset_interval=(at(lo), at(hi)), end=end, known_at=at(f.known_at))]


class Overwrites(Honest):
    """Smooths the run that it was given in place, for the next one to read."""

    def detect(self, run: Run) -> Verdict:
        verdict = self.honest(run)
        if "val_loss" in run.series:
            values = run.series["val_loss"]
            values.setflags(write=True)
            values[1:] = (values[1:] + values[:-1]) / 2
            values.setflags(write=False)
        return verdict


@dataclass(frozen=True, kw_only=True)
class Tosses(Honest):
    """Adds a bootstrap's jitter to its p-value, from a generator that goes on from call to call."""

    generator: Any = field(default_factory=lambda: np.random.default_rng(0), compare=False, repr=False)

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        assert f.p_value is not None
        return [replace(f, p_value=min(1.0, f.p_value * (1 + 0.01 * self.generator.random())))]


@dataclass(frozen=True, kw_only=True)
class Remembers(Honest):
    """Holds a run against the best validation loss that it saw in the run before."""

    last: list[float] = field(default_factory=list, compare=False, repr=False)

    def detect(self, run: Run) -> Verdict:
        verdict = self.honest(run)
        before = self.last[-1] if self.last else -np.inf
        if "val_loss" in run:
            self.last[:] = [float(run.observed("val_loss")[1][-1])]
            if self.last[0] < before:
                return absent(self.phenomenon, "better than the run before")
        else:
            self.last[:] = [np.inf]
        return verdict


class Neighbours(Honest):
    """In a batch it answers only for the most striking run."""

    def detect_many(self, runs: Sequence[Run]) -> list[Verdict]:
        verdicts = [self.detect(run) for run in runs]
        heights = [max((f.effect["prominence"] for f in v), default=0.0) for v in verdicts]
        return [v if h >= max(heights) else absent(self.phenomenon) for v, h in zip(verdicts, heights, strict=True)]


class Talks(Honest):
    """Says on standard output how it is getting on."""

    def detect(self, run: Run) -> Verdict:
        print(f"looking at {run.name} ...")
        return self.honest(run)


class Seeds(Honest):
    """Seeds NumPy's global generator, to be reproducible."""

    def detect(self, run: Run) -> Verdict:
        np.random.seed(0)
        return self.honest(run)


class ReadsNames(Honest):
    """Knows simulated runs by their source, and is silent about any other."""

    def detect(self, run: Run) -> Verdict:
        return self.honest(run) if run.source == "composed" else absent(self.phenomenon)


class FirstColumn(Honest):
    """Takes the first column of the log for the training loss."""

    def detect(self, run: Run) -> Verdict:
        first = next(iter(run.series), "")
        return self.honest(run.with_series(train_loss=run[first]) if first and "train_loss" in run else run)


# bad input


class NeedsRows(Honest):
    """Looks at the tenth value, whether there is one or not."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run.series:
            run["val_loss"][9]
        return self.honest(run)


class FlatIsNews(Honest):
    """Takes no noise for infinite evidence."""

    def detect(self, run: Run) -> Verdict:
        flat = "val_loss" in run and len(run) > 3 and float(np.ptp(run.observed("val_loss")[1])) == 0
        return found(self.phenomenon, [_somewhere(run, 0.0)]) if flat else self.honest(run)


class Insists(Honest):
    """Raises where a loss is infinite."""

    def detect(self, run: Run) -> Verdict:
        for key in run.series:
            if np.isinf(run[key]).any():
                raise ValueError(f"{key} must be finite")
        return self.honest(run)


class Guesses(Honest):
    """Without a training loss it assumes that training went well."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run and "train_loss" not in run:
            return self.honest(run.with_series(train_loss=-np.arange(float(len(run)))))
        return self.honest(run)


class EvenOnly(Honest):
    """Raises where epochs are missing."""

    def detect(self, run: Run) -> Verdict:
        if len(run) > 1 and not np.allclose(np.diff(run.epochs), run.epochs[1] - run.epochs[0]):
            raise ValueError("the epochs are not evenly spaced")
        return self.honest(run)


class AlarmsOnNaN(Honest):
    """Its comparison is written the way that NaN makes true."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run.series and len(run) > 3 and 0.1 < float(np.isnan(run["val_loss"]).mean()) < 0.4:
            return found(self.phenomenon, [_somewhere(run, 0.5)])
        return self.honest(run)


# what must not matter, and what must


class InNats(Honest):
    """A rise counts from 0.05 nats."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if f.effect["prominence"] > 0.05 else []


class AxisAsFeature(Honest):
    """Knows that nothing overfits before epoch 60."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if f.onset >= 60 else []


class SpansInEpochs(Honest):
    """Knows that no rise lasts longer than 400 epochs."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if run.epochs[-1] - run.epochs[0] <= 400 else []


class CountsRows(Honest):
    """Corrects its p-value for the rows of the log, filled or not."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        assert f.p_value is not None
        filled = len(run.observed("val_loss")[0])
        return [replace(f, p_value=min(1.0, f.p_value * len(run) / filled))]


class DropsTheLast(Honest):
    """Forgets the last row, as slices do."""

    def detect(self, run: Run) -> Verdict:
        return self.honest(run.until(float(run.epochs[-2]))) if len(run) > 1 else self.honest(run)


class AWayBehind(Honest):
    """Answers about the run as it was one evaluation ago."""

    def detect(self, run: Run) -> Verdict:
        if run.missing(self.needs):
            return self.honest(run)
        epochs = run.observed(*self.needs)[0]
        return self.honest(run.until(float(epochs[-2]))) if len(epochs) > 1 else self.honest(run)


class Contrary(Honest):
    """Mistakes a large alpha for a small one."""

    def detect(self, run: Run) -> Verdict:
        return Overfitting(alpha=1e-6 if self.alpha > 0.1 else self.alpha).detect(run)


class JumpsAtJumps(Honest):
    """Takes the largest step for an event, should it be large enough."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run and len(run) > 20:
            epochs, val = run.observed("val_loss")
            steps = np.diff(val)
            if len(steps) > 20 and steps.max() > 12 * np.median(np.abs(steps)) > 0:
                at = int(np.argmax(steps))
                return found(self.phenomenon, [_somewhere(run, at / len(epochs))])
        return self.honest(run)


class CountsDigits(Honest):
    """Takes repeated values for a log that was not updated."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run and len(np.unique(run["val_loss"])) < 0.98 * len(run):
            return absent(self.phenomenon, "the log repeats itself")
        return self.honest(run)


class HalfWay(Honest):
    """Pulls each onset towards the middle of the run."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        middle = float(run.epochs[0] + run.epochs[-1]) / 2
        return [_at(f, f.onset + 0.6 * (middle - f.onset), run)]


class TooGood(Honest):
    """Takes a rise over 60 % for a bug in the logger."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if f.effect["relative"] < 0.6 else []


class Forgets(Honest):
    """Looks back over a third of the run."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if f.onset > run.epochs[-1] - (run.epochs[-1] - run.epochs[0]) / 3 else []


# recovery


class Mute(Honest):
    """Never finds anything."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return []


class BlindSpot(Honest):
    """Sees nothing that begins in the first third of a run."""

    claims: ClassVar[tuple[Claim, ...]] = (*STANDARD, RecoversWorst())

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [f] if f.onset > run.epochs[0] + (run.epochs[-1] - run.epochs[0]) / 3 else []


def _drops(run: Run) -> list[float]:
    return [float(run.epochs[d]) for d in drop_positions(run["learning_rate"])] if "learning_rate" in run else []


class BlindAfterADrop(Honest):
    """Is blind once the learning rate has dropped."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [] if any(d < f.onset + 10 for d in _drops(run)) else [f]


class BlindBeforeADrop(Honest):
    """Starts anew at each drop of the learning rate and forgets what was before."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [] if any(d > f.onset for d in _drops(run)) else [f]


class Late(Honest):
    """Five epochs late."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        spacing = float(np.median(np.diff(run.epochs)))
        return [_at(f, f.onset + 5 * spacing, run)]


class CountsFromTheFirst(Honest):
    """Takes rows for epochs: the onset is the first epoch plus so many rows."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        rows = int(np.searchsorted(run.epochs, f.onset))
        spacing = float(run.epochs[1] - run.epochs[0])
        return [_at(f, float(run.epochs[0]) + rows * spacing, run)]


class Adds(Honest):
    """Where it has found one event it sees another."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        share = 0.05 if f.onset > run.epochs[len(run) // 4] else 0.9
        return [f, replace(_somewhere(run, share), known_at=f.known_at)]


# silence


class Triple(Honest):
    """Alarms three times as often as it says."""

    def detect(self, run: Run) -> Verdict:
        return Overfitting(alpha=min(3 * self.alpha, 0.9)).detect(run)


class LoudInNoise(Honest):
    """Alarms where the noise is above 3 % of the loss, which none of the named families has."""

    def detect(self, run: Run) -> Verdict:
        if "val_loss" in run and len(run) > 20:
            val = run.observed("val_loss")[1]
            steps = np.abs(np.diff(val[len(val) // 2 :]))
            if len(steps) and np.median(steps) / 0.95 > 0.03 * abs(float(np.median(val))) > 0:
                return found(self.phenomenon, [_somewhere(run, 0.5)])
        return self.honest(run)


# what a finding says about itself


class HalfIntervals(Honest):
    """Its intervals are half as long as they should be."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        lo, hi = f.onset_interval
        return [replace(f, onset_interval=((lo + f.onset) / 2, (hi + f.onset) / 2))]


class WholeRun(Honest):
    """Its intervals hold the whole run, to be on the safe side."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [replace(f, onset_interval=(float(run.epochs[0]), float(run.epochs[-1])))]


class TenthOfP(Honest):
    """Its p-values are a tenth of what they should be."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        assert f.p_value is not None
        return [replace(f, p_value=f.p_value / 10)]


class Certain(Honest):
    """From some threshold on it is certain."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        assert f.p_value is not None
        return [replace(f, p_value=1e-9 if f.p_value < 0.2 else f.p_value)]


class Hindsight(Honest):
    """Says that it knew at the onset."""

    def changed(self, run: Run, f: Finding) -> Sequence[Finding]:
        return [replace(f, known_at=f.onset)]


class TakesBack(Honest):
    """Promises to be online and thinks anew about each prefix."""

    claims: ClassVar[tuple[Claim, ...]] = (*Overfitting.claims, Online())


@dataclass(frozen=True, kw_only=True)
class Checkpoints(Honest):
    """Honest online: looks when the run is 24, 60, 150, ... rows long, and what it says first stands.

    Look k is taken at alpha 6 / (pi k)^2, so that the chance of an alarm at any look is at most alpha (Bonferroni).
    """

    spend: bool = True
    pace: float = 2.5
    claims: ClassVar[tuple[Claim, ...]] = (
        FalseAlarms(),
        PValues(),
        UnitFree(),
        EpochFree(),
        Robust(),
        Nested(),
        Online(),
    )

    def detect(self, run: Run) -> Verdict:
        """The first finding at any checkpoint."""
        if run.missing(self.needs):
            return self.honest(run)
        epochs = run.observed(*self.needs)[0]
        rows, k = 24.0, 1
        while rows <= len(epochs):
            share = 6 / (np.pi * k) ** 2 if self.spend else 1.0
            verdict = Overfitting(alpha=self.alpha * share).detect(run.until(float(epochs[int(rows) - 1])))
            if verdict.findings:
                now = float(epochs[int(rows) - 1])
                first = verdict.findings[0]
                assert first.p_value is not None
                said = replace(first, end=None, known_at=now, p_value=min(1.0, first.p_value / share))
                return found(self.phenomenon, [said])
            rows, k = rows * self.pace, k + 1
        return absent(self.phenomenon)


@dataclass(frozen=True, kw_only=True)
class Peeks(Checkpoints):
    """Looks again and again, each time with the whole alpha."""

    spend: bool = False
    pace: float = 1.3


HONEST: dict[str, Callable[[], Detector]] = {**CATALOGUE, "checkpoints": Checkpoints}

#: For each check the detector that it is meant to catch.
SABOTAGES: dict[str, Callable[[], Detector]] = {
    "answers_on_the_axis_of_the_run": InPositions,
    "leaves_the_run_alone": Overwrites,
    "repeats_itself": Tosses,
    "remembers_no_other_run": Remembers,
    "answers_many_as_one_by_one": Neighbours,
    "prints_nothing": Talks,
    "leaves_the_world_alone": Seeds,
    "ignores_names": ReadsNames,
    "ignores_other_series": FirstColumn,
    "answers_about_short_runs": NeedsRows,
    "finds_nothing_in_constants": FlatIsNews,
    "answers_about_values_that_are_none": Insists,
    "says_which_series_is_missing": Guesses,
    "answers_on_uneven_epochs": EvenOnly,
    "stays_silent_with_holes": AlarmsOnNaN,
    "does_not_depend_on_the_unit_of_the_loss": InNats,
    "moves_with_the_axis": AxisAsFeature,
    "stretches_with_the_axis": SpansInEpochs,
    "ignores_empty_rows_between": CountsRows,
    "counts_the_last_row_and_no_empty_one": DropsTheLast,
    "reads_the_last_row": AWayBehind,
    "finds_no_more_with_a_smaller_alpha": Contrary,
    "one_outlier_is_no_event": JumpsAtJumps,
    "rounding_does_not_matter": CountsDigits,
    "moves_with_the_event": HalfWay,
    "is_surer_of_a_stronger_event": TooGood,
    "remembers_an_old_event": Forgets,
    "finds_what_was_injected": Mute,
    "finds_it_on_the_worst_spec": BlindSpot,
    "finds_it_after_a_drop": BlindAfterADrop,
    "finds_it_before_a_drop": BlindBeforeADrop,
    "puts_it_where_it_is": Late,
    "finds_it_on_uneven_epochs": CountsFromTheFirst,
    "adds_nothing_to_it": Adds,
    "stays_silent_on_null_families": Triple,
    "stays_silent_on_the_worst_null": LoudInNoise,
    "intervals_hold_the_onset": HalfIntervals,
    "intervals_say_something": WholeRun,
    "p_values_are_none_too_small": TenthOfP,
    "small_p_values_are_rare": Certain,
    "what_was_known_was_known": Hindsight,
    "takes_nothing_back": TakesBack,
    "stays_silent_at_every_look": Peeks,
}
