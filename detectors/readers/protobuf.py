"""The wire format of protocol buffers, as far as reading logs needs it: fields in, bytes out, no schema.

https://protobuf.dev/programming-guides/encoding/. TensorBoard and Weights & Biases write such messages; their own
packages would bring a web server along.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["BYTES", "FIXED32", "FIXED64", "VARINT", "fields", "signed", "varint"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SIZE = {FIXED64: 8, FIXED32: 4}


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of a message as (number, wire type, value): an int for VARINT, else bytes; ValueError if broken."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        wire = key & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield key >> 3, wire, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in SIZE:
            size = SIZE[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if size > end - at:
            raise ValueError(f"{size} bytes announced, {end - at} left")
        yield key >> 3, wire, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned number that begins at `at`, and where it ends."""
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("a number does not end")


def signed(value: int) -> int:
    """An unsigned 64-bit number as the signed one that was written."""
    return value - (1 << 64) if value >> 63 else value
