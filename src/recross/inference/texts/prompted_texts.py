"""Texts with words before them, which the tokenizer reads together with the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recross.checkpoints.loaded import Tokenizer
from recross.inference.spans import Ints
from recross.inference.texts.digests import Digests
from recross.inference.texts.texts import GivenTexts, NumberedTexts
from recross.inference.texts.token_ids import TokenIds


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
