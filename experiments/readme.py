"""Fill the tables of the READMEs from the files in `experiments/results/`; `--check` says whether they are current.

A table (or, from `answers_text.py` and `transfer_text.py`, an answer with its numbers) stands between `<!-- NAME -->`
and `<!-- end -->`, where NAME is a key of TABLES.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import answers_text
import transfer_text
from tables import read

ROOT = Path(__file__).parents[1]
QUIET = 0.05  # of the runs of a null family, at most, for a detector to be quiet
FILES = (ROOT / "README.md", ROOT / "sim" / "exam" / "README.md", ROOT / "experiments" / "README.md")


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a result file of the project."""
    return read(name, ROOT / "experiments" / "results")


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    body = [["" if cell == "nan" else cell for cell in line] for line in body]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def detectors() -> str:
    """Recall, precision, F1, distance, coverage and false alarms on the seed recipe and on healthy runs."""
    head = ["detector", "events", "recall", "precision", "F1", "median distance to the band, epochs",
            "onset interval covers", "false alarms on null runs of 64 healthy"]  # fmt: skip
    body = [
        [f"`{r['phenomenon']}`", r["events"], r["recall"], r["precision"], r["f1"], r["median_distance"],
         r["interval_covers"], f"{r['false_alarms']} of {r['healthy_null_runs']}"]
        for r in rows("seed_figure_detectors.csv")
        if int(r["events"])
    ]  # fmt: skip
    return table(head, body)


def boxes() -> str:
    """How many seeds show each box of the question."""
    names = {
        "red": "a rise of validation loss before a drop",
        "green": "relief at that drop, against the twin without it",
        "blue": "afterwards a rise over which accuracy does not fall",
        "train_above_val": "training loss above validation loss for three epochs or more",
        "all_four": "all four",
    }
    body = [
        [names[r["box"]], f"{r['shown']} of {r['seeds']}", r["share"], f"{r['low']} to {r['high']}"]
        for r in rows("seed_figure_boxes.csv")
    ]
    return table(["the truth shows", "seeds", "share", "95 % interval"], body)


def real() -> str:
    """Agreement with labels made by eye on real logs."""
    body = [
        [f"{r['repository']}, {r['logs']} logs", f"`{r['phenomenon']}`", f"{r['found']} of {r['labelled_yes']}",
         f"{r['false_alarms']} of {r['labelled_no']}", r["f1"],
         f"{r['onset_within_5']} of {r['onset_judged']}" if int(r["onset_judged"]) else ""]
        for r in rows("real_logs.csv")
        if int(r["labelled_yes"]) + int(r["labelled_no"])
    ]  # fmt: skip
    return table(["repository", "phenomenon", "found", "false alarms", "F1", "onset within 5 epochs"], body)


def disagreements() -> str:
    """Where the detectors and the labels of real logs disagree, and what a look at it told."""
    body = [
        [r["log"], f"`{r['phenomenon']}`", r["eye"], r["detector"], r["said"]]
        for r in rows("real_logs_disagreements.csv")
    ]
    return table(["log", "phenomenon", "the eye", "the detector", "looked at"], body)


def realism() -> str:
    """How well a forest tells the runs of each generator from real logs."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for r in rows("realism.csv"):
        of = found.setdefault((r["view"], r["generator"]), {})
        if r["comparison"] == "grouped":
            of["grouped"] = f"{float(r['auc']):.2f} ({float(r['low']):.2f} to {float(r['high']):.2f})"
        elif r["comparison"] == "within, mean":
            of["within"] = f"{float(r['auc']):.2f}"
    body = [[view, name, of.get("grouped", ""), of["within"]] for (view, name), of in found.items()]
    return table(["told by", "runs of", "one repository left out (95 %)", "within a repository, mean"], body)


def giveaways() -> str:
    """The five features that tell the runs of the composed and of the margin model best."""
    body = []
    for name in ("composed", "margin"):
        best = [r for r in rows("realism_features.csv") if r["generator"] == name][:5]
        body += [[name, r["feature"], r["auc_alone"], r["simulated_median"], r["real_median"]] for r in best]
    return table(["runs of", "feature", "area under the curve alone", "median simulated", "median real"], body)


def leaders() -> str:
    """For each phenomenon the built-in detector beside the best of all others, by F1 and among those that are quiet."""
    body = []
    every = rows("leaderboard.csv")
    for phenomenon in dict.fromkeys(r["phenomenon"] for r in every):
        those = [r for r in every if r["phenomenon"] == phenomenon]
        (ours,) = (r for r in those if r["detector"] == "curvesense")
        dummies = [r for r in those if r["detector"].startswith("dummy")]
        others = [r for r in those if r not in dummies and r is not ours]
        quiet = [r for r in others if float(r["alarms"]) <= QUIET]
        body.append(
            [f"`{phenomenon}`", ours["events"], f"{_number(ours, 'f1'):.3f}", _named(others, "f1"),
             _named(dummies, "f1"), f"{_number(ours, 'recall'):.3f}", f"{float(ours['alarms']):.2f}",
             _named(quiet, "recall")]
        )  # fmt: skip
    head = ["phenomenon", "events", "F1 of ours", "best F1 of others", "of dummies", "recall of ours",
            "alarms in its worst family", "best recall of others with at most 5 % alarms"]  # fmt: skip
    return table(head, body)


def _number(row: dict[str, str], key: str) -> float:
    return float(row[key] or 0)


def _named(among: list[dict[str, str]], key: str) -> str:
    """The largest value of a column, by whom and at which setting."""
    if not among:
        return ""
    best = max(among, key=lambda r: _number(r, key))
    return f"{_number(best, key):.3f} ({best['detector']}, {best['setting'].partition(' {')[0]})"


def drops() -> str:
    """Drops of the rate on real logs, found without the logged rate."""
    body = [
        [r["repository"], r["runs"], r["drops"], r["found"], f"{r['visible_found']} of {r['visible']}",
         r["recall_visible"], r["false"], r["precision"]]
        for r in rows("real_logs_lr_drop.csv")
        if int(r["drops"])
    ]  # fmt: skip
    head = ["repository", "runs", "drops", "found", "visible ones found", "recall of visible", "false", "precision"]
    return table(head, body)


def alarms() -> str:
    """False alarms of each detector on its worst null family, at each alpha."""
    all_rows = rows("false_alarms.csv")
    alphas = sorted({r["alpha"] for r in all_rows}, key=float)
    body = []
    for name in dict.fromkeys(r["phenomenon"] for r in all_rows):
        own = {r["alpha"]: r for r in all_rows if r["phenomenon"] == name}
        cells = [f"{own[a]['alarms']} (≤ {own[a]['upper_bound']})" if a in own else "" for a in alphas]
        first = next(iter(own.values()))
        body.append([f"`{name}`", first["worst_family"], first["runs"], *cells])
    return table(["detector", "worst null family found", "runs", *(f"alarms at {a}" for a in alphas)], body)


def throughput() -> str:
    """What labelled runs cost, beside what NumPy and pyarrow need."""
    body = [
        [r["what"], f"{float(r['value']):,g} {r['unit']}", r["against"],
         f"{float(r['beside']):,g} {r['unit']}" if r["against"] else "", r["ratio"],
         r["aim"] if float(r["aim"]) else ""]
        for r in rows("throughput.csv")
    ]  # fmt: skip
    return table(["", "measured", "beside", "", "ratio", "aim"], body)


def analytic() -> str:
    """How exact the analytic models are, what a run costs, and what their default recipes show."""
    shown = {
        "overfitting": "overfitting",
        "lr_drop_relief": "relief",
        "loss_accuracy_divergence": "divergence",
        "double_descent": "double descent",
        "train_above_val": "train above val",
    }
    body = [
        [f"`{r['model']}`", f"{float(r['normals']):,.0f}", f"{r['largest_z']} of {r['comparisons']}",
         f"{r['one_percent_seen']} of {r['comparisons']}", *(r[name] for name in shown)]
        for r in rows("analytic.csv")
    ]  # fmt: skip
    head = ["model", "a run costs as many NumPy normals", "largest z", "1 % seen", *shown.values()]
    return table(head, body)


def power() -> str:
    """Power of the climb test beside the prototype, by height of the rise and autocorrelation."""
    head = ["rise, noise widths", "evaluations", "autocorrelation", "climb test", "multiscale t-test",
            "`overfitting`: found", "undetermined", "missed", "onset interval covers", "its length, epochs",
            "an oracle's"]  # fmt: skip
    told = ["rise", "epochs", "rho", "climb", "multiscale", "found", "undetermined", "missed", "covers", "length",
            "oracle"]  # fmt: skip
    body = [[r[name] for name in told] for r in rows("power.csv")]
    return table(head, body)


def levels() -> str:
    """What each level of the exam catches."""
    from sim.exam import LEVELS

    body = [
        [f"`{level.name}`", str(level.examples), f"{level.specs} × {level.seeds}", f"{level.multiple:g} alpha"]
        for level in LEVELS.values()
    ]
    return table(["level", "examples of an exact check", "runs in a search", "false alarms caught from"], body)


def checks() -> str:
    """Every check with its reason."""
    from sim.exam import CHECKS

    body = [
        [c.group, f"`{c.name}`", "" if c.claim is None else f"`{c.claim.__name__}`", c.rationale, c.source]
        for c in CHECKS.values()
    ]
    return table(["group", "check", "claim", "why", "after"], body)


def sabotage() -> str:
    """Each sabotaged detector: what it does, whether the check meant for it caught it, what else failed."""
    from sim.exam.sabotage import SABOTAGES

    lines = [r for r in rows("sabotage.csv") if r["honest"] == "False"]
    body = []
    for check, make in SABOTAGES.items():
        mine = [r for r in lines if r["meant_for"] == check]
        caught = next(r["status"] for r in mine if r["check"] == check)
        others = [f"`{r['check']}`" for r in mine if r["status"] == "failed" and r["check"] != check]
        does = " ".join((make.__doc__ or "").split())
        body.append([f"`{mine[0]['detector']}`", does, f"`{check}`", "caught" if caught == "failed" else caught,
                     ", ".join(others)])  # fmt: skip
    return table(["detector", "what it does", "the check meant for it", "", "what else fails"], body)


def honest() -> str:
    """Each honest detector: how many checks it passed, and what it does not promise and fails."""
    lines = [r for r in rows("sabotage.csv") if r["honest"] == "True"]
    body = []
    for name in dict.fromkeys(r["detector"] for r in lines):
        status = [(r["check"], r["status"]) for r in lines if r["detector"] == name]
        counts = [str(sum(s == what for _, s in status)) for what in ("passed", "failed", "skipped")]
        body.append([f"`{name}`", *counts, ", ".join(f"`{c}`" for c, s in status if s == "not promised")])
    return table(["detector", "passed", "failed", "skipped", "not promised, and fails"], body)


DIGITS_SHOWN = {
    "red": "a rise before the drop",
    "green": "relief at the drop, against the twin",
    "blue": "afterwards loss up, accuracy not down",
    "train_above_val": "training loss above held-out loss",
    "all_four": "all four",
}
DIGITS_READ = {
    ("fleet", "truth"): "JAX, truth of eight sisters",
    ("fleet", "one run"): "JAX, one run",
    ("torch", "one run"): "PyTorch, one run",
}


def digits() -> str:
    """In how many seeds of the digits each phenomenon shows, by label noise, engine and reading."""
    lines = rows("digits.csv")
    noises = sorted({r["label_noise"] for r in lines}, key=float)
    body = []
    for what, words in DIGITS_SHOWN.items():
        for (engine, reading), told in DIGITS_READ.items():
            own = {
                r["label_noise"]: r for r in lines if (r["engine"], r["reading"], r["what"]) == (engine, reading, what)
            }
            body.append([words, told, *(f"{own[n]['shown']} ({own[n]['low']} to {own[n]['high']})" for n in noises)])
    seeds = lines[0]["seeds"]
    return table([f"of {seeds} seeds (95 % interval of the share)", "read from", *map(_wrong, noises)], body)


def digits_effects() -> str:
    """Effects of the drops against their twins, and rises with and without temperature, over seeds."""
    lines = rows("digits.csv")
    noises = sorted({r["label_noise"] for r in lines}, key=float)
    told = {
        **{r["what"]: f"effect of the drop at {r['what'].removeprefix('effect-')}, until the next"
           for r in lines if r["what"].startswith("effect-")},
        "blue_rise": "rise of the loss after the first drop",
        "blue_calibrated": "the same, temperature-scaled",
    }  # fmt: skip
    body = []
    for what, words in told.items():
        for engine, reading, name in (
            ("fleet", "one run", "JAX"),
            ("torch", "one run", "PyTorch"),
            ("torch - fleet", "one run", "difference, with its 95 % interval"),
            ("torch", "standard error over images", "standard error over the held-out images, PyTorch"),
        ):
            own = {
                r["label_noise"]: r for r in lines if (r["engine"], r["reading"], r["what"]) == (engine, reading, what)
            }
            if own and engine == "torch - fleet":
                body.append(
                    [words, name, *(f"{own[n]['value']} ({own[n]['low']} to {own[n]['high']})" for n in noises)]
                )
            elif own:
                spread = "" if reading.startswith("standard") else " ± "
                body.append([words, name, *(own[n]["value"] + (spread and spread + own[n]["spread"]) for n in noises)])
    return table(["nats, mean ± standard deviation over seeds", "", *map(_wrong, noises)], body)


def digits_detectors() -> str:
    """What the detectors find in the PyTorch log of the digits, against the truth of the twins."""
    body = []
    for r in rows("digits_detectors.csv"):
        if r["label_noise"] == "all" and int(r["events"]):
            recall = f"{r['recall']} ({r['recall_low']} to {r['recall_high']})"
            told = f"{r['undetermined_runs']} of {r['runs']}", f"{r['false_alarms']} of {r['null_runs']}"
            body.append([f"`{r['phenomenon']}`", r["events"], recall, r["precision"], r["median_distance"], *told])
    head = ["detector", "events", "recall (95 %)", "precision", "median distance, epochs", "undetermined runs",
            "false alarms on null runs"]  # fmt: skip
    return table(head, body)


def _wrong(noise: str) -> str:
    return f"{float(noise):.0%} wrong labels"


TABLES: dict[str, Callable[[], str]] = {
    "detectors": detectors,
    "boxes": boxes,
    "digits": digits,
    "digits_effects": digits_effects,
    "digits_detectors": digits_detectors,
    "real": real,
    "disagreements": disagreements,
    "drops": drops,
    "leaders": leaders,
    "realism": realism,
    "giveaways": giveaways,
    "alarms": alarms,
    "power": power,
    "throughput": throughput,
    "analytic": analytic,
    "levels": levels,
    "checks": checks,
    "sabotage": sabotage,
    "honest": honest,
    **answers_text.BLOCKS,
    **transfer_text.BLOCKS,
}


def filled(text: str) -> str:
    """`text` with every table made anew."""

    def make(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", make, text, flags=re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    for readme in FILES:
        text = readme.read_text()
        if args.check and filled(text) != text:
            return 1
        readme.write_text(filled(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
