"""What truly happened in a run: the phenomena, defined on population values and on twins.

Everything is computed from `Expected`: expectations on the epoch axis, either exact or means over sister runs whose
spread gives the standard error. R is the population risk, A the population accuracy, L the training loss in evaluation
mode on un-augmented inputs, T the training loss as logged, Rcal the risk after the best temperature; D = R of the twin
without a drop minus R. The numbers below are the definitions that scores use; seven further phenomena have theirs in
`sim.further`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from detectors.segments import drop_positions, segments
from detectors.shapes import Rise, rises
from detectors.vocabulary import Event, Phenomenon, reduced
from sim.further import further_events

__all__ = ["Expected", "RiskRise", "events", "is_null", "risk_rises", "standard_error"]

MATERIAL = 0.02  # a rise counts from this share of its bottom ...
MATERIAL_SE = 4.0  # ... and this many standard errors
NEGLIGIBLE = 0.005  # and is nothing below this share ...
NEGLIGIBLE_SE = 2.0  # ... or this many
BAND = 0.005  # a bottom is flat up to this share of it, or ...
BAND_OF_PROMINENCE = 0.10  # ... this share of the rise, whichever is less
TRAINING_WORSE = 0.01  # more than this and training rose as well
GAP = 0.10
RELIEF = 0.005
RELIEF_SE = 3.0
ACCURACY = 0.002
ABOVE = 0.005
ABOVE_EPOCHS = 3
SPIKE_EPOCHS = 5
VISIBLE = 3  # epochs within which a drop is to be seen
_WIDTHS = {
    "risk": "noise_width",
    "train_loss": "noise_width_train_loss",
    "population_accuracy": "noise_width_val_accuracy",
}
_LOSSES = ("risk", "risk_calibrated", "train_loss", "train_loss_eval")


@dataclass(frozen=True, eq=False, kw_only=True)
class Expected:
    """Expectations of one run on its epoch axis.

    `epochs` and `learning_rate` have shape (n,). Each curve of `curves` has shape (sisters, n) with two or more
    sisters, or (1, n) where it is exact (its standard error is then 0): `risk`, `population_accuracy`, `train_loss`,
    `train_loss_eval`, `risk_calibrated`; a regression has neither the second nor the last. `without_drop` maps the
    position of a drop to the risk of the twin without it, `twins` the name of another one thing that was changed
    (`fresh_samples`, the ideal world; `label_noise`, clean labels; ...) to the risk of that twin; same shape and same
    sisters. Curves that only some models have: `objective`, the part of the logged training loss that is no loss (a
    penalty); `noise_width`, the standard deviation of the reading of the validation loss, and
    `noise_width_train_loss`, `noise_width_val_accuracy`, of those series; and what `sim.further` names, `reference`
    (the loss that the best model would have) among it.
    """

    epochs: np.ndarray
    learning_rate: np.ndarray
    curves: Mapping[str, np.ndarray]
    without_drop: Mapping[int, np.ndarray] = field(default_factory=dict)
    twins: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference: float | None = None

    def __post_init__(self) -> None:
        n = self.epochs.shape[0]
        named = [*self.curves.items(), *((f"without_drop[{k}]", c) for k, c in self.without_drop.items())]
        for key, curve in [*named, *((f"twins[{k!r}]", c) for k, c in self.twins.items())]:
            if curve.ndim != 2 or curve.shape[1] != n:
                raise ValueError(f"{key} must have shape (sisters, {n}), not {curve.shape}")
        object.__setattr__(self, "curves", MappingProxyType(dict(self.curves)))
        object.__setattr__(self, "without_drop", MappingProxyType(dict(self.without_drop)))
        object.__setattr__(self, "twins", MappingProxyType(dict(self.twins)))

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def mean(self, key: str) -> np.ndarray:
        """The expectation, shape (n,)."""
        curve = self.curves[key]
        mean: np.ndarray = curve[0].astype(np.float64) if len(curve) == 1 else curve.astype(np.float64).mean(0)
        return mean

    def until(self, n: int) -> Expected:
        """The first `n` epochs."""
        return replace(
            self,
            epochs=self.epochs[:n],
            learning_rate=self.learning_rate[:n],
            curves={k: v[:, :n] for k, v in self.curves.items()},
            without_drop={k: v[:, :n] for k, v in self.without_drop.items() if k < n},
            twins={k: v[:, :n] for k, v in self.twins.items()},
        )

    def finite(self) -> int:
        """How many epochs there are before the first one in which a loss is not finite."""
        bad = np.zeros(len(self.epochs), bool)
        for key in _LOSSES:
            if key in self.curves:
                bad |= ~np.isfinite(self.curves[key]).all(0)
        return int(np.argmax(np.append(bad, True)))

    def se(self, key: str) -> np.ndarray:
        """Its standard error over sisters, shape (n,); 0 where exact."""
        return standard_error(self.curves[key])


def standard_error(samples: np.ndarray) -> np.ndarray:
    """Standard error of the mean over the first axis; 0 with a single, exact row."""
    if samples.shape[0] < 2:
        return np.zeros(samples.shape[1:])
    se: np.ndarray = samples.astype(np.float64).std(0, ddof=1) / np.sqrt(samples.shape[0])
    return se


def mean_over(values: np.ndarray, lo: int, hi: int) -> np.ndarray:
    """Mean of positions lo..hi-1 of the last axis, by running sums, so that many windows at once have the same bits."""
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, -1)], -1)
    mean: np.ndarray = (total[..., hi] - total[..., lo]) / (hi - lo)
    return mean


def is_null(expected: Expected) -> bool:
    """Whether every rise of R is negligible: under max(0.5 %, 2 s.e.) of its bottom."""
    expected = expected.until(expected.finite())
    return all(_size(expected, r)[1] for r in rises(expected.mean("risk")))


@dataclass(frozen=True, kw_only=True)
class RiskRise:
    """A rise of R, whatever it means: from its bottom at epoch `onset` to its top at `end`.

    `size` is `material` from max(2 % of the bottom, 4 s.e.) on, `negligible` under max(0.5 %, 2 s.e.), else `grey`.
    """

    onset: float
    end: float
    prominence: float
    relative: float
    size: str


def risk_rises(expected: Expected) -> tuple[RiskRise, ...]:
    """Every rise of R with its prominence, those that are no event included."""
    expected = expected.until(expected.finite())
    risk = expected.mean("risk")
    out = []
    for rise in rises(risk) if len(risk) else ():
        material, negligible = _size(expected, rise)
        out.append(
            RiskRise(
                onset=float(expected.epochs[rise.a]),
                end=float(expected.epochs[rise.b]),
                prominence=rise.prominence,
                relative=rise.prominence / abs(float(risk[rise.a])),
                size="material" if material else "negligible" if negligible else "grey",
            )
        )
    return tuple(out)


def events(expected: Expected) -> tuple[Event, ...]:
    """Every event in one run; those with `material=False` are grey and score nothing.

    A run whose loss stops being a number is judged by the epochs before, but for its blow-up.
    """
    finite = expected.finite()
    if finite < len(expected.epochs):
        whole = further_events(expected, [], [])
        before = events(expected.until(finite)) if finite > 1 else ()
        return (
            *(e for e in before if e.phenomenon != Phenomenon.BLOW_UP),
            *(e for e in whole if e.phenomenon == Phenomenon.BLOW_UP),
        )
    drops = drop_positions(expected.learning_rate)
    all_rises = [r for r in rises(expected.mean("risk")) if not _size(expected, r)[1]]
    return (
        *_overfitting(expected, drops, all_rises),
        *_gap(expected),
        *_drops(expected, drops),
        *_relief(expected, drops),
        *_divergence(expected, drops, all_rises),
        *_train_above_val(expected),
        *further_events(expected, drops, [r for r in all_rises if _size(expected, r)[0]]),
    )


def _size(expected: Expected, rise: Rise) -> tuple[bool, bool]:
    """(material, negligible)."""
    risk = expected.curves["risk"]
    se = float(standard_error(risk[:, rise.b] - risk[:, rise.a]))
    bottom = abs(float(risk[:, rise.a].astype(np.float64).mean()))
    material = rise.prominence >= max(MATERIAL * bottom, MATERIAL_SE * se)
    negligible = rise.prominence < max(NEGLIGIBLE * bottom, NEGLIGIBLE_SE * se)
    return material, negligible


def _band(expected: Expected, drops: list[int], rise: Rise) -> tuple[float, float]:
    risk = expected.curves["risk"]
    mean = expected.mean("risk")
    near = min(BAND * abs(mean[rise.a]), BAND_OF_PROMINENCE * rise.prominence)
    se = standard_error(risk - risk[:, [rise.a]])
    inside = mean <= mean[rise.a] + np.maximum(near, 2 * se)
    lo, hi = next(s for s in segments(len(mean), drops) if s[0] <= rise.a < s[1])
    return _connected(expected, inside, rise.a, lo, hi)


def _connected(expected: Expected, inside: np.ndarray, at: int, lo: int, hi: int) -> tuple[float, float]:
    left = right = at
    while left > lo and inside[left - 1]:
        left -= 1
    while right + 1 < hi and inside[right + 1]:
        right += 1
    return float(expected.epochs[left]), float(expected.epochs[right])


def _is_spike(curve: np.ndarray, rise: Rise) -> bool:
    back = curve[rise.b : rise.a + SPIKE_EPOCHS + 1]
    return bool((back <= curve[rise.a] + BAND_OF_PROMINENCE * rise.prominence).any())


def _overfitting(expected: Expected, drops: list[int], all_rises: list[Rise]) -> list[Event]:
    risk, train = expected.mean("risk"), expected.curves["train_loss_eval"]
    out = []
    for rise in all_rises:
        change = train[:, rise.b].astype(np.float64) - train[:, rise.a]
        allowed = max(TRAINING_WORSE * abs(train[:, rise.a].mean()), 2 * float(standard_error(change[:, None])[0]))
        if change.mean() > allowed or _is_spike(risk, rise):
            continue
        out.append(
            Event(
                phenomenon=Phenomenon.OVERFITTING,
                onset=expected.epochs[rise.a],
                end=expected.epochs[rise.b],
                band=_band(expected, drops, rise),
                effect={
                    "prominence": rise.prominence,
                    "relative": rise.prominence / abs(risk[rise.a]),
                    **_kinds(expected, rise),
                },
                material=_size(expected, rise)[0],
            )
        )
    return out


def _kinds(expected: Expected, rise: Rise) -> dict[str, float]:
    """The rise by kind, as far as the curves and twins are known, in the unit of the loss.

    `memorisation`: what the ideal world, the twin with fresh samples at every step, does not share; `decision`: the
    rise of the risk at the best temperature; `calibration`: the rest, which the temperature takes away; `accuracy`: the
    change of accuracy, a number of its own.
    """

    def change(curve: np.ndarray) -> float:
        return float((curve[:, rise.b].astype(np.float64) - curve[:, rise.a]).mean())

    out = {}
    if "fresh_samples" in expected.twins:
        out["memorisation"] = rise.prominence - change(expected.twins["fresh_samples"])
    if "risk_calibrated" in expected.curves:
        out["decision"] = change(expected.curves["risk_calibrated"])
        out["calibration"] = rise.prominence - out["decision"]
    if "population_accuracy" in expected.curves:
        out["accuracy"] = change(expected.curves["population_accuracy"])
    return out


def _gap(expected: Expected) -> list[Event]:
    risk, train = expected.curves["risk"], expected.curves["train_loss_eval"]
    mean_risk = expected.mean("risk")
    gap = (risk.astype(np.float64) - train).mean(0)
    se = standard_error(risk - train)

    def first(share: float) -> int | None:
        below = np.flatnonzero(~(gap > share * mean_risk.min()))
        x = int(below[-1]) + 1 if below.size else 0
        return x if x < len(gap) else None

    x = first(GAP)
    if x is None:
        return []
    threshold = GAP * mean_risk.min()
    near = np.abs(gap - threshold) <= 2 * se
    onsets = {f"onset_{100 * s:.10g}pct": first(s) for s in (0.0, 0.05, GAP, 0.25)}
    return [
        Event(
            phenomenon=Phenomenon.GENERALIZATION_GAP,
            onset=expected.epochs[x],
            band=_connected(expected, near, x, 0, len(gap)),
            effect={
                "final_gap": gap[-1],
                "relative": gap[-1] / abs(mean_risk.min()),
                **{k: float(expected.epochs[v]) for k, v in onsets.items() if v is not None},
            },
        )
    ]


def _drops(expected: Expected, drops: list[int]) -> list[Event]:
    """Every drop of the rate; its kind is what the drop did, where its twin tells (`_did`)."""
    rates = expected.learning_rate
    out = []
    for d, following in pairwise([*drops, len(rates)]):
        effect = {"factor": rates[d] / rates[d - 1], **_visible(expected, d)}
        kind = ""
        if d in expected.without_drop:
            kind, did = _did(expected, d, _relief_ends(expected, d, following), following)
            effect |= {"relief": did["mean"], "relief_largest": did["largest"]}
        out.append(Event(phenomenon=Phenomenon.LR_DROP, onset=expected.epochs[d], kind=kind, effect=effect))
    return out


def _visible(expected: Expected, d: int) -> dict[str, float]:
    """By how many noise widths a series moves within three epochs of a drop, at the most, where the noise is known."""
    moved = []
    for curve, key in _WIDTHS.items():
        if curve in expected.curves and key in expected.curves and expected.curves[key][0, d - 1] > 0:
            mean = expected.mean(curve)
            moved.append(np.abs(mean[d : d + VISIBLE] - mean[d - 1]).max() / expected.curves[key][0, d - 1])
    return {"visible_widths": float(max(moved))} if moved else {}


def _relief_ends(expected: Expected, d: int, following: int) -> int:
    """The first minimum of R after which R makes a material rise, else the last epoch before the next drop."""
    relapse = [r.a for r in rises(expected.mean("risk")) if d <= r.a < following and _size(expected, r)[0]]
    return relapse[0] if relapse else following - 1


def _did(expected: Expected, d: int, end: int, following: int) -> tuple[str, dict[str, float]]:
    """What the drop at position `d` did against its twin: its kind, and its numbers.

    Kinds: `new_best` and `relief` (the mean of D up to `end` is over 0.5 % of R; R gets below its minimum before the
    drop or not), `harmful` (it is under minus half of that), `slight` and `null` (over or under half of it).
    """
    risk = expected.mean("risk")
    difference = expected.without_drop[d].astype(np.float64) - expected.curves["risk"]
    window = mean_over(difference, d, end + 1)
    mean, se = float(window.mean()), float(standard_error(window[:, None])[0])
    level = abs(float(mean_over(risk, d, end + 1)))
    best = bool(risk[d : end + 1].min() < risk[:d].min())
    if abs(mean) < max(0.5 * RELIEF * level, NEGLIGIBLE_SE * se):
        kind = "null"
    elif mean < 0:
        kind = "harmful"
    elif mean <= max(RELIEF * level, RELIEF_SE * se):
        kind = "slight"
    else:
        kind = "new_best" if best else "relief"
    return kind, {
        "mean": mean,
        "mean_se": se,
        "relative": mean / level,
        "largest": float(difference[:, d:following].mean(0).max()),
        "visible": float(risk[d - 1] - risk[end]),
        "beats_best": float(best),
    }


def _relief(expected: Expected, drops: list[int]) -> list[Event]:
    """Relief at each drop that has its twin; a null drop is none, its `lr_drop` says so, a harmful one is grey."""
    n = len(expected.epochs)
    out = []
    for d, following in pairwise([*drops, n]):
        if d not in expected.without_drop:
            continue
        end = _relief_ends(expected, d, following)
        kind, effect = _did(expected, d, end, following)
        if kind == "null":
            continue
        out.append(
            Event(
                phenomenon=Phenomenon.LR_DROP_RELIEF,
                onset=expected.epochs[d],
                end=expected.epochs[end] if end < n - 1 else None,
                kind=("new_best" if effect["beats_best"] else "relief") if kind == "slight" else kind,
                effect=effect,
                material=kind in ("new_best", "relief"),
            )
        )
    return out


def _divergence(expected: Expected, drops: list[int], all_rises: list[Rise]) -> list[Event]:
    if "population_accuracy" not in expected.curves:
        return []  # a regression has no accuracy to diverge from
    risk, accuracy = expected.mean("risk"), expected.curves["population_accuracy"]
    calibrated = expected.curves.get("risk_calibrated")
    out = []
    for rise in all_rises:
        change = accuracy[:, rise.b].astype(np.float64) - accuracy[:, rise.a]
        delta = max(ACCURACY, 2 * float(standard_error(change[:, None])[0]))
        if change.mean() < -delta or _is_spike(risk, rise):
            continue
        effect = {"rise": rise.prominence, "relative": rise.prominence / abs(risk[rise.a]), "accuracy": change.mean()}
        if calibrated is not None:
            worse = (calibrated[:, rise.b].astype(np.float64) - calibrated[:, rise.a]).mean()
            effect["calibration_share"] = 1 - worse / rise.prominence
        out.append(
            Event(
                phenomenon=Phenomenon.LOSS_ACCURACY_DIVERGENCE,
                onset=expected.epochs[rise.a],
                end=expected.epochs[rise.b],
                band=_band(expected, drops, rise),
                kind="accuracy_rising" if change.mean() > delta else "accuracy_flat",
                effect=effect,
                material=_size(expected, rise)[0],
            )
        )
    return out


def _train_above_val(expected: Expected) -> list[Event]:
    train, risk = expected.curves["train_loss"], expected.curves["risk"]
    excess = (train.astype(np.float64) - risk).mean(0)
    se = standard_error(train - risk)
    threshold = np.maximum(ABOVE * np.abs(expected.mean("risk")), 2 * se)
    above = excess > threshold
    # Only clear stretches make an event, but one is not cut in two by an epoch at which it is merely less sure.
    unclear = excess > threshold - 2 * se
    out = []
    for lo, hi in _stretches(_joined(above, unclear)):
        if max(b - a for a, b in _stretches(above[lo:hi])) < ABOVE_EPOCHS:
            continue
        parts = _parts(expected, lo, hi)
        whole = sum(parts.values())
        cause = max(parts, key=lambda k: parts[k])
        near = above | (np.abs(excess - threshold) <= 2 * se)
        band_lo, _ = _connected(expected, near & ~above, lo, 0, hi)
        out.append(
            Event(
                phenomenon=Phenomenon.TRAIN_ABOVE_VAL,
                onset=expected.epochs[lo],
                end=expected.epochs[hi - 1] if hi < len(above) else None,
                band=(band_lo, float(expected.epochs[lo])),
                kind=cause if parts[cause] > 0.5 * whole else "mixed",
                effect={"mean": float(mean_over(excess, lo, hi)), **parts},
            )
        )
    return out


def _parts(expected: Expected, lo: int, hi: int) -> dict[str, float]:
    """T − R over epochs lo..hi-1 in parts: lag + mode + objective + (L − R).

    The mean of L over an epoch is taken by the trapezoid rule from L at its two ends; in the first epoch, whose start
    is not measured, the whole excess of T over L, but for what the objective adds, counts as lag. `objective` is in the
    parts where a model says what extra terms its training loss has.
    """
    train, level, risk = (expected.mean(key) for key in ("train_loss", "train_loss_eval", "risk"))
    extra = expected.mean("objective") if "objective" in expected.curves else np.zeros_like(risk)
    lag = (np.append(np.nan, level[:-1]) + level) / 2 - level
    lag[0] = train[0] - extra[0] - level[0]
    parts = {"lag": lag, "mode": train - level - lag - extra}
    if "objective" in expected.curves:
        parts["objective"] = extra
    parts["train_minus_risk"] = level - risk
    return {name: float(mean_over(part, lo, hi)) for name, part in parts.items()}


def _joined(sure: np.ndarray, unsure: np.ndarray) -> np.ndarray:
    """`sure`, and those gaps between its stretches in which `unsure` holds throughout."""
    out = sure.copy()
    for lo, hi in _stretches(~sure):
        if lo > 0 and hi < len(sure) and unsure[lo:hi].all():
            out[lo:hi] = True
    return out


def _stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges in which `mask` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(lo), int(hi)) for lo, hi in zip(edges[::2], edges[1::2], strict=True)]
