"""Hypothesis strategies for composed runs: a handful of scalars each, which shrink to the simplest curve.

`with_event(phenomenon)` draws specs that have the event at the stated strength; `without_event(phenomenon)` draws specs
that have none of it, the look-alikes included. All have 200 epochs, so that nothing is compiled twice.
"""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st

from detectors.vocabulary import Phenomenon
from sim.composed import Composed

__all__ = ["EPOCHS", "STRENGTH", "with_event", "without_event"]

EPOCHS = 200
#: Widths of the evaluation noise that an injected effect has at least.
STRENGTH = 16

_NOISE = st.sampled_from([0.005, 0.01, 0.02])
_RHO = st.sampled_from([0.0, 0.2, 0.4])
_WIDTHS = st.integers(STRENGTH, 3 * STRENGTH)
_DECAY = st.integers(3, 10)


def with_event(phenomenon: str) -> st.SearchStrategy[Composed]:
    """Specs with the event, at STRENGTH noise widths or more; ValueError for a phenomenon that no tier injects."""
    return _pick(_WITH, phenomenon)


def without_event(phenomenon: str) -> st.SearchStrategy[Composed]:
    """Specs without the event; ValueError for a phenomenon that no tier injects."""
    return _pick(_WITHOUT, phenomenon)


def _pick(table: dict[str, Callable[[], st.SearchStrategy[Composed]]], phenomenon: str) -> st.SearchStrategy[Composed]:
    if phenomenon not in table:
        raise ValueError(f"no composed runs with or without {phenomenon!r}; there are {sorted(map(str, table))}")
    return table[phenomenon]()


@st.composite
def _overfitting(draw: st.DrawFn) -> Composed:
    noise, at = draw(_NOISE), draw(st.integers(40, 140))
    return Composed(
        noise=noise,
        rho=draw(_RHO),
        decay=draw(_DECAY),
        overfit=draw(_WIDTHS) * noise * 0.5,
        overfit_at=at,
        overfit_span=draw(st.integers(20, 40)),
        drop_1=draw(st.sampled_from([0, 20])),
    )


@st.composite
def _no_overfitting(draw: st.DrawFn) -> Composed:
    """Decays, plateaus, falls at drops, null drops; noise that remembers."""
    drops = draw(st.sampled_from([(0, 0, 0), (60, 0, 0), (60, 120, 160)]))
    return Composed(
        noise=draw(st.sampled_from([0.005, 0.02, 0.05])),
        rho=draw(st.sampled_from([0.0, 0.4, 0.8])),
        decay=draw(st.sampled_from([1, 5, 20, 60])),
        train_decay=draw(st.sampled_from([1, 5, 20, 60])),
        noise_floor=draw(st.sampled_from([0.0, 0.1, 0.4])),
        drop_1=drops[0],
        drop_2=drops[1],
        drop_3=drops[2],
    )


@st.composite
def _gap(draw: st.DrawFn) -> Composed:
    noise = draw(_NOISE)
    return Composed(
        noise=noise,
        rho=draw(_RHO),
        decay=draw(_DECAY),
        train_decay=draw(st.integers(12, 25)),
        train_bayes=0.45 - draw(_WIDTHS) * noise * 0.5,
    )


@st.composite
def _no_gap(draw: st.DrawFn) -> Composed:
    return Composed(
        noise=draw(_NOISE),
        rho=draw(_RHO),
        decay=draw(_DECAY),
        train_decay=draw(_DECAY),
        train_bayes=draw(st.sampled_from([0.45, 0.475, 0.5, 0.6])),
        mode=draw(st.sampled_from([0.0, 0.1])),
    )


@st.composite
def _drop(draw: st.DrawFn) -> Composed:
    return Composed(
        noise=draw(_NOISE),
        rho=draw(_RHO),
        drop_1=draw(st.integers(30, 100)),
        drop_2=draw(st.sampled_from([0, 140])),
        factor=draw(st.sampled_from([0.1, 0.2, 0.5])),
    )


@st.composite
def _no_drop(draw: st.DrawFn) -> Composed:
    return Composed(
        noise=draw(_NOISE), rho=draw(_RHO), decay=draw(_DECAY), overfit=draw(st.sampled_from([0.0, 0.2])), overfit_at=80
    )


@st.composite
def _relief(draw: st.DrawFn) -> Composed:
    noise, factor = draw(_NOISE), draw(st.sampled_from([0.1, 0.2]))
    floor = draw(_WIDTHS) * noise * 0.5 / (1 - factor)
    return Composed(
        noise=noise,
        rho=draw(_RHO),
        decay=draw(_DECAY),
        factor=factor,
        noise_floor=floor,
        relax=draw(st.sampled_from([0.5, 1.0, 2.0])),
        drop_1=draw(st.integers(60, 130)),
        overfit=draw(st.sampled_from([0.0, 0.1])),
        overfit_at=30,
        overfit_span=150,
    )


@st.composite
def _null_drop(draw: st.DrawFn) -> Composed:
    """Drops that change nothing, on plateaus, decays and rises."""
    return Composed(
        noise=draw(st.sampled_from([0.005, 0.02, 0.05])),
        rho=draw(st.sampled_from([0.0, 0.25, 0.5])),
        decay=draw(st.sampled_from([1, 5, 20, 60])),
        drop_1=draw(st.integers(50, 80)),
        drop_2=draw(st.integers(110, 140)),
        overfit=draw(st.sampled_from([0.0, 0.1, 0.3])),
        overfit_at=draw(st.sampled_from([20, 60, 100])),
        overfit_span=100,
    )


@st.composite
def _divergence(draw: st.DrawFn) -> Composed:
    noise = draw(_NOISE)
    return Composed(
        noise=noise,
        rho=draw(_RHO),
        decay=draw(_DECAY),
        drift=draw(_WIDTHS) * noise * 0.5,
        drift_at=draw(st.integers(40, 140)),
        drift_span=draw(st.integers(20, 40)),
        gain=draw(st.sampled_from([0.0, 0.02])),
        accuracy_noise=0.002,
    )


@st.composite
def _no_divergence(draw: st.DrawFn) -> Composed:
    """Nothing, or a rise with which accuracy falls."""
    noise = draw(_NOISE)
    return Composed(
        noise=noise,
        rho=draw(st.sampled_from([0.0, 0.4, 0.8])),
        decay=draw(_DECAY),
        overfit=draw(st.sampled_from([0, STRENGTH, 3 * STRENGTH])) * noise * 0.5,
        overfit_at=draw(st.integers(40, 140)),
        overfit_span=draw(st.integers(20, 40)),
        slope=0.5,
        accuracy_noise=0.002,
    )


@st.composite
def _inversion(draw: st.DrawFn) -> Composed:
    noise = draw(_NOISE)
    return Composed(
        noise=noise,
        rho=draw(_RHO),
        decay=draw(_DECAY),
        train_decay=draw(st.integers(12, 25)),
        mode=draw(_WIDTHS) * noise,
        train_bayes=draw(st.sampled_from([0.2, 0.3])),
    )


@st.composite
def _no_inversion(draw: st.DrawFn) -> Composed:
    """Training loss below the risk from the first epoch on, or equal to it."""
    return Composed(
        noise=draw(_NOISE),
        rho=draw(_RHO),
        decay=draw(st.sampled_from([0.2, 10.0, 30.0])),
        train_decay=0.2,
        initial=0.6,
        train_bayes=draw(st.sampled_from([0.3, 0.45, 0.5])),
    )


_WITH: dict[str, Callable[[], st.SearchStrategy[Composed]]] = {
    Phenomenon.OVERFITTING: _overfitting,
    Phenomenon.GENERALIZATION_GAP: _gap,
    Phenomenon.LR_DROP: _drop,
    Phenomenon.LR_DROP_RELIEF: _relief,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _divergence,
    Phenomenon.TRAIN_ABOVE_VAL: _inversion,
}
_WITHOUT: dict[str, Callable[[], st.SearchStrategy[Composed]]] = {
    Phenomenon.OVERFITTING: _no_overfitting,
    Phenomenon.GENERALIZATION_GAP: _no_gap,
    Phenomenon.LR_DROP: _no_drop,
    Phenomenon.LR_DROP_RELIEF: _null_drop,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _no_divergence,
    Phenomenon.TRAIN_ABOVE_VAL: _no_inversion,
}
