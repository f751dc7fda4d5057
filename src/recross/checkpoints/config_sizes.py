"""Whether a config holds sizes, and whether they are those of the weights beside it.

A model is built as large as its config says before a single weight is compared, so that a wrong
number there takes all memory, or never ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recross.checkpoints.loaded import ModelConfig
from recross.errors import InputError
from recross.records import Json, JsonObject

if TYPE_CHECKING:
    from recross.checkpoints.weight_files import StoredWeights

_LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "num_decoder_layers")
_COUNTS = (
    *("hidden_size", "d_model", "dim", "n_embd", "embedding_size", "vocab_size", "num_labels"),
    *_LAYERS,
    *("num_attention_heads", "num_heads", "n_heads", "n_head", "num_key_value_heads"),
    *("intermediate_size", "d_ff", "hidden_dim", "n_inner", "head_dim", "d_kv"),
)
"""What families call the sizes without which there is no model."""
_POSITIONS, _GROUPS = "max_position_embeddings", "num_hidden_groups"
_OLD_ACTIVATION = "sbert_ce_default_activation_function"
"""What sentence-transformers called ``activation_fn`` once."""
_MOST = {**dict.fromkeys(_LAYERS, 10_000), "num_labels": 100_000}
"""What configs are refused beyond: transformers lists every layer and every label."""
_BEYOND = 16
"""How many times the largest dimension of the weights no size of their model exceeds."""


def check_config(checkpoint: str, values: JsonObject) -> None:
    """Refuse a config whose family is no text, or whose sizes are no positive whole numbers.

    Raises:
        InputError: a value is of another kind; the message names it.
    """
    for name in ("id2label", "label2id", "sentence_transformers"):
        if not isinstance(values.get(name), dict | None):
            raise _wrong(checkpoint, name, "an object", values[name])
    said = {**values, **(values.get("sentence_transformers") or {})}
    for name in ("model_type", "tokenizer_class", "activation_fn", _OLD_ACTIVATION):
        if not isinstance(said.get(name), str | None):
            raise _wrong(checkpoint, name, "text", said[name])
    classes = values.get("architectures")
    if classes is not None and not _holds_names(classes):
        raise _wrong(checkpoint, "architectures", "a list of names of classes", classes)
    for name in _COUNTS:
        _check_count(checkpoint, name, values.get(name))


def _check_count(checkpoint: str, name: str, value: Json) -> None:
    if isinstance(value, list | None):  # a list: one for every layer
        return
    if type(value) is not int or not 0 < value <= _MOST.get(name, value):
        most = f" of at most {_MOST[name]}" if name in _MOST else ""
        raise _wrong(checkpoint, name, f"a positive whole number{most}", value)


def check_stored_sizes(checkpoint: str, config: ModelConfig, stored: StoredWeights) -> None:
    """Refuse a config whose width, vocabulary or number of layers are not those of the weights.

    Nothing can be said of weights that are not listed, or packed into fewer numbers.

    Raises:
        InputError: a size is no dimension of any weight, or there are fewer weights than layers.
    """
    settings = _read_settings(config)
    if not stored or settings["quantization_config"] is not None:
        return
    said = {name: size for name, size in settings.items() if type(size) is int}
    sizes = {size for weight in stored.values() for size in weight.shape}
    for name in ("hidden_size", "vocab_size"):
        size = said.get(name)
        if size is not None and size not in sizes:
            raise InputError(
                f"{name} in the config of checkpoint {checkpoint!r} must be that of its weights, of"
                f" which none has such a dimension, got {size}"
            )
    if not any("position" in name for name in stored):
        said.pop(_POSITIONS, None)
    for name, size in said.items():
        if size > _BEYOND * max(sizes, default=1):
            raise InputError(
                f"{name} in the config of checkpoint {checkpoint!r} must be that of its weights,"
                f" of which the largest dimension is {max(sizes)}, got {size}"
            )
    layers = said.get("num_hidden_layers", 0)
    shares = _GROUPS in said  # ALBERT's layers are one
    if layers > len(stored) and not shares:
        raise InputError(
            f"num_hidden_layers in the config of checkpoint {checkpoint!r} must be at most the"
            f" {len(stored)} weights that are stored, got {layers}"
        )


def _read_settings(config: ModelConfig) -> dict[str, Json]:
    """What a config says of sizes, under the names that its family has for them or ours."""
    names = (*_COUNTS, _POSITIONS, _GROUPS, "quantization_config")
    return {name: getattr(config, name, None) for name in names}


def _holds_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _wrong(checkpoint: str, name: str, rule: str, value: Json) -> InputError:
    return InputError(
        f"{name} in the config of checkpoint {checkpoint!r} must be {rule}, got {value!r}"
    )
