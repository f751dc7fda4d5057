"""Queries and documents as token sequences of late interaction: marked, prompted and cut."""

from __future__ import annotations

from dataclasses import dataclass

from recross.checkpoints.loaded import Tokenizer
from recross.errors import InputError
from recross.inference.prompted import ends_a_piece
from recross.inference.sequences import Sequences
from recross.inference.texts.prompted_texts import PromptedTexts
from recross.inference.texts.texts import NumberedTexts
from recross.inference.texts.tokenising import tokenize
from recross.inference.tokens import Joiner, Template, text_template


@dataclass(frozen=True)
class MarkedTexts:
    """How the texts of one side become ``[CLS] marker prompt text [SEP]``.

    The prompt is part of the joiner's template where the tokenizer splits behind it, so that what
    is known of the texts alone is of use; else it is read together with each text.
    """

    joiner: Joiner
    prompt: str = ""

    def encode(self, texts: NumberedTexts) -> Sequences:
        """Encode each text alone, cut to the limit with all that stands around it."""
        return self.joiner.encode_each(PromptedTexts(self.prompt, texts) if self.prompt else texts)


def mark_texts(tokenizer: Tokenizer, marker: str, prompt: str, limit: int) -> MarkedTexts:
    """Find how texts of at most ``limit`` tokens are marked.

    Raises:
        InputError: the vocabulary lacks the marker.
    """
    before, after = text_template(tokenizer).literals
    if marker:
        before = (*before, find_token(tokenizer, marker, "marker"))
    pieces = tokenize(tokenizer, [prompt])[0] if prompt else []
    fits = len(before) + len(pieces) + len(after) <= limit  # else it is cut as well
    if pieces and not (fits and ends_a_piece(tokenizer, prompt)):
        return MarkedTexts(Joiner(tokenizer, Template((before, after), (0, 0, 0)), limit), prompt)
    template = Template(((*before, *pieces), after), (0, 0, 0))
    return MarkedTexts(Joiner(tokenizer, template, limit))


def find_token(tokenizer: Tokenizer, token: str, name: str) -> int:
    """Find the number of an entry of the vocabulary; ``name`` is what an error calls it.

    Raises:
        InputError: there is no such entry.
    """
    number = tokenizer.get_vocab().get(token)
    if number is None:
        raise InputError(f"{name} must be an entry of the tokenizer's vocabulary, got {token!r}")
    return int(number)
