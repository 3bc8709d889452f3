"""Watch curves while they grow: `diagnose` asked again and again, and each finding given once.

`Monitor` keeps what is logged as a log file would, under any names that the readers know, and asks again after each
update; once the history is longer than `OFTEN` updates, each time it has grown by a hundredth. That keeps the whole
near-linear in the number of updates, and delays a finding by 1 % of the run.

For a promise there is `detectors.watch`. None holds over repeated looks: `alpha` bounds the false alarms of one look at
a finished run, and whoever looks often enough finds noise that climbs for a while: on flat runs of 200 epochs whose
noise has an autocorrelation of 0.8 overfitting was told in 0.103 of them,
where the look at the end found it in 0.007 (`experiments/live.py`).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from detectors.diagnosis import Diagnosis, diagnose
from detectors.readers.assemble import to_run
from detectors.readers.table import Odd, Table, Unreadable, show
from detectors.vocabulary import Detector, Finding, Run

__all__ = ["Monitor", "Said", "scalar"]

OFTEN = 100  # updates up to which every one is a look
GROWTH = 0.01  # by which the history grows between two looks after that
AXIS = "epoch"


class Said:
    """The findings that were given already, so that each is given once.

    A later reading dates anew what an earlier one found. Two findings are the same if they are of one phenomenon and of
    different readings, and their onset intervals overlap; of several that could be, the one with the nearest onset.
    What was given remembers every interval that it has had, so an onset that drifts is still the same. A finding that
    vanishes is not taken back, and not given again if it returns.
    """

    def __init__(self) -> None:
        self._given: list[tuple[str, float, tuple[float, float]]] = []  # phenomenon, onset, its intervals together

    def state(self) -> list[Any]:
        """What was given, as JSON can hold it."""
        return [[phenomenon, onset, list(intervals)] for phenomenon, onset, intervals in self._given]

    def load(self, state: Sequence[Any]) -> None:
        """Go on from such a state."""
        self._given = [(str(name), float(onset), (float(lo), float(hi))) for name, onset, (lo, hi) in state]

    def new(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those of one reading's `findings` that were not given before, in order of onset; they count as given now."""
        fresh, free = [], list(range(len(self._given)))
        for finding in sorted(findings, key=lambda f: f.onset):
            lo, hi = finding.onset_interval
            near = [i for i in free if self._is_about(self._given[i], finding)]
            if near:
                known = min(near, key=lambda i: abs(self._given[i][1] - finding.onset))
                free.remove(known)
                before = self._given[known][2]
                self._given[known] = (finding.phenomenon, finding.onset, (min(lo, before[0]), max(hi, before[1])))
            else:
                self._given.append((finding.phenomenon, finding.onset, (lo, hi)))
                fresh.append(finding)
        return fresh

    @staticmethod
    def _is_about(given: tuple[str, float, tuple[float, float]], finding: Finding) -> bool:
        phenomenon, _, (lo, hi) = given
        return phenomenon == finding.phenomenon and lo <= finding.onset_interval[1] and finding.onset_interval[0] <= hi


class Monitor:
    """Tell a training that is running what its curves show, as soon as they show it.

    >>> monitor = Monitor()
    >>> monitor.update(1, loss=2.3, val_loss=2.2, val_acc=0.1, lr=0.1)
    []

    `alpha` and `detectors` are those of `diagnose`. `every`: look at each `every`-th update; None is as often as is
    cheap, see above. `mapping` says which value is which series, as in {"val_loss": "my metric"}, and overrules the
    table of names. ValueError if `alpha` or `every` cannot be.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        every: int | None = None,
        detectors: Sequence[Detector] | None = None,
        mapping: Mapping[str, str] | None = None,
        name: str = "run",
    ) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha={alpha!r}: allowed is a number between 0 and 1")
        if every is not None and not every >= 1:
            raise ValueError(f"every={every!r}: allowed is a whole number from 1, or None")
        self.alpha, self.every, self.detectors, self.name = alpha, every, detectors, name
        self.mapping = dict(mapping or {})
        self.diagnosis: Diagnosis | None = None  # the last reading
        self.looks = 0  # how often it was asked
        self.updates = 0
        self._columns: dict[str, array[float]] = {AXIS: array("d")}
        self._odd: dict[str, Odd] = {}
        self._said = Said()
        self._next = 1

    def update(self, epoch: object, /, **values: object) -> list[Finding]:
        """Take the values logged for `epoch`, and give the findings that are new.

        A value is a number, a scalar of NumPy, PyTorch or JAX, text as it may stand in a log, None or NaN. Epochs
        follow the rules of `read`: of one that comes again the later value wins, and a note in `run.notes` says so. A
        value that is called `epoch` as well is not kept.
        """
        row = self.updates
        self.updates += 1
        for name, value in {**values, AXIS: epoch}.items():
            column = self._columns.setdefault(name, array("d"))
            column.extend([math.nan] * (row - len(column)))
            if len(column) == row:
                column.append(math.nan)
            number = scalar(value)
            if number is None:
                self._odd.setdefault(name, Odd()).append((row, value if isinstance(value, str) else show(value)))
            else:
                column[row] = number
        if self.updates < self._next:
            return []
        return self.look()

    def look(self) -> list[Finding]:
        """The findings that are new by now, between the regular looks too."""
        grown = self.updates + (1 if self.updates < OFTEN else max(1, int(GROWTH * self.updates)))
        self._next = grown if self.every is None else self.updates + int(self.every)
        try:
            run = self.run
        except Unreadable:
            return []  # nothing that a detector knows yet
        self.looks += 1
        self.diagnosis = diagnose(run, self.alpha, self.detectors)
        return self._said.new(self.diagnosis.findings)

    def rows(self) -> Iterator[tuple[float, dict[str, object]]]:
        """Each update so far: its epoch, and what was logged then and is not missing."""
        texts = {(name, row): cell for name, odd in self._odd.items() for row, cell in odd}
        for row, epoch in enumerate(self._columns[AXIS]):
            numbers = {n: c[row] for n, c in self._columns.items() if n != AXIS and row < len(c)}
            values: dict[str, object] = {n: v for n, v in numbers.items() if not math.isnan(v)}
            yield epoch, values | {n: texts[n, row] for n in self._odd if n != AXIS and (n, row) in texts}

    def state(self) -> dict[str, Any]:
        """What was logged and given so far, as JSON can hold it; `load` of a monitor with the same settings goes on."""
        return {
            "updates": self.updates,
            "next": self._next,
            "columns": {name: list(column) for name, column in self._columns.items()},
            "odd": {name: [[row, str(cell)] for row, cell in odd] for name, odd in self._odd.items()},
            "given": self._said.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state, as a resumed training does."""
        self.updates, self._next = int(state["updates"]), int(state["next"])
        self._columns = {name: array("d", column) for name, column in state["columns"].items()}
        self._odd = {name: [(int(row), cell) for row, cell in odd] for name, odd in state["odd"].items()}
        self._said.load(state["given"])

    @property
    def run(self) -> Run:
        """What was logged so far; Unreadable, with the names that there are, where none is known."""
        rows = self.updates
        columns = {name: np.full(rows, np.nan) for name in self._columns}
        for name, column in self._columns.items():
            columns[name][: len(column)] = column
        table = Table(columns=columns, lines=np.arange(1, rows + 1), odd=self._odd, place="update")
        there = {name for name, column in columns.items() if np.isfinite(column).any()} | self._odd.keys()
        mapping = {series: name for series, name in self.mapping.items() if name in there}
        return to_run(table, name=self.name, mapping={**mapping, "epoch": AXIS})


def scalar(value: object) -> float | None:
    """`value` (a number, a scalar of NumPy, PyTorch or JAX) as a float, NaN for None, None for text and all else."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        return None
    try:
        item = getattr(value, "item", None)  # of a scalar array; PyTorch warns where float() meets a gradient
        return float(item() if callable(item) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
