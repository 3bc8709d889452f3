"""What one run says to the four questions of `answers.py`: numbers from its curves, each by a pure function.

Curves have shape (epochs,), or (sisters, epochs) where a standard error is needed; positions count from 0, epochs from
1. R, A, L, T and Rcal are those of `sim.truth`, and what is material or negligible is decided by its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from detectors.vocabulary import Phenomenon
from sim.labelled import LabelledRun
from sim.truth import MATERIAL, MATERIAL_SE, NEGLIGIBLE, NEGLIGIBLE_SE, Expected, RiskRise, risk_rises, standard_error

WINDOW = 40  # epochs after a drop within which its relief ends or is said to last
IN_A_ROW = 3  # epochs for which a gap must be open before anybody believes it
SMOOTH = 5  # readings of the validation accuracy that are averaged about an epoch


def rises_from(risk: np.ndarray, begin: int, end: int | None = None) -> list[RiskRise]:
    """The material rises of R (sisters, epochs) as a curve that begins at position `begin`, in order of their bottoms.

    Their epochs are positions of the whole curve. A rise after a drop that does not exceed what came before the drop
    counts here, whereas in the whole curve it may be part of a larger rise, or a dip within one.
    """
    part = risk[:, begin:end]
    at = np.arange(begin, begin + part.shape[1], dtype=float)
    expected = Expected(epochs=at, learning_rate=np.ones_like(at), curves={"risk": part})
    return [rise for rise in risk_rises(expected) if rise.size == "material"]


@dataclass(frozen=True)
class Rising:
    """The largest rise of R of a stretch, and what it is made of; `at`, `to` are positions, `share` is of the rise.

    `kind` is "overconfidence" if the rise of Rcal is negligible (under max(0.5 %, 2 s.e.), a fall included),
    "decisions" if it is material (at least max(2 %, 4 s.e.)), else "between". `share` is the calibration share,
    1 − rise of Rcal / rise of R.
    """

    at: int
    to: int
    relative: float
    calibrated: float
    share: float
    accuracy: float
    kind: str


def largest_rise(risk: np.ndarray, calibrated: np.ndarray, accuracy: np.ndarray, begin: int = 0) -> Rising | None:
    """The largest material rise of R from position `begin` on, None without one; all of shape (sisters, epochs)."""
    found = rises_from(risk, begin)
    if not found:
        return None
    rise = max(found, key=lambda r: r.prominence)
    a, b = int(rise.onset), int(rise.end)
    change = calibrated[:, b].astype(float) - calibrated[:, a]
    level, se = float(calibrated[:, a].mean()), float(standard_error(change))
    kind = "between"
    if change.mean() < max(NEGLIGIBLE * level, NEGLIGIBLE_SE * se):
        kind = "overconfidence"
    elif change.mean() >= max(MATERIAL * level, MATERIAL_SE * se):
        kind = "decisions"
    return Rising(
        at=a,
        to=b,
        relative=rise.relative,
        calibrated=float(change.mean()) / level,
        share=1 - float(change.mean()) / rise.prominence,
        accuracy=float((accuracy[:, b].astype(float) - accuracy[:, a]).mean()),
        kind=kind,
    )


def relief_length(risk: np.ndarray, drop: int, window: int = WINDOW) -> tuple[int, bool]:
    """For how many epochs R (sisters, epochs) gets no worse after the drop at position `drop`, and whether that ends.

    From the first epoch at the new rate to the bottom of the first material rise, both included, by the `window` epochs
    after the drop alone, so that drops early and late in a run are judged alike; `window` if there is no such rise.
    """
    found = rises_from(risk, drop, drop + window)
    return (int(found[0].onset) - drop + 1, True) if found else (min(window, risk.shape[1] - drop), False)


# stopping: a rule gives the position at which it stops, the last one if it never does


def first(alarm: np.ndarray) -> int:
    """The first position at which `alarm` holds, else the last position."""
    return int(np.argmax(alarm)) if alarm.any() else len(alarm) - 1


def patience(values: np.ndarray, epochs: int) -> int:
    """Stop after `epochs` epochs without a value below the lowest so far."""
    lowest = np.minimum.accumulate(values)
    new = np.append(True, lowest[1:] < lowest[:-1])
    since = np.arange(len(values)) - np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))
    return first(since >= epochs)


def visible_rise(values: np.ndarray, share: float) -> int:
    """Stop as soon as a value lies more than `share` above the lowest so far (Prechelt's GL, 1998)."""
    return first(values > (1 + share) * np.minimum.accumulate(values))


def gap(val: np.ndarray, train: np.ndarray, share: float) -> int:
    """Stop when val − train was over `share` of the lowest validation loss so far for IN_A_ROW epochs in a row."""
    open_ = val - train > share * np.minimum.accumulate(val)
    lasting = np.convolve(open_, np.ones(IN_A_ROW), "full")[: len(val)] == IN_A_ROW
    return first(lasting)


def gap_opens(risk: np.ndarray, train: np.ndarray, share: float) -> int:
    """The position from which R − L stays above `share` of min R to the end (`sim.truth`), else the last one."""
    closed = np.flatnonzero(~(risk - train > share * risk.min()))
    return min(int(closed[-1]) + 1 if closed.size else 0, len(risk) - 1)


def mid_epoch(val: np.ndarray) -> np.ndarray:
    """The validation loss in the middle of each epoch, where the training loss that a loop logs belongs."""
    return np.append(val[0], (val[:-1] + val[1:]) / 2)


def regret(risk: np.ndarray, accuracy: np.ndarray, kept: int) -> tuple[float, float]:
    """What keeping the epoch at `kept` loses against the best one: a share of the lowest R, a share of cases."""
    return float(risk[kept] / risk.min() - 1), float(accuracy.max() - accuracy[kept])


PATIENCE = (3, 5, 7, 10, 14, 20, 30)
RISES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
GAPS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0)
TRUE_GAPS = (0.1, 0.25, 0.5, 1.0)
#: Rules on what is logged: validation loss and accuracy, logged training loss T, training loss L in evaluation mode.
#: Each gives the position at which it stops; what is kept is the lowest validation loss up to there.
RULES: dict[str, Callable[[Mapping[str, np.ndarray]], int]] = {
    **{f"patience {p}": lambda log, p=p: patience(log["val_loss"], p) for p in PATIENCE},
    **{f"rise {s:.0%}": lambda log, s=s: visible_rise(log["val_loss"], s) for s in RISES},
    **{f"logged gap {s:.0%}": lambda log, s=s: gap(mid_epoch(log["val_loss"]), log["train_loss"], s) for s in GAPS},
    **{f"gap {s:.0%}": lambda log, s=s: gap(log["val_loss"], log["train_loss_eval"], s) for s in GAPS},
    "to the end": lambda log: len(log["val_loss"]) - 1,
}
#: The same, but that the highest validation accuracy is watched and kept.
BY_ACCURACY: dict[str, Callable[[Mapping[str, np.ndarray]], int]] = {
    "patience 10, accuracy": lambda log: patience(-log["val_accuracy"], 10),
    "to the end, accuracy": lambda log: len(log["val_loss"]) - 1,
}


def by_truth(curves: Mapping[str, np.ndarray]) -> dict[str, int]:
    """What somebody would keep who knows the truth, curves of shape (sisters, epochs): positions by name.

    "true rise" is the bottom of the first material rise of R, "true gap 10%" the onset of the gap of that size (to the
    last epoch where there is none), "true best" the lowest R, "last" the last epoch.
    """
    risk, train = (curves[name].astype(float).mean(0) for name in ("risk", "train_loss_eval"))
    found, last = rises_from(curves["risk"], 0), len(risk) - 1
    return {
        "true best": int(np.argmin(risk)),
        "true rise": int(found[0].onset) if found else last,
        **{f"true gap {share:.0%}": gap_opens(risk, train, share) for share in TRUE_GAPS},
        "last": last,
    }


def stops(curves: Mapping[str, np.ndarray], log: Mapping[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """For each rule, by the log and by the truth, the positions at which it stops and which it keeps."""
    out = {name: (at, at) for name, at in by_truth(curves).items()}
    for rules, kept in ((RULES, -log["val_loss"]), (BY_ACCURACY, log["val_accuracy"])):
        for name, rule in rules.items():
            stop = rule(log)
            out[name] = stop, int(np.argmax(kept[: stop + 1]))
    return out


def row(labelled: LabelledRun, log: Mapping[str, np.ndarray], drop: int) -> dict[str, float | str]:
    """Everything that `answers.py` needs of one run; `drop` is the position of its drop, 0 if there is none."""
    expected = labelled.expected
    risk, accuracy = expected.mean("risk"), expected.mean("population_accuracy")
    curves = expected.curves
    out: dict[str, float | str] = {
        "best_risk": float(risk.min()),
        "best_epoch": int(np.argmin(risk)) + 1,
        "final_risk": float(risk[-1]),
        "best_accuracy": float(accuracy.max()),
        "final_accuracy": float(accuracy[-1]),
    }
    rise = largest_rise(curves["risk"], curves["risk_calibrated"], curves["population_accuracy"], drop)
    if rise is not None:
        seen = np.convolve(np.pad(log["val_accuracy"], SMOOTH // 2, mode="edge"), np.full(SMOOTH, 1 / SMOOTH), "valid")
        out |= {
            "rise_onset": rise.at + 1,
            "rise_end": rise.to + 1,
            "rise": rise.relative,
            "rise_calibrated": rise.calibrated,
            "rise_share": rise.share,
            "rise_accuracy": rise.accuracy,
            "rise_accuracy_seen": float(seen[rise.to] - seen[rise.at]),
            "rise_kind": rise.kind,
        }
    if drop:
        (event,) = labelled.of(Phenomenon.LR_DROP)
        length, ends = relief_length(curves["risk"], drop)
        bottom = drop + length - 1
        twin = expected.without_drop[drop].astype(float).mean(0)
        out |= {
            "relief_kind": event.kind,
            "relief_length": length,
            "relief_ends": ends,
            "relief_ends_ever": relief_length(curves["risk"], drop, len(risk))[1],
            "relief_gain": float(risk[drop - 1] - risk[drop : bottom + 1].min()) / float(risk[drop - 1]),
            "relief_twin": float((twin - risk)[drop : bottom + 1].mean()) / float(risk[drop - 1]),
            "relief_new_best": float(risk[drop : bottom + 1].min() < risk[:drop].min()),
        }
    for name, (stop, kept) in stops(curves, log).items():
        out[f"{name}: stop"] = stop + 1
        out[f"{name}: loss"], out[f"{name}: accuracy"] = regret(risk, accuracy, kept)
    return out
