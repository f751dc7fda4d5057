"""Checkpoints in Hugging Face layout: weights with their tokenizer, or one clear error."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PretrainedConfig,
)
from transformers.utils import logging as transformers_logging

from recross.checkpoints.foreign import (
    LateInteractionModel,
    LinearElectraForSequenceClassification,
    has_linear_head,
    translate_config,
)
from recross.checkpoints.loaded import Model, ModelConfig, Tokenizer
from recross.checkpoints.location import find_pinned_revision, find_revision, locate
from recross.errors import InputError
from recross.records import JsonObject

_Component = TypeVar("_Component")

Kind = Literal[
    "encoder",
    "sequence_classifier",
    "token_classifier",
    "sequence_to_sequence",
    "causal_lm",
    "masked_lm",
    "late_interaction",
]
"""What a checkpoint is loaded as."""

MODELS: dict[Kind, Any] = {
    "encoder": AutoModel,
    "sequence_classifier": AutoModelForSequenceClassification,
    "token_classifier": AutoModelForTokenClassification,
    "sequence_to_sequence": AutoModelForSeq2SeqLM,
    "causal_lm": AutoModelForCausalLM,
    "masked_lm": AutoModelForMaskedLM,
    "late_interaction": LateInteractionModel,
}


@dataclass(frozen=True)
class Pretrained:
    """A model of one kind, ready to score, and its tokenizer."""

    model: Model
    tokenizer: Tokenizer
    head_is_fresh: bool = False
    """Whether weights were drawn because the checkpoint lacks them: it scores at random."""
    revision: str | None = None
    """The hub's commit that was read; ``None`` for a folder."""

    @property
    def config(self) -> ModelConfig:
        """The configuration that the model was loaded with."""
        return self.model.config


@dataclass(frozen=True)
class Fresh:
    """What may be missing from a checkpoint because it will be trained: drawn from a seed."""

    seed: int = 0
    labels: int | None = 1


def load(
    kind: Kind,
    checkpoint: str,
    *,
    families: Collection[str] | None = None,
    layers: int | None = None,
    fresh: Fresh | None = None,
    settings: JsonObject | None = None,
    dtype: torch.dtype = torch.float32,
) -> Pretrained:
    """Load a checkpoint as one kind of model, at its pinned revision if it has one.

    ``families`` are the ``model_type`` values that are accepted. ``layers`` keeps only the first
    layers; ``settings`` are set in the config; weights are held in ``dtype``. Without ``fresh``
    nothing may be missing from the weights.

    Raises:
        InputError: there is no such checkpoint, its tokenizer is missing, its architecture is
            another, it has fewer layers, or its head would be freshly initialised.
    """
    config = _find_config(checkpoint)
    if families is not None and config.model_type not in families:
        raise InputError(
            f"checkpoint must be of the architecture {' or '.join(sorted(families))},"
            f" got {checkpoint!r}, which is {config.model_type}"
        )
    tokenizer = load_tokenizer(checkpoint)
    if layers is not None:
        _cut(config, layers)
    if fresh is not None and fresh.labels is not None:
        config.num_labels = fresh.labels
    for name, value in (settings or {}).items():
        setattr(config, name, value)
    model, is_fresh = _read(
        checkpoint, "weights", lambda: _load_weights(kind, checkpoint, config, fresh, dtype)
    )
    return Pretrained(model, tokenizer, is_fresh, find_revision(checkpoint))


def read_family(checkpoint: str) -> str:
    """The ``model_type`` that a checkpoint's config names."""
    return str(_find_config(checkpoint).model_type)


def load_tokenizer(checkpoint: str) -> Tokenizer:
    """Load a checkpoint's tokenizer.

    Raises:
        InputError: a folder holds no tokenizer file, or it cannot be read.
    """
    _be_quiet()
    location = locate(checkpoint)
    names = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model", "vocab.json")
    folder = Path(location)
    if folder.is_dir() and not any((folder / name).is_file() for name in names):
        raise InputError(
            f"checkpoint must hold a tokenizer file ({', '.join(names)}),"
            f" got none in {checkpoint!r}"
        )
    tokenizer = _read(
        checkpoint,
        "tokenizer",
        lambda: AutoTokenizer.from_pretrained(location, revision=find_pinned_revision(checkpoint)),
    )
    return cast(Tokenizer, tokenizer)


def _load_weights(
    kind: Kind, checkpoint: str, config: ModelConfig, fresh: Fresh | None, dtype: torch.dtype
) -> tuple[Model, bool]:
    """The model, and whether any of its weights had to be drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fresh.seed if fresh else 0)
        model, report = _find_class(kind, config).from_pretrained(
            locate(checkpoint),
            revision=find_pinned_revision(checkpoint),
            config=config,
            dtype=dtype,
            key_mapping=getattr(_find_class(kind, config), "names", None),
            output_loading_info=True,
        )
    missing = sorted(name for name in report["missing_keys"] if not _is_unread(kind, name))
    if missing and fresh is None:
        raise InputError(
            f"checkpoint {locate(checkpoint)!r} lacks {', '.join(missing)};"
            " a freshly initialised head scores at random (fresh_head=true allows it, for training)"
        )
    return model.eval(), bool(missing)


def _is_unread(kind: Kind, name: str) -> bool:
    """Whether a weight is that of BERT's own pooler, which nothing reads of a bare encoder."""
    return kind == "encoder" and name.startswith("pooler.")


def _find_class(kind: Kind, config: ModelConfig) -> Any:
    if kind == "sequence_classifier" and has_linear_head(config):
        return LinearElectraForSequenceClassification
    return MODELS[kind]


def _find_config(checkpoint: str) -> ModelConfig:
    _be_quiet()
    return _read(checkpoint, "config", lambda: _read_config(checkpoint))


def _read_config(checkpoint: str) -> ModelConfig:
    """A config as transformers knows it; other people's are translated."""
    location, revision = locate(checkpoint), find_pinned_revision(checkpoint)
    values, _ = PretrainedConfig.get_config_dict(location, revision=revision)
    known = translate_config(values) or AutoConfig.from_pretrained(location, revision=revision)
    return cast(ModelConfig, known)


def _read(checkpoint: str, component: str, read: Callable[[], _Component]) -> _Component:
    try:
        return read()
    except InputError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        revision = find_pinned_revision(checkpoint)
        pinned = f" at its pinned revision {revision}" if revision is not None else ""
        reason = str(error).splitlines()[0]
        raise InputError(
            f"checkpoint must be a hub id or a folder with config, weights and tokenizer, got"
            f" {checkpoint!r}, whose {component}{pinned} cannot be read ({reason})"
        ) from None


def _cut(config: ModelConfig, layers: int) -> None:
    if layers > config.num_hidden_layers:
        raise InputError(
            f"layers must not exceed the checkpoint's {config.num_hidden_layers}, got {layers}"
        )
    config.num_hidden_layers = layers


def _be_quiet() -> None:
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
