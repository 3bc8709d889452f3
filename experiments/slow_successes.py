"""Do epoch-wise double descent and delayed generalisation (grokking) emerge from training, and in how many seeds?

Trains seeds 0-7 of `DOUBLE_DESCENT` and `GROKKING`, 8 sister runs each, and writes to `experiments/results/`:

- `slow_successes.csv`: for each recipe and seed what the truth says of the event;
- `slow_successes.png`: seed 0 of both; epochs are logarithmic, for what comes late is spread over most of them.

About 3 minutes of one core.
"""

from __future__ import annotations

from dataclasses import replace

from matplotlib.figure import Figure
from tables import RESULTS, made, write

from detectors.progress import progress
from sim.labelled import LabelledRun
from sim.recipe import DOUBLE_DESCENT, GROKKING
from sim.trained import lane_epochs, train

RECIPES = {"double_descent": DOUBLE_DESCENT, "delayed_generalization": GROKKING}
TITLES = {
    "double_descent": "double descent: logistic regression, loud and faint features",
    "delayed_generalization": "grokking: addition modulo 23, AdamW",
}


def row(phenomenon: str, labelled: LabelledRun) -> dict[str, object]:
    """One line of the table; empty where the truth has no such event."""
    risk, accuracy = labelled.expected.mean("risk"), labelled.expected.mean("population_accuracy")
    events = labelled.of(phenomenon)
    event = events[0] if events else None
    effect = {} if event is None else {k: f"{v:.4g}" for k, v in event.effect.items()}
    return {
        "phenomenon": phenomenon,
        "seed": labelled.recipe.seed,
        "events": len(events),
        "onset": "" if event is None else f"{event.onset:g}",
        "effect": " ".join(f"{k}={v}" for k, v in effect.items()),
        "lowest_risk": f"{risk.min():.3f}",
        "final_risk": f"{risk[-1]:.3f}",
        "final_accuracy": f"{accuracy[-1]:.3f}",
    }


def picture(shown: dict[str, LabelledRun]) -> Figure:
    """Loss above, accuracy below, a column for each recipe; the event is shaded from its onset on."""
    fig = Figure(figsize=(11, 6), layout="constrained")
    axes = fig.subplots(2, len(shown), sharex="col")
    for column, (phenomenon, labelled) in enumerate(shown.items()):
        expected, event = labelled.expected, labelled.of(phenomenon)[0]
        for ax, train_name, name in (
            (axes[0, column], "train_loss_eval", "risk"),
            (axes[1, column], "train_accuracy_eval", "population_accuracy"),
        ):
            end = expected.epochs[-1] if event.end is None else event.end
            ax.axvspan(event.onset, end, color="#F0E442", alpha=0.25, lw=0)
            ax.plot(expected.epochs, expected.mean(train_name), color="#D55E00", label="training set")
            mean, se = expected.mean(name), expected.se(name)
            ax.fill_between(expected.epochs, mean - 2 * se, mean + 2 * se, color="#0072B2", alpha=0.25, lw=0)
            ax.plot(expected.epochs, mean, color="#0072B2", label="population, mean of 8 sisters ± 2 s.e.")
            ax.set_xscale("log")
        axes[0, column].set_title(TITLES[phenomenon], fontsize=10)
        axes[1, column].set_xlabel("epoch")
        axes[0, column].set_ylim(bottom=0)
    axes[0, 0].set_ylabel("loss, nats")
    axes[1, 0].set_ylabel("accuracy")
    axes[0, 0].legend(fontsize=8, frameon=False, loc="lower left")
    return fig


def main() -> None:
    runs = {p: [replace(recipe, seed=s) for s in range(8)] for p, recipe in RECIPES.items()}
    done: dict[str, list[LabelledRun]] = {}
    total = sum(lane_epochs(recipes, twins=()) for recipes in runs.values())
    with progress(total, "epochs", "training", quiet=False) as advance:
        for phenomenon, recipes in runs.items():
            done[phenomenon] = train(recipes, twins=(), progress=advance)
    rows = [row(phenomenon, labelled) for phenomenon, made in done.items() for labelled in made]
    for line in rows:
        print(line)
    write("slow_successes.csv", rows)
    picture({p: made[0] for p, made in done.items()}).savefig(RESULTS / "slow_successes.png", dpi=110)
    made("slow_successes.png")


if __name__ == "__main__":
    main()
