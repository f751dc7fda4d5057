"""Token vectors of a whole collection on disk, memory-mapped, in half precision or int8."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from recross.artefacts.growing import GrowingFiles
from recross.inference.spans import Ints, lay_out_spans
from recross.inference.texts.texts import NumberedTexts
from recross.records import JsonObject
from recross.sharing.document_parts import DocumentParts
from recross.store import read_manifest, write_json
from recross.writing.progress import Bar, progress

Storage = Literal["fp16", "int8"]
Floats = npt.NDArray[np.float32]

VECTORS, SCALES, OFFSETS, DOC_IDS = "vectors.bin", "scales.npy", "offsets.npy", "doc_ids.json"
CUTS = "cuts.npy"
SIZES, LOST, RAW_SCALES = "sizes.bin", "lost.bin", "scales.bin"
"""What grows while documents are encoded, beside their vectors."""

DOCUMENTS_AT_A_TIME = 5_000
"""Documents sorted by length together at most, and what an interruption loses at most."""

EncodeDocuments = Callable[[NumberedTexts], Iterator[tuple[Floats, int]]]
"""Yields each document's vectors, in order, and how many tokens were cut off it."""


@dataclass(frozen=True)
class TokenVectors:
    """Vectors of all documents end to end; ``scales`` multiply those stored as int8."""

    vectors: npt.NDArray[np.float16] | npt.NDArray[np.int8]  # (T, dimension), float16 or int8
    scales: Floats | None  # (T,)
    offsets: Ints  # (documents + 1,)
    cuts: Ints  # (documents,) tokens that were cut off
    rows: Mapping[str, int]

    @classmethod
    def write(
        cls,
        folder: Path,
        documents: NumberedTexts,
        doc_ids: Sequence[str],
        encode: EncodeDocuments,
        storage: Storage,
        parts: DocumentParts,
    ) -> JsonObject:
        """Encode documents into a folder, after those that an interruption left there.

        Only one chunk is in memory: that of ``parts`` if somebody made it, which is then deleted.
        A chunk counts as written when the folder's record of it, replaced after its bytes are on
        the disk, says so. Returns entries for the manifest.
        """
        files = GrowingFiles(folder, VECTORS, SIZES, LOST, RAW_SCALES)
        written = _Written(**files.facts)
        with progress(len(documents), "encoding", "document", written.documents) as bar:
            while written.documents < len(documents):
                number = written.documents // parts.documents_per_part
                span = range(written.documents, parts.span(number).stop)
                if span == parts.span(number) and (part := parts.find(number)) is not None:
                    chunk = _Chunk.of(cls.open(part))
                    bar.update(len(span))
                else:
                    chunk = _read_chunk(encode(documents.take(np.array(span))), storage, bar)
                written = _append(files, written, chunk)
                parts.drop(number)
        return _finish(folder, doc_ids, storage, written)

    @classmethod
    def write_part(
        cls,
        folder: Path,
        documents: NumberedTexts,
        doc_ids: Sequence[str],
        encode: EncodeDocuments,
        storage: Storage,
    ) -> JsonObject:
        """Encode one chunk of documents into a folder of its own, as a whole of few."""
        files = GrowingFiles(folder, VECTORS, SIZES, LOST, RAW_SCALES)
        with progress(len(documents), "encoding", "document") as bar:
            chunk = _read_chunk(encode(documents), storage, bar)
        return _finish(folder, doc_ids, storage, _append(files, _Written(), chunk))

    @classmethod
    def open(cls, folder: Path) -> TokenVectors:
        """Map a finished folder into memory."""
        facts = read_manifest(folder)
        int8 = facts["storage"] == "int8"
        doc_ids = json.loads((folder / DOC_IDS).read_text(encoding="utf-8"))
        return cls(
            np.memmap(
                folder / VECTORS,
                dtype=np.int8 if int8 else np.float16,
                mode="r",
                shape=(facts["tokens"], facts["dimension"]),
            ),
            np.load(folder / SCALES) if int8 else None,
            np.load(folder / OFFSETS),
            np.load(folder / CUTS),
            {doc_id: number for number, doc_id in enumerate(doc_ids)},
        )

    @property
    def doc_ids(self) -> list[str]:
        """The documents, in the order of their vectors."""
        return list(self.rows)

    def blocks(self, tokens: int) -> Iterator[tuple[int, Floats, Ints]]:
        """All vectors in single precision, at most so many ``tokens`` at a time, or one document.

        Each block is the number of its first document, its vectors ``(T, dimension)``, and where
        each of its documents begins among them.
        """
        first, count = 0, len(self.offsets) - 1
        while first < count:
            begin = int(self.offsets[first])
            end = int(np.searchsorted(self.offsets, begin + tokens, side="right")) - 1
            stop = min(max(end, first + 1), count)
            span = slice(begin, int(self.offsets[stop]))
            vectors = self.vectors[span].astype(np.float32)
            if self.scales is not None:
                vectors *= self.scales[span][:, None]
            yield first, vectors, self.offsets[first:stop] - begin
            first = stop

    def lost(self, doc_ids: Sequence[str]) -> Ints:
        """How many tokens each of these documents has lost, ``(N,)``."""
        return self.cuts[[self.rows[doc_id] for doc_id in doc_ids]]

    def max_sim(self, query: Floats, doc_ids: Sequence[str]) -> Floats:
        """Sum over the query's vectors of each one's best product within a document, ``(N,)``.

        ``query`` is ``(query_length, dimension)``.
        """
        if not doc_ids:
            return np.empty(0, dtype=np.float32)
        numbers = np.array([self.rows[doc_id] for doc_id in doc_ids])
        lengths = np.diff(self.offsets)[numbers]
        at, offsets = lay_out_spans(self.offsets[numbers], lengths)
        vectors = self.vectors[at].astype(np.float32)  # (tokens of these documents, dimension)
        if self.scales is not None:
            vectors *= self.scales[at][:, None]
        similar = vectors @ query.T
        best: Floats = np.maximum.reduceat(similar, offsets[:-1], axis=0)  # (N, query_length)
        scores: Floats = best.sum(axis=1)
        return scores


class _Written(NamedTuple):
    """What an encoding has finished; nothing at first."""

    documents: int = 0
    tokens: int = 0
    dimension: int = 0


class _Chunk(NamedTuple):
    """Some documents end to end, as they are stored."""

    vectors: npt.NDArray[np.float16] | npt.NDArray[np.int8]  # (T, dimension)
    scales: Floats  # (T,) of int8, else none
    sizes: Ints  # (documents,)
    lost: Ints  # (documents,)

    @classmethod
    def of(cls, stored: TokenVectors) -> _Chunk:
        """All that is stored of some documents."""
        scales = np.empty(0, np.float32) if stored.scales is None else stored.scales
        return cls(stored.vectors, scales, np.diff(stored.offsets), stored.cuts)


def _read_chunk(encoded: Iterator[tuple[Floats, int]], storage: Storage, bar: Bar) -> _Chunk:
    documents, lost = [], []
    for vectors, cut in encoded:
        documents.append(vectors)
        lost.append(cut)
        bar.update(1)
    sizes = np.array([len(vectors) for vectors in documents], dtype=np.int64)
    vectors = np.concatenate(documents)
    if storage == "fp16":
        halved, no_scales = vectors.astype(np.float16), np.empty(0, np.float32)
        return _Chunk(halved, no_scales, sizes, np.array(lost, dtype=np.int64))
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float32)
    rounded = np.rint(vectors / np.maximum(scales, 1e-12)[:, None]).astype(np.int8)
    return _Chunk(rounded, scales, sizes, np.array(lost, dtype=np.int64))


def _append(files: GrowingFiles, written: _Written, chunk: _Chunk) -> _Written:
    tokens, dimension = chunk.vectors.shape
    now = _Written(
        written.documents + len(chunk.sizes),
        written.tokens + tokens,
        dimension,
    )
    parts = {
        VECTORS: chunk.vectors,
        SIZES: chunk.sizes,
        LOST: chunk.lost,
        RAW_SCALES: chunk.scales,
    }
    files.append(parts, now._asdict())
    return now


def _finish(
    folder: Path, doc_ids: Sequence[str], storage: Storage, written: _Written
) -> JsonObject:
    """Write what is read beside the vectors; returns entries for the manifest."""
    sizes, cuts = (np.fromfile(folder / name, np.int64) for name in (SIZES, LOST))
    np.save(folder / OFFSETS, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    np.save(folder / CUTS, cuts)
    if storage == "int8":
        np.save(folder / SCALES, np.fromfile(folder / RAW_SCALES, np.float32))
    write_json(folder / DOC_IDS, list(doc_ids))
    return {"storage": storage, "dimension": written.dimension, "tokens": written.tokens}
