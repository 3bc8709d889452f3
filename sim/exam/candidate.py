"""The detector under examination: every call to it is guarded, so that nothing it does can stop the exam.

It may raise, hang, print, return nonsense: what it did becomes a `Misbehaved` with one line that says so. The time
limit interrupts Python code (SIGALRM); where there is no such signal (other threads than the main one, Windows), the
call runs in a thread that is left behind when its time is over.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, TypeVar

from detectors.claims import Claim, FalseAlarms, claim_of, claims_of
from detectors.vocabulary import Run, Verdict

__all__ = ["Candidate", "Misbehaved"]

T = TypeVar("T")
_MOST_HANGS = 3  # calls that may run out of time before the detector is not asked any more


class Misbehaved(Exception):
    """The detector did something else than to answer; the message says what."""


class _TimeIsUp(BaseException):
    """Raised inside the detector; no `except Exception` of its own may swallow it."""


class Candidate:
    """A detector whose answers can be relied on to be verdicts, or to be a `Misbehaved` that says what happened.

    `printed` holds what it has written to standard output or standard error since it was last emptied.
    """

    def __init__(self, detector: Any, *, time_limit: float = 5.0) -> None:
        phenomenon = getattr(detector, "phenomenon", None)
        if not isinstance(phenomenon, str) or not phenomenon:
            raise TypeError(f"{detector!r} is no detector: its attribute `phenomenon` is {phenomenon!r}, not a name")
        if not callable(getattr(detector, "detect", None)):
            raise TypeError(f"{detector!r} is no detector: it has no method `detect(run)`")
        if isinstance(detector, type):
            raise TypeError(f"{detector.__name__} is a class; the exam takes an instance: {detector.__name__}()")
        if not time_limit > 0:
            raise ValueError(f"time_limit={time_limit!r}: allowed are seconds above 0")
        self.detector = detector
        self.phenomenon = str(phenomenon)
        self.claims: tuple[Claim, ...] = claims_of(detector)
        self.time_limit = time_limit
        self.printed = ""
        self.calls = 0
        self.seconds = 0.0
        self._hangs = 0

    @property
    def name(self) -> str:
        """The name of its class."""
        return type(self.detector).__name__

    @property
    def alpha(self) -> float:
        """The false-alarm rate per run that it promises: its own `alpha` if it has one, else 0.05."""
        return float(getattr(self.detector, "alpha", 0.05))

    @property
    def needs(self) -> tuple[str, ...]:
        """The series that it says it cannot do without."""
        return tuple(getattr(self.detector, "needs", ()))

    def claim(self, kind: type[Claim]) -> Claim | None:
        """Its claim of this kind, None if it does not make it."""
        return claim_of(self.detector, kind)

    @property
    def longest(self) -> int:
        """Epochs of the longest run for which it promises anything."""
        claim = claim_of(self.detector, FalseAlarms)
        return claim.longest if claim is not None else 1000

    def detect(self, run: Run) -> Verdict:
        """Its verdict about one run; Misbehaved if it does not give one."""
        verdict = self._guarded(lambda: self.detector.detect(run), 1)
        if not isinstance(verdict, Verdict):
            raise Misbehaved(f"detect must return a Verdict, not {_short(verdict)}")
        return verdict

    def detect_many(self, runs: Sequence[Run]) -> list[Verdict]:
        """The answer of its own `detect_many`; only for detectors that have one."""
        verdicts = self._guarded(lambda: list(self.detector.detect_many(runs)), len(runs))
        if len(verdicts) != len(runs) or not all(isinstance(v, Verdict) for v in verdicts):
            raise Misbehaved(f"detect_many must return a Verdict for each of {len(runs)} runs, not {_short(verdicts)}")
        return verdicts

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
        except Exception:  # a stranger's constructor or attribute may raise anything
            return None
        return Candidate(other, time_limit=self.time_limit)

    def fresh(self) -> Candidate:
        """A copy that shares no state with it; itself if it cannot be copied."""
        try:
            return Candidate(copy.deepcopy(self.detector), time_limit=self.time_limit)
        except Exception:  # a stranger's __deepcopy__ may raise anything
            return self

    def _guarded(self, call: Callable[[], T], runs: int) -> T:
        if self._hangs >= _MOST_HANGS:
            raise Misbehaved(f"not asked any more: {self._hangs} calls took over {self.time_limit:g} s")
        limit = self.time_limit * max(runs, 1)
        start = time.perf_counter()
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _within(limit, call)
        except _TimeIsUp:
            self._hangs += 1
            raise Misbehaved(f"no answer within {limit:g} s") from None
        except (KeyboardInterrupt, Misbehaved):
            raise
        except BaseException as error:  # whatever a detector raises is its answer, SystemExit included
            text = " ".join(str(error).split())
            raise Misbehaved(f"raised {type(error).__name__}: {text}"[:300]) from error
        finally:
            self.printed += out.getvalue()
            self.calls += runs
            self.seconds += time.perf_counter() - start


def _within(limit: float, call: Callable[[], T]) -> T:
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        with _alarm(limit):
            return call()
    return _in_a_thread(limit, call)


@contextlib.contextmanager
def _alarm(limit: float) -> Iterator[None]:
    running = True

    def ring(signum: int, frame: FrameType | None) -> None:
        if running:
            raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    # it rings again, should the detector swallow everything; another timer of the process goes on afterwards
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, limit, limit)
    start = time.monotonic()
    try:
        yield
    finally:
        running = False
        left = max(remaining - (time.monotonic() - start), 1e-3) if remaining else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def _in_a_thread(limit: float, call: Callable[[], T]) -> T:
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
        raise _TimeIsUp
    if errors:
        raise errors[0]
    return answers[0]


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a stranger's __repr__ may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 120 else text[:117] + "..."
