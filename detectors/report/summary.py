"""Many runs as a table of one line each: which epoch to keep, how low validation loss was there, what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.diagnosis import Diagnosis
from detectors.report.text import PLAIN, Ink, printable, title
from detectors.vocabulary import Phenomenon, Verdict

__all__ = ["Row", "line", "row", "table", "total"]

_HEAD = ("run", "keep epoch", "val loss there", "found")
_WIDEST = 48  # columns for a name, where there is room


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is kept of a run for the table, so that a million runs fit."""

    name: str
    source: str
    keep: str
    level: str
    said: str
    found: tuple[str, ...]


def row(diagnosis: Diagnosis) -> Row:
    """The line of one run."""
    run, keep, level = diagnosis.run, diagnosis.reading.keep_epoch, diagnosis.reading.keep_loss
    found = [v for v in diagnosis.verdicts if v.findings]
    return Row(
        name=printable(run.name),
        source=printable(run.source),
        keep="-" if keep is None else f"{keep:.10g}",
        level="-" if level is None else f"{level:.4g}",
        said="; ".join(_where(v) for v in found) or _nothing(diagnosis),
        found=tuple(str(v.phenomenon) for v in found),
    )


def line(diagnosis: Diagnosis) -> str:
    """Where what was found is, in one line; empty where nothing was found."""
    brief = row(diagnosis)
    return f"{brief.name}: {brief.said}" if brief.found else ""


def table(rows: Sequence[Row], width: int | None = None, ink: Ink = PLAIN) -> str:
    """The table, cut to `width` columns where it is given. Runs whose names are not unique go by their source."""
    names = Counter(r.name for r in rows)
    cells = [(r.name if names[r.name] == 1 or not r.source else r.source, r.keep, r.level, r.said) for r in rows]
    room = max((len(c[0]) for c in cells), default=0)
    if width is not None:
        room = min(room, max(width // 3, 8), _WIDEST)
    keep = max(len(c[1]) for c in (_HEAD, *cells))
    level = max(len(c[2]) for c in (_HEAD, *cells))
    room = max(room, len(_HEAD[0]))

    def laid(name: str, *rest: str) -> str:
        text = f"{_cut(name, room):<{room}}  {rest[0]:>{keep}}  {rest[1]:>{level}}  {rest[2]}"
        return text if width is None else _end_cut(text, max(width, 40))

    lines = [ink.bold(laid(*_HEAD))]
    for r, c in zip(rows, cells, strict=True):
        lines.append(ink.found(laid(*c)) if r.found else laid(*c))
    return "\n".join(lines)


def total(counts: Counter[str], runs: int, unreadable: int) -> str:
    """One line about all of them."""
    parts = [f"{title(name)} in {counts[name]:,}" for name in sorted(counts, key=lambda n: (-counts[n], n))]
    said = f"{runs:,} run{'' if runs == 1 else 's'}: {', '.join(parts) or 'nothing found'}"
    return said if not unreadable else f"{said}; {unreadable:,} could not be read"


def _where(verdict: Verdict) -> str:
    onsets = [f"{f.onset:.10g}" for f in verdict.findings]
    shown = ", ".join(onsets[:3]) + (f", and {len(onsets) - 3} more" if len(onsets) > 3 else "")
    return f"{title(verdict.phenomenon)} {'at' if verdict.phenomenon == Phenomenon.LR_DROP else 'from'} {shown}"


def _nothing(diagnosis: Diagnosis) -> str:
    """Nothing found is one thing, nothing to be told another."""
    unknown = [v for v in diagnosis.verdicts if v.status == "undetermined"]
    if len(unknown) == len(diagnosis.verdicts) and unknown:
        return f"cannot tell: {printable(unknown[0].reason)}"
    return "nothing" if not unknown else f"nothing; cannot tell about {', '.join(title(v.phenomenon) for v in unknown)}"


def _cut(text: str, room: int) -> str:
    """A long name keeps both its ends, where names of runs differ."""
    if len(text) <= room:
        return text
    head = (room - 2) // 2
    return f"{text[:head]}..{text[len(text) - (room - 2 - head) :]}"


def _end_cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."
