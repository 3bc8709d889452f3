"""A diagnosis as a JSON-ready document; numbers that are not finite become null."""

from __future__ import annotations

import math
from typing import Any

from detectors.diagnosis import Diagnosis
from detectors.group import GroupDiagnosis
from detectors.vocabulary import Finding, Verdict

__all__ = ["SCHEMA_VERSION", "document", "group_document", "unreadable"]

SCHEMA_VERSION = 1


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """One run: where it came from, every verdict, and the reading. Epochs are numbered as in the log."""
    run = diagnosis.run
    return {
        "schema_version": SCHEMA_VERSION,
        "source": run.source,
        "run": run.name,
        "group": run.group or None,
        "epochs": len(run),
        "series": sorted(run.series),
        "notes": list(run.notes),
        "verdicts": [_verdict(v) for v in diagnosis.verdicts],
        "reading": {
            "text": diagnosis.reading.text,
            "keep_epoch": _number(diagnosis.reading.keep_epoch),
            "keep_loss": _number(diagnosis.reading.keep_loss),
            "advice": list(diagnosis.reading.advice),
        },
    }


def group_document(group: GroupDiagnosis) -> dict[str, Any]:
    """Several runs of one recipe: which, every verdict on them together, and the reading."""
    return {
        "schema_version": SCHEMA_VERSION,
        "group": group.name,
        "runs": [run.name for run in group.runs],
        "notes": list(group.notes),
        "verdicts": [_verdict(v) for v in group.verdicts],
        "reading": {"text": group.text},
    }


def unreadable(source: str, error: str) -> dict[str, Any]:
    """A log that could not be read."""
    return {"source": source, "error": error}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "phenomenon": str(verdict.phenomenon),
        "status": verdict.status,
        "reason": verdict.reason,
        "min_detectable_effect": _number(verdict.min_detectable_effect),
        "findings": [_finding(f) for f in verdict.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "onset": _number(finding.onset),
        "end": _number(finding.end),
        "onset_interval": [_number(e) for e in finding.onset_interval],
        "level": finding.level,
        "known_at": _number(finding.known_at),
        "kind": finding.kind,
        "p_value": _number(finding.p_value),
        "effect": {k: _number(v) for k, v in finding.effect.items()},
        "evidence": {k: _number(v) for k, v in finding.evidence.items()},
        "explanation": finding.explanation,
        "advice": finding.advice,
    }


def _number(value: Any) -> Any:
    """A plain int where it is whole, a float where it is not, null where it is neither."""
    if value is None or isinstance(value, str):
        return value
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
