"""Late interaction (ColBERT, Khattab & Zaharia 2020): query and document encoded apart.

Every token becomes a vector; a query token's score is its best cosine among the document's tokens,
and the document's score their sum (MaxSim).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from recross.checkpoints.late_contract import LateInteractionContract
from recross.collections.collection import Collection
from recross.parts.bounds import Ge, Seed, checked
from recross.records import Cost
from recross.rerankers.reranker import NetworkReranker
from recross.runs import Run
from recross.sharing.work import SharedWork

if TYPE_CHECKING:
    from recross.inference.late_interaction.kept_vectors import EncodedCollection
    from recross.inference.late_interaction.network import LateInteractionNetwork
    from recross.inference.late_interaction.token_vectors import TokenVectors
    from recross.inference.texts.collection_texts import CollectionTexts


@dataclass(frozen=True)
@checked
class LateInteraction(NetworkReranker):
    """ColBERT as a re-ranker of candidates.

    Documents are encoded once per collection and kept in the store, in half precision or in int8
    with one scale per token; ``vectors="none"`` encodes candidates as they come. Checkpoints are
    laid out as ColBERT's own, PyLate's or sentence-transformers' MultiVectorEncoder's.
    ``fresh_head`` allows a checkpoint without the linear layer, to be trained, drawn from
    ``head_seed``.
    """

    contract: str | LateInteractionContract | None = None
    vectors: Literal["fp16", "int8", "none"] = "fp16"
    layers: Annotated[int, Ge(1)] | None = None
    fresh_head: bool = False
    head_seed: Seed = 0
    _: KW_ONLY

    def load(self) -> LateInteractionNetwork:
        """Load the checkpoint's network with its contract."""
        from recross.checkpoints import pretrained
        from recross.inference.late_interaction.loading import load_network

        fresh = pretrained.Fresh(self.head_seed, labels=None) if self.fresh_head else None
        return load_network(self.checkpoint_place, self.contract, self.layers, fresh)

    @cached_property
    def network(self) -> LateInteractionNetwork:
        """The network, loaded on first use.

        Raises:
            InputError: the hardware is none that computes its scores.
        """
        network = self.load()
        network.check(self.hardware)
        return network

    def trained(self, folder: Path) -> LateInteraction:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            contract=None,
            layers=None,
            fresh_head=False,
        )

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by MaxSim, from the collection's stored vectors."""
        from recross.inference.late_interaction.encoding import encode_query
        from recross.inference.sequences import count_cuts

        if self.vectors == "none":
            return self.rerank_with(self.engine, candidates, collection)
        stored = self.token_vectors(collection)
        start = time.perf_counter()
        query_ids = list(candidates.rankings)
        texts, numbers = self._texts_of(collection).queries(query_ids)
        queries = self.network.query_tokens(texts).take(numbers)
        cuts = Cost()
        scores: dict[str, dict[str, float]] = {}
        for number, query_id in enumerate(query_ids):
            vectors = encode_query(self.network, queries.take([number]), self.hardware.device)
            doc_ids = candidates.doc_ids(query_id)
            scores[query_id] = dict(
                zip(doc_ids, stored.max_sim(vectors, doc_ids).tolist(), strict=True)
            )
            lost = stored.lost(doc_ids)
            cuts += count_cuts(np.column_stack([np.full_like(lost, queries.lost[number, 0]), lost]))
        cost = cuts + Cost(
            pairs=sum(map(len, scores.values())),
            tokens=int(np.maximum(queries.lengths, self.network.query_length).sum()),
            forward_passes=len(query_ids),
            batches=len(query_ids),
            total_seconds=time.perf_counter() - start,
        )
        return Run.from_scores(self.name, scores, cost)

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """The vectors of all documents, where they are kept."""
        return () if self.vectors == "none" else [self._encode(collection).parts]

    def token_vectors(self, collection: Collection) -> TokenVectors:
        """The vectors of every document, made first unless they are already in the store."""
        self.check_trained()
        return self._encode(collection).open()

    def _encode(self, collection: Collection) -> EncodedCollection:
        from recross.inference.late_interaction.kept_vectors import EncodedCollection, KeptVectors

        kept = KeptVectors(
            self.checkpoint_place,
            self.contract,
            "int8" if self.vectors == "int8" else "fp16",
            self.layers,
            hardware=self.hardware,
        )
        return EncodedCollection(kept, lambda: self.network, collection, self.store)

    def _texts_of(self, collection: Collection) -> CollectionTexts:
        from recross.inference.texts.collection_texts import CollectionTexts

        return CollectionTexts(collection, self.store)
