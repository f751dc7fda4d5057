"""Texts with words before them, which the tokenizer reads together with the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recross.checkpoints.loaded import Tokenizer
from recross.inference.spans import Ints
from recross.inference.texts.digests import Digests
from recross.inference.texts.texts import GivenTexts, NumberedTexts
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenising import tokenize

_PROBES = ("one", "Two", "3", ".", "(a)", "\u00e9t\u00e9", "\u4e2d")
"""What texts may begin with: words in both cases, digits, signs, letters of other scripts."""


@dataclass(frozen=True)
class PromptedTexts:
    """Texts, each after the same prompt: nothing that is kept of them alone is of use."""

    prompt: str
    texts: NumberedTexts

    def take(self, which: Ints) -> PromptedTexts:
        """These of the texts, in this order."""
        return PromptedTexts(self.prompt, self.texts.take(which))

    def strings(self) -> Sequence[str]:
        """The texts themselves, with the prompt."""
        return [self.prompt + text for text in self.texts.strings()]

    def tokens(self, tokenizer: Tokenizer) -> TokenIds:
        """The tokens of each text and its prompt together, read now."""
        return GivenTexts(self.strings()).tokens(tokenizer)

    def digests(self) -> Digests:
        """A digest of each text with its prompt, ``(N, 2)``."""
        return GivenTexts(self.strings()).digests()

    def __len__(self) -> int:
        return len(self.texts)


def find_split_prompt(tokenizer: Tokenizer, prompt: str) -> tuple[int, ...] | None:
    """The tokens of a prompt, if a tokenizer splits after it; ``None`` where it does not.

    A tokenizer that joins a blank with the word behind it reads other tokens there than of either
    alone: a blank at the end of a prompt is then a token of its own.
    """
    together = [prompt + probe for probe in _PROBES]
    bare, alone, *probed = tokenize(tokenizer, [prompt.rstrip(), prompt, *_PROBES, *together])
    if len(alone) > len(bare) and alone[: len(bare)] == bare:
        return None
    pairs = zip(probed[: len(_PROBES)], probed[len(_PROBES) :], strict=True)
    is_split = all(alone + own == both for own, both in pairs)
    return tuple(alone) if is_split else None
