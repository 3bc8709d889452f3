"""Run the exam: from Python, from pytest, or one check again on one example.

In a script, and in a test suite:

    from sim.exam import check_detector, parametrize_with_checks

    check_detector(MyDetector())  # CheckFailed, with the simplest curve for each failure

    @parametrize_with_checks([MyDetector()])
    def test_my_detector(detector, check):
        check(detector)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detectors.claims import FalseAlarms, Recovers, claim_of
from sim.exam.candidate import TIME_LIMIT, Candidate
from sim.exam.catalogue import CHECKS
from sim.exam.check import LEVELS, Case, Check, Level, Outcome, Session
from sim.exam.report import CheckFailed, Report, Result, Status
from sim.exam.subject import Subject, subject_of

__all__ = ["BoundCheck", "check_detector", "examine", "parametrize_with_checks", "replay"]

OnResult = Callable[[Result], None]


def examine(
    detector: Any,
    *,
    level: str = "default",
    seed: int = 0,
    subject: Subject | None = None,
    expected_failures: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
    time_limit: float = TIME_LIMIT,
    on_result: OnResult | None = None,
) -> Report:
    """Ask every check of `detector` and report on each; nothing that the detector does stops the exam.

    `level` is quick, default or thorough; `seed` makes other examples and other runs. `subject` is what it is examined
    on, needed where its phenomenon is none that composed runs have. `expected_failures` maps names of checks to the
    reason why they fail: such a failure is no failure, and a pass is one; without it the detector's own attribute of
    that name counts, if it has one. `only` names the checks to ask. `time_limit`
    is in seconds for each call. TypeError or ValueError for arguments that cannot be.
    """
    session = _session(detector, level, seed, subject, time_limit)
    expected = _expected(detector, expected_failures)
    names = list(CHECKS) if only is None else list(only)
    for name in (*expected, *names):
        _known(name)
    start = time.perf_counter()
    results = []
    for name in names:
        result = _result(session, CHECKS[name], expected.get(name))
        results.append(result)
        if on_result is not None:
            on_result(result)
    return _report(session, seed, results, time.perf_counter() - start)


def check_detector(detector: Any, **settings: Any) -> Report:
    """Examine `detector` and return the report; CheckFailed, which holds it, if a check failed.

    The settings are those of `examine`.
    """
    report = examine(detector, **settings)
    if not report.passed:
        raise CheckFailed(report)
    return report


class BoundCheck:
    """One check with its settings, to be called with a detector: CheckFailed if it fails."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        _known(name)
        self.name = name
        self.settings = dict(settings)

    def __repr__(self) -> str:
        return self.name

    def __call__(self, detector: Any) -> None:
        import pytest

        __tracebackhide__ = True  # the message says what failed; where in here is nobody's business
        expected = _expected(detector, self.settings.get("expected_failures"))
        mine = {self.name: expected[self.name]} if self.name in expected else {}
        report = examine(detector, **{**self.settings, "expected_failures": mine, "only": [self.name]})
        (result,) = report.results
        if result.status in ("failed", "unexpected"):
            raise CheckFailed(report)
        if result.status == "expected":
            pytest.xfail(f"{result.reason}: {result.outcome.detail}")
        if result.status in ("skipped", "not promised"):
            pytest.skip(f"{result.status}: {result.outcome.detail}")


def parametrize_with_checks(detectors: Sequence[Any], **settings: Any) -> Any:
    """A pytest mark that runs a test once for each pair of detector and check, as `detector` and `check`.

    The settings are those of `examine`; a failure that is expected is an xfail, what was not promised a skip.
    """
    import pytest

    if isinstance(detectors, type) or not isinstance(detectors, Sequence):
        raise TypeError(f"parametrize_with_checks takes a list of detectors, not {detectors!r}")
    for name in settings.get("expected_failures") or {}:
        _known(name)
    names = settings.pop("only", None) or list(CHECKS)
    pairs = [
        pytest.param(detector, BoundCheck(name, settings), id=f"{type(detector).__name__}-{name}")
        for detector in detectors
        for name in names
    ]
    return pytest.mark.parametrize(("detector", "check"), pairs)


def replay(
    check: str,
    detector: Any,
    spec: Any,
    *,
    seed: int = 0,
    level: str = "default",
    subject: Subject | None = None,
    time_limit: float = TIME_LIMIT,
    **params: Any,
) -> None:
    """Ask one check again on one example; CheckFailed if it still fails there, pytest's skip if it cannot be asked.

    A rate is judged anew on fresh runs of `spec`, however few or many specs it was an average over; `seed` is then the
    exam's.
    """
    _known(check)
    session = _session(detector, level, seed if CHECKS[check].question.sampled else 0, subject, time_limit)
    outcome = CHECKS[check].question.again(session, Case(spec=spec, seed=seed, params=params))
    if outcome.passed is False:
        result = Result(check=CHECKS[check], status="failed", outcome=outcome, reason="", seconds=0.0)
        raise CheckFailed(_report(session, seed, [result], 0.0))
    if outcome.passed is None:
        import pytest

        pytest.skip(f"{check} could not be asked: {outcome.detail}")


def _report(session: Session, seed: int, results: Sequence[Result], seconds: float) -> Report:
    candidate = session.candidate
    return Report(
        detector=candidate.name,
        phenomenon=candidate.phenomenon,
        claims=tuple(str(c) for c in candidate.claims),
        level=session.level,
        seed=seed,
        time_limit=candidate.time_limit,
        results=tuple(results),
        seconds=seconds,
        calls=candidate.tally.calls,
        call_seconds=candidate.tally.seconds,
    )


def _session(detector: Any, level: str, seed: int, subject: Subject | None, time_limit: float) -> Session:
    if level not in LEVELS:
        raise ValueError(f"level={level!r}: allowed are {', '.join(LEVELS)}")
    candidate = Candidate(detector, time_limit=time_limit)
    if subject is None:
        subject = subject_of(candidate.phenomenon, claim_of(detector, Recovers), claim_of(detector, FalseAlarms))
    elif subject.phenomenon != candidate.phenomenon:
        raise ValueError(f"the subject is {subject.phenomenon!r}, the detector is about {candidate.phenomenon!r}")
    chosen: Level = LEVELS[level]
    return Session(candidate=candidate, subject=subject, level=chosen, seed=seed)


def _result(session: Session, check: Check, expected: str | None) -> Result:
    start = time.perf_counter()
    try:
        outcome: Outcome = check.question.examine(session)
    except Exception as error:  # whatever a detector has done to get here: the other checks are still asked
        outcome = Outcome(passed=False, detail=f"could not be judged: {type(error).__name__}: {error}"[:300])
    held = check.claim is None or session.candidate.claim(check.claim) is not None
    seconds = time.perf_counter() - start
    status: Status
    if outcome.passed is None:
        status = "skipped"
    elif expected is not None:
        status = "unexpected" if outcome.passed else "expected"
    elif outcome.passed:
        status = "passed"
    else:
        status = "failed" if held else "not promised"
    return Result(check=check, status=status, outcome=outcome, reason=expected or "", seconds=seconds)


def _expected(detector: Any, given: Mapping[str, str] | None) -> dict[str, str]:
    expected = getattr(detector, "expected_failures", {}) if given is None else given
    if not isinstance(expected, Mapping):
        raise TypeError(f"expected_failures={expected!r}: allowed is a mapping from a check to the reason why it fails")
    return dict(expected)


def _known(name: str) -> None:
    if name not in CHECKS:
        raise ValueError(f"no check {name!r}; there are {', '.join(CHECKS)}")
