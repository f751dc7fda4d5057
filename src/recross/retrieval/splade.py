"""SPLADE: sparse vectors over the vocabulary from a masked language model, searched exactly.

A score is the product of two such vectors (Formal et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from recross.retrieval.cuts import count_query_cuts, read_cuts
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import Retriever
from recross.runs import Run
from recross.sharing.document_parts import DocumentParts
from recross.store import DEFAULT_STORE, Store, read_manifest

if TYPE_CHECKING:
    from recross.retrieval.sparse_encoder import SparseEncoder, WeighedTexts


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
        from recross.retrieval.sparse_parts import open_index

        self._check_lengths()
        folder = self._index_folder(collection)
        index, doc_ids = open_once(open_index, folder)
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

    def document_parts(self, collection: Collection) -> list[DocumentParts]:
        """The weights of documents, some thousands a part."""
        return [self._parts_of(collection)]

    def document_cost(self, collection: Collection) -> Cost:
        """What was read and cut of the documents when they were encoded."""
        return read_cuts(read_manifest(self._index_folder(collection)))

    def _index_folder(self, collection: Collection) -> Path:
        from recross.retrieval.sparse_parts import join_parts

        def make(folder: Path) -> JsonObject:
            return join_parts(folder, parts, list(collection.documents))

        parts = self._parts_of(collection)
        return parts.join(make)

    def _parts_of(self, collection: Collection) -> DocumentParts:
        from recross.retrieval.document_vectors import choose_chunk
        from recross.retrieval.sparse_parts import write_part

        @cache
        def list_ids() -> list[str]:
            return list(documents)

        def make(span: range, folder: Path) -> JsonObject:
            texts = [documents[doc_id] for doc_id in list_ids()[span.start : span.stop]]
            return write_part(folder, texts, self._weigh_documents)

        documents = collection.documents
        encoder = SPLADE(self.checkpoint, hardware=self.hardware)
        contract = replace(
            self._contract, name="", max_query_length=None, query_prompt="", source=""
        )
        identity = {
            "encoder": encoder,
            "contract": contract,
            "collection": collection.texts_fingerprint,
        }
        sizes = (len(documents), choose_chunk(len(documents)))
        return DocumentParts(Store(self.store), "sparse", identity, *sizes, make)

    def _check_lengths(self) -> None:
        from recross.inference.encoders.families import find_encoder

        model = self._encoder.model
        limits = {"max_length": self.max_length, "max_query_length": self.max_query_length}
        for name, tokens in limits.items():
            if tokens is not None:
                find_encoder(model.config).check_positions(model, name, tokens)
