"""What came of an exam: as values, as text, as a JSON-ready document."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sim.exam.check import Check, Level, Outcome
from sim.exam.compare import said

__all__ = ["CheckFailed", "Report", "Result", "Status", "arguments", "document", "render"]

SCHEMA_VERSION = 1
Status = Literal["passed", "failed", "skipped", "not promised", "expected", "unexpected"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check and what came of it.

    `not promised`: it failed, and the detector does not claim it. `expected`: it failed, and `reason` says why that was
    to be expected; `unexpected`: it passed all the same.
    """

    check: Check
    status: Status
    outcome: Outcome
    reason: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of one exam of one detector."""

    detector: str
    phenomenon: str
    claims: tuple[str, ...]
    level: Level
    seed: int
    time_limit: float
    results: tuple[Result, ...]
    seconds: float
    calls: int
    call_seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed that was not expected to, and none passed that was."""
        return not any(r.status in ("failed", "unexpected") for r in self.results)

    def of(self, *statuses: Status) -> list[Result]:
        """The results with one of these statuses."""
        return [r for r in self.results if r.status in statuses]

    def __getitem__(self, check: str) -> Result:
        for result in self.results:
            if result.check.name == check:
                return result
        raise KeyError(f"no result of {check!r}; there are {[r.check.name for r in self.results]}")


class CheckFailed(AssertionError):
    """A detector did not pass: the message names each check that failed, the counts and the simplest curve."""

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = [f"{report.detector} fails {len(report.of('failed', 'unexpected'))} of {len(report.results)} checks"]
        lines += [_failure(r) for r in report.of("failed", "unexpected")]
        super().__init__("\n".join(lines))


def _failure(result: Result) -> str:
    if result.status == "unexpected":
        return f"{result.check.name}: passed, although it was expected to fail: {result.reason}"
    case = result.outcome.case
    where = "" if case is None else f"\n    on {case.spec!r}, seed {case.seed}{arguments(case.params)}"
    return f"{result.check.name}: {result.outcome.detail}{where}"


def arguments(params: Mapping[str, Any]) -> str:
    """The further arguments of a call, as code."""
    return "".join(f", {k}={v!r}" for k, v in params.items())


def render(report: Report, width: int = 100) -> str:
    """The report as text: a line for each check, then each failure with its reason and the simplest curve."""
    mark = {"passed": "ok", "failed": "FAILED", "skipped": "skipped", "not promised": "not promised"}
    mark |= {"expected": "failed, expected", "unexpected": "PASSED, unexpected"}
    lines = [f"{report.detector} ({report.phenomenon}), level {report.level.name}, seed {report.seed}", ""]
    group = ""
    for r in report.results:
        if r.check.group != group:
            group = r.check.group
            lines.append(group)
        lines.append(f"  {r.check.name:<44}{mark[r.status]}")
    for r in report.results:
        if r.status == "passed":
            continue
        lines += ["", f"{r.check.name}: {mark[r.status]}{f' ({r.reason})' if r.reason else ''}"]
        lines += _wrapped(r.outcome.detail, width, "  ")
        if r.status == "skipped":
            continue
        if r.outcome.case is not None:
            lines += _wrapped(
                f"on {r.outcome.case.spec!r}, seed {r.outcome.case.seed}{arguments(r.outcome.case.params)}", width, "  "
            )
        for sight in r.outcome.sights[-2:]:
            if sight.verdict is not None:
                lines += _wrapped(f"{sight.title or 'the run'}: {said(sight.verdict)}", width, "    ")
        if r.status in ("failed", "not promised"):
            lines += _wrapped(f"why it matters: {r.check.rationale}", width, "  ")
    failed = len(report.of("failed", "unexpected"))
    lines += [
        "",
        f"{len(report.of('passed'))} passed, {failed} failed"
        f"{_more(report, 'expected', 'failed as expected')}{_more(report, 'not promised', 'failed but not promised')}"
        f"{_more(report, 'skipped', 'skipped')}; {report.seconds:.0f} s, {report.calls} calls of "
        f"{1e3 * report.call_seconds / max(report.calls, 1):.2f} ms",
    ]
    return "\n".join(lines)


def _more(report: Report, status: Status, what: str) -> str:
    n = len(report.of(status))
    return f", {n} {what}" if n else ""


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, max(width, 40), initial_indent=indent, subsequent_indent=indent + "  ")


def document(report: Report) -> dict[str, Any]:
    """The report as JSON: every check with its status, counts, the stated errors of its test, and its example."""
    return {
        "schema_version": SCHEMA_VERSION,
        "detector": report.detector,
        "phenomenon": report.phenomenon,
        "claims": list(report.claims),
        "level": report.level.name,
        "seed": report.seed,
        "passed": report.passed,
        "seconds": round(report.seconds, 3),
        "calls": report.calls,
        "checks": [_result(r) for r in report.results],
    }


def _result(r: Result) -> dict[str, Any]:
    case, plan = r.outcome.case, r.outcome.plan
    return {
        "name": r.check.name,
        "group": r.check.group,
        "claim": None if r.check.claim is None else r.check.claim.__name__,
        "status": r.status,
        "reason": r.reason,
        "detail": r.outcome.detail,
        "failures": r.outcome.failures,
        "trials": r.outcome.trials,
        "test": None
        if plan is None
        else {
            "allowed_rate": plan.allowed,
            "caught_rate": plan.caught,
            "trials": plan.trials,
            "most_failures": plan.most,
            "false_fail": plan.false_fail,
            "false_pass": plan.false_pass,
        },
        "example": None
        if case is None or r.outcome.passed
        else {"spec": repr(case.spec), "seed": case.seed, "params": {k: _plain(v) for k, v in case.params.items()}},
        "rationale": r.check.rationale,
        "source": r.check.source,
        "seconds": round(r.seconds, 3),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)
