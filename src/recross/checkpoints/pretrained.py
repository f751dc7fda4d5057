"""Checkpoints in Hugging Face layout: weights with their tokenizer, or one clear error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertModel,
    BertPreTrainedModel,
    ElectraConfig,
    ElectraModel,
    ElectraPreTrainedModel,
    PretrainedConfig,
    T5Config,
    T5ForConditionalGeneration,
    T5ForTokenClassification,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from recross.checkpoints.location import locate
from recross.errors import InputError


class LateInteractionModel(BertPreTrainedModel):  # type: ignore[no-untyped-call]
    """BERT with a linear layer on every token, in ColBERT's own names (``bert``, ``linear``)."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.linear = nn.Linear(config.hidden_size, config.dim, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]


ENCODER_PARTS = ("embeddings", "embeddings_project", "encoder")


class FirstTokenLinear(nn.Linear):
    """A linear layer on the first token's state: ``(B, L, D)`` to ``(B, labels)``."""

    def forward(self, states: Tensor) -> Tensor:
        """Logits."""
        return super().forward(states[:, 0])


class LinearElectraForSequenceClassification(ElectraPreTrainedModel):
    """ELECTRA with a single linear layer for a head, as lightning-ir's monoELECTRA has it."""

    names: ClassVar = {
        **{f"^{part}\\.": f"electra.{part}." for part in ENCODER_PARTS},
        "^linear\\.": "classifier.",
    }
    """What lightning-ir calls the weights (as regular expressions) -> their names here."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.classifier = FirstTokenLinear(config.hidden_size, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, **inputs: Tensor) -> SequenceClassifierOutput:
        """Logits of the first token."""
        states = self.electra(**inputs).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(states))


KINDS: dict[str, Any] = {
    "late_interaction": LateInteractionModel,
    "encoder": AutoModel,
    "sequence_classifier": AutoModelForSequenceClassification,
    "token_classifier": AutoModelForTokenClassification,
    "sequence_to_sequence": AutoModelForSeq2SeqLM,
    "causal_lm": AutoModelForCausalLM,
    "masked_lm": AutoModelForMaskedLM,
}


@dataclass(frozen=True)
class Pretrained:
    """A model of one of ``KINDS``, ready to score, and its tokenizer."""

    model: Any
    tokenizer: Any
    head_is_fresh: bool = False
    """Whether weights were drawn because the checkpoint has them not: it scores at random."""

    @property
    def config(self) -> Any:
        """The model's own config."""
        return self.model.config


@dataclass(frozen=True)
class Fresh:
    """What may be missing from a checkpoint because it will be trained: drawn from a seed."""

    seed: int = 0
    labels: int | None = 1


def load(
    kind: str,
    checkpoint: str,
    *,
    families: Collection[str] | None = None,
    layers: int | None = None,
    fresh: Fresh | None = None,
    settings: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Pretrained:
    """Load a checkpoint as one of ``KINDS``.

    ``families`` are the ``model_type`` values that are accepted. ``layers`` keeps only the first
    layers; ``settings`` are set in the config; weights are held in ``dtype``. Without ``fresh``
    nothing may be missing from the weights.

    Raises:
        InputError: there is no such checkpoint, its tokenizer is missing, its architecture is
            another, it has fewer layers, or its head would be freshly initialised.
    """
    place = locate(checkpoint)
    config = _config(checkpoint)
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
        checkpoint, "weights", lambda: _weights(kind, place, config, fresh, dtype)
    )
    return Pretrained(model, tokenizer, is_fresh)


def family(checkpoint: str) -> str:
    """The ``model_type`` that a checkpoint's config names."""
    return str(_config(checkpoint).model_type)


def load_tokenizer(checkpoint: str) -> Any:
    """A checkpoint's tokenizer.

    Raises:
        InputError: a folder holds no tokenizer file, or it cannot be read.
    """
    _be_quiet()
    place = locate(checkpoint)
    names = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model", "vocab.json")
    folder = Path(place)
    if folder.is_dir() and not any((folder / name).is_file() for name in names):
        raise InputError(
            f"checkpoint must hold a tokenizer file ({', '.join(names)}),"
            f" got none in {checkpoint!r}"
        )
    return _read(checkpoint, "tokenizer", lambda: AutoTokenizer.from_pretrained(place))


def grown_t5(checkpoint: str, layers: int, seed: int, *, encoder_only: bool = False) -> Pretrained:
    """A small T5 grown from a BERT: its vocabulary, and its weights wherever a T5 has their like.

    ``layers`` in the encoder, one fresh one in the decoder. T5 has no biases, no means in its norms
    and no absolute positions, so the encoder begins near BERT's and not at it: to be trained. With
    ``encoder_only`` a linear head on the encoder's tokens takes the decoder's place.
    """
    source = load("encoder", checkpoint, families={"bert"}, fresh=Fresh(labels=None), layers=layers)
    own, tokenizer = source.config, source.tokenizer
    config = T5Config(
        vocab_size=own.vocab_size,
        d_model=own.hidden_size,
        d_kv=own.hidden_size // own.num_attention_heads,
        d_ff=own.intermediate_size,
        num_layers=layers,
        num_decoder_layers=1,
        num_heads=own.num_attention_heads,
        feed_forward_proj="gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.sep_token_id,
        dropout_rate=0.0,
    )
    config.num_labels = 1
    config.decoder_start_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = T5ForTokenClassification if encoder_only else T5ForConditionalGeneration
        model: Any = kind(config)
    with torch.no_grad():
        _graft(source.model, model)
    model.train(False)
    return Pretrained(model, tokenizer, head_is_fresh=True)


def _graft(bert: Any, t5: Any) -> None:
    """Copy a BERT's weights into a T5's encoder; norms take the gains of those before them."""
    embeddings = bert.embeddings
    everywhere = embeddings.token_type_embeddings.weight[0]
    everywhere = everywhere + embeddings.position_embeddings.weight.mean(dim=0)
    words = embeddings.LayerNorm(embeddings.word_embeddings.weight + everywhere)
    t5.get_input_embeddings().weight.copy_(words)
    gain = (
        words.pow(2).mean().sqrt().expand(words.shape[1])
    )  # so that the first norm changes little
    for block, layer in zip(t5.get_encoder().block, bert.encoder.layer, strict=True):
        attention, feed_forward = block.layer[0].SelfAttention, block.layer[1].DenseReluDense
        own = layer.attention.self
        block.layer[0].layer_norm.weight.copy_(gain)
        attention.q.weight.copy_(own.query.weight * own.attention_head_size**-0.5)  # T5 scales not
        attention.k.weight.copy_(own.key.weight)
        attention.v.weight.copy_(own.value.weight)
        attention.o.weight.copy_(layer.attention.output.dense.weight)
        block.layer[1].layer_norm.weight.copy_(layer.attention.output.LayerNorm.weight)
        feed_forward.wi.weight.copy_(layer.intermediate.dense.weight)
        feed_forward.wo.weight.copy_(layer.output.dense.weight)
        gain = layer.output.LayerNorm.weight
    t5.get_encoder().final_layer_norm.weight.copy_(gain)


def _weights(
    kind: str, place: str, config: Any, fresh: Fresh | None, dtype: torch.dtype
) -> tuple[Any, bool]:
    """The model, and whether any of its weights had to be drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fresh.seed if fresh else 0)
        model, report = _class(kind, config).from_pretrained(
            place,
            config=config,
            dtype=dtype,
            key_mapping=getattr(_class(kind, config), "names", None),
            output_loading_info=True,
        )
    if report["missing_keys"] and fresh is None:
        raise InputError(
            f"checkpoint {place!r} lacks {', '.join(sorted(report['missing_keys']))};"
            " a freshly initialised head scores at random (fresh_head=true allows it, for training)"
        )
    return model.eval(), bool(report["missing_keys"])


def _class(kind: str, config: Any) -> Any:
    has_linear_head = getattr(config, "linear_head", False)
    if kind == "sequence_classifier" and has_linear_head:
        return LinearElectraForSequenceClassification
    return KINDS[kind]


def _config(checkpoint: str) -> Any:
    _be_quiet()
    return _read(checkpoint, "config", lambda: _known_config(locate(checkpoint)))


def _known_config(place: str) -> Any:
    """A config as transformers knows it; lightning-ir's of an ELECTRA is translated."""
    values, _ = PretrainedConfig.get_config_dict(place)
    kind = values.get("model_type")
    if kind != "mono-electra" and values.get("backbone_model_type") != "electra":
        return AutoConfig.from_pretrained(place)
    own = {name: value for name, value in values.items() if name in ElectraConfig().to_dict()}
    own |= {"model_type": "electra", "linear_head": True, "num_labels": 1}
    return ElectraConfig(**own)


def _read(checkpoint: str, part: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise InputError(
            f"checkpoint must be a hub id or a folder with config, weights and tokenizer,"
            f" got {checkpoint!r}, whose {part} cannot be read ({str(error).splitlines()[0]})"
        ) from None


def _cut(config: Any, layers: int) -> None:
    if layers > config.num_hidden_layers:
        raise InputError(
            f"layers must not exceed the checkpoint's {config.num_hidden_layers}, got {layers}"
        )
    config.num_hidden_layers = layers


def _be_quiet() -> None:
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
