"""Examine a detector, anybody's: does it find what was injected, is it silent where nothing was, does it keep its word?

`check_detector(MyDetector())` from Python, `@parametrize_with_checks([MyDetector()])` in a test suite,
`curvesense validate my_module:MyDetector` or `pytest --pyargs sim.exam --detector my_module:MyDetector` with nothing
written at all. How it works, a tutorial and the table of what catches what: README.md beside this file.
"""

from sim.exam.catalogue import CHECKS
from sim.exam.check import LEVELS, Case, Check, Outcome
from sim.exam.report import CheckFailed, Report, Result, document, render
from sim.exam.run import check_detector, examine, parametrize_with_checks, replay
from sim.exam.subject import Subject, subject_of

__all__ = [
    "CHECKS",
    "LEVELS",
    "Case",
    "Check",
    "CheckFailed",
    "Outcome",
    "Report",
    "Result",
    "Subject",
    "check_detector",
    "document",
    "examine",
    "parametrize_with_checks",
    "render",
    "replay",
    "subject_of",
]
