"""ONNX Runtime: a sequence classifier exported once; the only home of onnxruntime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import cast

import onnxruntime
import torch
from torch import Tensor, nn

from recross.checkpoints.loaded import Model
from recross.inference.batches import reads_segments
from recross.inference.cache.identity import digest_weights
from recross.inference.encoders.backends.last_token import make_reader
from recross.inference.session import Session
from recross.records import JsonObject
from recross.store import Store

ONNX_FILE = "model.onnx"
EXAMPLE = (2, 8)
"""Sequences and tokens of the batch that is traced; both stay free."""


def open_exported(model: Model, session: Session) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session of the weights as they are now.

    They are exported first unless the session's store has them.
    """
    identity = {
        "weights": digest_weights(cast(nn.Module, model)),
        "config": model.config.to_json_string(),
        "packages": {name: version(name) for name in ("torch", "transformers", "onnxscript")},
    }
    folder = Store(session.store).artefact("onnx", identity, lambda into: export_model(model, into))
    return open_file(folder / ONNX_FILE, session)


def open_file(path: Path, session: Session) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session of an exported file, on as many threads as the hardware has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = session.hardware.threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compute_logits(exported: onnxruntime.InferenceSession, inputs: Mapping[str, Tensor]) -> Tensor:
    """Logits ``(B, labels)`` of a padded batch."""
    known = {node.name for node in exported.get_inputs()}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items() if name in known}
    return torch.from_numpy(exported.run(["logits"], arrays)[0])


class _Logits(nn.Module):
    """A classifier whose inputs have an order and whose output is one tensor."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = make_reader(model)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        logits: Tensor = self.model(**inputs).logits
        return logits


def export_model(model: Model, folder: Path, is_one_file: bool = False) -> JsonObject:
    """Write a classifier as ``model.onnx``, by default with its weights in a file beside it."""
    names = ["input_ids", "attention_mask"]
    if reads_segments(model.config):
        names.append("token_type_ids")
    example = tuple(torch.ones(EXAMPLE, dtype=torch.long) for _ in names)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # packages of vision that it misses
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations: nobody here can act
        torch.onnx.export(
            _Logits(model.eval()),
            example,
            folder / ONNX_FILE,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=tuple(dict(free) for _ in names),
            dynamo=True,
            external_data=not is_one_file,
            verbose=False,
        )
    return {"bytes": sum(file.stat().st_size for file in folder.iterdir())}
