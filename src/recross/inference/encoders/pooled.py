"""One unit vector per text from an encoder, through the padding-free forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.loaded import Model, Tokenizer
from recross.inference.arrival import bring_back
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import freeze_affine
from recross.inference.encoders.attention import average_sequences
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.static_batches import find_static_form
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import Joiner, text_template
from recross.machine.hardware import Hardware

Vectors = npt.NDArray[np.float32]
Pooling = Literal["mean", "cls"]


def compute_unit_vectors(
    forward: EncoderForward, pooling: Pooling, texts: PackedBatch, dropout: float = 0.0
) -> Tensor:
    """One vector of length 1 per text, ``(B, D)``, in single precision.

    ``pooling``: the mean of all output tokens, special ones included, or the first one alone; of
    the last layer only that one is then computed.
    """
    if pooling == "cls":
        vectors = forward.first_states(texts, dropout)
    else:
        vectors = average_sequences(forward.states(texts, dropout), texts.layout)
    return F.normalize(vectors.float(), dim=1)


@dataclass(frozen=True)
class PooledEncoder:
    """An encoder of texts with the weights as they are at the first call.

    Texts are cut to ``max_length`` tokens in all.
    """

    model: Model
    tokenizer: Tokenizer
    pooling: Pooling
    max_length: int
    hardware: Hardware

    def encode(self, texts: NumberedTexts) -> Iterator[tuple[Ints, Vectors]]:
        """Yield numbers of texts, longest first, and their vectors ``(B, D)``, batch by batch."""
        joiner = Joiner(self.tokenizer, text_template(self.tokenizer), self.max_length)
        return self._runner.run(joiner.encode_each(texts))

    @cached_property
    def _runner(self) -> Runner[Sequences, Vectors]:
        return Runner(self.hardware, self.model, self._encoding_on_one_device)

    def _encoding_on_one_device(self, model: Model) -> partial[Callable[[], Vectors]]:
        hardware, first_only = self.hardware, self.pooling == "cls"
        make = freeze_affine(hardware.dtype, hardware.batch_tokens)
        family = find_encoder(model.config)
        forward = family.forward(
            model.to(hardware.device), make, hardware.dtype, first_only=first_only
        )
        compute = partial(compute_unit_vectors, forward, self.pooling)
        static = find_static_form(compute, family, hardware)
        return partial(_encode_batch, static, hardware.device)


def _encode_batch(
    compute: Callable[[PackedBatch], Tensor], device: torch.device, texts: Sequences
) -> Callable[[], Vectors]:
    return bring_back(compute(texts.on(device)))
