"""TensorBoard's event files: the scalars of one run, from the folder that holds it or from one of its files.

A run is a folder with event files; several of them (after a restart) go on from one another. What its writers put into
subfolders belongs to it: `train` and `validation` (Keras, where tags are `epoch_loss` and the step is the epoch), and
the `Loss_train`, `Loss_val` of `add_scalars("Loss", {"train": ..., "val": ...})`. The axis is the step, or a scalar
`epoch` where there is one (Lightning). Times are ignored. Of a step that was written again the later value counts, and
a restart that says from where it goes on (`purge_step`) removes what was logged beyond.

Proven on files by TensorBoard's own writer (tensors) and by tensorboardX (simple values), and held to TensorBoard's own
loader; Keras and Lightning are in their layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from detectors.readers import names
from detectors.readers.event_file import Scalars, begins_record
from detectors.readers.source import Source
from detectors.readers.table import Table, Unreadable, bounded, listing, show

__all__ = ["NAME", "members", "parse", "sniff"]

NAME = "tensorboard"
SIDES = frozenset(word for words in names.SIDES.values() for word in words if word)
HPARAMS = re.compile(r"\d+\.\d+")  # a folder that add_hparams makes: a time
EPOCH = "epoch_"  # before the name of what Keras logs once an epoch

Series = Mapping[str, tuple[np.ndarray, np.ndarray]]  # steps, increasing, and values, each of shape (n,)


def sniff(source: Source) -> bool:
    """Whether it begins with a record and its checksum, or is a folder of event files."""
    return bool(members(source)) if source.is_folder else begins_record(source.head)


def members(folder: Source) -> frozenset[str]:
    """Its event files, and the subfolders of event files that its writers made for the same run."""
    files = _files(folder)
    inner = (name for name, is_folder in folder.entries.items() if is_folder)
    return frozenset((*files, *(name for name in inner if _is_part(folder, name, bool(files)))))


def parse(source: Source) -> list[Table]:
    """The run of the folder or file, and runs of its own that a subfolder turns out to be."""
    if not source.is_folder:
        part = _Part("", [source])
        return [_table(part.columns(), part.notes)]
    own = _Part("", [source.inner(name) for name in _files(source)])
    joined: dict[str, tuple[np.ndarray, np.ndarray]] = dict(own.columns())
    notes = [*own.notes]
    others: list[Table] = []
    for name in sorted(members(source) - set(_files(source))):
        inner = source.inner(name)
        part = _Part(name, [inner.inner(file) for file in _files(inner)])
        columns = part.columns()
        if part.is_side or part.is_split:
            joined.update((column if column not in joined else f"{name}/{column}", c) for column, c in columns.items())
            notes += part.notes
        elif columns and not HPARAMS.fullmatch(name):
            others.append(_table(columns, part.notes, f"{source.title}/{name}"))
    if not joined and others:
        return others
    return [_table(joined, notes), *others]


@dataclass
class _Part:
    """The event files of one folder."""

    name: str  # of the subfolder, empty for the folder of the run
    files: list[Source]
    notes: list[str] = field(default_factory=list)
    scalars: Scalars = field(default_factory=Scalars)

    def __post_init__(self) -> None:
        for file in self.files:
            with file.open() as stream:
                self.scalars.read(stream)
            where = "" if len(self.files) == 1 and not self.name else f"{show(file.title)}: "
            if self.scalars.end:
                self.notes.append(f"{where}{self.scalars.end}; what comes before is read")
            self.notes += [f"{where}{note}" for note in file.notes]
        if self.scalars.damaged:
            self.notes.append(f"records whose checksum or content is wrong are left out: {self.scalars.damaged}")

    @property
    def is_side(self) -> bool:
        return self.name.lower() in SIDES

    @property
    def is_split(self) -> bool:
        """Whether add_scalars made it: its one tag begins its name."""
        tags = list(self.scalars.series)
        return len(tags) == 1 and self.name.startswith(tags[0].replace("/", "_") + "_")

    def columns(self) -> Series:
        """Its series by the name of the column that they become."""
        tags = dict(self.scalars.series)
        if self.is_side and any(tag.startswith(EPOCH) for tag in tags):
            others = [tag for tag in tags if not tag.startswith(EPOCH)]
            if others:  # batch_loss, evaluation_loss_vs_iterations
                self.notes.append(f"{self.name}: left out is what Keras logs by step, not by epoch: {listing(others)}")
            tags = {tag.removeprefix(EPOCH): column for tag, column in tags.items() if tag.startswith(EPOCH)}
        series: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for tag, (steps, values) in tags.items():
            name = tag
            if self.is_split:
                name = f"{tag}/{self.name[len(tag) + 1 :]}"
            elif self.is_side and not _is_common(tag):
                meaning = names.lookup(tag)
                name = tag if meaning and meaning.sided and meaning.series.startswith(("val", "train")) else ""
                name = name or f"{self.name}/{tag}"
            elif tag.startswith("train/") and _is_common(tag.removeprefix("train/")):  # of transformers
                name = tag.removeprefix("train/")
            series[name] = _last(np.frombuffer(steps, np.int64), np.frombuffer(values, np.float64))
        return series


def _files(folder: Source) -> list[str]:
    return [name for name, is_folder in folder.entries.items() if not is_folder and "tfevents" in name]


def _is_part(folder: Source, name: str, beside: bool) -> bool:
    """Whether a subfolder holds event files of the same run; `beside` says that the folder has some too."""
    named = name.lower() in SIDES
    if not named and not (beside and ("_" in name or HPARAMS.fullmatch(name))):
        return False
    inner = folder.inner(name)
    folders = {entry for entry, is_folder in inner.entries.items() if is_folder}
    return bool(_files(inner)) and folders <= {"plugins"}


def _is_common(tag: str) -> bool:
    """Whether it is no side's: the learning rate, an axis."""
    meaning = names.lookup(tag)
    return names.is_axis(tag) or (meaning is not None and meaning.series == "learning_rate")


def _last(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Increasing steps, and the value that was written last at each."""
    unique, last = np.unique(steps[::-1], return_index=True)
    return unique, values[::-1][last]


def _table(series: Series, notes: list[str], name: str = "") -> Table:
    if not series:
        raise Unreadable(". ".join(["there is no scalar in its event files", *notes]))
    batches = _by_batch(series)
    if batches:
        notes = [*notes, f"left out is what counts batches where the rest counts epochs: {listing(batches)}"]
        series = {name: column for name, column in series.items() if name not in batches}
    steps = np.unique(np.concatenate([at for at, _ in series.values()]))
    bounded(len(steps), len(series))
    return Table(columns=dict(_aligned(series, steps)), lines=steps, notes=tuple(notes), place="step", name=name)


def _by_batch(series: Series) -> list[str]:
    """Columns such as loss_step whose steps go far beyond those of their epoch's loss: they are on another axis."""
    meanings = {name: meaning for name in series if (meaning := names.lookup(name))}
    ends: dict[str, int] = {}
    for name, meaning in meanings.items():
        if not _of_batch(meaning):
            ends[meaning.series] = max(ends.get(meaning.series, 0), int(series[name][0].max(initial=0)))
    return [
        name
        for name, meaning in meanings.items()
        if _of_batch(meaning) and series[name][0].max(initial=0) > 2 * ends.get(meaning.series, np.inf)
    ]


def _of_batch(meaning: names.Meaning) -> bool:
    return len(meaning.rank) > 1 and meaning.rank[0] == 1


def _aligned(series: Series, steps: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "step", steps.astype(np.float64)
    for name, (at, values) in series.items():
        column = np.full(len(steps), np.nan)
        column[np.searchsorted(steps, at)] = values
        yield (name if name != "step" else "step (logged)"), column
