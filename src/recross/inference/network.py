"""What a network is: a model with its tokenizer and contract, that scores, learns and is saved.

There are two kinds. A ``PairScorer`` reads a query together with its document, or with two of them;
a ``TextEncoder`` (``text_encoder.py``) turns every text into vectors of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from recross.checkpoints.contracts import Contract, check_precision
from recross.checkpoints.heads import make_heads_exact
from recross.checkpoints.loaded import Model, Tokenizer
from recross.checkpoints.resolution import save_contract
from recross.errors import InputError
from recross.inference.batches import NetworkBatch, PackedBatch
from recross.inference.encoders.affine import LiveAffine, MakeAffine
from recross.inference.encoders.encoder import Encoder, EncoderForward
from recross.inference.encoders.families import PADDED
from recross.inference.preparation import Preparation, merge, prepare
from recross.inference.read_outs import ReadOut
from recross.inference.sequences import Encoded
from recross.inference.session import Session
from recross.inference.spans import Ints
from recross.inference.static_batches import find_static_form, suits_static_batches
from recross.inference.texts.texts import GivenTexts, NumberedTexts
from recross.inference.tokens import Item
from recross.machine.hardware import Hardware
from recross.writing.whole_files import share_files

Forward = Callable[[PackedBatch], Tensor]
"""Scores a batch, ``(B,)``, in its order."""

Instructions = Sequence[str | None]
"""What is wanted of the query of each item; ``None``: what the contract says."""

_Batch = TypeVar("_Batch", bound=NetworkBatch, default=Any)


class Network(nn.Module, ABC, Generic[_Batch]):
    """A model of transformers with its tokenizer, its contract and its encoder family.

    It is generic over what its forward reads at once: what ``encode`` returns becomes such batches.
    ``limits`` are the tokens that a sequence may have, by the names that contracts give them.
    ``first_only``: of the encoder's output only first tokens are read.
    """

    contract: Contract
    """What it is asked, and how its score is read."""
    kind: ClassVar[str]
    """What an error calls it."""
    heads: ClassVar[tuple[str, ...]] = ()
    """What parameters of the head have in their names: they learn at a rate of their own."""
    backends: ClassVar[bool] = False
    """Whether its scores can be computed by other back-ends than torch."""
    in_batch_negatives: bool = False
    """Whether a query learns from all documents of a training step."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        contract: Contract,
        encoder: Encoder,
        *,
        limits: Mapping[str, int],
        first_only: bool = False,
        head_is_fresh: bool = False,
    ) -> None:
        super().__init__()
        for name, tokens in limits.items():
            encoder.check_positions(model, name, tokens)
        make_heads_exact(model, self.heads)
        self.model = model
        self.tokenizer = tokenizer
        self.head_is_fresh = head_is_fresh
        self.family = encoder
        self.limits = limits
        self.contract = contract
        self._first_only = first_only
        self.live = self.forward_with(LiveAffine)

    @property
    def documents_per_item(self) -> int:
        """1 where documents are scored alone, 2 where two are compared."""
        return 2 if self.contract.compares else 1

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, from the first to the last.

        Raises:
            InputError: they are not found, so that the network cannot be trained.
        """
        return self.family.layers(self.model)

    @property
    def stacks(self) -> Sequence[Sequence[nn.Module]]:
        """Every stack of layers, each from the first to the last: the encoder's, if no other."""
        return (self.layers,)

    @property
    def dropout(self) -> float:
        """The dropout of hidden states: the config's in training, else none."""
        return self.family.dropout(self.model.config) if self.training else 0.0

    @property
    def answer_count(self) -> int:
        """How many answers a loss can tell apart; 0 where a score is read directly."""
        return 0

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Encoded[_Batch]:
        """Turn items of (query number, document number or numbers) into token sequences."""
        numbers = np.array(items, dtype=np.int64).reshape(-1, 1 + self.documents_per_item)
        return self.encode_texts(GivenTexts(queries), GivenTexts(documents), numbers)

    @abstractmethod
    def encode_texts(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints
    ) -> Encoded[_Batch]:
        """Turn items ``(B, texts)``, numbers of a query and its documents, into token sequences."""

    def encode_told(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints, told: Instructions
    ) -> Encoded[_Batch]:
        """The same, each item with its query's own instruction, where there is a place for it."""
        return self.encode_texts(queries, documents, items)

    def check_instructions(self, instructions: Iterable[str]) -> None:
        """Refuse with an ``InputError`` instructions that leave no room for texts."""

    @abstractmethod
    def forward(self, batch: _Batch) -> Tensor:
        """Scores to train on, ``(B,)``."""

    @abstractmethod
    def answers(self, batch: _Batch) -> Tensor:
        """Logits of the answers to train on, the most relevant last, ``(B, C)``."""

    @abstractmethod
    def frozen_scorer(self, session: Session) -> Callable[[_Batch], Tensor]:
        """Return a fast scorer; precision and back-end are allowed, and the weights in place."""

    def inference(self, session: Session) -> Callable[[_Batch], Tensor]:
        """Return a fast scorer of the weights as they are now, on the current device.

        Raises:
            InputError: the contract or the family does not allow the precision, or the network
                does not know the back-end.
        """
        self.check(session.hardware)
        session.hardware.prepare()
        self.to(session.hardware.device)
        return self.frozen_scorer(session)

    def name_attention(self, hardware: Hardware) -> str:
        """Say which attention computes its scores on hardware, for the record of a run."""
        if hardware.backend == "onnx":
            return "padded, of the exported graph"
        static = suits_static_batches(self.family, hardware)
        compiles = hardware.backend == "torch_compile" and self.backends and not static
        return (PADDED if compiles else self.family).name_attention(self.model, hardware)

    def check(self, hardware: Hardware) -> None:
        """Refuse what would not compute these scores, before any work.

        Raises:
            InputError: the contract or the family does not allow the precision, or the network
                does not know the back-end.
        """
        if not self.backends:
            hardware.require_torch(self.kind)
        precision = hardware.effective_precision
        if precision not in self.family.precisions:
            raise InputError(
                f"hardware.precision must be {' or '.join(self.family.precisions)} for a"
                f" {self.kind}, got {precision!r}: what it computes exceeds {precision}'s range and"
                " scores become NaN"
            )
        check_precision(self.contract, precision)

    def forward_with(
        self, make: MakeAffine, dtype: torch.dtype = torch.float32, *, recompute: bool = False
    ) -> EncoderForward:
        """The encoder's forward over linear layers as ``make`` gives them."""
        return self.family.forward(
            self.model, make, dtype, first_only=self._first_only, recompute=recompute
        )

    def frozen(self, hardware: Hardware) -> EncoderForward:
        """The encoder's forward over copies of the weights as they are now."""
        return self.family.frozen(self.model, hardware, first_only=self._first_only)

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        prepare(self.model, self.family, self.heads, settings)
        self.live = self.forward_with(LiveAffine, recompute=settings.gradient_checkpointing)

    def finish_training(self) -> None:
        """Merge what was added; the head is no longer fresh."""
        merge(self.model)
        self.head_is_fresh = False

    def save(self, folder: Path) -> None:
        """Save weights, tokenizer and contract, so that the folder is a checkpoint."""
        self.tokenizer.model_max_length = self.limits.get(
            "max_length", self.tokenizer.model_max_length
        )
        self.save_weights(folder)
        save_contract(self.contract, folder)
        share_files(folder)

    def save_weights(self, folder: Path) -> None:
        """Save weights and tokenizer in Hugging Face layout."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


class PairScorer(Network[PackedBatch]):
    """Reads the texts of an item together; ``read_out`` says how its answers' logits are read."""

    read_out: ReadOut

    @abstractmethod
    def frozen_answers(self, session: Session) -> Forward:
        """Return a fast function from a batch to logits of the answers, ``(B, C)``."""

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``: of two answers the lead, else as they are read."""
        return self.read_out.learn(self.answers(batch))

    def frozen_scorer(self, session: Session) -> Forward:
        """Return a fast scorer, read out as the contract says; comparisons by their lead."""
        answers = self.frozen_answers(session)
        read = self.read_out.learn if self.contract.compares else self.read_out.score

        def score(batch: PackedBatch) -> Tensor:
            return read(answers(batch).float())

        return find_static_form(score, self.family, session.hardware)
