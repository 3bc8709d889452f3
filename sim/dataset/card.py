"""What a person sees of a data set first: the card, README.md, and a sheet of example curves.

Both are made from the plan, the tallies and the first shard, so the same data set has the same ones to the byte.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim.dataset.columns import EXPECTED
from sim.dataset.planning import SPLIT, Plan
from sim.dataset.shard import Tally, quantile

__all__ = ["SNIPPETS", "card", "sheet"]

PANELS = (4, 3)  # rows and columns of the sheet
LOOKED_AT = 512  # runs of the first shard in which examples are looked for

SNIPPETS = {
    "curvesense": """
from sim.dataset import Dataset

data = Dataset(".")
print(len(data), data[0].run, [event.phenomenon for event in data[0].events])
""",
    "pandas": """
import json
from pathlib import Path

import pandas

files = [shard["file"] for shard in json.loads(Path("manifest.json").read_text())["shards"]]
runs = pandas.concat(pandas.read_parquet(file) for file in files)
train = runs[runs["split"] == "train"]
""",
    "Polars": """
import json
from pathlib import Path

import polars

files = [shard["file"] for shard in json.loads(Path("manifest.json").read_text())["shards"]]
train = polars.scan_parquet(files).filter(polars.col("split") == "train").collect()
""",
    "DuckDB": """
import json
from pathlib import Path

import duckdb

files = [shard["file"] for shard in json.loads(Path("manifest.json").read_text())["shards"]]
found = duckdb.execute(
    \"\"\"
    SELECT event.phenomenon, count(DISTINCT run_id) AS runs
    FROM (SELECT run_id, unnest(events) AS event FROM read_parquet(?)) WHERE event.material GROUP BY ALL
    \"\"\",
    [files],
).fetchall()
""",
    "datasets (Hugging Face)": """
import json
from pathlib import Path

from datasets import load_dataset

files = [shard["file"] for shard in json.loads(Path("manifest.json").read_text())["shards"]]
runs = load_dataset("parquet", data_files=files, split="train").filter(lambda run: run["split"] == "train")
""",
}


def card(plan: Plan, tally: Tally, columns: Mapping[str, str], header: Mapping[str, Any]) -> str:
    """The text of README.md."""
    counts = "\n".join(_row(name, of) for name, of in tally["phenomena"].items())
    splits = ", ".join(f"{count:,} {name}" for name, count in tally["splits"].items())
    meant = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in columns.items())
    loading = "\n".join(f"{name}:\n\n```python\n{code.strip()}\n```\n" for name, code in SNIPPETS.items())
    recipes = "Its recipes are drawn by the model."
    if plan.recipes:
        said = json.dumps(plan.document["recipes"], indent=1)
        tried = f" {tally['tried']:,} were tried for these runs." if tally["tried"] > plan.runs else ""
        recipes = f"Its recipes are those of this file.{tried}\n\n```json\n{said}\n```"
    where = ", ".join(f"{key} {value}" for key, value in header["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in header["libraries"].items())
    command = f"curvesense generate --model {plan.model} --runs {plan.runs} --seed {plan.seed}"
    command += "" if plan.split == SPLIT else f" --split {'/'.join(f'{share:g}' for share in plan.split)}"
    command += " --recipe FILE.toml" if plan.recipes else ""
    return f"""# {plan.runs:,} training runs of `{plan.model}` with known events

Synthetic: no training of anybody was observed. One row a run; {splits}. Made by

    {command}

{recipes}

![The first runs that show each phenomenon: training loss, validation loss and, dashed, the truth](examples.png)

## What is in it

An event is material where it is large enough to count, else grey: neither a miss nor a false alarm. Strength is one of
its effects; of the material events, a tenth, half and nine tenths stay below the numbers given, to 12 %.

| phenomenon | material | grey | runs with a material one | strength | a tenth | half | nine tenths |
|---|---|---|---|---|---|---|---|
{counts}

## Load it

What belongs to the data set stands in `manifest.json`, with the checksum of each file; do not read by a pattern.

{loading}
## Columns

| column | |
|---|---|
{meant}

What a detector may see are the observed series; the columns `recipe.*`, `{EXPECTED}*`, `se.*`, `twins` and `events` are
for judging.

## Made on

The same command makes the same bytes on the same type of machine with the same versions: {where}; {versions}.
"""


def _row(name: str, counts: Tally) -> str:
    numbers = [f"{counts[key]:,}" for key in ("material", "grey", "runs")]
    known = [f"{quantile(counts['strength'], share):.2g}" if counts["strength"] else "" for share in (0.1, 0.5, 0.9)]
    effect = f"`{counts['effect']}`" if counts["effect"] else ""
    return f"| `{name}` | {' | '.join([*numbers, effect, *known])} |"


def sheet(file: Path, name: str) -> bytes:
    """A picture of up to twelve runs of this shard: the first ones that show each phenomenon, then the first of all."""
    import pyarrow.parquet as pq
    from matplotlib.figure import Figure

    rows = next(pq.ParquetFile(file).iter_batches(LOOKED_AT)).to_pylist()
    rows_of, columns_of = PANELS
    chosen = _examples(rows, rows_of * columns_of)
    height = -(-len(chosen) // columns_of)
    figure = Figure(figsize=(12, 2.6 * height), layout="constrained")
    axes = figure.subplots(height, columns_of, squeeze=False).ravel()
    for ax, row in zip(axes, chosen, strict=False):
        _panel(ax, row)
    for ax in axes[len(chosen) :]:
        ax.set_axis_off()
    axes[0].legend(fontsize=7, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    return picture.getvalue()


def _examples(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    shown: set[str] = set()
    first: list[int] = []
    for i, row in enumerate(rows):
        new = {event["phenomenon"] for event in row["events"] if event["material"]} - shown
        if new:
            shown |= new
            first.append(i)
    others = [i for i in range(len(rows)) if i not in first]
    return [rows[i] for i in sorted((first + others)[:most])]


def _panel(ax: Any, row: dict[str, Any]) -> None:
    epochs = np.arange(1, row["epochs"] + 1)
    drawn = []
    for key, look in (
        ("train_loss", {"color": "#7F7F7F", "lw": 0.8}),
        ("val_loss", {"color": "#111111", "lw": 0.8}),
        (EXPECTED + "risk", {"color": "#D55E00", "lw": 1.2, "ls": "--"}),
    ):
        if row.get(key) is not None:
            values = np.array(row[key], np.float64)
            ax.plot(epochs, values, label=key, **look)
            drawn.append(values[np.isfinite(values)])
    seen = np.concatenate([values[len(values) // 50 :] for values in drawn])
    if seen.size:
        low, high = np.quantile(seen, [0.0, 0.99])
        ax.set_ylim(low - 0.05 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    material = [event for event in row["events"] if event["material"]]
    for event in material:
        if event["phenomenon"] == "lr_drop":
            ax.axvline(event["onset"], color="#56B4E9", lw=0.8)
        elif event["phenomenon"] == "overfitting":
            ax.axvspan(event["onset"], event["end"] or epochs[-1], color="#D55E00", alpha=0.12, lw=0)
    names = list(dict.fromkeys(event["phenomenon"].replace("_", " ") for event in material))
    lines = [", ".join(names[i : i + 3]) for i in range(0, min(len(names), 6), 3)] or ["nothing to find"]
    if len(names) > 6:
        lines[-1] += f" and {len(names) - 6} more"
    ax.set_title(f"run {row['run_id']}: " + "\n".join(lines), fontsize=7, loc="left")
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
