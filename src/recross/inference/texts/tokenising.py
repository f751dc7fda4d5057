"""The tokens of texts, each alone."""

from __future__ import annotations

from collections.abc import Sequence

from recross.checkpoints.loaded import Tokenizer, find_fast_tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text alone, uncut, without special tokens."""
    if not texts:
        return []
    backend = find_fast_tokenizer(tokenizer)
    if backend is None:
        encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)
        slow: list[list[int]] = encoded["input_ids"]
        return slow
    backend.no_truncation()
    backend.no_padding()
    encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encodings]
