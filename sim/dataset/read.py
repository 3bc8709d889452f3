"""A data set that `curvesense generate` wrote: its rows as labelled runs, as a table, as a frame.

What belongs to it stands in its manifest; nothing is found by looking around in the folder.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from detectors.vocabulary import Event, Run
from sim.catalogue import model
from sim.dataset.columns import EXPECTED
from sim.dataset.folder import DAMAGED, SHEET, checksum, manifest
from sim.dataset.planning import SPLITS
from sim.dataset.recipes import rebuild
from sim.labelled import LabelledRun
from sim.model import Model
from sim.truth import Expected

__all__ = ["Dataset", "open_dataset", "verify"]


class Dataset:
    """The data set in a folder: `len`, `[i]` and iteration give `LabelledRun`s, `table` and `to_pandas` columns.

    Expectations that are read back have one row, their mean; the standard errors of a trained run are in the columns.
    OSError says what is wrong with the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = manifest(self.path)
        self.model: Model = model(self.manifest["data_set"]["model"])
        self._firsts = np.cumsum([0, *(shard["runs"] for shard in self.manifest["shards"])])
        self._held: tuple[int, list[dict[str, Any]]] | None = None

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, number: int) -> LabelledRun:
        if not -len(self) <= number < len(self):
            raise IndexError(f"run {number}: there are {len(self):,} runs, from 0")
        number %= len(self)
        shard = int(np.searchsorted(self._firsts, number, side="right")) - 1
        return self._labelled(self._rows(shard)[number - int(self._firsts[shard])])

    def __iter__(self) -> Iterator[LabelledRun]:
        for shard in range(len(self.files)):
            for batch in self._opened(shard).iter_batches(256):
                yield from map(self._labelled, batch.to_pylist())

    @property
    def files(self) -> list[Path]:
        """The Parquet files, in order."""
        return [self.path / shard["file"] for shard in self.manifest["shards"]]

    def table(self, columns: Sequence[str] | None = None, split: str | None = None) -> Any:
        """The rows as an Arrow table: all columns, or these; all runs, or those of one split."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if split is not None and split not in SPLITS:
            raise ValueError(f"split={split!r}: allowed are {', '.join(map(repr, SPLITS))}")
        wanted = None if columns is None else list(dict.fromkeys([*columns, *(["split"] if split else [])]))
        parts = []
        for file in self.files:
            part = pq.read_table(file, columns=wanted, partitioning=None)
            parts.append(part if split is None else part.filter(pc.equal(part["split"], split)))
        whole = pa.concat_tables(parts)
        return whole if columns is None else whole.select(list(columns))

    def to_pandas(self, columns: Sequence[str] | None = None, split: str | None = None) -> Any:
        """The rows as a frame of pandas; a series is an array in each cell."""
        return self.table(columns, split).to_pandas()

    def verify(self) -> None:
        """Hold every file against its checksum; OSError names the first one that differs."""
        verify(self.path, self.manifest, lambda runs: None)

    def __repr__(self) -> str:
        made = self.manifest["data_set"]
        return f"Dataset({str(self.path)!r}, {len(self):,} runs of {made['model']}, seed {made['seed']})"

    def _repr_html_(self) -> str:
        made, counts = self.manifest["data_set"], self.manifest["counts"]
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{c['material']:,}</td><td>{c['grey']:,}</td><td>{c['runs']:,}</td></tr>"
            for name, c in counts["phenomena"].items()
        )
        splits = ", ".join(f"{count:,} {name}" for name, count in counts["splits"].items())
        sheet = self.path / SHEET
        data = base64.b64encode(sheet.read_bytes()).decode() if sheet.exists() else ""
        picture = f'<img style="max-width:100%" alt="examples" src="data:image/png;base64,{data}">' if data else ""
        return (
            f"<div><b>{escape(self.path.name)}</b>: {len(self):,} runs of {escape(made['model'])}, seed {made['seed']} "
            f"({splits})<table><tr><th>phenomenon</th><th>events</th><th>grey</th><th>runs with it</th></tr>{rows}"
            f"</table>{picture}</div>"
        )

    def _opened(self, shard: int) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.files[shard])

    def _rows(self, shard: int) -> list[dict[str, Any]]:
        if self._held is None or self._held[0] != shard:
            self._held = (shard, self._opened(shard).read().to_pylist())
        return self._held[1]

    def _labelled(self, row: dict[str, Any]) -> LabelledRun:
        recipe = rebuild(self.model.recipe, row)
        epochs = np.arange(1.0, row["epochs"] + 1)
        run = Run(
            epochs=epochs,
            series={key: np.array(row[key], np.float64) for key in self.model.series if row[key] is not None},
            name=f"{row['model']}-{row['run_seed']}",
            source=str(self.path),
        )
        curves = {key: row[EXPECTED + key] for key in self.model.curves}
        expected = Expected(
            epochs=epochs,
            learning_rate=_rates(recipe, run),
            curves={key: np.array([curve], np.float32) for key, curve in curves.items() if curve is not None},
            without_drop={twin["at"]: _risk(twin) for twin in row["twins"] if twin["changed"] == "drop"},
            twins={twin["changed"]: _risk(twin) for twin in row["twins"] if twin["changed"] != "drop"},
            reference=row["reference"],
        )
        events = tuple(
            Event(
                phenomenon=event["phenomenon"],
                kind=event["kind"],
                onset=event["onset"],
                end=event["end"],
                band=(event["band_lo"], event["band_hi"]),
                material=event["material"],
                effect={item["name"]: item["value"] for item in event["effect"]},
            )
            for event in row["events"]
        )
        return LabelledRun(run=run, events=events, recipe=recipe, expected=expected, ambiguous=tuple(row["ambiguous"]))


def open_dataset(path: str | Path) -> Dataset:
    """The data set in the folder `path`."""
    return Dataset(path)


def verify(out: Path, document: dict[str, Any], advance: Callable[[int], None]) -> None:
    """Hold each file against its checksum in the manifest; `advance` is told the runs that are held."""
    for shard in document["shards"]:
        path = out / shard["file"]
        if not path.exists():
            raise OSError(f"{path} is missing, which the manifest lists; the command of the card makes it again")
        if checksum(path) != shard["sha256"]:
            raise OSError(DAMAGED.format(path=path))
        advance(shard["runs"])


def _risk(twin: dict[str, Any]) -> np.ndarray:
    return np.array([twin["risk"]], np.float32)


def _rates(recipe: Any, run: Run) -> np.ndarray:
    """The rate during each epoch: as logged, else as the recipe has it; NaN where neither says."""
    if "learning_rate" in run:
        return run["learning_rate"]
    if hasattr(recipe, "schedule") and hasattr(recipe, "learning_rate"):
        rates: np.ndarray = recipe.schedule.rates(recipe.learning_rate, len(run))
        return rates
    return np.full(len(run), np.nan)
