"""Whether the weights of a checkpoint are those of the model that is made of them.

A weight that is missing is drawn at random, and one that no module has is dropped: both would score
without a word, so that only what is known to do no harm may be.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from recross.checkpoints.loaded import Model
from recross.errors import InputError

_BUFFERS = r"(^|\.)(position_ids|token_type_ids|rotary_emb\.inv_freq|masked_bias)$"
_COPIES = r"^(encoder|decoder)\.embed_tokens\.weight$"
_PRETRAINING = (
    r"^(cls|lm_head|mlm|qa_outputs|vocab_(transform|layer_norm|projector)|generator_lm_head"
    r"|generator_predictions|discriminator_predictions)\."
)
_OTHERS = r"(^|\.)pooler\.|\.EncDecAttention\.relative_attention_bias\.weight$"
_UNREAD = re.compile("|".join((_BUFFERS, _COPIES, _PRETRAINING, _OTHERS)))
"""Names of weights that many checkpoints hold and no score needs: buffers, copies, what an encoder
was first trained with, and poolers and biases that a kind of model has not."""
_POOLER = re.compile(r"(^|\.)pooler\.")


class Names(NamedTuple):
    """The names of weights that a model lacks, and of those that it has no place for."""

    missing: Sequence[str]
    unexpected: Sequence[str]


class Allowed(NamedTuple):
    """What may be missing or left over besides what never does harm.

    ``head``: weights outside of the encoder, since they will be trained. ``layers``: those of
    layers from this one on. ``unused``: names, as regular expressions, that a record lists.
    """

    head: bool = False
    layers: int | None = None
    unused: Sequence[str] = ()


def find_wrapper(names: Names) -> str | None:
    """Find what a compiled or wrapped model has put before the names of its weights.

    ``_orig_mod.`` and ``module.`` are such; without it the names must be those that are lacking.
    """
    if not names.unexpected:
        return None
    first, last = min(names.unexpected), max(names.unexpected)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    prefix = "".join(letter for letter, _ in same).rpartition(".")[0] + "."
    bare = {name.removeprefix(prefix) for name in names.unexpected}
    lacking = set(names.missing) | {name.partition(".")[2] for name in names.missing}
    return prefix if bare & lacking else None


def check_shapes(
    checkpoint: str, unfit: Iterable[tuple[str, Sequence[int], Sequence[int]]]
) -> None:
    """Refuse weights of other shapes than the config asks for: each by name, as is and as asked.

    Raises:
        InputError: there are any.
    """
    for name, found, asked in sorted(unfit):
        raise InputError(
            f"checkpoint {checkpoint!r} must hold weights of the sizes in its config, which asks"
            f" for {name} of {list(asked)}, got {list(found)}"
        )


def check_names(checkpoint: str, model: Model, names: Names, allowed: Allowed) -> bool:
    """Refuse a model that is not what its checkpoint says; whether a head had to be drawn.

    Raises:
        InputError: weights are missing, or some of the checkpoint's belong to no module.
    """
    drawn = [name for name in names.missing if not _is_idle(model, name)]
    lacking = drawn if not allowed.head else [n for n in drawn if _is_of_encoder(model, n)]
    if lacking:
        hint = (
            "" if allowed.head else " (fresh_head=true allows it for a head that will be trained)"
        )
        raise InputError(
            f"checkpoint {checkpoint!r} lacks {_list(lacking)}; freshly drawn weights score at"
            f" random{hint}"
        )
    _refuse_left_over(checkpoint, model, names.unexpected, allowed)
    return bool(drawn)


def _refuse_left_over(
    checkpoint: str, model: Model, unexpected: Iterable[str], allowed: Allowed
) -> None:
    unused = [re.compile(pattern) for pattern in allowed.unused]
    left_over = [
        name
        for name in unexpected
        if not _UNREAD.search(name)
        and not any(pattern.search(name) for pattern in unused)
        and not _is_of_cut_layer(name, allowed.layers)
        and not (allowed.head and not _is_of_encoder(model, name))
    ]
    if left_over:
        raise InputError(
            f"checkpoint {checkpoint!r} must hold the weights of a {type(model).__name__} and no"
            f" others, got {_list(left_over)}: what they compute would be left out"
        )


def _is_of_encoder(model: Model, name: str) -> bool:
    """Whether a weight lies within the encoder, by its name with or without the encoder's."""
    if _POOLER.search(name):
        return False
    first = name.partition(".")[0]
    children = {child for child, _ in model.base_model.named_children()}
    return first == model.base_model_prefix or first in children


def _is_idle(model: Model, name: str) -> bool:
    """Whether a weight is the pooler of a bare encoder, whose output is not asked for."""
    return model.base_model is model and bool(_POOLER.search(name))


def _is_of_cut_layer(name: str, layers: int | None) -> bool:
    numbers = re.findall(r"\.(\d+)\.", name)
    return layers is not None and any(int(number) >= layers for number in numbers)


def _list(names: Collection[str]) -> str:
    first = sorted(names)[:5]
    return ", ".join(first) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
