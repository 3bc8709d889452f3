"""Many labelled runs as arrays, one a column: what a data set is written from, with no Python object for a value.

A model whose runs are made by the hundred thousand gives a `Batch` itself (`Model.columns`); for any other,
`Batch.of` makes one from labelled runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sim.labelled import LabelledRun
from sim.truth import standard_error

__all__ = ["Batch", "Events", "Lists", "Twins"]


@dataclass(frozen=True, eq=False)
class Lists:
    """A list of numbers a run: `values`, float32, one list after another; `lengths`, shape (runs,), -1 for no list."""

    values: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray | None]) -> Lists:
        """The lists of these runs; None where a run has none."""
        there = [array for array in arrays if array is not None]
        values = np.concatenate(there).astype(np.float32) if there else np.empty(0, np.float32)
        return cls(values, np.array([-1 if array is None else len(array) for array in arrays], np.int32))

    @classmethod
    def joined(cls, parts: Sequence[Lists]) -> Lists:
        """The lists of all parts, one part after another."""
        return cls(np.concatenate([p.values for p in parts]), np.concatenate([p.lengths for p in parts]))

    @classmethod
    def rows(cls, matrix: np.ndarray, there: np.ndarray | None = None) -> Lists:
        """The rows of a matrix of shape (runs, n); only those where `there`, of shape (runs,), holds."""
        runs, n = matrix.shape
        keep = np.ones(runs, bool) if there is None else there
        return cls(matrix[keep].astype(np.float32, copy=False).reshape(-1), np.where(keep, n, -1).astype(np.int32))


@dataclass(frozen=True, eq=False, kw_only=True)
class Events:
    """The events of all runs one after another, `counts` of them in each run.

    `counts` has shape (runs,), what follows one entry an event: `end` is NaN where an event goes on to the end of the
    run. The named effects of all events stand one after another, `effects` of them to an event.
    """

    counts: np.ndarray
    phenomenon: Sequence[str]
    kind: Sequence[str]
    onset: np.ndarray
    end: np.ndarray
    band_lo: np.ndarray
    band_hi: np.ndarray
    material: np.ndarray
    effects: np.ndarray
    effect_name: Sequence[str]
    effect_value: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[LabelledRun]) -> Events:
        """The events of labelled runs."""
        flat = [event for run in runs for event in run.events]
        named = [item for event in flat for item in event.effect.items()]
        bands = [event.band or (event.onset, event.onset) for event in flat]
        return cls(
            counts=np.array([len(run.events) for run in runs], np.int32),
            phenomenon=[str(event.phenomenon) for event in flat],
            kind=[event.kind for event in flat],
            onset=np.array([event.onset for event in flat], np.float64),
            end=np.array([np.nan if event.end is None else event.end for event in flat], np.float64),
            band_lo=np.array([lo for lo, _ in bands], np.float64),
            band_hi=np.array([hi for _, hi in bands], np.float64),
            material=np.array([event.material for event in flat], bool),
            effects=np.array([len(event.effect) for event in flat], np.int32),
            effect_name=[name for name, _ in named],
            effect_value=np.array([value for _, value in named], np.float64),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Twins:
    """The twins of all runs one after another, `counts` of them to a run, with the population risk of each.

    `changed` says what differs: `drop`, the drop after `at` epochs is left out, or another name (then `at` is NaN).
    """

    counts: np.ndarray
    changed: Sequence[str]
    at: np.ndarray
    risk: Lists
    se: Lists  # the standard error of `risk` over sister runs; none where it is exact

    @classmethod
    def of(cls, runs: Sequence[LabelledRun]) -> Twins:
        """The twins of labelled runs."""
        flat = [
            twin
            for run in runs
            for twin in (
                *(("drop", at, risk) for at, risk in run.expected.without_drop.items()),
                *((name, np.nan, risk) for name, risk in run.expected.twins.items()),
            )
        ]
        return cls(
            counts=np.array([len(run.expected.without_drop) + len(run.expected.twins) for run in runs], np.int32),
            changed=[changed for changed, _, _ in flat],
            at=np.array([at for _, at, _ in flat], np.float64),
            risk=Lists.of([_mean(risk) for _, _, risk in flat]),
            se=Lists.of([_error(risk) for _, _, risk in flat]),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Labelled runs in columns.

    `recipes` has one recipe a run; `epochs`, of shape (runs,), is the number of their
    epochs, which are 1, 2, ... `series` are the observed ones, `expected` the expectations by the names of
    `Expected.curves`, `se` their standard errors over sister runs, `reference`, of shape (runs,), the loss of the best
    model, NaN where it is not known, `ambiguous` the causes of each run that its curves cannot tell apart.
    """

    recipes: Sequence[Any]
    epochs: np.ndarray
    reference: np.ndarray
    ambiguous: Sequence[Sequence[str]]
    series: Mapping[str, Lists]
    expected: Mapping[str, Lists]
    se: Mapping[str, Lists]
    twins: Twins
    events: Events

    @classmethod
    def of(cls, runs: Sequence[LabelledRun], series: Sequence[str], curves: Sequence[str]) -> Batch:
        """The columns of labelled runs that log some of `series` and have some of the expectations `curves`.

        ValueError names a series or an expectation that is not listed.
        """
        for run in runs:
            for what, there, listed in (("series", run.run.series, series), ("curves", run.expected.curves, curves)):
                if not there.keys() <= set(listed):
                    extra = sorted(there.keys() - set(listed))
                    raise ValueError(f"{run.run.name!r} has {extra}, which its MODEL does not list in `{what}`")
            if run.run.epochs[0] != 1 or run.run.epochs[-1] != len(run.run):
                raise ValueError(f"{run.run.name!r}: the epochs of a synthetic run are 1, 2, ..., n")
        means = {key: [_mean(run.expected.curves.get(key)) for run in runs] for key in curves}
        errors = {key: [_error(run.expected.curves.get(key)) for run in runs] for key in curves}
        return cls(
            recipes=[run.recipe for run in runs],
            epochs=np.array([len(run.run) for run in runs], np.int32),
            reference=np.array([np.nan if (r := run.expected.reference) is None else r for run in runs], np.float64),
            ambiguous=[run.ambiguous for run in runs],
            series={key: Lists.of([run.run.series.get(key) for run in runs]) for key in series},
            expected={key: Lists.of(arrays) for key, arrays in means.items()},
            se={key: Lists.of(arrays) for key, arrays in errors.items()},
            twins=Twins.of(runs),
            events=Events.of(runs),
        )

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The runs of all parts, which have the same series and expectations, one part after another."""
        joined: Batch = _joined(list(parts))
        return joined


def _joined(parts: list[Any]) -> Any:
    """Values of one class, joined field by field."""
    first = parts[0]
    if isinstance(first, Lists):
        return Lists.joined(parts)
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, Mapping):
        return {key: _joined([p[key] for p in parts]) for key in first}
    if isinstance(first, Sequence):
        return [item for p in parts for item in p]
    return type(first)(**{f.name: _joined([getattr(p, f.name) for p in parts]) for f in fields(first)})


def _mean(samples: np.ndarray | None) -> np.ndarray | None:
    if samples is None:
        return None
    mean: np.ndarray = samples[0] if len(samples) == 1 else samples.astype(np.float64).mean(0)
    return mean


def _error(samples: np.ndarray | None) -> np.ndarray | None:
    return None if samples is None or len(samples) == 1 else standard_error(samples)
