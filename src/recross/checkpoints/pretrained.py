"""Checkpoints in Hugging Face layout: weights with their tokenizer, or one clear error."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from recross.checkpoints.config_sizes import check_stored_sizes
from recross.checkpoints.foreign import (
    LateInteractionModel,
    LinearElectraForSequenceClassification,
    has_linear_head,
)
from recross.checkpoints.loaded import Model, ModelConfig, Tokenizer
from recross.checkpoints.location import find_file, find_revision
from recross.checkpoints.module_folder import ModuleFolder, read_modules
from recross.checkpoints.pooled_classifier import (
    build_classifier,
    holds_head,
    make_span_classifier,
)
from recross.checkpoints.published import find_published
from recross.checkpoints.source import (
    ModelSource,
    find_config,
    find_source,
    load_tokenizer,
    read_component,
)
from recross.checkpoints.weight_files import align_weights, check_finite, read_stored_weights
from recross.checkpoints.weight_names import Allowed, Names, check_names, check_shapes, find_wrapper
from recross.errors import InputError
from recross.records import JsonObject

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
    chain: ModuleFolder | None = None
    """The chain of modules that the checkpoint is, if it is one."""

    @property
    def config(self) -> ModelConfig:
        """The configuration that the model was loaded with."""
        return self.model.config


@dataclass(frozen=True)
class Fresh:
    """What may be missing from a checkpoint because it will be trained: drawn from a seed.

    With ``reads_spans`` the head is one over the cosine of query and document, whatever the
    checkpoint ends in.
    """

    seed: int = 0
    labels: int | None = 1
    reads_spans: bool = False


class Wanted(NamedTuple):
    """What a checkpoint's weights are loaded as."""

    kind: Kind
    config: ModelConfig
    fresh: Fresh | None
    dtype: torch.dtype
    layers: int | None


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
        InputError: there is no such checkpoint, a file of it is damaged or missing, its
            architecture is another, it has fewer layers, its head would be freshly initialised, or
            its weights are no finite numbers.
    """
    chain = read_modules(checkpoint)
    source = find_source(checkpoint, chain)
    config = find_config(source)
    if families is not None and config.model_type not in families:
        raise InputError(
            f"checkpoint must be of the architecture {' or '.join(sorted(families))},"
            f" got {checkpoint!r}, which is {config.model_type}"
        )
    tokenizer = load_tokenizer(checkpoint)
    check_weight_files(source, config)
    if layers is not None:
        _cut(config, layers)
    if fresh is not None and fresh.labels is not None:
        config.num_labels = fresh.labels
    for name, value in (settings or {}).items():
        setattr(config, name, value)
    head = chain if kind == "sequence_classifier" and holds_head(chain) else None
    reads_spans = fresh is not None and fresh.reads_spans
    wanted = Wanted("encoder" if head or reads_spans else kind, config, fresh, dtype, layers)
    model, is_fresh = read_component(source, "weights", lambda: _load_weights(source, wanted))
    if reads_spans:
        model, is_fresh = cast(Model, make_span_classifier(model).to(dtype)), True
    elif head is not None:
        model = cast(Model, build_classifier(model, head).to(dtype))
    check_finite(checkpoint, model.named_parameters())
    align_weights(model.parameters())
    _check_vocabulary(checkpoint, model, tokenizer)
    return Pretrained(model.eval(), tokenizer, is_fresh, find_revision(checkpoint), chain)


def check_weight_files(source: ModelSource, config: ModelConfig) -> None:
    """Refuse files of weights that are damaged, or not of the sizes of their config.

    Those of an id of the hub are fetched if they are not in its cache.

    Raises:
        InputError: they are.
    """
    stored = read_stored_weights(partial(find_file, source.location, folder=source.folder))
    check_stored_sizes(source.checkpoint, config, stored)


def _load_weights(source: ModelSource, wanted: Wanted) -> tuple[Model, bool]:
    """The model, and whether any of its weights had to be drawn."""
    names = getattr(_find_class(wanted.kind, wanted.config), "names", None)
    model, found = _from_pretrained(source, wanted, names)
    wrapper = find_wrapper(found)
    if wrapper is not None:
        unwrapped = {f"^{re.escape(wrapper)}": ""}
        model, found = _from_pretrained(source, wanted, unwrapped | dict(names or {}))
    known, fresh = find_published(source.checkpoint), wanted.fresh
    allowed = Allowed(fresh is not None, wanted.layers, known.unused_weights if known else ())
    return model, check_names(source.location, model, found, allowed)


def _from_pretrained(
    source: ModelSource, wanted: Wanted, names: Mapping[str, str] | None
) -> tuple[Model, Names]:
    """Read weights; attention is torch's own, whatever a config asks for or is installed here."""
    wanted.config._attn_implementation = "eager"  # which every model knows
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(wanted.fresh.seed if wanted.fresh else 0)
        model, report = _find_class(wanted.kind, wanted.config).from_pretrained(
            source.location,
            **source.where,
            config=wanted.config,
            dtype=wanted.dtype,
            key_mapping=names,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused by what is reported of them
            trust_remote_code=False,
        )
    if model._supports_sdpa:
        model.set_attn_implementation("sdpa")
    check_shapes(source.location, report["mismatched_keys"])
    return model, Names(list(report["missing_keys"]), list(report["unexpected_keys"]))


def _check_vocabulary(checkpoint: str, model: Model, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer with pieces that the model has no vector for."""
    rows = len(model.get_input_embeddings().weight)
    last = max(tokenizer.get_vocab().values(), default=0)
    if last >= rows:
        raise InputError(
            f"checkpoint {checkpoint!r} must hold the tokenizer of its model, which knows {rows}"
            f" pieces, got one whose last piece is {last}"
        )


def _find_class(kind: Kind, config: ModelConfig) -> Any:
    if kind == "sequence_classifier" and has_linear_head(config):
        return LinearElectraForSequenceClassification
    return MODELS[kind]


def _cut(config: ModelConfig, layers: int) -> None:
    if layers > config.num_hidden_layers:
        raise InputError(
            f"layers must not exceed the checkpoint's {config.num_hidden_layers}, got {layers}"
        )
    config.num_hidden_layers = layers
