"""The verdicts about a run put together into one reading: what to keep, what explains what, what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectors import display
from detectors.catalogue import built_in
from detectors.condense import condensed, on_rows_of
from detectors.noise import despike, moving_average
from detectors.vocabulary import Detector, Finding, Phenomenon, Run, Verdict

__all__ = ["Diagnosis", "Reading", "diagnose"]

SMOOTH = 5  # evaluations averaged to choose the epoch to keep
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


def _reading(run: Run, verdicts: tuple[Verdict, ...]) -> Reading:
    by = {str(v.phenomenon): v for v in verdicts}

    def findings(phenomenon: Phenomenon) -> tuple[Finding, ...]:
        return by[phenomenon].findings if phenomenon in by else ()

    keep = _keep(run)
    over, relief = findings(Phenomenon.OVERFITTING), findings(Phenomenon.LR_DROP_RELIEF)
    divergent = findings(Phenomenon.LOSS_ACCURACY_DIVERGENCE)
    says: list[str] = []
    if keep is not None:
        best, last = keep[1], keep[2]
        behind = f"; the end is {last / best - 1:.1%} higher" if best > 0 and last > best * 1.005 else ""
        says.append(f"Validation loss is lowest around epoch {keep[0]:.10g} ({best:.4g}{behind}).")
    for f in findings(Phenomenon.TRAIN_ABOVE_VAL):
        says.append(_sentence(f.explanation))
    shared = {d.onset for d in divergent}
    for f in sorted((*over, *relief), key=lambda f: f.onset):
        if f.phenomenon == Phenomenon.OVERFITTING and f.onset in shared:
            continue  # said below, with what accuracy did
        says.append(_sentence(f.explanation))
        if f.phenomenon == Phenomenon.LR_DROP_RELIEF and any(o.onset < f.onset for o in over):
            says.append("That does not contradict the overfitting before it.")
    says += [_sentence(f.explanation) for f in divergent]
    gap = findings(Phenomenon.GENERALIZATION_GAP)
    if gap and not over and not divergent:
        says.append(_sentence(gap[0].explanation))
    missing = [v for v in verdicts if v.status == "undetermined"]
    cleared = Phenomenon.OVERFITTING in by and by[Phenomenon.OVERFITTING].status == "absent"
    if cleared and keep is not None and not (relief or divergent):
        says.append("Nothing in the curves says that it was trained for too long.")
    for reason in dict.fromkeys(v.reason for v in missing):
        about = ", ".join(str(v.phenomenon).replace("_", " ") for v in missing if v.reason == reason)
        says.append(f"Cannot tell about {about}: {reason}.")
    others = [f for v in verdicts if v.phenomenon not in set(Phenomenon) for f in v]
    says += [_sentence(f.explanation) for f in others if f.explanation]
    advice = [] if keep is None else [f"Keep the checkpoint from around epoch {keep[0]:.10g}."]
    for group in (divergent, over, relief, findings(Phenomenon.TRAIN_ABOVE_VAL), gap, *((f,) for f in others)):
        advice += [f.advice for f in group[-1:] if f.advice]  # one for each phenomenon: the last word
    text = " ".join(dict.fromkeys(sentence for part in says for sentence in _SENTENCE.split(part)))
    at, level = (None, None) if keep is None else keep[:2]
    return Reading(text=text, keep_epoch=at, advice=tuple(dict.fromkeys(advice)), keep_loss=level)


def _keep(run: Run) -> tuple[float, float, float] | None:
    """(epoch, level there, level at the end) of the lowest smoothed validation loss."""
    if "val_loss" not in run:
        return None
    epochs, val = run.observed("val_loss")
    width = min(SMOOTH, len(val))
    smooth = moving_average(despike(val), width)
    at = int(np.argmin(smooth))
    return float(epochs[at + width // 2]), float(smooth[at]), float(smooth[-1])


def _sentence(text: str) -> str:
    """`text` with a capital, unless it begins with the name of a series."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]
