"""Who does numbered pieces of work: this process, several on this machine, or a Ray cluster.

An engine is a name and a function that opens a `Crew`: it takes numbers and gives the results back as they are ready,
in any order. What a result is depends on its number alone, so the engine cannot matter. Members of a crew keep their
compiled programs, import JAX only where they run, and die with the process that hired them; one that is killed costs
the piece that it was at.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

__all__ = ["ENGINES", "Advance", "Crew", "Crowd", "Engine", "Lost", "Work", "cores"]

DEATHS = 3  # of workers over one piece until we give up on it
ANSWERS = 10.0  # seconds that a cluster may take to answer

Advance = Callable[[int], None]  # is told how much more is done
Work = Callable[[int, Advance], Any]  # can be pickled


class Lost(RuntimeError):
    """Workers died over one piece again and again, or one of them failed; the message says what is known."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """How many workers, where they keep compiled programs (None: nowhere), and which cluster ("": a new one here)."""

    workers: int
    cache: Path | None = None
    address: str = ""


class Crew(Protocol):
    """Workers that are ready, and the type of machine that they all run on."""

    machine: dict[str, str]

    def results(self, numbers: Iterable[int], advance: Advance) -> Iterator[Any]:
        """The results of these pieces, in any order; `advance` is told how much more is done."""


@dataclass(frozen=True)
class Engine:
    """A way to have work done."""

    name: str
    opened: Callable[[Work, Crowd], AbstractContextManager[Crew]]


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _prepared(cache: Path | None) -> dict[str, str]:
    """Get JAX ready in this process, and say what machine it is."""
    from sim.machine import keep_programs, machine

    keep_programs(cache)
    return machine()


# in this process


class _Alone:
    def __init__(self, work: Work, crowd: Crowd) -> None:
        self.work = work
        self.machine = _prepared(crowd.cache)

    def results(self, numbers: Iterable[int], advance: Advance) -> Iterator[Any]:
        return (self.work(number, advance) for number in numbers)


# processes on this machine


class _Worker:
    """A process with a pipe to it, and the piece that it is at."""

    def __init__(self, work: Work, crowd: Crowd, cores: list[int]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of JAX, which deadlocks
        self.pipe, there = context.Pipe()
        self.cores = cores
        self.at: int | None = None
        self.told = 0  # that was reported of it
        self.process = context.Process(target=_work, args=(there, work, crowd.cache, cores), daemon=True)
        self.process.start()
        there.close()

    def begin(self, number: int) -> None:
        self.at, self.told = number, 0
        with suppress(BrokenPipeError):  # it died while it was idle, which shows when it is listened to
            self.pipe.send(number)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(pipe: Any, work: Work, cache: Path | None, cores: list[int]) -> None:
    """The life of a worker: what it is told to do, it does, until nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too, but it is not for it to answer
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    try:
        pipe.send(_prepared(cache))
        while True:
            pipe.send((work(pipe.recv(), pipe.send),))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        pipe.send(error if isinstance(error, OSError | ModuleNotFoundError) else _described(error))


def _described(error: Exception) -> Lost:
    return Lost(f"a worker failed: {type(error).__name__}: {error}")


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


class _Processes:
    def __init__(self, work: Work, crowd: Crowd) -> None:
        self.work, self.crowd = work, crowd
        shares = [cores()[i :: crowd.workers] or cores() for i in range(crowd.workers)]
        self.workers = [_Worker(work, crowd, share) for share in shares]
        self.machine: dict[str, str] = {}
        for worker in self.workers:
            try:
                self.machine = _checked(worker.pipe.recv())
            except EOFError:
                raise Lost("a worker died as it started; is there enough memory?") from None

    def results(self, numbers: Iterable[int], advance: Advance) -> Iterator[Any]:
        ahead = iter(numbers)
        again: list[int] = []
        deaths: dict[int, int] = {}
        idle = list(self.workers)
        while True:
            while idle and (number := again.pop() if again else next(ahead, None)) is not None:
                idle.pop().begin(number)
            busy = {worker.pipe: worker for worker in self.workers if worker.at is not None}
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                try:
                    said = _checked(worker.pipe.recv())
                except (EOFError, ConnectionResetError):
                    again.append(self._bury(worker, deaths, advance))
                    idle.append(self.workers[-1])
                    continue
                if isinstance(said, int):
                    worker.told += said
                    advance(said)
                else:
                    worker.at = None
                    idle.append(worker)
                    yield said[0]

    def _bury(self, worker: _Worker, deaths: dict[int, int], advance: Advance) -> int:
        """Replace a worker that died; the piece that it was at."""
        at = worker.at
        assert at is not None
        deaths[at] = deaths.get(at, 0) + 1
        worker.end()
        if deaths[at] >= DEATHS:
            raise Lost(f"{DEATHS} workers died over piece {at} (status {worker.process.exitcode}); is memory enough?")
        advance(-worker.told)
        self.workers.remove(worker)
        self.workers.append(_Worker(self.work, self.crowd, worker.cores))
        try:
            _checked(self.workers[-1].pipe.recv())
        except EOFError:
            raise Lost("a worker died as it started; is there enough memory?") from None
        return at


def _checked(said: Any) -> Any:
    if isinstance(said, Exception):
        raise said
    return said


@contextmanager
def _local(work: Work, crowd: Crowd) -> Iterator[Crew]:
    if crowd.workers == 1:
        yield _Alone(work, crowd)
        return
    crew: _Processes | None = None
    try:
        crew = _Processes(work, crowd)
        yield crew
    finally:
        for worker in crew.workers if crew else ():
            worker.end()


# a Ray cluster


class _Maker:
    """What a Ray actor is: it loads JAX when it starts, on its own machine, and keeps its programs."""

    def __init__(self, work: Work, cache: Path | None) -> None:
        self.work = work
        self.machine = _prepared(cache)

    def said(self) -> dict[str, str]:
        return self.machine

    def do(self, number: int) -> tuple[Any, int]:
        told: list[int] = []
        return self.work(number, told.append), sum(told)


class _Actors:
    def __init__(self, work: Work, crowd: Crowd) -> None:
        import ray

        self.ray = ray
        # Ray begins an actor that died anew, and gives it the piece that it was at again.
        maker = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=DEATHS - 1)(_Maker)
        self.actors = [maker.remote(work, crowd.cache) for _ in range(crowd.workers)]
        said = self._got([actor.said.remote() for actor in self.actors])
        self.machine = said[0]
        if any(machine != self.machine for machine in said):
            kinds = sorted({"-".join(machine.values()) for machine in said})
            raise Lost(f"the machines of the cluster differ, and so would bits: {', '.join(kinds)}")

    def results(self, numbers: Iterable[int], advance: Advance) -> Iterator[Any]:
        ahead = iter(numbers)
        idle = list(self.actors)
        busy: dict[Any, Any] = {}
        while True:
            while idle and (number := next(ahead, None)) is not None:
                actor = idle.pop()
                busy[actor.do.remote(number)] = actor
            if not busy:
                return
            (ready, *_), _ = self.ray.wait(list(busy), num_returns=1)
            idle.append(busy.pop(ready))
            result, done = self._got(ready)
            advance(done)
            yield result

    def _got(self, what: Any) -> Any:
        try:
            return self.ray.get(what)
        except self.ray.exceptions.RayActorError:
            raise Lost(f"a worker died {DEATHS} times; is memory enough?") from None
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OSError | ModuleNotFoundError):
                raise error.cause from None
            raise Lost(f"a worker failed: {type(error.cause).__name__}: {error.cause}") from None


def _reached(address: str) -> None:
    """Lost if nobody listens at HOST:PORT, which Ray itself says after minutes only; other addresses are left to it."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
        except (OSError, OverflowError, ValueError) as error:  # a port beyond all, a name that can be none
            raise Lost(f"there is no Ray cluster at {address}: {error}") from None


@contextmanager
def _ray(work: Work, crowd: Crowd) -> Iterator[Crew]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    _reached(crowd.address)
    where: dict[str, Any] = {"address": crowd.address} if crowd.address else {"num_cpus": crowd.workers}
    if not crowd.address:
        where |= {"address": "local", "include_dashboard": False}
    try:
        with warnings.catch_warnings():
            # JAX warns of a fork, but none of its threads runs here yet, and what Ray forks becomes another program.
            warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Lost(f"there is no Ray cluster at {crowd.address or 'this machine'}: {first}") from None
    try:
        yield _Actors(work, crowd)
    finally:
        ray.shutdown()


ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Engine("local", _local), Engine("ray", _ray))}
