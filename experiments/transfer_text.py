"""What `experiments/README.md` says of detectors on real logs beside simulated runs, from the `transfer*.csv`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from tables import read

__all__ = ["BLOCKS"]

RESULTS = Path(__file__).parent / "results"  # of the project
ALL, NO_SABOTAGE, RULES, SETTINGS = (
    "all, published settings",
    "no sabotaged ones",
    "neither sabotaged ones nor dummies",
    "baselines at every setting",
)
Row = Mapping[str, str]


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a result file."""
    return read(name, RESULTS)


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body))


def spread(row: Row, key: str) -> str:
    """A number with its interval."""
    low, high = ("low", "high") if key == "rho" and "low" in row else (f"{key}_low", f"{key}_high")
    return f"{float(row[key]):.2f} ({float(row[low]):.2f} to {float(row[high]):.2f})" if row[key] else ""


def correlation(phenomenon: str, who: str, model: str = "composed", score: str = "f1") -> Row:
    """The row of `transfer_rank.csv`; one without a correlation where there is none."""
    keys = ("phenomenon", "who", "simulated_by", "score")
    asked = (phenomenon, who, model, score)
    return next((r for r in rows("transfer_rank.csv") if tuple(r[k] for k in keys) == asked), {"rho": ""})


def verdict(row: Row) -> str:
    """What the interval of a correlation allows to say."""
    low = float(row["low"])
    if low >= 0.7:
        return "predicts"
    return "agrees with, but does not settle," if low > 0 else "does not predict"


def answer() -> str:
    """The answer in two sentences."""
    everybody, settings, over = (
        correlation(name, who) for name, who in (("pooled", ALL), ("pooled", SETTINGS), ("overfitting", RULES))
    )
    views = dict.fromkeys(r["phenomenon"] for r in rows("transfer.csv"))
    alone = {view.replace("_", " "): correlation(view, SETTINGS) for view in views}
    unlike = [f"{name}, {spread(r, 'rho')}" for name, r in alone.items() if r["rho"] and float(r["low"]) <= 0]
    return wrapped(
        f"**The order of detectors on simulated runs of matched strength {verdict(settings)} their order on real logs: "
        f"rank correlation {spread(settings, 'rho')} over the {settings['detectors']} settings of rules of others and "
        f"of built-in detectors, {spread(everybody, 'rho')} over {everybody['detectors']} pairs of detector and "
        f"phenomenon with dummies and sabotaged ones. For overfitting, the only phenomenon with rivals enough, it is "
        f"{spread(over, 'rho')} over the {over['detectors']} at published settings. It says nothing for "
        f"{'; nor for '.join(unlike)}.**"
    )


def wrapped(text: str) -> str:
    """A paragraph in lines of the house's length."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def ranks() -> str:
    """Rank correlations of each phenomenon, beside the F1 of the built-in detector on either side."""
    scores = [r for r in rows("transfer.csv") if r["detector"] == "curvesense" and r["real_events"] != "0"]
    body = []
    for r in [*scores, None]:
        name = "pooled" if r is None else r["phenomenon"]
        cells = [correlation(name, who) for who in (ALL, NO_SABOTAGE, SETTINGS)]
        counts = ["", "", ""] if r is None else [f"{r['real_yes']}, {r['real_no']}", _f1(r, "real"), _f1(r, "composed")]
        told = [f"{spread(c, 'rho')}, {c['detectors']}" if c["rho"] else "" for c in cells]
        body.append([f"`{name}`" if r else name, *counts, *told])
    return table(
        ["phenomenon", "logs with, without", "built-in: F1 real", "F1 simulated",
         "rho, all detectors, number", "no sabotaged ones", "all settings, no dummies"], body
    )  # fmt: skip


def _f1(row: Row, side: str) -> str:
    return f"{float(row[f'{side}_f1'] or 0):.2f}"


def lacks() -> str:
    """How far simulated scores lie from real ones with a property of real runs put in."""
    made = rows("transfer_properties.csv")
    body = [
        [r["property"], f"`{r['phenomenon']}`", spread(r, "away"), spread(r, "simulated_minus_real"), spread(r, "rho")]
        for r in made
    ]
    told = []
    for view in dict.fromkeys(r["phenomenon"] for r in made):
        mine = [r for r in made if r["phenomenon"] == view]
        least, drawn = min(mine, key=lambda r: float(r["away"])), next(r for r in mine if r["property"] == "as drawn")
        told.append(f"`{view}` {least['property']}, {float(least['away']):.2f} against {float(drawn['away']):.2f}")
    head = ["property put in", "phenomenon", "mean distance of F1", "simulated minus real", "rho"]
    return wrapped(f"Nearest to real F1, against runs as drawn: {'; '.join(told)}.") + "\n\n" + table(head, body)


def exam() -> str:
    """What the share of the exam's checks says."""
    row = next(r for r in rows("transfer_rank.csv") if r["simulated_by"] == "the exam")
    return wrapped(
        f"The share of the exam's checks that a detector meets (default level, {row['detectors']} detectors of "
        f"overfitting that sat it, nearly all sabotaged) has a rank correlation of {spread(row, 'rho')} with F1 on "
        "real logs: most checks are about what an ordinary log does not try."
    )


def misses() -> str:
    """Where the simulated score misleads: single detectors on either side, and where events lie."""
    scores = {(r["phenomenon"], r["detector"]): r for r in rows("transfer.csv") if r["published"] == "True"}
    lies = {(r["phenomenon"], r["side"]): r for r in rows("transfer_places.csv")}

    def both(phenomenon: str, detector: str, score: str) -> str:
        r = scores[phenomenon, detector]
        real, simulated = (float(r[f"{side}_{score}"] or 0) for side in ("real", "composed"))
        return f"{real:.2f} on real logs, {simulated:.2f} on simulated runs"

    def middle(phenomenon: str, what: str, side: str) -> str:
        r = lies[phenomenon, side]
        return f"{r[f'{what}_50']} ({r[f'{what}_25']} to {r[f'{what}_75']})"

    def dropped(side: str) -> str:
        return f"{lies['overfitting', side]['at_a_drop']} of {lies['overfitting', side]['of']}"

    return wrapped(
        "Where the scores part, the strength is the same and the place and length of the events are not "
        "(`transfer_places.csv`; medians and quartiles). The recall of `train_above_val` is "
        f"{both('train_above_val', 'curvesense', 'recall')}: the stretch with training loss above lasts "
        f"{middle('train_above_val', 'epochs', 'real')} epochs in logs, "
        f"{middle('train_above_val', 'epochs', 'simulated')} in composed runs. That of `spike` is "
        f"{both('spike', 'curvesense', 'recall')}, with {lies['spike', 'real']['events']} real spikes in all: those "
        f"begin at a share of {middle('spike', 'onset', 'real')} of the run, composed ones at "
        f"{middle('spike', 'onset', 'simulated')}. Of the rises of runs with drops {dropped('real')} begin "
        f"within five epochs from a drop in logs, {dropped('simulated')} in composed runs: so the F1 of "
        "`BlindBeforeADrop`, which forgets what was before a drop, is "
        f"{both('overfitting', 'BlindBeforeADrop', 'f1')}. And no simulated score sees `ReadsNames`, which is silent "
        f"about any run that is not simulated: {both('overfitting', 'ReadsNames', 'f1')}; the exam has a check for it."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "transfer_answer": answer,
    "transfer_ranks": ranks,
    "transfer_lacks": lacks,
    "transfer_exam": exam,
    "transfer_misses": misses,
}
