"""Causal language models as pointwise re-rankers, read at the last token of a prompt.

Yes/no models (Qwen3-Reranker, Zhang et al. 2025) by the logits of their answers; RankLLaMA
(Ma et al. 2024) by a linear head. Nothing is generated.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.resolution import resolve_contract
from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, Seed, checked
from recross.records import Cost
from recross.rerankers.reranker import NetworkReranker
from recross.runs import Run

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.rerankers.networks.causal import CausalNetwork


@dataclass(frozen=True)
@checked
class CausalReranker(NetworkReranker):
    """A causal language model by checkpoint, with the contract stored, published, named or given.

    ``instruction`` tells it what is wanted, where its prompt has a place for that; queries of a
    collection may have their own, which it is told when it scores and when it learns.
    ``weights`` is the precision in which weights are held: bf16 halves the memory of a model that
    is not to be trained. ``fresh_head`` allows a checkpoint without the linear head that a contract
    reads, to be trained, drawn from ``head_seed``.
    """

    contract: str | PromptContract | None = None
    max_length: Annotated[int, Ge(8)] | None = None
    weights: Literal["fp32", "bf16"] = "fp32"
    fresh_head: bool = False
    head_seed: Seed = 0
    instruction: str | None = None
    _: KW_ONLY

    def load(self) -> CausalNetwork:
        """Load the checkpoint's network with its contract."""
        import torch

        from recross.checkpoints import pretrained
        from recross.checkpoints.chat_layout import read_chat_contract
        from recross.rerankers.networks.causal import CausalNetwork

        contract = resolve_contract(
            self.checkpoint_place,
            self.contract,
            PromptContract,
            max_length=self.max_length,
            from_config=lambda: read_chat_contract(self.checkpoint_place),
        ).with_instruction(self.instruction)
        loaded = pretrained.load(
            "sequence_classifier" if contract.reads_head else "causal_lm",
            self.checkpoint_place,
            fresh=pretrained.Fresh(self.head_seed) if self.fresh_head else None,
            dtype=torch.bfloat16 if self.weights == "bf16" else torch.float32,
        )
        if loaded.config.is_encoder_decoder:
            raise InputError(
                f"checkpoint must be a causal language model, got {self.checkpoint_place!r},"
                f" which is {loaded.config.model_type}"
            )
        return CausalNetwork(loaded, contract).eval()

    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Re-rank through an engine; queries with an instruction of their own are asked with it."""
        from recross.rerankers.networks.causal import CausalNetwork

        network, told = engine.network, collection.instructions
        assert isinstance(network, CausalNetwork)
        if not network.contract.takes_instruction or not told.keys() & candidates.rankings.keys():
            return super().rerank_with(engine, candidates, collection)
        groups: dict[str | None, list[str]] = {}
        network.check_instructions(told[q] for q in candidates.rankings if q in told)
        for query_id in candidates.rankings:
            groups.setdefault(told.get(query_id), []).append(query_id)
        parts = []
        for instruction, query_ids in groups.items():
            asked = network if instruction is None else network.with_instruction(instruction)
            part = candidates.restrict(query_ids)
            own = replace(engine, network=asked)
            parts.append(super().rerank_with(own, part, collection))
        rankings = ChainMap(*(dict(part.rankings) for part in parts))
        return Run(
            self.name,
            {query_id: rankings[query_id] for query_id in candidates.rankings},
            sum((part.cost for part in parts), start=Cost()),
        )

    def trained(self, folder: Path) -> CausalReranker:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            contract=None,
            instruction=None,
            fresh_head=False,
        )
