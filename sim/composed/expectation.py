r"""The expectations of composed runs in closed form, many runs at a time, in double precision.

With x in epochs, e(x) the learning rate of epoch x over its peak, u(x; s, w, p) = clip((x − s) / w, 0, 1)^p,
w(x; s, l) = 1 for s < x <= s + l and else 0:

    clock      t(x) = Σ_{i<=x} e(i)^pace (1 − w(i; plateau_at, plateau_span))
    descent    d(t; τ) = exp(−t / τ), or (1 + t / τ)^(−power) where power > 0
    decay      B(x) = b + (initial − b) d(max(t − delay, 0); decay),  b = bayes + underfit
    floor      F(x) = F(x−1) + (1 − exp(−1/relax)) (noise_floor e(x) − F(x−1)),  F(0) = noise_floor
    memory     M(x) = overfit u(x; overfit_at, overfit_span, overfit_shape)
                      (1 − double_descent u(x; double_descent_at, double_descent_span, 1))
    shared     S(x) = shared u(x; overfit_at, overfit_span, 1)     (a rise that training has as well)
    accidents  X(x) = jump [x <= jump_at]
                      + spike (1 − (x − spike_at − 1) / spike_span) w(x; spike_at, spike_span)
                      + swing (1 − cos(2π (x − swing_at) / swing_period)) / 2 w(x; swing_at, swing_span)
                      + initial (x − blow_up_at) / (blow_up_span + 1) from blow_up_at + 1 on, and from
                        blow_up_at + blow_up_span + 1 on not a number
    drift      C(x) = drift u(x; drift_at, drift_span, 1)
    risk       R = B + F + M + S + X + C                  Rcal = R − calibration_share C
    accuracy   A = top − slope (R − C − bayes) + gain u(x; drift_at, drift_span, 1), clipped to 0.001 .. 0.999
    training   L(x) = b' + (initial − b') d(t; train_decay) + train_floor F(x) + S(x) + X(x)
               b' = train_bayes + underfit
    logged     T(x) = (L(x−1) + L(x)) / 2 + mode + objective   (the mean over the epoch by the trapezoid rule)
    right      train_top − slope (L − train_bayes), clipped to 0.001 .. 1: the training accuracy, logged as the mean of
               the epoch's two ends; where the loss is not a number both accuracies are at chance, 0.1
    ideal      R − M, the twin that sees fresh samples
    twin k     R with the rates of the schedule without drop k (in e(x), so in F and in the clock)

The noise floor is that of the noisy quadratic model (proportional to the rate; Zhang et al., 2019, arXiv:1907.04164)
with one relaxation time; a clock that slows down with the rate is its bias part, by which a drop can harm. A power law
is the descent of ill-conditioned problems. The other terms are phenomenological: what is injected is a cause, and the
events follow from the expectation by `sim.truth`, so an overfitting rise that the decay swallows is no event.

All of it is element by element over runs, so a run has the same bits in whichever company it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sim.composed.recipe import DROPS

__all__ = ["CHANCE", "Curves", "expected", "shares"]

CHANCE = 0.1  # accuracy of a model whose loss is not a number
Recipes = Mapping[str, np.ndarray]
Field = Callable[[str], np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Curves:
    """Expectations of many runs of equal length, each array of shape (runs, epochs).

    `without_drop` has shape (runs, drops, epochs): R of the twin without `drop_1` and so on, up to the last one that
    any of the recipes has; R itself where there is no such drop. `share` is the learning rate over its peak. `twins`
    are the risks of other twins, by the name of what was changed; `objective` of shape (runs,) is what a penalty adds
    to the logged training loss, `reference` the loss of the best model, where it is known.
    """

    share: np.ndarray
    risk: np.ndarray
    population_accuracy: np.ndarray
    train_loss_eval: np.ndarray
    train_loss: np.ndarray
    risk_calibrated: np.ndarray
    train_accuracy_eval: np.ndarray
    train_accuracy: np.ndarray
    without_drop: np.ndarray
    twins: Mapping[str, np.ndarray]
    objective: np.ndarray | None = None
    reference: np.ndarray | None = None


def shares(c: Recipes, epochs: int) -> np.ndarray:
    """The learning rate over its peak, then the same without each drop, shape (runs, 1 + drops, epochs).

    There are as many drops as the recipe with the most has.
    """
    x = np.arange(epochs, dtype=np.float64)
    milestones = np.stack([c[f"drop_{k + 1}"] for k in range(DROPS)], 1)
    milestones = milestones[:, : int(np.flatnonzero(milestones.any(0)).max(initial=-1)) + 1]
    runs, drops = milestones.shape
    out = np.ones((runs, 1 + drops, epochs))
    rows = np.flatnonzero(milestones.any(1))
    if rows.size:
        m = np.where(milestones[rows] > 0, milestones[rows], np.inf)
        past = x >= m[:, :, None]  # (rows, drops, epochs)
        count = past.sum(1).astype(np.float64)
        later = np.where(m[:, None, :] > m[:, :, None], m[:, None, :], np.inf).min(2)
        kept = past & (x < later[:, :, None])  # from this drop to the next one the twin keeps the old rate
        powers = np.concatenate([count[:, None], count[:, None] - kept], 1)
        out[rows] = c["factor"][rows][:, None, None] ** powers
    warmup, final = c["warmup"], c["final"]
    rows = np.flatnonzero(c["cosine"])
    if rows.size:
        begin = warmup[rows][:, None]
        done = (x - begin).clip(0) / np.maximum(epochs - begin, 1)
        low = final[rows][:, None]
        out[rows] = (low + (1 - low) * (1 + np.cos(np.pi * done)) / 2)[:, None]
    rows = np.flatnonzero(c["wsd"])
    if rows.size:
        tail = np.maximum(np.round(c["wsd"][rows] * epochs), 1)[:, None]
        done = (x - (epochs - tail) + 1).clip(0) / tail
        scale = 1 - (1 - final[rows][:, None]) * done.clip(0, 1)
        out[rows] = np.maximum(scale, 1e-6)[:, None]
    rows = np.flatnonzero(warmup)
    if rows.size:
        out[rows] *= np.minimum((x + 1) / warmup[rows][:, None], 1.0)[:, None]
    return out


def expected(c: Recipes, epochs: int) -> Curves:
    """The expectations of recipes that all have this number of epochs."""
    x = np.arange(1.0, epochs + 1)
    runs = len(c["epochs"])
    share = shares(c, epochs)

    def of(name: str) -> np.ndarray:
        return c[name][:, None]

    def where(name: str, term: Callable[[Field], np.ndarray]) -> np.ndarray:
        """`term` in the rows where `name` is not 0, and 0 elsewhere."""
        rows = np.flatnonzero(c[name])
        out = np.zeros((runs, epochs))
        if rows.size:
            out[rows] = term(lambda key: c[key][rows][:, None])
        return out

    def ramp(f: Field, what: str, shape: np.ndarray | float = 1.0) -> np.ndarray:
        up: np.ndarray = np.clip((x - f(f"{what}_at")) / f(f"{what}_span"), 0.0, 1.0)
        if not isinstance(shape, float):
            up = up**shape
        return up

    def window(f: Field, what: str) -> np.ndarray:
        inside: np.ndarray = (x > f(f"{what}_at")) & (x <= f(f"{what}_at") + f(f"{what}_span"))
        return inside

    def memory(f: Field) -> np.ndarray:
        left = 1 - f("double_descent") * ramp(f, "double_descent")
        height: np.ndarray = f("overfit") * ramp(f, "overfit", f("overfit_shape")) * left
        return height

    def spike(f: Field) -> np.ndarray:
        height: np.ndarray = f("spike") * (1 - (x - f("spike_at") - 1) / f("spike_span")) * window(f, "spike")
        return height

    def swing(f: Field) -> np.ndarray:
        wave = f("swing") * (1 - np.cos(2 * np.pi * (x - f("swing_at")) / f("swing_period"))) / 2
        return np.asarray(wave * window(f, "swing"))

    def blow_up(f: Field) -> np.ndarray:
        late = x - f("blow_up_at")
        climb = f("initial") * late / (f("blow_up_span") + 1)
        return np.where(late <= 0, 0.0, np.where(late <= f("blow_up_span"), climb, np.nan))

    def descent(t: np.ndarray, tau: str, power: np.ndarray, scale: np.ndarray) -> np.ndarray:
        out: np.ndarray = np.exp(-t / scale)
        rows = np.flatnonzero(power)
        if rows.size:
            out[rows] = (1 + t[rows] / scale[rows]) ** -power[rows][:, None]
        return np.asarray(out)

    def base(t: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        low = (c["bayes"] + c["underfit"])[rows][:, None]
        late = np.maximum(t - c["delay"][rows][:, None], 0.0)
        fallen = descent(late, "decay", c["power"][rows], c["decay"][rows][:, None])
        value: np.ndarray = low + (c["initial"][rows][:, None] - low) * fallen
        return value

    clock = np.broadcast_to(x, (runs, epochs))
    paced = np.flatnonzero(c["pace"])
    uneven = np.flatnonzero((c["pace"] > 0) | (c["plateau_span"] > 0))
    if uneven.size:
        clock = clock.copy()
        clock[uneven] = _clock(c, share[uneven, 0], uneven, x)
    floors = _floors(c, share)
    rising = where("drift", lambda f: ramp(f, "drift")) + where("gain", lambda f: ramp(f, "drift") * (f("drift") == 0))
    drift = of("drift") * rising
    remembered = where("overfit", memory)
    both = where("shared", lambda f: f("shared") * ramp(f, "overfit"))
    both += where("jump", lambda f: f("jump") * (x <= f("jump_at")))
    both += where("spike", spike) + where("swing", swing) + where("blow_up_at", blow_up)
    decayed = base(clock, slice(None))
    rest = remembered + both
    risk = decayed + floors[:, 0] + rest + drift
    without = floors[:, 1:] + (decayed + (rest + drift))[:, None]
    for k in range(without.shape[1] if paced.size else 0):
        other = base(_clock(c, share[paced, 1 + k], paced, x), paced)
        without[paced, k] = other + floors[paced, 1 + k] + rest[paced] + drift[paced]
    same = (share[:, 1:] == share[:, :1]).all(2)
    without[same] = np.broadcast_to(risk[:, None], without.shape)[same]  # a drop that is none has no effect at all

    accuracy = of("top") - of("slope") * (decayed + floors[:, 0] + rest - of("bayes")) + of("gain") * rising
    low = of("train_bayes") + of("underfit")
    level = low + (of("initial") - low) * descent(clock, "train_decay", c["power"], of("train_decay"))
    level = level + of("train_floor") * floors[:, 0] + both
    start = c["initial"] + c["train_floor"] * c["noise_floor"] + c["jump"] * (c["jump_at"] > 0)
    earlier = np.concatenate([start[:, None], level[:, :-1]], 1)
    right = np.clip(of("train_top") - of("slope") * (level - of("train_bayes")), 0.001, 1.0)
    before = np.clip(c["train_top"] - c["slope"] * (start - c["train_bayes"]), 0.001, 1.0)
    meant = (np.concatenate([before[:, None], right[:, :-1]], 1) + right) / 2
    lost = np.isnan(level)
    return Curves(
        share=share[:, 0],
        risk=risk,
        population_accuracy=np.where(lost, CHANCE, np.clip(accuracy, 0.001, 0.999)),
        train_loss_eval=level,
        train_loss=(earlier + level) / 2 + of("mode") + of("objective"),
        risk_calibrated=risk - of("calibration_share") * drift,
        train_accuracy_eval=np.where(lost, CHANCE, right),
        train_accuracy=np.where(lost, CHANCE, meant),
        without_drop=without,
        twins={"fresh_samples": risk - remembered},
        objective=c["objective"],
        reference=c["bayes"],
    )


def _clock(c: Recipes, share: np.ndarray, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How far the descent has come at the end of each epoch, in epochs at the peak rate, shape (rows, epochs)."""
    begin, span = c["plateau_at"][rows][:, None], c["plateau_span"][rows][:, None]
    moves = ~((x > begin) & (x <= begin + span))
    moved: np.ndarray = np.cumsum(share ** c["pace"][rows][:, None] * moves, 1)
    return moved


def _floors(c: Recipes, share: np.ndarray) -> np.ndarray:
    """The noise floor under each schedule of `share`, same shape."""
    out = np.zeros_like(share)
    rows = np.flatnonzero(c["noise_floor"])
    if rows.size:
        height = c["noise_floor"][rows][:, None]
        towards = 1 - np.exp(-1 / c["relax"][rows])[:, None]
        target = np.ascontiguousarray(np.moveaxis(share[rows], 2, 0)) * height  # (epochs, rows, schedules)
        level = np.broadcast_to(height, target.shape[1:])
        for i, goal in enumerate(target):
            level = level + towards * (goal - level)
            target[i] = level
        out[rows] = np.moveaxis(target, 0, 2)
    return out
