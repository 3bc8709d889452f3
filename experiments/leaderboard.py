"""Who finds what, at which price? Every built-in detector and every baseline on the same labelled runs.

Writes `experiments/results/leaderboard.csv`, a row for each detector, phenomenon and setting. Needs the extra
`[leaderboard]`. A baseline is asked at its published settings, at those of its grid with the best F1 on a training
split (`tuned`), and at those that find most there while at most 5 % of the runs of any null family alarm (`matched`).
The built-in detectors have one setting, alpha = 0.05. What is judged comes from other seeds than what tunes. Settings
that coincide share a row.

F1, recall and precision by `sim.scores`, over all tiers and for each; `distance` is the median distance in epochs from
a matched onset to the true band, `coverage` the share of matched findings whose interval holds the onset (the built-in
ones alone claim intervals), `delay` the median number of epochs from the true onset to the epoch at which it was known.
`alarms` is the share of runs with a finding in the null family where there are most of them. `skill` is F1 measured
between the best dummy (0) and perfection (1). Costly rules are asked about fewer runs; `runs` says how many. The rows
of a phenomenon replace its old ones as they are known; `--only` asks about these anew. About an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
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
BLIND = ("learning_rate",)  # what is hidden from those who have to infer a drop
SHAPES: dict[str, dict[str, Any]] = {
    "flat": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5},
    "decay": {"decay": 8.0, "train_decay": 6.0},
    "slow decay": {"decay": 40.0, "train_decay": 30.0},
    "flat, training on a par": {"initial": 0.6, "decay": 0.5, "train_decay": 0.5, "train_bayes": 0.5},
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
    """What a detector is shown: a run that remembers nothing of the detectors before."""
    return run.without(*hidden)


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


def settings(baseline: Baseline, train: Pool, hidden: Sequence[str]) -> dict[str, list[str]]:
    """What each setting worth a row is: published, tuned, matched (if any of the grid keeps the false alarms)."""
    names: dict[str, list[str]] = {json.dumps(dict(baseline.published)): ["published"]}
    best = quiet = (-1.0, "")
    for tried in baseline.grid or (baseline.published,):
        rule, told = baseline.rule(tried), json.dumps(dict(tried))
        scores, _ = judge(rule, train, hidden, baseline.step)
        f1, recall = np.nan_to_num([scores["all"].f1, scores["all"].recall])
        best = max(best, (f1, told), key=lambda known: known[0])
        _, count, of = worst(rule, train, hidden, baseline.step)
        if count <= ALPHA * of:
            quiet = max(quiet, (recall, told), key=lambda known: known[0])
    for name, (_, told) in (("tuned", best), ("matched", quiet)):
        if told:
            names.setdefault(told, []).append(name)
    return names


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


@dataclass(frozen=True)
class Contestant:
    """Who is asked about what: a baseline, or the built-in detector, with the series hidden from it."""

    phenomenon: str
    baseline: Baseline | None = None
    hidden: tuple[str, ...] = ()

    def rows(self, train: Pool, test: Pool) -> list[dict[str, Any]]:
        """Its rows of the table."""
        if self.baseline is None:
            return [row("curvesense", f"alpha {ALPHA}", CATALOGUE[self.phenomenon](alpha=ALPHA), test, self.hidden, 1)]
        rule, out = self.baseline, []
        for told, names in settings(rule, train, self.hidden).items():
            chosen = json.loads(told)
            if self.dummy and names == ["published"]:
                continue
            setting = ", ".join(names) + (f" {told}" if chosen else "")
            out.append(row(rule.name, setting, rule.rule(chosen), test, self.hidden, rule.step))
        return out

    @property
    def dummy(self) -> bool:
        """Whether it looks at nothing."""
        return self.baseline is not None and self.baseline.name.startswith("dummy")


def contestants(train: Pool, only: Sequence[str]) -> Iterator[Contestant]:
    """Everybody, phenomenon by phenomenon; those who infer drops from the losses compete with the rate hidden."""
    histories = [r for runs in train.runs.values() for r in runs]
    everybody = (*BASELINES, *([trained(histories)] if not only or "overfitting" in only else []))
    for phenomenon in only or CATALOGUE:
        yield Contestant(phenomenon)
        if phenomenon == "lr_drop":
            yield Contestant(phenomenon, hidden=BLIND)
        for baseline in everybody:
            views: tuple[tuple[str, ...], ...] = ((),)
            if phenomenon == "lr_drop" and "learning_rate" not in baseline.needs:
                views = ((), BLIND) if baseline.name.startswith("dummy") else (BLIND,)
            if baseline.phenomenon == phenomenon:
                yield from (Contestant(phenomenon, baseline, hidden) for hidden in views)


_POOLS: list[Pool] = []


def _begin(*pools: Pool) -> None:
    _POOLS[:] = pools


def _rows(contestant: Contestant) -> list[dict[str, Any]]:
    return contestant.rows(*_POOLS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composed", type=int, default=300, help="runs of each composed model in each split")
    parser.add_argument("--analytic", type=int, default=100, help="runs of each analytic model")
    parser.add_argument("--trained", type=int, default=6, help="runs of each trained model, the slowest to make")
    parser.add_argument("--null", type=int, default=100, help="runs of each null family")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", choices=list(CATALOGUE), nargs="*", default=[], help="ask about these phenomena; other rows stay"
    )
    args = parser.parse_args()
    sizes = {Tier.COMPOSED: args.composed, Tier.ANALYTIC: args.analytic, Tier.TRAINED: args.trained}
    pools = [pool(split, sizes, args.null) for split in (1, 2)]
    everybody = list(contestants(pools[0], args.only))
    rows: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool(args.workers, _begin, pools) as crew:
        for i, (contestant, known) in enumerate(zip(everybody, crew.imap(_rows, everybody), strict=True)):
            rows += known
            for r in known:
                shown = {k: r[k] for k in ("phenomenon", "detector", "setting", "f1", "alarms", "microseconds")}
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in shown.items()}, flush=True)
            if i + 1 == len(everybody) or everybody[i + 1].phenomenon != contestant.phenomenon:
                note(with_skill(rows), contestant.phenomenon)
                rows = []


def note(rows: list[dict[str, Any]], phenomenon: str) -> None:
    """The table with these rows for those that it had of the phenomenon, in the order of the catalogue."""
    told = [{k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    told = [{k: "" if v == "nan" else v for k, v in r.items()} for r in told]
    told += [r for r in read("leaderboard.csv") if r["phenomenon"].partition(" ")[0] != phenomenon]
    order = list(CATALOGUE)
    told.sort(key=lambda r: order.index(r["phenomenon"].partition(" ")[0]))
    write("leaderboard.csv", told)


if __name__ == "__main__":
    main()
