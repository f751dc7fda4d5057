"""Every reader with its file encoded or packed in another way, damaged, or no file at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import zstandard

from tests.odd_inputs.odd_input import OddInput, Refusal, refused
from tests.odd_inputs.reading import READERS, Reader

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
SKIPPED = b"\x50\x2a\x4d\x18\x02\0\0\0xy"
MARK = b"\xef\xbb\xbf"
ASCII_ONLY = {"triples", "scored triples", "teacher run"}


def pack(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def squeeze(content: bytes) -> bytes:
    return zstandard.compress(content)


def stream(content: bytes) -> bytes:
    """As ``zstd`` packs what it is piped: without saying how long it is."""
    packer = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compressobj()
    return packer.compress(content) + packer.flush()


def archive(content: bytes, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zip_up(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("file", content)
    return file.getvalue()


def flip(content: bytes, at: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]


def in_last_line(content: bytes, added: bytes) -> bytes:
    """A right file in whose last line something stands, which is far from its start."""
    return content[:-2] + added + content[-2:]


THE_SAME: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda content: MARK + content,
    "line ends of Windows": lambda content: content.replace(b"\n", b"\r\n"),
    "a mark and line ends of Windows": lambda content: MARK + content.replace(b"\n", b"\r\n"),
    "no last line end": lambda content: content[:-1],
    "blank lines after": lambda content: content + b"\n\r\n\n",
    "gzip": pack,
    "gzip of two members": lambda content: pack(content[:9]) + pack(content[9:]),
    "gzip of a mark": lambda content: pack(MARK + content),
    "zstd": squeeze,
    "zstd of a stream": stream,
    "zstd of two frames": lambda content: squeeze(content[:9]) + stream(content[9:]),
    "zstd after a frame to skip": lambda content: (
        b"\x50\x2a\x4d\x18\x02\0\0\0xy" + squeeze(content)
    ),
}
WHOLE = ("must be a whole gzip or zstd file", "{path}")
REFUSED: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "UTF-16": (lambda c: c.decode().encode("utf-16"), ("UTF-16", "{path}", "convert")),
    "UTF-16 big-endian": (lambda c: b"\xfe\xff" + c.decode().encode("utf-16-be"), ("UTF-16",)),
    "UTF-16 without a mark": (lambda c: c.decode().encode("utf-16-le"), ("{path}:1: ",)),
    "UTF-32": (lambda c: b"\0\0\xfe\xff" + c.decode().encode("utf-32-be"), ("UTF-32", "{path}")),
    "Latin-1": (lambda c: in_last_line(c, b"\xe9"), ("{last}text must be UTF-8", "\\xe9")),
    "half a character in UTF-8": (
        lambda c: in_last_line(c, b"\xed\xa0\x80"),
        ("{last}text must be UTF-8",),
    ),
    "an overlong slash": (lambda c: in_last_line(c, b"\xc0\xaf"), ("{last}text must be UTF-8",)),
    "NUL": (lambda c: in_last_line(c, b"\0"), ("{last}text must hold no NUL",)),
    "random bytes": (lambda c: bytes(range(256)) + c, ("{path}:",)),
    "gzip cut short": (lambda c: pack(c)[:-9], WHOLE),
    "gzip of a header alone": (lambda c: pack(c)[:4], WHOLE),
    "gzip of two bytes": (lambda c: pack(c)[:2], WHOLE),
    "gzip damaged": (lambda c: flip(pack(c), 14), WHOLE),
    "gzip with a wrong sum": (lambda c: flip(pack(c), -8), WHOLE),
    "gzip with a wrong length": (lambda c: flip(pack(c), -1), WHOLE),
    "gzip and text": (lambda c: pack(c) + c, WHOLE),
    "gzip whose second member is cut": (lambda c: pack(c) + pack(c)[:-3], WHOLE),
    "gzip in gzip": (lambda c: pack(pack(c)), ("packed twice", "{path}")),
    "zstd cut short": (lambda c: squeeze(c)[:-3], WHOLE),
    "zstd of a header alone": (lambda c: squeeze(c)[:4], WHOLE),
    "zstd with a wrong sum": (lambda c: flip(stream(c), -1), WHOLE),
    "zstd and text": (lambda c: squeeze(c) + c, WHOLE),
    "zstd and a line end": (lambda c: squeeze(c) + b"\n", WHOLE),
    "zstd in gzip": (lambda c: pack(squeeze(c)), ("packed twice", "{path}")),
    "zip": (zip_up, ("a zip archive", "{path}", "unpack")),
    "an empty zip": (
        lambda c: b"PK\x05\x06" + bytes(18) + c[:0],
        ("an empty zip archive", "{path}"),
    ),
    "tar": (archive, ("a tar archive", "{path}", "unpack")),
    "tar.gz": (lambda c: archive(c, "w:gz"), ("a tar archive", "{path}", "unpack")),
    "tar.zst": (lambda c: squeeze(archive(c)), ("a tar archive", "{path}")),
    "bzip2": (bz2.compress, ("packed by bzip2", "{path}")),
    "xz": (lzma.compress, ("packed by xz", "{path}")),
    "Parquet": (lambda c: b"PAR1\x15\0" + c, ("a Parquet file", "{path}")),
    "PDF": (lambda c: b"%PDF-1.7\n" + c, ("a PDF", "{path}")),
}
FEW = ("json lines", "text triples", "scored triples", "instructions.tsv", "queries.jsonl")
"""Readers that read as another does: every third fault is enough."""


def of_reader(kind: str, reader: Reader) -> list[OddInput]:
    content = reader.good.encode()
    last = content.count(b"\n")
    found = [
        OddInput(f"{kind}: {fault}", reader.act(change(content)), reader.answer)
        for fault, change in THE_SAME.items()
    ]
    for fault, (change, says) in REFUSED.items():
        name = Path(reader.name).name
        texts = (text.format(path=name, last=f"{name}:{last}: ") for text in says)
        found.append(OddInput(f"{kind}: {fault}", reader.act(change(content)), refused(*texts)))
    return found[::3] if kind in FEW else found


def instead(reader: Reader, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Read where there is no file but what ``make`` leaves."""

    def act(folder: Path) -> object:
        path = folder / reader.name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        return reader.act(None)(folder)

    return act


NO_FILE: dict[str, tuple[Callable[[Path], object], Refusal]] = {
    "nothing": (lambda path: path.unlink(missing_ok=True), refused("must exist")),
    "a folder": (lambda path: path.mkdir(), refused("must be a regular file, got a folder")),
    "a pipe": (lambda path: os.mkfifo(path), refused("must be a regular file, got a pipe")),
    "/dev/null": (
        lambda path: path.symlink_to("/dev/null"),
        refused("must be a regular file, got a pipe or a device"),
    ),
    "a link to itself": (lambda path: path.symlink_to(path), refused("must exist")),
}
OPTIONAL = ("instructions.tsv",)
"""Files that are read only where they are."""

ODD_INPUTS = [odd for kind, reader in READERS.items() for odd in of_reader(kind, reader)]
ODD_INPUTS += [
    OddInput(f"{kind}: {fault} in place of a file", instead(reader, make), answer)
    for kind, reader in READERS.items()
    if kind not in OPTIONAL
    for fault, (make, answer) in NO_FILE.items()
]
