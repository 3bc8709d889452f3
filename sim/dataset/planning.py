"""What a data set is, in full: from this value alone any of its runs can be made, in any order, anywhere.

Run i takes its recipe, its random streams and its place in the split from (seed, i). No two runs of a data set share a
stream: the seeds of runs are a permutation of their numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.catalogue import model
from sim.model import Model, Tier
from sim.recipe_file import sampler

__all__ = ["FORMAT", "SPLIT", "SPLITS", "Plan", "differences", "plan"]

FORMAT = 1  # of the columns and the manifest: another number, another data set
SPLITS = ("train", "validation", "test")
SPLIT = (0.8, 0.1, 0.1)  # unless told otherwise
SHARD = {Tier.COMPOSED: 4096, Tier.ANALYTIC: 1024, Tier.TRAINED: 16}  # runs in a file, about, unless told otherwise
_MASK = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A data set of `runs` runs of a model: `shard` runs to a file, a whole number of the model's blocks.

    `recipes` is what a recipe file says, as `sim.recipe_file.load` gives it, or empty for the model's own distribution.
    """

    model: str
    runs: int
    seed: int
    split: tuple[float, float, float]
    shard: int
    recipes: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The plan as JSON has it; its hash tells data sets apart."""
        return {
            "format": FORMAT,
            "model": self.model,
            "runs": self.runs,
            "seed": self.seed,
            "split": dict(zip(SPLITS, self.split, strict=True)),
            "runs_in_a_shard": self.shard,
            "recipes": json.loads(self.recipes) if self.recipes else None,
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the document."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        """How many files there are."""
        return -(-self.runs // self.shard)

    def ids(self, shard: int) -> range:
        """The numbers of the runs of one shard."""
        return range(shard * self.shard, min((shard + 1) * self.shard, self.runs))

    def file(self, shard: int) -> str:
        """The name of a shard below the folder of the data set."""
        return f"data/part-{shard:05d}.parquet"

    def drawn(self, ids: range) -> tuple[Sequence[Any], int]:
        """The recipes of these runs, and how many were tried for them."""
        chosen = model(self.model)
        rngs = [np.random.default_rng([self.seed, i]) for i in ids]
        if not self.recipes:
            return chosen.drawn(rngs), len(ids)
        return sampler(chosen, self.recipes)(rngs, self.seeds(ids).tolist())

    def seeds(self, ids: range) -> np.ndarray:
        """The seeds of their random streams, int64 of shape (runs,): whole numbers in 0..2^31-1, no two alike."""
        keys = np.random.SeedSequence([self.seed, 1]).generate_state(3)
        x = np.arange(ids.start, ids.stop, dtype=np.uint64)
        mask = np.uint64(_MASK)
        for key, odd in zip(keys.astype(np.uint64), (0x2545F491, 0x1B873593, 0x5BD1E995), strict=True):
            x = (x + key) & mask  # each of the three steps is one to one on 31 bits
            x = (x * np.uint64(odd)) & mask
            x ^= x >> np.uint64(15)
        return x.astype(np.int64)

    def splits(self, ids: range) -> np.ndarray:
        """The position in SPLITS of each of these runs, int8 of shape (runs,): by a hash of (seed, run)."""
        key = np.uint64(np.random.SeedSequence([self.seed, 2]).generate_state(1, np.uint64)[0])
        x = np.arange(ids.start, ids.stop, dtype=np.uint64) ^ key
        for shift, odd in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # the finaliser of SplitMix64
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(odd)
        share = (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64
        return np.searchsorted(np.cumsum(self.split)[:2], share, side="right").astype(np.int8)


def plan(
    name: str,
    *,
    runs: int,
    seed: int = 0,
    split: tuple[float, float, float] = SPLIT,
    shard: int | None = None,
    recipes: str = "",
) -> Plan:
    """The plan of a data set; `name` is a model or a tier, `shard` is rounded up to whole blocks.

    ValueError says what would be allowed; KeyError which models there are.
    """
    chosen: Model = model(name)
    if runs < 1 or runs > _MASK:
        raise ValueError(f"runs={runs!r}: allowed is 1..2^31-1")
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed!r}: allowed is a whole number in 0..2^31-1")
    if len(split) != 3 or not all(share >= 0 for share in split) or abs(sum(split) - 1) > 1e-9:
        raise ValueError(f"split={split!r}: allowed are three shares from 0 that add up to 1")
    if shard is not None and shard < 1:
        raise ValueError(f"shard={shard!r}: allowed is 1 run or more")
    blocks = -(-(SHARD[chosen.tier] if shard is None else shard) // chosen.block)
    return Plan(model=chosen.name, runs=runs, seed=seed, split=split, shard=blocks * chosen.block, recipes=recipes)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """What differs between two documents, in words: `runs 10 there, 20 here`."""
    keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
    return "; ".join(f"{key} {_short(a.get(key))} there, {_short(b.get(key))} here" for key in keys)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else "another one" if len(text) > 200 else text[:57] + "..."
