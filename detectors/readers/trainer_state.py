"""transformers' `trainer_state.json`: a training loss by logging step, an evaluation now and then.

A row is an evaluation. Beside it stands the mean of the training losses logged since the evaluation before, each of
them a mean over its minibatches; of everything else that was logged, the last. The last entry is a summary of the whole
training and no row. A training that never evaluated has a row for each logging step.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from detectors.readers import document
from detectors.readers.records import flat, from_records
from detectors.readers.source import Source
from detectors.readers.table import Table, Unreadable

__all__ = ["NAME", "from_history", "is_history", "parse", "sniff"]

NAME = "trainer_state"
LOSS = "loss"  # under this name, and as the mean of a stretch, the Trainer logs what it minimises
SUMMARY = "train_runtime"


def sniff(source: Source) -> bool:
    """Whether it is an object with the history of a Trainer."""
    return source.start.lstrip().startswith("{") and '"log_history"' in source.text


def parse(source: Source) -> list[Table]:
    """The table with one row an evaluation."""
    content = document.decoded(source.text)
    history = content.get("log_history") if isinstance(content, dict) else None
    if not isinstance(history, list):
        raise Unreadable('"log_history" should be a list of what the Trainer logged')
    return [from_history(history)]


def from_history(history: Sequence[object]) -> Table:
    """The table with one row an evaluation, of what `trainer.state.log_history` holds."""
    entries = [(n, dict(flat(entry))) for n, entry in enumerate(history, start=1) if isinstance(entry, dict)]
    entries = [(n, entry) for n, entry in entries if SUMMARY not in entry]
    if not any(map(_is_evaluation, dict(entries).values())):
        return from_records([entry for _, entry in entries], [n for n, _ in entries], place="item")
    rows, places, losses, after = _by_evaluation(entries)
    notes = []
    if any(len(found) > 1 for found in losses):
        count = statistics.median(map(len, losses))
        notes.append(f"the training loss is the mean of those logged since the evaluation before: {count:g} mostly")
    if after:
        notes.append(f"training losses after the last evaluation are left out: {after}")
    return from_records(rows, places, place="item", notes=notes)


def is_history(history: Sequence[object]) -> bool:
    """Whether these are entries of a Trainer: its evaluations stand apart from its training losses."""
    entries = [entry for entry in history if isinstance(entry, Mapping)]
    return any(map(_is_evaluation, entries)) and not any(LOSS in entry for entry in filter(_is_evaluation, entries))


def _by_evaluation(
    entries: list[tuple[int, dict[str, object]]],
) -> tuple[list[dict[str, object]], list[int], list[list[float]], int]:
    """Rows, the entry where each ends, the losses that each holds, and how many losses come after the last."""
    rows: list[dict[str, object]] = []
    places: list[int] = []
    losses: list[list[float]] = []
    row: dict[str, object] = {}
    pending: list[float] = []
    for n, entry in entries:
        if not _is_evaluation(entry):
            row.update(entry)
            if isinstance(loss := entry.get(LOSS), float):
                pending.append(loss)
            continue
        if rows and not row and entry.get("step") == rows[-1].get("step"):  # a further validation set
            rows[-1].update(entry)
            continue
        row.pop(LOSS, None)
        rows.append({**row, **({LOSS: statistics.fmean(pending)} if pending else {}), **entry})
        places.append(n)
        losses.append(pending)
        row, pending = {}, []
    return rows, places, losses, len(pending)


def _is_evaluation(entry: Mapping[str, object]) -> bool:
    return any(str(key).startswith("eval_") for key in entry)
