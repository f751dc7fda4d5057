"""Re-rankers on T5, read at their first decoder step and never asked to generate.

monoT5 (Nogueira et al. 2020), RankT5 (Zhuang et al. 2023) in its encoder-decoder and encoder-only
forms, and any other prompt with answers of one token each: which it is, the contract says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints import pretrained
from recross.checkpoints.contracts import T5_FAMILIES, PromptContract
from recross.checkpoints.grown_t5 import grow_t5
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch, masked_filler
from recross.inference.encoders import t5 as packed_t5
from recross.inference.encoders.affine import LiveAffine, frozen_affine
from recross.inference.network import Forward
from recross.inference.preparation import Preparation, merge, prepare, recompute_activations
from recross.inference.session import Session
from recross.inference.tokens import Item, Joiner, Sequences, prompt_template
from recross.machine.hardware import Hardware
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
        self._packs = packed_t5.is_supported(model)
        self._live = packed_t5.layers(model, LiveAffine) if self._packs else None
        self._recompute = False

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
        prepare(self.model, self.model.get_encoder().block, self.heads, settings)
        self._recompute = settings.gradient_checkpointing
        if self._packs:
            self._live = packed_t5.layers(self.model, LiveAffine)
        elif self._recompute:
            recompute_activations(self.model)

    def finish_training(self) -> None:
        """Merge what was added; the head is no longer fresh."""
        merge(self.model)
        self.head_is_fresh = False

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``: of two answers the margin, else as they are read."""
        return margin(self.answers(batch), self.contract.read_out)

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the answers, worst first, ``(B, C)``."""
        dropout = self.model.config.dropout_rate if self.training else 0.0
        if self._live is None:
            return self._padded(batch)
        return self._packed(self._live, batch, torch.float32, dropout)

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
        logits = self._frozen(hardware) if self._packs else self._plain(hardware)
        # a comparison is read as a margin: its aggregation needs both probabilities
        read = margin if self.contract.compares else read_out
        return lambda batch: read(logits(batch).float(), self.contract.read_out)

    def save(self, folder: Path) -> None:
        """Save in Hugging Face layout."""
        self.tokenizer.model_max_length = self.contract.max_length
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_contract(self.contract, folder)

    def _frozen(self, hardware: Hardware) -> Callable[[PackedBatch], Tensor]:
        dtype = hardware.dtype
        layers = packed_t5.layers(self.model, frozen_affine(dtype, hardware.batch_tokens))
        return lambda batch: self._packed(layers, batch, dtype, 0.0)

    def _packed(
        self, layers: packed_t5.Layers, batch: PackedBatch, dtype: torch.dtype, dropout: float
    ) -> Tensor:
        if self.contract.read_out == "head":
            first = packed_t5.first_token(self.model, layers, batch, dtype, dropout)
            return self._head(first)
        state = packed_t5.first_step(self.model, layers, batch, self._opening, dtype, dropout)
        return F.linear(state, self._rows())

    def _plain(self, hardware: Hardware) -> Callable[[PackedBatch], Tensor]:
        device, dtype = hardware.device.type, hardware.dtype

        def logits(batch: PackedBatch) -> Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
                return self._padded(batch)

        return logits

    def _padded(self, batch: PackedBatch) -> Tensor:
        tokens, _, mask = batch.padded(masked_filler(self.model.config))
        if self.contract.read_out == "head":
            states = self.model.get_encoder()(input_ids=tokens, attention_mask=mask)
            return self._head(states.last_hidden_state[:, 0])
        start = [self.model.config.decoder_start_token_id, *self._opening]
        asked = torch.tensor(start, device=tokens.device).expand(len(batch), -1)
        out = self.model(input_ids=tokens, attention_mask=mask, decoder_input_ids=asked)
        logits: Tensor = out.logits[:, -1, self._pieces]
        return logits

    def _head(self, first: Tensor) -> Tensor:
        logits: Tensor = self.model.classifier(first.float())
        return logits

    def _rows(self) -> Tensor:
        return packed_t5.head_rows(self.model, self._pieces)


@dataclass(frozen=True)
class T5Reranker(NetworkReranker):
    """A T5 by checkpoint, with the contract that is stored, published, named or given.

    ``grown_layers`` grows a small T5 of so many encoder layers, and a fresh one in the decoder,
    from a BERT checkpoint: to be trained. ``fresh_head`` allows a checkpoint without the dense head
    that an encoder-only contract reads.
    ``max_length`` and ``max_query_length`` override the contract's limits.
    """

    contract: str | PromptContract | None = None
    max_length: int | None = None
    max_query_length: int | None = None
    grown_layers: int | None = None
    fresh_head: bool = False
    seed: int = 0
    _: KW_ONLY

    def __post_init__(self) -> None:
        for name, least in (("max_length", 8), ("max_query_length", 1), ("grown_layers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
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
