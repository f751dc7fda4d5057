"""Control tokens such as ``[SEP]`` or ``<|im_end|>``: a template holds them, a text never does.

A tokenizer takes their strings for them wherever they stand, also in a document that only mentions
them. Here a tokenizer is copied with its control tokens renamed to what no text holds: their old
strings are text like any other, and fixed text is written with the new ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from recross.checkpoints.loaded import Encoding, FastTokenizer, Tokenizer, find_fast_tokenizer
from recross.errors import InputError
from recross.records import JsonObject

SIGN = "\U0010fffe"
"""A code point that Unicode keeps out of texts; a text that has it nevertheless gets another."""
GUARD = "\U0010ffff"
"""Another one: within and around guarded texts, so that no control token is found in them."""
REPLACEMENT = "\ufffd"
JOINT = f"{SIGN}joint{SIGN}"
"""Where fixed text has it, tokenising begins anew; it leaves no token."""
MARKUP = re.compile(r"<.+>|\[.+\]", re.DOTALL)

_known: WeakKeyDictionary[Tokenizer, tuple[int, TextTokenizer]] = WeakKeyDictionary()
"""Copies with the number of pieces they were made at: tokens may be added to a tokenizer."""


@dataclass(frozen=True)
class TextTokenizer:
    """A fast tokenizer that reads texts as text, and in fixed text its control tokens.

    ``names`` are the new strings of the control tokens by their own.
    """

    fast: FastTokenizer
    names: Mapping[str, str]

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenise strings that hold texts, and fixed text as it was written for this."""
        return self.fast.encode_batch(list(texts), add_special_tokens=False)

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of texts alone."""
        clean = [clear_text(text) for text in texts]
        encodings = self.fast.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def write_fixed(self, fixed: str) -> str:
        """Fixed text with its control tokens as they are called here."""
        return self._own.sub(lambda match: self.names[match[0]], fixed)

    def guard(self, text: str) -> str:
        """A text that stays text wherever it is put into a string for ``encode_guarded``."""
        text = clear_text(text).replace(GUARD, REPLACEMENT)
        apart = self._own.sub(lambda match: GUARD.join((*match[0], "")), text)
        return f"{GUARD}{apart}{GUARD}" if text else text

    def encode_guarded(self, text: str) -> list[int]:
        """The token ids of fixed text with guarded texts in it."""
        written = self.write_fixed(clear_text(text)).replace(GUARD, "")
        return self.encode([written])[0].ids

    @cached_property
    def _own(self) -> re.Pattern[str]:
        """Control tokens by their own strings, the longest first; where there are none, nothing."""
        longest_first = sorted(self.names, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def clear_text(text: str) -> str:
    """A text without the code point that control tokens are called by."""
    return text.replace(SIGN, REPLACEMENT) if SIGN in text else text


def find_text_tokenizer(tokenizer: Tokenizer) -> TextTokenizer | None:
    """The copy of a fast tokenizer that reads texts as text; ``None`` where all is Python."""
    fast = find_fast_tokenizer(tokenizer)
    if fast is None:
        return None
    pieces = len(tokenizer)
    known_pieces, known = _known.get(tokenizer, (-1, None))
    if known is not None and known_pieces == pieces:
        return known
    made = _copy(fast)
    _known[tokenizer] = pieces, made
    return made


def _copy(fast: FastTokenizer) -> TextTokenizer:
    whole = json.loads(fast.to_str())
    model, added = whole["model"], whole["added_tokens"]
    own = {piece for piece, *_ in model["vocab"]} if _is_a_list(model) else set(model["vocab"])
    controls = [token for token in added if _is_control(token, own)]
    names = {
        token["content"]: f"{SIGN}{number}{SIGN}" for number, token in enumerate(controls, start=1)
    }
    for token in controls:
        token.update(content=names[token["content"]], normalized=False)
    _rename(model, names)
    joint = {"id": len(own) + len(added), "content": JOINT, "special": True, "normalized": False}
    joint |= {"single_word": False, "lstrip": False, "rstrip": False}
    whole |= {"added_tokens": [*added, joint], "post_processor": None, "decoder": None}
    whole |= {"truncation": None, "padding": None}
    copied = fast.from_str(json.dumps(whole))
    for token in controls:
        if copied.token_to_id(token["content"]) != token["id"]:
            raise InputError(
                "tokenizer must number its added tokens from the end of its vocabulary, got"
                f" {token['id']} for one of them"
            )
    return TextTokenizer(copied, names)


def _is_control(token: JsonObject, own: set[str]) -> bool:
    """Whether an added token is none of a text's own pieces.

    Special tokens are not, unless they are one character, as the ``+`` that fills up some batches.
    Others are where they look like markup and are not in the model's own vocabulary: ``<think>``,
    and not runs of blanks, words that were added for a domain, or pieces learnt with the others.
    """
    content: str = token["content"]
    if token["special"]:
        return len(content) > 1
    return content not in own and MARKUP.fullmatch(content) is not None


def _is_a_list(model: JsonObject) -> bool:
    return isinstance(model["vocab"], list)


def _rename(model: dict[str, Any], names: Mapping[str, str]) -> None:
    """Call control tokens by their new names in the model too, which then makes none of them."""
    if _is_a_list(model):
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {names.get(piece, piece): n for piece, n in model["vocab"].items()}
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [
            merge for merge in model["merges"] if not names.keys() & _pieces_of(merge)
        ]


def _pieces_of(merge: str | Sequence[str]) -> set[str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return {left, right, left + right}
