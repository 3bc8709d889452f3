"""Logs read and diagnosed, side by side in several processes where there are many, and answered in their order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

from detectors.diagnosis import Diagnosis, diagnose_many
from detectors.readers import NoLog, Unreadable, read
from detectors.vocabulary import BadRun, Detector, Run

__all__ = ["Answer", "Question", "answers", "processes"]

MANY = 200  # logs for which it is worth to start further processes: half a second each
SHARE = 64  # logs that a process is given at once, ...
MOMENT = 0.5  # ... and seconds of reading after which those that it has read are asked about
AHEAD = 4  # shares a process that may be done before they are asked for


@dataclass(frozen=True)
class Answer:
    """What became of one log: its diagnoses, or why it could not be read; and the seconds that both took."""

    path: str
    diagnoses: tuple[Diagnosis, ...] = ()
    error: str = ""
    is_log: bool = True  # False where nothing in it looks like one
    reading: float = 0.0
    diagnosing: float = 0.0


@dataclass(frozen=True)
class Question:
    """What is asked of each log; those that are read in a moment are asked together, which takes less time."""

    alpha: float
    detectors: tuple[Detector, ...]
    format: str | None = None
    mapping: tuple[tuple[str, str], ...] = ()

    def __call__(self, paths: Sequence[str]) -> Iterator[Answer]:
        """Read logs, and ask about each of their runs."""
        waiting: list[tuple[str, list[Run] | Exception, float]] = []
        for path in paths:
            start = time.perf_counter()
            runs: list[Run] | Exception
            try:
                runs = read(path, format=self.format, mapping=dict(self.mapping) or None)
            except (Unreadable, BadRun) as error:
                runs = error
            waiting.append((path, runs, time.perf_counter() - start))
            if len(waiting) == SHARE or sum(seconds for *_, seconds in waiting) > MOMENT:
                yield from self._asked(waiting)
                waiting.clear()
        yield from self._asked(waiting)

    def _asked(self, waiting: Sequence[tuple[str, list[Run] | Exception, float]]) -> Iterator[Answer]:
        """The answers about logs that are read; that of one whose run is refused is no answer about the others."""
        runs = [run for _, given, _ in waiting if not isinstance(given, Exception) for run in given]
        start = time.perf_counter()
        try:
            diagnoses = iter(list(diagnose_many(runs, alpha=self.alpha, detectors=self.detectors)))
        except BadRun as error:
            if len(waiting) == 1:
                yield Answer(waiting[0][0], error=str(error))
            else:
                for one in waiting:
                    yield from self._asked([one])
            return
        each = (time.perf_counter() - start) / max(len(runs), 1)
        for path, given, reading in waiting:
            if isinstance(given, Exception):
                yield Answer(path, error=str(given), is_log=not isinstance(given, NoLog))
            else:
                yield Answer(path, tuple(islice(diagnoses, len(given))), reading=reading, diagnosing=each * len(given))


def processes(jobs: int, paths: Sequence[str]) -> int:
    """How many processes to use where `jobs` were asked for; 0 leaves it to the number of logs and of cores."""
    if "-" in paths:  # nobody else can read this process' standard input
        return 1
    return min(jobs, len(paths)) if jobs else (_cores() if len(paths) >= MANY else 1)


def answers(ask: Callable[[Sequence[str]], Iterator[Answer]], paths: Sequence[str], jobs: int) -> Generator[Answer]:
    """The answer about each path, in order, of `jobs` processes; of this one where it is one.

    `BrokenProcessPool` where one of them died, mostly for want of memory. Close it to end the others.
    """
    if jobs == 1:
        yield from ask(paths)
        return
    # started anew, not forked: numpy's threads do not survive a fork
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_behave)
    ours = set(multiprocessing.active_children())
    try:
        share = min(SHARE, max(1, len(paths) // (AHEAD * jobs)))
        waiting: deque[Future[list[Answer]]] = deque()
        for at in range(0, len(paths), share):
            waiting.append(pool.submit(_each, ask, paths[at : at + share]))
            if len(waiting) > AHEAD * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - ours:
            child.terminate()
        raise
    pool.shutdown()


def _each(ask: Callable[[Sequence[str]], Iterator[Answer]], paths: Sequence[str]) -> list[Answer]:
    return list(ask(paths))


def _behave() -> None:
    """In a further process: end silently by Ctrl-C, and with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
