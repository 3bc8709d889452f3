"""TensorBoard's event files as scalars: records with checksums, in them protobuf messages, of which few matter.

A record is its length (8 bytes), a masked CRC-32C of that, the message, a masked CRC-32C of the message. Messages that
are damaged are skipped and counted; where a length is damaged nobody knows where the next record begins: reading ends.
Checksums of long messages (images, graphs) are not computed. Memory is that of the scalars and of one message.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from detectors.readers.protobuf import FIXED32, VARINT, fields, signed, varint

__all__ = ["Scalars", "begins_record"]

HEADER = struct.Struct("<QI")
BATCH = 2048  # records whose checksums are computed together
BATCHED = 1 << 24  # bytes of them at most, a last one apart
CHECKED = 1 << 12  # bytes of the longest message whose checksum is computed
LONGEST = 1 << 26  # bytes of the longest message that is looked at
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # of a tensor; the rest is no scalar


def _table() -> np.ndarray:
    entries = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        entries = np.where(entries & 1, (entries >> 1) ^ 0x82F63B78, entries >> 1)
    return entries.astype(np.uint32)


CRC = _table()
PLAIN: list[int] = CRC.tolist()
FEW = 32  # messages for which a loop over their bytes is faster than one over columns


def checksums(messages: np.ndarray) -> np.ndarray:
    """The masked CRC-32C of each row of `messages`, uint8 of shape (messages, bytes)."""
    if len(messages) <= FEW:
        crc = np.array([_remainder(message.tobytes()) for message in messages], dtype=np.uint32)
    else:
        crc = np.full(len(messages), 0xFFFFFFFF, dtype=np.uint32)
        for column in messages.T:
            crc = CRC[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _remainder(message: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in message:
        crc = PLAIN[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc


def begins_record(head: bytes) -> bool:
    """Whether `head` begins with a length and its checksum, as event files do."""
    if len(head) < HEADER.size:
        return False
    return bool(checksums(np.frombuffer(head, np.uint8, 8)[None])[0] == HEADER.unpack_from(head)[1])


@dataclass
class Scalars:
    """What event files logged so far: by tag, steps and values in the order of writing."""

    series: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    damaged: int = 0  # messages whose checksum or content is wrong
    end: str = ""  # why reading ended before the end of the file
    _shapes: dict[bytes, tuple[array[int], array[float]]] = field(default_factory=dict)

    def read(self, file: BinaryIO) -> int:
        """Append what `file` holds from where it stands; returns how many bytes of whole records there were."""
        size, held, batch = 0, 0, list[tuple[bytes, int]]()
        self.end = ""
        for message, checksum, length in self._records(file):
            size += length
            if message is not None:
                batch.append((message, checksum))
                held += length
            if len(batch) == BATCH or held > BATCHED:
                self._take(batch)
                held, batch = 0, []
        self._take(batch)
        return size

    def purge(self, step: int) -> None:
        """Forget what was logged at `step` and after it: the run was started again from there."""
        for steps, values in self.series.values():
            keep = [i for i, at in enumerate(steps) if at < step]
            steps[:], values[:] = array("q", [steps[i] for i in keep]), array("d", [values[i] for i in keep])

    def _records(self, file: BinaryIO) -> Iterator[tuple[bytes | None, int, int]]:
        """Message, its checksum, and the length of the record; None for a message that is too long to be looked at."""
        lengths: dict[bytes, bool] = {}
        while header := file.read(HEADER.size):
            if len(header) < HEADER.size:
                self.end = "its last record is cut off"
                return
            if header not in lengths:
                lengths[header] = begins_record(header)
                if len(lengths) > BATCH:
                    lengths = {header: lengths[header]}
            if not lengths[header]:
                self.end = "a record is damaged, and what follows it cannot be found"
                return
            length = HEADER.unpack(header)[0]
            if length > LONGEST:
                if _skip(file, length + 4) < length + 4:
                    self.end = "its last record is cut off"
                    return
                yield None, 0, HEADER.size + length + 4
                continue
            message = file.read(length + 4)
            if len(message) < length + 4:
                self.end = "its last record is cut off"
                return
            yield message[:length], int.from_bytes(message[length:], "little"), HEADER.size + length + 4

    def _take(self, batch: list[tuple[bytes, int]]) -> None:
        """Append the scalars of these messages, in their order, without those that are damaged."""
        sizes = np.array([len(message) for message, _ in batch])
        sound = np.ones(len(batch), dtype=bool)
        for size in np.unique(sizes[sizes <= CHECKED]):
            (rows,) = np.nonzero(sizes == size)
            joined = b"".join(batch[row][0] for row in rows)
            expected = np.array([batch[row][1] for row in rows], dtype=np.uint32)
            sound[rows] = checksums(np.frombuffer(joined, np.uint8).reshape(len(rows), size)) == expected
        for (message, _), intact in zip(batch, sound, strict=True):
            try:
                if not intact:
                    raise ValueError("checksum")
                self._event(message)
            except ValueError:
                self.damaged += 1

    def _event(self, message: bytes) -> None:
        # most are <wall time> <step> <summary of one value that ends in a float>, and differ in these numbers alone
        if message[:1] == b"\x09" and message[9:10] == b"\x10":
            step, at = varint(message, 10)
            column = self._shapes.get(message[at:-4])
            if column is not None:
                column[0].append(signed(step))
                column[1].append(struct.unpack("<f", message[-4:])[0])
                return
        step, found, start = 0, list[tuple[str, float, bool]](), False
        for number, wire, content in fields(message):
            if number == 2 and wire == VARINT and isinstance(content, int):
                step = signed(content)
            elif number == 5 and isinstance(content, bytes):
                found = [scalar for n, _, value in fields(content) if n == 1 and (scalar := _scalar(value))]
            elif number == 7 and isinstance(content, bytes):
                start = any(n == 1 and value == 1 for n, _, value in fields(content))
        if start:
            self.purge(step)
        for tag, value, at_end in found:
            column = self.series.setdefault(tag, (array("q"), array("d")))
            column[0].append(step)
            column[1].append(value)
            if at_end and len(found) == 1 and message[:1] == b"\x09" and message[9:10] == b"\x10":
                summary = message[varint(message, 10)[1] :]
                only = [n for n, _, _ in fields(summary)] == [5]
                if only and struct.pack("<f", value) == message[-4:] and len(self._shapes) < BATCH:
                    self._shapes[summary[:-4]] = column


def _scalar(content: int | bytes) -> tuple[str, float, bool] | None:
    """Tag and value of a summary's value that is one number, and whether that is a float at its end."""
    if not isinstance(content, bytes):
        raise ValueError("no message")
    tag, number, last = "", None, 0
    for n, wire, value in fields(content):
        last = n
        if n == 1 and isinstance(value, bytes):
            tag = value.decode(errors="replace")
        elif n == 2 and wire == FIXED32 and isinstance(value, bytes):
            number = float(struct.unpack("<f", value)[0])
        elif n == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return (tag, number, last == 2) if number is not None else None


def _tensor(content: bytes) -> float | None:
    """The number in a tensor that is one number, None of another one."""
    kind, raw = 0, b""
    for n, _, value in fields(content):
        if n == 1 and isinstance(value, int):
            kind = value
        elif n in (4, 5, 6) and isinstance(value, bytes):  # tensor_content, float_val and double_val, packed or not
            raw = value
        elif n in (7, 10) and kind in (3, 9):  # int_val, int64_val
            number = value if isinstance(value, int) else varint(value, 0)[0]
            return float(signed(number))
    if kind not in TYPES or len(raw) != np.dtype(TYPES[kind]).itemsize:
        return None
    return float(np.frombuffer(raw, TYPES[kind])[0])


def _skip(file: BinaryIO, size: int) -> int:
    """Pass over `size` bytes, or as many as there are, without holding them."""
    passed = 0
    while passed < size and (chunk := file.read(min(1 << 20, size - passed))):
        passed += len(chunk)
    return passed
