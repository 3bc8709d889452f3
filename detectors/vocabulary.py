"""The nouns of curvesense: a run, what truly happened in it, and what a detector claims about it.

Everything here is a frozen value that is checked when it is made, so that no other module has to check it again.
Missing values are NaN. Epochs are those of the log: simulated runs count from 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from detectors import display

__all__ = [
    "BadRun",
    "Detector",
    "Event",
    "Finding",
    "Phenomenon",
    "Run",
    "Status",
    "Verdict",
    "absent",
    "found",
    "reduced",
    "undetermined",
]

LARGEST = 1e100  # a number beyond this counts as infinite
REMEMBERED = 1 << 13  # rows of a run that keeps what was asked of it
Status = Literal["found", "absent", "undetermined"]


class BadRun(ValueError):
    """A run, an event or a finding that cannot be: the message names the series, the index and the value."""


class Phenomenon(StrEnum):
    """What can be in a curve, defined on truth in `sim.truth` and `sim.further`; a new one may be any other string."""

    OVERFITTING = "overfitting"
    GENERALIZATION_GAP = "generalization_gap"
    LR_DROP = "lr_drop"
    LR_DROP_RELIEF = "lr_drop_relief"
    LOSS_ACCURACY_DIVERGENCE = "loss_accuracy_divergence"
    TRAIN_ABOVE_VAL = "train_above_val"
    PLATEAU = "plateau"
    SPIKE = "spike"
    BLOW_UP = "blow_up"
    OSCILLATION = "oscillation"
    UNDERFITTING = "underfitting"
    DOUBLE_DESCENT = "double_descent"
    DELAYED_GENERALIZATION = "delayed_generalization"


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One training run: an increasing epoch (or step) axis and named series on it.

    `epochs` has shape (n,) and every series has shape (n,), float64 and read-only, NaN where nothing was logged.
    Losses are in the unit of the log, accuracies in 0..1, `learning_rate` is the rate used *during* the epoch.
    """

    epochs: np.ndarray
    series: Mapping[str, np.ndarray]
    name: str = "run"
    source: str = ""  # where it came from: a path, a recipe
    group: str = ""  # runs of one recipe (seeds) share it
    notes: tuple[str, ...] = ()  # what the reader had to decide, for the person who reads the report

    def __post_init__(self) -> None:
        epochs = _frozen(self.epochs, f"{self.name!r}: epochs")
        if epochs.size == 0:
            raise BadRun(f"{self.name!r} has no epochs: at least one row is needed")
        bad = np.flatnonzero(~np.isfinite(epochs))
        if bad.size:
            raise BadRun(f"{self.name!r}: epoch[{bad[0]}]={epochs[bad[0]]} is not a number")
        back = np.flatnonzero(np.diff(epochs) <= 0)
        if back.size:
            i = int(back[0])
            raise BadRun(
                f"{self.name!r}: epochs must increase: epoch[{i}]={epochs[i]:.10g} is followed by "
                f"epoch[{i + 1}]={epochs[i + 1]:.10g}. A resumed run? `read()` keeps the later value and says so."
            )
        series = {}
        for key, values in self.series.items():
            array = _frozen(values, f"{self.name!r}: series {key!r}")
            if array.shape != epochs.shape:
                raise BadRun(f"{self.name!r}: series {key!r} has {array.size} values, the epoch axis has {epochs.size}")
            series[str(key)] = array
        object.__setattr__(self, "epochs", epochs)
        object.__setattr__(self, "series", MappingProxyType(series))
        object.__setattr__(self, "notes", tuple(self.notes))

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __len__(self) -> int:
        return int(self.epochs.size)

    def __repr__(self) -> str:
        span = f"epochs {self.epochs[0]:.10g} to {self.epochs[-1]:.10g}"
        return f"Run({self.name!r}, {len(self)} rows, {span}, {', '.join(self.series)})"

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def plot(self, *series: str, ax: Any = None) -> Any:
        """Draw these series, the losses where none is named, and return the matplotlib axes: `ax`, or new ones.

        ImportError names the extra where matplotlib is missing; BadRun a series that is not logged.
        """
        return display.plot(self, *series, ax=ax)

    def __contains__(self, key: object) -> bool:
        known: dict[object, bool] = self.__dict__.setdefault("_logged", {})
        if key not in known:
            known[key] = key in self.series and bool(self._finite(key).any())  # type: ignore[arg-type]
        return known[key]

    def __getitem__(self, key: str) -> np.ndarray:
        """The series `key`, shape (n,); BadRun names what there is instead."""
        if key not in self.series:
            raise BadRun(f"{self.name!r} has no {key!r}; it logs {sorted(self.series)}. Map it: --map {key}=NAME")
        return self.series[key]

    def missing(self, needs: Sequence[str]) -> list[str]:
        """Those of `needs` that this run does not log, or logs without one finite value."""
        return [key for key in needs if key not in self]

    def observed(self, *keys: str) -> tuple[np.ndarray, ...]:
        """(epochs, series, ...) at the rows where all `keys` are finite; each of shape (m,), m <= n.

        Numbers beyond 1e100 count as infinite: their squares would be.
        """
        known: dict[tuple[str, ...], tuple[np.ndarray, ...]] = self.__dict__.setdefault("_observed", {})
        if keys in known:
            return known[keys]
        columns = [self[key] for key in keys]
        keep = np.logical_and.reduce([self._finite(key) for key in keys])
        rows = (self.epochs, *columns)
        if not keep.all():
            rows = tuple(column[keep] for column in rows)
            for column in rows:
                column.setflags(write=False)
        if len(self) <= REMEMBERED:
            known[keys] = rows
        return rows

    def _finite(self, key: str) -> np.ndarray:
        """Where the series `key` is finite, shape (n,)."""
        known: dict[str, np.ndarray] = self.__dict__.setdefault("_where_finite", {})
        if key not in known:
            known[key] = np.abs(self.series[key]) < LARGEST
        return known[key]

    def with_series(self, **series: np.ndarray) -> Run:
        """The same run with series added or replaced."""
        return replace(self, series={**self.series, **series})

    def without(self, *keys: str) -> Run:
        """The same run without these series, as if they had not been logged."""
        return replace(self, series={k: v for k, v in self.series.items() if k not in keys})

    def until(self, epoch: float) -> Run:
        """The prefix of the run up to and including `epoch`."""
        keep = self.epochs <= epoch
        return replace(self, epochs=self.epochs[keep], series={k: v[keep] for k, v in self.series.items()})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that truly happened in a simulated run (definitions: `sim.truth`).

    `onset` and `end` are epochs, `end` is None where it runs to the end of the run; `band` is the set of epochs that
    are as good an onset as `onset` (bottoms are flat). `material` is False for an event too small to be asked for.
    """

    phenomenon: str
    onset: float
    end: float | None = None
    band: tuple[float, float] | None = None
    kind: str = ""
    effect: Mapping[str, float] = field(default_factory=dict)
    material: bool = True

    def __post_init__(self) -> None:
        _check_span(self.phenomenon, self.onset, self.end)
        lo, hi = self.band if self.band is not None else (self.onset, self.onset)
        if not lo <= self.onset <= hi:
            raise BadRun(
                f"{self.phenomenon}: the band [{lo:.10g}, {hi:.10g}] does not contain the onset {self.onset:.10g}"
            )
        object.__setattr__(self, "band", (float(lo), float(hi)))
        object.__setattr__(self, "effect", MappingProxyType({k: float(v) for k, v in self.effect.items()}))

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def distance_to_band(self, epoch: float) -> float:
        """How far, in epochs, a claimed onset lies from the band; 0 inside it."""
        assert self.band is not None  # set on construction
        return max(self.band[0] - epoch, epoch - self.band[1], 0.0)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a detector claims: where, how sure, on which numbers, why, and what to do.

    `onset_interval` is closed and holds the true onset with confidence `level`; `known_at` is the first epoch at which
    the finding could be made; `end` is None where it runs to the end of the run. `evidence` holds named numbers that a
    reader can check against the plot.
    """

    phenomenon: str
    onset: float
    onset_interval: tuple[float, float]
    level: float
    known_at: float
    end: float | None = None
    kind: str = ""
    p_value: float | None = None
    effect: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    explanation: str = ""
    advice: str = ""

    def __post_init__(self) -> None:
        _check_span(self.phenomenon, self.onset, self.end)
        lo, hi = self.onset_interval
        if not lo <= self.onset <= hi:
            raise BadRun(
                f"{self.phenomenon}: the interval [{lo:.10g}, {hi:.10g}] does not contain the onset {self.onset:.10g}"
            )
        if not 0 < self.level < 1:
            raise BadRun(f"{self.phenomenon}: level must lie between 0 and 1, not {self.level!r}")
        if self.p_value is not None and not 0 <= self.p_value <= 1:
            raise BadRun(f"{self.phenomenon}: p_value must lie in 0..1, not {self.p_value!r}")
        object.__setattr__(self, "onset_interval", (float(lo), float(hi)))
        object.__setattr__(self, "effect", MappingProxyType(dict(self.effect)))
        object.__setattr__(self, "evidence", MappingProxyType(dict(self.evidence)))

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def _repr_html_(self) -> str | None:
        return display.html(self)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of one detector about one run: found, absent, or undetermined with the reason. Never two of them.

    `min_detectable_effect` is the smallest effect, in the unit that the detector's docstring names, that this run could
    have shown; None where the detector cannot say.
    """

    phenomenon: str
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    min_detectable_effect: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(self.findings))
        if self.status not in ("found", "absent", "undetermined"):
            raise BadRun(f"{self.phenomenon}: status must be found, absent or undetermined, not {self.status!r}")
        if (self.status == "found") != bool(self.findings):
            raise BadRun(f"{self.phenomenon}: {self.status!r} with {len(self.findings)} findings")
        if self.status == "undetermined" and not self.reason:
            raise BadRun(f"{self.phenomenon}: an undetermined verdict needs its reason")

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)


def found(phenomenon: str, findings: Sequence[Finding], min_detectable_effect: float | None = None) -> Verdict:
    """The verdict that holds these findings, in order of onset."""
    ordered = tuple(sorted(findings, key=lambda f: f.onset))
    return Verdict(phenomenon=phenomenon, status="found", findings=ordered, min_detectable_effect=min_detectable_effect)


def absent(phenomenon: str, reason: str = "", min_detectable_effect: float | None = None) -> Verdict:
    """The verdict that it is not there; `min_detectable_effect` says how small an effect would have been seen."""
    return Verdict(phenomenon=phenomenon, status="absent", reason=reason, min_detectable_effect=min_detectable_effect)


def undetermined(phenomenon: str, reason: str, min_detectable_effect: float | None = None) -> Verdict:
    """The verdict that this run cannot tell, and why."""
    return Verdict(
        phenomenon=phenomenon, status="undetermined", reason=reason, min_detectable_effect=min_detectable_effect
    )


@runtime_checkable
class Detector(Protocol):
    """Anything that answers about one phenomenon; no base class is needed.

    For speed it may also have `ahead(runs)`, which measures runs of one length together (`detectors.together`), or a
    `detect_many(runs)` of its own; neither changes a verdict.
    """

    @property
    def phenomenon(self) -> str:
        """What it looks for."""

    def detect(self, run: Run) -> Verdict:
        """Its answer about one run; never an exception for a run that could be made."""


def _frozen(values: object, what: str) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadRun(f"{what} must hold numbers: {error}") from None
    if array.ndim != 1:
        raise BadRun(f"{what} must have one axis, not shape {array.shape}")
    array.setflags(write=False)
    return array


def reduced(value: Any) -> tuple[Any, ...]:
    """What pickle needs of a frozen dataclass: its fields, but dicts for read-only mappings, which cannot travel."""
    held = {f.name: getattr(value, f.name) for f in fields(value)}
    plain = {name: dict(part) if isinstance(part, MappingProxyType) else part for name, part in held.items()}
    return _made_again, (type(value), plain)


def _made_again(kind: Any, held: Mapping[str, Any]) -> Any:
    return kind(**held)


def _check_span(phenomenon: str, onset: float, end: float | None) -> None:
    if not phenomenon or not isinstance(phenomenon, str):
        raise BadRun(f"a phenomenon is a non-empty string, not {phenomenon!r}")
    if not math.isfinite(onset):
        raise BadRun(f"{phenomenon}: onset must be finite, not {onset!r}")
    if end is not None and not end >= onset:
        raise BadRun(f"{phenomenon}: it ends at {end!r}, before its onset {onset:.10g}")
