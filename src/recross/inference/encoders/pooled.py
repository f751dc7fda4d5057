"""One vector per text from an encoder: its states pooled, projected, normalised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.loaded import Model, Tokenizer
from recross.inference.arrival import bring_back
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.poolings import pool
from recross.inference.prompted import PromptedTokens
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.static_batches import find_static_form
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware

Vectors = npt.NDArray[np.float32]


class EncodedTexts(NamedTuple):
    """Some texts of many: their numbers and vectors, and how many tokens were read and lost."""

    numbers: Ints  # (B,)
    vectors: Vectors  # (B, D)
    lengths: Ints  # (B,)
    lost: Ints  # (B,)


def compute_vectors(
    forward: EncoderForward,
    contract: BiEncoderContract,
    projections: Sequence[nn.Module],
    texts: PackedBatch,
    dropout: float = 0.0,
) -> Tensor:
    """One vector per text as the contract says, ``(B, D)``, in single precision.

    ``projections`` come between pooling and normalisation. Special tokens and prompts are pooled
    with the rest.
    """
    vectors = pool(forward, contract.poolings, texts, dropout).float()
    for project in projections:
        vectors = project(vectors)
    if contract.truncate_dim is not None:
        if contract.normalise:
            vectors = F.normalize(vectors, dim=1)
        vectors = vectors[:, : contract.truncate_dim]
        return F.normalize(vectors, dim=1) if contract.similarity == "cosine" else vectors
    return F.normalize(vectors, dim=1) if contract.has_unit_vectors else vectors


@dataclass(frozen=True)
class PooledEncoder:
    """An encoder of texts with the weights as they are at the first call.

    Texts are cut to ``max_length`` tokens in all, that of the contract.
    """

    model: Model
    tokenizer: Tokenizer
    contract: BiEncoderContract
    hardware: Hardware
    projections: Sequence[nn.Module] = field(default=())

    def encode(self, texts: NumberedTexts, prompt: str) -> Iterator[EncodedTexts]:
        """Yield texts that follow a prompt, the longest first, batch by batch."""
        tokens = PromptedTokens(self.tokenizer, prompt, self.contract.max_length)
        sequences = tokens.encode(texts)
        for numbers, vectors in self._runner.run(sequences):
            lengths, lost = sequences.lengths[numbers], sequences.lost[numbers, 0]
            yield EncodedTexts(numbers, vectors, lengths, lost)

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder and its projections."""
        projections = [p.numel() for module in self.projections for p in module.parameters()]
        own = [int(parameter.numel()) for parameter in self.model.parameters()]
        return sum(own) + sum(projections)

    @cached_property
    def _runner(self) -> Runner[Sequences, Vectors]:
        return Runner(self.hardware, self.model, self._encoding_on_one_device)

    def _encoding_on_one_device(self, model: Model) -> partial[Callable[[], Vectors]]:
        hardware, first_only = self.hardware, self.contract.poolings == ("cls",)
        family = find_encoder(model.config)
        forward = family.frozen(model.to(hardware.device), hardware, first_only=first_only)
        projections = [deepcopy(module).to(hardware.device) for module in self.projections]
        compute = partial(compute_vectors, forward, self.contract, projections)
        static = find_static_form(compute, family, hardware)
        return partial(_encode_batch, static, hardware.device)


def _encode_batch(
    compute: Callable[[PackedBatch], Tensor], device: torch.device, texts: Sequences
) -> Callable[[], Vectors]:
    return bring_back(compute(texts.on(device)))
