"""Re-rankers on T5, read at their first decoder step and never asked to generate.

monoT5 (Nogueira et al. 2020), RankT5 (Zhuang et al. 2023) in its encoder-decoder and encoder-only
forms, and any other prompt with answers of one token each: which it is, the contract says.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from recross.checkpoints.contracts import T5_FAMILIES, PromptContract
from recross.checkpoints.resolution import resolve_contract
from recross.errors import InputError
from recross.parts.bounds import Ge, Seed, checked
from recross.rerankers.reranker import NetworkReranker

if TYPE_CHECKING:
    from recross.checkpoints import pretrained
    from recross.checkpoints.pretrained import Pretrained
    from recross.rerankers.networks.t5 import T5Network


@dataclass(frozen=True)
@checked
class T5Reranker(NetworkReranker):
    """A T5 by checkpoint, with the contract that is stored, published, named or given.

    ``grown_layers`` grows a small T5 of as many encoder layers, and a fresh one in the decoder,
    from a BERT checkpoint: to be trained. ``fresh_head`` allows a checkpoint without the dense head
    that an encoder-only contract reads.
    ``max_length`` and ``max_query_length`` override the contract's limits.
    """

    contract: str | PromptContract | None = None
    max_length: Annotated[int, Ge(8)] | None = None
    max_query_length: Annotated[int, Ge(1)] | None = None
    grown_layers: Annotated[int, Ge(1)] | None = None
    fresh_head: bool = False
    seed: Seed = 0
    _: KW_ONLY

    def __post_init__(self) -> None:
        if self.grown_layers is not None and self.contract is None:
            raise InputError("contract must be given for grown_layers, got none")

    def load(self) -> T5Network:
        """Load the checkpoint's network with its contract."""
        from recross.rerankers.networks.t5 import T5Network

        contract = resolve_contract(
            self.checkpoint_place,
            self.contract,
            PromptContract,
            compares=self.reading.compares,
            max_length=self.max_length,
            max_query_length=self.max_query_length,
        )
        loaded = self._weights(contract)
        return T5Network(loaded, contract).eval()

    def trained(self, folder: Path) -> Self:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            contract=None,
            grown_layers=None,
            fresh_head=False,
        )

    def _weights(self, contract: PromptContract) -> Pretrained:
        from recross.checkpoints import pretrained
        from recross.checkpoints.grown_t5 import grow_t5

        encoder_only = contract.reads_head
        if self.grown_layers is not None:
            return grow_t5(
                self.checkpoint_place, self.grown_layers, self.seed, encoder_only=encoder_only
            )
        kind: pretrained.Kind = "token_classifier" if encoder_only else "sequence_to_sequence"
        fresh = pretrained.Fresh(self.seed) if self.fresh_head else None
        return pretrained.load(kind, self.checkpoint_place, families=T5_FAMILIES, fresh=fresh)
