"""What a detector may promise, as values that it lists in its attribute `claims`.

What is claimed is tested to the letter by the exam (`sim.exam`); what is not claimed is measured and shown, and never
held against a detector. A detector without the attribute is taken to mean what the protocol's words say: its `alpha` is
the share of null runs that alarm, a finding's interval holds the onset at its `level`, a p-value is one, and so on;
that is `STANDARD`. `claims = ()` promises nothing. `RecoversWorst` and `Online` are for those who can keep them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

__all__ = [
    "STANDARD",
    "Claim",
    "Coverage",
    "EpochFree",
    "FalseAlarms",
    "KnownAt",
    "Lasting",
    "Monotone",
    "Nested",
    "Online",
    "PValues",
    "Precise",
    "Recovers",
    "RecoversWorst",
    "Robust",
    "UnitFree",
    "claim_of",
    "claims_of",
    "standard",
]


class Claim:
    """A promise; its fields say how far it goes, its docstring says what it is."""

    def __str__(self) -> str:
        """The promise in words: the first line of its docstring, with its numbers filled in."""
        line = (type(self).__doc__ or "").partition("\n")[0]
        return line.format(**{f.name: getattr(self, f.name) for f in fields(self)})  # type: ignore[arg-type]


def _check_shares(claim: Claim, *names: str) -> None:
    for name in names:
        value = getattr(claim, name)
        if not 0 <= value < 1:
            raise ValueError(f"{type(claim).__name__}: {name}={value!r}: allowed is a share in [0, 1)")


def _check_lengths(claim: Claim, shortest: int, longest: int) -> None:
    if not 4 <= shortest <= longest:
        raise ValueError(
            f"{type(claim).__name__}: shortest={shortest!r}, longest={longest!r}: allowed is 4 <= shortest <= longest"
        )


@dataclass(frozen=True, kw_only=True)
class FalseAlarms(Claim):
    """At most alpha of null runs alarm, for AR(1) noise up to {autocorrelation} and {shortest} to {longest} epochs.

    alpha is the detector's attribute of that name, 0.05 where it has none. `growth` is the largest logarithm of the
    factor by which the noise may grow or shrink over the run; `heavy_tails` says that Student's t with four degrees of
    freedom is covered as well.
    """

    autocorrelation: float = 0.8
    shortest: int = 60
    longest: int = 1000
    growth: float = 0.0
    heavy_tails: bool = False

    def __post_init__(self) -> None:
        _check_shares(self, "autocorrelation")
        _check_lengths(self, self.shortest, self.longest)


@dataclass(frozen=True, kw_only=True)
class Recovers(Claim):
    """At least {share} of events {strength} noise widths high are found in runs of {shortest} to {longest} epochs.

    Found: each event of the run is matched within the tolerance of the scores. The share is that over all the specs
    that the strategies draw; `RecoversWorst` speaks of the worst one.
    """

    share: float = 0.9
    strength: int = 16
    shortest: int = 100
    longest: int = 250

    def __post_init__(self) -> None:
        _check_shares(self, "share")
        _check_lengths(self, self.shortest, self.longest)
        if self.strength < 1:
            raise ValueError(f"Recovers: strength={self.strength!r}: allowed are 1 or more noise widths")


@dataclass(frozen=True, kw_only=True)
class RecoversWorst(Claim):
    """Even on the worst single spec that a search finds, at least {share} of its events are found."""

    share: float = 0.5

    def __post_init__(self) -> None:
        _check_shares(self, "share")


@dataclass(frozen=True, kw_only=True)
class Precise(Claim):
    """At most {share} of runs with one event hold a finding that matches none."""

    share: float = 0.1

    def __post_init__(self) -> None:
        _check_shares(self, "share")


@dataclass(frozen=True, kw_only=True)
class Coverage(Claim):
    """An onset interval holds the true onset with the finding's own level, and is no longer than it needs to be."""


@dataclass(frozen=True, kw_only=True)
class PValues(Claim):
    """Among null runs, at most a share t has a p-value of t or less, for every t."""


@dataclass(frozen=True, kw_only=True)
class UnitFree(Claim):
    """A loss in nats, in bits or times 1,000 gives the same findings."""


@dataclass(frozen=True, kw_only=True)
class EpochFree(Claim):
    """Counting epochs from elsewhere, or in steps, moves the findings and changes nothing else."""


@dataclass(frozen=True, kw_only=True)
class Robust(Claim):
    """One outlier or a rounded log makes no difference that matters."""


@dataclass(frozen=True, kw_only=True)
class Nested(Claim):
    """A smaller alpha finds nothing that a larger one does not."""


@dataclass(frozen=True, kw_only=True)
class Monotone(Claim):
    """A stronger event is not found less often, nor with a larger p-value."""


@dataclass(frozen=True, kw_only=True)
class Lasting(Claim):
    """More of the same afterwards does not erase an old event."""


@dataclass(frozen=True, kw_only=True)
class KnownAt(Claim):
    """A finding could be made from the run up to its `known_at`."""


@dataclass(frozen=True, kw_only=True)
class Online(Claim):
    """What is said about a prefix is never taken back, however the run arrives, and alpha holds over all prefixes."""


STANDARD: tuple[Claim, ...] = (
    FalseAlarms(),
    Recovers(),
    Precise(),
    Coverage(),
    PValues(),
    UnitFree(),
    EpochFree(),
    Robust(),
    Nested(),
    Monotone(),
    Lasting(),
    KnownAt(),
)


def standard(*instead: Claim, without: tuple[type[Claim], ...] = ()) -> tuple[Claim, ...]:
    """STANDARD with these claims instead of those of their kind, and some kinds left out."""
    mine = {type(claim): claim for claim in instead}
    kept = {type(claim): claim for claim in STANDARD if type(claim) not in without}
    return tuple({**kept, **mine}.values())


_C = TypeVar("_C", bound=Claim)


def claims_of(detector: object) -> tuple[Claim, ...]:
    """The claims that `detector` lists, STANDARD if it has no such attribute; TypeError for what is none or doubled."""
    listed = getattr(detector, "claims", STANDARD)
    if not isinstance(listed, Iterable):
        raise TypeError(f"claims of {type(detector).__name__}: {listed!r} is no sequence of claims")
    claims = tuple(listed)
    for claim in claims:
        if not isinstance(claim, Claim):
            raise TypeError(f"claims of {type(detector).__name__}: {claim!r} is no claim; they are in detectors.claims")
    kinds = [type(claim) for claim in claims]
    twice = next((kind.__name__ for kind in kinds if kinds.count(kind) > 1), None)
    if twice:
        raise TypeError(f"claims of {type(detector).__name__}: two of kind {twice}; one is a promise, two are a riddle")
    return claims


def claim_of(detector: object, kind: type[_C]) -> _C | None:
    """The claim of one kind, None if `detector` does not make it."""
    return next((c for c in claims_of(detector) if isinstance(c, kind)), None)
