"""One vector per document of a whole collection, on disk in half precision, memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from recross.artefacts.growing import GrowingFiles
from recross.inference.encoders.pooled import EncodedTexts, Vectors
from recross.inference.texts.texts import NumberedTexts
from recross.records import Cost, JsonObject
from recross.retrieval.cuts import count_document_cuts, describe_cuts, read_cuts
from recross.sharing.document_parts import DocumentParts, choose_part_size
from recross.store import read_manifest, write_json
from recross.writing.progress import Bar, progress

EncodeTexts = Callable[[NumberedTexts], Iterator[EncodedTexts]]
"""Yields numbers of texts, their vectors and what they lost, batch by batch."""

VECTORS, DOC_IDS = "vectors.bin", "doc_ids.json"

DOCUMENTS_PER_CHUNK = 10_000
"""Documents sorted by length together at most, and what an interruption loses at most."""

ROWS_AT_ONCE = 1 << 16
"""Rows in single precision at a time while a collection is searched."""

TILE = 64
"""Documents are multiplied in multiples of this many, zeros added to the last of them.

The rows of an incomplete tile are summed in another order: equal documents would differ.
"""


def choose_chunk(documents: int) -> int:
    """How many of a collection's documents are encoded together."""
    return choose_part_size(documents, DOCUMENTS_PER_CHUNK)


@dataclass(frozen=True)
class DocumentVectors:
    """Vectors ``(N, D)`` in the order of ``doc_ids``; ``cuts`` is how much of the texts was cut."""

    vectors: npt.NDArray[np.float16]
    doc_ids: Sequence[str]
    cuts: Cost = field(default=Cost(), compare=False)

    @classmethod
    def write(
        cls,
        folder: Path,
        documents: NumberedTexts,
        doc_ids: Sequence[str],
        encode: EncodeTexts,
        parts: DocumentParts,
    ) -> JsonObject:
        """Encode documents into a folder, after those that an interruption left there.

        Only one chunk is in memory: that of ``parts`` if somebody made it, which is then deleted. A
        chunk counts as written when its bytes are on the disk and the folder's record of them,
        replaced after that, says so. Returns entries for the manifest.
        """
        file = GrowingFiles(folder, VECTORS)
        done, dimension = file.facts.get("documents", 0), file.facts.get("dimension", 0)
        cuts = read_cuts(file.facts)
        with progress(len(documents), "encoding", "document", done) as bar:
            while done < len(documents):
                number = done // parts.documents_per_part
                if (part := parts.find(number)) is not None:
                    made = cls.open(part)
                    vectors, own = made.vectors, made.cuts
                    bar.update(len(vectors))
                else:
                    chunk = np.array(parts.span(number))
                    vectors, own = _in_order(len(chunk), encode(documents.take(chunk)), bar)
                done, dimension, cuts = done + len(vectors), vectors.shape[1], cuts + own
                facts = {"documents": done, "dimension": dimension, **describe_cuts(cuts)}
                file.append({VECTORS: vectors}, facts)
                parts.drop(number)
        write_json(folder / DOC_IDS, list(doc_ids))
        return {"documents": done, "dimension": dimension, **describe_cuts(cuts)}

    @classmethod
    def write_part(
        cls, folder: Path, documents: NumberedTexts, doc_ids: Sequence[str], encode: EncodeTexts
    ) -> JsonObject:
        """Encode one chunk of documents into a folder of its own, as a whole of few."""
        with progress(len(documents), "encoding", "document") as bar:
            vectors, cuts = _in_order(len(documents), encode(documents), bar)
        (folder / VECTORS).write_bytes(vectors.data)
        write_json(folder / DOC_IDS, list(doc_ids))
        return {"documents": len(vectors), "dimension": vectors.shape[1], **describe_cuts(cuts)}

    @classmethod
    def open(cls, folder: Path) -> DocumentVectors:
        """Map a finished folder into memory."""
        facts = read_manifest(folder)
        shape = (facts["documents"], facts["dimension"])
        # "c": torch wants memory it could write to; the file itself stays as it is
        vectors = np.memmap(folder / VECTORS, dtype=np.float16, mode="c", shape=shape)
        doc_ids = json.loads((folder / DOC_IDS).read_text(encoding="utf-8"))
        return cls(vectors, doc_ids, read_cuts(facts))

    def of(self, doc_ids: Sequence[str]) -> Vectors:
        """These documents' vectors, in this order, in single precision ``(n, D)``."""
        return _single(self.vectors[[self._rows[doc_id] for doc_id in doc_ids]])

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Vectors]]:
        """Vectors in single precision, some at a time, each with the row where they begin."""
        stop = len(self.vectors) if stop is None else stop
        for first in range(start, stop, ROWS_AT_ONCE):
            yield first, _single(self.vectors[first : min(first + ROWS_AT_ONCE, stop)])

    def sample(self, size: int) -> Vectors:
        """At most ``size`` vectors, spread evenly over the collection."""
        step = -(-len(self.vectors) // size)
        return _single(self.vectors[::step])

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {doc_id: row for row, doc_id in enumerate(self.doc_ids)}


def _single(vectors: npt.NDArray[np.float16]) -> Vectors:
    single: Vectors = torch.from_numpy(vectors).float().numpy()  # 0.4 of the time that numpy takes
    return single


def _in_order(
    count: int, batches: Iterator[EncodedTexts], bar: Bar
) -> tuple[npt.NDArray[np.float16], Cost]:
    """The vectors of a chunk in the order of its texts, and how much was cut of them."""
    vectors, cuts = np.empty((0, 0), dtype=np.float16), Cost()
    for numbers, encoded, lengths, lost in batches:
        if not vectors.size:
            vectors = np.empty((count, encoded.shape[1]), dtype=np.float16)
        vectors[numbers] = encoded
        cuts += count_document_cuts(lengths, lost)
        bar.update(len(numbers))
    return vectors, cuts
