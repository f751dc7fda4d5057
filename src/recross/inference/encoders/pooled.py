"""One unit vector per text from a BERT-like encoder, through the padding-free forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.encoders import bert as packed
from recross.inference.encoders.affine import frozen_affine
from recross.inference.encoders.attention import by_group
from recross.inference.runner import Runner
from recross.inference.tokens import Ints, Joiner, Sequences, text_template
from recross.machine.hardware import Hardware

Vectors = npt.NDArray[np.float32]
Pooling = Literal["mean", "cls"]


class Pool(NamedTuple):
    """An encoder, its layers as some linear layers compute them, and what is made of their output.

    ``pooling``: the mean of all output tokens, special ones included, or the first one alone; of
    the last layer only that one is then computed.
    """

    model: Any
    layers: Sequence[packed.Block]
    pooling: Pooling


def unit_vectors(
    pool: Pool,
    texts: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """One vector of length 1 per text, ``(B, D)``, in single precision."""
    model, layers, pooling = pool
    if pooling == "cls":
        found = packed.first_states(model, layers, texts, dtype, dropout, recompute)
    else:
        states = packed.states(model, layers, texts, dtype, dropout, recompute)
        found = torch.cat([rows.float().mean(dim=1) for rows in by_group(states, texts.groups)])
    return F.normalize(found.float(), dim=1)


@dataclass(frozen=True)
class PooledEncoder:
    """An encoder of texts with the weights as they are at the first call.

    Texts are cut to ``max_length`` tokens in all.
    """

    model: Any
    tokenizer: Any
    pooling: Pooling
    max_length: int
    hardware: Hardware

    def encode(self, texts: Sequence[str]) -> Iterator[tuple[Ints, Vectors]]:
        """Yield numbers of texts, longest first, and their vectors ``(B, D)``, batch by batch."""
        joiner = Joiner(self.tokenizer, text_template(self.tokenizer), self.max_length)
        sequences = joiner.encode(texts, [], [(number,) for number in range(len(texts))])
        return self._runner.run(sequences)

    @cached_property
    def _runner(self) -> Runner[Sequences, Vectors]:
        return Runner(self.hardware, self.model, self._encoding_on_one_device)

    def _encoding_on_one_device(self, model: Any) -> partial[Vectors]:
        hardware = self.hardware
        make = frozen_affine(hardware.dtype, hardware.batch_tokens)
        layers = packed.blocks(model.to(hardware.device), make, first_only=self.pooling == "cls")
        pool = Pool(model, layers, self.pooling)
        return partial(_encode_batch, pool, hardware.device, hardware.dtype)


def _encode_batch(
    pool: Pool, device: torch.device, dtype: torch.dtype, texts: Sequences
) -> Vectors:
    vectors: Vectors = unit_vectors(pool, PackedBatch.of(texts, device), dtype).cpu().numpy()
    return vectors
