"""A failure as a file that pytest runs: it fails until the detector is mended."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.exam.candidate import TIME_LIMIT
from sim.exam.report import Report, Result, arguments
from sim.exam.subject import Subject

__all__ = ["BadTarget", "Target", "load", "source", "write"]


class BadTarget(ValueError):
    """A detector that cannot be loaded; the message names it and says what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A detector by where it is found: `module` and `name`, `called` if that is a class or a function that makes it.

    `subject` is `module:name` of the Subject that it is examined on, empty for the phenomenon's own.
    """

    module: str
    name: str
    called: bool
    subject: str = ""


def load(detector: str, subject: str = "") -> tuple[Any, Subject | None, Target]:
    """The detector and the subject named by `module:name`, in the working directory or installed; BadTarget if not."""
    with contextlib.redirect_stdout(sys.stderr):  # standard output may be JSON
        return _load(detector, subject)


def _load(detector: str, subject: str) -> tuple[Any, Subject | None, Target]:
    found = _named(detector)
    called = (callable(found) and not callable(getattr(found, "detect", None))) or isinstance(found, type)
    if called:
        try:
            found = found()
        except (Exception, SystemExit) as error:  # a stranger's constructor may raise anything
            raise BadTarget(
                f"{detector}: calling it without arguments raised {type(error).__name__}: {error}"
            ) from error
    topic = None
    if subject:
        topic = _named(subject)
        if not isinstance(topic, Subject):
            raise BadTarget(f"{subject} is no sim.exam.Subject but a {type(topic).__name__}")
    module, _, name = detector.partition(":")
    return found, topic, Target(module=module, name=name, called=called, subject=subject)


def _named(path: str) -> Any:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise BadTarget(f"{path!r}: expected module:name, as in my_module:MyDetector")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise BadTarget(f"cannot import {module}: {error}") from error
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        raise BadTarget(f"importing {module} raised {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise BadTarget(f"{module} has no {name!r}")
        found = getattr(found, part)
    return found


def source(result: Result, report: Report, target: Target) -> str:
    """The text of a pytest file that asks the failed check again."""
    case = result.outcome.case
    assert case is not None  # only failures with an example are written
    kind, first = type(case.spec), target.name.partition(".")[0]
    imports = {f"from {kind.__module__} import {kind.__name__}", "from sim.exam import replay"}
    imports.add(f"from {target.module} import {first}")
    given = [f"    spec = {case.spec!r}"]
    settings: dict[str, Any] = {"seed": report.seed if result.check.question.sampled else case.seed, **case.params}
    if report.level.name != "default":
        settings["level"] = report.level.name
    if report.time_limit != TIME_LIMIT:
        settings["time_limit"] = report.time_limit
    words = arguments(settings)
    if target.subject:
        home, _, there = target.subject.partition(":")
        imports.add(f"from {home} import {there.partition('.')[0]}")
        words += f", subject={there}"
    text = " ".join(result.outcome.detail.split())
    return "\n".join(
        [
            f"# {result.check.name}: {text[:200]}",
            "",
            *sorted(imports),
            "",
            "",
            f"def test_{result.check.name}():",
            *given,
            "",
            f"    replay({result.check.name!r}, {target.name}{'()' if target.called else ''}, spec{words})",
            "",
        ]
    )


def write(report: Report, folder: Path, target: Target) -> list[Path]:
    """Write a file for each failure that has an example into `folder`, which is made if need be; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for result in report.of("failed"):
        if result.outcome.case is not None:
            path = folder / f"test_{result.check.name}.py"
            path.write_text(source(result, report, target), encoding="utf-8")
            paths.append(path)
    return paths
