"""What every recipe of an analytic model has to be: right kinds of numbers, within bounds, a schedule that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from sim.recipe import BadRecipe
from sim.schedules import BadSchedule

__all__ = ["LARGEST", "allow", "check", "pairs"]

LARGEST = 1_000_000  # so that products of a few settings are finite in single precision


def allow(recipe: Any, name: str, ok: object, allowed: str) -> None:
    """Raise BadRecipe with the field, its value and what would be allowed, unless `ok`."""
    if not ok:
        raise BadRecipe(f"{name}={getattr(recipe, name)!r}: allowed is {allowed}")


def check(recipe: Any, *, least: Mapping[str, float], above: Mapping[str, float]) -> None:
    """Check the kinds of all fields, the fields in `least` and `above` against their bounds, and the schedule."""
    for f in fields(recipe):
        value = getattr(recipe, f.name)
        number = isinstance(value, Real) and not isinstance(value, bool)
        if f.type == "int":
            whole = number and isinstance(value, Integral)
            allow(recipe, f.name, whole and abs(value) <= LARGEST, f"a whole number, at most {LARGEST}")
        elif f.type == "float":
            finite = number and math.isfinite(value)
            allow(recipe, f.name, finite and abs(value) <= LARGEST, f"a finite number, at most {LARGEST} in size")
        elif f.type == "bool":
            allow(recipe, f.name, isinstance(value, bool), "True or False")
    for name, bound in least.items():
        allow(recipe, name, getattr(recipe, name) >= bound, f"{bound} or more")
    for name, bound in above.items():
        allow(recipe, name, getattr(recipe, name) > bound, f"above {bound}")
    try:
        recipe.schedule.rates(recipe.learning_rate, recipe.epochs)
    except BadSchedule as error:
        raise BadRecipe(f"schedule.{error}") from None


def pairs(recipes: Sequence[Any], seeds: Sequence[int]) -> list[tuple[Any, int]]:
    """Recipes and their seeds, or ValueError where their numbers differ or a seed is none."""
    if len(recipes) != len(seeds):
        raise ValueError(f"{len(recipes)} recipes and {len(seeds)} seeds: one seed is needed for each recipe")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**32:
            raise ValueError(f"seed={seed!r}: allowed is a whole number in 0..2^32-1")
    return list(zip(recipes, seeds, strict=True))
