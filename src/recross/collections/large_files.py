"""Files of documents that are too large for memory: read once, and then from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from recross.collections.stored_documents import StoredDocuments
from recross.collections.text_lines import choose_parser, read_text_file, say_twice
from recross.errors import InputError
from recross.records import JsonObject
from recross.store import Store, hash_files
from recross.text_files.lines import parse_lines

LARGEST_IN_MEMORY = 256 << 20
"""Bytes of the largest file of documents that is held in memory: about half a million passages."""


def read_documents(path: Path, store: Path) -> Mapping[str, str]:
    """The texts of a file; those of a large one stay on disk, in the store.

    Raises:
        InputError: the file is missing or empty, a line is malformed, or an identifier comes twice.
    """
    if not path.is_file() or path.stat().st_size <= LARGEST_IN_MEMORY:
        return read_text_file(path)
    parse = choose_parser(path)

    def read(start: int) -> Iterator[tuple[str, str]]:
        pairs = ((one.identifier, one.text) for _, one in parse_lines(path, parse))
        return islice(pairs, start, None)

    def make(folder: Path) -> JsonObject:
        facts = StoredDocuments.write(folder, read)
        if not facts["documents"]:
            raise InputError(f"file must hold at least one text, got none in {str(path)!r}")
        if (twice := StoredDocuments(folder).find_twice()) is not None:
            raise InputError(f"{path}: {say_twice(path, parse, twice)}")
        return facts

    identity = {"content": hash_files(path)}
    folder = Store(store).artefact("documents", identity, make, resumable=True)
    return StoredDocuments.open(folder)
