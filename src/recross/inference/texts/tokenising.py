"""The tokens of texts, each alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from recross.checkpoints.loaded import Tokenizer
from recross.inference.texts.control_tokens import find_text_tokenizer
from recross.inference.texts.token_ids import TokenIds


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text alone, uncut, without special tokens, whose strings are text."""
    if not texts:
        return []
    fast = find_text_tokenizer(tokenizer)
    if fast is not None:
        return fast.encode_texts(texts)
    encoded = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
    )
    slow: list[list[int]] = encoded["input_ids"]
    return slow


def tokenize_fixed(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts that a template is made of: its special tokens are such."""
    fast = find_text_tokenizer(tokenizer)
    if fast is not None:
        return [encoding.ids for encoding in fast.encode([fast.write_fixed(t) for t in texts])]
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)
    slow: list[list[int]] = encoded["input_ids"]
    return slow


def tokenize_part(tokenizer: Tokenizer, texts: Sequence[str], kind: npt.DTypeLike) -> TokenIds:
    """The tokens of texts, as numbers of one type."""
    tokens = TokenIds.of(tokenize(tokenizer, texts))
    return TokenIds(tokens.ids.astype(kind), tokens.offsets)
