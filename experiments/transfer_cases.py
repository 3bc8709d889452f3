"""Runs with what is known of one phenomenon in them: real ones by the labels of eyes, simulated ones by the truth.

Both are counted alike. A finding is right if it lies within the exam's tolerance of an event; an eye is trusted to 5
epochs, so that much is the band of its onsets, twice as much where it was not sure. What nobody labelled, or called
unclear or an artefact, is not scored, nor are grey events of the truth. Of `train_above_val` only the stretch that a
run begins with is labelled, so nothing else of it is counted on either side.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_logs import MIXUP_OFF, UNSCHEDULED, WITHIN, judging, labels_of
from transfer_rank import COUNTS

from detectors import read
from detectors.vocabulary import Detector, Event, Phenomenon, Run
from sim.labelled import LabelledRun
from sim.scores import match, tolerance

__all__ = ["Case", "of_logs", "of_simulated", "tally"]

RISE = re.compile(r"(\d+)-(\d+) val_loss \S+ val_acc (\S+)")
INVERTED = 3  # epochs in a row, by the definition of train_above_val


@dataclass(frozen=True, eq=False)
class Case:
    """A run, the repository it is from (or its own name), its true events, and those that count neither way."""

    run: Run
    group: str
    events: tuple[Event, ...]
    grey: tuple[Event, ...] = ()

    @property
    def within(self) -> float:
        """How far, in epochs, a finding may lie from the band of an event."""
        return tolerance(len(self.run.epochs)) * float(np.median(np.diff(self.run.epochs)))

    def hiding(self, names: Sequence[str]) -> Case:
        """The same run without these series."""
        hidden = [name for name in names if name in self.run]
        return Case(self.run.without(*hidden), self.group, self.events, self.grey) if hidden else self


def of_logs(folder: Path, phenomenon: str) -> list[Case]:
    """The real logs that are labelled for this phenomenon; those to which recipes were fitted are left out."""
    out = []
    for row in judging(labels_of(folder)):
        run = read(folder / "curves" / f"{row['name']}.csv")[0]
        missing = [key for key in run.series if not np.isfinite(run[key]).any()]
        run = run.without(*missing) if missing else run
        events = _labelled(row, phenomenon, run)
        if events is not None:
            out.append(Case(run, row["repo"], *events))
    return out


def _labelled(row: dict[str, str], phenomenon: str, run: Run) -> tuple[tuple[Event, ...], tuple[Event, ...]] | None:
    """(events, grey events) as the labels have them; None where the run is not scored."""
    slack = WITHIN if row["eye_confidence"] == "high" else 2 * WITHIN

    def at(onset: float, slack: float = 0.0, last: float | None = None, end: float | None = None) -> Event:
        first, final = run.epochs[0], run.epochs[-1]
        band = (max(onset - slack, first), min((onset if last is None else last) + slack, final))
        return Event(phenomenon=phenomenon, onset=float(np.clip(onset, *band)), band=band, end=end)

    if phenomenon in (Phenomenon.OVERFITTING, Phenomenon.LOSS_ACCURACY_DIVERGENCE):
        said = row["eye_overfit" if phenomenon == Phenomenon.OVERFITTING else "eye_divergence"]
        if said not in ("yes", "no"):
            return None
        rises = RISE.findall(row["eye_val_loss_rises"]) if said == "yes" else []
        if phenomenon == Phenomenon.LOSS_ACCURACY_DIVERGENCE:
            rises = [rise for rise in rises if rise[2] in ("up", "flat")]
        return tuple(at(float(onset), slack, end=float(end)) for onset, end, _ in rises), ()
    if phenomenon == Phenomenon.LR_DROP:
        if UNSCHEDULED.match(row["name"]):
            return None
        cliffs = MIXUP_OFF if "mixup" in row["name"] else ()
        drops = [float(epoch) for epoch in row["lr_drop_epochs"].split(";") if epoch]
        return tuple(map(at, drops)), tuple(at(float(c)) for c in cliffs if c <= run.epochs[-1])
    if "val_loss" not in run:
        return None
    if phenomenon == Phenomenon.TRAIN_ABOVE_VAL:
        until = row["eye_inversion_until"]
        if not until.isdigit():
            return None
        return ((at(float(run.epochs[0]), end=float(until)),) if int(until) >= INVERTED else ()), ()
    if phenomenon == Phenomenon.SPIKE:
        epochs = [int(e) for e in row["eye_spike_epochs"].split(";") if e]
        spans = np.split(np.array(epochs), np.flatnonzero(np.diff(epochs) > 1) + 1) if epochs else []
        return tuple(at(float(s[0]), 0.0, float(s[-1])) for s in spans), ()
    if phenomenon == Phenomenon.BLOW_UP:
        return None if row["nan_epochs"] else ((), ())
    return None


def of_simulated(labelled: LabelledRun, phenomenon: str) -> Case:
    """A simulated run with the truth of this phenomenon."""
    case = Case(
        labelled.run,
        labelled.run.name,
        labelled.of(phenomenon),
        tuple(e for e in labelled.of(phenomenon, grey=True) if not e.material),
    )
    if phenomenon != Phenomenon.TRAIN_ABOVE_VAL:
        return case
    events, grey = (tuple(e for e in some if _begins(case, e)) for some in (case.events, case.grey))
    return Case(case.run, case.group, events, grey)


def _begins(case: Case, event: Event) -> bool:
    return event.distance_to_band(float(case.run.epochs[0])) <= case.within


def tally(detector: Detector, cases: Sequence[Case], phenomenon: str) -> tuple[np.ndarray, int]:
    """What a detector did to each case, shape (cases, COUNTS), and on how many it raised (then it has said nothing).

    Each is shown a copy, since a sabotaged one may write to it, and what it prints is lost.
    """
    out, errors = np.zeros((len(cases), len(COUNTS)), int), 0
    for row, case in zip(out, cases, strict=True):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                claims = list(detector.detect(copy.deepcopy(case.run)).findings)
        except Exception:  # whatever it was: a rule of others, or one sabotaged so that it does
            claims, errors = [], errors + 1
        if phenomenon == Phenomenon.TRAIN_ABOVE_VAL:
            claims = [f for f in claims if f.onset <= case.run.epochs[0] + case.within]
        pairs = match(case.events, claims, case.within)
        matched = {j for _, j in pairs}
        rest = [f for j, f in enumerate(claims) if j not in matched]
        excused = len(match(case.grey, rest, case.within))
        said = bool(len(claims) - excused)
        yes, no = bool(case.events), not case.events and not case.grey
        row[:] = (len(case.events), len(claims) - excused, len(pairs), yes, yes and said, no, no and said)
    return out, errors
