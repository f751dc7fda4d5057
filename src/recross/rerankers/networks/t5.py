"""A T5 that is read at its first decoder step, or at a head on its encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.heads import multiply_exactly, pick_rows, reading
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.pretrained import Pretrained
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.padded import PaddedForward
from recross.inference.encoders.t5_decoder import first_step, read_head_rows
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import Joiner, prompt_template
from recross.rerankers.networks.answers import PromptNetwork, find_piece


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


def _end(tokenizer: Tokenizer, contract: PromptContract) -> list[int]:
    if not contract.add_eos:
        return []
    return [
        tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    ]
