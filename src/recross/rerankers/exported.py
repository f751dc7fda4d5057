"""Cross-encoders as an ONNX file with its contract, which ONNX Runtime computes without weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, NoReturn, Self, cast

import torch
from torch import Tensor, nn

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.json_files import read_json
from recross.checkpoints.loaded import Model, ModelConfig
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.checkpoints.source import find_config, find_source, load_tokenizer
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.families import PADDED
from recross.inference.encoders.padded import pad_inputs
from recross.inference.encoders.padding_probe import reads_padding
from recross.inference.network import Forward
from recross.inference.read_outs import READ_OUTS
from recross.inference.session import Session
from recross.inference.tokens import Joiner, pair_template
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.records import JsonObject
from recross.rerankers.cross_encoder import CrossEncoder, PairNetwork
from recross.rerankers.reranker import NetworkReranker
from recross.store import write_json

EXPORT_FILE = "recross_export.json"
"""Says what was exported, with the checksum of the file and the quality gate's verdict."""
_ONNX = "model.onnx"


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

    def __init__(self, folder: Path, contract: ClassifierContract, digest: str) -> None:
        nn.Module.__init__(self)  # there are no weights to prepare
        self.path = folder / _ONNX
        self.model = cast(
            Model, ExportedClassifier(find_config(find_source(str(folder), None)), digest)
        )
        self.tokenizer = load_tokenizer(str(folder))
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


@dataclass(frozen=True)
@checked
class ExportedCrossEncoder(NetworkReranker):
    """A cross-encoder that ``recross export`` has written, read from its ONNX file."""

    max_length: Annotated[int, Ge(8)] | None = None
    _: KW_ONLY

    @property
    def can_be_trained(self) -> bool:
        """False: there are no weights."""
        return False

    @property
    def parameters(self) -> int:
        """How many parameters the exported network had."""
        return int(read_export(Path(self.checkpoint_place))["parameters"])

    def load(self) -> ExportedNetwork:
        """Open the folder.

        Raises:
            InputError: it is none, or the file is not the one that was exported.
        """
        folder = Path(self.checkpoint_place)
        digest = str(read_export(folder)["sha256"])
        if (found := _hash(folder / _ONNX)) != digest:
            raise InputError(
                f"{folder / _ONNX} must have the SHA-256 {digest[:16]}..., got {found[:16]}..."
            )
        contract = resolve_contract(str(folder), None, ClassifierContract)
        limited = contract.with_limits(max_length=self.max_length)
        return ExportedNetwork(folder, limited, digest).eval()

    def trained(self, folder: Path) -> Self:
        """Refuse: what is trained has weights.

        Raises:
            InputError: always.
        """
        raise InputError(f"reranker must have weights to be trained, got {self.checkpoint_place!r}")


def is_exported(folder: Path) -> bool:
    """Whether a folder holds an exported network."""
    return (folder / EXPORT_FILE).is_file()


def read_export(folder: Path) -> JsonObject:
    """Read what a folder says of the network that was exported into it.

    Raises:
        InputError: it does not say, or not in full.
    """
    record = read_json(folder / EXPORT_FILE)
    if missing := [key for key in ("sha256", "parameters") if key not in record]:
        raise InputError(f"{folder / EXPORT_FILE} must hold {missing[0]!r}, got none")
    return record


def write_exported(reranker: CrossEncoder, folder: Path) -> None:
    """Write a cross-encoder as one ONNX file with tokenizer, config, contract and a record.

    Raises:
        InputError: its network compares documents, was never trained, or its scores depend on
            padding.
    """
    from recross.inference.encoders.backends import onnx_runtime  # an extra's packages

    reranker.check_trained()
    network = reranker.network
    if not isinstance(network, PairNetwork) or network.contract.compares:
        raise InputError(f"export takes a cross-encoder that scores pairs, got {reranker.name!r}")
    if reads_padding(network.model):
        raise InputError(
            f"export takes a network whose scores do not depend on padding, got {reranker.name!r}"
        )
    onnx_runtime.export_model(network.model, folder, is_one_file=True)
    network.tokenizer.save_pretrained(folder)
    network.model.config.save_pretrained(folder)
    save_contract(network.contract, folder)
    record: JsonObject = {
        "source": reranker.base_checkpoint,
        "parameters": reranker.parameters,
        "sha256": _hash(folder / _ONNX),
        "recross": importlib.metadata.version("recross"),
        "torch": torch.__version__,
    }
    write_json(folder / EXPORT_FILE, record)


def _hash(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"file must exist, got {str(path)!r}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
