"""The columns of a data set: what they are called, what they mean, and how arrays become them.

A series is a list column of float32 in Parquet's BYTE_STREAM_SPLIT, without a dictionary and without statistics: with
pyarrow's own settings the same runs take twice the room and five times as long to write, and half as long again to read
(`experiments/throughput.py`). No value passes through a Python object on its way.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from sim.batch import Batch, Events, Lists, Twins
from sim.dataset.planning import SPLITS
from sim.dataset.recipes import Field, layout
from sim.model import Model, Tier

__all__ = ["EXPECTED", "SE", "encoded", "explained", "schema", "table"]

EXPECTED = "expected."
SE = "se."
_HEAD = {
    "run_id": "number of the run in the data set, from 0",
    "model": "the synthetic model that made it",
    "run_seed": "seed of its random streams: with its recipe it makes the run again",
    "split": "train, validation or test, by a hash of the seed of the data set and the number of the run",
    "epochs": "how many epochs it has; every list below is on epochs 1, 2, ..., this one",
}


def explained(model: Model) -> dict[str, str]:
    """What each column of the data sets of `model` holds."""
    meant = dict(_HEAD)
    for field in layout(model.recipe):
        meant[field.column] = f"a setting of `{model.recipe.__name__}`"
    for key in model.series:
        meant[key] = "observed, as a training loop logs it; null where the run does not log it"
    for key in model.curves:
        meant[EXPECTED + key] = "the truth, not observed: " + _CURVES.get(key, "an expectation")
    if model.tier is not Tier.COMPOSED:
        for key in model.curves:
            meant[SE + key] = f"standard error of `{EXPECTED}{key}` over sister runs; null where that is exact"
    meant["reference"] = "the loss of the best model (the Bayes loss), where it is known"
    meant["ambiguous"] = (
        "causes that nothing in the curves of this run can tell apart, a detector should say so; looked for in "
        "`composed`, and in those of `margin` whose recipe has `causes = 1`"
    )
    meant["twins"] = (
        "the same run with one thing changed: `changed` (drop: the drop after `at` epochs is left out), its population "
        "`risk` and the standard error `se`; the effect is `risk` minus `expected.risk`"
    )
    meant["events"] = (
        "what truly happened: `phenomenon`, `kind`, `onset`, `end` (null: to the end of the run), `band_lo` and "
        "`band_hi` (the band of the onset), `material` (false: too small to count), `effect` (each a `name` and a "
        "`value`)"
    )
    return meant


_CURVES = {
    "risk": "the expected loss over the validation distribution",
    "population_accuracy": "the expected accuracy over the validation distribution",
    "train_loss_eval": "the training loss in evaluation mode",
    "train_loss": "the expectation of the logged training loss",
    "risk_calibrated": "the risk after the best temperature",
    "temperature": "the best temperature",
    "train_accuracy": "the expectation of the logged training accuracy",
    "train_accuracy_eval": "the training accuracy in evaluation mode",
    "objective": "the part of the logged training loss that is no loss, such as a penalty",
    "own_risk": "the expected loss of this very run, not the mean over runs",
    "own_train_loss_eval": "the training loss of this very run in evaluation mode",
    "noise_width_train_loss": "the standard deviation of the noise of the logged training loss",
    "noise_width_val_accuracy": "the standard deviation of the noise of the logged validation accuracy",
    "noise_width": "the standard deviation of the noise of the logged validation loss",
}


def schema(model: Model) -> Any:
    """The Arrow schema of the data sets of `model`."""
    import pyarrow as pa

    scalars = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    numbers = pa.list_(pa.float32())

    def typed(field: Field) -> Any:
        return pa.list_(scalars[field.kind]) if field.is_list else scalars[field.kind]

    curves = [EXPECTED + key for key in model.curves]
    errors = [SE + key for key in model.curves] if model.tier is not Tier.COMPOSED else []
    return pa.schema(
        [
            ("run_id", pa.int64()),
            ("model", pa.string()),
            ("run_seed", pa.int64()),
            ("split", pa.string()),
            ("epochs", pa.int32()),
            *((field.column, typed(field)) for field in layout(model.recipe)),
            *((key, numbers) for key in (*model.series, *curves, *errors)),
            ("reference", pa.float64()),
            ("ambiguous", pa.list_(pa.string())),
            ("twins", pa.list_(_twin(pa))),
            ("events", pa.list_(_event(pa))),
        ]
    )


def _twin(pa: Any) -> Any:
    numbers = pa.list_(pa.float32())
    return pa.struct([("changed", pa.string()), ("at", pa.int32()), ("risk", numbers), ("se", numbers)])


def _event(pa: Any) -> Any:
    effect = pa.struct([("name", pa.string()), ("value", pa.float64())])  # a map is not read by every library
    times = [(name, pa.float64()) for name in ("onset", "end", "band_lo", "band_hi")]
    head = [("phenomenon", pa.string()), ("kind", pa.string())]
    return pa.struct([*head, *times, ("material", pa.bool_()), ("effect", pa.list_(effect))])


def table(model: Model, batch: Batch, ids: np.ndarray, seeds: np.ndarray, splits: np.ndarray) -> Any:
    """The rows of these runs as an Arrow table."""
    import pyarrow as pa

    wanted = schema(model)
    split = pa.DictionaryArray.from_arrays(pa.array(splits), pa.array(SPLITS)).cast(pa.string())
    columns: dict[str, Any] = {
        "run_id": pa.array(ids),
        "model": pa.array([model.name] * len(ids)),
        "run_seed": pa.array(seeds),
        "split": split,
        "epochs": pa.array(batch.epochs.astype(np.int32)),
        **{field.column: _setting(pa, wanted, field, batch.recipes) for field in layout(model.recipe)},
        **{key: _lists(pa, lists) for key, lists in batch.series.items()},
        **{EXPECTED + key: _lists(pa, lists) for key, lists in batch.expected.items()},
        "reference": pa.array(batch.reference, mask=np.isnan(batch.reference)),
        "ambiguous": pa.array(list(map(list, batch.ambiguous)), pa.list_(pa.string())),
        "twins": _twins(pa, batch.twins),
        "events": _events(pa, batch.events),
    }
    if model.tier is not Tier.COMPOSED:
        columns |= {SE + key: _lists(pa, lists) for key, lists in batch.se.items()}
    return pa.Table.from_arrays([columns[name] for name in wanted.names], schema=wanted)


def encoded(tables: Iterable[Any], metadata: Mapping[str, str]) -> bytes:
    """The rows of the tables, in order of their runs, as one Parquet file with one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pa.concat_tables(tables)
    numbers = whole["run_id"].to_numpy()
    if (np.diff(numbers) < 0).any():
        whole = whole.take(np.argsort(numbers))
    whole = whole.combine_chunks()
    whole = whole.replace_schema_metadata({**metadata})
    file = io.BytesIO()
    text, plain, split = _encodings(whole.schema)
    pq.write_table(
        whole,
        file,
        row_group_size=len(whole),
        compression="zstd",
        use_dictionary=text,
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        write_statistics=plain,
    )
    return file.getvalue()


@lru_cache(maxsize=16)
def _encodings(wanted: Any) -> tuple[list[str], list[str], list[str]]:
    """Paths of the columns that are text (dictionary), that are scalars (statistics) and that are float lists (BSS)."""
    import pyarrow as pa

    text: list[str] = []
    plain: list[str] = []
    split: list[str] = []

    def walk(path: str, kind: Any, deep: bool) -> None:
        if pa.types.is_list(kind):
            walk(f"{path}.list.element", kind.value_type, True)
        elif pa.types.is_struct(kind):
            for i in range(kind.num_fields):
                walk(f"{path}.{kind.field(i).name}", kind.field(i).type, deep)
        else:
            if pa.types.is_string(kind):
                text.append(path)
            elif deep and pa.types.is_floating(kind):
                split.append(path)
            if not deep:
                plain.append(path)

    for field in wanted:
        walk(field.name, field.type, False)
    return text, plain, split


def _setting(pa: Any, wanted: Any, field: Field, recipes: Sequence[Any]) -> Any:
    values = field.of(recipes)
    if field.kind is str and not field.is_list:
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, wanted.field(field.column).type)


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts.clip(0), dtype=np.int32)]).astype(np.int32)


def _list_array(pa: Any, counts: np.ndarray, values: Any) -> Any:
    missing = counts < 0
    mask = pa.array(missing) if missing.any() else None
    return pa.ListArray.from_arrays(pa.array(_offsets(counts)), values, mask=mask)


def _lists(pa: Any, lists: Lists) -> Any:
    return _list_array(pa, lists.lengths, pa.array(lists.values))


def _twins(pa: Any, twins: Twins) -> Any:
    missing = np.isnan(twins.at)
    columns = {
        "changed": pa.array(list(twins.changed), pa.string()),
        "at": pa.array(np.where(missing, 0, twins.at).astype(np.int32), mask=missing),
        "risk": _lists(pa, twins.risk),
        "se": _lists(pa, twins.se),
    }
    kind = _twin(pa)
    flat = pa.StructArray.from_arrays(list(columns.values()), fields=[kind.field(name) for name in columns])
    return _list_array(pa, twins.counts, flat)


def _events(pa: Any, events: Events) -> Any:
    kind = _event(pa)
    effect = pa.StructArray.from_arrays(
        [pa.array(list(events.effect_name), pa.string()), pa.array(events.effect_value)],
        fields=list(kind.field("effect").type.value_type),
    )
    columns = {
        "phenomenon": pa.array(list(events.phenomenon), pa.string()),
        "kind": pa.array(list(events.kind), pa.string()),
        "onset": pa.array(events.onset),
        "end": pa.array(events.end, mask=np.isnan(events.end)),
        "band_lo": pa.array(events.band_lo),
        "band_hi": pa.array(events.band_hi),
        "material": pa.array(events.material),
        "effect": _list_array(pa, events.effects, effect),
    }
    flat = pa.StructArray.from_arrays(list(columns.values()), fields=[kind.field(name) for name in columns])
    return _list_array(pa, events.counts, flat)
