"""Where the margin model shows all four boxes, and does it move like networks that are really trained?

`search`: an evolution over the sixteen scalars of `sim.margin` for a setting in which the red, green and blue box and
the inversion are all strong, on the question's schedule and where the question has them: a rise before the drop at 120,
relief at it, and then, until the drop at 160, a rise over which accuracy grows. It begins with 1,500 draws of a wide
prior and two settings known before; each of 80 generations keeps the best 60 and adds 300 children (log-normal steps of
width 0.02 to 0.4 on some scalars, the others from two parents). The fitness is smooth: heights of the rise before a
drop, of the relief at it and of the rise after it, the gain of accuracy over that one, the length of the inversion,
each over what is asked for; settings that learn almost everything (loss under 0.12, accuracy over 0.97) lose some. The
truth of `sim.truth` judges the best 40 of each of eight searches. Writes `margin_search.csv`; its first row is
`SEED_MARGIN`.

`setting`: what `SEED_MARGIN` shows, what each cause did to its rises, and how many of 200 neighbours (each scalar
times a log-normal factor of width 0.1) show all four as well. Writes `margin.csv` and `margin.png`.

`gates`: the model against networks. It is fitted to the mean of 64 trained runs of the seed recipe (population risk,
risk at the best temperature, training loss, temperature, accuracy; losses and accuracies up to a line, for ten
classes with wrong labels have other units than two) and judged on the twins without a drop, which the fit has not
seen. Three gates of memory: open in time (as the model was first written), driven by the effective rate without a
gate, and both. Writes `margin_gates.csv` and `margin_gates.png`. Needs what `seed_figure.py --keep DIR` stored:
`--keep DIR`.

Two minutes for the search, one for the gates, on one core.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from tables import RESULTS, made, write

from sim.composed.recipe import columns_of, recipes_of
from sim.margin import SEED_MARGIN, Margin, attribute, runs
from sim.margin.dynamics import PARAMETERS
from sim.margin.twins import curves_of
from sim.pattern import STRONG, Pattern, pattern
from sim.recipe import SEED_FIGURE

Settings = dict[str, np.ndarray]

#: Where the search may go, and the prior that it begins with (uniform, or "log"-uniform).
BOUNDS = {
    "weight_decay": (1e-3, 0.2), "gradient": (1e-3, 0.5), "fast_rate": (0.02, 1.5), "slow_rate": (0.001, 0.3),
    "memory_rate": (0.002, 0.5), "memory_power": (0.0, 1.0), "settling": (0.05, 4.0), "sgd_noise": (0.2, 20.0),
    "fast": (0.5, 2.2), "slow": (0.05, 1.8), "confusion": (0.03, 3.0), "recall": (0.1, 4.0),
    "confidence_rate": (0.02, 1.5), "confidence_power": (0.0, 1.0), "augmentation": (0.05, 20.0), "gate": (0.1, 1000.0),
}  # fmt: skip
PRIOR = {
    "weight_decay": (3e-3, 0.1, "log"), "fast_rate": (0.05, 1, "log"), "slow_rate": (0.002, 0.1, "log"),
    "memory_rate": (0.003, 0.3, "log"), "memory_power": (0, 1, ""), "settling": (0.1, 3, "log"),
    "sgd_noise": (0.3, 10, "log"), "fast": (0.8, 2, ""), "slow": (0.1, 1.5, ""), "confusion": (0.05, 2, "log"),
    "recall": (0.2, 3, "log"), "confidence_rate": (0.03, 1, "log"), "confidence_power": (0, 1, ""),
    "augmentation": (0.1, 20, "log"), "gate": (0.2, 5, "log"),
}  # fmt: skip
#: Two settings known before: memory that SGD noise gates, and memory that the effective rate drives.
KNOWN = (
    Margin(weight_decay=0.0129, gradient=0.0197, fast_rate=0.1397, slow_rate=0.081, memory_rate=0.0594,
           memory_power=0.0, settling=0.632, sgd_noise=7.953, fast=1.488, slow=1.0005, confusion=1.156, recall=0.3127,
           confidence_rate=0.2938, confidence_power=0.126, augmentation=0.53, gate=2.006),
    Margin(weight_decay=0.0992, gradient=0.0802, fast_rate=0.8279, slow_rate=0.0023, memory_rate=0.0176,
           memory_power=1.0, settling=0.7847, sgd_noise=4.45, fast=1.0151, slow=0.4289, confusion=0.4452, recall=2.6959,
           confidence_rate=0.103, confidence_power=0.655, augmentation=0.104, gate=1000.0),
)  # fmt: skip
ASKED = Pattern(red=0.12, green=0.12, blue=0.12, inversion=0.15)
GENERATIONS, PARENTS, CHILDREN = 80, 60, 300


def settings_of(recipes: list[Margin]) -> Settings:
    """The scalars of these recipes."""
    return {name: np.array([getattr(r, name) for r in recipes]) for name in PARAMETERS}


def prior(rng: np.random.Generator, size: int) -> Settings:
    """Settings from the wide prior."""
    out = {}
    for name, (low, high, scale) in PRIOR.items():
        u = rng.uniform(*(np.log([low, high]) if scale else (low, high)), size)
        out[name] = np.exp(u) if scale else u
    out["gradient"] = 2 * out["weight_decay"] * np.exp(rng.uniform(np.log(0.3), np.log(3), size))
    return {name: out[name] for name in PARAMETERS}


def children(
    rng: np.random.Generator, parents: Settings, size: int, bounds: dict[str, tuple[float, float]]
) -> Settings:
    """Settings near two parents each, within bounds."""
    width = np.exp(rng.uniform(np.log(0.02), np.log(0.4), size))
    i, j = rng.integers(0, len(parents["gate"]), (2, size))
    out = {}
    for name in PARAMETERS:
        value = np.where(rng.random(size) < 0.3, parents[name][j], parents[name][i])
        value = value * np.exp(width * rng.standard_normal(size) * (rng.random(size) < 0.6))
        if name.endswith("power"):
            value = value + 0.1 * width * rng.standard_normal(size)
        out[name] = np.clip(value, *bounds[name])
    return out


def joined(a: Settings, b: Settings) -> Settings:
    return {name: np.concatenate([a[name], b[name]]) for name in PARAMETERS}


def chosen(p: Settings, index: np.ndarray) -> Settings:
    return {name: v[index] for name, v in p.items()}


def fitness(p: Settings) -> np.ndarray:
    """How near each setting is to four strong boxes about the drop at 120; 4 and more if it has them all."""
    size = len(p["gate"])
    c = {name: np.repeat(v, size) for name, v in columns_of([SEED_MARGIN]).items()} | p
    curves = curves_of(c, SEED_MARGIN.epochs, ())
    risk, accuracy, level = curves.risk, curves.population_accuracy, curves.train_loss_eval
    every = np.arange(size)
    above = curves.train_loss[:, 1:] > 1.005 * risk[:, 1:]
    inversion = np.where(above.all(1), above.shape[1], np.argmin(above, 1)) / risk.shape[1]
    k, drop, following = 1, 120, 160
    bottom, top = risk[:, :drop].argmin(1), risk[:, drop - 1]
    low = risk[every, bottom]
    # overfitting is a rise that training does not share
    shared = level[:, drop - 1] / level[every, bottom] - 1
    red = (top / low - 1) * np.clip(1 - (shared - 0.004) / 0.1, 0, 1)
    here = risk[:, drop:following]
    relief = (curves.without_drop[:, k, drop:following] - here).mean(1) / here.mean(1)
    green = np.minimum(1 - here.min(1) / top, relief)
    second = here.argmin(1)
    late = np.where(np.arange(following - drop) >= second[:, None], here, -1).argmax(1)
    blue = here[every, late] / here[every, second] - 1
    # the late rise is one of its own if it stays below the first, or starts from a new best
    blue *= np.where((here[every, late] < top) | (here.min(1) < low), 1, 0.5)
    gain = (accuracy[every, drop + late] - accuracy[every, drop + second] + 0.01) / 0.014
    shares = [red / ASKED.red, green / ASKED.green, blue / ASKED.blue, gain, inversion / ASKED.inversion]
    x = np.stack(shares, 1).clip(0)
    best = np.minimum(x, 1).sum(1) + 2 * np.minimum(x.min(1), 1.5)
    return best - 2 * np.clip((0.12 - risk.min(1)) / 0.12, 0, 1) - 4.5 * np.clip(accuracy[:, -1] - 0.97, 0, 1)


def evolved(rng, start, fit, generations, bounds=BOUNDS, children_=CHILDREN, parents=PARENTS):  # type: ignore[no-untyped-def]
    """The settings with the best `fit` (largest first) after these generations, and their fitness."""
    p, f = start, fit(start)
    for _ in range(generations):
        keep = np.argsort(-f, kind="stable")[:parents]
        p, f = chosen(p, keep), f[keep]
        young = children(rng, p, children_, bounds)
        p, f = joined(p, young), np.concatenate([f, fit(young)])
    order = np.argsort(-f, kind="stable")
    return chosen(p, order), f[order]


def rounded(p: Settings, i: int) -> Margin:
    """Setting `i` with four digits."""
    return replace(SEED_MARGIN, **{name: float(f"{v[i]:.4g}") for name, v in p.items()})


def strengths(recipes: list[Margin]) -> list[Pattern]:
    """The boxes by the truth, without evaluation noise."""
    return [pattern(r) for r in runs([replace(r, noise=1e-4) for r in recipes], [0] * len(recipes))]


def search(seeds: int) -> None:
    rows = [row for seed in range(seeds) for row in searched(seed)]
    rows.sort(key=lambda row: -float(str(row["least"])))
    write("margin_search.csv", rows)
    print(rows[0])


def searched(seed: int) -> list[dict[str, object]]:
    """The three best settings of one search."""
    rng = np.random.default_rng(seed)
    start = joined(prior(rng, 1500), settings_of(list(KNOWN)))
    p, f = evolved(rng, start, fitness, GENERATIONS)
    recipes = [rounded(p, i) for i in range(40)]
    rows = []
    for recipe, value, shown in zip(recipes, f, strengths(recipes), strict=False):
        boxes = {box.name: f"{getattr(shown, box.name):.3f}" for box in fields(shown)}
        scalars = {name: getattr(recipe, name) for name in PARAMETERS}
        rows.append(
            {"seed": seed, "least": f"{shown.least(STRONG):.3f}", **boxes, "fitness": f"{value:.3f}", **scalars}
        )
    rows.sort(key=lambda row: -float(row["least"]))
    print(rows[0], flush=True)
    return rows[:3]


def setting() -> None:
    labelled = runs([SEED_MARGIN], [0])[0]
    shown = pattern(labelled)
    rng = np.random.default_rng(0)
    c = columns_of([SEED_MARGIN] * 200)
    for name in PARAMETERS:
        c[name] = c[name] * np.exp(0.1 * rng.standard_normal(200))
    near = [p.least(STRONG) for p in strengths(recipes_of(c, Margin))]
    rows = [{"what": box.name, "value": f"{getattr(shown, box.name):.4f}"} for box in fields(shown)]
    rows += [
        {
            "what": f"neighbours with all four at {share:g} of the strength asked for",
            "value": f"{np.mean(np.array(near) >= share):.3f}",
        }
        for share in (1.0, 0.5)
    ]
    for event, parts in zip(labelled.of("overfitting"), attribute(labelled), strict=True):
        where = f"rise {event.onset:g} to {event.end:g}"
        rows.append({"what": where, "value": f"{event.effect['prominence']:.4f}"})
        rows += [{"what": f"{where}: {name}", "value": f"{v:.4f}"} for name, v in parts.items()]
        rows += [
            {"what": f"{where}: {k}", "value": f"{event.effect[k]:.4f}"}
            for k in ("decision", "calibration", "accuracy")
        ]
    risk, accuracy = (labelled.expected.mean(name) for name in ("risk", "population_accuracy"))
    bottom = 120 + int(risk[120:160].argmin())
    for name, curve in (("loss", risk), ("accuracy", accuracy)):
        rows.append(
            {"what": f"epoch {bottom + 1} to the drop at 160: {name}", "value": f"{curve[159] - curve[bottom]:.4f}"}
        )
    write("margin.csv", rows)
    for row in rows:
        print(row["what"], row["value"])
    draw_setting(labelled)


GATES = {
    "open in time, closed by SGD noise": {"memory_power": (0.0, 0.0)},
    "driven by the effective rate, no gate": {"gate": (1e6, 1e6)},
    "driven by the rate and closed by SGD noise": {},
}


def gates(keep: Path) -> None:
    measured = pickle.loads((keep / "seed-64.pickle").read_bytes())
    members = ("run", *SEED_FIGURE.schedule.milestones)  # the run and its twins, a drop each
    data = {k: np.array([[m[member][k].mean(0) for member in members] for m in measured]) for k in CURVES}
    n = len(measured)
    mean = {k: v.mean(0) for k, v in data.items()}  # (run and twins, epochs)
    error = {k: v.std(0, ddof=1) / np.sqrt(n) for k, v in data.items()}
    rows, fitted = [], {}
    for name, fixed in GATES.items():
        bounds = BOUNDS | {"gate": (0.02, 1e6), "augmentation": (0.0, 20.0)} | fixed
        p, best = None, np.inf
        for seed in range(3):
            rng = np.random.default_rng(seed)
            start = joined(prior(rng, 600), settings_of([SEED_MARGIN, *KNOWN]))
            start = {k: np.clip(v, *bounds[k]) for k, v in start.items()}
            q, f = evolved(rng, start, lambda s: -misfit(s, mean)[0], 100, bounds, 120, 30)
            if -f[0] < best:
                p, best = rounded(q, 0), -f[0]
        run, twins, lines = misfit(settings_of([p]), mean)
        fitted[name] = (p, lines)
        rows.append(
            {"gate": name, "misfit": f"{run[0]:.4f}", "misfit_of_twins": f"{twins[0]:.4f}"}
            | {k: getattr(p, k) for k in PARAMETERS}
        )
        print(rows[-1], flush=True)
    write("margin_gates.csv", rows)
    draw_gates(mean, error, fitted)


#: Curves of a trained run, and what they are in the model.
CURVES = ("risk", "risk_calibrated", "train_loss_eval", "population_accuracy", "temperature")


def misfit(p: Settings, mean: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """(root mean square misfit of the run, of its twins, the model's curves) of each setting, in ranges of each curve.

    Both risks share one line, the training loss and the accuracy have one each, the temperature has none but its scale;
    epochs up to 5 are left out. The twins are predicted with the line of the run.
    """
    from sim.composed.expectation import shares
    from sim.margin.dynamics import NEVER, trajectories

    size = len(p["gate"])
    numbers = np.stack([p[name] for name in PARAMETERS], 1)
    share = shares(columns_of([SEED_MARGIN]), SEED_MARGIN.epochs)[0]
    never = np.full((size, 3), NEVER)
    run = trajectories(numbers, np.repeat(share[:1], size, 0), never, whole=True)
    late = slice(5, None)
    out, total, count = {}, np.zeros(size), 0
    for group in (("risk", "risk_calibrated"), ("train_loss_eval",), ("population_accuracy",), ("temperature",)):
        y = np.concatenate([mean[k][0, late] for k in group])
        x = np.concatenate([run[k][:, 1:][:, late] for k in group], 1)
        x = np.nan_to_num(x, nan=1e3, posinf=1e3)
        centre = 0.0 if group[0] == "temperature" else x.mean(1, keepdims=True)
        base = 0.0 if group[0] == "temperature" else y.mean()
        slope = (((x - centre) * (y - base)).sum(1) / np.maximum(((x - centre) ** 2).sum(1), 1e-12)).clip(0)[:, None]
        for k in group:
            curve = base + slope * (run[k][:, 1:] - centre)
            out[k] = curve
            scale = np.ptp(mean[k][0, late])
            total += (((curve[:, late] - mean[k][0, late]) / scale) ** 2).mean(1)
            count += 1
        if group[0] == "risk":
            twins = np.zeros(size)
            for k in range(3):
                twin = trajectories(numbers, np.repeat(share[[1 + k]], size, 0), never, whole=False)["risk"][:, 1:]
                out[f"twin {k}"] = base + slope * (twin - centre)
                after = slice((60, 120, 160)[k], None)
                twins += (
                    ((out[f"twin {k}"] - mean["risk"][1 + k])[:, after] / np.ptp(mean["risk"][0, late])) ** 2
                ).mean(1)
    return np.sqrt(total / count), np.sqrt(twins / 3), out


def draw_setting(labelled) -> None:  # type: ignore[no-untyped-def]
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    e = labelled.expected
    fig, (top, below) = plt.subplots(2, 1, figsize=(9, 6.5), sharex=True, height_ratios=(3, 1), layout="constrained")
    x = e.epochs
    top.plot(x, e.mean("risk"), "C3", lw=2, label="validation loss R")
    top.plot(x, e.mean("risk_calibrated"), "C3:", label="at the best temperature")
    top.plot(x, e.mean("train_loss"), "C0", label="training loss as logged")
    for k, (at, twin) in enumerate(e.without_drop.items()):
        top.plot(x[at:], twin[0, at:], "0.6", lw=1, label="twins without a drop" if not k else None)
    names = {"fresh_samples": "no memory", "no_regrowth": "no regrowth", "no_scale_growth": "no scale growth"}
    for (name, said), colour in zip(names.items(), ("C2", "C4", "C1"), strict=True):
        top.plot(x, e.twins[name][0], colour, lw=1, ls="--", label=said)
    colours = {"overfitting": "C3", "lr_drop_relief": "C2", "loss_accuracy_divergence": "C0"}
    for event in labelled.events:
        if event.material and event.phenomenon in colours and event.kind != "accuracy_flat":
            row = list(colours).index(event.phenomenon)
            end = x[-1] if event.end is None else event.end
            top.axvspan(
                event.onset, end, ymin=0.94 - 0.03 * row, ymax=0.965 - 0.03 * row, color=colours[event.phenomenon]
            )
    top.set(
        ylabel="loss, nats",
        title="SEED_MARGIN: red overfitting, green relief, blue loss up and accuracy up",
        ylim=(0, 0.9),
    )
    top.legend(ncols=2, fontsize=8)
    below.plot(x, e.mean("population_accuracy"), "C3", label="validation accuracy")
    below.set(xlabel="epoch", ylabel="accuracy", ylim=(0.6, 1))
    for at in e.without_drop:
        for axis in (top, below):
            axis.axvline(at + 0.5, color="0.85", zorder=0)
    below.legend(fontsize=8, loc="lower right")
    fig.savefig(RESULTS / "margin.png", dpi=110)
    made("margin.png")


def draw_gates(mean, error, fitted) -> None:  # type: ignore[no-untyped-def]
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = {
        "risk": "population risk",
        "risk_calibrated": "at the best temperature",
        "temperature": "best temperature",
        "population_accuracy": "accuracy",
        "train_loss_eval": "training loss",
        "twin 1": "risk, twin without the drop at 120",
    }
    fig, axes = plt.subplots(2, 3, figsize=(12, 6.5), sharex=True, layout="constrained")
    x = np.arange(1, 201)
    for axis, (key, title) in zip(axes.flat, panels.items(), strict=True):
        row = 2 if key == "twin 1" else 0
        data = "risk" if key == "twin 1" else key
        y, s = mean[data][row], error[data][row]
        axis.fill_between(x, y - 2 * s, y + 2 * s, color="0.75", label="64 trained runs, mean and 2 s.e.")
        for (name, (_, lines)), colour in zip(fitted.items(), ("C1", "C4", "C2"), strict=True):
            axis.plot(x, lines[key][0], colour, lw=1.2, label=name)
        axis.set_title(title, fontsize=10)
        low, high = y[4:].min(), y[4:].max()
        axis.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))
    axes[0, 0].legend(fontsize=7)
    fig.supxlabel("epoch")
    fig.savefig(RESULTS / "margin_gates.png", dpi=110)
    made("margin_gates.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("search", "setting", "gates"))
    parser.add_argument("--seeds", type=int, default=8, help="searches, from seed 0 on")
    parser.add_argument("--keep", type=Path, default=Path("kept"), help="where seed_figure.py kept its measurements")
    args = parser.parse_args()
    if args.part == "gates" and SEED_FIGURE.epochs != SEED_MARGIN.epochs:
        parser.error("the seed recipe has another length than SEED_MARGIN")
    {"search": lambda: search(args.seeds), "setting": setting, "gates": lambda: gates(args.keep)}[args.part]()


if __name__ == "__main__":
    main()
