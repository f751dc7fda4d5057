"""The ways to compute scores that hardware offers, and what each needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from recross.machine.packages import is_installed

Backend = Literal["torch", "torch_compile", "torch_int8", "onnx"]
Precision = Literal["fp32", "bf16", "fp16"]


class Needs(NamedTuple):
    """What a back-end needs: packages, which the extra of its name installs, and settings."""

    packages: tuple[str, ...] = ()
    settings: Mapping[str, str] = {}  # of the hardware, by name


ON_CPU = {"accelerator": "cpu", "precision": "fp32"}

NEEDS: Mapping[Backend, Needs] = {
    "torch": Needs(),
    "torch_compile": Needs(),
    "torch_int8": Needs(settings=ON_CPU),
    "onnx": Needs(("onnx", "onnxruntime", "onnxscript"), ON_CPU),
}


def find_missing_packages(backend: Backend) -> list[str]:
    """Return the packages that a back-end needs and this installation lacks."""
    return [name for name in NEEDS[backend].packages if not is_installed(name)]
