"""The detector under examination: every call to it is guarded, so that nothing it does can stop the exam.

It may raise, hang, print, return nonsense: what it did becomes a `Misbehaved` with one line that says so. Each call
runs in a thread of its own, which is interrupted when its time is over and left behind if it does not listen.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import dataclasses
import io
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

from detectors.claims import Claim, claim_of, claims_of
from detectors.vocabulary import Finding, Run, Verdict

__all__ = ["TIME_LIMIT", "Candidate", "Misbehaved", "places"]

T = TypeVar("T")
C = TypeVar("C", bound=Claim)
TIME_LIMIT = 5.0  # seconds of one call
_MOST_HANGS = 3  # calls that may run out of time before the detector is not asked any more


class Misbehaved(Exception):
    """The detector did something else than to answer; the message says what."""


class _TimeIsUp(BaseException):
    """Raised inside the detector; no `except Exception` of its own may swallow it."""


@dataclass
class _Tally:
    """What a detector and its copies have done so far."""

    printed: str = ""
    calls: int = 0
    seconds: float = 0.0
    hangs: int = 0
    level: float | None = None  # the lowest that a finding has stated


class Candidate:
    """A detector whose answers can be relied on to be verdicts, or to be a `Misbehaved` that says what happened.

    TypeError or ValueError for what is no detector, or has an alpha, a level, needs or claims that cannot be.
    """

    def __init__(self, detector: Any, *, time_limit: float = TIME_LIMIT) -> None:
        phenomenon = getattr(detector, "phenomenon", None)
        if isinstance(detector, type):
            raise TypeError(f"{detector.__name__} is a class; the exam takes an instance: {detector.__name__}()")
        if not isinstance(phenomenon, str) or not phenomenon:
            raise TypeError(f"{detector!r} is no detector: its attribute `phenomenon` is {phenomenon!r}, not a name")
        if not callable(getattr(detector, "detect", None)):
            raise TypeError(f"{detector!r} is no detector: it has no method `detect(run)`")
        if not 0 < time_limit <= 86_400:
            raise ValueError(f"time_limit={time_limit!r}: allowed are seconds above 0, up to a day")
        self.detector = detector
        self.phenomenon = str(phenomenon)
        self.claims: tuple[Claim, ...] = claims_of(detector)
        self.alpha = _share(detector, "alpha", 0.05)
        self.needs = _names(detector, "needs")
        _share(detector, "level", 0.9)
        self.time_limit = time_limit
        self.tally = _Tally()
        try:
            self._pristine = copy.deepcopy(detector)
        except Exception:  # a stranger's __deepcopy__ may raise anything
            self._pristine = None

    @property
    def name(self) -> str:
        """The name of its class."""
        return type(self.detector).__name__

    @property
    def level(self) -> float:
        """The level of its onset intervals: its attribute, else the lowest that it has stated so far, else 0.9."""
        seen = 0.9 if self.tally.level is None else self.tally.level
        return _share(self.detector, "level", seen)

    def claim(self, kind: type[C]) -> C | None:
        """Its claim of this kind, None if it does not make it."""
        return claim_of(self.detector, kind)

    def detect(self, run: Run) -> Verdict:
        """Its verdict about one run; Misbehaved if it does not give one."""
        verdict = self._guarded(lambda: _plain(self.detector.detect(run), "detect must return a Verdict"), 1)
        for finding in verdict:
            self.tally.level = min(finding.level, self.tally.level or 1.0)
        return verdict

    def detect_many(self, runs: Sequence[Run]) -> list[Verdict]:
        """The answer of its own `detect_many`; only for detectors that have one."""
        what = f"detect_many must return a Verdict for each of {len(runs)} runs"

        def ask() -> list[Verdict]:
            answer = list(self.detector.detect_many(runs))
            if len(answer) != len(runs):
                raise Misbehaved(f"{what}, not {len(answer)}")
            return [_plain(verdict, what) for verdict in answer]

        return self._guarded(ask, len(runs))

    def with_alpha(self, alpha: float) -> Candidate | None:
        """The same detector at another alpha, None if it has none that can be set."""
        if not hasattr(self.detector, "alpha"):
            return None
        try:
            if dataclasses.is_dataclass(self.detector):
                other = dataclasses.replace(self.detector, alpha=alpha)  # type: ignore[type-var]
            else:
                other = copy.copy(self.detector)
                other.alpha = alpha
            return self._sharing(other)
        except Exception:  # a stranger's constructor or attribute may raise anything
            return None

    def fresh(self) -> Candidate:
        """A copy made before it was ever asked; itself if it cannot be copied."""
        if self._pristine is None:
            return self
        return self._sharing(copy.deepcopy(self._pristine))

    def _sharing(self, detector: Any) -> Candidate:
        other = Candidate(detector, time_limit=self.time_limit)
        other.tally = self.tally
        return other

    def _guarded(self, call: Callable[[], T], runs: int) -> T:
        tally = self.tally
        if tally.hangs >= _MOST_HANGS:
            raise Misbehaved(f"not asked any more: {tally.hangs} calls took over {self.time_limit:g} s")
        limit = self.time_limit * max(runs, 1)
        start = time.perf_counter()
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _within(limit, call)
        except _TimeIsUp:
            tally.hangs += 1
            raise Misbehaved(f"no answer within {limit:g} s") from None
        except (KeyboardInterrupt, Misbehaved):
            raise
        except BaseException as error:  # whatever a detector raises is its answer, SystemExit included
            raise Misbehaved(f"raised {type(error).__name__}: {_words(error)}"[:300]) from error
        finally:
            tally.printed += out.getvalue()
            tally.calls += runs
            tally.seconds += time.perf_counter() - start


def _share(detector: Any, name: str, default: float) -> float:
    """An attribute that is a share, `default` where there is none."""
    value = getattr(detector, name, default)
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name}={value!r} of {type(detector).__name__}: allowed is a number between 0 and 1")
    return float(value)


def _names(detector: Any, name: str) -> tuple[str, ...]:
    value = getattr(detector, name, ())
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (None,)
    if not all(isinstance(n, str) for n in names):
        raise TypeError(f"{name}={value!r} of {type(detector).__name__}: allowed is a sequence of names of series")
    return names


def places(finding: Finding) -> dict[str, float | None]:
    """Every epoch that a finding names, by the name under which it does."""
    interval = zip(("onset_interval[0]", "onset_interval[1]"), finding.onset_interval, strict=True)
    return {"onset": finding.onset, "end": finding.end, "known_at": finding.known_at, **dict(interval)}


def _plain(answer: object, what: str) -> Verdict:
    """The answer as a Verdict of plain values, so that no check stumbles over what a stranger has put into it."""
    if not isinstance(answer, Verdict):
        raise Misbehaved(f"{what}, not {_short(answer)}")
    findings = []
    for finding in tuple(answer.findings):
        if not isinstance(finding, Finding):
            raise Misbehaved(f"a finding is {_short(finding)}, no Finding")
        for name, value in {**places(finding), "level": finding.level, "p_value": finding.p_value}.items():
            optional = name in ("end", "p_value") and value is None
            if not optional and (not isinstance(value, Real) or not math.isfinite(value)):
                raise Misbehaved(f"{name} of a finding is {_short(value)}, not a finite number")
        if not isinstance(finding.kind, str):
            raise Misbehaved(f"kind of a finding is {_short(finding.kind)}, not a word")
        lo, hi = (float(e) for e in finding.onset_interval)
        findings.append(
            Finding(
                phenomenon=str(finding.phenomenon),
                onset=float(finding.onset),
                onset_interval=(lo, hi),
                level=float(finding.level),
                known_at=float(finding.known_at),
                end=None if finding.end is None else float(finding.end),
                kind=str(finding.kind),
                p_value=None if finding.p_value is None else float(finding.p_value),
                effect=dict(finding.effect),
                evidence=dict(finding.evidence),
            )
        )
    if not isinstance(answer.phenomenon, str) or not isinstance(answer.reason, str):
        raise Misbehaved(
            f"phenomenon and reason of a Verdict are words, not {_short((answer.phenomenon, answer.reason))}"
        )
    least = answer.min_detectable_effect
    if least is not None and (not isinstance(least, Real) or not math.isfinite(least)):
        raise Misbehaved(f"min_detectable_effect of a Verdict is {_short(least)}, not a finite number")
    return Verdict(
        phenomenon=str(answer.phenomenon),
        status=answer.status,
        findings=tuple(findings),
        reason=str(answer.reason),
        min_detectable_effect=None if least is None else float(least),
    )


def _words(error: BaseException) -> str:
    """The message of an exception."""
    try:
        return _one_line(str(error))
    except Exception:  # a stranger's __str__ may raise anything
        return "(a message that raises)"


def _one_line(text: str) -> str:
    """A text on one line, in characters that every file can hold."""
    return " ".join(text.split()).encode("utf-8", "backslashreplace").decode()


def _within(limit: float, call: Callable[[], T]) -> T:
    """The answer of `call`, made in a thread that is left behind when its time is over."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        _interrupt(thread)
        raise _TimeIsUp
    if errors:
        if isinstance(errors[0], KeyboardInterrupt):  # the detector's; a person's reaches the main thread
            raise Misbehaved("raised KeyboardInterrupt")
        raise errors[0]
    return answers[0]


def _interrupt(thread: threading.Thread) -> None:
    """Raise in a thread that hangs, a few times should it swallow that, so that it does not take the others' time."""
    for _ in range(3):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeIsUp))
        thread.join(0.05)
        if not thread.is_alive():
            return


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a stranger's __repr__ may raise anything
        text = f"a {type(value).__name__}"
    text = _one_line(text)
    return text if len(text) <= 120 else text[:117] + "..."
