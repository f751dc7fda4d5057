"""Re-rankers on T5, read at their first decoder step and never asked to generate.

monoT5 (Nogueira et al. 2020), RankT5 (Zhuang et al. 2023) in its encoder-decoder and encoder-only
forms, and any other prompt with answers of one token each: which it is, the contract says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Self

import torch
from torch import Tensor, nn

from recross.checkpoints import pretrained
from recross.checkpoints.contracts import T5_FAMILIES, PromptContract
from recross.checkpoints.grown_t5 import grow_t5
from recross.checkpoints.heads import multiply_exactly, pick_rows, reading
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.pretrained import Pretrained
from recross.checkpoints.resolution import resolve_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.padded import PaddedForward
from recross.inference.encoders.t5_decoder import first_step, read_head_rows
from recross.inference.network import Forward
from recross.inference.sequences import Sequences
from recross.inference.session import Session
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import Joiner, prompt_template
from recross.parts.bounds import Ge, Seed, checked
from recross.rerankers.answers import PromptNetwork, find_piece
from recross.rerankers.reranker import NetworkReranker


class T5Network(PromptNetwork):
    """A T5 with its tokenizer and contract."""

    kind = "T5 network"
    heads = ("classifier",)
    _opening: Tensor  # what the decoder is given: its start, and what the contract adds

    def __init__(self, loaded: Pretrained, contract: PromptContract) -> None:
        family = find_encoder(loaded.model.config)
        super().__init__(loaded, contract, family, first_only=contract.reads_head)
        tokenizer = loaded.tokenizer
        opening = [find_piece(tokenizer, piece) for piece in contract.opening]
        start = loaded.config.decoder_start_token_id
        self.register_buffer("_opening", torch.tensor([start or 0, *opening]), persistent=False)
        template = prompt_template(tokenizer, contract.template, _end(tokenizer, contract))
        if contract.max_length <= template.size:
            raise InputError(
                f"max_length must exceed the {template.size} tokens of the template,"
                f" got {contract.max_length}"
            )
        self._joiner = Joiner(tokenizer, template, contract.max_length, contract.max_query_length)

    def encode_texts(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints
    ) -> Sequences:
        """Turn items of (query number, document number or numbers) into token sequences."""
        return self._joiner.join(queries, documents, items)

    @property
    def stacks(self) -> Sequence[Sequence[nn.Module]]:
        """The encoder's layers and, unless a head reads its output, the decoder's."""
        if self.contract.reads_head:
            return (self.layers,)
        return self.layers, list(self.model.get_decoder().block)

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the answers, worst first, ``(B, C)``."""
        return self._answers(self.live, batch, self.dropout)

    def frozen_answers(self, session: Session) -> Forward:
        """Return the logits of the answers from weights that are copied once."""
        forward = self.frozen(session.hardware)
        return lambda batch: self._answers(forward, batch, 0.0)

    def _answers(self, forward: EncoderForward, batch: PackedBatch, dropout: float) -> Tensor:
        if self.contract.reads_head:  # on the encoder: there is no decoder
            return forward.logits(batch, dropout)
        if isinstance(forward, PaddedForward):
            return self._padded(forward, batch)
        states = forward.states(batch, dropout)
        state = first_step(self.model, states, batch, self._opening, dropout)
        return multiply_exactly(state, read_head_rows(self.model, self.pieces))

    def _padded(self, forward: PaddedForward, batch: PackedBatch) -> Tensor:
        decoder_ids = self._opening.expand(len(batch), -1)
        with reading(self.pieces):
            logits = forward.model_logits(batch, decoder_input_ids=decoder_ids, use_cache=False)
        return pick_rows(self.model, logits[:, -1], self.pieces)


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
        encoder_only = contract.reads_head
        if self.grown_layers is not None:
            return grow_t5(
                self.checkpoint_place, self.grown_layers, self.seed, encoder_only=encoder_only
            )
        kind: pretrained.Kind = "token_classifier" if encoder_only else "sequence_to_sequence"
        fresh = pretrained.Fresh(self.seed) if self.fresh_head else None
        return pretrained.load(kind, self.checkpoint_place, families=T5_FAMILIES, fresh=fresh)


def _end(tokenizer: Tokenizer, contract: PromptContract) -> list[int]:
    if not contract.add_eos:
        return []
    return [
        tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    ]
