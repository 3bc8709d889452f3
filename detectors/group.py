"""Several runs of one recipe (seeds) read together: rises too small for any one of them, and relief at their drops.

>>> from detectors import read
>>> from detectors.group import diagnose_group, groups
>>> for name, runs in groups(read("runs")).items():  # doctest: +SKIP
...     print(diagnose_group(runs, name=name).text)

Method: the slope of validation loss over windows of 18, 28, 40, ... epochs, at places all along the run; for each drop
of the rate that the runs share, the line and the level before it less the mean after it. Which of these differ from
zero is told by flipping the signs of whole runs (`detectors.sign_flip`), at `alpha` for all of them together. The onset
interval inverts the same test: no significant rise lies wholly before the bottom, no significant fall wholly after it.
The height is the mean of what each run climbs between a bottom and a top that the other runs choose, so that chance
does not flatter it: where bottom or top are flat, it is a little too small. Its interval holds at once for all pairs of
a bottom in the onset interval and a top after it, by Student's t with the signs of the runs' deviations flipped.

What is assumed: the runs are independent, and what sets them apart is as likely up as down. Then the level is exact
where the curve is flat; where it falls, fewer alarm. A recipe whose runs split in a majority that falls and a minority
that rises breaks the symmetry, and so does one data order shared by all: the runs then share their noise.

Relief is claimed where the loss lies both below the line and below the level that it had before the drop; a convex
decay stays above its line, so a drop that does nothing shows none. That is the visible relief, not that against a twin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import stdtrit

from detectors.climb import scales
from detectors.noise import moving_average
from detectors.segments import drop_positions, segments
from detectors.shapes import rises, unimodal_bottom
from detectors.sign_flip import FEWEST, flipped_maxima, p_values, smallest_p, t_of
from detectors.vocabulary import Finding, Phenomenon, Run, Verdict, absent, found, undetermined

__all__ = ["GroupDiagnosis", "diagnose_group", "groups", "rise_contrasts"]

SHORTEST = 12  # epochs that all runs share
SHORTEST_HALF = 9  # epochs of half a window, where a run has room for it
LARGEST = 1024  # a longer curve is averaged in blocks first
SMALLEST = 0.005  # of the bottom: a rise below that is not told
BEFORE = (8, 16, 32)  # epochs before a drop through which a line is drawn; half as many after it are held against it
LEVEL = 5  # epochs averaged for a level
PLACES = 24  # bottoms, and tops, between which the height is bounded
DRAWS = 499  # ways to flip the signs for that
SEED = re.compile(r"(?i)(seed|run|trial|repeat|rep|version)s?[-_=. ]*\d+|(?<=[/\\])\d+(?=[/\\])")


@dataclass(frozen=True, kw_only=True)
class GroupDiagnosis:
    """What several runs of one recipe show together: a verdict on overfitting and one on relief, in words as well."""

    name: str
    runs: tuple[Run, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, phenomenon: str) -> Verdict:
        """The verdict about one phenomenon; KeyError names those that there are."""
        for verdict in self.verdicts:
            if verdict.phenomenon == phenomenon:
                return verdict
        raise KeyError(f"no verdict about {phenomenon!r}; there are {[str(v.phenomenon) for v in self.verdicts]}")

    @property
    def findings(self) -> list[Finding]:
        """All findings, in order of onset."""
        return sorted((f for v in self.verdicts for f in v), key=lambda f: f.onset)

    @property
    def text(self) -> str:
        """What a person should take away, as a paragraph."""
        said = [f"{f.explanation[:1].upper()}{f.explanation[1:]}" for f in self.findings]
        for v in self.verdicts:
            if not v.findings:
                about = str(v.phenomenon).replace("_", " ")
                said.append(f"{'Cannot tell about' if v.status == 'undetermined' else 'No'} {about}: {v.reason}.")
        return " ".join(said)


def groups(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs by recipe, in order: by `Run.group`, else by where they come from.

    Two logs that differ by the number of a seed, a run or a trial, or by a folder that is a number, are of one recipe
    (`runs/seed_1/log.csv`, `runs/seed_2/log.csv`); a log without such a number is of the recipe of its folder.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_recipe(run), []).append(run)
    return found


def diagnose_group(
    runs: Sequence[Run], alpha: float = 0.05, *, level: float = 0.9, name: str = "", smallest: float = SMALLEST
) -> GroupDiagnosis:
    """Read runs of one recipe together; `alpha` is the chance of any false alarm about the group.

    `level`: confidence of the intervals. `smallest`: rises below this share of their bottom are not told. Fewer than
    six runs, or so few that no p-value can reach `alpha`, are undetermined, with the smallest p-value there can be.
    ValueError where a setting cannot be, or where there is no run.
    """
    for what, value in (("alpha", alpha), ("level", level)):
        if not 0 < value < 1:
            raise ValueError(f"{what}={value!r}: allowed is a number between 0 and 1")
    if not runs:
        raise ValueError("a group needs runs, there is none")
    together = _Together.of(runs)
    title = name or _recipe(runs[0]) or "group"
    least = smallest_p(len(together.used))
    reason = ""
    if not together.used:
        reason = "no run logs val_loss"
    elif len(together.used) < FEWEST:
        some = "different run" if len(together.used) < sum("val_loss" in run for run in runs) else "run"
        few = f"1 {some} logs" if len(together.used) == 1 else f"{len(together.used)} {some}s log"
        reason = f"{few} val_loss; {FEWEST} are needed, since the smallest p-value there can be is {least:.2g}"
    elif least > alpha:
        reason = f"the smallest p-value that {len(together.used)} runs can show is {least:.2g}, above alpha={alpha:g}"
    elif together.values.shape[1] < SHORTEST:
        reason = f"the runs have {together.values.shape[1]} epochs in common; {SHORTEST} are needed"
    if reason:
        kinds = (Phenomenon.OVERFITTING, Phenomenon.LR_DROP_RELIEF)
        verdicts = tuple(undetermined(kind, reason) for kind in kinds)
    else:
        verdicts = _verdicts(together, alpha, level, smallest)
    return GroupDiagnosis(name=title, runs=tuple(runs), verdicts=verdicts, notes=tuple(together.notes))


def rise_contrasts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of runs of shape (runs, n), shape (runs, contrasts), and their windows, half-open: (contrasts, 2).

    A slope's weights have negative partial sums, so no curve that never rises has one above 0.
    """
    columns, places = [], []
    n = values.shape[1]
    for half in [m for m in scales(n) if m >= SHORTEST_HALF] or scales(n):
        starts = np.arange(0, n - 2 * half + 1, max(1, half // 2))
        weights = np.arange(2 * half) - (half - 0.5)
        columns.append(sliding_window_view(values, 2 * half, axis=1)[:, starts] @ weights)
        places.append(np.stack([starts, starts + 2 * half], 1))
    return np.concatenate(columns, axis=1), np.concatenate(places)


@dataclass(frozen=True, eq=False)
class _Together:
    """Validation losses of the runs that log one, shape (runs, n), at the epochs that all of them have."""

    used: list[Run]
    epochs: np.ndarray
    values: np.ndarray
    drops: list[int] | None  # positions of the drops that all share; None where a rate is not logged
    notes: list[str]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> _Together:
        told = [run for run in runs if "val_loss" in run]
        if not told:
            return cls([], np.empty(0), np.empty((0, 0)), None, [])
        distinct: dict[bytes, Run] = {}  # a run that is logged twice is one run
        for run in told:
            distinct.setdefault(b"".join(part.tobytes() for part in run.observed("val_loss")), run)
        used = list(distinct.values())
        logged = [run.observed("val_loss") for run in used]
        epochs = logged[0][0]
        for other, _ in logged[1:]:
            epochs = np.intersect1d(epochs, other)
        values = np.stack([v[np.searchsorted(e, epochs)] for e, v in logged])
        step = -(-max(len(epochs), 1) // LARGEST)
        n = len(epochs) // step
        values = values[:, : n * step].reshape(len(used), n, step).mean(-1)
        notes, drops = [], None
        if len(told) < len(runs):
            notes.append(f"{len(runs) - len(told)} of {len(runs)} runs have no val_loss and are left out")
        if (copies := len(told) - len(used)) > 0:
            said = "1 run is left out, whose" if copies == 1 else f"{copies} runs are left out, whose"
            notes.append(f"{said} val_loss is that of another one to the last digit: the same run, logged again")
        longest = max(len(e) for e, _ in logged)
        if len(epochs) < longest:
            notes.append(f"the runs have {len(epochs)} epochs in common, the longest has {longest}")
        if all("learning_rate" in run for run in used):
            at = [{float(run.epochs[d]) for d in drop_positions(run["learning_rate"])} for run in used]
            shared = set.intersection(*at)
            drops = [int(np.searchsorted(epochs, e)) // step for e in sorted(shared)]
            if any(mine != shared for mine in at):
                notes.append("the runs do not drop their rates at the same epochs: are they of one recipe?")
        return cls(used, epochs[: n * step][step // 2 :: step], values, drops, notes)


def _verdicts(together: _Together, alpha: float, level: float, smallest: float) -> tuple[Verdict, ...]:
    up, places = rise_contrasts(together.values)
    relief = list(_relief_contrasts(together))
    columns = [up, *(np.stack([r.line, r.level], 1) for r in relief)]
    t = t_of(np.concatenate(columns, axis=1))
    maxima = flipped_maxima(np.concatenate(columns, axis=1))
    ups, downs = p_values(t[: len(places)], maxima), p_values(-t[: len(places)], maxima)
    rest = p_values(t[len(places) :], maxima).reshape(-1, 2).max(1)
    return (
        _overfitting(together, places, ups, downs, alpha, level, smallest),
        _relief(together, relief, rest, alpha, level),
    )


def _overfitting(
    together: _Together,
    places: np.ndarray,
    ups: np.ndarray,
    downs: np.ndarray,
    alpha: float,
    level: float,
    smallest: float,
) -> Verdict:
    mean = together.values.mean(0)
    width = min(LEVEL, len(mean))
    smooth = moving_average(mean, width)
    significant = np.flatnonzero(ups <= alpha).tolist()
    findings, shared, told = [], False, list[tuple[int, int]]()
    for rise in sorted(rises(smooth), key=lambda r: -r.prominence):
        start, top = rise.a + width // 2, rise.b + width // 2
        mine = [i for i in significant if start < places[i].mean() <= top]
        if not mine:
            continue
        significant = [i for i in significant if i not in mine]
        sure = [i for i in mine if ups[i] <= (1 - level) / 2] or mine
        high = int(places[sure, 1].min()) - 2
        falls = places[(downs <= (1 - level) / 2) & (places[:, 1] <= top + 1), 0]
        low = min(int(falls.max(initial=-1)) + 1, high)
        bottom = low + unimodal_bottom(mean[low : top + 1])
        bottom = min(max(bottom, low), high)
        later = places[(downs <= (1 - level) / 2) & (places[:, 0] >= high), 1]
        stop = int(later.min(initial=len(mean)))
        height = _Height.of(together.values, (low, high), (bottom, top), stop, level)
        if any(bottom <= t and f <= top for f, t in told):
            continue  # a part of a larger rise
        if height.estimate < smallest * abs(height.bottom):
            continue
        trained, rose = _trained(together, bottom, top)
        if rose:
            shared = True
            continue
        told.append((bottom, top))
        n, known = len(together.used), int(places[mine, 1].min()) - 1
        rising = int((height.climbs > 0).sum())
        onset, end = float(together.epochs[bottom]), float(together.epochs[top])
        findings.append(
            Finding(
                phenomenon=Phenomenon.OVERFITTING,
                onset=onset,
                onset_interval=(float(together.epochs[low]), float(together.epochs[high])),
                level=level,
                known_at=max(float(together.epochs[known]), onset),
                end=end if top < len(mean) - width else None,
                kind="group",
                p_value=float(ups[mine].min()),
                effect={
                    "prominence": height.estimate,
                    "relative": height.estimate / max(abs(height.bottom), 1e-300),
                    "prominence_low": height.interval[0],
                    "prominence_high": height.interval[1],
                },
                evidence={
                    "runs": float(n),
                    "runs_that_rise": float(rising),
                    "val_loss_at_onset": height.bottom,
                    "val_loss_at_top": height.top,
                    "top": end,
                    "smallest_p_possible": smallest_p(n),
                    **trained,
                },
                explanation=(
                    f"val_loss of {n} runs was lowest around epoch {onset:.10g} ({height.bottom:.4g} on average) and "
                    f"rose by {height.estimate:.3g} ({height.interval[0]:.3g} to {height.interval[1]:.3g}) by epoch "
                    f"{end:.10g}, in {rising} of {n}."
                ),
                advice=f"Without a later drop, stop around epoch {onset:.10g}.",
            )
        )
    if findings:
        return found(Phenomenon.OVERFITTING, findings)
    reason = "val_loss rises, but train_loss rises with it" if shared else "no rise that the runs share"
    return absent(Phenomenon.OVERFITTING, reason)


@dataclass(frozen=True, eq=False)
class _Height:
    """How high the runs climb: an estimate, an interval for it, the climb of each run, the levels at either end."""

    estimate: float
    interval: tuple[float, float]
    climbs: np.ndarray
    bottom: float
    top: float

    @classmethod
    def of(cls, values: np.ndarray, bottoms: tuple[int, int], at: tuple[int, int], stop: int, level: float) -> _Height:
        """The climb from a bottom in `bottoms` to a top before `stop`; `at` are the two most likely places."""
        width = min(LEVEL, values.shape[1])
        smooth = moving_average(values, width)  # position i stands for i + width // 2
        runs, n = smooth.shape

        def place(position: int) -> int:
            return int(min(max(position - width // 2, 0), n - 1))

        low, high, last = place(bottoms[0]), place(bottoms[1]), max(place(stop - 1), place(at[1]))
        climbs = np.empty(runs)
        for i, run in enumerate(smooth):
            others = (smooth.sum(0) - run) / max(runs - 1, 1)
            a = low + int(np.argmin(others[low : high + 1]))
            b = a + int(np.argmax(others[a : last + 1]))
            climbs[i] = run[b] - run[a]
        starts, ends = (
            np.unique(np.linspace(i, j, PLACES).round().astype(int)) for i, j in ((low, high), (high, last))
        )
        pairs = (smooth[:, None, ends] - smooth[:, starts, None]).reshape(runs, -1)
        mean, error = pairs.mean(0), np.maximum(pairs.std(0, ddof=1) / np.sqrt(runs), 1e-300)
        signs = np.random.default_rng(0).choice([1.0, -1.0], (DRAWS, runs))
        flipped = signs @ (pairs - mean) / runs
        squares = np.maximum(((pairs - mean) ** 2).mean(0) - flipped**2, 1e-300)
        c = float(np.quantile(np.abs(flipped / np.sqrt(squares / (runs - 1))).max(1), level))
        interval = float((mean - c * error).max()), float((mean + c * error).max())
        whole = smooth.mean(0)
        estimate = min(max(float(climbs.mean()), interval[0]), interval[1])
        return cls(estimate, interval, climbs, float(whole[place(at[0])]), float(whole[place(at[1])]))


def _trained(together: _Together, bottom: int, top: int) -> tuple[dict[str, float], bool]:
    """Evidence on training loss over the rise, and whether it got worse: over 1 % and two standard errors."""
    runs = [run for run in together.used if "train_loss" in run]
    levels = []
    for run in runs:
        epochs, train = run.observed("train_loss")
        at = [min(int(np.searchsorted(epochs, together.epochs[i])), len(epochs) - 1) for i in (bottom, top)]
        levels.append([float(train[max(i - LEVEL // 2, 0) : i + LEVEL // 2 + 1].mean()) for i in at])
    if len(levels) < 2:
        return {}, False
    before, after = np.array(levels).T
    change = after - before
    se = float(change.std(ddof=1)) / np.sqrt(len(change))
    rose = bool(change.mean() > max(0.01 * abs(float(before.mean())), 2 * se))
    return {"train_loss_at_onset": float(before.mean()), "train_loss_at_top": float(after.mean())}, rose


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """(mean, half-width) of Student's interval for the mean of runs, shape (runs,)."""
    n = len(values)
    return float(values.mean()), float(stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(n))


@dataclass(frozen=True, eq=False)
class _Drop:
    """What one drop does to each run, shape (runs,): the line and the level before it, less the mean after it."""

    position: int
    last: int
    line: np.ndarray
    level: np.ndarray


def _relief_contrasts(together: _Together) -> Iterator[_Drop]:
    n = together.values.shape[1]
    for (lo, drop), (_, hi) in _around(n, together.drops or []):
        for length in BEFORE:
            after = length // 2
            if drop - lo < length or hi - drop < after:
                continue
            before = together.values[:, drop - length : drop]
            place = np.arange(length) - (length - 1) / 2
            slope = before @ place / (place @ place)
            level, mean = before.mean(1), together.values[:, drop : drop + after].mean(1)
            line = level + slope * ((length - 1) / 2 + (after + 1) / 2)
            yield _Drop(drop, drop + after - 1, line - mean, level - mean)


def _around(n: int, drops: list[int]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    pieces = segments(n, drops)
    yield from zip(pieces[:-1], pieces[1:], strict=True)


def _relief(together: _Together, drops: list[_Drop], p: np.ndarray, alpha: float, level: float) -> Verdict:
    if together.drops is None:
        return undetermined(Phenomenon.LR_DROP_RELIEF, "not all runs log learning_rate")
    if not drops:
        reason = "no drop of the rate that all runs share" if not together.drops else "too few epochs around the drops"
        return undetermined(Phenomenon.LR_DROP_RELIEF, reason)
    findings = []
    for position in sorted({d.position for d in drops}):
        mine = [i for i, d in enumerate(drops) if d.position == position]
        best = min(mine, key=lambda i: p[i])
        if p[best] > alpha:
            continue
        d, epoch = drops[best], float(together.epochs[position])
        least = np.minimum(d.line, d.level)
        middle, half = _interval(least, level)
        findings.append(
            Finding(
                phenomenon=Phenomenon.LR_DROP_RELIEF,
                onset=epoch,
                onset_interval=(epoch, epoch),
                level=level,
                known_at=float(together.epochs[d.last]),
                kind="group",
                p_value=float(p[best]),
                effect={"relief": middle, "relief_low": middle - half, "relief_high": middle + half},
                evidence={
                    "runs": float(len(least)),
                    "runs_with_relief": float((least > 0).sum()),
                    "below_the_line": float(d.line.mean()),
                    "below_the_level": float(d.level.mean()),
                },
                explanation=(
                    f"the drop at epoch {epoch:.10g} brings val_loss down by {middle:.3g} ({middle - half:.3g} to "
                    f"{middle + half:.3g}) below where it was going, in {(least > 0).sum()} of {len(least)} runs."
                ),
            )
        )
    if findings:
        return found(Phenomenon.LR_DROP_RELIEF, findings)
    return absent(Phenomenon.LR_DROP_RELIEF, "no drop after which the runs lie below their line and their level")


def _recipe(run: Run) -> str:
    if run.group:
        return run.group
    place = Path(run.source).as_posix() if run.source else run.name
    text = SEED.sub("*", place)
    return text if text != place or not run.source else str(Path(place).parent)
