"""Recipes on condition: ask for a phenomenon with a strength, or for several together, and get runs that have them.

Sampling recipes blindly hardly ever shows what one wants to see (the question's whole pattern once in thousands). A
`Want` says what a run shall show; `conditioned` looks for a recipe whose truth shows it. Composed recipes are
constructed: each want is injected and the truth is asked whether it holds. For any other model the recipes of its own
distribution are tried a block at a time, and if none will do, those around the best one so far (approximate Bayesian
computation with a narrowing kernel; Beaumont, 2019, Annual Review of Statistics and Its Application 6), so runs are not
drawn from the model's distribution given the wants, only from its support. The number of recipes tried is reported.

    wants = wants_of({"overfitting": {"size": [0.1, 0.3]}, "spike": {"absent": True}})
    found = conditioned(model("margin"), wants, np.random.default_rng([0, 7]), seed=7)
    found.labelled.of("overfitting"), found.tried

What is found depends on the generator, the seed, the model and the wants alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from detectors.vocabulary import Event, Phenomenon
from sim.composed import Composed
from sim.labelled import LabelledRun
from sim.model import Model
from sim.pattern import Pattern, pattern
from sim.recipe import BadRecipe

__all__ = ["BadWant", "Found", "NotFound", "Want", "conditioned", "wants_of"]

PATTERN = "pattern"  # the question's four boxes, about one drop: see `sim.pattern`
_UNITS = ("bottom", "noise", "loss", "own")

#: The effect that is the size of an event, and whether it is a loss (so that it has units) or a number of its own.
_SIZES: dict[str, tuple[str, bool]] = {
    Phenomenon.OVERFITTING: ("prominence", True),
    Phenomenon.GENERALIZATION_GAP: ("final_gap", True),
    Phenomenon.LR_DROP: ("factor", False),
    Phenomenon.LR_DROP_RELIEF: ("mean", True),
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: ("rise", True),
    Phenomenon.TRAIN_ABOVE_VAL: ("mean", True),
    Phenomenon.PLATEAU: ("evaluations", False),
    Phenomenon.SPIKE: ("height", True),
    Phenomenon.BLOW_UP: ("first", False),
    Phenomenon.OSCILLATION: ("height", True),
    Phenomenon.UNDERFITTING: ("left", False),
    Phenomenon.DOUBLE_DESCENT: ("rise", True),
    Phenomenon.DELAYED_GENERALIZATION: ("times_later", False),
}


class BadWant(ValueError):
    """A want that cannot be; the message names the phenomenon, the field, the value and what would be allowed."""


class NotFound(RuntimeError):
    """No recipe was found within the limit; the message says how many were tried and how near the best one came."""


@dataclass(frozen=True, kw_only=True)
class Want:
    """A phenomenon that a run shall show at least once, or with `absent` not at all, not even too small to count.

    `size` is the range of its effect in `unit`: `bottom`, relative to the lowest population risk in it; `noise`, in
    widths of the noise of the validation loss at its onset; `loss`, in the unit of the loss. What is no loss has a
    number of its own and the unit `own`: the factor of a drop, the evaluations of a plateau, what underfitting left,
    how many times later generalisation came. `onset` is where it begins, in shares of the run; `kind` its kind, if it
    matters. For `pattern` the size is the smallest of the four strengths of `sim.pattern`.
    """

    phenomenon: str
    size: tuple[float, float] = (0.0, math.inf)
    unit: str = ""
    onset: tuple[float, float] = (0.0, 1.0)
    kind: str = ""
    absent: bool = False

    def __post_init__(self) -> None:
        known = [*_SIZES, PATTERN]
        if self.phenomenon not in known:
            raise BadWant(f"no phenomenon {self.phenomenon!r}: allowed are {', '.join(map(str, known))}")
        is_loss = self.phenomenon != PATTERN and _SIZES[self.phenomenon][1]
        allowed = _UNITS[:-1] if is_loss else ("own",)
        object.__setattr__(self, "unit", self.unit or allowed[0])
        if self.unit not in allowed:
            raise BadWant(f"{self.phenomenon}: unit={self.unit!r}: allowed is {' or '.join(map(repr, allowed))}")
        for name, most in (("size", math.inf), ("onset", 1.0)):
            value = getattr(self, name)
            try:
                low, high = map(float, value)
            except (TypeError, ValueError):
                raise BadWant(f"{self.phenomenon}: {name}={value!r}: allowed are two numbers") from None
            if not 0 <= low <= high <= most:
                raise BadWant(f"{self.phenomenon}: {name}={value!r}: allowed is 0 <= low <= high <= {most:g}")
            object.__setattr__(self, name, (low, high))
        if self.absent and self.phenomenon == PATTERN:
            raise BadWant("pattern: absent=True: allowed is False; ask for one of its phenomena to be absent")

    def distance(self, labelled: LabelledRun) -> float:
        """How far a run is from showing it: 0 if it does, about 1 for a size wrong by e, 4 where there is no event."""
        if self.phenomenon == PATTERN:
            return self._of_size(pattern(labelled).least(Pattern(red=1, green=1, blue=1, inversion=1)))
        if self.absent:
            return 4.0 if labelled.of(self.phenomenon, grey=True) else 0.0
        return min((self._of_event(labelled, e) for e in labelled.of(self.phenomenon)), default=4.0)

    def _of_event(self, labelled: LabelledRun, event: Event) -> float:
        if self.kind and event.kind != self.kind:
            return 3.0
        at = event.onset / float(labelled.run.epochs[-1])
        away = max(self.onset[0] - at, at - self.onset[1], 0.0)
        return min(self._of_size(size_of(labelled, event, self.unit)) + 4 * away, 3.0)

    def _of_size(self, size: float) -> float:
        low, high = self.size
        if low <= size <= high:
            return 0.0
        if size <= 0 or high == 0:
            return 3.0
        return min(abs(math.log(size / (low if size < low else high))), 3.0)


def size_of(labelled: LabelledRun, event: Event, unit: str) -> float:
    """The size of an event in one of the units; NaN in widths of a noise that is not known."""
    value = abs(event.effect[_SIZES[event.phenomenon][0]])
    if unit in ("loss", "own"):
        return value
    expected = labelled.expected
    at = int(np.searchsorted(expected.epochs, event.onset))
    if unit == "bottom":
        last = len(expected.epochs) if event.end is None else int(np.searchsorted(expected.epochs, event.end)) + 1
        return value / abs(float(np.nanmin(expected.mean("risk")[at:last])))
    width = float(expected.curves["noise_width"][0, at]) if "noise_width" in expected.curves else math.nan
    return value / width if width else math.inf


def wants_of(table: Mapping[str, Mapping[str, Any]]) -> tuple[Want, ...]:
    """The wants of a table from names of phenomena to their fields, as a TOML file has it; BadWant if it is wrong."""
    out = []
    for phenomenon, given in table.items():
        names = [f.name for f in fields(Want) if f.name != "phenomenon"]
        if not isinstance(given, Mapping) or set(given) - set(names):
            wrong = sorted(set(given) - set(names)) if isinstance(given, Mapping) else given
            raise BadWant(f"{phenomenon}: {wrong!r}: allowed are the fields {', '.join(names)}")
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        out.append(Want(phenomenon=phenomenon, **given))
    return tuple(out)


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """A recipe whose run shows what was wanted, that run, and how many recipes were tried for it."""

    recipe: Any
    labelled: LabelledRun
    tried: int


def conditioned(
    model: Model, wants: Sequence[Want], rng: np.random.Generator, *, seed: int, limit: int = 4096
) -> Found:
    """A recipe of `model` that shows all `wants` in the run of this seed; NotFound after `limit` recipes.

    Recipes that differ from the model's distribution in one field come from `rng` alone, so they are the same in any
    company.
    """
    best: list[tuple[float, int, Any]] = []
    tried = 0
    while tried < limit:
        if model.recipe is Composed:
            proposals = [_constructed(wants, model.draw(rng), rng) for _ in range(1 if tried < 4 else 16)]
        elif tried < 4 * model.block or not best:
            proposals = [model.draw(rng) for _ in range(min(model.block, 64))]
        else:
            proposals = _around([recipe for _, _, recipe in best], rng, min(model.block, 64), 0.3 * 0.9 ** (tried / 64))
        for labelled in model.make(proposals, [seed] * len(proposals)):
            tried += 1
            away = sum(want.distance(labelled) for want in wants)
            if away == 0:
                return Found(recipe=labelled.recipe, labelled=labelled, tried=tried)
            best.append((away, tried, labelled.recipe))
        best = sorted(best, key=lambda b: b[:2])[:8]
    asked = ", ".join(str(w.phenomenon) for w in wants)
    raise NotFound(
        f"no recipe of {model.name!r} shows {asked} as wanted among {tried}; the nearest is {best[0][0]:.2g} away "
        "(1: a size wrong by e, 4: an event missing)"
    )


def _around(recipes: Sequence[Any], rng: np.random.Generator, number: int, width: float) -> list[Any]:
    """Recipes around these: each positive number times a log-normal factor; one that cannot be is the old one."""
    out = []
    for _ in range(number):
        old = recipes[int(rng.integers(len(recipes)))]
        changes = {
            f.name: float(value * math.exp(width * rng.standard_normal()))
            for f in fields(old)
            if isinstance(value := getattr(old, f.name), float) and value > 0
        }
        try:
            out.append(replace(old, **changes))
        except BadRecipe:
            out.append(old)
    return out


# composed recipes, by construction


def _constructed(wants: Sequence[Want], drawn: Composed, rng: np.random.Generator) -> Composed:
    """A recipe with what is wanted and nothing else: descent, schedule and noise as drawn, each event injected."""
    kept = ("bayes", "decay", "relax", "factor", "noise", "rho", "accuracy_noise", "val_size", "growth")
    spec = Composed(**{name: getattr(drawn, name) for name in kept}, initial=max(2.3, drawn.bayes + 1.0))
    changes: dict[str, Any] = {"train_bayes": round(0.98 * spec.bayes, 6), "train_decay": spec.decay}
    for want in wants:
        if not want.absent:
            changes |= _INJECTED[want.phenomenon](_Ask(want, spec, rng))
    try:
        return replace(spec, **changes)
    except BadRecipe:  # two wants that leave no room for each other: the truth will say so
        return spec


class _Ask:
    """What an injection draws from: a size in nats or of its own, and an epoch."""

    def __init__(self, want: Want, spec: Composed, rng: np.random.Generator) -> None:
        self.want, self.spec, self.rng = want, spec, rng

    def share(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def size(self, low: float, high: float) -> float:
        """A size as wanted, within `low` to `high` (of the unit) where the want is open; in nats, if it is a loss."""
        least, most = self.want.size
        least = least or min(low, most)
        most = most if math.isfinite(most) else max(high, 2 * least)
        value = float(np.exp(self.rng.uniform(math.log(least), math.log(most)))) if most > 0 else 0.0
        level = self.spec.bayes
        return value * {"bottom": level, "noise": level * self.spec.noise, "loss": 1.0, "own": 1.0}[self.want.unit]

    def at(self, low: float, high: float) -> int:
        """An epoch at which it begins: where it is wanted, within these shares of the run if that leaves a choice."""
        first, last = self.want.onset
        if max(first, low) <= min(last, high):
            first, last = max(first, low), min(last, high)
        return int(np.clip(round(self.share(first, last) * self.spec.epochs), 1, self.spec.epochs - 2))

    def span(self, low: float, high: float) -> int:
        return max(round(self.share(low, high) * self.spec.epochs), 2)


def _overfitting(ask: _Ask) -> dict[str, Any]:
    return {"overfit": ask.size(0.05, 1.0), "overfit_at": ask.at(0.3, 0.7), "overfit_span": ask.span(0.1, 0.3)}


def _gap(ask: _Ask) -> dict[str, Any]:
    return {"train_bayes": max(ask.spec.bayes - ask.size(0.12, 0.6), 0.0), "train_decay": 1.5 * ask.spec.decay}


def _drop(ask: _Ask) -> dict[str, Any]:
    return {"drop_1": ask.at(0.2, 0.8), "factor": min(ask.size(0.1, 0.5), 0.66)}


def _relief(ask: _Ask) -> dict[str, Any]:
    # the mean over what follows the drop is a little less than the whole difference of the floors
    floor = 1.1 * ask.size(0.05, 0.6) / (1 - ask.spec.factor)
    return {"drop_1": ask.at(0.3, 0.7), "noise_floor": floor, "relax": 1.0}


def _divergence(ask: _Ask) -> dict[str, Any]:
    gain = 0.0 if ask.want.kind == "accuracy_flat" else ask.share(0.01, 0.04)
    rise = {"drift": ask.size(0.05, 0.6), "drift_at": ask.at(0.3, 0.7), "drift_span": ask.span(0.1, 0.3)}
    return {**rise, "gain": gain}


def _inversion(ask: _Ask) -> dict[str, Any]:
    part = ask.want.kind if ask.want.kind in ("objective", "mode") else "mode"
    if ask.want.kind == "lag":
        return {"train_bayes": ask.spec.bayes, "decay": 25.0, "train_decay": 25.0, "initial": ask.spec.bayes + 2.5}
    return {part: 0.97 * ask.size(0.05, 0.4), "train_bayes": ask.spec.bayes}  # the rest is lag


def _plateau(ask: _Ask) -> dict[str, Any]:
    decay = ask.spec.epochs * ask.share(0.04, 0.08)
    return {
        "decay": decay,
        "train_decay": decay,
        "plateau_at": ask.at(0.04, 0.1),
        "plateau_span": round(ask.size(max(0.15 * ask.spec.epochs, 12), 0.4 * ask.spec.epochs)),
    }


def _spike(ask: _Ask) -> dict[str, Any]:
    height = ask.size(0.3, 2.0)
    return {"spike": height, "spike_at": ask.at(0.4, 0.9), "spike_span": int(ask.rng.integers(1, 4)), "rho": 0.0}


def _blow_up(ask: _Ask) -> dict[str, Any]:
    return {"blow_up_at": ask.at(0.1, 0.9), "blow_up_span": int(ask.rng.integers(0, 6))}


def _oscillation(ask: _Ask) -> dict[str, Any]:
    period = int(ask.rng.integers(2, 5))
    return {
        "swing": ask.size(0.2, 1.0),
        "swing_at": ask.at(0.3, 0.5),
        "swing_span": max(ask.span(0.2, 0.4), 8 * period),
        "swing_period": period,
    }


def _underfitting(ask: _Ask) -> dict[str, Any]:
    left = min(ask.size(0.25, 0.6), 0.9)
    return {"underfit": left * (ask.spec.initial - ask.spec.bayes), "train_bayes": ask.spec.bayes}


def _double_descent(ask: _Ask) -> dict[str, Any]:
    at, span = ask.at(0.2, 0.4), ask.span(0.1, 0.2)
    rise = {"overfit": ask.size(0.1, 1.0), "overfit_at": at, "overfit_span": span}
    fall = {"double_descent": ask.share(0.6, 1.0), "double_descent_at": at + span, "double_descent_span": span}
    return rise | fall


def _delayed(ask: _Ask) -> dict[str, Any]:
    # training accuracy is 0.99 once the loss is 0.01 / slope above its end
    fast = 3.0
    fitted = fast * math.log((ask.spec.initial - 0.98 * ask.spec.bayes) * ask.spec.slope / 0.01)
    delay = min(ask.size(3.5, 6.0) * fitted, 0.8 * ask.spec.epochs)
    return {"train_top": 1.0, "train_decay": fast, "decay": fast, "delay": round(delay)}


def _pattern(ask: _Ask) -> dict[str, Any]:
    epochs, size = ask.spec.epochs, ask.size(0.1, 0.2) * ask.spec.bayes  # of the pattern: relative to the bottom
    drops = [round(share * epochs) for share in (0.3, 0.6, 0.8)]
    factor = 0.2
    start = drops[0] + max(round(0.03 * epochs), 2)
    return {
        **{f"drop_{k + 1}": milestone for k, milestone in enumerate(drops)},
        "factor": factor,
        "relax": 1.0,
        # relief at the second drop: what the floor falls there, over all that is left of the loss
        "noise_floor": 2.2 * size / (factor - factor**2),
        "overfit": 1.6 * size,
        "overfit_at": start,
        "overfit_span": drops[1] - start,
        "drift": 1.9 * size,
        "drift_at": drops[1] + max(round(0.05 * epochs), 3),
        "drift_span": max(round(0.3 * epochs), 2),
        "gain": ask.share(0.01, 0.03),
        "train_bayes": 0.8 * ask.spec.bayes,
        "train_decay": 1.5 * ask.spec.decay,
        "mode": 0.35 * ask.spec.bayes + size,
    }


_INJECTED: dict[str, Callable[[_Ask], dict[str, Any]]] = {
    Phenomenon.OVERFITTING: _overfitting,
    Phenomenon.GENERALIZATION_GAP: _gap,
    Phenomenon.LR_DROP: _drop,
    Phenomenon.LR_DROP_RELIEF: _relief,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _divergence,
    Phenomenon.TRAIN_ABOVE_VAL: _inversion,
    Phenomenon.PLATEAU: _plateau,
    Phenomenon.SPIKE: _spike,
    Phenomenon.BLOW_UP: _blow_up,
    Phenomenon.OSCILLATION: _oscillation,
    Phenomenon.UNDERFITTING: _underfitting,
    Phenomenon.DOUBLE_DESCENT: _double_descent,
    Phenomenon.DELAYED_GENERALIZATION: _delayed,
    PATTERN: _pattern,
}
