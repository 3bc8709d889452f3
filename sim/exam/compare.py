"""Whether two verdicts say the same, and which finding goes with which event."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np

from detectors.vocabulary import Event, Finding, Run, Verdict
from sim.exam.check import Violation
from sim.scores import match, tolerance

__all__ = ["matched", "require_same", "said", "seed_of", "within"]


def said(verdict: Verdict, moved: Callable[[float], float] = float) -> str:
    """The status, and where the findings lie, in words; `moved` translates epochs."""
    parts = [
        f"{f.kind + ' ' if f.kind else ''}{moved(f.onset):.10g} to "
        f"{'the end' if f.end is None else f'{moved(f.end):.10g}'}"
        f" (onset in {moved(f.onset_interval[0]):.10g}..{moved(f.onset_interval[1]):.10g}"
        f"{'' if f.p_value is None else f', p {f.p_value:.4g}'}, known at {moved(f.known_at):.10g})"
        for f in verdict
    ]
    return f"{verdict.status}{': ' if parts else ''}{'; '.join(parts)}"


def require_same(
    first: Verdict, second: Verdict, what: str, moved: Callable[[float], float] = float, *, known_at: bool = True
) -> None:
    """Violation unless the second verdict is the first with its epochs `moved`; p-values to one part in a million.

    Without `known_at` the epochs at which they were known may differ.
    """
    if not _same(first, second, moved, known_at):
        raise Violation(f"{what}: {said(first, moved)} became {said(second)}")


def _same(first: Verdict, second: Verdict, moved: Callable[[float], float], known_at: bool) -> bool:
    if first.status != second.status or len(first.findings) != len(second.findings):
        return False
    return all(_alike(a, b, moved, known_at) for a, b in zip(first, second, strict=True))


def _alike(a: Finding, b: Finding, moved: Callable[[float], float], known_at: bool) -> bool:
    if a.phenomenon != b.phenomenon or a.kind != b.kind or (a.end is None) != (b.end is None):
        return False
    if (a.p_value is None) != (b.p_value is None):
        return False
    before = [moved(e) for e in (a.onset, *a.onset_interval, a.onset if a.end is None else a.end)]
    after = [b.onset, *b.onset_interval, b.onset if b.end is None else b.end]
    if known_at:
        before, after = [*before, moved(a.known_at)], [*after, b.known_at]
    close = np.allclose(before, after, rtol=1e-9, atol=1e-9)
    return bool(close and (a.p_value is None or b.p_value is None or np.isclose(a.p_value, b.p_value, 1e-6, 1e-12)))


def seed_of(run: Run) -> int:
    """A seed for what a check draws itself, which depends on the run that it was given and on nothing else."""
    return zlib.crc32(b"".join(values.tobytes() for values in run.series.values())) >> 1


def within(run: Run) -> float:
    """The tolerance of an onset in this run, in its own epochs."""
    spacing = float(np.median(np.diff(run.epochs))) if len(run) > 1 else 1.0
    return tolerance(len(run)) * spacing


def matched(events: Iterable[Event], verdict: Verdict, run: Run) -> list[tuple[Event, Finding]]:
    """The pairs of event and finding of a largest one-to-one matching within the tolerance."""
    truths, findings = list(events), list(verdict)
    return [(truths[i], findings[j]) for i, j in match(truths, findings, within(run))]
