"""The tables of `answers.py` from its pool of runs: effects with intervals over seeds.

All runs of a seed are resampled together (percentile bootstrap, 2,000 resamples from a fixed seed); a share of all or
of none has the exact interval of as many seeds as there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from answers_pool import DROPS, EPOCHS, FACTORS, NOISES, WIDTHS
from answers_run import BY_ACCURACY, RULES, TRUE_GAPS, WINDOW

from sim.scores import exact_interval

RESAMPLES = 2000
#: One array a column, one row a run; a run without a drop has factor 1 and drop 0.
Pool = Mapping[str, np.ndarray]
Rows = list[dict[str, object]]
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
TIMES = sorted({drop for _, drop in DROPS})
ALL_TIMES = 5  # the factor that has a drop at each of them
PAIRS = ((5, 10, 20), (2, 20, 40), (5, 20, 40), (10, 20, 40))  # factor, early drop, late drop
MEASURES = ("best_risk", "final_risk", "best_accuracy", "final_accuracy")
#: The rules that watch one thing, by rising threshold, down to never stopping at all.
SIGNALS = {
    signal: [*(rule for rule in RULES if rule.rpartition(" ")[0] == signal), "to the end"]
    for signal in ("patience", "rise", "gap", "logged gap")
}
SOON = 10  # epochs after a drop
BUDGETS = (20, 40)  # epochs of the 80
SAME = {"risk": 0.005, "accuracy": 0.002}  # under this share of the loss, this share of cases, nobody wins


def crossed(pool: Pool) -> np.ndarray:
    """The drops at epochs that have every factor, so that factors are compared on the same seeds and epochs."""
    complete = [d for d in TIMES if {f for f, at in DROPS if at == d} == set(FACTORS)]
    return np.isin(pool["drop"], complete)


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means of `values` (n,) under `weights` (resamples, n)."""
    out: np.ndarray = (weights @ values) / weights.sum(1)
    return out


def median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The lower medians, likewise."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[:, order], 1)
    out: np.ndarray = values[order][(total >= total[:, -1:] / 2).argmax(1)]
    return out


def estimate(values: np.ndarray, seeds: np.ndarray, statistic: Statistic = mean) -> tuple[float, float, float]:
    """The statistic of `values` (n,), and the ends of its 95 % interval over `seeds` (n,); NaN without values.

    Truths have a share, whose interval is exact where all agree.
    """
    if not len(values):
        return (np.nan, np.nan, np.nan)
    share, values = values.dtype == bool, values.astype(float)
    names, place = np.unique(seeds, return_inverse=True)
    middle = float(statistic(values, np.ones((1, len(values))))[0])
    if share and middle in (0, 1):
        low, high = exact_interval(round(middle * len(names)), len(names))
        return middle, low, high
    low, high = np.quantile(statistic(values, resampled(len(names))[:, place]), (0.025, 0.975))
    return middle, float(low), float(high)


def resampled(n: int) -> np.ndarray:
    """How often each of `n` seeds is drawn, shape (RESAMPLES, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


def said(name: str, values: np.ndarray, seeds: np.ndarray, statistic: Statistic = mean) -> dict[str, object]:
    """The columns of an estimate: the statistic, `_low` and `_high`."""
    triple = estimate(values, seeds, statistic)
    return {f"{name}{end}": f"{v:.4g}" for end, v in zip(("", "_low", "_high"), triple, strict=True)}


def rises(pool: Pool) -> Rows:
    """How many runs have a material rise of R after the drop, and what the largest of them is made of.

    `worse` are runs whose own validation accuracy, five epochs averaged, is lower at the top of the rise than at its
    bottom. Runs that never drop are there for comparison, with their largest rise of all.
    """
    drop, everything = pool["drop"] > 0, np.ones(len(pool["seed"]), bool)
    worse = pool["rise_accuracy_seen"] < 0
    groups = {
        "after a drop": drop,
        "after a drop, noisy labels": drop & (pool["label_noise"] > 0),
        **{f"after a drop, label noise {n:g}": drop & (pool["label_noise"] == n) for n in NOISES},
        **{f"after a drop, width {w}": drop & (pool["width"] == w) for w in WIDTHS},
        **{f"after a drop by {f}": crossed(pool) & (pool["factor"] == f) for f in FACTORS},
        **{f"after a drop at {d}": (pool["factor"] == ALL_TIMES) & (pool["drop"] == d) for d in TIMES},
        "after a drop, accuracy seen not lower": drop & ~worse,
        "after a drop, accuracy seen lower": drop & worse,
        "never a drop": everything & ~drop,
    }
    out: Rows = []
    for name, there in groups.items():
        judged = "accuracy seen" in name  # which needs a rise
        with_rise = there & (pool["rise_kind"] != "")
        seeds, kind = pool["seed"][with_rise], pool["rise_kind"][with_rise]
        out.append(
            {
                "runs": name,
                "count": int(with_rise.sum() if judged else there.sum()),
                "rises": int(with_rise.sum()),
                "seeds": len(set(pool["seed"][there].tolist())),
                **said("with_rise", with_rise[there], pool["seed"][there]),
                **said("overconfidence", kind == "overconfidence", seeds),
                **said("between", kind == "between", seeds),
                **said("decisions", kind == "decisions", seeds),
                **said("share", pool["rise_share"][with_rise], seeds, median),
                **said("accuracy_kept", pool["rise_accuracy"][with_rise] >= -SAME["accuracy"], seeds),
            }
        )
    return out


def relief(pool: Pool) -> Rows:
    """How often a drop brings relief against its twin, and for how many epochs of the 40 after it, by what it had.

    `ends` and `gain` are of the drops with relief, `soon` (within SOON epochs) and `length` of those whose relief ends,
    `later` of those that last for the 40 epochs and could be followed longer: whether it ends before the run does.
    Drops at 20 and 40, which have every factor; those "at" an epoch have the factor 5. Noisy labels are both kinds of
    them, for with clean ones there is little to tell.
    """
    all_factors = crossed(pool)
    noisy = pool["label_noise"] > 0
    groups: dict[str, tuple[str, np.ndarray]] = {"all": ("", all_factors)}
    groups |= {f"label noise {n:g}": ("noise", all_factors & (pool["label_noise"] == n)) for n in NOISES}
    for key, levels in {"factor": FACTORS, "width": WIDTHS}.items():
        groups |= {f"noisy labels, {key} {v:g}": (key, noisy & all_factors & (pool[key] == v)) for v in levels}
    at = noisy & (pool["factor"] == ALL_TIMES)
    groups |= {f"noisy labels, at epoch {d}": ("at", at & (pool["drop"] == d)) for d in TIMES}
    for f in FACTORS:
        for n in NOISES:
            chosen = all_factors & (pool["factor"] == f) & (pool["label_noise"] == n)
            groups[f"label noise {n:g}, factor {f}"] = ("noise and factor", chosen)
            for w in WIDTHS:
                groups[f"label noise {n:g}, factor {f}, width {w}"] = ("cell", chosen & (pool["width"] == w))
    out: Rows = []
    for name, (by, there) in groups.items():
        kind, seeds = pool["relief_kind"], pool["seed"]
        has = there & np.isin(kind, ("relief", "new_best"))
        ended = has & (pool["relief_ends"] == 1)
        longer = has & ~ended & (pool["drop"] < EPOCHS - WINDOW)
        out.append(
            {
                "by": by,
                "drops": name,
                "count": int(there.sum()),
                "seeds": len(set(seeds[there].tolist())),
                **said("relief", has[there], seeds[there]),
                **said("harmful", (kind == "harmful")[there], seeds[there]),
                **said("new_best", (kind == "new_best")[there], seeds[there]),
                **said("ends", pool["relief_ends"][has] == 1, seeds[has]),
                **said("soon", pool["relief_length"][ended] <= SOON, seeds[ended]),
                **said("length", pool["relief_length"][ended], seeds[ended], median),
                **said("later", pool["relief_ends_ever"][longer] == 1, seeds[longer]),
                **said("gain", pool["relief_gain"][has], seeds[has], median),
            }
        )
    return out


def lookup(pool: Pool, column: str, factor: int, drop: int) -> np.ndarray:
    """`column` of the run of each seed, in the order of seeds, with this factor and drop."""
    there = np.flatnonzero((pool["factor"] == factor) & (pool["drop"] == drop))
    return pool[column][there[np.argsort(pool["seed"][there])]]


def drops(pool: Pool) -> Rows:
    """The run with the early drop minus its sibling with the late one, by factor, label noise and where the bottom was.

    The bottom is the lowest R of the sibling that never drops: before the early drop, between the two, or after both.
    Losses as a share of the sibling's, accuracies as shares of cases; positive is better for the early drop.
    """
    seeds = lookup(pool, "seed", 1, 0)
    bottom = lookup(pool, "best_epoch", 1, 0)
    out: Rows = []
    for factor, early, late in PAIRS:
        groups = {
            "all": np.ones(len(seeds), bool),
            **{f"label noise {n:g}": lookup(pool, "label_noise", 1, 0) == n for n in NOISES},
            **{f"width {w}": lookup(pool, "width", 1, 0) == w for w in WIDTHS},
            "bottom before": bottom <= early,
            "bottom between": (bottom > early) & (bottom <= late),
            "bottom after": bottom > late,
        }
        for name, there in groups.items():
            for measure in MEASURES:
                a, b = (lookup(pool, measure, factor, drop)[there] for drop in (early, late))
                better = (b - a) / b if measure.endswith("risk") else a - b
                same = SAME[measure.partition("_")[2]]
                out.append(
                    {
                        "factor": factor,
                        "early": early,
                        "late": late,
                        "seeds": name,
                        "count": int(there.sum()),
                        "measure": measure,
                        **said("better", better, seeds[there]),
                        **said("early_wins", better > same, seeds[there]),
                        **said("late_wins", better < -same, seeds[there]),
                    }
                )
    return out


def stopping(pool: Pool) -> Rows:
    """What each rule costs: regret in loss and in accuracy, epochs trained, and whether it stopped before the drop."""
    drop = pool["drop"]
    groups = {
        "no drop": drop == 0,
        **{f"drop at {d}": drop == d for d in TIMES},
        "any drop": drop > 0,
        **{f"no drop, label noise {n:g}": (drop == 0) & (pool["label_noise"] == n) for n in NOISES},
        **{f"any drop, label noise {n:g}": (drop > 0) & (pool["label_noise"] == n) for n in NOISES},
    }
    truth = ("true best", "true rise", *(f"true gap {s:.0%}" for s in TRUE_GAPS), "last")
    out: Rows = []
    for name, there in groups.items():
        seeds = pool["seed"][there]
        for rule in (*RULES, *BY_ACCURACY, *truth):
            stop = pool[f"{rule}: stop"][there]
            out.append(
                {
                    "runs": name,
                    "count": int(there.sum()),
                    "seeds": len(set(seeds.tolist())),
                    "rule": rule,
                    **said("loss", pool[f"{rule}: loss"][there], seeds),
                    **said("accuracy", pool[f"{rule}: accuracy"][there], seeds),
                    "epochs": f"{stop.mean():.4g}",
                    **said("before_drop", stop <= drop[there], seeds),
                }
            )
    return out


def budgets(pool: Pool) -> Rows:
    """The regret of each signal at the threshold that trains for so many epochs on average.

    Beside it, less that of patience and less that of a rise. Between the thresholds that were tried the mean regret is
    interpolated over the mean number of epochs; beyond the last lies training to the end, and before the first it is
    NaN. So signals are compared at what they cost, whatever their thresholds mean.
    """
    out: Rows = []
    groups = {"no drop": pool["drop"] == 0, "any drop": pool["drop"] > 0}
    for n in NOISES:
        noise = pool["label_noise"] == n
        groups |= {f"{runs}, label noise {n:g}": groups[runs] & noise for runs in ("no drop", "any drop")}
    for runs, there in groups.items():
        if not there.any():
            continue
        names, place = np.unique(pool["seed"][there], return_inverse=True)
        weights = np.vstack([np.ones(len(names)), resampled(len(names))])[:, place]
        for measure in ("loss", "accuracy"):
            for budget in BUDGETS:
                at = {s: _at(pool, rules, measure, there, weights, budget) for s, rules in SIGNALS.items()}
                for signal, values in at.items():
                    row: dict[str, object] = {"runs": runs, "measure": measure, "epochs": budget, "signal": signal}
                    row |= {"count": int(there.sum()), "seeds": len(names)}
                    for name, v in (
                        ("regret", values),
                        ("less_patience", values - at["patience"]),
                        ("less_rise", values - at["rise"]),
                    ):
                        reached = v[0] == v[0]
                        low, high = np.nanquantile(v[1:], (0.025, 0.975)) if reached else (np.nan, np.nan)
                        row |= {name: f"{v[0]:.4g}", f"{name}_low": f"{low:.4g}", f"{name}_high": f"{high:.4g}"}
                    out.append(row)
    return out


def _at(pool: Pool, rules: list[str], measure: str, there: np.ndarray, weights: np.ndarray, budget: int) -> np.ndarray:
    """The mean regret where the mean number of epochs is `budget`, for each row of weights."""
    epochs, regret = (
        np.array([mean(pool[f"{rule}: {what}"][there].astype(float), weights) for rule in rules])
        for what in ("stop", measure)
    )
    order = np.argsort(epochs[:, 0])
    return np.array(
        [np.interp(budget, e, r, left=np.nan) for e, r in zip(epochs[order].T, regret[order].T, strict=True)]
    )


#: What `answers.py` writes: a file `answers_NAME.csv` each.
TABLES: dict[str, Callable[[Pool], Rows]] = {
    "rises": rises,
    "relief": relief,
    "drops": drops,
    "stopping": stopping,
    "budgets": budgets,
}
