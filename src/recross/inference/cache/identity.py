"""What a score depends on besides the texts, as one name."""

from __future__ import annotations

import importlib.metadata
import json

import torch
import xxhash
from torch import nn

from recross.checkpoints.loaded import Tokenizer, find_fast_tokenizer
from recross.inference.network import Network
from recross.machine.hardware import Hardware
from recross.parts.identity import describe

SCHEMA = 7
"""Raised when the engine or a forward changes a score."""


def name_scorer(network: Network, hardware: Hardware) -> str:
    """A name that differs when weights, tokenizer, contract, precision or code differ.

    Weights are hashed as they are in memory, so that a folder that was overwritten, or training
    that goes on, is never taken for what it was.
    """
    settings = {
        "schema": SCHEMA,
        "recross": importlib.metadata.version("recross"),
        "network": type(network).__qualname__,
        "contract": describe(network.contract),
        "weights": digest_weights(network),
        **hardware.identity,
    }
    digest = xxhash.xxh3_128(json.dumps(settings, sort_keys=True).encode())
    digest.update(_tokenizer_state(network.tokenizer))
    return str(digest.hexdigest())


def digest_weights(module: nn.Module) -> str:
    """Return a name for what the weights of a module are, wherever they came from."""
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return str(digest.hexdigest())


def _tokenizer_state(tokenizer: Tokenizer) -> bytes:
    backend = find_fast_tokenizer(tokenizer)
    if backend is None:
        return repr(sorted(tokenizer.get_vocab().items())).encode()
    backend.no_truncation()  # state that a call leaves behind, and no part of what it is
    backend.no_padding()
    return backend.to_str().encode()
