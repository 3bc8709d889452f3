"""The events of many runs at once, for expectations that are exact: what `sim.truth.events` gives, run by run.

The definitions are those of `sim.truth`, which stays the place to read and to change them; here they are written for
arrays of shape (runs, epochs), forty times faster, and the tests hold the two together. The seven further phenomena
are rare: a run in which one could be, by a condition that each of them needs, is labelled by `sim.further` itself, and
so is a run whose loss is somewhere not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.segments import AROUND, LARGEST_FACTOR, SUDDEN
from detectors.shapes import Rise
from detectors.vocabulary import Event, Phenomenon
from sim import further, truth
from sim.batch import Events
from sim.truth import Expected

__all__ = ["Exact", "drops_of", "label"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Exact:
    """Exact expectations of runs of equal length: arrays of shape (runs, epochs).

    `drops` has shape (runs, k): positions of drops in increasing order, then -1; `without_drop` of shape (runs, k,
    epochs) the risk of the twin without each, NaN where there is none. `curves` are those of `Expected`; `expected(i)`
    is the same of one run.
    """

    rates: np.ndarray
    curves: Mapping[str, np.ndarray]
    drops: np.ndarray
    without_drop: np.ndarray
    ideal: np.ndarray
    has_objective: np.ndarray
    expected: Callable[[int], Expected]


def drops_of(rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(runs, positions) of every drop in positive rates of shape (runs, epochs); see `drop_positions`."""
    log = np.log(rates)
    falls = log[:, :-1] - log[:, 1:]
    row, i = np.nonzero(falls >= -np.log(LARGEST_FACTOR) - 1e-9)
    offsets = np.concatenate([np.arange(-AROUND, 0), np.arange(1, AROUND + 1)])
    near = i[:, None] + offsets
    inside = (near >= 0) & (near < falls.shape[1])
    around = np.sort(np.where(inside, falls[row[:, None], near.clip(0, falls.shape[1] - 1)], np.inf), 1)
    size = inside.sum(1)
    each = np.arange(len(row))
    low, high = (around[each, np.maximum(k, 0)] for k in ((size - 1) // 2, size // 2))
    sudden = (size > 0) & (falls[row, i] >= SUDDEN * np.where(size > 0, (low + high) / 2, 0.0))
    return row[sudden], i[sudden] + 1


def rises_of(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(runs, bottoms, tops) of every rise of curves of shape (runs, epochs): `detectors.shapes.rises`."""
    n = curve.shape[1]
    sign = np.sign(np.diff(curve, axis=1)).astype(np.int8)
    back = np.where(sign != 0, np.arange(n - 1), n)
    nxt = np.minimum.accumulate(back[:, ::-1], 1)[:, ::-1]  # where the curve next moves
    after = np.concatenate([nxt[:, 1:], np.full((len(curve), 1), n)], 1)
    moves = np.concatenate([sign, np.zeros((len(curve), 2), np.int8)], 1)
    row, k = np.nonzero((sign > 0) & (np.take_along_axis(moves, after, 1) <= 0))
    tops = k + 1
    if not len(row):
        return row, tops, tops
    begin = np.where(np.diff(row, prepend=-1) != 0, 0, np.concatenate([[0], tops[:-1]]))
    flat, start, stop = curve.reshape(-1), row * n + begin, row * n + tops
    edges = np.stack([start, stop], 1).reshape(-1)
    lowest = np.minimum.reduceat(flat, edges)[::2]
    length = stop - start
    inside = np.repeat(start - np.concatenate([[0], np.cumsum(length)[:-1]]), length) + np.arange(length.sum())
    place = np.where(flat[inside] == np.repeat(lowest, length), inside, curve.size)
    bottoms = np.minimum.reduceat(place, np.concatenate([[0], np.cumsum(length)[:-1]])) - row * n
    return _persistent(curve, row, bottoms, tops)


def _persistent(
    curve: np.ndarray, row: np.ndarray, bottoms: np.ndarray, tops: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rises from the lows and the tops of each run in turn: a stack of open peaks for each run, all runs at once."""
    runs, first, count = np.unique(row, return_index=True, return_counts=True)
    stack = np.zeros((2, len(runs), int(count.max()) + 1), np.int64)
    depth = np.zeros(len(runs), np.int64)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for k in range(int(count.max())):
        here = np.flatnonzero(count > k)
        a, b = bottoms[first[here] + k].copy(), tops[first[here] + k]
        top = curve[runs[here], b]
        popping = np.arange(len(here))
        while popping.size:
            h = here[popping]
            popping = popping[depth[h] > 0]
            h = here[popping]
            last_a, last_b = stack[:, h, depth[h] - 1]
            lower = curve[runs[h], last_b] < top[popping]
            popping, h, last_a, last_b = popping[lower], h[lower], last_a[lower], last_b[lower]
            depth[h] -= 1
            own = curve[runs[h], last_a] >= curve[runs[h], a[popping]]
            found.append((runs[h[own]], last_a[own], last_b[own]))
            a[popping[~own]] = last_a[~own]
        stack[0, here, depth[here]], stack[1, here, depth[here]] = a, b
        depth[here] += 1
    for k in range(int(depth.max())):
        h = np.flatnonzero(depth > k)
        found.append((runs[h], stack[0, h, k], stack[1, h, k]))
    every = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.lexsort((every[1], every[0]))
    return every[0][order], every[1][order], every[2][order]


_SINGLY = 10  # the first place, in the order of a run's events, of those that are labelled one by one
_MANY = 10**6  # more than a run can have of them
_BEHIND = (Phenomenon.DOUBLE_DESCENT, Phenomenon.DELAYED_GENERALIZATION)  # of those the ones behind underfitting


@dataclass(frozen=True, eq=False)
class _Rises:
    """Rises that are not negligible."""

    row: np.ndarray
    a: np.ndarray
    b: np.ndarray
    bottom: np.ndarray
    prominence: np.ndarray
    material: np.ndarray
    spike: np.ndarray


@dataclass(eq=False)
class _Table:
    """Events as they are found, a block of one phenomenon at a time, and the effects of each; NaN is no effect."""

    blocks: list[dict[str, np.ndarray]] = field(default_factory=list)
    effects: list[list[tuple[str, np.ndarray]]] = field(default_factory=list)

    def add(
        self,
        order: np.ndarray | int,
        phenomenon: str,
        row: np.ndarray,
        onset: np.ndarray,
        effects: list[tuple[str, np.ndarray]],
        *,
        end: np.ndarray | float = np.nan,
        band: tuple[np.ndarray, np.ndarray] | None = None,
        kind: np.ndarray | str = "",
        material: np.ndarray | bool = True,
    ) -> None:
        """Append events; positions are 0-based and become epochs."""
        size = len(row)
        lo, hi = band if band is not None else (onset, onset)
        full = {"order": order, "phenomenon": str(phenomenon), "kind": kind, "material": material}
        self.blocks.append(
            {name: np.broadcast_to(np.asarray(v), (size,)) for name, v in full.items()}
            | {"row": row, "onset": onset + 1.0, "band_lo": lo + 1.0, "band_hi": hi + 1.0}
            | {"end": np.broadcast_to(np.asarray(end) + 1.0, (size,))}
        )
        self.effects.append(effects)


def label(exact: Exact) -> Events:
    """The events of all runs, in the order in which `sim.truth.events` has them."""
    finite = np.logical_and.reduce([np.isfinite(exact.curves[k]).all(1) for k in truth._LOSSES])
    rare = np.flatnonzero(~finite)
    rows = np.flatnonzero(finite)
    table = _Table()
    singly: dict[int, Sequence[Event]] = {int(i): truth.events(exact.expected(int(i))) for i in rare}
    if rows.size:
        curves = {k: v[rows] for k, v in exact.curves.items()}
        found = _label(table, exact, rows, curves)
        _underfitting(table, rows, curves)
        possible = _possible(curves, found, exact.drops[rows], exact.rates[rows])
        some = np.stack(list(possible.values()))
        more = {i: events for i, events in _plateaus(curves["risk"]).items() if events}
        for i in np.flatnonzero(some.any(0)).tolist():
            among = {name for name, there in zip(possible, some[:, i].tolist(), strict=True) if there}
            mine = np.flatnonzero((found.row == i) & found.material)
            rises = [Rise(int(found.a[k]), int(found.b[k]), float(found.prominence[k])) for k in mine]
            drops = [int(d) for d in exact.drops[rows[i]] if d >= 0]
            rest = further.further_events(_few(exact, curves, rows, i), drops, rises, among)
            more[i] = [*more.get(i, ()), *rest]
        singly |= {int(rows[i]): events for i, events in more.items()}
    return _events(table, len(finite), singly)


def _plateaus(risk: np.ndarray) -> dict[int, list[Event]]:
    """The plateaus, grey ones too, of those curves of shape (runs, n) that have any window of one."""
    n, grey = risk.shape[1], further.GREY
    size = further.shortest_plateau(n)
    if n < size:
        return {}
    moved, coming = further.moves(risk, size), further.to_fall(risk)
    descent = (risk[:, 0] - risk.min(1))[:, None]
    flat = moved < further.PLATEAU_CHANGE / grey * descent
    some = np.flatnonzero((flat & (coming[:, size - 1 :] >= grey * further.PLATEAU_TO_COME * descent)).any(1))
    epochs = np.arange(1.0, n + 1)
    return {int(i): further.plateaus_of(epochs, risk[i], moved[i], coming[i]) for i in some}


def _underfitting(table: _Table, rows: np.ndarray, c: Mapping[str, np.ndarray]) -> None:
    risk, level, reference = c["risk"], c["train_loss_eval"], c["reference"][:, 0]
    excess, left, gap = level[:, 0] - reference, level[:, -1] - reference, risk[:, -1] - level[:, -1]

    def holds(share: float, most: float) -> np.ndarray:
        there: np.ndarray = (excess > 0) & (left >= share * excess) & (gap < most * excess)
        return there

    grey, most = further.GREY, further.UNDERFITTING_GAP
    k = np.flatnonzero(holds(grey * further.UNDERFITTING, most / grey))
    table.add(
        _SINGLY + _MANY,
        Phenomenon.UNDERFITTING,
        rows[k],
        np.zeros(len(k)),
        [("left", left[k] / excess[k]), ("gap", gap[k] / excess[k]), ("reference", reference[k])],
        material=holds(further.UNDERFITTING, most)[k],
    )


def _few(exact: Exact, curves: Mapping[str, np.ndarray], rows: np.ndarray, i: int) -> Expected:
    """The expectations of one run that the further phenomena are labelled from."""
    names = ("risk", "train_loss_eval", "noise_width", "train_accuracy", "population_accuracy")
    return Expected(
        epochs=np.arange(1.0, curves["risk"].shape[1] + 1),
        learning_rate=exact.rates[rows[i]],
        curves={name: curves[name][i : i + 1] for name in names},
    )


def _label(table: _Table, exact: Exact, rows: np.ndarray, c: Mapping[str, np.ndarray]) -> _Rises:
    risk, level = c["risk"], c["train_loss_eval"]
    drops, without = exact.drops[rows], exact.without_drop[rows]
    rises = _rises(risk)
    borders = _segments(rises, drops, risk.shape[1])
    band = _around(risk[rises.row] <= (rises.bottom + _near(rises))[:, None], rises.a, *borders)
    change = {
        k: c[k][rises.row, rises.b] - c[k][rises.row, rises.a] for k in ("population_accuracy", "risk_calibrated")
    }

    # overfitting
    ideal = exact.ideal[rows]
    trained = level[rises.row, rises.b] - level[rises.row, rises.a]
    worse = trained > truth.TRAINING_WORSE * np.abs(level[rises.row, rises.a])
    k = np.flatnonzero(~worse & ~rises.spike)
    decision = change["risk_calibrated"][k]
    table.add(
        0,
        Phenomenon.OVERFITTING,
        rows[rises.row[k]],
        rises.a[k],
        [
            ("prominence", rises.prominence[k]),
            ("relative", rises.prominence[k] / np.abs(rises.bottom[k])),
            ("memorisation", rises.prominence[k] - (ideal[rises.row, rises.b] - ideal[rises.row, rises.a])[k]),
            ("decision", decision),
            ("calibration", rises.prominence[k] - decision),
            ("accuracy", change["population_accuracy"][k]),
        ],
        end=rises.b[k],
        band=(band[0][k], band[1][k]),
        material=rises.material[k],
    )
    _gap(table, rows, risk, level)
    _drops(table, exact, rows, c, rises, drops, without)

    # divergence
    gained = change["population_accuracy"]
    k = np.flatnonzero((gained >= -truth.ACCURACY) & ~rises.spike)
    table.add(
        4,
        Phenomenon.LOSS_ACCURACY_DIVERGENCE,
        rows[rises.row[k]],
        rises.a[k],
        [
            ("rise", rises.prominence[k]),
            ("relative", rises.prominence[k] / np.abs(rises.bottom[k])),
            ("accuracy", gained[k]),
            ("calibration_share", 1 - change["risk_calibrated"][k] / rises.prominence[k]),
        ],
        end=rises.b[k],
        band=(band[0][k], band[1][k]),
        kind=np.where(gained[k] > truth.ACCURACY, "accuracy_rising", "accuracy_flat"),
        material=rises.material[k],
    )
    _train_above_val(table, rows, c, exact.has_objective[rows])
    return rises


def _rises(risk: np.ndarray) -> _Rises:
    row, a, b = rises_of(risk)
    bottom = risk[row, a]
    prominence = risk[row, b] - bottom
    k = np.flatnonzero(prominence >= truth.NEGLIGIBLE * np.abs(bottom))
    row, a, b, bottom, prominence = (v[k] for v in (row, a, b, bottom, prominence))
    back = a[:, None] + np.arange(truth.SPIKE_EPOCHS + 1)
    there = (back >= b[:, None]) & (back < risk.shape[1])
    values = risk[row[:, None], back.clip(max=risk.shape[1] - 1)]
    spike = (there & (values <= (bottom + truth.BAND_OF_PROMINENCE * prominence)[:, None])).any(1)
    material = prominence >= truth.MATERIAL * np.abs(bottom)
    return _Rises(row, a, b, bottom, prominence, material, spike)


def _near(rises: _Rises) -> np.ndarray:
    near: np.ndarray = np.minimum(truth.BAND * np.abs(rises.bottom), truth.BAND_OF_PROMINENCE * rises.prominence)
    return near


def _segments(rises: _Rises, drops: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The half-open range between drops that holds each bottom."""
    mine = drops[rises.row]
    lo = np.where((mine >= 0) & (mine <= rises.a[:, None]), mine, 0).max(1, initial=0)
    hi = np.where((mine >= 0) & (mine > rises.a[:, None]), mine, n).min(1, initial=n)
    return lo, hi


def _around(
    inside: np.ndarray, at: np.ndarray, lo: np.ndarray | int, hi: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray]:
    """First and last position of the stretch of `inside` about `at`, within [lo, hi)."""
    x = np.arange(inside.shape[1])
    here = at[:, None]
    left = np.where(~inside & (x < here), x, -1).max(1, initial=-1) + 1
    right = np.where(~inside & (x > here), x, inside.shape[1]).min(1, initial=inside.shape[1]) - 1
    return np.maximum(left, lo), np.minimum(right, np.asarray(hi) - 1)


def _gap(table: _Table, rows: np.ndarray, risk: np.ndarray, level: np.ndarray) -> None:
    gap = risk - level
    lowest = risk.min(1)
    n = risk.shape[1]

    def first(share: float) -> np.ndarray:
        below = ~(gap > (share * lowest)[:, None])
        x: np.ndarray = np.where(below.any(1), n - np.argmax(below[:, ::-1], 1), 0)
        return x

    x = first(truth.GAP)
    k = np.flatnonzero(x < n)
    onsets = [(f"onset_{100 * s:.10g}pct", first(s)[k] + 1.0) for s in (0.0, 0.05, truth.GAP, 0.25)]
    near = np.abs(gap[k] - (truth.GAP * lowest[k])[:, None]) <= 0
    near[np.arange(len(k)), x[k]] = True
    table.add(
        1,
        Phenomenon.GENERALIZATION_GAP,
        rows[k],
        x[k],
        [
            ("final_gap", gap[k, -1]),
            ("relative", gap[k, -1] / np.abs(lowest[k])),
            *((name, np.where(v <= n, v, np.nan)) for name, v in onsets),
        ],
        band=_around(near, x[k], 0, n),
    )


def _drops(
    table: _Table,
    exact: Exact,
    rows: np.ndarray,
    c: Mapping[str, np.ndarray],
    rises: _Rises,
    drops: np.ndarray,
    without: np.ndarray,
) -> None:
    """The drops, and relief at them."""
    risk, n = c["risk"], c["risk"].shape[1]
    row, j = np.nonzero(drops >= 0)
    d = drops[row, j]
    later = np.concatenate([drops[:, 1:], np.full((len(drops), 1), -1)], 1)[row, j] if drops.shape[1] else d
    following = np.where(later >= 0, later, n)
    end = following - 1
    for k in np.flatnonzero(rises.material)[::-1]:  # backwards: the first rise in a stretch is the last to be written
        mine = (row == rises.row[k]) & (d <= rises.a[k]) & (rises.a[k] < following)
        end[mine] = rises.a[k]
    x = np.arange(n)
    window = (x >= d[:, None]) & (x <= end[:, None])
    here = risk[row]
    difference = without[row, j] - here
    mean = _mean_over(difference, np.arange(len(d)), d, end + 1)
    level = np.abs(_mean_over(risk, row, d, end + 1))
    until = (x >= d[:, None]) & (x < following[:, None])
    largest = np.where(until, difference, -np.inf).max(1, initial=-np.inf)
    lowest = np.where(window, here, np.inf).min(1, initial=np.inf)
    before = np.where(x < d[:, None], here, np.inf).min(1, initial=np.inf)
    best = lowest < before
    twinned = np.isfinite(without[row, j, d])
    kind = np.select(
        [~twinned, np.abs(mean) < 0.5 * truth.RELIEF * level, mean < 0, mean <= truth.RELIEF * level, best],
        ["", "null", "harmful", "slight", "new_best"],
        "relief",
    )
    moved = []
    for curve, key in truth._WIDTHS.items():
        after = c[curve][row[:, None], np.minimum(d[:, None] + np.arange(truth.VISIBLE), n - 1)]
        width = c[key][row, d - 1]
        step = np.abs(after - c[curve][row, d - 1][:, None]).max(1, initial=0.0)
        moved.append(np.divide(step, width, out=np.full(len(d), -np.inf), where=width > 0))
    widths = np.max(moved, 0) if len(d) else np.empty(0)
    rates = exact.rates[rows]
    table.add(
        2,
        Phenomenon.LR_DROP,
        rows[row],
        d,
        [
            ("factor", rates[row, d] / rates[row, d - 1]),
            ("visible_widths", np.where(np.isfinite(widths), widths, np.nan)),
            ("relief", mean),
            ("relief_largest", np.where(twinned, largest, np.nan)),
        ],
        kind=kind,
    )
    k = np.flatnonzero(twinned & (kind != "null"))
    table.add(
        3,
        Phenomenon.LR_DROP_RELIEF,
        rows[row[k]],
        d[k],
        [
            ("mean", mean[k]),
            ("mean_se", np.zeros(len(k))),
            ("relative", mean[k] / level[k]),
            ("largest", largest[k]),
            ("visible", here[k, d[k] - 1] - here[k, end[k]]),
            ("beats_best", best[k].astype(np.float64)),
        ],
        end=np.where(end[k] < n - 1, end[k], np.nan),
        kind=np.where(kind[k] == "slight", np.where(best[k], "new_best", "relief"), kind[k]),
        material=(kind[k] == "new_best") | (kind[k] == "relief"),
    )


def _mean_over(values: np.ndarray, row: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Means of positions lo..hi-1 of rows of `values`, with the bits of `sim.truth.mean_over`."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, 1)], 1)
    mean: np.ndarray = (total[row, hi] - total[row, lo]) / (hi - lo)
    return mean


def _train_above_val(table: _Table, rows: np.ndarray, c: Mapping[str, np.ndarray], objective: np.ndarray) -> None:
    train, risk, level = c["train_loss"], c["risk"], c["train_loss_eval"]
    excess = train - risk
    above = excess > truth.ABOVE * np.abs(risk)
    edges = np.diff(above.astype(np.int8), axis=1, prepend=0, append=0)
    row, lo = np.nonzero(edges > 0)
    hi = np.nonzero(edges < 0)[1]
    k = np.flatnonzero(hi - lo >= truth.ABOVE_EPOCHS)
    row, lo, hi = row[k], lo[k], hi[k]
    some, which = np.unique(row, return_inverse=True)
    train, risk, level = train[some], risk[some], level[some]
    extra = c["objective"][some]
    lag = (np.concatenate([np.zeros((len(some), 1)), level[:, :-1]], 1) + level) / 2 - level
    lag[:, 0] = train[:, 0] - extra[:, 0] - level[:, 0]

    def mean(values: np.ndarray) -> np.ndarray:
        return _mean_over(values, which, lo, hi)

    parts = {
        "lag": mean(lag),
        "mode": mean(train - level - lag - extra),
        "objective": np.where(objective[row], mean(extra), np.nan),
        "train_minus_risk": mean(level - risk),
    }
    sizes = np.stack([np.where(np.isnan(v), -np.inf, v) for v in parts.values()])
    whole = np.where(np.isinf(sizes), 0.0, sizes).sum(0)
    largest = sizes.max(0, initial=-np.inf)
    cause = np.array(list(parts))[sizes.argmax(0)] if len(row) else np.empty(0, str)
    n = risk.shape[1]
    table.add(
        5,
        Phenomenon.TRAIN_ABOVE_VAL,
        rows[row],
        lo,
        [("mean", mean(train - risk)), *parts.items()],
        end=np.where(hi < n, hi - 1.0, np.nan),
        kind=np.where(largest > 0.5 * whole, cause, "mixed"),
    )


def _possible(
    c: Mapping[str, np.ndarray], rises: _Rises, drops: np.ndarray, rates: np.ndarray
) -> dict[str, np.ndarray]:
    """In which runs each further phenomenon that is told of one run could be, by a condition that it needs.

    Grey ones too; plateaus and underfitting are told of all runs together.
    """
    risk, level = c["risk"], c["train_loss_eval"]
    runs, n = risk.shape
    grey = further.GREY
    # spike: a peak over an evaluation shortly before it, to which the curve comes back
    spike = np.zeros(runs, bool)
    least = grey * np.maximum(further.SPIKE_WIDTHS * c["noise_width"], further.SMALLEST * np.abs(risk))
    row, k = np.nonzero((risk[:, 1:-1] > risk[:, :-2]) & (risk[:, 1:-1] >= risk[:, 2:]))
    top = k + 1
    for before in range(1, further.SPIKE_BACK):
        there = top >= before
        r, t = row[there], top[there]
        foot = t - before
        height = risk[r, t] - risk[r, foot]
        span = np.minimum(foot[:, None] + np.arange(before, further.SPIKE_BACK + 1), n - 1)
        back = risk[r[:, None], span].min(1) <= risk[r, foot] + further.SPIKE_LEFT * height
        spike[r[back & (height >= least[r, foot])]] = True
    # oscillation: three swings up at one rate
    steps = np.maximum(np.diff(risk, axis=1), 0.0)
    tops = np.zeros((runs, n), bool)
    tops[row, top] = True
    borders = np.concatenate([np.where(drops > 1, drops, n), np.full((runs, 1), n)], 1)
    up, at = np.arange(runs)[:, None], borders - 1  # where a stretch ends, the curve may be on its way up
    tops[up, at] |= risk[up, at] > risk[up, at - 1]
    most = _most_between(tops, borders)
    swing = grey * np.maximum(further.SWING_WIDTHS * c["noise_width"], further.SMALLEST * np.abs(risk)).min(1)
    swinging = (most >= further.SWINGS // 2) & (steps.sum(1) >= further.SWINGS // 2 * swing)
    # blow-up
    blown = (level[:, -1] >= level[:, 0]) & (level[:, 1:] > level[:, :1]).any(1)
    # double descent: a material rise of which a quarter goes away, and that at the same rate
    k = np.flatnonzero(rises.material)
    after = np.minimum.accumulate(risk[:, ::-1], 1)[:, ::-1]
    enough = grey * further.SECOND_DESCENT * rises.prominence
    k = k[risk[rises.row[k], rises.b[k]] - after[rises.row[k], rises.b[k]] >= enough[k]]
    row, b = rises.row[k], rises.b[k]
    changed = np.abs(rates[row] / rates[row, b][:, None] - 1) > further.SAME_RATE
    changed[np.arange(n) < b[:, None]] = False
    low = (risk[row, b][:, None] - risk[row] >= enough[k][:, None]) & (np.arange(n) > b[:, None])
    double = np.zeros(runs, bool)
    double[row[(low & ~np.logical_or.accumulate(changed, 1)).any(1)]] = True
    # delayed generalisation
    fitted = c["train_accuracy"] >= further.FITTED
    accuracy = c["population_accuracy"]
    gain = accuracy.max(1) - accuracy[:, 0]
    half = np.argmax(accuracy >= (accuracy[:, 0] + gain / 2)[:, None], 1)
    later = (half + 1) / (np.argmax(fitted, 1) + 1)
    delayed = fitted.any(1) & (gain >= 0.2 * further.GAIN) & (later >= 1 + grey * (further.DELAY - 1))
    return {
        Phenomenon.SPIKE: spike,
        Phenomenon.BLOW_UP: blown,
        Phenomenon.OSCILLATION: swinging | (double & (most >= further.SWINGS // 2)),
        Phenomenon.DOUBLE_DESCENT: double,
        Phenomenon.DELAYED_GENERALIZATION: delayed,
    }


def _most_between(there: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """The most that are `there`, shape (runs, n), before one of the `borders`, shape (runs, m), from the one before."""
    so_far = np.cumsum(there, axis=1)
    until = np.take_along_axis(so_far, np.sort(borders, axis=1) - 1, 1)
    most: np.ndarray = np.diff(until, axis=1, prepend=0).max(axis=1)
    return most


def _events(table: _Table, runs: int, singly: Mapping[int, Sequence[Event]]) -> Events:
    """The table and the events that were labelled one by one, put together in order of the runs."""
    alike: dict[tuple[str, ...], list[tuple[int, int, Event]]] = {}  # a phenomenon with the same effects
    for row, events in singly.items():
        for k, e in enumerate(events):
            turn = _SINGLY + k + (_MANY if e.phenomenon in _BEHIND else 0)
            alike.setdefault((str(e.phenomenon), *e.effect), []).append((row, turn, e))
    for (phenomenon, *effects_), some in alike.items():
        bands = np.array([e.band or (e.onset, e.onset) for _, _, e in some]) - 1.0
        table.add(
            np.array([k for _, k, _ in some]),
            phenomenon,
            np.array([row for row, _, _ in some]),
            np.array([e.onset - 1.0 for _, _, e in some]),
            [(name, np.array([e.effect[name] for _, _, e in some])) for name in effects_],
            end=np.array([np.nan if e.end is None else e.end - 1.0 for _, _, e in some]),
            band=(bands[:, 0], bands[:, 1]),
            kind=np.array([e.kind for _, _, e in some]),
            material=np.array([e.material for _, _, e in some]),
        )
    names = ("row", "order", "onset", "end", "band_lo", "band_hi", "material", "phenomenon", "kind")
    whole = {name: np.concatenate([b[name] for b in table.blocks]) if table.blocks else np.empty(0) for name in names}
    starts = np.cumsum([0, *(len(b["row"]) for b in table.blocks)])
    order = np.lexsort((np.arange(starts[-1]), whole["order"], whole["row"]))
    event: list[np.ndarray] = []
    name: list[np.ndarray] = []
    value: list[np.ndarray] = []
    rank: list[np.ndarray] = []
    for start, effects in zip(starts, table.effects, strict=False):
        for j, (label_, values) in enumerate(effects):
            there = np.flatnonzero(~np.isnan(values))
            event.append(start + there)
            value.append(values[there])
            name.append(np.full(len(there), label_, object))
            rank.append(np.full(len(there), j))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    of_event = place[np.concatenate(event)] if event else np.empty(0, np.int64)
    by_event = np.lexsort((np.concatenate(rank), of_event)) if event else np.empty(0, np.int64)
    return Events(
        counts=np.bincount(whole["row"].astype(np.int64), minlength=runs).astype(np.int32),
        phenomenon=whole["phenomenon"][order].tolist(),
        kind=whole["kind"][order].tolist(),
        onset=whole["onset"][order],
        end=whole["end"][order],
        band_lo=whole["band_lo"][order],
        band_hi=whole["band_hi"][order],
        material=whole["material"][order].astype(bool),
        effects=np.bincount(of_event, minlength=len(order)).astype(np.int32),
        effect_name=np.concatenate(name)[by_event].tolist() if event else [],
        effect_value=np.concatenate(value)[by_event] if event else np.empty(0),
    )
