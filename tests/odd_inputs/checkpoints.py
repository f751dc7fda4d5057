"""What can be wrong with any checkpoint, met on every road that reads one."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.tiny_checkpoints import (
    POINTER,
    ROADS,
    Damage,
    config,
    keep_bytes,
    odd,
    remove,
    rewrite,
    weights,
)


class Payload:
    """What runs when an unpickler believes it."""

    def __reduce__(self):
        return (print, ("a pickle has run",))


def put_pickle(legacy: bool) -> Damage:
    def damage(at: Path) -> None:
        state = load_file(at / "model.safetensors")
        (at / "model.safetensors").unlink()
        torch.save(
            {**state, "x": Payload()},
            at / "pytorch_model.bin",
            _use_new_zipfile_serialization=not legacy,
        )

    return damage


def add_nan(state):
    name = max(state, key=lambda name: state[name].numel())
    state[name].view(-1)[7] = float("nan")
    return state


def add_foreign_part(at: Path) -> None:
    whole = json.loads((at / "tokenizer.json").read_text(encoding="utf-8"))
    whole["pre_tokenizer"] = {"type": "Martian", "behavior": "isolated"}
    (at / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")


TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model")

EVERYWHERE = {
    "weights cut in the middle": (keep_bytes("model.safetensors", 0.5), ("model.safetensors",)),
    "no weights": (remove("model.safetensors"), ("model.safetensors",)),
    "NaN in the weights": (weights(add_nan), ("finite", "nan")),
    "a pointer in place of weights": (
        rewrite("model.safetensors", POINTER),
        ("model.safetensors", "git lfs pull"),
    ),
    "a pointer in place of the tokenizer": (
        rewrite("tokenizer.json", POINTER),
        ("tokenizer.json", "git lfs pull"),
    ),
    "no tokenizer": (remove(*TOKENIZER_FILES), ("tokenizer",)),
    "a tokenizer with an unknown part": (add_foreign_part, ("tokenizer",)),
    "config is a list": (rewrite("config.json", "[1, 2]"), ("config.json", "object", "list")),
    "config is cut": (keep_bytes("config.json", 0.5), ("config.json", "JSON")),
    "config of an unknown family": (config(model_type="martian"), ("martian",)),
    "a pickle that runs code": (put_pickle(legacy=False), ("pytorch_model.bin",)),
    "an adapter without its base": (
        lambda at: (at / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}'),
        ("adapter", "a/b"),
    ),
}

BY_ADDITION = ("bi-encoder", "sentence-transformers")
"""Roads that take an adapter whose base is at hand."""


def say(what: str, says: tuple[str, ...], road: str) -> tuple[str, ...]:
    if "adapter" in what and (road in BY_ADDITION or road == "dual encoder"):
        return ("checkpoint", "modules" if road in BY_ADDITION else "must be an encoder")
    return ("checkpoint", *says)


ODD_INPUTS: list[OddInput] = [
    odd(what, damage, refused(*say(what, says, road)), road)
    for what, (damage, says) in EVERYWHERE.items()
    for road in ROADS
]
ODD_INPUTS += [
    odd("nothing odd", remove(), True, road) for road in ROADS if road not in ("ONNX", "fresh head")
]
