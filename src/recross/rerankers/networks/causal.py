"""A causal language model that is read at the last token of a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recross.checkpoints.chat_saving import can_be_laid_out, save_chat_layout
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.heads import OutputLayer, multiply_exactly, pick_rows, reading
from recross.checkpoints.pretrained import Pretrained
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import LiveAffine
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import PADDED, find_encoder
from recross.inference.encoders.padded import PaddedForward
from recross.inference.encoders.t5_decoder import read_head_rows
from recross.inference.network import Instructions
from recross.inference.prompts import Prompter
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.rerankers.networks.answers import PromptNetwork

PROBE_TOKENS = 5


class CausalNetwork(PromptNetwork):
    """A causal model with its tokenizer and contract, read at the last token of its prompt."""

    kind = "causal network"
    heads = ("score",)

    def __init__(self, loaded: Pretrained, contract: PromptContract) -> None:
        super().__init__(loaded, contract, find_encoder(loaded.config))
        self._prompter = Prompter(loaded.tokenizer, contract)
        self._rows_are_enough = contract.reads_head or self._output_is_linear()
        if not self._rows_are_enough:
            self.family = PADDED
            self.live = self.forward_with(LiveAffine)

    def encode_texts(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints
    ) -> Sequences:
        """Turn items of (query number, document number) into token sequences."""
        return self._prompter.encode(queries, documents, items)

    def encode_told(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints, told: Instructions
    ) -> Sequences:
        """Each item in a prompt with its query's own instruction, or with the contract's."""
        if not self.contract.takes_instruction or {None}.issuperset(told):
            return self.encode_texts(queries, documents, items)
        places: dict[str | None, list[int]] = {}
        for place, instruction in enumerate(told):
            places.setdefault(instruction, []).append(place)
        encoded = [
            self._tell(instruction).encode(queries, documents, items[of_one])
            for instruction, of_one in places.items()
        ]
        order = np.argsort(np.concatenate([*places.values()]))
        return reduce(Sequences.end_to_end, encoded).take(order)

    def check_instructions(self, instructions: Iterable[str]) -> None:
        """Refuse instructions that leave no room for texts, where the prompt has a place for any.

        Raises:
            InputError: one of them does.
        """
        if self.contract.takes_instruction:
            for instruction in dict.fromkeys(instructions):
                self._tell(instruction)

    def _tell(self, instruction: str | None) -> Prompter:
        return Prompter(self.tokenizer, self.contract.with_instruction(instruction))

    def with_instruction(self, instruction: str) -> CausalNetwork:
        """The same network, of the same weights, that is told something else."""
        told = copy(self)
        told._prompter = self._tell(instruction)
        told.contract = told._prompter.contract
        return told

    def save_weights(self, folder: Path) -> None:
        """Save in Hugging Face layout; sentence-transformers reads the same scores from it.

        It knows no temperature, no rounding, and no prompts that are tokenised in parts.
        """
        super().save_weights(folder)
        if can_be_laid_out(self.contract):
            save_chat_layout(folder, self.contract, self.tokenizer, self.pieces.tolist())

    def _answers(self, forward: EncoderForward, batch: PackedBatch, dropout: float) -> Tensor:
        if not self._rows_are_enough:
            assert isinstance(forward, PaddedForward)  # chosen for such models
            return self._pick(forward, batch)
        state = forward.last_states(batch, dropout)
        if self.contract.reads_head:
            return self.model.score(state)  # type: ignore[no-any-return]
        return multiply_exactly(state, read_head_rows(self.model, self.pieces))

    def _pick(self, forward: PaddedForward, batch: PackedBatch) -> Tensor:
        """Of all that the model says at last tokens the answers, ``(B, C)``."""
        with reading(self.pieces):
            logits = forward.model_logits(batch, use_cache=False)
        row = torch.arange(len(batch), device=logits.device)
        return pick_rows(self.model, logits[row, batch.layout.offsets.diff() - 1], self.pieces)

    @torch.no_grad()
    def _output_is_linear(self) -> bool:
        """Whether the logits are the last state times the output rows, and nothing else."""
        probe = torch.arange(PROBE_TOKENS, device=self.model.device)[None]
        with reading(self.pieces):
            whole = self.model(input_ids=probe).logits[0]
        states = self.model.base_model(input_ids=probe).last_hidden_state[0]
        output = self.model.get_output_embeddings()
        if getattr(output, "bias", None) is not None:
            return False
        rows = multiply_exactly(states, output.weight[self.pieces])
        said = pick_rows(self.model, whole, self.pieces).float()
        # with rows of its own kind the model is as exact as they are: what is left is rounding
        close = 1e-5 if isinstance(output, OutputLayer) else 3e-2
        return bool(torch.allclose(rows, said, atol=close, rtol=close))
