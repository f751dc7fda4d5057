"""Networks that are asked for one of a few answers, and which tokens those are."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.pretrained import Pretrained
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import Encoder, EncoderForward
from recross.inference.network import Forward, PairScorer
from recross.inference.read_outs import READ_OUTS, divide
from recross.inference.session import Session


class PromptNetwork(PairScorer):
    """A language model asked about a prompt: of all that it may answer, a few pieces are read.

    Where the contract names no pieces, a head on the model's states gives the score.
    """

    contract: PromptContract
    pieces: Tensor
    """The numbers of the answers' tokens, the worst answer first, ``(C,)``."""

    def __init__(
        self,
        loaded: Pretrained,
        contract: PromptContract,
        encoder: Encoder,
        first_only: bool = False,
    ) -> None:
        super().__init__(
            *(loaded.model, loaded.tokenizer, contract, encoder),
            limits={"max_length": contract.max_length},
            first_only=first_only,
            head_is_fresh=loaded.head_is_fresh,
        )
        read_out = READ_OUTS[contract.read_out]
        self.read_out = divide(read_out, contract.temperature, contract.rounded)
        pieces = [find_piece(loaded.tokenizer, piece) for piece in contract.pieces]
        self.register_buffer("pieces", torch.tensor(pieces, dtype=torch.long), persistent=False)

    @property
    def answer_count(self) -> int:
        """How many answers are told apart; 0 where a score is read directly."""
        return len(self.pieces) if len(self.pieces) > 1 else 0

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the answers, worst first, ``(B, C)``."""
        return self._answers(self.live, batch, self.dropout)

    def frozen_answers(self, session: Session) -> Forward:
        """Return the logits of the answers in the session's precision."""
        forward = self.frozen(session.hardware)
        return lambda batch: self._answers(forward, batch, 0.0)

    @abstractmethod
    def _answers(self, forward: EncoderForward, batch: PackedBatch, dropout: float) -> Tensor:
        """Logits of the answers, worst first, by the live or a frozen forward of the model."""


def find_piece(tokenizer: Tokenizer, piece: str | int) -> int:
    """The number of a vocabulary entry.

    Raises:
        InputError: the vocabulary has no such entry, so that an answer would be several tokens.
    """
    if isinstance(piece, int):
        if not 0 <= piece < len(tokenizer):
            raise InputError(
                f"pieces must be numbers from 0 to {len(tokenizer) - 1} of the tokenizer's"
                f" vocabulary, got {piece}"
            )
        return piece
    number = tokenizer.get_vocab().get(piece)
    if number is None:
        raise InputError(
            f"pieces must be single entries of the tokenizer's vocabulary, got {piece!r}, which is"
            f" {tokenizer.tokenize(piece.replace('▁', ' '))}"
        )
    return int(number)
