"""A diagnosis as plain text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from detectors.diagnosis import Diagnosis
from detectors.vocabulary import Finding, Verdict

__all__ = ["headline", "render", "title"]


def render(diagnosis: Diagnosis, width: int = 100) -> str:
    """The reading, then each verdict with its evidence, wrapped to `width` columns."""
    return "\n".join(_lines(diagnosis, max(width, 40)))


def title(phenomenon: str) -> str:
    """A phenomenon's name as people write it."""
    names = {"lr_drop": "LR drop", "lr_drop_relief": "relief at the LR drop", "train_above_val": "train above val"}
    return names.get(str(phenomenon), str(phenomenon).replace("_", " "))


def headline(finding: Finding) -> str:
    """One line about one finding: what it is, and the first sentence of its explanation."""
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z])", finding.explanation, maxsplit=1)[0]
    said = " ".join(first.split()) or f"from epoch {finding.onset:.10g}"
    return f"{title(finding.phenomenon)}: {said.removesuffix('.')}"


def _lines(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    run, reading = diagnosis.run, diagnosis.reading
    first, last = run.epochs[0], run.epochs[-1]
    head = f"{run.name}: {len(run)} rows, {first:.10g} to {last:.10g}, {', '.join(sorted(run.series))}"
    yield from _wrapped(head, width, "  ")
    yield "=" * min(width, 78)
    yield from (line for note in run.notes for line in _wrapped(f"note: {note}", width, "  "))
    yield from _wrapped(reading.text, width)
    if reading.advice:
        yield "What to do"
        for advice in reading.advice:
            yield from _wrapped(f"- {advice}", width, "  ")
    yield "What was found"
    for verdict in diagnosis.verdicts:
        yield from _verdict(verdict, width)
    yield ""


def _verdict(verdict: Verdict, width: int) -> Iterator[str]:
    head = f"  {title(verdict.phenomenon):<26}{verdict.status}"
    if verdict.status != "found":
        yield from _wrapped(f"{head}: {verdict.reason}" if verdict.reason else head, width, " " * 28)
        return
    yield head
    for finding in verdict.findings:
        yield from _wrapped(_where(finding), width, "      ", "    ")
        evidence = ", ".join(f"{k} {_number(v)}" for k, v in finding.evidence.items())
        yield from _wrapped(evidence, width, "        ", "        ")


def _where(f: Finding) -> str:
    lo, hi = f.onset_interval
    end = "to the end" if f.end is None else f"to {f.end:.10g}"
    interval = "" if lo == hi else f" (onset in {lo:.10g}..{hi:.10g} at {f.level:.0%})"
    p = "" if f.p_value is None else f", p {'<' if f.p_value < 1e-4 else '='} {max(f.p_value, 1e-4):.2g}"
    kind = f", {f.kind.replace('_', ' ')}" if f.kind else ""
    effect = ", ".join(f"{k} {_number(v)}" for k, v in f.effect.items())
    span = f"epoch {f.onset:.10g}" if f.phenomenon == "lr_drop" else f"epoch {f.onset:.10g} {end}"
    return f"{span}{interval}{kind}{p}; {effect}"


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _wrapped(text: str, width: int, indent: str = "", first: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=indent, drop_whitespace=True) or [""]
