"""An exported network: pairs are read here, ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, cast

import torch
from torch import Tensor, nn

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.loaded import Model, ModelConfig
from recross.checkpoints.source import find_config, find_source, load_tokenizer
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.families import PADDED
from recross.inference.encoders.padded import pad_inputs
from recross.inference.network import Forward
from recross.inference.read_outs import READ_OUTS
from recross.inference.session import Session
from recross.inference.tokens import Joiner, pair_template
from recross.machine.hardware import Hardware
from recross.rerankers.networks.pairs import PairNetwork


class ExportedClassifier(nn.Module):
    """What stands for the weights of an exported network: its config, and its file's checksum."""

    def __init__(self, config: ModelConfig, digest: str) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "digest", torch.frombuffer(bytearray.fromhex(digest), dtype=torch.uint8)
        )


class ExportedNetwork(PairNetwork):
    """Reads pairs as the network that was exported does; it cannot be trained or saved."""

    def __init__(self, path: Path, contract: ClassifierContract, digest: str) -> None:
        nn.Module.__init__(self)  # there are no weights to prepare
        self.path = path
        self.model = cast(
            Model, ExportedClassifier(find_config(find_source(str(path.parent), None)), digest)
        )
        self.tokenizer = load_tokenizer(str(path.parent))
        self.contract = contract
        self.family = PADDED
        self.head_is_fresh = False
        self.limits = {"max_length": contract.max_length}
        self.read_out = READ_OUTS[contract.read_out]
        limits = (contract.max_length, contract.max_query_length)
        self._joiner = Joiner(self.tokenizer, pair_template(self.tokenizer), *limits)

    def check(self, hardware: Hardware) -> None:
        """Refuse another back-end than the one that reads such files.

        Raises:
            InputError: it is another.
        """
        if hardware.backend != "onnx":
            raise InputError(
                "hardware.backend must be onnx for an exported network (hardware=cpu_onnx), got"
                f" {hardware.backend!r}"
            )

    def answers(self, batch: PackedBatch) -> NoReturn:
        """Refuse to learn.

        Raises:
            InputError: always.
        """
        raise InputError(f"checkpoint must have weights to be trained, got the file {self.path}")

    def frozen_answers(self, session: Session) -> Forward:
        """Return the logits of the exported file."""
        from recross.inference.encoders.backends import onnx_runtime  # an extra's packages

        opened = onnx_runtime.open_file(self.path, session)

        def compute(batch: PackedBatch) -> Tensor:
            return onnx_runtime.compute_logits(opened, pad_inputs(self.model, batch))

        return compute
