"""TensorBoard's event files: against its own loader, in the layouts of its writers, and damaged in every way."""

from __future__ import annotations

import gzip
import struct
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.readers import Unreadable, expand, read
from detectors.readers.event_file import BATCHED, CHECKED, checksums

EVENTS = "events.out.tfevents.1700000000.host"


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def checksum(content: bytes) -> bytes:
    return struct.pack("<I", checksums(np.frombuffer(content, np.uint8)[None])[0])


def record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + checksum(length) + event + (checksum(event) if len(event) <= CHECKED else b"????")


def event(step: int, content: bytes) -> bytes:
    return record(b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + varint(step) + content)


def simple(tag: str, step: int, value: float) -> bytes:
    """An event as PyTorch and tensorboardX write it."""
    return event(step, message(5, message(1, message(1, tag.encode()) + b"\x15" + struct.pack("<f", value))))


def tensor(tag: str, step: int, value: float) -> bytes:
    """An event as TensorFlow and Keras write it."""
    content = b"\x08\x01" + message(2, b"") + message(4, struct.pack("<f", value))
    plugin = message(9, message(1, message(1, b"scalars")))
    return event(step, message(5, message(1, message(1, tag.encode()) + message(8, content) + plugin)))


VERSION = record(b"\x09" + struct.pack("<d", 1.7e9) + message(3, b"brain.Event:2"))
LOSSES = {1: 3.0, 2: 2.0, 3: 1.0}


def log(tag: str = "train/loss", losses: dict[int, float] = LOSSES, encode: Callable[..., bytes] = simple) -> bytes:
    return VERSION + b"".join(encode(tag, step, value) for step, value in losses.items())


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write event files by name and return their folder."""

    def save(**files: bytes) -> Path:
        for name, content in files.items():
            path = tmp_path / "run" / (name if "/" in name else f"{EVENTS}.{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "run"

    return save


def noted(notes: Sequence[str], *words: str) -> bool:
    return any(all(word in note for word in words) for note in notes)


def test_the_checksum_is_the_one_of_the_standard():
    assert checksums(np.frombuffer(b"123456789", np.uint8)[None])[0] == (
        ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF  # RFC 3720's check value, masked
    )


@pytest.mark.parametrize("encode", [simple, tensor])
def test_both_encodings_of_a_scalar_are_read(folder, encode):
    (run,) = read(folder(a=log(encode=encode)))

    assert (run.name, list(run.epochs), list(run["train_loss"])) == ("run", [1, 2, 3], [3, 2, 1])


def test_an_event_file_alone_is_a_log_whatever_it_is_called(tmp_path):
    (tmp_path / "x.csv").write_bytes(log())

    (run,) = read(tmp_path / "x.csv")

    assert (run.name, list(run["train_loss"])) == ("x", [3, 2, 1])


def test_a_compressed_event_file_is_read(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(log()))

    assert list(read(tmp_path / "x.gz")[0]["train_loss"]) == [3, 2, 1]


def test_a_step_may_be_negative_or_huge(folder):
    (run,) = read(folder(a=log(losses={-1: 3.0, 0: 2.0, 1 << 40: 1.0})))

    assert list(run.epochs) == [-1, 0, 1 << 40]


def test_the_subfolders_of_keras_are_one_run_whose_axis_counts_epochs(folder):
    sides = {
        f"{side}/{EVENTS}.v2": VERSION
        + b"".join(tensor(f"epoch_{m}", e, e + (side == "train") / 2) for e in range(3) for m in ("loss", "accuracy"))
        for side in ("train", "validation")
    }
    sides[f"train/{EVENTS}.v2"] += tensor("epoch_learning_rate", 0, 0.5) + tensor("batch_loss", 700, 9)
    sides[f"validation/{EVENTS}.v2"] += tensor("evaluation_loss_vs_iterations", 100, 9)
    root = folder(**sides)
    (run,) = read(root)

    assert expand([root.parent]) == [root]
    assert (list(run["train_loss"]), list(run["val_loss"])) == ([0.5, 1.5, 2.5], [0, 1, 2])
    assert sorted(run.series) == ["learning_rate", "train_accuracy", "train_loss", "val_accuracy", "val_loss"]
    assert noted(run.notes, "by step", "'evaluation_loss_vs_iterations'")


def test_the_subfolders_of_add_scalars_are_series_of_their_run(folder):
    root = folder(
        a=VERSION + simple("lr", 1, 0.5),
        **{f"Loss_train/{EVENTS}": log("Loss"), f"Loss_val/{EVENTS}": log("Loss", {1: 4, 2: 3})},
    )
    (run,) = read(root)

    assert (expand([root]), list(run.series)) == ([root], ["train_loss", "val_loss", "learning_rate"])
    assert np.array_equal(run["val_loss"], [4, 3, np.nan], equal_nan=True)


def test_a_subfolder_that_is_no_series_of_the_run_is_a_run_of_its_own(folder):
    root = folder(a=log(), **{f"lr_0.1/{EVENTS}": log(losses={1: 7.0})})

    assert [(run.name, list(run["train_loss"])) for run in read(root)] == [("run", [3, 2, 1]), ("run/lr_0.1", [7])]


def test_the_folder_of_add_hparams_is_no_run(folder):
    root = folder(a=log(), **{f"1700000000.25/{EVENTS}": VERSION + simple("hparam/accuracy", 0, 0.5)})

    assert [run.name for run in read(root)] == ["run"]


def test_runs_below_a_folder_are_each_a_run(folder):
    root = folder(**{f"b/{EVENTS}": log(), f"a/x/{EVENTS}": log(), "a/log.csv": b"epoch,loss\n1,2\n"})

    assert [str(path.relative_to(root)) for path in expand([root])] == ["a/log.csv", "a/x", "b"]
    assert [run.name for run in read(root)] == ["a/log", "x", "b"]


def test_event_files_of_a_restart_go_on_from_one_another(folder):
    (run,) = read(folder(a=log(), b=log(losses={3: 10.0, 4: 9.0})))

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2, 3, 4], [3, 2, 10, 9])


def test_a_restart_that_says_from_where_removes_what_was_beyond(folder):
    restart = VERSION + event(2, message(7, b"\x08\x01")) + simple("train/loss", 2, 10)
    (run,) = read(folder(a=log(), b=restart))

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2], [3, 10])


def test_a_scalar_named_epoch_is_the_axis(folder):  # Lightning
    steps = [(e * 50 + 49, e) for e in range(4)]
    content = b"".join(simple("val_loss", s, e) + simple("epoch", s, e) for s, e in steps)
    (run,) = read(folder(a=VERSION + content))

    assert (list(run.epochs), list(run["step"])) == ([0, 1, 2, 3], [49, 99, 149, 199])


def test_what_counts_batches_beside_epochs_is_left_out(folder):
    batches = b"".join(simple("train/loss_step", s, s) for s in range(1, 31))
    (run,) = read(folder(a=log() + batches))

    assert (list(run.epochs), list(run["train_loss"])) == ([1, 2, 3], [3, 2, 1])
    assert noted(run.notes, "counts batches", "'train/loss_step'")


def test_images_and_histograms_are_passed_over(folder):
    image = message(5, message(1, message(1, b"image") + message(4, b"\0" * 9000)))
    histogram = message(5, message(1, message(1, b"weights") + message(5, b"\0" * 90)))
    (run,) = read(folder(a=log() + event(1, image) + event(1, histogram)))

    assert (list(run.series), run.notes) == (["train_loss"], ())


def test_a_last_record_that_is_being_written_is_left_out(folder):
    for end in range(1, len(simple("train/loss", 4, 0.5))):
        (run,) = read(folder(a=log() + simple("train/loss", 4, 0.5)[:end]))

        assert (list(run.epochs), noted(run.notes, "last record is cut off")) == ([1, 2, 3], True)


def test_a_record_whose_checksum_is_wrong_costs_itself_alone(folder):
    broken = bytearray(log())
    broken[len(VERSION) + len(simple("train/loss", 1, 3)) + 40] ^= 1  # within the message of step 2
    (run,) = read(folder(a=bytes(broken)))

    assert list(run.epochs) == [1, 3]
    assert noted(run.notes, "checksum", "left out: 1")


def test_after_a_length_that_is_damaged_nothing_is_read(folder):
    broken = bytearray(log())
    broken[len(VERSION) + len(simple("train/loss", 1, 3))] ^= 1
    (run,) = read(folder(a=bytes(broken)))

    assert (list(run.epochs), noted(run.notes, "damaged", "what comes before is read")) == ([1], True)


def test_a_file_of_a_profile_is_passed_over(folder):
    root = folder(**{"a": log(), "1.profile-empty": VERSION, "b": b""})

    assert [(list(run["train_loss"]), run.notes) for run in read(root)] == [([3, 2, 1], ())]


def test_a_folder_without_a_scalar_says_so(folder):
    with pytest.raises(Unreadable, match="no scalar in its event files"):
        read(folder(a=VERSION))


tags = st.sampled_from(["train_loss", "val/loss", "Loss", "größe", "a" * 300])
values = st.floats(width=32, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([simple, tensor]), tags, st.integers(-5, 2**33), values), max_size=30))
def test_scalars_are_those_of_tensorboard_s_own_loader(tmp_path_factory, logged):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    from tensorboard.util import tensor_util

    from detectors.readers.event_file import Scalars

    path = tmp_path_factory.getbasetemp() / "oracle.tfevents"
    path.write_bytes(VERSION + b"".join(encode(tag, step, value) for encode, tag, step, value in logged))
    ours = Scalars()
    with path.open("rb") as file:
        size = ours.read(file)
    theirs: dict[str, list[tuple[int, float]]] = {}
    for loaded in loader.EventFileLoader(str(path)).Load():
        for value in loaded.summary.value:
            theirs.setdefault(value.tag, []).append((loaded.step, float(tensor_util.make_ndarray(value.tensor))))

    assert {tag: list(zip(*columns, strict=True)) for tag, columns in ours.series.items()} == theirs
    assert size == path.stat().st_size


def test_the_files_of_tensorboard_s_own_tensor_writer_are_read(tmp_path):
    summary = pytest.importorskip("tensorboard.summary")
    writer = summary.Writer(str(tmp_path / "run"))
    for step in range(3):
        writer.add_scalar("val_loss", step / 4, step)
    writer.close()

    (run,) = read(tmp_path / "run")

    assert (list(run.epochs), list(run["val_loss"]), run.notes) == ([0, 1, 2], [0, 0.25, 0.5], ())


def test_the_memory_does_not_grow_with_what_is_passed_over(folder):
    image = event(1, message(5, message(1, message(1, b"image") + message(4, b"\0" * (1 << 20)))))
    root = folder(a=log() + image * 64)
    tracemalloc.start()
    try:
        (run,) = read(root)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(run) == 3
    assert peak < BATCHED + (8 << 20)  # what waits for its checksum, and a few copies of one image


def many(tag: str, steps: Sequence[int]) -> bytes:
    """Events of one encoded length, whose checksums are computed together."""
    framed = [simple(tag, steps[0], 1.0)]
    head, event = framed[0][:12], framed[0][12:-4]
    events = [event.replace(b"\x10" + varint(steps[0]), b"\x10" + varint(step), 1) for step in steps]
    sums = checksums(np.frombuffer(b"".join(events), np.uint8).reshape(len(events), -1))
    return b"".join(head + event + struct.pack("<I", crc) for event, crc in zip(events, sums, strict=True))


def test_a_hundred_thousand_scalars_read_within_their_time(folder):
    root = folder(a=VERSION + many("loss", range(20_000, 70_000)) + many("val/loss", range(20_000, 70_000)))
    start = time.process_time()  # so that a busy machine does not count

    (run,) = read(root)

    assert (len(run), time.process_time() - start < 2) == (50_000, True)
