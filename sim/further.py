"""What truly happened, the seven further phenomena: plateau, spike, blow-up, oscillation and the slow successes.

`sim.truth` calls `further_events`; definitions and letters are those of its docstring. `spike`, `blow_up` and
`oscillation` are read from the run's own path: `own_risk` and `own_train_loss_eval` where they are given, else the
first sister. What they need and is not given is not labelled: `noise_width` (the standard deviation of the reading of
the validation loss, unit of the loss) for `spike` and `oscillation`, `train_accuracy` for `delayed_generalization`,
`Expected.reference` (the Bayes loss, or the loss of a twin four times as wide) for `underfitting`.

Where a definition is silent: a height also has to be 0.5 % of the loss, so that a run without noise has no events of
size nothing; a spike that is one swing of an oscillation is none; a rate that drops makes neither a swing nor a second
descent; a gain of accuracy counts from 0.1, so that two noisy evaluations at the ceiling are no delay.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from detectors.segments import segments
from detectors.shapes import Rise
from detectors.vocabulary import Event, Phenomenon

if TYPE_CHECKING:
    from sim.truth import Expected

__all__ = ["further_events", "moves", "plateaus", "plateaus_of", "shortest_plateau", "swings", "to_fall"]

PLATEAU_EPOCHS = 10  # evaluations, and ...
PLATEAU_SHARE = 0.10  # ... this share of the run, over which ...
PLATEAU_CHANGE = 0.01  # ... R changes by less than this share of its total descent ...
PLATEAU_TO_COME = 0.05  # ... while at least this share is still to come
SPIKE_WIDTHS = 8.0
SPIKE_BACK = 5  # evaluations from the bottom before a spike to its end
SPIKE_LEFT = 0.10  # of a spike may be left at its end
SWING_WIDTHS = 4.0
SWINGS = 6
SMALLEST = 0.005  # of the loss: a height below it is none, however quiet the noise
UNDERFITTING = 0.20  # of the initial excess is left, ...
UNDERFITTING_GAP = 0.10  # ... and the gap is under this share of it
SECOND_DESCENT = 0.5  # of the rise
SAME_RATE = 0.01  # a rate that changes by less has not changed
FITTED = 0.99  # training accuracy at which the training set is fitted
DELAY = 3.0  # times later
GAIN = 0.1  # of accuracy
GREY = 0.5  # of a number above makes a grey event: neither a miss nor a false alarm


def further_events(
    expected: Expected, drops: list[int], material: Sequence[Rise], among: Container[str] = frozenset(Phenomenon)
) -> list[Event]:
    """Events of the seven phenomena, or of those `among`; `drops` are positions, `material` the material rises of R."""
    swinging = _oscillations(expected, drops) if Phenomenon.OSCILLATION in among else []
    clear = [e for e in swinging if e.material]
    return [
        *(plateaus(expected.epochs, expected.mean("risk")) if Phenomenon.PLATEAU in among else ()),
        *(_spikes(expected, drops, clear) if Phenomenon.SPIKE in among else ()),
        *(_blow_up(expected) if Phenomenon.BLOW_UP in among else ()),
        *swinging,
        *(_underfitting(expected) if Phenomenon.UNDERFITTING in among else ()),
        *(_double_descents(expected, drops, material, clear) if Phenomenon.DOUBLE_DESCENT in among else ()),
        *(_delayed(expected) if Phenomenon.DELAYED_GENERALIZATION in among else ()),
    ]


def _own(expected: Expected, key: str, otherwise: str) -> np.ndarray | None:
    """A curve of the run's own path, shape (n,); None where neither is given."""
    for name in (key, otherwise):
        if name in expected.curves:
            row: np.ndarray = expected.curves[name][0].astype(np.float64)
            return row
    return None


def plateaus(epochs: np.ndarray, risk: np.ndarray) -> list[Event]:
    """The plateaus of R, both of shape (n,)."""
    shortest = shortest_plateau(len(risk))
    if not np.isfinite(risk).all() or len(risk) < shortest:
        return []
    return plateaus_of(epochs, risk, moves(risk, shortest), to_fall(risk))


def plateaus_of(epochs: np.ndarray, risk: np.ndarray, moved: np.ndarray, coming: np.ndarray) -> list[Event]:
    """The same, given what `moves` says of the shortest windows and `to_fall` of each epoch."""
    descent = float(risk[0] - risk.min())
    if descent <= 0:
        return []
    clear, wide = (
        _flat_stretches(risk, moved, change * descent, coming >= to_come * descent)
        for change, to_come in (
            (PLATEAU_CHANGE, PLATEAU_TO_COME),
            (PLATEAU_CHANGE / GREY, GREY * PLATEAU_TO_COME),
        )
    )
    grey = [(a, b) for a, b in wide if not any(a <= d and c <= b for c, d in clear)]
    return [
        Event(
            phenomenon=Phenomenon.PLATEAU,
            onset=epochs[a],
            end=epochs[b],
            effect={
                "level": risk[a : b + 1].mean(),
                "evaluations": b - a + 1,
                "to_come": (risk[b] - risk[b:].min()) / descent,
            },
            material=material,
        )
        for stretches, material in ((clear, True), (grey, False))
        for a, b in stretches
    ]


def _flat_stretches(risk: np.ndarray, moved: np.ndarray, change: float, coming: np.ndarray) -> list[tuple[int, int]]:
    """Closed ranges, as long as they can be, over which R moves by less than `change`, with a fall still `coming`.

    `moved`, shape (windows,), is how far it moves in the shortest ones.
    """
    found: list[tuple[int, int]] = []
    free = 0
    for a in ((moved < change) & coming[-len(moved) :]).nonzero()[0].tolist():
        if a < free:
            continue
        rest = risk[a:]
        within = np.maximum.accumulate(rest) - np.minimum.accumulate(rest) < change
        b = a + int((within & coming[a:]).nonzero()[0][-1])
        if found and found[-1][1] == a - 1:
            a = found.pop()[0]  # it creeps: one plateau
        found.append((a, b))
        free = b + 1
    return found


def shortest_plateau(n: int) -> int:
    """How many of n evaluations a plateau has at least."""
    return max(PLATEAU_EPOCHS, int(np.ceil(PLATEAU_SHARE * n)))


def to_fall(risk: np.ndarray) -> np.ndarray:
    """How far curves of shape (..., n) will still fall from each epoch on, same shape."""
    fall: np.ndarray = risk - np.minimum.accumulate(risk[..., ::-1], axis=-1)[..., ::-1]
    return fall


def moves(risk: np.ndarray, size: int) -> np.ndarray:
    """Largest less least value of windows of `size` successive ones, shape (..., n - size + 1)."""
    first = slice(size // 2, size // 2 + risk.shape[-1] - size + 1)  # a filter's windows lie around their position
    most, least = maximum_filter1d(risk, size, axis=-1), minimum_filter1d(risk, size, axis=-1)
    moved: np.ndarray = most[..., first] - least[..., first]
    return moved


def _spikes(expected: Expected, drops: list[int], swinging: Sequence[Event]) -> list[Event]:
    own = _own(expected, "own_risk", "risk")
    if own is None or "noise_width" not in expected.curves or not np.isfinite(own).all():
        return []
    width = expected.curves["noise_width"][0].astype(np.float64)
    out: list[Event] = []
    free = 0  # the first position that belongs to no spike yet
    tops = ((own[1:-1] > own[:-2]) & (own[1:-1] >= own[2:])).nonzero()[0] + 1
    for top in tops.tolist():
        if top < free:
            continue
        best = max(
            ((float(own[top] - own[before]), before) for before in range(max(top - SPIKE_BACK + 1, free, 0), top)),
            default=(0.0, top),
        )
        height, before = best
        least = max(SPIKE_WIDTHS * width[before], SMALLEST * abs(own[before]))
        after = np.flatnonzero(own[top : before + SPIKE_BACK + 1] <= own[before] + SPIKE_LEFT * height)
        if height < GREY * least or not after.size:
            continue
        free = end = top + int(after[0])
        if any(before < d <= end for d in drops):
            continue  # the fall at a drop is no way back
        if any(e.onset <= expected.epochs[top] <= (e.end or np.inf) for e in swinging):
            continue
        onset = before + int(np.argmax(own[before : top + 1] - own[before] >= min(least, height)))
        out.append(
            Event(
                phenomenon=Phenomenon.SPIKE,
                onset=expected.epochs[onset],
                end=expected.epochs[end],
                band=(expected.epochs[min(before + 1, onset)], expected.epochs[top]),
                effect={"height": height, "widths": height / max(width[before], 1e-300)},
                material=bool(height >= least),
            )
        )
    return out


def _blow_up(expected: Expected) -> list[Event]:
    loss = _own(expected, "own_train_loss_eval", "train_loss_eval")
    if loss is None or len(loss) < 2 or not np.isfinite(loss[0]):
        return []
    with np.errstate(invalid="ignore"):
        infinite = np.flatnonzero(~np.isfinite(loss))
        below = np.flatnonzero(loss < loss[0])
    high = max(int(below[-1]) + 1 if below.size else 1, 1)  # from here to the end not below its first value
    rose = bool((loss[high:] > loss[0]).any())
    starts = [*infinite[:1].tolist(), *([high] if rose else [])]
    if not starts:
        return []
    at = min(starts)
    kind = "not_finite" if infinite.size else "above_start"
    return [Event(phenomenon=Phenomenon.BLOW_UP, onset=expected.epochs[at], kind=kind, effect={"first": loss[0]})]


def _oscillations(expected: Expected, drops: list[int]) -> list[Event]:
    own = _own(expected, "own_risk", "risk")
    if own is None or "noise_width" not in expected.curves or not np.isfinite(own).all():
        return []
    width = expected.curves["noise_width"][0].astype(np.float64)
    out = []
    for lo, hi in segments(len(own), drops):
        for share in (1.0, GREY):
            least = np.maximum(share * SWING_WIDTHS * width[lo:hi], SMALLEST * np.abs(own[lo:hi]))
            chains = [c for c in _chains(own[lo:hi], swings(own[lo:hi], least)) if len(c) - 1 >= SWINGS]
            for turns in chains:
                heights = np.abs(np.diff(own[lo:hi][turns]))
                out.append(
                    Event(
                        phenomenon=Phenomenon.OSCILLATION,
                        onset=expected.epochs[lo + turns[0]],
                        end=expected.epochs[lo + turns[-1]],
                        band=(expected.epochs[lo + turns[0]], expected.epochs[lo + turns[1]]),
                        effect={
                            "swings": len(turns) - 1,
                            "height": float(np.median(heights)),
                            "period": 2 * float(np.mean(np.diff(expected.epochs[lo:hi][turns]))),
                        },
                        material=share == 1.0,
                    )
                )
            if chains:
                break
    return out


def _chains(curve: np.ndarray, turns: list[int]) -> list[list[int]]:
    """Turns that follow each other without a rest: three spikes with quiet between them are no oscillation.

    A swing has arrived where it has a tenth of its height to go. A rest is longer than five evaluations and than twice
    the swing before it; the last turn is where its swing arrives, for a curve that settles goes on falling a little.
    """
    chains = [turns[:1]]
    for a, b in pairwise(turns):
        height = abs(curve[b] - curve[a])
        arrived = a + int(np.argmax(np.abs(curve[a : b + 1] - curve[b]) <= SPIKE_LEFT * height))
        if b - arrived > max(SPIKE_BACK, 2 * (arrived - a)):
            chains[-1].append(arrived)
            chains.append([b])
        else:
            chains[-1].append(b)
    return [c for c in chains if len(c) > 1]


def swings(curve: np.ndarray, least: np.ndarray) -> list[int]:
    """Positions of the turning points between alternating swings, each at least `least` (shape (n,)) high.

    What comes before the first turn that is a local extreme of the curve, a decay for instance, is no swing.
    """
    steps = np.diff(curve)
    if (steps <= 0).all() or (steps >= 0).all():
        return []  # most curves, and then soon
    values, height = curve.tolist(), least.tolist()
    turns: list[int] = []
    high = low = 0
    direction = 0
    for i in range(1, len(values)):
        high = i if values[i] > values[high] else high
        low = i if values[i] < values[low] else low
        if direction >= 0 and values[high] - values[i] >= height[i]:
            turns.append(high)
            direction, low = -1, i
        elif direction <= 0 and values[i] - values[low] >= height[i]:
            turns.append(low)
            direction, high = 1, i
    if turns and turns[0] == 0:
        turns = turns[1:]
    if turns:
        turns.append(low if direction < 0 else high)
    return turns


def _underfitting(expected: Expected) -> list[Event]:
    reference = expected.reference
    if reference is None:
        return []
    loss, risk = expected.mean("train_loss_eval"), expected.mean("risk")
    if not (np.isfinite(loss).all() and np.isfinite(risk).all()):
        return []
    excess = float(loss[0] - reference)
    left, gap = float(loss[-1] - reference), float(risk[-1] - loss[-1])
    if excess <= 0:
        return []

    def holds(share: float, most: float) -> bool:
        return left >= share * excess and gap < most * excess

    material = holds(UNDERFITTING, UNDERFITTING_GAP)
    if not holds(GREY * UNDERFITTING, UNDERFITTING_GAP / GREY):
        return []
    return [
        Event(
            phenomenon=Phenomenon.UNDERFITTING,
            onset=expected.epochs[0],
            effect={"left": left / excess, "gap": gap / excess, "reference": reference},
            material=material,
        )
    ]


def _double_descents(
    expected: Expected, drops: list[int], material: Sequence[Rise], swinging: Sequence[Event]
) -> list[Event]:
    risk, rates = expected.mean("risk"), expected.learning_rate
    out = []
    for rise in material:
        if any(e.onset <= expected.epochs[rise.b] <= (e.end or np.inf) for e in swinging):
            continue
        if (risk[rise.b : rise.a + SPIKE_BACK + 1] <= risk[rise.a] + SPIKE_LEFT * rise.prominence).any():
            continue  # a spike
        changed = np.flatnonzero(np.abs(rates[rise.b :] / rates[rise.b] - 1) > SAME_RATE)
        stop = rise.b + (int(changed[0]) if changed.size else len(risk) - rise.b)
        bottom = rise.b + int(np.argmin(risk[rise.b : stop]))
        fall = float(risk[rise.b] - risk[bottom])
        if fall < GREY * SECOND_DESCENT * rise.prominence:
            continue
        lo, hi = next(s for s in segments(len(risk), drops) if s[0] <= rise.a < s[1])
        near = risk <= risk[rise.a] + min(SMALLEST * abs(risk[rise.a]), SPIKE_LEFT * rise.prominence)
        left = right = rise.a
        while left > lo and near[left - 1]:
            left -= 1
        while right + 1 < hi and near[right + 1]:
            right += 1
        out.append(
            Event(
                phenomenon=Phenomenon.DOUBLE_DESCENT,
                onset=expected.epochs[rise.a],
                end=expected.epochs[bottom],
                band=(expected.epochs[left], expected.epochs[right]),
                effect={
                    "rise": rise.prominence,
                    "fall": fall,
                    "share": fall / rise.prominence,
                    "top": expected.epochs[rise.b],
                },
                material=fall >= SECOND_DESCENT * rise.prominence,
            )
        )
    return out


def _delayed(expected: Expected) -> list[Event]:
    if "train_accuracy" not in expected.curves or "population_accuracy" not in expected.curves:
        return []
    train, accuracy = expected.mean("train_accuracy"), expected.mean("population_accuracy")
    fitted = np.flatnonzero(train >= FITTED)
    if not fitted.size:
        return []
    gain = float(accuracy.max() - accuracy[0])
    half = int(np.argmax(accuracy >= accuracy[0] + gain / 2))
    later = (half + 1) / (int(fitted[0]) + 1)
    if gain < 0.2 * GAIN or later < 1 + GREY * (DELAY - 1):
        return []
    return [
        Event(
            phenomenon=Phenomenon.DELAYED_GENERALIZATION,
            onset=expected.epochs[half],
            effect={"times_later": later, "gain": gain, "fitted_at": expected.epochs[fitted[0]]},
            material=gain >= GAIN and later >= DELAY,
        )
    ]
