"""Long step logs made short enough to look at: means over blocks of successive rows.

A block stands at its last row, so nothing is dated before it was known. Of the learning rate the last value in the
block is kept, of every other series the mean of what was logged in it. An event is dated to within a block.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.vocabulary import Run, Verdict

__all__ = ["MOST", "condensed", "last", "means", "on_rows_of"]

MOST = 8192  # rows that detectors are asked about


def condensed(run: Run, most: int = MOST) -> Run:
    """`run` itself if it has at most `most` rows, else its means over blocks, with a note that says so."""
    size = -(-len(run) // most)
    if size == 1:
        return run
    starts = np.arange(0, len(run), size)
    ends = np.append(starts[1:], len(run))
    note = f"{len(run)} rows were averaged in blocks of {size}: onsets are good to {size} rows"
    return replace(
        run,
        epochs=run.epochs[ends - 1],
        series={k: (last if k == "learning_rate" else means)(v, starts) for k, v in run.series.items()},
        notes=(*run.notes, note),
    )


def on_rows_of(run: Run, short: Run, verdict: Verdict) -> Verdict:
    """`verdict` about `short` with each onset interval opened to the first row of the block in which it starts."""
    if short is run:
        return verdict
    size = -(-len(run) // MOST)

    def opened(interval: tuple[float, float]) -> tuple[float, float]:
        block = int(np.searchsorted(short.epochs, interval[0]))
        first = float(run.epochs[min(block * size, len(run) - 1)])
        return min(interval[0], first), interval[1]

    return replace(
        verdict, findings=tuple(replace(f, onset_interval=opened(f.onset_interval)) for f in verdict.findings)
    )


def means(values: np.ndarray, starts: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Means of what is not missing in each block, NaN where all is; an infinity stays one.

    `values`, and `weights` where they differ, have shape (rows,), `starts` are the first rows of the blocks, the means
    have shape (blocks,).
    """
    heavy = np.where(np.isnan(values), 0.0, weights)
    count = np.add.reduceat(heavy, starts)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs in one block leave NaN
        total = np.add.reduceat(np.where(heavy > 0, values, 0.0) * heavy, starts)
        averages: np.ndarray = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
    return averages


def last(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The last value that is not missing in each block, NaN where all is; shapes as of `means`."""
    at = np.where(np.isnan(values), -1, np.arange(len(values)))
    latest = np.maximum.reduceat(at, starts)
    return np.where(latest >= starts, values[latest], np.nan)
