"""Four questions of practice, answered by a pool of trained networks whose truth is known.

- Of the rises of validation loss after a drop of the rate, what share is overconfidence and nothing else?
- How long does the relief after a drop last, by the factor of the drop, label noise and width?
- Does an earlier drop beat a later one, at the same budget?
- Is a gap between training and validation or a visible rise of the validation loss the better signal to stop?

`train` makes the pool (`answers_pool.py`) seed by seed, 216 unless it is broken off: each seed without a drop and with
seven, eight sister runs each. The curves of a seed go to a file in the folder `--curves`, some 130 kB; seeds that are
there are not trained again, and `--most` says how many at a time. `runs` turns the curves that are there into
`results/answers_runs.parquet`, a line a run (`answers_run.py`). `tables` makes from that file alone `answers_NAME.csv`
(`answers_tables.py`) and `answers_NAME.png` (`answers_figures.py`); `readme.py` then writes what they say
(`answers_text.py`). A seed takes 10 seconds of one core of an AMD EPYC of family 25, once the programs of the three
widths are compiled (half a minute each): 216 seeds 18 minutes of two cores that have nothing else to do. `runs` and
`tables` take half a minute.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import answers_figures as figures
import answers_pool as pool
import answers_run as one
import answers_tables
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tables

from detectors.progress import progress
from sim.trained import label

RUNS = tables.RESULTS / "answers_runs.parquet"


def train(folder: Path, most: int | None) -> None:
    """Train the seeds that are not in `folder` yet, at most so many."""
    bases = [pool.recipe(seed) for seed in range(pool.SEEDS)]
    missing = [base for base in bases if not pool.stored(folder, base).exists()][:most]
    clock, processor = time.perf_counter(), time.process_time()
    with progress(len(missing), "seeds", "training", quiet=False) as advance:
        pool.train(missing, folder, done=advance)
    used = time.perf_counter() - clock, time.process_time() - processor
    print(f"{len(missing)} seeds in {used[0]:.0f} s, {used[1]:.0f} s of the processor", file=sys.stderr)


def runs(folder: Path) -> None:
    """Turn all curves in `folder` into a line a run."""
    lines = []
    for base in map(pool.recipe, range(pool.SEEDS)):
        if not pool.stored(folder, base).exists():
            continue
        measured = pool.load(folder, base)
        for name, recipe in pool.members(base).items():
            factor, drop = (1, 0) if name == pool.NO_DROP else map(int, str(name).split("@"))
            members = {"run": measured[name]} | ({drop: measured[pool.NO_DROP]} if drop else {})
            (labelled,) = label([recipe], [members])
            log = {k: v if v.ndim == 1 else v[0] for k, v in measured[name].items()}
            settings = {k: getattr(base, k) for k in ("seed", "width", "label_noise", *(s[0] for s in pool.SPREAD))}
            lines.append(settings | {"factor": factor, "drop": drop} | one.row(labelled, log, drop))
    names = dict.fromkeys(name for line in lines for name in line)
    columns = {name: [line.get(name) for line in lines] for name in names}
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    small = {pa.float64(): pa.float32(), pa.int64(): pa.int16()}
    fields = [pa.field(f.name, f.type if f.name == "label_noise" else small.get(f.type, f.type)) for f in table.schema]
    pq.write_table(
        table.cast(pa.schema(fields)).replace_schema_metadata({"versions": tables.versions()}), RUNS, compression="zstd"
    )
    tables.made(RUNS.name)


def pool_file() -> Path:
    """The runs of this folder of results, else those of the project."""
    return RUNS if RUNS.exists() else Path(__file__).parent / "results" / RUNS.name


def loaded() -> answers_tables.Pool:
    """The pool, an array a column: NaN or an empty word where a run has no such number."""
    table = pq.read_table(pool_file())
    out = {}
    for name in table.column_names:
        column = table[name]
        words = pa.types.is_string(column.type)
        out[name] = column.fill_null("").to_numpy().astype(str) if words else column.to_numpy(zero_copy_only=False)
        if out[name].dtype == object:  # truths with gaps
            out[name] = np.array([np.nan if v is None else float(v) for v in out[name]])
    return out


def write(known: answers_tables.Pool) -> None:
    """All tables and figures of the pool."""
    versions = pq.read_schema(pool_file()).metadata[b"versions"].decode()
    for name, make in answers_tables.TABLES.items():
        rows = [row | {"versions": versions} for row in make(known)]
        tables.write(f"answers_{name}.csv", rows)
    for name, draw in figures.FIGURES.items():
        draw(known).savefig(tables.RESULTS / f"answers_{name}.png", dpi=110)
        tables.made(f"answers_{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["train", "runs", "tables"])
    parser.add_argument("--curves", type=Path, help="folder of the curves, a file a seed; needed by train and runs")
    parser.add_argument("--most", type=int, help="train at most so many seeds now")
    parser.add_argument("--resamples", type=int, default=answers_tables.RESAMPLES, help="behind each interval")
    args = parser.parse_args()
    answers_tables.RESAMPLES = args.resamples
    if args.stage == "tables":
        write(loaded())
    elif args.curves is None:
        parser.error(f"{args.stage} needs --curves")
    elif args.stage == "train":
        train(args.curves, args.most)
    else:
        runs(args.curves)


if __name__ == "__main__":
    main()
