"""One log as a format sees it: a file, a folder or standard input; its first bytes, stream, text, what it is called.

Everything is read when it is asked for and once: a small file is opened once, a large binary one is never held whole.
Compressed files (gzip, bzip2, xz) are seen through; what grows beyond LARGEST_COMPRESSED is refused, a bomb in
particular.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from detectors.readers.table import Unreadable

__all__ = ["Source"]

GENERIC = frozenset(
    (
        *("log", "logs", "metrics", "results", "result", "history", "progress"),
        *("train", "training", "train_log", "training_log"),
    )
)
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
HEAD = 8192  # bytes that decide which format it is, and whether it is text
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")
LARGEST_TEXT = 1 << 31  # bytes: text is held whole
LARGEST_COMPRESSED = 1 << 28  # bytes when decompressed; a log of a million lines has less
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
SUFFIXES = (".gz", ".bz2", ".xz")


class Source:
    """The log at `path`; `-` is standard input. What cannot be opened or decoded is `Unreadable`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []  # what had to be assumed to get at the content
        self.is_folder = path != "-" and os.path.isdir(path)

    @cached_property
    def entries(self) -> dict[str, bool]:
        """What lies in the folder: name, whether it is a folder too; in order of name, the targets of links last.

        Empty for a file. Pipes and devices are not in it: reading one may wait for ever.
        """
        if not self.is_folder:
            return {}
        try:
            with os.scandir(self.path) as listing:
                found = sorted(listing, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError:  # it went away, or may not be listed
            return {}
        kinds = {entry.name: _kind(entry) for entry in found}
        return {name: kind == "folder" for name, kind in kinds.items() if kind}

    def inner(self, name: str) -> Source:
        """An entry of the folder as a source of its own."""
        return Source(os.path.join(self.path, name))

    @cached_property
    def head(self) -> bytes:
        """The first HEAD bytes of the content, decompressed; none of a folder."""
        if self.is_folder:
            return b""
        with self.open() as file:
            return file.read(HEAD)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The content as a stream, decompressed."""
        with _reasons():
            if self._held is not None:
                yield self._unpacked(io.BytesIO(self._held))
            else:
                with open(self.path, "rb") as file:
                    yield self._unpacked(file)

    @cached_property
    def text(self) -> str:
        """The content as text, lines ending in \\n."""
        if self.is_folder:
            raise Unreadable("this is a folder")
        head = self.head
        if not any(head.startswith(bom) for bom, _ in BOMS):
            plain = head.replace(b"\0", b"")  # see _decoded
            if sum(plain.count(byte) for byte in CONTROLS) > 0.05 * len(plain):
                raise Unreadable("it is binary, not text. Export it as CSV, TSV, JSON or JSON lines")
        raw = head
        if len(head) == HEAD:
            if self._held is None and os.path.getsize(self.path) > LARGEST_TEXT:
                raise Unreadable(f"it is text of more than {LARGEST_TEXT >> 30} GiB. Split it, or log less often")
            with self.open() as file:
                raw = file.read()
        text, notes = _decoded(raw)
        if not text.strip():
            raise Unreadable("the file is empty")
        self.notes += notes
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text

    @property
    def title(self) -> str:
        """The name of the run: the file without its suffix, with its folder where that alone says nothing ("log")."""
        if self.path == "-":
            return "stdin"
        file = Path(self.path)
        if self.is_folder:
            file = file.absolute()
            return file.name or str(file)
        if file.suffix.lower() in SUFFIXES:
            file = file.with_suffix("")
        if file.stem.lower() not in GENERIC:
            return file.stem
        folder = file.absolute().parent.name
        return f"{folder}/{file.stem}" if folder else file.stem

    @cached_property
    def _held(self) -> bytes | None:
        """The content of what can be read only once, such as a pipe; None for a file on disk."""
        if self.path == "-":
            return _whole(sys.stdin.buffer)
        if stat.S_ISREG(os.stat(self.path).st_mode):
            return None
        with open(self.path, "rb") as file:
            return _whole(file)

    def _unpacked(self, file: BinaryIO) -> BinaryIO:
        magic = file.read(HEAD)
        file.seek(0)
        if not magic.startswith(COMPRESSED):
            return file
        if magic.startswith(b"\x1f\x8b"):
            return io.BufferedReader(_Bounded(gzip.GzipFile(fileobj=file), self.notes))
        if magic.startswith(b"BZh"):
            return io.BufferedReader(_Bounded(bz2.BZ2File(file), self.notes))
        lzma.LZMADecompressor(memlimit=LARGEST_COMPRESSED).decompress(magic, max_length=1)  # a dictionary may be 4 GiB
        return io.BufferedReader(_Bounded(lzma.LZMAFile(file), self.notes))


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends where its file is damaged and is refused where it never seems to end."""

    def __init__(self, stream: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, notes: list[str]) -> None:
        self.stream, self.notes, self.size = stream, notes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self.stream.read(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if not self.size:
                raise Unreadable(f"it cannot be decompressed: {error}") from None
            note = f"the compressed file is damaged or cut off after {self.size} bytes; what comes before is read"
            if note not in self.notes:
                self.notes.append(note)
            data = b""
        self.size += len(data)
        if self.size > LARGEST_COMPRESSED:
            raise Unreadable(f"it grows beyond {LARGEST_COMPRESSED >> 20} MiB. Decompress it first, if it is a log")
        buffer[: len(data)] = data
        return len(data)


def _kind(entry: os.DirEntry[str]) -> str:
    """What a reader makes of an entry of a folder."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:  # a link to itself
        return ""


def _whole(stream: BinaryIO) -> bytes:
    """All of a stream that may never end, such as a device."""
    held = bytearray()
    while chunk := stream.read(1 << 20):
        held += chunk
        if len(held) > LARGEST_TEXT:
            raise Unreadable(f"it does not end within {LARGEST_TEXT >> 30} GiB")
    return bytes(held)


@contextmanager
def _reasons() -> Iterator[None]:
    """What the system says against opening becomes `Unreadable`."""
    try:
        yield
    except Unreadable:
        raise
    except (OSError, ValueError, lzma.LZMAError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(f"it cannot be opened: {reason}") from None


def _decoded(raw: bytes) -> tuple[str, list[str]]:
    for bom, encoding in BOMS:
        if raw.startswith(bom):
            return raw[len(bom) :].decode(encoding, errors="replace"), []
    notes = []
    if b"\0" in raw:  # what a crash of the machine leaves in a file, and half of UTF-16 that does not say so
        raw = raw.replace(b"\0", b"")
        notes.append("null bytes are left out")
    try:
        return raw.decode(), notes
    except UnicodeDecodeError:
        return raw.decode("latin-1"), [*notes, "it is not UTF-8 and is read as Latin-1"]
