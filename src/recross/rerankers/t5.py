"""Re-rankers on T5, read at their first decoder step and never asked to generate.

monoT5 (Nogueira et al. 2020), RankT5 (Zhuang et al. 2023) in its encoder-decoder and encoder-only
forms, and any other prompt with answers of one token each: which it is, the contract says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints import pretrained
from recross.checkpoints.contracts import T5_FAMILIES, PromptContract
from recross.checkpoints.grown_t5 import grow_t5
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import LiveAffine, frozen_affine
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import encoder_of
from recross.inference.encoders.padded import PaddedForward
from recross.inference.encoders.t5_decoder import first_step, head_rows
from recross.inference.network import Forward
from recross.inference.preparation import Preparation, merge, prepare
from recross.inference.session import Session
from recross.inference.tokens import Item, Joiner, Sequences, prompt_template
from recross.parts.bounds import Ge, checked
from recross.rerankers.answers import margin, piece_id, read_out
from recross.rerankers.reranker import NetworkReranker

FP16 = (
    "hardware.precision must be fp32 or bf16 for T5, got 'fp16': its activations exceed fp16's"
    " range and scores become NaN"
)


class T5Network(nn.Module):
    """A T5 with its tokenizer and contract."""

    heads = ("classifier",)

    def __init__(
        self, model: Any, tokenizer: Any, contract: PromptContract, head_is_fresh: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.contract = contract
        self.head_is_fresh = head_is_fresh
        self.documents_per_item = 2 if contract.compares else 1
        self._pieces = [piece_id(tokenizer, piece) for piece in contract.pieces]
        self._opening = [piece_id(tokenizer, piece) for piece in contract.opening]
        template = prompt_template(tokenizer, contract.template, _end(tokenizer, contract))
        if contract.max_length <= template.size:
            raise InputError(
                f"max_length must exceed the {template.size} tokens of the template,"
                f" got {contract.max_length}"
            )
        self._joiner = Joiner(tokenizer, template, contract.max_length, contract.max_query_length)
        self._encoder = encoder_of(model.config)
        self._encoder.check_positions(model, "max_length", contract.max_length)
        self._live = self._learn(recompute=False)

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Turn items of (query number, document number or numbers) into token sequences."""
        return self._joiner.encode(queries, documents, items)

    @property
    def answer_count(self) -> int:
        """How many answers are told apart; 0 where a score is read directly."""
        return len(self._pieces) if len(self._pieces) > 1 else 0

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        prepare(self.model, self._encoder, self.heads, settings)
        self._live = self._learn(settings.gradient_checkpointing)

    def finish_training(self) -> None:
        """Merge what was added; the head is no longer fresh."""
        merge(self.model)
        self.head_is_fresh = False

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``: of two answers the margin, else as they are read."""
        return margin(self.answers(batch), self.contract.read_out)

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the answers, worst first, ``(B, C)``."""
        dropout = self._encoder.dropout(self.model.config) if self.training else 0.0
        return self._answers(self._live, batch, dropout)

    def inference(self, session: Session) -> Forward:
        """Return a scorer of the weights as they are now, read out as the contract says.

        Raises:
            InputError: the precision is fp16, or the back-end another than torch.
        """
        hardware = session.hardware
        hardware.require_torch("T5 network")
        if hardware.effective_precision == "fp16":
            raise InputError(FP16)
        self.to(hardware.device)
        make = frozen_affine(hardware.dtype, hardware.batch_tokens)
        forward = self._encoder.forward(
            self.model, make, hardware.dtype, first_only=self._reads_first
        )
        # a comparison is read as a margin: its aggregation needs both probabilities
        read = margin if self.contract.compares else read_out
        return lambda batch: read(self._answers(forward, batch).float(), self.contract.read_out)

    def save(self, folder: Path) -> None:
        """Save in Hugging Face layout."""
        self.tokenizer.model_max_length = self.contract.max_length
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_contract(self.contract, folder)

    @property
    def _reads_first(self) -> bool:
        """Whether a head on the encoder's first token is read, and no decoder."""
        return self.contract.read_out == "head"

    def _learn(self, recompute: bool) -> EncoderForward:
        return self._encoder.forward(
            self.model, LiveAffine, first_only=self._reads_first, recompute=recompute
        )

    def _answers(self, forward: EncoderForward, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        if self._reads_first:
            return forward.logits(batch, dropout)
        if isinstance(forward, PaddedForward):
            return self._padded(forward, batch)
        states = forward.states(batch, dropout)
        state = first_step(self.model, states, batch, self._opening, dropout)
        return F.linear(state, head_rows(self.model, self._pieces))

    def _padded(self, forward: PaddedForward, batch: PackedBatch) -> Tensor:
        start = [self.model.config.decoder_start_token_id, *self._opening]
        asked = torch.tensor(start, device=batch.tokens.device).expand(len(batch), -1)
        logits: Tensor = forward.outputs(batch, decoder_input_ids=asked).logits
        return logits[:, -1, self._pieces]


@dataclass(frozen=True)
@checked
class T5Reranker(NetworkReranker):
    """A T5 by checkpoint, with the contract that is stored, published, named or given.

    ``grown_layers`` grows a small T5 of so many encoder layers, and a fresh one in the decoder,
    from a BERT checkpoint: to be trained. ``fresh_head`` allows a checkpoint without the dense head
    that an encoder-only contract reads.
    ``max_length`` and ``max_query_length`` override the contract's limits.
    """

    contract: str | PromptContract | None = None
    max_length: Annotated[int, Ge(8)] | None = None
    max_query_length: Annotated[int, Ge(1)] | None = None
    grown_layers: Annotated[int, Ge(1)] | None = None
    fresh_head: bool = False
    seed: int = 0
    _: KW_ONLY

    def __post_init__(self) -> None:
        if self.hardware.precision == "fp16":
            raise InputError(FP16)
        if self.grown_layers is not None and self.contract is None:
            raise InputError("contract must be given for grown_layers, got none")

    def load(self) -> T5Network:
        """Load the network."""
        contract = resolve_contract(
            self.checkpoint,
            self.contract,
            PromptContract,
            compares=self.compares,
            max_length=self.max_length,
            max_query_length=self.max_query_length,
        )
        found = self._weights(contract)
        return T5Network(found.model, found.tokenizer, contract, found.head_is_fresh).eval()

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

    def _weights(self, contract: PromptContract) -> pretrained.Pretrained:
        encoder_only = contract.read_out == "head"
        if self.grown_layers is not None:
            return grow_t5(self.checkpoint, self.grown_layers, self.seed, encoder_only=encoder_only)
        kind: pretrained.Kind = "token_classifier" if encoder_only else "sequence_to_sequence"
        fresh = pretrained.Fresh(self.seed) if self.fresh_head else None
        return pretrained.load(kind, self.checkpoint, families=T5_FAMILIES, fresh=fresh)


def _end(tokenizer: Any, contract: PromptContract) -> list[int]:
    if not contract.add_eos:
        return []
    return [
        tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    ]
