"""A diagnosis as plain text for a terminal."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detectors.diagnosis import Diagnosis
from detectors.group import GroupDiagnosis
from detectors.vocabulary import Detector, Finding, Verdict

__all__ = ["PLAIN", "Ink", "headline", "number", "printable", "render", "render_group", "title", "where"]

LEAST = 40  # columns; a narrower terminal breaks the lines itself


@dataclass(frozen=True)
class Ink:
    """How some words are set off from the others: by ANSI codes, or not at all."""

    colour: bool = False

    def bold(self, text: str) -> str:
        """A headline."""
        return self._in("1", text)

    def found(self, text: str) -> str:
        """What was found."""
        return self._in("1;35", text)  # magenta is read on black and on white, and does not say good or bad

    def faint(self, text: str) -> str:
        """What is of little interest."""
        return self._in("2", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


PLAIN = Ink()


def render(
    diagnosis: Diagnosis, width: int = 100, ink: Ink = PLAIN, detectors: Sequence[Detector] | None = None
) -> str:
    """The reading, then each verdict with its evidence, wrapped to `width` columns.

    With `detectors`, those that were asked, it says all: their settings, the smallest effect that each could have seen,
    why a finding was made and what to do about it.
    """
    return "\n".join(_lines(diagnosis, max(width, LEAST), ink, detectors))


def render_group(group: GroupDiagnosis, width: int = 100, ink: Ink = PLAIN, everything: bool = False) -> str:
    """What several runs of one recipe show together, wrapped to `width` columns; `everything`: why, and what to do."""
    width = max(width, LEAST)
    lines = [ink.bold(line) for line in _wrapped(f"{group.name}: {len(group.runs)} runs together", width, "  ")]
    lines.append("=" * min(width, 78))
    lines += [line for note in group.notes for line in _wrapped(f"note: {note}", width, "  ")]
    lines += _wrapped(group.text, width)
    lines.append(ink.bold("What was found"))
    for verdict in group.verdicts:
        lines += _verdict(verdict, width, ink, everything)
    return "\n".join([*lines, ""])


def title(phenomenon: str) -> str:
    """A phenomenon's name as people write it."""
    names = {"lr_drop": "LR drop", "lr_drop_relief": "relief at the LR drop", "train_above_val": "train above val"}
    return names.get(str(phenomenon), str(phenomenon).replace("_", " "))


def headline(finding: Finding) -> str:
    """One line about one finding: what it is, and the first sentence of its explanation."""
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z])", finding.explanation, maxsplit=1)[0]
    said = " ".join(first.split()) or f"from epoch {finding.onset:.10g}"
    return f"{title(finding.phenomenon)}: {said.removesuffix('.')}"


def printable(text: str) -> str:
    """The text on one line, with its control characters shown: a name in a log must not command the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(diagnosis: Diagnosis, width: int, ink: Ink, detectors: Sequence[Detector] | None) -> Iterator[str]:
    run, reading = diagnosis.run, diagnosis.reading
    first, last = run.epochs[0], run.epochs[-1]
    head = f"{run.name}: {len(run)} rows, {first:.10g} to {last:.10g}, {', '.join(sorted(run.series))}"
    yield from map(ink.bold, _wrapped(head, width, "  "))
    yield "=" * min(width, 78)
    yield from (line for note in run.notes for line in _wrapped(f"note: {note}", width, "  "))
    yield from _wrapped(reading.text, width)
    if reading.advice:
        yield ink.bold("What to do")
        for advice in reading.advice:
            yield from _wrapped(f"- {advice}", width, "  ")
    yield ink.bold("What was found")
    for verdict in diagnosis.verdicts:
        yield from _verdict(verdict, width, ink, everything=detectors is not None)
    if detectors:
        yield ink.bold("What was asked")
        for detector in detectors:
            yield from _wrapped(f"{title(detector.phenomenon):<26}{_settings(detector)}", width, " " * 28, "  ")
    yield ""


def _verdict(verdict: Verdict, width: int, ink: Ink, everything: bool) -> Iterator[str]:
    head = f"  {title(verdict.phenomenon):<26}{verdict.status}"
    if verdict.status != "found":
        faint = ink.faint if verdict.status == "absent" else str
        yield from map(faint, _wrapped(f"{head}: {verdict.reason}" if verdict.reason else head, width, " " * 28))
    else:
        yield ink.found(head)
    for finding in verdict.findings:
        yield from _wrapped(where(finding), width, "      ", "    ")
        evidence = ", ".join(f"{k} {number(v)}" for k, v in finding.evidence.items())
        yield from _wrapped(evidence, width, "        ", "        ")
        if everything:
            said = f"known at epoch {finding.known_at:.10g}. {finding.explanation} {finding.advice}".strip()
            yield from _wrapped(said, width, "        ", "        ")
    if everything and verdict.min_detectable_effect is not None:
        least = f"smallest effect that this run could have shown: {number(verdict.min_detectable_effect)}"
        yield from _wrapped(least, width, "      ", "    ")


def _settings(detector: Detector) -> str:
    if not dataclasses.is_dataclass(detector):
        return repr(detector)
    said = [(f.name, getattr(detector, f.name)) for f in dataclasses.fields(detector)]
    return ", ".join(f"{name} {number(v) if isinstance(v, (float, str)) else v}" for name, v in said)


def where(f: Finding) -> str:
    """Where a finding is, how sure, of which kind and size, on one line."""
    lo, hi = f.onset_interval
    end = " to the end" if f.end is None else f" to {f.end:.10g}" if f.end > f.onset else ""
    interval = "" if lo == hi else f" (onset in {lo:.10g}..{hi:.10g} at {f.level:.0%})"
    p = "" if f.p_value is None else f", p {'<' if f.p_value < 1e-4 else '='} {max(f.p_value, 1e-4):.2g}"
    kind = f", {f.kind.replace('_', ' ')}" if f.kind else ""
    effect = ", ".join(f"{k} {number(v)}" for k, v in f.effect.items())
    span = f"epoch {f.onset:.10g}{'' if f.phenomenon == 'lr_drop' else end}"
    return f"{span}{interval}{kind}{p}; {effect}"


def number(value: float | str) -> str:
    """Four digits, whole numbers whole."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _wrapped(text: str, width: int, indent: str = "", first: str = "") -> list[str]:
    shown = printable(text)
    return textwrap.wrap(shown, width, initial_indent=first, subsequent_indent=indent, drop_whitespace=True) or [""]
