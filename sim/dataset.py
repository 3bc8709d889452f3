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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.progress import progress
from sim.composed import Composed, compose
from sim.labelled import LabelledRun
from sim.recipe import SEED_FIGURE
from sim.trained import train

__all__ = ["draw_composed", "write"]

PART = {"composed": 4096, "trained": 4}  # runs in a file
_SERIES = {
    "composed": ("train_loss", "val_loss", "val_accuracy", "learning_rate"),
    "trained": ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"),
}


def write(out: Path, *, tier: str, runs: int, seed: int, quiet: bool = False) -> Path:
    """Write `runs` labelled runs of `tier` into the new or empty folder `out`; run i depends on (seed, i) alone.

    Parts appear under their names only when they are complete. OSError says what is wrong with the folder.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if out.exists() and not out.is_dir():
        raise OSError(f"{out} is a file; --out names a folder")
    if out.exists() and any(out.iterdir()):
        raise OSError(f"{out} is not empty; choose a new folder, or empty it")
    (out / "data").mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    with progress(runs, "runs", quiet=quiet) as advance:
        for part, start in enumerate(range(0, runs, PART[tier])):
            made = _make(tier, seed, range(start, min(start + PART[tier], runs)))
            rows = [_row(tier, seed, start + i, labelled) for i, labelled in enumerate(made)]
            for row in rows:
                for event in row["events"]:
                    counts[event["phenomenon"]] = counts.get(event["phenomenon"], 0) + event["material"]
            name = out / "data" / f"part-{part:05d}.parquet"
            unfinished = name.with_suffix(".unfinished")
            table = pa.Table.from_pylist(rows, schema=_schema(pa, tier))
            pq.write_table(table, unfinished, compression="zstd")
            os.replace(unfinished, name)
            advance(len(rows))
    (out / "README.md").write_text(_card(tier, runs, seed, counts))
    return out


def draw_composed(seed: int, run: int) -> Composed:
    """The spec of run `run` of the composed data set `seed`: each event present in about half of the runs."""
    rng = np.random.default_rng([seed, run])

    def sometimes(value: float) -> float:
        return float(value) if rng.random() < 0.5 else 0.0

    spec = Composed(
        bayes=rng.uniform(0.2, 1.2),
        decay=float(np.exp(rng.uniform(np.log(3), np.log(20)))),
        train_decay=float(np.exp(rng.uniform(np.log(3), np.log(20)))),
        factor=float(rng.choice([0.1, 0.2, 0.5])),
        noise_floor=sometimes(rng.uniform(0.02, 0.4)),
        relax=rng.uniform(0.5, 4.0),
        overfit=sometimes(rng.uniform(0.02, 0.5)),
        overfit_at=int(rng.integers(30, 150)),
        overfit_span=int(rng.integers(20, 120)),
        overfit_shape=rng.uniform(1.0, 2.0),
        drift=sometimes(rng.uniform(0.02, 0.4)),
        drift_at=int(rng.integers(30, 150)),
        drift_span=int(rng.integers(20, 120)),
        gain=sometimes(rng.uniform(0.0, 0.05)),
        mode=sometimes(rng.uniform(0.02, 0.3)),
        noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.05)))),
        rho=rng.uniform(0.0, 0.6),
        accuracy_noise=float(np.exp(rng.uniform(np.log(0.001), np.log(0.01)))),
    )
    milestones = sorted(rng.choice(np.arange(30, 180), size=int(rng.integers(0, 4)), replace=False).tolist())
    drops = [*milestones, 0, 0, 0][:3]
    return replace(
        spec,
        train_bayes=spec.bayes * rng.uniform(0.3, 1.0),
        drop_1=int(drops[0]),
        drop_2=int(drops[1]),
        drop_3=int(drops[2]),
    )


def _make(tier: str, seed: int, ids: range) -> list[LabelledRun]:
    if tier == "composed":
        return compose([draw_composed(seed, i) for i in ids], [_run_seed(seed, i) for i in ids])
    return train([replace(SEED_FIGURE, seed=_run_seed(seed, i)) for i in ids])


def _run_seed(seed: int, run: int) -> int:
    return int(np.random.SeedSequence([seed, run]).generate_state(1)[0] >> 1)


def _row(tier: str, seed: int, run_id: int, labelled: LabelledRun) -> dict[str, Any]:
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
        "tier": tier,
        "seed": seed,
        "epochs": len(labelled.run),
        "recipe": json.dumps(recipe, sort_keys=True),
        **{key: labelled.run[key].astype(np.float32) for key in _SERIES[tier]},
        "risk": labelled.expected.mean("risk").astype(np.float32),
        "events": events,
    }


def _schema(pa: Any, tier: str) -> Any:
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
    series = [(key, pa.list_(pa.float32())) for key in (*_SERIES[tier], "risk")]
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
