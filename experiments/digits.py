"""Do the question's phenomena show on real data, in two engines, and do detectors that read the log recover them?

Trains seeds 0-19 of `DIGITS` (scikit-learn's handwritten digits) at label noise 0, 0.1, 0.2 and 0.4, each with the twin
without each drop: in the fleet of `sim.trained` (JAX, eight sisters) and by the ordinary loop of `digits_torch.py`
(PyTorch, one run: another sister of the same data, wrong labels and initial weights). Writes to `experiments/results/`:

- `digits.csv`: by engine and label noise the share of seeds that show each phenomenon, with exact 95 % intervals; the
  effect of each drop against its twin, with its spread over seeds; and how much of a rise the temperature takes away;
- `digits_detectors.csv`: the detectors, which read the PyTorch log alone, against the truth of the fleet's twins;
- `digits.png`: the curves of both engines.

The truth of a seed is an expectation over orders of minibatches (`sim.truth`), so that of the fleet holds for the
PyTorch run of the seed too. A single run of either engine is read as well, the same way in both, `strengths`. What is
measured is kept in a folder (`--keep`), run by run, so that a stopped experiment goes on where it was.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from digits_torch import DIGITS, Curves, Data, prepared, train, write_log
from matplotlib.figure import Figure
from scipy.stats import t as student
from seed_figure import boxes
from tables import RESULTS, made, write
from tqdm import tqdm

from detectors.catalogue import CATALOGUE
from detectors.diagnosis import diagnose
from detectors.readers import read
from detectors.vocabulary import Run
from sim.labelled import LabelledRun
from sim.recipe import Recipe
from sim.scores import exact_interval, score
from sim.trained import label, measure

ENGINES = ("fleet", "torch")
NOISE = (0.0, 0.1, 0.2, 0.4)

SMOOTH = 5  # epochs averaged where a single run is read
RISE, RELIEF, ABOVE, WORSE = 0.02, 0.005, 0.005, -0.005  # shares of the loss, and a change of accuracy
TOLD = {  # as the boxes of `seed_figure.py`
    "red": "overfitting before the drop",
    "green": "relief at the drop, against the twin",
    "blue": "loss up, accuracy not down, afterwards",
    "train_above_val": "training loss above validation loss",
    "all_four": "all four",
}
COLOURS = {"logged": "#E69F00", "risk": "#0072B2", "twin": "#009E73"}


def recipe(noise: float, seed: int) -> Recipe:
    """The recipe of one seed at one level of label noise."""
    return replace(DIGITS, label_noise=noise, seed=seed)


def stem(folder: Path, engine: str, noise: float, seed: int) -> Path:
    """Where a run is kept, without what the file is."""
    return folder / f"{engine}-noise{100 * noise:g}%-seed{seed}"


# training


def train_all(folder: Path, seeds: int, noises: Sequence[float], processes: int) -> None:
    """Train, seed by seed, in both engines what is not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for seed in tqdm(range(seeds), unit=" seeds", disable=not sys.stderr.isatty()):
            fleet, ordinary = (
                {stem(folder, engine, noise, seed): recipe(noise, seed) for noise in noises} for engine in ENGINES
            )
            fleet = {at: r for at, r in fleet.items() if not at.with_suffix(".pickle").exists()}
            for at, members in zip(fleet, measure(list(fleet.values())), strict=True):
                at.with_suffix(".pickle").write_bytes(pickle.dumps(members))
            ordinary = {at: r for at, r in ordinary.items() if not at.with_suffix(".pickle").exists()}
            runs = [pool.submit(_ordinary, at, r, *prepared(r)) for at, r in ordinary.items()]
            for run in runs:
                run.result()


def _ordinary(stem: Path, recipe: Recipe, data: Data, params: dict[str, np.ndarray]) -> None:
    torch.set_num_threads(1)
    curves = train(data, params, recipe, sister=0)
    write_log(stem.with_suffix(".csv"), curves["run"].log)
    stem.with_suffix(".pickle").write_bytes(pickle.dumps(curves))


# one run, as either engine measures it


@dataclass(frozen=True, kw_only=True)
class Single:
    """One run and its twins: T, R, A and Rcal of shape (epochs,), and R of the twin without each drop."""

    logged: np.ndarray
    risk: np.ndarray
    accuracy: np.ndarray
    calibrated: np.ndarray
    without_drop: dict[int, np.ndarray]

    @classmethod
    def of_fleet(cls, members: Any) -> Single:
        """The first of the sisters."""
        run = {name: np.float64(values[0]) for name, values in members["run"].items() if values.ndim == 2}
        twins = {m: np.float64(members[m]["risk"][0]) for m in DIGITS.schedule.milestones}
        return cls(
            logged=run["train_loss"],
            risk=run["risk"],
            accuracy=run["population_accuracy"],
            calibrated=run["risk_calibrated"],
            without_drop=twins,
        )

    @classmethod
    def of_torch(cls, curves: Any) -> Single:
        """The run of the ordinary loop."""
        run = curves["run"]
        return cls(
            logged=run.log["train_loss"],
            risk=run.losses.mean(1, dtype=np.float64),
            accuracy=run.held_out_accuracy,
            calibrated=run.risk_calibrated,
            without_drop={m: curves[m].losses.mean(1, dtype=np.float64) for m in DIGITS.schedule.milestones},
        )


def strengths(run: Single) -> dict[str, float]:
    """What one run shows, read as means of five epochs, for one run's loss jitters at a high rate.

    `red`: the rise from the lowest stretch before the first drop to its last; `green`: the mean effect of the first
    drop until the next; `blue`: the rise from the lowest stretch after the first drop to the last of the run, each
    relative to the loss, `blue_accuracy` what accuracy does over it, `blue_calibrated` what the temperature-scaled loss
    does; `above`: the longest stretch in epochs of the logged loss above the risk. `effect-M`: the mean effect of the
    drop at M until the next.
    """
    first, *_ = edges = [*DIGITS.schedule.milestones, DIGITS.epochs]
    risk, accuracy, calibrated = (v.reshape(-1, SMOOTH).mean(1) for v in (run.risk, run.accuracy, run.calibrated))
    at = first // SMOOTH
    low, later = int(risk[:at].argmin()), at + int(risk[at:].argmin())
    above = run.logged - run.risk > ABOVE * run.risk
    longest = max(len(stretch) for stretch in "".join("x" if a else " " for a in above).split(" "))
    effects = {
        f"effect-{m}": float((run.without_drop[m] - run.risk)[m:following].mean())
        for m, following in zip(edges[:-1], edges[1:], strict=True)
    }
    return {
        "red": float((risk[at - 1] - risk[low]) / risk[low]),
        "green": effects[f"effect-{first}"] / float(run.risk[first : edges[1]].mean()),
        "blue": float((risk[-1] - risk[later]) / risk[later]),
        "blue_accuracy": float(accuracy[-1] - accuracy[later]),
        "blue_rise": float(risk[-1] - risk[later]),
        "blue_calibrated": float(calibrated[-1] - calibrated[later]),
        "above": float(longest),
        **effects,
    }


def shown_by_one(strength: dict[str, float]) -> dict[str, bool]:
    """Which phenomena one run shows, by the shares of the truth but without its standard errors."""
    here = {
        "red": strength["red"] >= RISE,
        "green": strength["green"] > RELIEF,
        "blue": strength["blue"] >= RISE and strength["blue_accuracy"] >= WORSE,
        "train_above_val": strength["above"] >= 3,
    }
    return {**here, "all_four": all(here.values())}


def single(engine: str, kept: Any) -> Single:
    """One run of either engine: of the fleet's sisters the first."""
    return Single.of_fleet(kept) if engine == "fleet" else Single.of_torch(kept)


def gathered(
    folder: Path, seeds: int, noises: Sequence[float]
) -> tuple[dict[tuple[str, float], list[Any]], dict[float, list[LabelledRun]], dict[float, list[Run]]]:
    """What was measured by engine and label noise, and by label noise the truth of the fleet and the logs."""
    kept = {
        (engine, noise): [
            pickle.loads(stem(folder, engine, noise, seed).with_suffix(".pickle").read_bytes()) for seed in range(seeds)
        ]
        for engine in ENGINES
        for noise in noises
    }
    truth = {n: label([recipe(n, seed) for seed in range(seeds)], kept["fleet", n]) for n in noises}
    logs = {n: [read(stem(folder, "torch", n, seed).with_suffix(".csv"))[0] for seed in range(seeds)] for n in noises}
    return kept, truth, logs


# what is written


def share(shown: Sequence[bool]) -> dict[str, object]:
    """How many show it, with the exact interval of the share."""
    low, high = exact_interval(sum(shown), len(shown))
    return {"seeds": len(shown), "shown": sum(shown), "value": f"{np.mean(shown):.3f}",
            "low": f"{low:.3f}", "high": f"{high:.3f}", "spread": ""}  # fmt: skip


def mean(values: Sequence[float]) -> dict[str, object]:
    """The mean over seeds with Student's 95 % interval, and the standard deviation over seeds."""
    n, spread = len(values), float(np.std(values, ddof=1))
    half = float(student.ppf(0.975, n - 1)) * spread / n**0.5
    return {"seeds": n, "shown": "", "value": f"{np.mean(values):.4f}", "low": f"{np.mean(values) - half:.4f}",
            "high": f"{np.mean(values) + half:.4f}", "spread": f"{spread:.4f}"}  # fmt: skip


def table(kept: dict[tuple[str, float], list[Any]], truth: dict[float, list[LabelledRun]]) -> list[dict[str, object]]:
    """The rows of `digits.csv`."""
    rows: list[dict[str, object]] = []

    def add(engine: str, reading: str, noise: float, what: str, numbers: dict[str, object]) -> None:
        rows.append({"engine": engine, "reading": reading, "label_noise": noise, "what": what, **numbers})

    for noise in truth:
        there = [boxes(labelled) for labelled in truth[noise]]
        for name in TOLD:
            add("fleet", "truth", noise, name, share([box[name] for box in there]))
        read = {engine: [strengths(single(engine, run)) for run in kept[engine, noise]] for engine in ENGINES}
        for engine in ENGINES:
            for name in TOLD:
                add(engine, "one run", noise, name, share([shown_by_one(one)[name] for one in read[engine]]))
            for name in read[engine][0]:
                add(engine, "one run", noise, size(name), mean([one[name] for one in read[engine]]))
        for name in read["torch"][0]:
            pairs = zip(read["torch"], read["fleet"], strict=True)
            add("torch - fleet", "one run", noise, size(name), mean([one[name] - other[name] for one, other in pairs]))
        for milestone in DIGITS.schedule.milestones:
            over = [image_error(curves, milestone) for curves in kept["torch", noise]]
            add("torch", "standard error over images", noise, f"effect-{milestone}", mean(over))
    return rows


def size(name: str) -> str:
    """What a strength is called beside the share that shows it."""
    return f"{name}, relative size" if name in TOLD else name


def image_error(curves: dict[str | int, Curves], milestone: int) -> float:
    """Standard error over the held-out images of the mean effect of a drop until the next."""
    following = min((m for m in DIGITS.schedule.milestones if m > milestone), default=DIGITS.epochs)
    effect = (curves[milestone].losses - curves["run"].losses)[milestone:following].mean(0, dtype=np.float64)
    return float(effect.std(ddof=1) / len(effect) ** 0.5)


def detected(logs: dict[float, list[Run]], truth: dict[float, list[LabelledRun]]) -> list[dict[str, object]]:
    """The rows of `digits_detectors.csv`: logs of the ordinary loop against the truth of the fleet."""
    rows: list[dict[str, object]] = []
    judged = {n: [replace(t, run=log) for t, log in zip(truth[n], logs[n], strict=True)] for n in truth}
    said = {n: [diagnose(log) for log in logs[n]] for n in truth}
    for group in dict.fromkeys((tuple(truth), *((n,) for n in truth))):
        runs = [run for n in group for run in judged[n]]
        diagnoses = [one for n in group for one in said[n]]
        for phenomenon in CATALOGUE:
            s = score(runs, [d[phenomenon] for d in diagnoses], phenomenon)
            low, high = exact_interval(s.matched, s.events)
            rows.append(
                {
                    "label_noise": "all" if len(group) > 1 else group[0],
                    "phenomenon": phenomenon,
                    "runs": s.runs,
                    "events": s.events,
                    "findings": s.findings,
                    "matched": s.matched,
                    "recall": f"{s.recall:.3f}",
                    "recall_low": f"{low:.3f}" if s.events else "nan",
                    "recall_high": f"{high:.3f}" if s.events else "nan",
                    "precision": f"{s.precision:.3f}",
                    "median_distance": f"{s.median_distance:.1f}",
                    "undetermined_runs": s.undetermined,
                    "null_runs": s.null_runs,
                    "false_alarms": s.false_alarms,
                }
            )
    return rows


def picture(kept: dict[tuple[str, float], list[Any]]) -> Figure:
    """A column for each label noise, a row for each engine, and accuracy below: medians of seeds, 10 to 90 % shaded."""
    fig = Figure(figsize=(12, 7.5), layout="constrained")
    noises = list(dict.fromkeys(noise for _, noise in kept))
    axes = fig.subplots(3, len(noises), sharex=True, height_ratios=(3, 3, 2), squeeze=False)
    epochs, edges = np.arange(1, DIGITS.epochs + 1), [*DIGITS.schedule.milestones, DIGITS.epochs]
    for column, noise in enumerate(noises):
        for row, (engine, name) in enumerate(zip(ENGINES, ("JAX", "PyTorch"), strict=True)):
            runs, ax = [single(engine, run) for run in kept[engine, noise]], axes[row, column]
            for what, label_, style in (
                ("logged", "training loss as logged", "-"),
                ("risk", "loss on held-out images", "-"),
                ("calibrated", "the same, temperature-scaled", ":"),
            ):
                stack = np.stack([getattr(run, what) for run in runs])
                colour = COLOURS.get(what, COLOURS["risk"])
                ax.plot(epochs, np.median(stack, 0), style, color=colour, lw=1.5, label=label_)
                if style == "-":
                    ax.fill_between(epochs, *np.quantile(stack, [0.1, 0.9], 0), color=colour, alpha=0.18, lw=0)
            for m, following in zip(edges[:-1], edges[1:], strict=True):
                stack = np.median([run.without_drop[m] for run in runs], 0)
                ax.plot(epochs[m - 1 : following], stack[m - 1 : following], "--", color=COLOURS["twin"], lw=1.5,
                        label="twin without that drop" if m == edges[0] else None)  # fmt: skip
            stack = np.stack([run.accuracy for run in runs])
            below, style = axes[2, column], "-" if engine == "torch" else "--"
            below.plot(epochs, np.median(stack, 0), style, color="#444444", lw=1.3, label=name)
        for ax in axes[:, column]:
            for m in edges[:-1]:
                ax.axvline(m + 0.5, color="#999999", lw=0.8, zorder=0)
        shown = np.concatenate([np.stack([single(e, run).risk for run in kept[e, noise]])[:, 4:] for e in ENGINES])
        scaled = np.concatenate([np.stack([single(e, run).calibrated for run in kept[e, noise]]) for e in ENGINES])
        low, high = np.median(scaled, 0).min(), np.quantile(shown, 0.99)
        for ax in axes[:2, column]:
            ax.set_ylim(low - 0.12 * (high - low), high + 0.15 * (high - low))
        axes[0, column].set_title(f"{noise:.0%} wrong labels", fontsize=10)
        axes[2, column].set_xlabel("epoch")
    axes[0, 0].set_ylabel("JAX: loss, nats")
    axes[1, 0].set_ylabel("PyTorch: loss, nats")
    axes[2, 0].set_ylabel("accuracy, held out")
    axes[2, 0].legend(fontsize=8, frameon=False, loc="lower right")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=9, frameon=False, loc="outside upper center", ncols=4)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE, help="shares of wrong labels")
    parser.add_argument("--processes", type=int, default=2, help="that train by the ordinary loop at a time")
    parser.add_argument(
        "--keep", type=Path, help="folder that keeps what was measured, so that it can go on from there"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        keep = args.keep or Path(scratch)
        train_all(keep, args.seeds, args.noise, args.processes)
        kept, truth, logs = gathered(keep, args.seeds, args.noise)
    write("digits.csv", table(kept, truth))
    write("digits_detectors.csv", detected(logs, truth))
    picture(kept).savefig(RESULTS / "digits.png", dpi=150)
    made("digits.png")


if __name__ == "__main__":
    main()
