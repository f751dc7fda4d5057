"""Which tokens a tokenizer gives to a text alone, as one name."""

from __future__ import annotations

import json
from weakref import WeakKeyDictionary

from xxhash import xxh3_128_hexdigest

from recross.checkpoints.loaded import Tokenizer, find_fast_tokenizer

DECIDING = ("normalizer", "pre_tokenizer", "model", "added_tokens")
"""Parts of a fast tokenizer that act on a text; others add special tokens, cut, fill or decode."""

PLACES = ("name_or_path", "vocab_file", "tokenizer_file", "merges_file")
"""Where a slow tokenizer was read from; its other settings, as lower-casing, decide its tokens."""

READING = 2
"""How texts are tokenised; raised where the same tokenizer gives other tokens than it did.

1: the strings of control tokens were these tokens also in texts. 2: there they are text.
"""

_known: WeakKeyDictionary[Tokenizer, tuple[int, str]] = WeakKeyDictionary()
"""Names with the number of pieces they were found at: tokens may be added to a tokenizer."""


def digest_tokenizer(tokenizer: Tokenizer) -> str:
    """A name that two tokenizers share where each gives every text the tokens of the other.

    What they add to texts, or cut from them, plays no part.
    """
    pieces, (known_pieces, known) = len(tokenizer), _known.get(tokenizer, (-1, ""))
    if known_pieces == pieces:
        return known
    digest = xxh3_128_hexdigest(_describe(tokenizer).encode())
    _known[tokenizer] = pieces, digest
    return digest


def _describe(tokenizer: Tokenizer) -> str:
    backend = find_fast_tokenizer(tokenizer)
    if backend is None:
        settings = {k: v for k, v in tokenizer.init_kwargs.items() if k not in PLACES}
        pieces = sorted(tokenizer.get_vocab().items())
        return repr((READING, type(tokenizer).__qualname__, sorted(settings.items()), pieces))
    whole = json.loads(backend.to_str())
    parts = {part: whole.get(part) for part in DECIDING}
    return json.dumps(parts | {"reading": READING}, sort_keys=True)
