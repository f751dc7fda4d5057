"""Documents on disk: a collection too large for memory, read when a document is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from recross.artefacts.growing import GrowingFiles
from recross.artefacts.opening import open_once
from recross.artefacts.strings import NameFile, StringFile, name_growing, pack_strings
from recross.records import JsonObject
from recross.writing.progress import progress

IDS, TEXTS = "doc_ids", "texts"

DOCUMENTS_PER_WRITE = 10_000
"""Documents in memory together, and what an interruption loses at most."""

ReadDocuments = Callable[[int], Iterator[tuple[str, str]]]
"""Yields identifiers and texts, from the document of this number on."""


class StoredDocuments(Mapping[str, str]):
    """Texts by identifier in the order they were written; none is held in memory."""

    def __init__(self, folder: Path) -> None:
        self.ids, self._texts = StringFile(folder, IDS), StringFile(folder, TEXTS)
        self._names = NameFile(self.ids)

    @classmethod
    def write(cls, folder: Path, read: ReadDocuments, count: int | None = None) -> JsonObject:
        """Write documents into a folder, after those that an interruption left there.

        Few of them are in memory. A part counts as written when its bytes are on the disk and the
        folder's record of them, replaced after that, says so. ``count`` is how many there will be,
        where that is known. Returns entries for the manifest.
        """
        files = GrowingFiles(folder, *name_growing(IDS), *name_growing(TEXTS))
        done: int = files.facts.get("documents", 0)
        waiting = read(done)
        with progress(count or 0, "writing", "document", done, shown=True) as bar:
            while part := list(islice(waiting, DOCUMENTS_PER_WRITE)):
                ids, texts = zip(*part, strict=True)
                done += len(part)
                packed = pack_strings(IDS, ids) | pack_strings(TEXTS, texts)
                files.append(packed, {"documents": done})
                bar.update(len(part))
        StringFile.finish(folder, TEXTS, done)
        NameFile.finish(StringFile.finish(folder, IDS, done))
        return {"documents": done}

    @classmethod
    def open(cls, folder: Path) -> StoredDocuments:
        """Map a finished folder into memory, once in each process."""
        return open_once(cls, folder)

    def find_twice(self) -> str | None:
        """An identifier that two documents have, if there is one."""
        return self._names.find_twice()

    def __getitem__(self, doc_id: str) -> str:
        row = self._names.find(doc_id)
        if row is None:
            raise KeyError(doc_id)
        return self._texts[row]

    def __contains__(self, doc_id: object) -> bool:
        return isinstance(doc_id, str) and self._names.find(doc_id) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def read_span(self, span: range) -> list[tuple[str, str]]:
        """Identifiers and texts of neighbouring documents, by number."""
        ids, texts = (held[span.start : span.stop] for held in (self.ids, self._texts))
        return list(zip(ids, texts, strict=True))

    def items(self) -> Any:
        """Pairs in the order they were written, in one pass."""
        return zip(self.ids, self._texts, strict=True)

    def values(self) -> Any:
        """Texts in the order they were written, in one pass."""
        return iter(self._texts)
