"""The bytes of a file, unpacked where it is packed: known by content, whole or an error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import zstandard

from recross.errors import InputError

CHUNK = 1 << 17
PACKED_PIECE = 1 << 12
"""Bytes of zstd unpacked at once: a bomb of it makes 128 MiB of them at most."""

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE_ZSTD = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    **{b"BZh%d1AY&SY" % level: "packed by bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\x00": "packed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x04\x22\x4d\x18": "packed by lz4",
    b"\x1f\x9d": "packed by compress",
    b"PAR1\x15": "a Parquet file",
    b"%PDF-": "a PDF",
    b"SQLite format 3\x00": "an SQLite database",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x00\x00\xfe\xff": "UTF-32",
}
TAR_MARK = slice(257, 262)


def read_chunks(path: Path, what: str = "file") -> Iterator[bytes]:
    """Yield the bytes of a file in turn, those of gzip and zstd unpacked.

    Raises:
        InputError: there is no such file, it cannot be read, it is an archive or packed otherwise,
            or what packs it is cut short, damaged, or followed by something else.
    """
    check_is_file(path, what)
    chunks = _unpack(path, what)
    first = next(chunks, b"")
    _refuse_foreign(first, path, what)
    if first:
        yield first
    yield from chunks


def is_packed(path: Path, what: str = "file") -> bool:
    """Whether a file's content is packed by gzip or zstd.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    check_is_file(path, what)
    with _explain_unreadable(path, what), path.open("rb") as file:
        return file.read(4).startswith((GZIP, ZSTD, *SKIPPABLE_ZSTD))


def check_is_file(path: Path, what: str = "file") -> None:
    """Refuse what is no regular file, such as a pipe, which could be read only once.

    Raises:
        InputError: there is nothing of this name, or something else.
    """
    try:
        is_file, is_there = path.is_file(), path.exists()
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{what} must be a file, got {str(path)!r} ({error.strerror})") from None
    if not is_there:
        raise InputError(f"{what} must exist, got {str(path)!r}")
    if not is_file:
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise InputError(f"{what} must be a regular file, got {kind}, {str(path)!r}")


def _unpack(path: Path, what: str) -> Iterator[bytes]:
    """Yield pieces that are not empty."""
    with _explain_unreadable(path, what), path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(GZIP):
            yield from _read(gzip.GzipFile(fileobj=file))
        elif start.startswith((ZSTD, *SKIPPABLE_ZSTD)):
            yield from _unpack_zstd(file)
        else:
            yield from _read(file)


@contextmanager
def _explain_unreadable(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            f"{what} must be a whole gzip or zstd file, got {str(path)!r} ({error})"
        ) from None
    except OSError as error:
        raise InputError(
            f"{what} must be one that can be read, got {str(path)!r} ({error.strerror})"
        ) from None


def _read(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    return iter(partial(file.read, CHUNK), b"")


def _unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpack frame by frame: a reader of streams takes a cut one for a whole one."""
    unpacker = zstandard.ZstdDecompressor()
    frame = unpacker.decompressobj()
    is_whole = False
    for piece in iter(partial(file.read, PACKED_PIECE), b""):
        while piece:
            if text := frame.decompress(piece):
                yield text
            piece, is_whole = frame.unused_data, frame.eof
            if is_whole:
                frame = unpacker.decompressobj()
    if not is_whole:
        raise EOFError("it ends within a frame")


def _refuse_foreign(first: bytes, path: Path, what: str) -> None:
    found = next((name for magic, name in FOREIGN.items() if first.startswith(magic)), None)
    if first[TAR_MARK] == b"ustar" and b"\0" in first[: TAR_MARK.start]:
        found = "a tar archive"
    if first.startswith((GZIP, ZSTD)):
        found = "packed twice"
    if found:
        raise InputError(
            f"{what} must be text in UTF-8, or that packed by gzip or zstd, got {found}"
            f" in {str(path)!r}: unpack or convert it first"
        )
