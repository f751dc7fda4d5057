"""Cross-encoders as an ONNX file with its contract, which ONNX Runtime computes without weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.json_files import read_json
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.records import JsonObject
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import NetworkReranker
from recross.store import write_json

if TYPE_CHECKING:
    from recross.rerankers.networks.exported import ExportedNetwork

_ONNX = "model.onnx"
EXPORT_FILE = "recross_export.json"
"""Says what was exported, with the checksum of the file and the quality gate's verdict."""


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
        from recross.rerankers.networks.exported import ExportedNetwork

        folder = Path(self.checkpoint_place)
        digest = str(read_export(folder)["sha256"])
        if (found := _hash(folder / _ONNX)) != digest:
            raise InputError(
                f"{folder / _ONNX} must have the SHA-256 {digest[:16]}..., got {found[:16]}..."
            )
        contract = resolve_contract(str(folder), None, ClassifierContract)
        limited = contract.with_limits(max_length=self.max_length)
        return ExportedNetwork(folder / _ONNX, limited, digest).eval()

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
    import torch

    from recross.inference.encoders.backends import onnx_runtime  # an extra's packages
    from recross.inference.encoders.padding_probe import reads_padding
    from recross.rerankers.networks.pairs import PairNetwork

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
