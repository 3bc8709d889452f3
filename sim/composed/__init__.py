"""Curves composed in closed form from injected events: exact truth, millions of runs.

`Composed` is the recipe, a few dozen scalars; `sim.composed.expectation` has the equations that turn it into the
expectations of a run and of its twins, `sim.composed.noise` what a log shows of them. What is injected is a cause: the
events follow from the expectations by `sim.truth`.
"""

from __future__ import annotations

from sim.composed.columns import columns
from sim.composed.drawing import draw, draws
from sim.composed.expectation import expected
from sim.composed.noise import BLOCK, SERIES
from sim.composed.recipe import DROPS, Composed, recipes_of
from sim.composed.runs import CURVES, WIDTHS, compose, compose_one, observe
from sim.model import Model, Tier

__all__ = ["BLOCK", "DROPS", "MODEL", "Composed", "compose", "compose_one", "draw", "draws", "observe"]

_KNOWN = (*CURVES, *WIDTHS, "objective")

MODEL = Model(
    name="composed",
    tier=Tier.COMPOSED,
    recipe=Composed,
    draw=draw,
    draws=lambda rngs: recipes_of(draws(rngs)),
    make=compose,
    columns=columns(expected, "composed", _KNOWN),
    series=(*SERIES, "learning_rate"),
    curves=_KNOWN,
    block=BLOCK,
)
