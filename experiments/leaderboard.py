"""Who finds what, at which price? Every built-in detector and every baseline on the same labelled runs.

Writes `experiments/results/leaderboard.csv`, a row for each detector, phenomenon and setting. Needs the extra
`[leaderboard]`. A baseline is asked at its published settings, at those of its grid with the best F1 on a training
split (`tuned`), and at those that find most there while at most 5 % of the runs of any null family alarm (`matched`).
The built-in detectors have one setting, alpha = 0.05. What is judged comes from other seeds than what tunes.

F1, recall and precision by `sim.scores`, over all tiers and for each; `distance` is the median distance in epochs from
a matched onset to the true band, `coverage` the share of matched findings whose interval holds the onset (the built-in
ones alone claim intervals), `delay` the median number of epochs from the true onset to the epoch at which it was known.
`alarms` is the share of runs with a finding in the null family where there are most of them. `skill` is F1 measured
between the best dummy (0) and perfection (1). Costly rules are asked about fewer runs; `runs` says how many.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from baselines.catalogue import BASELINES
from baselines.classifier import trained
from baselines.rule import Baseline
from tables import read, write

from detectors.catalogue import CATALOGUE, detect_many
from detectors.vocabulary import Detector, Run, Verdict
from sim.catalogue import MODELS
from sim.composed import Composed, compose_one, observe
from sim.labelled import LabelledRun
from sim.model import Tier
from sim.scores import Score, exact_interval, match, score, tolerance

ALPHA = 0.05
SHAPES: dict[str, dict[str, Any]] = {
    "flat": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5},
    "decay": {"decay": 8.0, "train_decay": 6.0},
    "slow decay": {"decay": 40.0, "train_decay": 30.0},
}


@dataclass(frozen=True)
class Pool:
    """Labelled runs of every model, and runs of the null families, of one split."""

    runs: Mapping[str, Sequence[LabelledRun]]
    null: Mapping[str, tuple[LabelledRun, Sequence[Run]]]


def families() -> Iterator[tuple[str, Composed]]:
    """The null families: shapes by noise, with and without null drops; those with an event are left out for it."""
    noises: dict[str, dict[str, Any]] = {
        "white": {},
        "autocorrelation 0.8": {"rho": 0.8},
        "heavy tails": {"tails": 1},
        "growing": {"growth": 1.0},
        "strong": {"noise": 0.05},
    }
    for shape, values in SHAPES.items():
        for name, noise in noises.items():
            for drops in (False, True):
                spec = Composed(**{"noise": 0.02, **values, **noise})
                spec = replace(spec, drop_1=60, drop_2=120, drop_3=160) if drops else spec
                yield f"{shape}, {name}{', null drops' if drops else ''}", spec


def pool(split: int, sizes: Mapping[Tier, int], null: int) -> Pool:
    """The runs of a split: those of data set `split` for each model, and `null` runs of each family."""
    runs = {}
    for name, model in MODELS.items():
        rngs = [np.random.default_rng([split, i]) for i in range(sizes[model.tier])]
        runs[name] = model.make([model.draw(rng) for rng in rngs], [int(rng.integers(2**31)) for rng in rngs])
        print(f"split {split}: {len(runs[name])} runs of {name}", flush=True)
    seeds = range(10**6 * split, 10**6 * split + null)
    return Pool(runs, {name: (compose_one(spec), observe(spec, seeds)) for name, spec in families()})


def seen(run: Run, hidden: Sequence[str]) -> Run:
    """What a detector is shown."""
    return run.without(*hidden) if hidden else run


def judge(detector: Detector, pool: Pool, hidden: Sequence[str], step: int) -> tuple[dict[str, Score], list[float]]:
    """Its scores by tier, `all` among them, and the delays of what it found."""
    verdicts: dict[str, list[Verdict]] = {}
    chosen: dict[str, list[LabelledRun]] = {}
    delays = []
    for name, runs in pool.runs.items():
        for labelled in runs[::step]:
            verdict = detector.detect(seen(labelled.run, hidden))
            for key in ("all", str(MODELS[name].tier)):
                verdicts.setdefault(key, []).append(verdict)
                chosen.setdefault(key, []).append(labelled)
            events, claims = labelled.of(detector.phenomenon), list(verdict.findings)
            for i, j in match(events, claims, tolerance(len(labelled.run.epochs))):
                delays.append(claims[j].known_at - events[i].onset)
    return {key: score(chosen[key], verdicts[key], detector.phenomenon) for key in verdicts}, delays


def worst(detector: Detector, pool: Pool, hidden: Sequence[str], step: int) -> tuple[str, int, int]:
    """The null family with most alarms: (name, alarms, runs)."""
    out = ("", 0, 0)
    for name, (truth, runs) in pool.null.items():
        blind = "learning_rate" in hidden
        if truth.of(detector.phenomenon, grey=True) and not blind:
            continue
        asked = runs[::step]
        count = sum(bool(v.findings) for v in detect_many(detector, (seen(run, hidden) for run in asked)))
        if not out[2] or count / len(asked) > out[1] / out[2]:
            out = (name, count, len(asked))
    return out


def settings(baseline: Baseline, train: Pool, hidden: Sequence[str], step: int) -> dict[str, Mapping[str, Any] | None]:
    """Published, tuned and matched settings; None where no setting of the grid keeps the false alarms."""
    best: tuple[float, Mapping[str, Any]] | None = None
    quiet: tuple[float, Mapping[str, Any]] | None = None
    for tried in baseline.grid or (baseline.published,):
        rule = baseline.rule(tried)
        scores, _ = judge(rule, train, hidden, step)
        f1, recall = np.nan_to_num([scores["all"].f1, scores["all"].recall])
        if best is None or f1 > best[0]:
            best = (f1, tried)
        _, count, of = worst(rule, train, hidden, step)
        if count <= ALPHA * of and (quiet is None or recall > quiet[0]):
            quiet = (recall, tried)
    assert best is not None  # a grid has at least one setting
    return {"published": baseline.published, "tuned": best[1], "matched": quiet[1] if quiet else None}


def row(name: str, setting: str, detector: Detector, test: Pool, hidden: Sequence[str], step: int) -> dict[str, Any]:
    """One line of the table."""
    started = time.process_time()
    scores, delays = judge(detector, test, hidden, step)
    runs = sum(len(r[::step]) for r in test.runs.values())
    cost = (time.process_time() - started) / runs
    family, count, of = worst(detector, test, hidden, step)
    everything = scores["all"]
    lo, hi = exact_interval(everything.matched, everything.events)
    out: dict[str, Any] = {
        "phenomenon": detector.phenomenon + (" (rate hidden)" if hidden else ""),
        "detector": name,
        "setting": setting,
        "runs": runs,
        "events": everything.events,
        "f1": everything.f1,
        "recall": everything.recall,
        "recall_low": lo,
        "recall_high": hi,
        "precision": everything.precision,
        "distance": everything.median_distance,
        "coverage": everything.covered / everything.matched if everything.matched and name == "curvesense" else np.nan,
        "delay": float(np.median(delays)) if delays else np.nan,
        "worst_family": family,
        "alarms": count / of,
        "alarms_upper": exact_interval(count, of, 0.90)[1],
        "undetermined": everything.undetermined / runs,
        "microseconds": 1e6 * cost,
    }
    for tier in Tier:
        out[f"f1_{tier}"] = scores[str(tier)].f1 if str(tier) in scores else np.nan
    return out


def with_skill(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with F1 between the best dummy's and 1."""
    for r in rows:
        rivals = [d["f1"] for d in rows if d["phenomenon"] == r["phenomenon"] and d["detector"].startswith("dummy")]
        floor = max(np.nan_to_num(rivals), default=0.0)
        r["skill"] = (np.nan_to_num(r["f1"]) - floor) / (1 - floor) if r["events"] else np.nan
    return rows


def contestants(train: Pool, only: Sequence[str]) -> Iterator[tuple[str, str, Detector, Sequence[str], int]]:
    """(name, setting, detector, hidden series, step) of everybody, tuned where they can be."""
    for phenomenon, make in CATALOGUE.items():
        if only and phenomenon not in only:
            continue
        yield "curvesense", f"alpha {ALPHA}", make(alpha=ALPHA), (), 1
        if phenomenon == "lr_drop":
            yield "curvesense", f"alpha {ALPHA}", make(alpha=ALPHA), ("learning_rate",), 1
    histories = [r for runs in train.runs.values() for r in runs]
    for baseline in (*BASELINES, *([trained(histories)] if not only or "overfitting" in only else [])):
        if baseline.phenomenon not in CATALOGUE or (only and baseline.phenomenon not in only):
            continue
        dummy = baseline.name.startswith("dummy")
        views: list[tuple[str, ...]] = [()]
        if baseline.phenomenon == "lr_drop":  # those who look at the losses compete with the rate hidden
            views = (
                [(), ("learning_rate",)] if dummy else [() if "learning_rate" in baseline.needs else ("learning_rate",)]
            )
        for hidden in views:
            for setting, chosen in settings(baseline, train, hidden, baseline.step).items():
                if chosen is not None and not (dummy and setting == "published"):
                    told = setting if not chosen else f"{setting} {json.dumps(dict(chosen))}"
                    yield baseline.name, told, baseline.rule(chosen), hidden, baseline.step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composed", type=int, default=600, help="runs of each composed model in each split")
    parser.add_argument("--analytic", type=int, default=200, help="runs of each analytic model")
    parser.add_argument("--trained", type=int, default=12, help="runs of each trained model, the slowest to make")
    parser.add_argument("--null", type=int, default=200, help="runs of each null family")
    parser.add_argument(
        "--only", nargs="*", default=[], help="ask about these phenomena alone, and keep the other rows"
    )
    args = parser.parse_args()
    sizes = {Tier.COMPOSED: args.composed, Tier.ANALYTIC: args.analytic, Tier.TRAINED: args.trained}
    train, test = (pool(split, sizes, args.null) for split in (1, 2))
    rows = []
    for name, setting, detector, hidden, step in contestants(train, args.only):
        rows.append(row(name, setting, detector, test, hidden, step))
        shown = {k: rows[-1][k] for k in ("phenomenon", "detector", "setting", "f1", "alarms", "microseconds")}
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in shown.items()}, flush=True)
    note(with_skill(rows), args.only)


def note(rows: list[dict[str, Any]], only: Sequence[str]) -> None:
    """The table, in the order of the catalogue; with `only`, the rows of the other phenomena stay as they are."""
    told = [{k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    told = [{k: "" if v == "nan" else v for k, v in r.items()} for r in told]
    if only:
        told += [r for r in read("leaderboard.csv") if r["phenomenon"].partition(" ")[0] not in only]
    order = list(CATALOGUE)
    told.sort(key=lambda r: order.index(r["phenomenon"].partition(" ")[0]))
    write("leaderboard.csv", told)


if __name__ == "__main__":
    main()
