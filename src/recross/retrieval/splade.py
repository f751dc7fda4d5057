"""SPLADE: sparse vectors over the vocabulary from a masked language model, searched exactly.

A score is the product of two such vectors (Formal et al. 2021).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np

from recross.artefacts.manifest import find_damage, read_sealed, seal_folder
from recross.artefacts.opening import open_once
from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.location import CHECKPOINT
from recross.checkpoints.sentence_layout import with_choices
from recross.checkpoints.sparse_layout import read_sparse_encoder
from recross.collections.collection import Collection
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import handed_over
from recross.records import Cost, JsonObject
from recross.retrieval.cuts import (
    count_document_cuts,
    count_query_cuts,
    describe_cuts,
    read_cuts,
)
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import Retriever
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store, read_manifest, write_json
from recross.writing.progress import progress

if TYPE_CHECKING:
    from scipy import sparse

    from recross.retrieval.sparse_encoder import SparseEncoder, WeighedTexts
    from recross.retrieval.sparse_index import SparseIndex

logger = logging.getLogger(__name__)

WEIGHTS, DOCUMENTS, STARTS, DOC_IDS = "weights.npy", "documents.npy", "starts.npy", "doc_ids.json"


class WeighTexts(Protocol):
    """Weighs the terms of texts."""

    def __call__(self, texts: Sequence[str]) -> WeighedTexts:
        """Weigh them, in their order."""


@dataclass(frozen=True)
@checked
class SPLADE(Retriever):
    """Learned sparse retrieval with a masked language model's checkpoint.

    Documents are encoded once per collection; their weights lie memory-mapped in the store, by
    term. Documents that share no term with the query are not returned, so a ranking may be short.
    ``None`` leaves what the checkpoint says, or what is published for it: how many tokens of
    documents and of queries are read, and the prompts before them.
    """

    checkpoint: str = field(metadata=CHECKPOINT)
    max_length: Annotated[int, Ge(1)] | None = None
    max_query_length: Annotated[int, Ge(1)] | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

    def check(self) -> None:
        """Load the network."""
        self._check_lengths()

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"SPLADE {self.checkpoint}"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for each query.

        Raises:
            InputError: a length exceeds the positions of the checkpoint.
        """
        self._check_lengths()
        folder = self._index_folder(collection)
        index, doc_ids = open_once(_open_index, folder)
        queries = self._weigh_queries([collection.queries[query_id] for query_id in query_ids])
        matches = index.search(queries.weights, depth)
        run = make_run("splade", doc_ids, zip(query_ids, matches, strict=True), depth)
        cuts = read_cuts(read_manifest(folder)) + count_query_cuts(queries.lengths, queries.lost)
        return replace(run, cost=cuts)

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return sum(parameter.numel() for parameter in self._encoder.model.parameters())

    @property
    def _encoder(self) -> SparseEncoder:
        from recross.retrieval.sparse_encoder import load_sparse_encoder

        return load_sparse_encoder(self.checkpoint, self._contract, self.hardware)

    @cached_property
    def _contract(self) -> SparseContract:
        return with_choices(
            read_sparse_encoder(self.checkpoint),
            max_length=self.max_length,
            max_query_length=self.max_query_length,
            query_prompt=self.query_prompt,
            document_prompt=self.document_prompt,
        )

    def _weigh_queries(self, texts: Sequence[str]) -> WeighedTexts:
        contract = self._contract
        limit = self._fit(contract.max_query_length or contract.max_length)
        return self._encoder.encode(texts, limit, contract.query_prompt)

    def _weigh_documents(self, texts: Sequence[str]) -> WeighedTexts:
        limit = self._fit(self._contract.max_length)
        return self._encoder.encode(texts, limit, self._contract.document_prompt)

    def _fit(self, limit: int) -> int:
        """A limit of the checkpoint's own ends where its model has no more positions."""
        from recross.inference.encoders.families import find_encoder

        model = self._encoder.model
        positions = find_encoder(model.config).positions(model)
        return limit if positions is None else min(limit, positions)

    def _index_folder(self, collection: Collection) -> Path:
        def make(folder: Path) -> JsonObject:
            return write_index(folder, collection.documents, self._weigh_documents)

        encoder = SPLADE(self.checkpoint, hardware=self.hardware)
        contract = replace(
            self._contract, name="", max_query_length=None, query_prompt="", source=""
        )
        identity = {
            "encoder": encoder,
            "contract": contract,
            "collection": collection.texts_fingerprint,
        }
        return Store(self.store).artefact("sparse", identity, make, resumable=True)

    def _check_lengths(self) -> None:
        from recross.inference.encoders.families import find_encoder

        model = self._encoder.model
        limits = {"max_length": self.max_length, "max_query_length": self.max_query_length}
        for name, tokens in limits.items():
            if tokens is not None:
                find_encoder(model.config).check_positions(model, name, tokens)


def write_index(
    folder: Path,
    documents: Mapping[str, str],
    encode: WeighTexts,
) -> JsonObject:
    """Encode documents chunk by chunk, after those an interruption left; turn them into an index.

    Only one chunk is in memory while texts are encoded; all weights are when they are sorted by
    term. Returns entries for the manifest.
    """
    from scipy import sparse

    from recross.retrieval.document_vectors import DOCUMENTS_PER_CHUNK

    texts = iter(documents.values())
    chunks: list[Path] = []
    with progress(len(documents), "encoding", "document") as bar:
        while chunk := list(islice(texts, DOCUMENTS_PER_CHUNK)):
            chunks.append(folder / f"chunk_{len(chunks)}.npz")
            if not _is_sound(chunks[-1]):
                weighed = encode(chunk)
                _save_whole(chunks[-1], weighed.weights)
                lost = describe_cuts(count_document_cuts(weighed.lengths, weighed.lost))
                seal_folder(folder, lost, [chunks[-1].name], _name_seal(chunks[-1]))
            bar.update(len(chunk))
    weights = sparse.vstack([sparse.load_npz(path) for path in chunks], format="csr")
    by_term = weights.T.tocsr()  # (terms, documents)
    for name, values in zip(
        (WEIGHTS, DOCUMENTS, STARTS), (by_term.data, by_term.indices, by_term.indptr), strict=True
    ):
        np.save(folder / name, values)
    write_json(folder / DOC_IDS, list(documents))
    sealed = [read_sealed(folder, _name_seal(path)) or {} for path in chunks]
    cuts = sum(map(read_cuts, sealed), Cost())
    for path in chunks:
        path.unlink()
        path.with_suffix(".json").unlink()
    return {"documents": len(documents), "weights": int(by_term.nnz), **describe_cuts(cuts)}


def _name_seal(chunk: Path) -> str:
    """The manifest of a chunk: what was cut of its texts, and its size and checksum."""
    return chunk.with_suffix(".json").name


def _is_sound(chunk: Path) -> bool:
    """Whether a chunk is there as it was written; one that is damaged is said."""
    if not (chunk.is_file() and (chunk.parent / _name_seal(chunk)).is_file()):
        return False
    damage = find_damage(chunk.parent, _name_seal(chunk))
    if damage is not None:
        logger.warning("%s: %s; encoded again", chunk.parent, damage)
    return damage is None


def _save_whole(path: Path, weights: sparse.csr_array) -> None:
    """Save a chunk that is on the disk before it has its name."""
    from scipy import sparse

    partial_file = path.with_suffix(".partial")
    with partial_file.open("wb") as file:
        sparse.save_npz(file, weights)
        file.flush()
        os.fsync(file.fileno())
    partial_file.replace(path)


def _open_index(folder: Path) -> tuple[SparseIndex, list[str]]:
    from scipy import sparse

    from recross.retrieval.sparse_index import SparseIndex

    doc_ids = json.loads((folder / DOC_IDS).read_text(encoding="utf-8"))
    values, documents, starts = (
        np.load(folder / name, mmap_mode="r") for name in (WEIGHTS, DOCUMENTS, STARTS)
    )
    shape = (len(starts) - 1, len(doc_ids))
    return SparseIndex(sparse.csr_array((values, documents, starts), shape=shape)), doc_ids
