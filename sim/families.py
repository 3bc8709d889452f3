"""Named recipes with nothing to find, or something that only looks like it: what a false-alarm rate is stated on.

Each family is one composed recipe under many seeds. It is null for a phenomenon if its truth has no event of it, not
even a grey one; `null_for` says which are. The groups:

- `nothing`: flat and decaying curves;
- `hard`: nothing to find either, in noise or on curves that make it hard to tell;
- `null_drop`: the rate drops and changes nothing, or harms;
- `look_alike`: something is there that is taken for something else;
- `decoy`: a sudden change without the cause that it suggests.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from sim.composed import Composed, compose_one

__all__ = ["FAMILIES", "Family", "is_null", "null_for"]

Group = Literal["nothing", "hard", "null_drop", "look_alike", "decoy"]


@dataclass(frozen=True)
class Family:
    """A recipe and its group; `promised` where the built-in detectors were calibrated with it in mind."""

    recipe: Composed
    group: Group
    promised: bool = True


_FLAT: dict[str, Any] = {"initial": 0.6, "decay": 0.5, "train_decay": 0.5, "noise": 0.02}
_DECAY: dict[str, Any] = {"decay": 8.0, "train_decay": 6.0, "noise": 0.02}
_SLOW: dict[str, Any] = {"decay": 40.0, "train_decay": 30.0, "noise": 0.02}
_THREE: dict[str, Any] = {"drop_1": 60, "drop_2": 120, "drop_3": 160}

FAMILIES: dict[str, Family] = {
    "flat, white noise": Family(Composed(**_FLAT), "nothing"),
    "flat, autocorrelation 0.4": Family(Composed(rho=0.4, **_FLAT), "nothing"),
    "flat, autocorrelation 0.8": Family(Composed(rho=0.8, **_FLAT), "hard"),
    "flat, 60 epochs, autocorrelation 0.8": Family(Composed(epochs=60, rho=0.8, **_FLAT), "hard"),
    "flat, 1000 epochs, autocorrelation 0.8": Family(Composed(epochs=1000, rho=0.8, **_FLAT), "hard"),
    "flat, null drops, autocorrelation 0.8": Family(Composed(rho=0.8, **_THREE, **_FLAT), "null_drop"),
    "decay, white noise": Family(Composed(**_DECAY), "nothing"),
    "slow decay, autocorrelation 0.4": Family(Composed(rho=0.4, **_SLOW), "hard"),
    "slow decay, null drops": Family(Composed(**_THREE, **_SLOW), "null_drop"),
    "decay, falls at drops": Family(Composed(noise_floor=0.3, **_THREE, **_DECAY), "look_alike"),
    "cosine with a noise floor": Family(Composed(cosine=1, noise_floor=0.3, **_DECAY), "look_alike"),
    "a rise that training shares": Family(Composed(shared=0.2, overfit_at=100, **_DECAY), "look_alike"),
    "a rise with falling accuracy": Family(Composed(overfit=0.3, overfit_at=100, slope=0.5, **_DECAY), "look_alike"),
    "training mode lifts the training loss": Family(Composed(mode=0.2, **_DECAY), "look_alike"),
    "flat, noise growing e-fold": Family(Composed(growth=1.0, **_FLAT), "hard"),
    "flat, heavy tails": Family(Composed(tails=1, **_FLAT), "hard"),
    "power law": Family(Composed(power=0.7, **_DECAY), "hard", promised=False),
    "power law, autocorrelation 0.8": Family(Composed(power=0.7, rho=0.8, **_DECAY), "hard", promised=False),
    "decay, 500 examples in validation": Family(
        Composed(val_size=500, accuracy_noise=0.01, **_DECAY), "hard", promised=False
    ),
    "flat, drops that quiet the noise only": Family(
        Composed(noise_rate=0.5, **_THREE, **_FLAT), "null_drop", promised=False
    ),
    "slow decay, a drop that harms": Family(Composed(pace=1.0, drop_1=60, **_SLOW), "null_drop", promised=False),
    "warm-up, then stable, then to a tenth": Family(
        Composed(warmup=10, wsd=0.2, final=0.1, noise_floor=0.3, pace=0.5, **_DECAY), "look_alike", promised=False
    ),
    "a penalty lifts the training loss": Family(Composed(objective=0.2, **_DECAY), "look_alike", promised=False),
    "a jump without a drop": Family(Composed(jump=0.2, jump_at=100, **_DECAY), "decoy", promised=False),
    "a jump without a drop, autocorrelation 0.8": Family(
        Composed(jump=0.2, jump_at=100, rho=0.8, **_DECAY), "decoy", promised=False
    ),
    "a jump beside a null drop": Family(Composed(jump=0.2, jump_at=90, drop_1=120, **_DECAY), "decoy", promised=False),
    "a spike": Family(Composed(spike=0.4, spike_at=100, **_DECAY), "decoy", promised=False),
    "swings": Family(
        Composed(swing=0.2, swing_at=60, swing_span=60, swing_period=4, **_DECAY), "decoy", promised=False
    ),
}


_GROUPS: tuple[Group, ...] = ("nothing", "hard", "null_drop", "look_alike", "decoy")


def null_for(phenomenon: str, groups: Collection[Group] = _GROUPS) -> dict[str, Family]:
    """The families of these groups whose truth has no event of the phenomenon, grey ones included."""
    out = {}
    for name, family in FAMILIES.items():
        if family.group in groups and is_null(family.recipe, phenomenon):
            out[name] = family
    return out


def is_null(recipe: Composed, phenomenon: str) -> bool:
    """Whether the truth of a recipe has no event of the phenomenon, grey ones included."""
    # noise and its length are nothing to the truth, and the default ones have their program compiled already
    calm = replace(recipe, tails=0, epochs=min(recipe.epochs, 200))
    return not compose_one(calm).of(phenomenon, grey=True)
