"""Encoders of texts: a model of transformers without a head, all of whose weights are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoConfig, AutoModel

from recross.checkpoints.loaded import Model
from recross.checkpoints.location import find_pinned_revision, locate
from recross.checkpoints.pretrained import Pretrained, load_tokenizer
from recross.errors import InputError

_WRAPPERS = {r"^(_orig_mod|module|model)\.": ""}
"""What wrapped models (compiled, parallel, part of another) put before the names of weights."""
_HEADS = (
    *("cls", "classifier", "decoder", "head", "lm_head", "lm_predictions", "mask_predictions"),
    *("pre_classifier", "discriminator_predictions", "generator_lm_head", "generator_predictions"),
    *("qa_outputs", "score", "vocab_layer_norm", "vocab_projector", "vocab_transform"),
)
"""What weights of heads begin with, at times after the name of the encoder."""
_COMPUTED = ("position_ids", "inv_freq", "token_type_ids")
"""What buffers are called that a model makes itself."""


def load_text_encoder(checkpoint: str, place: str = "") -> Pretrained:
    """Load the encoder of a checkpoint in single precision, with its tokenizer.

    ``place`` is a folder within the checkpoint. Names of weights may have the prefix of a wrapped
    model. Heads that come with the weights are left out, as is a pooler that is drawn where the
    checkpoint has none: nothing reads them.

    Raises:
        InputError: there is no such checkpoint, or its weights are not those of its encoder.
    """
    folder = Path(locate(checkpoint), place)
    where = str(folder) if place and folder.is_dir() else checkpoint
    tokenizer = load_tokenizer(where)
    model, report = _load(where, None)
    if _list_faults(report) and any(_is_wrapped(name) for name in report["unexpected_keys"]):
        model, report = _load(where, _WRAPPERS)
    if faults := _list_faults(report):
        raise InputError(
            f"checkpoint must hold all weights of its {type(model).__name__} and no others,"
            f" got {checkpoint!r}, {'; '.join(faults)}"
        )
    return Pretrained(cast(Model, model.train(False)), tokenizer)


def _load(checkpoint: str, names: Mapping[str, str] | None) -> tuple[Any, Mapping[str, Any]]:
    location, revision = locate(checkpoint), find_pinned_revision(checkpoint)
    try:
        with torch.random.fork_rng(devices=[]):
            config = AutoConfig.from_pretrained(location, revision=revision)
            model, report = AutoModel.from_pretrained(
                location,
                revision=revision,
                config=config,
                dtype=torch.float32,
                key_mapping=names,
                output_loading_info=True,
            )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise InputError(
            f"checkpoint must be a hub id or a folder with config, weights and tokenizer, got"
            f" {checkpoint!r}, which cannot be read ({str(error).splitlines()[0]})"
        ) from None
    return model, report


def _list_faults(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with the weights, in words."""
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name.split("."))
    others = sorted(name for name in report["unexpected_keys"] if not _is_left_out(name))
    said = (("which lacks", missing), ("which has besides", others))
    return [f"{words} {_shorten(names)}" for words, names in said if names]


def _is_left_out(name: str) -> bool:
    """Whether a weight is of a head or a pooler, or a buffer that is computed anew."""
    parts = name.split(".")
    return parts[-1] in _COMPUTED or any(part in (*_HEADS, "pooler") for part in parts[:2])


def _is_wrapped(name: str) -> bool:
    return name.startswith(("_orig_mod.", "module.", "model."))


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
