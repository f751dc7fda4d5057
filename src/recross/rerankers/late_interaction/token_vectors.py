"""Token vectors of a whole collection on disk, memory-mapped, in half precision or int8."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from recross.inference.spans import Ints, lay_out_spans
from recross.records import JsonObject
from recross.store import read_manifest, write_json

Storage = Literal["fp16", "int8"]
Floats = npt.NDArray[np.float32]

VECTORS, SCALES, OFFSETS, DOC_IDS = "vectors.bin", "scales.npy", "offsets.npy", "doc_ids.json"
CUTS = "cuts.npy"


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
        documents: Iterable[tuple[Floats, int]],
        doc_ids: Sequence[str],
        storage: Storage,
    ) -> JsonObject:
        """Write each document's vectors, with the number of tokens cut off it, as they come.

        Returns entries for the manifest.
        """
        sizes, cuts, scales, dimension = [], [], [], 0
        with (folder / VECTORS).open("wb") as file:
            for vectors, cut in documents:
                sizes.append(len(vectors))
                cuts.append(cut)
                dimension = vectors.shape[1]
                if storage == "int8":
                    scale = np.abs(vectors).max(axis=1) / 127
                    scales.append(scale.astype(np.float32))
                    vectors = np.rint(vectors / np.maximum(scale, 1e-12)[:, None])
                vectors.astype(np.int8 if storage == "int8" else np.float16).tofile(file)
        np.save(folder / OFFSETS, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        np.save(folder / CUTS, np.array(cuts, dtype=np.int64))
        if storage == "int8":
            np.save(folder / SCALES, np.concatenate(scales))
        write_json(folder / DOC_IDS, list(doc_ids))
        return {"storage": storage, "dimension": dimension, "tokens": sum(sizes)}

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
