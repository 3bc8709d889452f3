"""Labelled runs from recipes whose expectations are in closed form: composed ones, and those of the margin model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from detectors.segments import drop_positions
from detectors.vocabulary import Phenomenon, Run
from sim.ambiguity import CONFUSED, whitened
from sim.composed.expectation import Curves, expected
from sim.composed.noise import observations, widths
from sim.composed.recipe import DROPS, Composed, columns_of
from sim.labelled import LabelledRun, labelled
from sim.truth import Expected

__all__ = [
    "AMBIGUOUS",
    "CURVES",
    "WIDTHS",
    "Expectation",
    "compose",
    "compose_one",
    "exchangeable",
    "expected_of",
    "make",
    "observe",
    "observed",
]

#: From the fields of recipes, as arrays, and their number of epochs to their curves.
Expectation = Callable[[Mapping[str, np.ndarray], int], Curves]
AMBIGUOUS = ("memorisation", "calibration")  # causes of a rise that trade places where nobody can tell
WIDTHS = {
    "noise_width": "val_loss",
    "noise_width_train_loss": "train_loss",
    "noise_width_val_accuracy": "val_accuracy",
}
CURVES = tuple(
    f.name for f in fields(Curves) if f.name not in ("share", "without_drop", "twins", "objective", "reference")
)


def compose(specs: Sequence[Composed], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of spec and seed; specs may differ in every field, `epochs` included.

    Run i has the same bits in whichever batch it is made.
    """
    return make(specs, seeds, expected, "composed")


def compose_one(spec: Composed, seed: int = 0) -> LabelledRun:
    """The labelled run of one spec."""
    return compose([spec], [seed])[0]


def observe(spec: Composed, seeds: Sequence[int]) -> list[Run]:
    """The observed runs of one spec under many seeds, without their truth (which is the same for all of them)."""
    return observed(spec, seeds, expected, "composed")


def make(specs: Sequence[Any], seeds: Sequence[int], expectation: Expectation, source: str) -> list[LabelledRun]:
    """The labelled runs of recipes with these expectations; recipes of equal length are computed together."""
    if len(specs) != len(seeds):
        raise ValueError(f"{len(specs)} specs and {len(seeds)} seeds: one seed is needed for each spec")
    out: dict[int, LabelledRun] = {}
    for epochs in sorted({s.epochs for s in specs}):
        index = [i for i, s in enumerate(specs) if s.epochs == epochs]
        c = columns_of([specs[i] for i in index])
        curves = expectation(c, epochs)
        series = observations(c, curves, np.array([seeds[i] for i in index], np.uint32))
        width = widths(c, curves)
        unclear = exchangeable(c, curves, width)
        for k, i in enumerate(index):
            run = _run(specs[i], seeds[i], curves.share[k], {name: s[k] for name, s in series.items()}, source)
            truth = expected_of(specs[i], curves, k, {name: w[k] for name, w in width.items()})
            cause = {name: float(values[k]) for name, values in c.items()}
            made = labelled(run, truth, specs[i], cause)
            out[i] = replace(made, ambiguous=AMBIGUOUS) if unclear[k] and made.of(Phenomenon.OVERFITTING) else made
    return [out[i] for i in range(len(specs))]


def observed(spec: Any, seeds: Sequence[int], expectation: Expectation, source: str) -> list[Run]:
    """The observed runs of one recipe under many seeds."""
    c = columns_of([spec])
    curves = expectation(c, spec.epochs)
    series = observations(c, curves, np.array(seeds, np.uint32))
    share = curves.share[0]
    return [_run(spec, seed, share, {n: s[k] for n, s in series.items()}, source) for k, seed in enumerate(seeds)]


def _run(spec: Any, seed: int, share: np.ndarray, series: Mapping[str, np.ndarray], source: str) -> Run:
    logged = {"learning_rate": spec.learning_rate * share} if spec.logged else {}
    epochs = np.arange(1.0, spec.epochs + 1)
    return Run(epochs=epochs, series={**series, **logged}, name=f"{source}-{seed}", source=source)


def expected_of(spec: Any, curves: Curves, k: int, width: Mapping[str, np.ndarray]) -> Expected:
    """The expectations of run `k`, whose noise has these widths."""
    rates = spec.learning_rate * curves.share[k]
    drops = drop_positions(rates)
    milestones = [getattr(spec, f"drop_{j + 1}") for j in range(DROPS)]
    exact = {name: getattr(curves, name)[[k]] for name in CURVES}
    exact |= {name: width[series][None] for name, series in WIDTHS.items()}
    if curves.objective is not None and curves.objective[k]:
        exact["objective"] = np.full((1, spec.epochs), curves.objective[k])
    return Expected(
        epochs=np.arange(1.0, spec.epochs + 1),
        learning_rate=rates,
        curves=exact,
        without_drop={m: curves.without_drop[[k], j] for j, m in enumerate(milestones) if m in drops},
        twins={name: twin[[k]] for name, twin in curves.twins.items()},
        reference=None if curves.reference is None else float(curves.reference[k]),
    )


def exchangeable(c: Mapping[str, np.ndarray], curves: Curves, width: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether memory and drift could stand for each other in a run, and nobody could tell, shape (runs,).

    A rise by `overfit` takes accuracy along, one by `drift` does not; everything else that is logged is the same. So
    the two are as far apart as the accuracies that they would give (`sim.ambiguity`).
    """
    out = np.zeros(len(curves.risk), bool)
    if "overfit" not in c:
        return out  # the margin model: see `sim.margin.rivals`
    x = np.arange(1.0, curves.risk.shape[1] + 1)
    for cause in ("overfit", "drift"):
        gain = c["gain"] if cause == "drift" else np.zeros_like(c["gain"])
        rows = np.flatnonzero((c[cause] > 0) & (c["slope"] * c[cause] + gain < 10 * c["accuracy_noise"]))
        up = np.clip((x - c[f"{cause}_at"][rows][:, None]) / c[f"{cause}_span"][rows][:, None], 0, 1)
        if cause == "overfit":
            up = (curves.risk[rows] - curves.twins["fresh_samples"][rows]) / c["overfit"][rows][:, None]
        lost = (c["slope"] * c[cause] + gain)[rows][:, None] * up
        alone = np.sqrt(1 - c["noise_correlation"][rows] ** 2)[:, None]  # the loss tells the rest of the noise
        seen = whitened(lost, width["val_accuracy"][rows] * alone, c["rho"][rows][:, None])
        out[rows] |= np.sqrt((seen**2).sum(1)) < CONFUSED
    return out
