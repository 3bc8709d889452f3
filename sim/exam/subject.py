"""What a detector of one phenomenon is examined on: specs with the event and without, their runs, their truth.

`subject_of` knows the phenomena that composed runs have. For a new phenomenon, make a `Subject` of your own: a spec is
any frozen value whose `repr` is code, drawn by a Hypothesis strategy; `observe` renders it, `events` says what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from hypothesis.strategies import SearchStrategy

from detectors.claims import FalseAlarms, Recovers
from detectors.vocabulary import Event, Phenomenon, Run
from sim.composed import Composed, compose_one, observe
from sim.strategies import corner, null_families, with_event, without_event

__all__ = ["Subject", "subject_of"]

Spec = Any  # frozen, hashable, with a `repr` that is code
Variation = Callable[[Spec, float], Spec]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One phenomenon to be examined in.

    `with_event` draws specs with the event where it should be found, `without_event` specs with none of it; `families`
    are named specs without it on which the false-alarm rate is judged one by one. `observe(spec, seeds)` gives a run
    for each seed, `events(spec)` the truth, which all of them share (grey events included).

    `sharp` draws specs whose onset is plain to see, to judge where it is put (default: `with_event`). `stronger(spec,
    factor)` makes the event larger, `later(spec, k)` moves it by k epochs, `after_drop(spec, _)` and `before_drop`
    put a drop of the learning rate on the other side of it; a check that needs one that is missing is skipped.
    """

    phenomenon: str
    with_event: SearchStrategy[Any]
    without_event: SearchStrategy[Any]
    observe: Callable[[Spec, Sequence[int]], Sequence[Run]]
    events: Callable[[Spec], Sequence[Event]]
    families: Mapping[str, Spec] = field(default_factory=dict)
    sharp: SearchStrategy[Any] | None = None
    stronger: Variation | None = None
    later: Variation | None = None
    after_drop: Variation | None = None
    before_drop: Variation | None = None

    def material(self, spec: Spec) -> list[Event]:
        """The events of the phenomenon that are to be found."""
        return [e for e in self.events(spec) if e.phenomenon == self.phenomenon and e.material]

    def grey(self, spec: Spec) -> list[Event]:
        """The events of the phenomenon, those included that are neither a miss nor a false alarm."""
        return [e for e in self.events(spec) if e.phenomenon == self.phenomenon]


def subject_of(phenomenon: str, recovers: Recovers | None = None, alarms: FalseAlarms | None = None) -> Subject:
    """The subject of one of the phenomena that composed runs have, with events and noise as the promises want them.

    ValueError for any other phenomenon, with what to do.
    """
    recovers = Recovers() if recovers is None else recovers
    alarms = FalseAlarms() if alarms is None else alarms
    if phenomenon not in _FIELDS:
        raise ValueError(
            f"no composed run has {phenomenon!r}; there are {sorted(map(str, _FIELDS))}. "
            "For another phenomenon pass a `sim.exam.Subject` of your own"
        )
    size, at, dropped = _FIELDS[phenomenon]
    return Subject(
        phenomenon=phenomenon,
        with_event=with_event(
            phenomenon, shortest=recovers.shortest, longest=recovers.longest, strength=recovers.strength
        ),
        without_event=without_event(
            phenomenon,
            shortest=alarms.shortest,
            longest=min(alarms.longest, max(alarms.shortest, 250)),  # longer ones are among the families
            autocorrelation=alarms.autocorrelation,
        ),
        sharp=corner(phenomenon),
        families=_families(phenomenon, alarms),
        observe=observe,
        events=_events,
        stronger=_stronger(size) if size else None,
        later=_later(at) if at else None,
        after_drop=_after_drop if dropped else None,
        before_drop=_before_drop if dropped else None,
    )


#: For each phenomenon: the field that makes it larger, the one that says when, and whether a drop may stand beside it.
_FIELDS: dict[str, tuple[str, str, bool]] = {
    Phenomenon.OVERFITTING: ("overfit", "overfit_at", True),
    Phenomenon.GENERALIZATION_GAP: ("", "", True),
    Phenomenon.LR_DROP: ("", "drop_1", False),
    Phenomenon.LR_DROP_RELIEF: ("noise_floor", "drop_1", False),
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: ("drift", "drift_at", True),
    Phenomenon.TRAIN_ABOVE_VAL: ("mode", "", False),
    Phenomenon.PLATEAU: ("", "plateau_at", False),
    Phenomenon.SPIKE: ("spike", "spike_at", True),
    Phenomenon.BLOW_UP: ("", "blow_up_at", True),
    Phenomenon.OSCILLATION: ("swing", "swing_at", True),
    Phenomenon.UNDERFITTING: ("underfit", "", False),
    Phenomenon.DOUBLE_DESCENT: ("overfit", "", False),
    Phenomenon.DELAYED_GENERALIZATION: ("", "delay", False),
}


_LONGEST = 4096  # rows of a run on which a promise without end is held


def _families(phenomenon: str, alarms: FalseAlarms) -> dict[str, Composed]:
    """The named null families, and flat runs at the ends of the promise where none of them lies there."""
    families = null_families(phenomenon)
    flat = families["flat, white noise"]
    ends = [
        *(
            replace(flat, epochs=e, rho=alarms.autocorrelation)
            for e in (alarms.shortest, min(alarms.longest, _LONGEST))
        ),
        replace(flat, growth=alarms.growth),
        replace(flat, growth=-alarms.growth),
    ]
    for spec in ends:
        if spec not in families.values():
            name = f"flat, {spec.epochs} epochs, autocorrelation {spec.rho:g}"
            families[f"{name}, noise growing by exp({spec.growth:g})" if spec.growth else name] = spec
    return families


@lru_cache(maxsize=4096)
def _events(spec: Composed) -> tuple[Event, ...]:
    return compose_one(spec).events


def _stronger(size: str) -> Variation:
    def stronger(spec: Composed, factor: float) -> Composed:
        return replace(spec, **{size: getattr(spec, size) * factor})

    return stronger


def _later(at: str) -> Variation:
    def later(spec: Composed, k: float) -> Composed:
        second = {"drop_2": 0} if at == "drop_1" else {}  # a second drop might be in the way
        return replace(spec, **{at: getattr(spec, at) + int(k), **second})

    return later


def _after_drop(spec: Composed, _: float) -> Composed:
    return replace(spec, drop_1=max(spec.epochs // 5, 1), noise_floor=0.2, relax=0.5)


def _before_drop(spec: Composed, _: float) -> Composed:
    return replace(spec, drop_1=spec.epochs * 17 // 20, noise_floor=0.02, relax=0.5)
