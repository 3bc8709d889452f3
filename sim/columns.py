"""Many labelled runs as arrays: what a data set of millions is written from.

A run's row holds the same numbers as its `LabelledRun`, without an object for each run. A model may make `Columns`
itself, which is faster; `columns_of` collects them from labelled runs of any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from detectors.vocabulary import Event
from sim.labelled import LabelledRun

__all__ = ["Columns", "Events", "columns_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Events:
    """Events of many runs, in order of the run and within one as `sim.truth.events` has them.

    All but the last three have shape (events,): `run` is the row of the run, `end` NaN where it runs to the end of the
    run. The effects of event k are `effect_value[i]` under the names `effect_name[i]`, for i from `effect_start[k]`
    to `effect_start[k + 1]`.
    """

    run: np.ndarray
    phenomenon: np.ndarray
    kind: np.ndarray
    onset: np.ndarray
    end: np.ndarray
    band_lo: np.ndarray
    band_hi: np.ndarray
    material: np.ndarray
    effect_start: np.ndarray
    effect_name: np.ndarray
    effect_value: np.ndarray

    def __len__(self) -> int:
        return len(self.run)

    def of_run(self, row: int) -> tuple[Event, ...]:
        """The events of one run as values."""
        return tuple(self[int(k)] for k in np.flatnonzero(self.run == row))

    def __getitem__(self, k: int) -> Event:
        inside = slice(int(self.effect_start[k]), int(self.effect_start[k + 1]))
        return Event(
            phenomenon=str(self.phenomenon[k]),
            onset=float(self.onset[k]),
            end=None if np.isnan(self.end[k]) else float(self.end[k]),
            band=(float(self.band_lo[k]), float(self.band_hi[k])),
            kind=str(self.kind[k]),
            effect={str(n): float(v) for n, v in zip(self.effect_name[inside], self.effect_value[inside], strict=True)},
            material=bool(self.material[k]),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Columns:
    """Labelled runs as arrays: `recipe` and `epochs` of shape (runs,), `series` and `truth` of (runs, longest run).

    `recipe` has a column for each scalar field of the recipe (a field that is no scalar is left out). `series` are
    float32, NaN where a run does not log one and after its last epoch; `truth` likewise holds the population curves and
    `risk_<twin>` for those twins that every run has. `ambiguous` names the causes that the curves cannot tell apart,
    joined by a comma.
    """

    recipe: Mapping[str, np.ndarray]
    epochs: np.ndarray
    series: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    events: Events
    ambiguous: np.ndarray

    def __len__(self) -> int:
        return len(self.epochs)


def events_of(runs: Sequence[Sequence[Event]]) -> Events:
    """The events of each run as arrays."""
    flat = [(row, e) for row, of_run in enumerate(runs) for e in of_run]
    effects = [e.effect for _, e in flat]
    return Events(
        run=np.array([row for row, _ in flat], np.int64),
        phenomenon=np.array([str(e.phenomenon) for _, e in flat], object),
        kind=np.array([e.kind for _, e in flat], object),
        onset=np.array([e.onset for _, e in flat], np.float64),
        end=np.array([np.nan if e.end is None else e.end for _, e in flat], np.float64),
        band_lo=np.array([(e.band or (e.onset,))[0] for _, e in flat], np.float64),
        band_hi=np.array([(e.band or (e.onset,))[-1] for _, e in flat], np.float64),
        material=np.array([e.material for _, e in flat], bool),
        effect_start=np.cumsum([0, *(len(e) for e in effects)]),
        effect_name=np.array([name for e in effects for name in e], object),
        effect_value=np.array([value for e in effects for value in e.values()], np.float64),
    )


def columns_of(runs: Sequence[LabelledRun], series: Sequence[str]) -> Columns:
    """The columns of labelled runs that log at most these series."""
    lengths = np.array([len(r.run) for r in runs], np.int64)
    longest = int(lengths.max()) if len(runs) else 0

    def table(rows: Sequence[np.ndarray | None]) -> np.ndarray:
        out = np.full((len(runs), longest), np.nan, np.float32)
        for i, row in enumerate(rows):
            if row is not None:
                out[i, : len(row)] = row
        return out

    truth = {
        name: table([r.expected.mean(name) if name in r.expected.curves else None for r in runs])
        for name in dict.fromkeys(name for r in runs for name in r.expected.curves)
    }
    twins = [n for n in (runs[0].expected.twins if runs else ()) if all(n in r.expected.twins for r in runs)]
    truth |= {f"risk_{n}": table([r.expected.twins[n].astype(np.float64).mean(0) for r in runs]) for n in twins}
    scalars = [f.name for f in fields(runs[0].recipe) if _scalar(getattr(runs[0].recipe, f.name))] if runs else []
    return Columns(
        recipe={name: np.array([getattr(r.recipe, name) for r in runs]) for name in scalars},
        epochs=lengths,
        series={name: table([r.run.series.get(name) for r in runs]) for name in series},
        truth=truth,
        events=events_of([r.events for r in runs]),
        ambiguous=np.array([",".join(r.ambiguous) for r in runs], object),
    )


def _scalar(value: object) -> bool:
    return isinstance(value, (bool, int, float, str, np.generic))
