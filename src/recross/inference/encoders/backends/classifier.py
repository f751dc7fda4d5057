"""The logits of a Hugging Face sequence classifier, by the back-end that the hardware names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recross.checkpoints.loaded import Model
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.backends.int8_affine import (
    DOT_PRODUCTS,
    multiplies_in_int8,
    quantise_affine,
)
from recross.inference.encoders.backends.last_token import Answered, make_reader
from recross.inference.encoders.families import FAMILIES, find_classifier
from recross.inference.encoders.padded import pad_inputs
from recross.inference.encoders.padding_probe import reads_padding
from recross.inference.network import Forward
from recross.inference.session import Session
from recross.inference.static_batches import suits_static_batches

MakeForward = Callable[[Model, Session], Forward]


def make_classifier_forward(model: Model, session: Session) -> Forward:
    """Return a function from a batch to logits ``(B, labels)`` of the weights as they are now.

    Raises:
        InputError: the back-end does not know the model's structure, or is not installed.
    """
    model.to(session.hardware.device)
    return BACKENDS[session.hardware.backend](model, session)


def _torch(model: Model, session: Session) -> Forward:
    """Without padding where the structure is known, in the model's own forward elsewhere."""
    return find_classifier(model).frozen(model, session.hardware, first_only=True).logits


def _torch_compile(model: Model, session: Session) -> Forward:
    """Padded, since a compiled function wants few shapes; packed where batches have few."""
    if suits_static_batches(find_classifier(model), session.hardware):
        return _torch(model, session)  # compiled by the one that knows the shapes
    _refuse_reading_padding(model, "torch_compile")
    compiled: Callable[..., Answered] = torch.compile(make_reader(model).eval(), dynamic=True)
    device, dtype = session.hardware.device.type, session.hardware.dtype

    def logits(batch: PackedBatch) -> Tensor:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            answered = compiled(**pad_inputs(model, batch))
        return answered.logits

    return logits


def _torch_int8(model: Model, session: Session) -> Forward:
    family = find_classifier(model)
    if not family.packs:
        raise InputError(
            f"backend torch_int8 needs a classifier of the architecture {' or '.join(FAMILIES)},"
            f" got a {type(model).__name__}"
        )
    if not multiplies_in_int8():
        raise InputError(
            "backend torch_int8 needs a processor with 8-bit dot products"
            f" ({', '.join(DOT_PRODUCTS)}), got none of them"
        )
    return family.forward(
        model, quantise_affine(session.hardware.batch_tokens), first_only=True
    ).logits


def _onnx(model: Model, session: Session) -> Forward:
    from recross.inference.encoders.backends import onnx_runtime  # an extra's packages

    _refuse_reading_padding(model, "onnx")
    exported = onnx_runtime.open_exported(model, session)
    return lambda batch: onnx_runtime.compute_logits(exported, pad_inputs(model, batch))


def _refuse_reading_padding(model: Model, backend: str) -> None:
    if reads_padding(model):
        raise InputError(
            f"backend {backend} needs a network whose scores do not depend on padding, got a"
            f" {type(model).__name__}: leave hardware.backend=torch"
        )


BACKENDS: dict[str, MakeForward] = {
    "torch": _torch,
    "torch_compile": _torch_compile,
    "torch_int8": _torch_int8,
    "onnx": _onnx,
}
