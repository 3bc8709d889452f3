"""One log as a format sees it: a file, a folder or standard input; its first bytes, stream, text, what it is called.

Everything is read when it is asked for: a small file is opened once, a large one is held whole only by formats that ask
for its `text`. Compressed files (gzip, bzip2, xz) are seen through; what grows beyond LARGEST_COMPRESSED is refused, a
bomb in particular.
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
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import AnyStr, BinaryIO, cast

from detectors.readers.table import NoLog, Unreadable

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
CHUNK = 1 << 20  # bytes that are decoded at once; a header ends within them
LARGEST_TEXT = 1 << 28  # characters that are held whole: numbers of JSON take several times as much
LARGEST_STREAM = 1 << 31  # bytes of what is no file and may never end; beyond IN_MEMORY they wait on disk
IN_MEMORY = 1 << 26
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
                self._held.seek(0)
                yield self._unpacked(self._held)
            else:
                with open(self.path, "rb") as file:
                    yield self._unpacked(file)

    @cached_property
    def start(self) -> str:
        """The first lines as text, about CHUNK bytes of them; all where there is no more."""
        blocks = self._decoded()
        start = next(blocks, "")
        self._goes_on = next(blocks, None) is not None
        if not self._goes_on and not start.strip():
            raise Unreadable("the file is empty")
        return start

    def blocks(self) -> Iterator[str]:
        """The content as text in blocks of whole lines that end in \\n, `start` first; never more than one is held."""
        yield self.start
        if self._goes_on:
            yield from islice(self._decoded(), 1, None)

    @cached_property
    def text(self) -> str:
        """The content as text, lines ending in \\n, for formats that need all of it at once."""
        blocks, size = [], 0
        for block in self.blocks():
            blocks.append(block)
            size += len(block)
            if size > LARGEST_TEXT:
                most = f"{LARGEST_TEXT >> 20} MiB"
                raise Unreadable(f"it is text of more than {most}, which has to be held whole. Write CSV or JSON lines")
        return "".join(blocks)

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
    def _held(self) -> BinaryIO | None:
        """The content of what can be read only once, such as a pipe; None for a file on disk."""
        if self.path == "-":
            return self._kept(_standard_input())
        if stat.S_ISREG(os.stat(self.path).st_mode):
            return None
        with open(self.path, "rb") as file:
            return self._kept(file)

    def _kept(self, stream: BinaryIO) -> BinaryIO:
        """All of a stream that may never end, such as a device."""
        kept = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115, closed with this source
        weakref.finalize(self, kept.close)
        while chunk := stream.read(CHUNK):
            kept.write(chunk)
            if kept.tell() > LARGEST_STREAM:
                raise Unreadable(f"it does not end within {LARGEST_STREAM >> 30} GiB")
        return cast(BinaryIO, kept)

    def _decoded(self) -> Iterator[str]:
        """The content as text in blocks of whole lines. What is no UTF-8 is Latin-1, from block to block."""
        if self.is_folder:
            raise Unreadable("this is a folder")
        head = self.head
        bom, encoding = next(((bom, name) for bom, name in BOMS if head.startswith(bom)), (b"", ""))
        if not bom:
            plain = head.replace(b"\0", b"")  # see _lenient
            if sum(plain.count(byte) for byte in CONTROLS) > 0.05 * len(plain):
                raise NoLog("it is binary, not text. Export it as CSV, TSV, JSON or JSON lines")
        if encoding.startswith("utf-16"):
            decoded = codecs.iterdecode(self._chunks(len(bom)), encoding, errors="replace")
            blocks = _whole_lines(decoded, "\n", "\r")
        else:
            blocks = (self._lenient(block, bool(bom)) for block in _whole_lines(self._chunks(len(bom)), b"\n", b"\r"))
        for block in blocks:
            yield block.replace("\r\n", "\n").replace("\r", "\n") if "\r" in block else block

    def _chunks(self, skip: int) -> Iterator[bytes]:
        """The content in pieces, without the first `skip` bytes."""
        if len(self.head) < HEAD:
            yield self.head[skip:]
            return
        with self.open() as file:
            file.read(skip)
            while chunk := file.read(CHUNK):
                yield chunk

    def _lenient(self, raw: bytes, marked: bool) -> str:
        """Bytes as text; `marked` says that the file says that it is UTF-8."""
        if marked:
            return raw.decode(errors="replace")
        if b"\0" in raw:  # what a crash of the machine leaves in a file, and half of UTF-16 that does not say so
            raw = raw.replace(b"\0", b"")
            self._note("null bytes are left out")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._note("it is not UTF-8 and is read as Latin-1")
            return raw.decode("latin-1")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

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
            data = self.stream.read1(len(buffer))  # what comes before the damage, where `read` would lose it
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


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise Unreadable("there is no standard input")
    buffer: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    return buffer if buffer is not None else io.BytesIO(sys.stdin.read().encode(errors="replace"))  # it was replaced


def _whole_lines(chunks: Iterable[AnyStr], end: AnyStr, back: AnyStr) -> Iterator[AnyStr]:
    """The same content cut behind the ends of lines; `back` ends one on very old systems, and half of one on others."""
    ready: list[AnyStr] = []  # whole lines, which a last line without an end still joins
    pieces: list[AnyStr] = []
    for chunk in chunks:
        cut = max(chunk.rfind(end), chunk.rfind(back, 0, -1)) + 1
        if cut:
            if ready:
                yield end[:0].join(ready)
            pieces.append(chunk[:cut])
            ready, pieces = pieces, []
        if cut < len(chunk):
            pieces.append(chunk[cut:])
    yield end[:0].join(ready + pieces)


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
