"""Labelled runs from composed recipes: one by one as values, or many as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from detectors.segments import drop_positions
from detectors.vocabulary import Run
from sim.composed.expectation import Curves, expectation
from sim.composed.noise import observations, widths
from sim.composed.recipe import DROPS, FIELDS, Composed, columns_of
from sim.labelled import LabelledRun, labelled
from sim.truth import Expected

__all__ = ["compose", "compose_one", "observe"]

_WIDTHS = {
    "noise_width": "val_loss",
    "noise_width_train_loss": "train_loss",
    "noise_width_val_accuracy": "val_accuracy",
}
_CURVES = tuple(f.name for f in fields(Curves) if f.name not in ("share", "ideal", "without_drop"))


def compose(specs: Sequence[Composed], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of spec and seed; specs may differ in every field, `epochs` included.

    Run i has the same bits in whichever batch it is made.
    """
    if len(specs) != len(seeds):
        raise ValueError(f"{len(specs)} specs and {len(seeds)} seeds: one seed is needed for each spec")
    out: dict[int, LabelledRun] = {}
    for epochs in sorted({s.epochs for s in specs}):
        index = [i for i, s in enumerate(specs) if s.epochs == epochs]
        c = columns_of([specs[i] for i in index])
        curves = expectation(c, epochs)
        series = observations(c, curves, np.array([seeds[i] for i in index], np.uint32))
        width = widths(c, curves)
        for k, i in enumerate(index):
            run = _run(specs[i], seeds[i], curves.share[k], {name: s[k] for name, s in series.items()})
            expected = _expected(specs[i], run, curves, k, {name: w[k] for name, w in width.items()})
            cause = {name: float(c[name][k]) for name in FIELDS}
            out[i] = labelled(run, expected, specs[i], cause)
    return [out[i] for i in range(len(specs))]


def compose_one(spec: Composed, seed: int = 0) -> LabelledRun:
    """The labelled run of one spec."""
    return compose([spec], [seed])[0]


def observe(spec: Composed, seeds: Sequence[int]) -> list[Run]:
    """The observed runs of one spec under many seeds, without their truth (which is the same for all of them)."""
    c = columns_of([spec])
    curves = expectation(c, spec.epochs)
    series = observations(c, curves, np.array(seeds, np.uint32))
    return [
        _run(spec, seed, curves.share[0], {name: s[k] for name, s in series.items()}) for k, seed in enumerate(seeds)
    ]


def _run(spec: Composed, seed: int, share: np.ndarray, series: Mapping[str, np.ndarray]) -> Run:
    logged = {"learning_rate": spec.learning_rate * share} if spec.logged else {}
    return Run(
        epochs=np.arange(1.0, spec.epochs + 1), series={**series, **logged}, name=f"composed-{seed}", source="composed"
    )


def _expected(spec: Composed, run: Run, curves: Curves, k: int, width: Mapping[str, np.ndarray]) -> Expected:
    rates = spec.learning_rate * curves.share[k]
    drops = drop_positions(rates)
    milestones = [getattr(spec, f"drop_{j + 1}") for j in range(DROPS)]
    exact = {name: getattr(curves, name)[[k]] for name in _CURVES}
    exact |= {name: width[series][None] for name, series in _WIDTHS.items()}
    if spec.objective:
        exact["objective"] = np.full((1, spec.epochs), spec.objective)
    return Expected(
        epochs=run.epochs,
        learning_rate=rates,
        curves=exact,
        without_drop={m: curves.without_drop[[k], j] for j, m in enumerate(milestones) if m in drops},
        twins={"fresh_samples": curves.ideal[[k]]},
        reference=spec.bayes,
    )
