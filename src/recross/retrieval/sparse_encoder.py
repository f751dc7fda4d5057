"""Texts to weights of all terms by a masked language model, as its contract says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recross.artefacts.opening import load_once
from recross.checkpoints import pretrained
from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.loaded import Model, Tokenizer
from recross.inference.batches import PackedBatch
from recross.inference.encoders.padded import compute_padded
from recross.inference.encoders.padding_probe import reads_padding
from recross.inference.prompted import PromptedTokens
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware


class WeighedTexts(NamedTuple):
    """The weights of some texts' terms, and how many tokens of each were read and lost."""

    weights: sparse.csr_array  # (N, terms)
    lengths: Ints  # (N,)
    lost: Ints  # (N,)


@dataclass(frozen=True)
class SparseEncoder:
    """Texts to weights of terms, with the weights of the model as they are at the first call."""

    model: Model
    tokenizer: Tokenizer
    contract: SparseContract
    hardware: Hardware

    def encode(self, texts: Sequence[str], max_length: int, prompt: str = "") -> WeighedTexts:
        """Weigh all terms of texts after a prompt; equal texts are encoded once and stay equal."""
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        tokens = PromptedTokens(self.tokenizer, prompt, max_length)
        sequences = tokens.encode(GivenTexts(list(rows)))
        places = np.fromiter(map(rows.__getitem__, texts), np.int64, len(texts))
        lengths, lost = sequences.lengths[places], sequences.lost[places, 0]
        batches = list(self._runner.run(sequences))
        if not batches:
            nothing = sparse.csr_array((0, self.model.config.vocab_size), dtype=np.float32)
            return WeighedTexts(nothing, lengths, lost)
        order = np.argsort(np.concatenate([numbers for numbers, _ in batches]))
        weights = sparse.vstack([weights for _, weights in batches], format="csr")
        return WeighedTexts(weights[order[places]], lengths, lost)

    @cached_property
    def _runner(self) -> Runner[Sequences, sparse.csr_array]:
        return Runner(self.hardware, self.model, self._encoding_on_one_device)

    def _encoding_on_one_device(self, model: Model) -> partial[Callable[[], sparse.csr_array]]:
        device, dtype = self.hardware.device, self.hardware.dtype
        return partial(_encode_batch, model.to(device), self.contract, device, dtype)


def _encode_batch(
    model: Model,
    contract: SparseContract,
    device: torch.device,
    dtype: torch.dtype,
    texts: Sequences,
) -> Callable[[], sparse.csr_array]:
    """The weights of a batch; how many there are is known when they are, so that they are awaited.

    Few of the vocabulary are present: none but they leave the device.
    """
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        weights = weigh_terms(model, contract, texts.on(device))
    return partial(_take_present, weights)


def _take_present(weights: Tensor) -> sparse.csr_array:
    present = weights > 0
    rows, terms = (numbers.cpu().numpy() for numbers in present.nonzero(as_tuple=True))
    values = weights[present].cpu().numpy()
    return sparse.coo_array((values, (rows, terms)), shape=tuple(weights.shape)).tocsr()


def weigh_terms(model: Model, contract: SparseContract, batch: PackedBatch) -> Tensor:
    """The weight of every term of the vocabulary in each text, ``(B, terms)``."""
    _, _, mask = batch.padded(0)
    logits = compute_padded(
        model, lambda inputs: model(**inputs).logits, batch, apart=reads_padding(model)
    )  # (B, L, terms)
    logits = logits.masked_fill(mask.unsqueeze(2) == 0, 0)
    if contract.pooling == "sum":
        weights = _activate(logits, contract).sum(dim=1)
    else:
        weights = _activate(logits.amax(dim=1), contract)  # which rises: the same after as before
    return weights if contract.max_terms is None else _keep_highest(weights, contract.max_terms)


def _activate(logits: Tensor, contract: SparseContract) -> Tensor:
    weights = logits.float().relu().log1p()
    return weights.log1p() if contract.activation == "log1p_relu" else weights


def _keep_highest(weights: Tensor, count: int) -> Tensor:
    highest = weights.topk(min(count, weights.shape[1]), dim=1)
    return torch.zeros_like(weights).scatter(1, highest.indices, highest.values)


@load_once
def load_sparse_encoder(
    checkpoint: str, contract: SparseContract, hardware: Hardware
) -> SparseEncoder:
    """Load a masked language model that is read as its contract says."""
    loaded = pretrained.load("masked_lm", checkpoint)
    return SparseEncoder(loaded.model, loaded.tokenizer, contract, hardware)
