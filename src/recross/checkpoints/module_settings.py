"""What files in sentence-transformers' and PyLate's layouts say of modules, and in what kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from recross.checkpoints.json_files import read_json
from recross.checkpoints.stored_values import check_stored_values
from recross.parts.hints import Hint
from recross.records import JsonObject

_COUNT = Annotated[int, Ge(1)]
_OBJECT = dict | None  # type: ignore[type-arg]  # an error says "a dict"
_SWITCHES = (
    *("do_lower_case", "bias", "use_residual", "include_prompt", "do_query_expansion"),
    *("attend_to_expansion_tokens", "attend_to_mask_tokens", "normalize_embeddings"),
    *("pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens"),
    *("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"),
    "pooling_mode_lasttoken",
)
_COUNTS_OR_NONE = (
    *("max_seq_length", "truncate_dim", "max_active_dims", "query_length", "document_length"),
    *("word_embedding_dimension", "embedding_dimension"),
)
_TEXTS_OR_NONE = (
    *("default_prompt_name", "similarity_fn_name", "activation_fn", "model_type"),
    *("activation_function", "pooling_strategy", "transformer_task", "query_prefix"),
    *("document_prefix", "module_input_name"),
)
SETTINGS: Mapping[str, Hint] = {
    **dict.fromkeys(_SWITCHES, bool | None),
    **dict.fromkeys(_COUNTS_OR_NONE, _COUNT | None),
    **dict.fromkeys(_TEXTS_OR_NONE, str | None),
    **dict.fromkeys(("in_features", "out_features", "dimension"), _COUNT),
    **dict.fromkeys(("query_expansion", "modality_config", "processing_kwargs"), _OBJECT),
    "prompts": dict[str, str | None] | None,
    "pooling_mode": str | list[str] | None,
    "skiplist_words": list[str] | None,
    "skiplist_tasks": str | list[str] | None,
    "keep_only_token_ids": list[int] | None,
}
"""Settings that are read here, by their names in whichever file, and what they may be."""


def read_settings(path: Path) -> JsonObject:
    """Read what a file says of a module, or of the whole model.

    Raises:
        InputError: it holds no JSON object, or a setting of another kind.
    """
    values = read_json(path)
    check_stored_values(path, values, SETTINGS)
    return values
