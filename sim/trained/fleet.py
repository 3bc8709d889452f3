"""Families of runs trained on all cores: a block of sisters at a time, twins from the state where they part.

The unit of computation is a block of `LANES` sisters of one recipe (padded), advanced `CHUNK` epochs at a time by the
program of its shape. So a run has the same bits in whichever company it is trained. Blocks run on as many threads as
there are cores, since the small products of a block use one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from sim.recipe import Recipe
from sim.shape import Numbers, Shape
from sim.trained.program import CHUNK, LANES, METRICS, OBSERVED, programs

__all__ = ["Family", "Measured", "Progress", "train_families"]

Family = Mapping[str | int, Recipe]
#: METRICS with shape (sisters, epochs) and OBSERVED with shape (epochs,), float32.
Measured = dict[str, np.ndarray]
Progress = Callable[[int], None]


def train_families(
    families: Sequence[Family], sisters: int, progress: Progress | None = None, threads: int | None = None
) -> list[dict[str | int, Measured]]:
    """What is measured of `sisters` sisters of every member of every family.

    A member that shares its first epochs with an earlier one (the same numbers, the same rates up to there) starts from
    its state. `progress` is called with the number of sister-epochs done since its last call, by one thread at a time.
    """
    lock = Lock()

    def advance(done: int) -> None:
        if progress:
            with lock:
                progress(done)

    jobs = [job for family in families for job in _jobs(family, sisters)]
    waiting = sorted(jobs, key=lambda job: job.donor is not None)  # a run before its twins: nobody waits in vain
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        futures = [pool.submit(job.train, advance) for job in waiting]
    for future in futures:
        future.result()
    by_name = iter(jobs)
    blocks = range(0, sisters, LANES)
    return [{name: _joined([next(by_name) for _ in blocks]) for name in family} for family in families]


@dataclass(eq=False)
class _Job:
    """A block of sisters of one recipe, from the beginning or from a state of another job."""

    recipe: Recipe
    sisters: range
    donor: _Job | None = None
    begin: int = 0  # epochs taken from the donor
    lent: dict[int, Future[Any]] = field(default_factory=dict)  # states that others start from
    measured: Measured = field(default_factory=dict)

    def shared(self, other: _Job) -> int:
        """Epochs, a multiple of CHUNK, in which the two are the same."""
        mine, theirs = self.recipe, other.recipe
        if Shape.of(mine) != Shape.of(theirs) or Numbers.of(mine) != Numbers.of(theirs) or mine.epochs != theirs.epochs:
            return 0
        same = np.append(_rates(mine) == _rates(theirs), False)
        return min(int(np.argmin(same)), mine.epochs - 1) // CHUNK * CHUNK

    def train(self, progress: Progress) -> None:
        """Fill `measured`; whatever goes wrong also reaches those who wait for a state."""
        try:
            self._train(progress)
        except BaseException as error:
            for future in self.lent.values():
                if not future.done():
                    future.set_exception(error)
            raise

    def _train(self, progress: Progress) -> None:
        recipe, count = self.recipe, len(self.sisters)
        start, advance = programs(Shape.of(recipe))
        numbers = Numbers.of(recipe)
        lanes = np.array([*self.sisters, *[self.sisters[-1]] * (LANES - count)], np.uint32)
        rates = np.append(_rates(recipe), np.zeros(CHUNK, np.float32))
        data, state = start(numbers, lanes)
        out: Measured = {name: np.empty((count, recipe.epochs), np.float32) for name in METRICS}
        out |= {name: np.empty(recipe.epochs, np.float32) for name in OBSERVED}
        if self.donor is not None:
            state = self.donor.lent[self.begin].result()
            for name, values in self.donor.measured.items():
                out[name][..., : self.begin] = values[..., : self.begin]
            progress(self.begin * count)
        self.measured = out
        for e in range(self.begin, recipe.epochs, CHUNK):
            if e in self.lent:
                self.lent[e].set_result(state)
            n = min(CHUNK, recipe.epochs - e)
            state, (metrics, observed) = advance(numbers, lanes, data, state, np.int32(e), rates[e : e + CHUNK])
            for i, name in enumerate(METRICS):
                out[name][:, e : e + n] = np.asarray(metrics)[:n, :count, i].T
            for i, name in enumerate(OBSERVED):
                out[name][e : e + n] = np.asarray(observed)[:n, i]
            progress(n * count)


def _jobs(family: Family, sisters: int) -> list[_Job]:
    """The jobs of a family, member by member, each told where it may begin."""
    jobs: list[_Job] = []
    for recipe in family.values():
        for first in range(0, sisters, LANES):
            job = _Job(recipe, range(first, min(first + LANES, sisters)))
            for earlier in jobs:
                if earlier.sisters == job.sisters and (epochs := earlier.shared(job)) > job.begin:
                    job.donor, job.begin = earlier, epochs
            if job.donor is not None:
                job.donor.lent.setdefault(job.begin, Future())
            jobs.append(job)
    return jobs


def _rates(recipe: Recipe) -> np.ndarray:
    return recipe.schedule.rates(recipe.learning_rate, recipe.epochs).astype(np.float32)


def _joined(blocks: list[_Job]) -> Measured:
    """All sisters together; the observed run is that of the first block."""
    parts = [job.measured for job in blocks]
    return {name: np.concatenate([p[name] for p in parts]) if name in METRICS else parts[0][name] for name in parts[0]}
