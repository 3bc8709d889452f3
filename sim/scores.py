"""Scores of a detector against known events: F1 by one-to-one matching, distance to the band, false alarms.

A finding matches an event of its phenomenon if its onset lies within max(3, 2.5 % of the run) evaluations of the
event's band. Grey events (`material=False`) are neither a miss nor, where one is matched, a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import betaincinv

from detectors.vocabulary import Event, Finding, Verdict
from sim.labelled import LabelledRun

__all__ = ["Score", "exact_interval", "match", "score", "tolerance"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Counts of one detector over many runs.

    `distances` are epochs from each matched finding to its event's band; `covered` counts matched findings whose
    interval holds the event's onset; `undetermined` counts runs. `null_runs` are those without any event of the
    phenomenon, material or grey, and `false_alarms` those of them with a finding.
    """

    events: int
    findings: int
    matched: int
    distances: tuple[float, ...]
    covered: int
    runs: int
    undetermined: int
    null_runs: int
    false_alarms: int

    @property
    def recall(self) -> float:
        """Matched events over events; NaN without events."""
        return self.matched / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        """Matched findings over findings, grey matches left out; NaN without findings."""
        return self.matched / self.findings if self.findings else float("nan")

    @property
    def f1(self) -> float:
        """2 matched / (events + findings); NaN where there is nothing to find and nothing was found."""
        total = self.events + self.findings
        return 2 * self.matched / total if total else float("nan")

    @property
    def median_distance(self) -> float:
        """Median distance in epochs from a matched onset to the band; NaN without a match."""
        return float(np.median(self.distances)) if self.distances else float("nan")


def tolerance(evaluations: int) -> float:
    """How far, in evaluations, an onset may lie from the band."""
    return max(3.0, 0.025 * evaluations)


def match(events: Sequence[Event], findings: Sequence[Finding], within: float) -> list[tuple[int, int]]:
    """Pairs (event, finding) of a largest one-to-one matching within `within` epochs, of those the closest."""
    if not events or not findings:
        return []
    distance = np.array([[e.distance_to_band(f.onset) for f in findings] for e in events])
    allowed = distance <= within
    # an allowed pair is worth more than all distances together, so the number of pairs comes first
    cost = np.where(allowed, distance - (1 + within) * (1 + min(distance.shape)), 0.0)
    rows, columns = linear_sum_assignment(cost)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if allowed[i, j]]


def score(runs: Sequence[LabelledRun], verdicts: Sequence[Verdict], phenomenon: str) -> Score:
    """The score of the verdicts about `phenomenon` on `runs`."""
    events = findings = matched = covered = undetermined = null_runs = false_alarms = 0
    distances: list[float] = []
    for labelled, verdict in zip(runs, verdicts, strict=True):
        epochs = labelled.run.epochs
        spacing = float(np.median(np.diff(epochs))) if len(epochs) > 1 else 1.0
        within = tolerance(len(epochs)) * spacing
        material = labelled.of(phenomenon)
        grey = [e for e in labelled.of(phenomenon, grey=True) if not e.material]
        claims = list(verdict.findings)
        pairs = match(material, claims, within)
        rest = [f for j, f in enumerate(claims) if j not in {j for _, j in pairs}]
        excused = len(match(grey, rest, within))
        events += len(material)
        findings += len(claims) - excused
        matched += len(pairs)
        for i, j in pairs:
            distances.append(material[i].distance_to_band(claims[j].onset))
            lo, hi = claims[j].onset_interval
            covered += lo <= material[i].onset <= hi
        undetermined += verdict.status == "undetermined"
        if not material and not grey:
            null_runs += 1
            false_alarms += bool(claims)
    return Score(
        events=events,
        findings=findings,
        matched=matched,
        distances=tuple(distances),
        covered=covered,
        runs=len(runs),
        undetermined=undetermined,
        null_runs=null_runs,
        false_alarms=false_alarms,
    )


def exact_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion (1934); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    lo = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    hi = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return lo, hi
