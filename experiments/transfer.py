"""Does a detector that scores well on simulated runs score well on real logs? Writes `transfer.csv`, its rank
correlations `transfer_rank.csv`, how well the runs match `transfer_match.csv`, what the simulated ones lack
`transfer_properties.csv`, and `transfer.png`.

Every built-in detector, every baseline of `baselines/` at its published settings and at those of its grid, and every
sabotaged detector of the exam is asked about real logs labelled by eye and about simulated runs of matched strength
(`matched.py`); nothing is tuned. Both sides are counted alike (`transfer_cases.py`): F1, recall and precision by
one-to-one matching of onsets, `alarms` the share of runs without the phenomenon in which something was found, `run_f1`
that of the question whether it is in a run at all, wherever. A simulated run logs no more series than the real one that
it stands against. Phenomena that nobody labelled on real logs are not here; `blow_up` has negative logs alone.

`rho` is Spearman's, over the detectors of a phenomenon at their published settings, with a 95 % interval from
repositories (real side) and runs (simulated side) drawn with replacement; `pooled` takes ranks within a phenomenon.
`exam` is the share of the exam's checks that a detector meets at the default level, from `sabotage.csv`; only
`overfitting` has detectors enough for it. Needs CURVESENSE_LOGS and the extra `[leaderboard]`; 10 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from baselines.catalogue import BASELINES
from baselines.classifier import trained
from matched import MARGINALS, STRENGTHS, marginals, nearest, noisier, stretched
from real_logs import folder_of_logs
from tables import RESULTS, made, read, write
from tqdm import tqdm
from transfer_cases import Case, of_logs, of_simulated, tally
from transfer_figure import draw
from transfer_rank import COUNTS, SCORES, group_weights, interval, spearman, stratified
from transfer_variants import VARIANTS, Variant

from detectors.catalogue import CATALOGUE
from detectors.vocabulary import Detector, Phenomenon
from sim.catalogue import MODELS
from sim.exam.sabotage import HONEST, SABOTAGES
from sim.labelled import LabelledRun
from sim.recipe import BadRecipe
from sim.scores import exact_interval

HIDDEN = " (rate hidden)"
RATE = "learning_rate"
COSTLY = 10  # step of a baseline from which on it is asked at published settings only, and about fewer simulated runs
SERIES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", RATE)
DRAWS = 1000  # resamples
EVENTS = COUNTS.index("events")


@dataclass(frozen=True)
class Contestant:
    """A detector at a setting, and on what it is asked: a phenomenon, with the rate hidden or not."""

    view: str
    name: str
    kind: str  # built-in, baseline, dummy or sabotaged
    setting: str
    detector: Detector
    published: bool = True
    costly: bool = False


def views() -> list[str]:
    """The phenomena that are labelled, drops of the rate with and without the rate."""
    return [v for p in STRENGTHS for v in ((p, p + HIDDEN) if p == Phenomenon.LR_DROP else (p,))]


def contestants(forest: Sequence[LabelledRun]) -> Iterator[Contestant]:
    """Everybody; the classifier is trained on the runs `forest`, which none is judged on."""
    for view in views():
        phenomenon = view.removesuffix(HIDDEN)
        made = CATALOGUE[phenomenon]()
        yield Contestant(view, "curvesense", "built-in", f"alpha {made.alpha}", made)
        rivals = [b for b in BASELINES if b.phenomenon == phenomenon]
        if phenomenon == Phenomenon.OVERFITTING and forest:
            rivals.append(trained(forest))
        for baseline in rivals:
            dummy = baseline.name.startswith("dummy")
            if phenomenon == Phenomenon.LR_DROP and not dummy and (RATE in baseline.needs) == view.endswith(HIDDEN):
                continue
            costly = baseline.step >= COSTLY
            grid = [s for s in baseline.grid if not costly and {**baseline.published, **s} != dict(baseline.published)]
            for k, setting in enumerate([baseline.published, *grid]):
                told = json.dumps(dict(setting)) if setting else "defaults"
                kind = "dummy" if dummy else "baseline"
                rule = baseline.rule(setting)
                yield Contestant(view, baseline.name, kind, told, rule, k == 0, costly)
    makers = {"Checkpoints": HONEST["checkpoints"]} | {make.__name__: make for make in SABOTAGES.values()}
    for name, make in makers.items():
        kind = "built-in" if name == "Checkpoints" else "sabotaged"
        yield Contestant(Phenomenon.OVERFITTING, name, kind, "alpha 0.05", make())


def pool(model: str, size: int, lengths: Sequence[int], split: int, variant: Variant) -> list[LabelledRun]:
    """Runs of a model as drawn by default, stretched to the lengths of real logs in turn, their noise widened."""
    rngs = [np.random.default_rng([split, i]) for i in range(size)]
    recipes = []
    for i, (recipe, rng) in enumerate(zip(MODELS[model].drawn(rngs), rngs, strict=True)):
        wide = noisier(recipe, rng)
        try:
            recipes.append(variant[0](stretched(wide, lengths[i % len(lengths)])))
        except BadRecipe:  # its drops do not fit into so short a run: it keeps its own length
            recipes.append(variant[0](wide))
    seeds = [int(rng.integers(2**31)) for rng in rngs]
    return [variant[1](labelled) for labelled in MODELS[model].make(recipes, seeds)]


@dataclass(frozen=True)
class Sides:
    """The real cases of a view and, for each of some models, its simulated ones: `each` for every real one in turn."""

    real: list[Case]
    simulated: Mapping[str, list[Case]]
    each: int


def against(view: str, real: Sequence[Case], runs: Sequence[LabelledRun], each: int) -> tuple[list[Case], list[dict]]:
    """The simulated runs that stand against the real cases, in their order, and how well they match."""
    phenomenon = view.removesuffix(HIDDEN)
    made = [of_simulated(labelled, phenomenon) for labelled in runs]
    out: dict[int, list[Case]] = {}
    rows = []
    for label in ("yes", "no"):

        def fits(case: Case, label: str = label) -> bool:
            return bool(case.events) if label == "yes" else not case.events and not case.grey

        mine = [i for i, case in enumerate(real) if fits(case)]
        others = [case for case in made if fits(case)]
        if not mine:
            continue
        a = np.array([marginals(real[i].run, phenomenon) for i in mine])
        b = np.array([marginals(case.run, phenomenon) for case in others]).reshape(-1, len(MARGINALS))
        chosen = nearest(a, b, each)
        for i, row in zip(mine, chosen, strict=True):
            absent = [key for key in SERIES if key not in real[i].run]
            out[i] = [others[j].hiding(absent) for j in row]
        for k, name in enumerate(MARGINALS):
            sides = {"real": a[:, k], "simulated": b[chosen.ravel(), k], "pool": b[:, k]}
            at = {f"{s}_{q}": np.nanquantile(v, q / 100) for s, v in sides.items() for q in (25, 50, 75)}
            rows.append({"phenomenon": view, "label": label, "marginal": name, "runs": len(mine), **at})
    return [case for i in sorted(out) for case in out[i]], rows


_SIDES: dict[str, Sides] = {}


def _begin(sides: dict[str, Sides]) -> None:
    _SIDES.update(sides)


def asked(contestant: Contestant) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """What it did to the real cases, shape (cases, 7), to the simulated ones of each model, and how often it failed."""
    sides = _SIDES[contestant.view]
    hidden = (RATE,) if contestant.view.endswith(HIDDEN) else ()
    phenomenon = contestant.view.removesuffix(HIDDEN)
    real, errors = tally(contestant.detector, [c.hiding(hidden) for c in sides.real], phenomenon)
    simulated = {}
    for model, cases in sides.simulated.items():
        step = sides.each if contestant.costly else 1  # what it was not asked about counts nothing
        counts = np.zeros((len(cases), len(COUNTS)), int)
        counts[::step], failed = tally(contestant.detector, [c.hiding(hidden) for c in cases[::step]], phenomenon)
        simulated[model], errors = counts, errors + failed
    return real, simulated, errors


def ask(everybody: Sequence[Contestant], sides: dict[str, Sides], workers: int) -> list[tuple[Any, ...]]:
    """The answers of everybody, in order."""
    with multiprocessing.get_context("spawn").Pool(workers, _begin, (sides,)) as crew:
        return list(tqdm(crew.imap(asked, everybody), total=len(everybody), disable=not sys.stderr.isatty()))


def line(c: Contestant, real: np.ndarray, simulated: Mapping[str, np.ndarray], errors: int, exam: float) -> dict:
    """A row of the table."""
    out: dict[str, Any] = {"phenomenon": c.view, "detector": c.name, "kind": c.kind, "setting": c.setting}
    out |= {"published": c.published, "exam": exam}
    for side, counts in (("real", real), *simulated.items()):
        total = counts.sum(0)
        named = dict(zip(COUNTS, map(int, total), strict=True))
        scores = {name: float(score(total)) for name, score in SCORES.items()}
        out |= {f"{side}_yes": named["yes"], f"{side}_no": named["no"], f"{side}_events": named["events"]}
        out |= {f"{side}_f1": scores["f1"], f"{side}_run_f1": scores["run_f1"]}
        for name, of, among in (
            ("recall", "matched", "events"),
            ("precision", "matched", "findings"),
            ("alarms", "alarm", "no"),
        ):
            lo, hi = exact_interval(named[of], named[among])
            out |= {f"{side}_{name}": scores[name], f"{side}_{name}_low": lo, f"{side}_{name}_high": hi}
    return out | {"errors": errors}


@dataclass(frozen=True)
class Answers:
    """What the contestants of one view did: counts summed over runs, shape (1 + draws, contestants, COUNTS).

    First as they are, then over resampled repositories (real side) and runs (simulated side, by model).
    """

    contestants: list[Contestant]
    real: np.ndarray
    simulated: Mapping[str, np.ndarray]

    def scores(self, score: str, model: str, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores on either side of those kept, shape (1 + draws, contestants)."""
        return SCORES[score](self.real[:, keep]), SCORES[score](self.simulated[model][:, keep])


def gathered(
    everybody: Sequence[Contestant], told: Sequence[tuple[Any, ...]], sides: Mapping[str, Sides], draws: int
) -> dict[str, Answers]:
    """The answers by view; a repository is drawn for all phenomena or for none."""
    repositories = sorted({c.group for mine in sides.values() for c in mine.real})
    out = {}
    for k, (view, mine) in enumerate(sides.items()):
        index = [i for i, c in enumerate(everybody) if c.view == view]
        groups = [c.group for c in mine.real]
        real = summed([told[i][0] for i in index], group_weights(groups, draws, np.random.default_rng(7), repositories))
        simulated = {}
        for model, cases in mine.simulated.items():
            own = [str(i) for i in range(len(cases))]
            weights = group_weights(own, draws, np.random.default_rng([7, k]))
            simulated[model] = summed([told[i][1][model] for i in index], weights)
        out[view] = Answers([everybody[i] for i in index], real, simulated)
    return out


def summed(counts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Sums over runs, shape (1 + draws, contestants, COUNTS): of each run once, then with each row of weights."""
    every = np.vstack([np.ones((1, weights.shape[1])), weights])
    return np.tensordot(every, np.array(counts, float), (1, 1))


#: Which contestants are ranked.
WHO = {
    "all, published settings": lambda c: c.published,
    "no sabotaged ones": lambda c: c.published and c.kind != "sabotaged",
    "neither sabotaged ones nor dummies": lambda c: c.published and c.kind in ("built-in", "baseline"),
    "baselines at every setting": lambda c: c.kind in ("built-in", "baseline"),
    "sabotaged ones alone": lambda c: c.kind == "sabotaged",
}


def ranks(answers: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """Rank correlations of each view and of all together, for each model, score and set of contestants."""
    rows = []
    for model in MODELS:
        for score in ("f1", "run_f1", "recall", "alarms"):
            for who, allow in WHO.items():
                columns = []
                for view, mine in answers.items():
                    if model not in mine.simulated:
                        continue
                    keep = np.array([allow(c) for c in mine.contestants])
                    a, b = mine.scores(score, model, keep)
                    if keep.sum() < 3 or (score != "alarms" and not mine.real[0, :, EVENTS].any()):
                        continue
                    columns.append((a, b))
                    values = spearman(a, b)
                    rows.append(_ranked(view, model, score, who, int(keep.sum()), values))
                if len(columns) > 1:
                    values = stratified(columns)
                    rows.append(_ranked("pooled", model, score, who, sum(a.shape[1] for a, _ in columns), values))
    return rows


def _ranked(view: str, model: str, score: str, who: str, n: int, values: np.ndarray) -> dict[str, Any]:
    low, high, without = interval(values[1:])
    return {
        "phenomenon": str(view), "simulated_by": model, "score": score, "who": who, "detectors": n,
        "rho": values[0], "low": low, "high": high, "draws_without": without,
    }  # fmt: skip


def by_exam(answers: Answers, exam: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rank correlation of the exam's share of checks with F1 on real logs, for those who sat the exam."""
    keep = np.array([c.name in exam and c.published for c in answers.contestants])
    shares = np.array([exam[c.name] for c in answers.contestants if c.name in exam and c.published])
    scores = SCORES["f1"](answers.real[:, keep])
    values = spearman(scores, np.broadcast_to(shares, scores.shape))
    return [_ranked(Phenomenon.OVERFITTING, "the exam", "f1", "those who sat it", int(keep.sum()), values)]


def exam_shares() -> dict[str, float]:
    """Share of the checks of the exam at the default level that each detector met, those skipped left out."""
    examined = read("sabotage.csv") or read("sabotage.csv", Path(__file__).parent / "results")
    rows = [r for r in examined if r["status"] != "skipped"]
    met: dict[str, list[bool]] = {}
    for r in rows:
        met.setdefault(r["detector"], []).append(r["status"] == "passed")
    met["curvesense"] = met["Overfitting"]
    return {name: float(np.mean(values)) for name, values in met.items()}


def lacking(
    real: Mapping[str, list[Case]], everybody: Sequence[Contestant], sizes: argparse.Namespace, lengths: Sequence[int]
) -> None:
    """`transfer_properties.csv`: simulated F1 beside real F1, with properties of real runs put into the pool."""
    rows: list[dict[str, Any]] = [r for r in read("transfer_properties.csv") if r["property"] not in sizes.properties]
    few = [c for c in everybody if c.published and c.kind != "sabotaged" and not c.costly and c.view in PROPERTIES]
    few = [c for c in few if c.name != "Time Series Forest"]  # trained on runs as drawn
    for name in sizes.properties:
        runs = pool("composed", 2 * sizes.composed // 3, lengths, 3, VARIANTS[name])
        sides = {}
        for view in PROPERTIES:
            cases, _ = against(view, real[view], runs, sizes.each)
            sides[view] = Sides(real[view], {"composed": cases}, sizes.each)
        rows += compared(name, gathered(few, ask(few, sides, sizes.workers), sides, sizes.draws))
        noted("transfer_properties.csv", rows)


def compared(name: str, answers: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """The rows of one property: how far F1 lies apart in the mean over detectors, with its sign, and the order."""
    rows = []
    for view, mine in answers.items():
        a, b = mine.scores("f1", "composed", np.array([c.kind != "dummy" for c in mine.contestants]))
        row: dict[str, Any] = {"property": name, "phenomenon": view, "detectors": a.shape[1]}
        columns = {"away": np.abs(a - b).mean(1), "simulated_minus_real": (b - a).mean(1), "rho": spearman(a, b)}
        for key, values in columns.items():
            low, high, _ = interval(values[1:])
            row |= {key: values[0], f"{key}_low": low, f"{key}_high": high}
        rows.append(row)
        print(row, flush=True)
    return rows


PROPERTIES = ("overfitting", "loss_accuracy_divergence", "lr_drop" + HIDDEN)


def scored(cases: Sequence[Case]) -> list[Case]:
    """Cases that are positive or negative, in order: those that simulated ones stand against."""
    return [c for c in cases if c.events or not c.grey]


def noted(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of results, numbers to three places, what there is not left empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write(name, [{key: _told(row.get(key, "")) for key in columns} for row in rows])


def _told(value: object) -> object:
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if np.isfinite(value) else ""
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composed", type=int, default=3000, help="composed runs to choose from")
    parser.add_argument("--margin", type=int, default=1000, help="runs of the margin model to choose from")
    parser.add_argument("--trained", type=int, default=0, help="trained runs to choose from, the slowest to make")
    parser.add_argument("--each", type=int, default=3, help="simulated runs for each real one")
    parser.add_argument("--draws", type=int, default=DRAWS, help="resamples of an interval")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--properties", nargs="*", choices=list(VARIANTS), help="put these into the pool; alone, where any is named"
    )
    parser.add_argument("--small", action="store_true", help="a run of a minute or two, to see that it works")
    args = parser.parse_args()
    if args.small:
        args.composed, args.margin, args.each, args.draws = 2500, 0, 1, 100
    folder = folder_of_logs()
    real = {view: scored(of_logs(folder, view.removesuffix(HIDDEN))) for view in views()}
    real["lr_drop"] = [c for c in real["lr_drop"] if RATE in c.run]
    lengths = [len(c.run.epochs) for c in real["overfitting"]]
    if args.properties:
        lacking(real, list(contestants([])), args, lengths)
        return 0
    args.properties = list(VARIANTS)[: 2 if args.small else None]
    sizes = {"composed": args.composed, "margin": args.margin, "trained": args.trained}
    pools = {m: pool(m, n, lengths, 2, VARIANTS["as drawn"]) for m, n in sizes.items() if n}
    sides, matches = {}, []
    for view, cases in real.items():
        simulated = {}
        for model, runs in pools.items():
            try:
                simulated[model], rows = against(view, cases, runs, args.each if model != "trained" else 1)
                matches += [{"simulated_by": model, **row} for row in rows]
            except ValueError as error:
                print(f"LEFT OUT: {view} by {model}: {error}", flush=True)
        sides[view] = Sides(cases, simulated, args.each)
    forest = pool("composed", max(args.composed // 10, 200), lengths, 1, VARIANTS["as drawn"])
    everybody = [c for c in contestants(forest) if not args.small or (c.published and not c.costly)]
    told = ask(everybody, sides, args.workers)
    exam = exam_shares()
    rows = [
        line(c, *t, exam.get(c.name, np.nan) if c.view == Phenomenon.OVERFITTING else np.nan)
        for c, t in zip(everybody, told, strict=True)
    ]
    answers = gathered(everybody, told, sides, args.draws)
    found = ranks(answers) + by_exam(answers[Phenomenon.OVERFITTING], exam)
    for row in found:
        if row["score"] == "f1":
            print(row, flush=True)
    noted("transfer_match.csv", matches)
    noted("transfer.csv", rows)
    noted("transfer_rank.csv", found)
    draw(RESULTS)
    made("transfer.png")
    lacking(real, everybody, args, lengths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
