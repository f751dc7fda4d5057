"""Cross-encoders with a classification head: query and document read together.

The form is monoBERT's (Nogueira & Cho 2019): ``[CLS] query [SEP] document [SEP]`` through a
BERT-like encoder, a score from the first token; or duoBERT's, with two documents to compare.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.resolution import resolve_contract
from recross.errors import InputError
from recross.parts.bounds import Ge, Seed, checked
from recross.rerankers.reranker import NetworkReranker

if TYPE_CHECKING:
    from recross.rerankers.networks.pairs import PairNetwork


@dataclass(frozen=True)
@checked
class CrossEncoder(NetworkReranker):
    """A cross-encoder with a classification head.

    ``layers`` keeps only the first layers of the encoder. ``fresh_head`` allows a checkpoint that
    has no classification head; it gets one drawn from ``head_seed``, to be trained: on the first
    token, or (``head="span_cosine"``) one that begins as the cosine of the query's and the
    document's tokens, so that a bi-encoder's checkpoint ranks before it has learned anything.
    ``contract`` names a published scoring contract where the checkpoint does not say;
    ``max_length`` and ``max_query_length`` override its limits.
    """

    layers: Annotated[int, Ge(1)] | None = None
    fresh_head: bool = False
    head_seed: Seed = 0
    head: Literal["first_token", "span_cosine"] = "first_token"
    max_length: Annotated[int, Ge(8)] | None = None
    max_query_length: Annotated[int, Ge(1)] | None = None
    contract: str | ClassifierContract | None = None
    _: KW_ONLY

    def __post_init__(self) -> None:
        if self.head != "first_token" and (not self.fresh_head or self.reading.compares):
            raise InputError(
                f"head={self.head} must be a fresh head (fresh_head=true) for single documents,"
                " got one that is read or compares"
            )

    def load(self) -> PairNetwork:
        """Load the checkpoint's network with its contract."""
        from recross.checkpoints import pretrained
        from recross.checkpoints.pooled_classifier import describe_head, find_chain
        from recross.rerankers.networks.pairs import (
            PairNetwork,
            fit_to_positions,
            read_own_contract,
        )

        drawn = pretrained.Fresh(self.head_seed, reads_spans=self.head == "span_cosine")
        fresh = drawn if self.fresh_head else None
        loaded = pretrained.load(
            "sequence_classifier", self.checkpoint_place, layers=self.layers, fresh=fresh
        )
        contract = resolve_contract(
            self.checkpoint_place,
            fit_to_positions(self.fresh_contract, loaded) if self.fresh_head else self.contract,
            ClassifierContract,
            compares=self.reading.compares,
            max_length=self.max_length,
            max_query_length=self.max_query_length,
            from_config=lambda: read_own_contract(self.checkpoint_place, loaded),
        )
        chain = find_chain(loaded.model)
        if chain is not None:
            contract = replace(contract, head=describe_head(chain))
        return PairNetwork(loaded, contract).eval()

    def trained(self, folder: Path) -> Self:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            layers=None,
            fresh_head=False,
            head="first_token",
            contract=None,
        )

    @property
    def fresh_contract(self) -> ClassifierContract:
        """That of a head yet to be trained."""
        return ClassifierContract("fresh")
