"""One shard: made from the plan and its number alone, wherever that is, as the bytes of a Parquet file and a tally.

A tally counts the recipes that were tried and, for each phenomenon, the events that are material and that are grey, the
runs with a material one and how strong those are, in `BINS` bins to a factor of ten; tallies of shards add up to that
of the data set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.batch import Events
from sim.catalogue import model
from sim.dataset.columns import encoded, table
from sim.dataset.planning import SPLITS, Plan
from sim.model import Model, Tier

__all__ = ["BINS", "STRENGTH", "Shard", "Tally", "added", "make", "quantile"]

AT_ONCE = 512  # runs, about: more would only take more memory
BINS = 20
#: The effect that says how strong an event is: the first of these that it has.
STRENGTH = ("relative", "mean", "factor", "widths", "swings", "share", "to_come", "left", "times_later")

Tally = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """A finished shard: the bytes of its file, what they are known by, and what is in it."""

    number: int
    runs: int
    content: bytes
    sha256: str
    tally: Tally


def make(plan: Plan, number: int, advance: Callable[[int], None] = lambda runs: None) -> Shard:
    """Make shard `number` of the data set; `advance` is told how many more runs are made."""
    chosen = model(plan.model)
    ids = plan.ids(number)
    # A trained model has its own idea of how many runs are worth making at once; the others are cheap.
    step = chosen.block if chosen.tier is Tier.TRAINED else max(AT_ONCE // chosen.block, 1) * chosen.block
    tables, tallies = [], []
    for start in range(ids.start, ids.stop, step):
        some = range(start, min(start + step, ids.stop))
        seeds, splits = plan.seeds(some), plan.splits(some)
        recipes, tried = plan.drawn(some)
        numbers = np.arange(some.start, some.stop)
        for index in _alike(chosen, recipes):
            batch = chosen.batch([recipes[i] for i in index], seeds[index].tolist())
            tables.append(table(chosen, batch, numbers[index], seeds[index], splits[index]))
            tallies.append(_tally(batch.events, splits[index]))
        tallies[-1]["tried"] = tried
        advance(len(some))
    content = encoded(tables, {"curvesense": plan.hash})
    return Shard(number, len(ids), content, hashlib.sha256(content).hexdigest(), added(tallies))


def _alike(chosen: Model, recipes: Sequence[Any]) -> list[np.ndarray]:
    """Positions of recipes that a model makes fastest together: in columns, those of equal length."""
    if chosen.columns is None:
        return [np.arange(len(recipes))]
    epochs = np.array([recipe.epochs for recipe in recipes])
    return [np.flatnonzero(epochs == length) for length in np.unique(epochs)]


def added(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    tried = 0
    splits: Counter[str] = Counter()
    phenomena: dict[str, Tally] = {}
    for tally in tallies:
        tried += tally["tried"]
        splits.update(tally["splits"])
        for name, counts in tally["phenomena"].items():
            new = {"material": 0, "grey": 0, "runs": 0, "effect": "", "strength": Counter()}
            into = phenomena.setdefault(name, new)
            into["effect"] = into["effect"] or counts["effect"]
            for key in ("material", "grey", "runs"):
                into[key] += counts[key]
            into["strength"].update(counts["strength"])
    return {
        "tried": tried,
        "splits": {name: splits[name] for name in SPLITS},
        "phenomena": {
            name: {**counts, "strength": dict(sorted(counts["strength"].items(), key=lambda item: int(item[0])))}
            for name, counts in sorted(phenomena.items())
        },
    }


def quantile(strength: Mapping[str, int], share: float) -> float:
    """The strength that a share of the events stays below, to the width of a bin."""
    bins, counts = np.array([int(k) for k in strength]), np.array(list(strength.values()))
    at = int(bins[np.searchsorted(np.cumsum(counts), share * counts.sum())])
    return float(10 ** ((at + 0.5) / BINS))


def _tally(events: Events, splits: np.ndarray) -> Tally:
    phenomenon = np.array(events.phenomenon, dtype=object)
    run = np.repeat(np.arange(len(events.counts)), events.counts)
    strength, effect = _strength(events)
    phenomena = {}
    for name in sorted(set(events.phenomenon)):
        here = (phenomenon == name) & events.material
        known = strength[here & (strength > 0)]
        bins, counts = np.unique(np.floor(BINS * np.log10(known)).astype(int), return_counts=True)
        phenomena[name] = {
            "material": int(here.sum()),
            "grey": int((phenomenon == name).sum() - here.sum()),
            "runs": len(np.unique(run[here])),
            "effect": next((STRENGTH[k] for k in effect[here] if k >= 0), ""),
            "strength": dict(zip(map(str, bins.tolist()), counts.tolist(), strict=True)),
        }
    return {
        "tried": 0,
        "splits": dict(zip(SPLITS, np.bincount(splits, minlength=3).tolist(), strict=True)),
        "phenomena": phenomena,
    }


def _strength(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """For each event how strong it is, NaN where nothing says so, and the position in STRENGTH of what does, or -1."""
    strength = np.full(len(events.onset), np.nan)
    effect = np.full(len(strength), -1)
    names = np.array(events.effect_name, dtype=object)
    of = np.repeat(np.arange(len(strength)), events.effects)
    for k in reversed(range(len(STRENGTH))):
        chosen = names == STRENGTH[k]
        strength[of[chosen]] = np.abs(events.effect_value[chosen])
        effect[of[chosen]] = k
    return strength, effect
