"""The verdicts about a run put together into one reading: what to keep, what explains what, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from detectors import display
from detectors.catalogue import built_in
from detectors.condense import condensed, on_rows_of
from detectors.noise import FEWEST, ahead, despike, moving_average, noise_of
from detectors.together import asked, offered, stacked
from detectors.vocabulary import Detector, Finding, Phenomenon, Run, Verdict

__all__ = ["Diagnosis", "Reading", "diagnose", "diagnose_many"]

SMOOTH = 5  # evaluations averaged to choose the epoch to keep
LATE = 0.1  # of the run: from so much after the epoch to keep it is asked what it was good for
_EVENTS = (
    *(Phenomenon.PLATEAU, Phenomenon.OSCILLATION, Phenomenon.SPIKE, Phenomenon.UNDERFITTING),
    *(Phenomenon.DOUBLE_DESCENT, Phenomenon.DELAYED_GENERALIZATION),
)
#: What is worth a word in a reading only where it is there; its verdict says so all the same.
_SELDOM = (*_EVENTS[:3], Phenomenon.BLOW_UP, Phenomenon.DELAYED_GENERALIZATION)
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")  # said once, however many findings say it


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a person should take away: a paragraph, the epoch to keep (None without a validation loss), and advice.

    `keep_loss` is the validation loss there, smoothed as it was to choose the epoch.
    """

    text: str
    keep_epoch: float | None
    advice: tuple[str, ...]
    keep_loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A run with the verdict of each detector and one reading of them all."""

    run: Run
    verdicts: tuple[Verdict, ...]
    reading: Reading

    def __getitem__(self, phenomenon: str) -> Verdict:
        """The verdict about one phenomenon."""
        for verdict in self.verdicts:
            if verdict.phenomenon == phenomenon:
                return verdict
        raise KeyError(f"no verdict about {phenomenon!r}; there are {[str(v.phenomenon) for v in self.verdicts]}")

    def __repr__(self) -> str:
        said = ", ".join(f"{v.phenomenon} {v.status}" for v in self.verdicts)
        return f"Diagnosis({self.run!r}: {said})"

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def plot(self) -> Any:
        """Draw it by matplotlib; returns the axes of its panels, labelled loss, accuracy (where logged) and timeline.

        ImportError names the extra where matplotlib is missing.
        """
        return display.plot(self)

    @property
    def findings(self) -> list[Finding]:
        """All findings, in order of onset."""
        return sorted((f for v in self.verdicts for f in v), key=lambda f: f.onset)


def diagnose(run: Run, alpha: float = 0.05, detectors: Sequence[Detector] | None = None) -> Diagnosis:
    """Ask every detector about `run`; `alpha` is the chance of any false alarm, split over the built-in detectors.

    Detectors given by the caller are used as they are, with the alpha of their own. A run of more than 8,192 rows is
    averaged in blocks first (`detectors.condense`).
    """
    short = condensed(run)
    asked = built_in(alpha) if detectors is None else detectors
    verdicts = tuple(on_rows_of(run, short, d.detect(short)) for d in asked)
    return Diagnosis(run=replace(run, notes=short.notes), verdicts=verdicts, reading=_reading(short, verdicts))


def diagnose_many(
    runs: Iterable[Run], alpha: float = 0.05, detectors: Sequence[Detector] | None = None
) -> Iterator[Diagnosis]:
    """`diagnose` each of many runs, in order: those with the same series and rows take about a third of the time.

    Some hundred runs are held at a time.
    """
    detectors = built_in(alpha) if detectors is None else detectors
    return asked(runs, [*offered(detectors), _ahead], partial(diagnose, alpha=alpha, detectors=detectors))


def _ahead(runs: Sequence[Run]) -> None:
    """Measure what the readings of many runs ask for."""
    for _, (val,) in stacked(runs, "val_loss"):
        n = val.shape[-1]
        if n >= FEWEST:
            ahead(val)
        if n >= 4 * SMOOTH:
            ahead(val[:, -4 * _end(n) :])


def _end(n: int) -> int:
    """Evaluations of the end of a run of n, that is held against as many before it."""
    return max(SMOOTH, round(LATE * n))


def _reading(run: Run, verdicts: tuple[Verdict, ...]) -> Reading:
    """In order of what matters: did it break, what to keep, was the rest worth it, the drops, what explains what."""
    by = {str(v.phenomenon): v for v in verdicts}

    def findings(phenomenon: Phenomenon) -> tuple[Finding, ...]:
        return by[phenomenon].findings if phenomenon in by else ()

    keep = _keep(run)
    over, relief = findings(Phenomenon.OVERFITTING), findings(Phenomenon.LR_DROP_RELIEF)
    divergent, plateaus = findings(Phenomenon.LOSS_ACCURACY_DIVERGENCE), findings(Phenomenon.PLATEAU)
    broken, second = findings(Phenomenon.BLOW_UP), findings(Phenomenon.DOUBLE_DESCENT)
    says = [_sentence(f.explanation) for f in broken]
    late: list[str] = []
    if keep is not None:
        behind = f"; the end is {keep.last / keep.level - 1:.1%} higher" if keep.last > keep.level * 1.005 > 0 else ""
        says.append(f"Validation loss is lowest around epoch {keep.epoch:.10g} ({keep.level:.4g}{behind}).")
        late = _late(run, keep, bool(over or divergent or broken))
        says += late
    for f in findings(Phenomenon.TRAIN_ABOVE_VAL):
        says.append(_sentence(f.explanation))
    shared = {d.onset for d in divergent}
    for f in sorted((*over, *relief), key=lambda f: f.onset):
        if f.phenomenon == Phenomenon.OVERFITTING and f.onset in shared:
            continue  # said below, with what accuracy did
        says.append(_sentence(f.explanation))
        if f.phenomenon == Phenomenon.LR_DROP_RELIEF:
            if any(o.onset < f.onset for o in over):
                says.append("That does not contradict the overfitting before it.")
            says += _earlier(f, over, plateaus)
    says += _idle_drops(findings(Phenomenon.LR_DROP), by.get(Phenomenon.LR_DROP_RELIEF))
    says += [_sentence(f.explanation) for f in divergent]
    gap = findings(Phenomenon.GENERALIZATION_GAP)
    if gap and not over and not divergent:
        says.append(_sentence(gap[0].explanation))
    rest = [f for p in _EVENTS for f in findings(p)]
    says += [_sentence(f.explanation) for f in rest]
    cleared = Phenomenon.OVERFITTING in by and by[Phenomenon.OVERFITTING].status == "absent"
    if cleared and keep is not None and not (relief or divergent or broken or late):
        says.append("Nothing in the curves says that it was trained for too long.")
    missing = [v for v in verdicts if v.status == "undetermined" and v.phenomenon not in _SELDOM]
    for reason in dict.fromkeys(v.reason for v in missing):
        about = ", ".join(str(v.phenomenon).replace("_", " ") for v in missing if v.reason == reason)
        says.append(f"Cannot tell about {about}: {reason}.")
    others = [f for v in verdicts if v.phenomenon not in set(Phenomenon) for f in v]
    says += [_sentence(f.explanation) for f in others if f.explanation]
    advice = [] if keep is None else [f"Keep the checkpoint from around epoch {keep.epoch:.10g}."]
    groups = [divergent, over, relief, findings(Phenomenon.TRAIN_ABOVE_VAL), gap, *(findings(p) for p in _EVENTS)]
    if second and over and second[-1].onset == over[-1].onset:
        groups.remove(over)  # "stop there" is no advice for a rise that more training undid
    for group in (broken, *groups, *((f,) for f in others)):
        advice += [f.advice for f in group[-1:] if f.advice]  # one for each phenomenon: the last word
    text = " ".join(dict.fromkeys(sentence for part in says for sentence in _SENTENCE.split(part)))
    at, level = (None, None) if keep is None else (keep.epoch, keep.level)
    return Reading(text=text, keep_epoch=at, advice=tuple(dict.fromkeys(advice)), keep_loss=level)


@dataclass(frozen=True)
class _Keep:
    """The epoch of the lowest smoothed validation loss, the level there and at the end, the error of a difference."""

    epoch: float
    level: float
    last: float
    error: float


def _keep(run: Run) -> _Keep | None:
    """What to keep; None without a validation loss."""
    if "val_loss" not in run:
        return None
    epochs, val = run.observed("val_loss")
    m = min(SMOOTH, len(val))
    smooth = moving_average(despike(val), m)
    at = int(np.argmin(smooth))
    error = np.sqrt(2) * noise_of(val).se_of_mean(m) if len(val) >= FEWEST else np.inf
    return _Keep(float(epochs[at + m // 2]), float(smooth[at]), float(smooth[-1]), float(error))


def _late(run: Run, keep: _Keep, explained: bool) -> list[str]:
    """Whether the epochs after the one to keep were worth their cost, and whether more would have been."""
    epochs, val = run.observed("val_loss")
    after = epochs > keep.epoch
    count, share = int(after.sum()), float(after.mean())
    if len(val) < 4 * SMOOTH:
        return []
    if share < LATE:
        m = _end(len(val))
        clean = despike(val)
        fell = float(clean[-2 * m : -m].mean() - clean[-m:].mean())
        if fell > 2 * np.sqrt(2) * noise_of(val[-4 * m :]).se_of_mean(m) > 0:
            return [
                f"It still fell over the last {2 * m} evaluations, by {fell:.2g}: more epochs would have been worth it."
            ]
        return []
    worse = keep.last - keep.level > 2 * keep.error
    gained = _gained(run, keep.epoch)
    if not worse and not gained:
        return [
            f"The {count} evaluations after it, {share:.0%} of the run, show no change beyond the noise: they were "
            "not worth their cost."
        ]
    if gained:
        return [f"The {count} evaluations after it, {share:.0%} of the run, {gained}."]
    return [] if explained else [f"The {count} evaluations after it, {share:.0%} of the run, made it worse."]


def _gained(run: Run, epoch: float) -> str:
    """What validation accuracy gained after an epoch, where it is beyond its noise."""
    if "val_accuracy" not in run:
        return ""
    epochs, accuracy = run.observed("val_accuracy")
    at = int(np.searchsorted(epochs, epoch))
    m = SMOOTH
    if at < m or len(accuracy) - at < 2 * m:
        return ""
    clean = despike(accuracy)
    before, last = float(clean[at - m // 2 : at + m // 2 + 1].mean()), float(clean[-m:].mean())
    if last - before <= max(0.002, 2 * np.sqrt(2) * noise_of(accuracy).se_of_mean(m)):
        return ""
    return f"did not lower it, but took val_accuracy from {before:.4f} to {last:.4f}"


def _earlier(relief: Finding, over: tuple[Finding, ...], plateaus: tuple[Finding, ...]) -> list[str]:
    """Whether the curve before a drop says that an earlier one would have done."""
    waited = [p for p in plateaus if p.end is not None and p.onset < relief.onset <= p.end + SMOOTH]
    if waited:
        return [
            f"Validation loss had stood still since epoch {waited[-1].onset:.10g}: a drop there would have done, and "
            f"saved {relief.onset - waited[-1].onset:.10g} epochs."
        ]
    risen = [o for o in over if o.onset < relief.onset and (o.end is None or o.end >= relief.onset - SMOOTH)]
    if risen:
        return [
            f"It came while validation loss was rising, from epoch {risen[-1].onset:.10g} on: a drop there would have "
            "started from the lower loss; how low it would have got, one run cannot show."
        ]
    return []


def _idle_drops(drops: tuple[Finding, ...], relief: Verdict | None) -> list[str]:
    """The logged drops that brought nothing to be seen."""
    if relief is None or relief.status == "undetermined":
        return []
    paid = {f.onset for f in relief}
    idle = [f"{d.onset:.10g}" for d in drops if d.kind == "logged" and d.onset not in paid]
    if not idle:
        return []
    named = idle[0] if len(idle) == 1 else f"{', '.join(idle[:-1])} and {idle[-1]}"
    several = len(idle) > 1
    return [
        f"The drop{'s' if several else ''} of the rate at epoch{'s' if several else ''} {named} brought validation "
        "nothing that stands out of its noise."
    ]


def _sentence(text: str) -> str:
    """`text` with a capital, unless it begins with the name of a series."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]
