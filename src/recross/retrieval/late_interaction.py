"""Late interaction as a first stage: MaxSim of every query with every document of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recross.artefacts.opening import load_once
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.location import CHECKPOINT
from recross.collections.collection import Collection
from recross.inference.late_interaction.token_vectors import Floats, Storage, TokenVectors
from recross.machine.hardware import Hardware
from recross.parts.bounds import Gt, checked
from recross.parts.identity import handed_over
from recross.records import Cost
from recross.retrieval.cuts import count_document_cuts, count_query_cuts
from recross.retrieval.matches import Matches, make_run
from recross.retrieval.retriever import Retriever
from recross.retrieval.vector_index import NOTHING, compute_products
from recross.runs import Run
from recross.sharing.document_parts import DocumentParts
from recross.store import DEFAULT_STORE
from recross.writing.progress import progress

if TYPE_CHECKING:
    from recross.inference.late_interaction.kept_vectors import EncodedCollection
    from recross.inference.late_interaction.network import LateInteractionNetwork

TOKENS_AT_ONCE = 1 << 14
"""Token vectors of documents in single precision at a time while a collection is searched."""

QUERY_VECTORS_AT_ONCE = 1 << 10
"""Vectors of queries multiplied with a block together: with it, bounds the memory for products."""


@dataclass(frozen=True)
@checked
class LateInteractionSearch(Retriever):
    """ColBERT over all documents of a collection, exactly and without an index.

    Every query is compared with the stored vectors of every token, on the processor, so it is for
    collections of up to some hundred thousand documents: ``most_gigabytes`` refuses larger ones
    before anything is encoded. The vectors are those that the re-ranker of the same checkpoint
    keeps, in half precision or in int8 with one scale per token (``vectors``).
    """

    checkpoint: str = field(metadata=CHECKPOINT)
    contract: str | LateInteractionContract | None = None
    vectors: Storage = "fp16"
    most_gigabytes: Annotated[float, Gt(0)] = field(default=4.0, compare=False)
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

    def check(self) -> None:
        """Load the network."""
        _ = self._network

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"late interaction {self.checkpoint}"

    @property
    def parameters(self) -> int:
        """The number of parameters of the network."""
        return sum(int(parameter.numel()) for parameter in self._network.parameters())

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for all queries at once.

        Raises:
            InputError: the vectors of its documents would take more than ``most_gigabytes``.
        """
        from recross.inference.late_interaction.encoding import encode_query
        from recross.inference.texts.collection_texts import CollectionTexts

        network = self._network
        documents = self.token_vectors(collection)
        texts, numbers = CollectionTexts(collection, self.store).queries(query_ids)
        tokens = network.query_tokens(texts).take(numbers)
        device = self.hardware.device
        queries = [encode_query(network, tokens.take([row]), device) for row in range(len(tokens))]
        matches = search_by_max_sim(documents, queries, depth)
        named = zip(query_ids, matches, strict=True)
        run = make_run("late_interaction", documents.doc_ids, named, depth)
        cuts = count_query_cuts(tokens.lengths, tokens.lost[:, 0])
        return replace(run, cost=_count_cuts(documents) + cuts)

    def document_parts(self, collection: Collection) -> list[DocumentParts]:
        """The vectors of the documents' tokens, some thousand documents a part."""
        return [self._encode(collection).parts]

    def document_cost(self, collection: Collection) -> Cost:
        """What was read and cut of the documents when they were encoded."""
        return _count_cuts(self.token_vectors(collection))

    def token_vectors(self, collection: Collection) -> TokenVectors:
        """Open the vectors of every document, encoded first unless they are already in the store.

        Raises:
            InputError: they would take more than ``most_gigabytes``.
        """
        return self._encode(collection).open()

    def _encode(self, collection: Collection) -> EncodedCollection:
        from recross.inference.late_interaction.kept_vectors import EncodedCollection, KeptVectors

        kept = KeptVectors(self.checkpoint, self.contract, self.vectors, hardware=self.hardware)
        most_bytes = int(self.most_gigabytes * 1e9)
        return EncodedCollection(kept, lambda: self._network, collection, self.store, most_bytes)

    @property
    def _network(self) -> LateInteractionNetwork:
        return _load(self.checkpoint, self.contract, self.hardware)


def _count_cuts(documents: TokenVectors) -> Cost:
    read = np.diff(documents.offsets)  # what punctuation was left out is not among them
    return count_document_cuts(read, documents.cuts)


@load_once
def _load(
    checkpoint: str, contract: str | LateInteractionContract | None, hardware: Hardware
) -> LateInteractionNetwork:
    from recross.inference.late_interaction.loading import load_network

    network = load_network(checkpoint, contract)
    network.check(hardware)
    return network.to(hardware.device)


def search_by_max_sim(
    documents: TokenVectors, queries: Sequence[Floats], depth: int
) -> list[Matches]:
    """Find each query's best ``depth`` documents and those that tie with the last of them.

    ``queries`` are ``(L, dimension)`` each. Equal documents have equal scores, to the last bit.
    """
    best = [NOTHING] * len(queries)
    groups = _group([len(query) for query in queries])
    with progress(len(documents.rows), "searching", "document") as bar:
        for first, vectors, begins in documents.blocks(TOKENS_AT_ONCE):
            for group in groups:
                some = queries[group]
                similar = compute_products(np.concatenate(some), vectors)  # (query tokens, T)
                nearest = np.maximum.reduceat(similar, begins, axis=1)  # (query tokens, documents)
                ends = np.cumsum([len(query) for query in some])[:-1]
                for number, of_query in enumerate(np.split(nearest, ends), group.start):
                    scores = of_query.sum(axis=0)
                    best[number] = best[number].with_block(first, scores, depth)
            bar.update(len(begins))
    return best


def _group(lengths: Sequence[int]) -> list[slice]:
    """Divide queries into groups of so many vectors, or of one query."""
    groups, start, held = [], 0, 0
    for number, length in enumerate(lengths):
        if number > start and held + length > QUERY_VECTORS_AT_ONCE:
            groups.append(slice(start, number))
            start, held = number, 0
        held += length
    return [*groups, slice(start, len(lengths))] if lengths else []
