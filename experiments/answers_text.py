"""The four answers of `answers.py` in words and tables, every number read from its result files; for `readme.py`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from tables import read

Row = dict[str, str]


def rows(name: str, **where: object) -> list[Row]:
    """The rows of `answers_NAME.csv` whose columns have these values."""
    return [r for r in read(f"answers_{name}.csv") if all(r[k] == str(v) for k, v in where.items())]


def row(name: str, **where: object) -> Row:
    """The only such row."""
    (found,) = rows(name, **where)
    return found


def percent(r: Row, column: str, digits: int = 0, sign: str = "") -> str:
    """A share with its interval, "97 % (91 to 100)"; empty where there is none."""
    middle, low, high = (100 * float(r[column + end]) for end in ("", "_low", "_high"))
    if middle != middle:
        return ""
    return f"{middle:{sign}.{digits}f} % ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"


def points(r: Row, column: str, sign: str = "") -> str:
    """The same, in percentage points of accuracy."""
    return percent(r, column, 1, sign).replace(" %", "", 1)


def bare(r: Row, column: str, digits: int = 0) -> str:
    """A share without its interval."""
    return f"{100 * float(r[column]):.{digits}f}"


def epochs(r: Row, column: str = "length") -> str:
    """A median length with its interval."""
    middle, low, high = (float(r[column + end]) for end in ("", "_low", "_high"))
    return "" if middle != middle else f"{middle:.0f} ({low:.0f} to {high:.0f})"


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *body])


def figure(name: str, words: str) -> str:
    """The picture of an answer."""
    return f"![{words}](results/answers_{name}.png)"


def wrapped(words: str) -> str:
    """A paragraph in lines of 120 characters, whatever its spaces were."""
    return textwrap.fill(" ".join(words.split()), 120, break_long_words=False, break_on_hyphens=False)


def said(sentence: str, *parts: str) -> str:
    """A sentence in bold, and what comes after it: pictures and tables as they are."""
    whole = (part if part.startswith(("|", "!")) else wrapped(part) for part in parts)
    return "\n\n".join([wrapped(f"**{sentence.strip()}**"), *whole])


def pool() -> str:
    """How many runs there are, and with which versions."""
    from answers_pool import SEEDS

    after, never = row("rises", runs="after a drop"), row("rises", runs="never a drop")
    runs = int(after["count"]) + int(never["count"])
    seeds = f"all {SEEDS}" if int(after["seeds"]) == SEEDS else f"the first {after['seeds']} of {SEEDS}"
    return wrapped(
        f"""The pool has {seeds} planned seeds, {after["count"]} runs with a drop, each
        with its twin without one, and {never["count"]} without: {8 * runs:,} trainings, eight sisters a run
        ({after["versions"]})."""
    )


def rises() -> str:
    """Question a."""
    after, noisy, clean = (row("rises", runs=f"after a drop{end}") for end in ("", ", noisy labels", ", label noise 0"))
    kept, lower = (row("rises", runs=f"after a drop, accuracy seen {end}") for end in ("not lower", "lower"))
    never = row("rises", runs="never a drop")
    body = [
        [r["runs"], f"{r['rises']} of {r['count']}", *(percent(r, c) for c in ("overconfidence", "decisions")),
         f"{float(r['share']):.2f}" if r["share"] != "nan" else "", percent(r, "accuracy_kept")]
        for r in rows("rises")
    ]  # fmt: skip
    head = ["runs", "with a rise", "pure overconfidence", "worse at any temperature", "calibration share, median",
            "accuracy not lower"]  # fmt: skip
    return said(
        f"""With noisy labels, fit a temperature before you believe a rise of the validation loss after a drop: in
        {percent(noisy, "overconfidence")} of the runs with one nothing of it was left; with clean labels such rises
        were few, and {percent(clean, "overconfidence")} of them were of that kind.""",
        figure("rises", "Rises after a drop against the change at the best temperature; shares of pure overconfidence"),
        f"""Nothing left is pure overconfidence: the loss at the best temperature, fitted on other examples of the
        population, rose by less than 0.5 % or than two standard errors. {after["rises"]} of {after["count"]} runs had a
        material rise after the drop, of those with clean labels {clean["rises"]} of {clean["count"]};
        {percent(after, "overconfidence")} of all rises were pure. The validation accuracy is a hint: where it was seen
        lower at the top of the rise, {percent(lower, "overconfidence")} were, where it was not,
        {percent(kept, "overconfidence")}. It is not the drop that makes it so: of the rises of runs that never drop
        {percent(never, "overconfidence")} were. A loss that is as good at its temperature need not mean as many right
        answers: the true accuracy did not fall by more than 0.2 points in {percent(after, "accuracy_kept")} of the
        rises after a drop.""",
        table(head, body),
    )


def relief() -> str:
    """Question b."""
    by_noise = {n: row("relief", drops=f"label noise {n}") for n in ("0", "0.15", "0.3")}
    by_factor = {f: row("relief", drops=f"noisy labels, factor {f}") for f in (2, 5, 10)}
    by_width = {w: row("relief", drops=f"noisy labels, width {w}") for w in (16, 32, 64)}
    everything = row("relief", drops="all")
    body = [
        [r["drops"], r["count"], *(percent(r, c) for c in ("relief", "new_best", "ends", "soon")), epochs(r),
         percent(r, "gain", 1)]
        for r in rows("relief") if r["by"] != "cell"
    ]  # fmt: skip
    head = ["drops", "runs", "with relief", "loss below all before", "ends within 40 epochs",
            "of these within 10", "median length of these", "fall of the loss, median"]  # fmt: skip
    return said(
        f"""Relief ends soon or lasts: of the reliefs that ended within 40 epochs {percent(everything, "soon")} had
        ended within 10; with clean labels {percent(by_noise["0"], "ends")} ended, with 15 % wrong labels
        {percent(by_noise["0.15"], "ends")}, with 30 % {percent(by_noise["0.3"], "ends")}.""",
        figure("relief", "Share of reliefs that still last, by epochs after the drop, label noise, factor and width"),
        f"""So with noisy labels the checkpoint to keep is near the drop. It depends on label noise first, then on
        width: with noisy labels relief ended in {percent(by_width[16], "ends")} of the drops at width 16, in
        {percent(by_width[32], "ends")} at 32, in {percent(by_width[64], "ends")} at 64. The factor says how soon: where
        relief ended, the median length was {epochs(by_factor[2])} epochs with the rate divided by 2,
        {epochs(by_factor[5])} by 5, {epochs(by_factor[10])} by 10; and it ended in {percent(by_factor[2], "ends")},
        {percent(by_factor[5], "ends")} and {percent(by_factor[10], "ends")} of the drops. A rise has to become material
        within the 40 epochs, so one that begins late is missed: of the reliefs that lasted so long after a drop at 20,
        {percent(everything, "later")} were seen to end with the 20 epochs that were left. Against its twin a drop
        brought no relief in {100 - float(bare(everything, "relief")):.0f} % of the runs, and harm in
        {bare(everything, "harmful")} %. The cells of label noise, factor and width are in `answers_relief.csv`.""",
        table(head, body),
    )


def drops() -> str:
    """Question c."""
    pairs = [(5, 10, 20), (2, 20, 40), (5, 20, 40), (10, 20, 40)]

    def one(pair: tuple[int, int, int], seeds: str, measure: str) -> Row:
        return row("drops", factor=pair[0], early=pair[1], late=pair[2], seeds=seeds, measure=measure)

    body = []
    for pair in pairs:
        for seeds in ("all", "bottom before", "bottom between", "bottom after"):
            losses = [percent(one(pair, seeds, m), "better", 1, "+") for m in ("best_risk", "final_risk")]
            accuracies = [points(one(pair, seeds, m), "better", "+") for m in ("best_accuracy", "final_accuracy")]
            final = one(pair, seeds, "final_accuracy")
            wins = f"{bare(final, 'early_wins')} %, {bare(final, 'late_wins')} %" if int(final["count"]) else ""
            drop = f"by {pair[0]}, at {pair[1]} or {pair[2]}"
            body.append([drop, seeds, final["count"], *losses, *accuracies, wins])
    final = one((5, 20, 40), "all", "final_accuracy")
    before, after = (one((5, 20, 40), f"bottom {w}", "final_risk") for w in ("before", "after"))
    best, lost = (one((5, 20, 40), "bottom before", m) for m in ("best_risk", "final_accuracy"))
    head = ["drop", "seeds", "number", "best loss", "final loss", "best accuracy", "final accuracy",
            "final accuracy: early, late wins"]  # fmt: skip
    return said(
        f"""Rather drop late than early: of the same seed with a drop by 5 at epoch 20 or at 40 of 80, the later drop
        ended with the higher accuracy in {percent(final, "late_wins")} of the seeds, the earlier in
        {percent(final, "early_wins")}; an earlier drop saves loss only, and only where without a drop the loss would
        turn up before the later one.""",
        figure("drops", "By how much the early drop is better than the late one, by where the bottom lies"),
        f"""It depends on where the lowest loss lies without any drop. Where that is before the early drop, the early
        one ends with a loss that is lower by {percent(before, "better", 1)}, but the lowest loss of the run is lower by
        {percent(best, "better", 1)} only, and the final accuracy differs by {points(lost, "better", "+")} points. Where
        it is after both, dropping early ends with a loss that is higher by {-float(bare(after, "better", 1)):.1f} %.
        Positive numbers are for the early drop; under 0.2 points nobody wins.""",
        table(head, body),
    )


def stopping() -> str:
    """Question d."""
    signals = {"patience": "patience", "rise": "rise above the lowest", "logged gap": "gap to the logged training loss",
               "gap": "gap to the evaluated training loss"}  # fmt: skip

    def at(runs: str, measure: str, signal: str, budget: int = 40) -> Row:
        return row("budgets", runs=runs, measure=measure, signal=signal, epochs=budget)

    def rule(runs: str, name: str) -> Row:
        return row("stopping", runs=runs, rule=name)

    def both(r: Row) -> str:
        more = points(r, "less_patience", "+")
        return f"{bare(r, 'regret', 1)}, {more}" if more else ""

    gap, true = (rule("no drop", name) for name in ("gap 10%", "true gap 10%"))
    last, patience, end = (rule("any drop", name) for name in ("last", "patience 10", "to the end"))
    noisy = [f"any drop, label noise {n}" for n in ("0.15", "0.3")]
    worst = max(float(bare(at(runs, "loss", s), "regret", 1)) for runs in noisy for s in signals)
    groups = ("no drop", "any drop", *(f"any drop, label noise {n}" for n in ("0", "0.15", "0.3")))
    body = [
        [runs, words, *(both(at(runs, m, s, e)) for m, e in (("loss", 20), ("loss", 40), ("accuracy", 40)))]
        for runs in groups for s, words in signals.items()
    ]  # fmt: skip
    head = ["runs", "signal", "loss, 20 epochs", "loss, 40 epochs", "accuracy, 40 epochs"]
    return said(
        f"""Stop by patience, neither at a first rise nor by the gap: at 40 epochs in the mean patience loses
        {percent(at("no drop", "loss", "patience"), "regret", 1)} of the lowest loss, a visible rise
        {percent(at("no drop", "loss", "rise"), "regret", 1)}, the gap
        {percent(at("no drop", "loss", "gap"), "regret", 1)}; and whoever wants accuracy does not stop: with a drop the
        last epoch is {points(last, "accuracy")} points short of the best accuracy, that of
        patience 10 is {points(patience, "accuracy")}.""",
        figure("stopping", "Regret of each stopping rule against the epochs that it trains"),
        f"""The gap in the strict sense is no signal: the true one of 10 % is there to stay from epoch
        {float(true["epochs"]):.1f} in the mean, when the loss is still {bare(true, "loss")} % above its lowest, and a
        rule that wants to see it for three epochs stops at {float(gap["epochs"]):.1f}. With thresholds that train for
        the same 40 epochs, the loss of the gap differs from that of a visible rise by
        {percent(at("no drop", "loss", "gap"), "less_rise", 1, "+")} without a drop and by
        {percent(at("any drop", "loss", "gap"), "less_rise", 1, "+")} with one; the gap to the logged training loss,
        which augmentation lifts, loses {percent(at("no drop", "loss", "logged gap"), "less_patience", 1, "+")} more
        than patience. It depends on the labels: early stopping costs much with clean ones, where the loss falls to
        the end; with noisy ones every signal costs {worst:.1f} % or less. To train to the end and keep the lowest
        validation loss costs {percent(end, "loss", 1)}. With a drop to come, patience 10 stopped before it in
        {percent(patience, "before_drop")} of the runs, and went without its relief. The table has the regret, in per
        cent of the lowest loss and in points of accuracy, and how much more it is than that of patience; it is empty
        where the least threshold that was tried trains for longer.""",
        table(head, body),
    )


#: The blocks of `experiments/README.md`.
BLOCKS: dict[str, Callable[[], str]] = {
    "answer_pool": pool,
    "answer_rises": rises,
    "answer_relief": relief,
    "answer_drops": drops,
    "answer_stopping": stopping,
}
