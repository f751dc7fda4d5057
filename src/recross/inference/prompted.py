"""Texts as token sequences of their own, after a prompt: the ids of both tokenised as one text."""

from __future__ import annotations

from dataclasses import dataclass

from recross.checkpoints.loaded import Tokenizer, find_fast_tokenizer
from recross.inference.sequences import Sequences
from recross.inference.texts.prompted_texts import PromptedTexts
from recross.inference.texts.texts import NumberedTexts
from recross.inference.texts.tokenising import tokenize
from recross.inference.tokens import Joiner, Template, text_template


@dataclass(frozen=True)
class PromptedTokens:
    """Turns each text into ``prompt`` and text between a tokenizer's own special tokens.

    A sequence has at most ``max_length`` tokens in all. Where the tokenizer certainly ends a piece
    after the prompt, texts keep the tokens that they have alone, which may be known already.
    """

    tokenizer: Tokenizer
    prompt: str
    max_length: int

    def encode(self, texts: NumberedTexts) -> Sequences:
        """Turn texts into token sequences."""
        template = text_template(self.tokenizer)
        if self.prompt and not ends_a_piece(self.tokenizer, self.prompt):
            return self._join(template, PromptedTexts(self.prompt, texts))
        if self.prompt:
            before, after = template.literals
            (pieces,) = tokenize(self.tokenizer, [self.prompt])
            literals = ((*before, *pieces)[: self.max_length - len(after)], after)
            template = Template(literals, template.segments)
        return self._join(template, texts)

    def _join(self, template: Template, texts: NumberedTexts) -> Sequences:
        return Joiner(self.tokenizer, template, self.max_length).encode_each(texts)


def ends_a_piece(tokenizer: Tokenizer, prompt: str) -> bool:
    """Whether whatever follows a prompt is tokenised as it is alone.

    It is after a blank, for tokenizers that divide texts at blanks as BERT's do and forget them.
    Others may mark a blank in the piece that follows it, or join pieces across it.
    """
    backend = find_fast_tokenizer(tokenizer)
    kinds = [
        type(getattr(backend, part, None)).__name__ for part in ("pre_tokenizer", "normalizer")
    ]
    return prompt[-1:].isspace() and kinds == ["BertPreTokenizer", "BertNormalizer"]
