"""Labelled runs in columns from recipes whose expectations are in closed form: what `make` gives, for data sets.

Nothing is made for a single run: recipes become arrays, arrays become curves, series and events. `make` remains the
plain way to say it, and the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from detectors.vocabulary import Phenomenon
from sim.batch import Batch, Lists, Twins
from sim.composed.expectation import Curves
from sim.composed.labelling import Exact, drops_of, label
from sim.composed.noise import SERIES, observations, widths
from sim.composed.recipe import DROPS, columns_of
from sim.composed.runs import AMBIGUOUS, CURVES, WIDTHS, Expectation, exchangeable, expected_of, make

__all__ = ["columns"]

_AT_ONCE = 512  # runs, so that their arrays stay in the processor's cache


def columns(
    expectation: Expectation, source: str, names: tuple[str, ...]
) -> Callable[[Sequence[Any], Sequence[int]], Batch]:
    """The `columns` of a model with these expectations, which have these `names`."""

    def made(specs: Sequence[Any], seeds: Sequence[int]) -> Batch:
        if len(specs) != len(seeds):
            raise ValueError(f"{len(specs)} specs and {len(seeds)} seeds: one seed is needed for each spec")
        if len({s.epochs for s in specs}) != 1:
            return Batch.of(make(specs, seeds, expectation, source), (*SERIES, "learning_rate"), names)
        parts = [
            _batch(specs[i : i + _AT_ONCE], seeds[i : i + _AT_ONCE], expectation, names)
            for i in range(0, len(specs), _AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else Batch.joined(parts)

    return made


def _batch(specs: Sequence[Any], seeds: Sequence[int], expectation: Expectation, names: tuple[str, ...]) -> Batch:
    epochs, runs = specs[0].epochs, len(specs)
    c = columns_of(specs)
    curves = expectation(c, epochs)
    width = widths(c, curves)
    series = observations(c, curves, np.array(seeds, np.uint32))
    rates = c["learning_rate"][:, None] * curves.share
    penalty = np.zeros(runs) if curves.objective is None else curves.objective
    reference = np.full(runs, np.nan) if curves.reference is None else curves.reference
    truth = {name: getattr(curves, name) for name in CURVES} | {name: width[s] for name, s in WIDTHS.items()}
    row, at = drops_of(rates)
    milestones = np.stack([c[f"drop_{k + 1}"] for k in range(DROPS)], 1)
    order = np.arange(len(row)) - np.searchsorted(row, row)
    drops = np.full((runs, int(order.max(initial=-1)) + 1), -1)
    drops[row, order] = at
    without = np.full((*drops.shape, epochs), np.nan)
    is_milestone = milestones[row] == at[:, None]
    known = is_milestone.any(1)
    which = is_milestone.argmax(1)
    without[row[known], order[known]] = curves.without_drop[row[known], which[known]]
    exact = Exact(
        rates=rates,
        curves=truth | {"objective": penalty[:, None] + np.zeros(epochs), "reference": reference[:, None]},
        drops=drops,
        without_drop=without,
        ideal=curves.twins["fresh_samples"],
        has_objective=penalty != 0,
        expected=lambda i: expected_of(specs[i], curves, i, {name: w[i] for name, w in width.items()}),
    )
    events = label(exact)
    rises = (np.array(events.phenomenon, object) == Phenomenon.OVERFITTING) & events.material
    rising = np.bincount(np.repeat(np.arange(runs), events.counts)[rises], minlength=runs) > 0
    unclear = rising & exchangeable(c, curves, width)
    nothing = Lists(np.empty(0, np.float32), np.full(runs, -1, np.int32))
    expected = {name: Lists.rows(values) for name, values in truth.items()}
    expected["objective"] = Lists.rows(exact.curves["objective"], exact.has_objective)
    logged = Lists.rows(rates, c["logged"] > 0)
    return Batch(
        recipes=specs,
        epochs=np.full(runs, epochs, np.int32),
        reference=reference,
        ambiguous=[AMBIGUOUS if there else () for there in unclear.tolist()],
        series={name: Lists.rows(values) for name, values in series.items()} | {"learning_rate": logged},
        expected={name: expected.get(name, nothing) for name in names},
        se=dict.fromkeys(names, nothing),
        twins=_twins(curves, row[known], at[known], which[known], runs),
        events=events,
    )


def _twins(curves: Curves, row: np.ndarray, at: np.ndarray, which: np.ndarray, runs: int) -> Twins:
    """The twins of each run: those without a drop, in order, then the others by name."""
    names = list(curves.twins)
    other = np.repeat(np.arange(runs), len(names))
    order = np.lexsort((np.arange(len(row) + len(other)) >= len(row), np.concatenate([row, other])))
    risk = np.concatenate([curves.without_drop[row, which], *_interleaved(curves.twins, runs)])[order]
    changed = np.array(["drop"] * len(row) + names * runs, object)[order]
    positions = np.concatenate([at.astype(np.float64), np.full(len(other), np.nan)])[order]
    return Twins(
        counts=(np.bincount(row, minlength=runs) + len(names)).astype(np.int32),
        changed=changed.tolist(),
        at=positions,
        risk=Lists.rows(risk),
        se=Lists(np.empty(0, np.float32), np.full(len(risk), -1, np.int32)),
    )


def _interleaved(twins: Mapping[str, np.ndarray], runs: int) -> list[np.ndarray]:
    return [np.stack(list(twins.values()), 1).reshape(runs * len(twins), -1)]
