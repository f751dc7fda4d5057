"""Lines of text files, with the place of each for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from recross.errors import InputError
from recross.text_files.packed import read_chunks

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 1 << 28
"""Bytes: a quarter of a gigabyte. A longer one is no line of text but a file without lines."""

_Parsed = TypeVar("_Parsed")


class Line(NamedTuple):
    """A line without its end, and the bytes of its (unpacked) file that it is, end included."""

    number: int
    start: int
    end: int
    text: str

    @property
    def ending(self) -> str:
        r"""What ends it in its file: ``\r\n``, or else ``\n``, also where the file ends without."""
        is_long = self.end - self.start - len(self.text.encode("utf-8")) == len("\r\n")
        return "\r\n" if is_long else "\n"


def read_lines(path: Path, what: str = "file") -> Iterator[Line]:
    """Yield every line that is not blank, read as :func:`read_all_lines` reads them.

    Raises:
        InputError: what ``read_all_lines`` raises.
    """
    return (line for line in read_all_lines(path, what) if not is_blank(line.text))


def read_all_lines(path: Path, what: str = "file") -> Iterator[Line]:
    r"""Yield every line: UTF-8, with or without a byte order mark, packed by gzip or zstd or not.

    A line ends with ``\n`` or ``\r\n``; a lone ``\r`` and Unicode's separators are text.

    Raises:
        InputError: ``what`` cannot be read as a file of text, or a line is none (it is named).
    """
    return split_lines(read_chunks(path, what), str(path))


def split_lines(chunks: Iterable[bytes], name: str) -> Iterator[Line]:
    """Yield the lines that consecutive bytes are; ``name`` is what messages call the file.

    Raises:
        InputError: a line is no text in UTF-8, holds NUL, or is too long to be one.
    """
    start = 0
    for number, raw in enumerate(_cut(chunks, name), start=1):
        end = start + len(raw)
        if number == 1 and raw.startswith(BYTE_ORDER_MARK):
            raw, start = raw[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        yield Line(number, start, end, decode(raw, name, number))
        start = end


def is_blank(text: str) -> bool:
    r"""Whether a line holds nothing but ASCII's blanks; a non-breaking one is a character."""
    return not text or (text.isascii() and text.isspace())


def decode(raw: bytes, name: str, number: int) -> str:
    r"""The text of a line, without the ``\n`` or ``\r\n`` that ends it.

    Raises:
        InputError: the bytes are no UTF-8, or hold NUL.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        near = raw[max(error.start - 20, 0) : error.start + 20]
        raise InputError(f"{name}:{number}: text must be UTF-8, got {near!r}") from None
    if "\0" in text:
        at = text.index("\0")
        near_text = text[max(at - 20, 0) : at + 20]
        raise InputError(
            f"{name}:{number}: text must hold no NUL (is it UTF-16, or no text?), got {near_text!r}"
        )
    return text.removesuffix("\n").removesuffix("\r")


def parse_lines(
    path: Path, parse: Callable[[str], _Parsed], what: str = "file"
) -> Iterator[tuple[Line, _Parsed]]:
    """Yield every line that is not blank with what ``parse`` makes of it.

    Raises:
        InputError: what ``read_lines`` raises, or ``parse``, whose message gets the place.
    """
    for line in read_lines(path, what):
        try:
            parsed = parse(line.text)
        except InputError as error:
            raise locate_error(path, line, error) from None
        yield line, parsed


def find_line(
    path: Path, parse: Callable[[str], _Parsed], wanted: Callable[[_Parsed], bool]
) -> int:
    """The number of the first line that is wanted, of a file that was read before.

    To read again what two lines disagree on costs less than to keep every line's number.
    """
    return next(line.number for line, parsed in parse_lines(path, parse) if wanted(parsed))


def locate_error(path: Path, line: Line, error: InputError) -> InputError:
    """The same problem with the line that it is in."""
    return InputError(f"{path}:{line.number}: {error}")


def _cut(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Lines with their ends, whatever the bytes come in."""
    number, size = 1, 0
    begun: list[bytes] = []
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*begun, line, b"\n"]) if begun else line + b"\n"
            begun, size = [], 0
        number += len(whole)
        if rest:
            begun.append(rest)
            size += len(rest)
        if size > LONGEST_LINE:
            raise InputError(
                f"{name}:{number}: a line must be at most {LONGEST_LINE} bytes, got more"
                " (a file without line breaks?)"
            )
    if begun:
        yield b"".join(begun)
