"""The logits of a Hugging Face sequence classifier, by the back-end that the hardware names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from recross.errors import InputError
from recross.inference.batches import PackedBatch, masked_filler
from recross.inference.encoders import bert as packed
from recross.inference.encoders.affine import frozen_affine
from recross.inference.encoders.backends.int8_affine import (
    DOT_PRODUCTS,
    int8_affine,
    multiplies_in_int8,
)
from recross.inference.encoders.backends.last_token import reader
from recross.inference.network import Forward
from recross.inference.session import Session
from recross.machine.hardware import Hardware

MakeForward = Callable[[Any, Session], Forward]


def classifier_logits(model: Any, session: Session) -> Forward:
    """Return a function from a batch to logits ``(B, labels)`` of the weights as they are now.

    Raises:
        InputError: the back-end does not know the model's structure, or is not installed.
    """
    model.to(session.hardware.device)
    return BACKENDS[session.hardware.backend](model, session)


def padded_inputs(model: Any, batch: PackedBatch) -> dict[str, Tensor]:
    """A batch as keyword arguments of a sequence classifier."""
    tokens, segments, mask = batch.padded(masked_filler(model.config))
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = segments
    return inputs


def padded_logits(model: Any, batch: PackedBatch) -> Tensor:
    """Logits of a padded forward, ``(B, labels)``."""
    logits: Tensor = reader(model)(**padded_inputs(model, batch)).logits
    return logits


def _torch(model: Any, session: Session) -> Forward:
    """Without padding where the structure is known, in the model's own forward elsewhere."""
    hardware = session.hardware
    if not packed.is_supported(model):
        return _padded(model, hardware, reader(model))
    dtype = hardware.dtype
    layers = packed.blocks(model, frozen_affine(dtype, hardware.batch_tokens))
    return lambda batch: packed.forward(model, layers, batch, dtype)


def _torch_compile(model: Any, session: Session) -> Forward:
    """Padded: a compiled function wants few shapes, and packed batches have all."""
    return _padded(model, session.hardware, torch.compile(reader(model).eval(), dynamic=True))


def _torch_int8(model: Any, session: Session) -> Forward:
    if not packed.is_supported(model):
        raise InputError(
            "backend torch_int8 needs a BERT, ELECTRA or RoBERTa classifier,"
            f" got a {type(model).__name__}"
        )
    if not multiplies_in_int8():
        raise InputError(
            "backend torch_int8 needs a processor with 8-bit dot products"
            f" ({', '.join(DOT_PRODUCTS)}), got none of them"
        )
    layers = packed.blocks(model, int8_affine(session.hardware.batch_tokens))
    return lambda batch: packed.forward(model, layers, batch)


def _onnx(model: Any, session: Session) -> Forward:
    from recross.inference.encoders.backends import onnx_runtime  # an extra's packages

    exported = onnx_runtime.open_exported(model, session)
    return lambda batch: onnx_runtime.logits(exported, padded_inputs(model, batch))


def _padded(model: Any, hardware: Hardware, forward: Any) -> Forward:
    device, dtype = hardware.device.type, hardware.dtype
    model.eval()

    def logits(batch: PackedBatch) -> Tensor:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            found: Tensor = forward(**padded_inputs(model, batch)).logits
        return found

    return logits


BACKENDS: dict[str, MakeForward] = {
    "torch": _torch,
    "torch_compile": _torch_compile,
    "torch_int8": _torch_int8,
    "onnx": _onnx,
}
