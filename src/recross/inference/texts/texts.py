"""Texts by number, and what is asked of them: the words, their tokens, a digest of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from recross.checkpoints.loaded import Tokenizer
from recross.inference.spans import Ints
from recross.inference.texts.digests import Digests, digest_texts
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenising import tokenize

TextItem = tuple[str, ...]
"""A query and the document or documents that are scored with it, in the order they are read."""


class NumberedTexts(Protocol):
    """Some texts, in an order; what is known of them already is not worked out again."""

    def take(self, which: Ints) -> Self:
        """These of the texts, in this order."""

    def strings(self) -> Sequence[str]:
        """The texts themselves."""

    def tokens(self, tokenizer: Tokenizer) -> TokenIds:
        """The tokens of each text alone, uncut, without special tokens."""

    def digests(self) -> Digests:
        """A digest of each text, ``(N, 2)``."""

    def __len__(self) -> int:
        """How many texts there are."""


@dataclass(frozen=True)
class GivenTexts:
    """Texts at hand, of which nothing is known."""

    texts: Sequence[str]

    def take(self, which: Ints) -> GivenTexts:
        """These of the texts, in this order."""
        return GivenTexts([self.texts[number] for number in which.tolist()])

    def strings(self) -> Sequence[str]:
        """The texts themselves."""
        return self.texts

    def tokens(self, tokenizer: Tokenizer) -> TokenIds:
        """The tokens of each text alone, which is tokenised now."""
        return TokenIds.of(tokenize(tokenizer, self.texts))

    def digests(self) -> Digests:
        """A digest of each text, ``(N, 2)``."""
        return digest_texts(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class NamedTexts:
    """Some texts of a collection by their ids, read where the texts themselves are asked for."""

    texts: Mapping[str, str]
    ids: Sequence[str]

    def take(self, which: Ints) -> NamedTexts:
        """These of the texts, in this order."""
        return NamedTexts(self.texts, [self.ids[number] for number in which.tolist()])

    def strings(self) -> Sequence[str]:
        """The texts themselves."""
        return [self.texts[name] for name in self.ids]

    def tokens(self, tokenizer: Tokenizer) -> TokenIds:
        """The tokens of each text alone, which is read and tokenised now."""
        return GivenTexts(self.strings()).tokens(tokenizer)

    def digests(self) -> Digests:
        """A digest of each text, ``(N, 2)``."""
        return GivenTexts(self.strings()).digests()

    def __len__(self) -> int:
        return len(self.ids)
