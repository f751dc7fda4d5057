"""Which tokens a tokenizer gives to a text alone, as one name."""

from __future__ import annotations

import json
from weakref import WeakKeyDictionary

from xxhash import xxh3_128_hexdigest

from recross.checkpoints.loaded import Tokenizer, find_fast_tokenizer

DECIDING = ("normalizer", "pre_tokenizer", "model", "added_tokens")
"""Parts of a fast tokenizer that act on a text; others add special tokens, cut, fill or decode."""

_known: WeakKeyDictionary[Tokenizer, str] = WeakKeyDictionary()


def digest_tokenizer(tokenizer: Tokenizer) -> str:
    """A name that two tokenizers share where each gives every text the tokens of the other.

    What they add to texts, or cut from them, plays no part.
    """
    if tokenizer not in _known:
        _known[tokenizer] = xxh3_128_hexdigest(_describe(tokenizer).encode())
    return _known[tokenizer]


def _describe(tokenizer: Tokenizer) -> str:
    backend = find_fast_tokenizer(tokenizer)
    if backend is None:
        return repr((type(tokenizer).__qualname__, sorted(tokenizer.get_vocab().items())))
    whole = json.loads(backend.to_str())
    return json.dumps({part: whole.get(part) for part in DECIDING}, sort_keys=True)
