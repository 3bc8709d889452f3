"""Labelled runs on disk: Parquet parts, one row a run, and a card that explains the columns.

Columns: `run_id`, `tier`, `seed` (of the data set), `epochs` (count), `recipe` (JSON), one list of float32 per observed
series on epochs 1..n, `risk` (the population risk, for judging; no detector may see it), and `events`, a list of
structs with
`phenomenon`, `kind`, `onset`, `end` (null where it runs to the end), `band_lo`, `band_hi`, `material` and `effect` (a
map of names to numbers).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from detectors.progress import progress
from sim.catalogue import model
from sim.labelled import LabelledRun
from sim.model import Model, Tier

__all__ = ["write"]

PART = {Tier.COMPOSED: 4096, Tier.ANALYTIC: 1024, Tier.TRAINED: 4}  # runs in a file


def write(out: Path, *, tier: str, runs: int, seed: int, quiet: bool = False) -> Path:
    """Write `runs` labelled runs of `tier` into the new or empty folder `out`; run i depends on (seed, i) alone.

    `tier` may also name a model. Parts appear under their names only when they are complete. OSError says what is wrong
    with the folder.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if out.exists() and not out.is_dir():
        raise OSError(f"{out} is a file; --out names a folder")
    if out.exists() and any(out.iterdir()):
        raise OSError(f"{out} is not empty; choose a new folder, or empty it")
    (out / "data").mkdir(parents=True, exist_ok=True)
    chosen = model(tier)
    size = PART[chosen.tier]
    counts: dict[str, int] = {}
    with progress(runs, "runs", quiet=quiet) as advance:
        for part, start in enumerate(range(0, runs, size)):
            made = _make(chosen, seed, range(start, min(start + size, runs)))
            rows = [_row(chosen, seed, start + i, labelled) for i, labelled in enumerate(made)]
            for row in rows:
                for event in row["events"]:
                    counts[event["phenomenon"]] = counts.get(event["phenomenon"], 0) + event["material"]
            name = out / "data" / f"part-{part:05d}.parquet"
            unfinished = name.with_suffix(".unfinished")
            table = pa.Table.from_pylist(rows, schema=_schema(pa, chosen))
            pq.write_table(table, unfinished, compression="zstd")
            os.replace(unfinished, name)
            advance(len(rows))
    (out / "README.md").write_text(_card(tier, runs, seed, counts))
    return out


def _make(model: Model, seed: int, ids: range) -> list[LabelledRun]:
    recipes = [model.draw(np.random.default_rng([seed, i])) for i in ids]
    return model.make(recipes, [_run_seed(seed, i) for i in ids])


def _run_seed(seed: int, run: int) -> int:
    return int(np.random.SeedSequence([seed, run]).generate_state(1)[0] >> 1)


def _row(model: Model, seed: int, run_id: int, labelled: LabelledRun) -> dict[str, Any]:
    events = [
        {
            "phenomenon": str(e.phenomenon),
            "kind": e.kind,
            "onset": e.onset,
            "end": e.end,
            "band_lo": e.band[0] if e.band else e.onset,
            "band_hi": e.band[1] if e.band else e.onset,
            "material": e.material,
            "effect": list(e.effect.items()),
        }
        for e in labelled.events
    ]
    recipe = asdict(labelled.recipe)
    return {
        "run_id": run_id,
        "tier": str(model.tier),
        "seed": seed,
        "epochs": len(labelled.run),
        "recipe": json.dumps(recipe, sort_keys=True),
        **{key: labelled.run[key].astype(np.float32) for key in model.series},
        "risk": labelled.expected.mean("risk").astype(np.float32),
        "events": events,
    }


def _schema(pa: Any, model: Model) -> Any:
    event = pa.struct(
        [
            ("phenomenon", pa.string()),
            ("kind", pa.string()),
            ("onset", pa.float64()),
            ("end", pa.float64()),
            ("band_lo", pa.float64()),
            ("band_hi", pa.float64()),
            ("material", pa.bool_()),
            ("effect", pa.map_(pa.string(), pa.float64())),
        ]
    )
    series = [(key, pa.list_(pa.float32())) for key in (*model.series, "risk")]
    head = [("run_id", pa.int64()), ("tier", pa.string()), ("seed", pa.int64()), ("epochs", pa.int32())]
    return pa.schema([*head, ("recipe", pa.string()), *series, ("events", pa.list_(event))])


def _card(tier: str, runs: int, seed: int, counts: dict[str, int]) -> str:
    table = "\n".join(f"| {name} | {counts[name]} |" for name in sorted(counts))
    return f"""# {runs} {tier} training runs with known events

Made by `curvesense generate --tier {tier} --runs {runs} --seed {seed}`. One row a run.

{(__doc__ or "").split(chr(10), 2)[2].strip()}

| events that are material | number |
|---|---|
{table}

```python
import pandas
runs = pandas.read_parquet("data")
```
"""
