"""Made-up texts with the lengths, the frequencies of words and the topics of real ones.

Words follow the law of Zipf and Mandelbrot, lengths a log-normal distribution. The most frequent
words are English function words, the others are made of syllables: the rarer, the longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recross.seeding import make_generator

FUNCTION_WORDS = (  # noqa: SIM905  # a line of words reads as one
    "the of and to in a is that for it as was with be by on not he this are or his from at which"
    " but an had they you their all we can her has there been if when will would who than its"
    " them out up into only other then about do any could our these two may first such each"
).split()
"""None of them is a word of two syllables below."""

SYLLABLES = [first + last for first in "bdfghklmnprstvwz" for last in "aeio"]
MIXER = 40_503
"""Odd, so that products modulo a power of two are all different: neighbours look unlike."""

EXPONENT, SHIFT = 1.1, 2.7
"""Of Zipf and Mandelbrot's law: the share of the word of rank ``r`` is ``(r + SHIFT)**-EXPONENT``.

2.7 is Mandelbrot's own shift for English. With 1.1 the first word makes 3 % of a text, and a
million documents of 56 words hold about a million different ones.
"""
SPREAD = 0.55
"""Standard deviation of the logarithm of a document's length, as of web passages."""
SHORTEST, LONGEST = 5, 1000

TOPIC_SHARE = 0.3
"""Of a document's words that are its topic's."""
TOPIC_WORDS = 300
TOPIC_RANKS = (500, 60_000)
"""Words between these ranks are those of topics."""
SENTENCE_WORDS = 15

TEXTS_PER_BLOCK = 1_000
"""Documents drawn together: a document follows from the seed and its number alone."""

Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SyntheticTexts:
    """Texts by number, of ``words`` words on average, of so many different ones, on ``topics``."""

    words: int
    vocabulary: int
    topics: int
    seed: int

    def make(self, block: int) -> list[str]:
        """The ``TEXTS_PER_BLOCK`` texts of a block."""
        drawn = make_generator(self.seed, "synthetic texts", str(block))
        lengths = self._draw_lengths(drawn)
        total = int(lengths.sum())
        ranks = _draw_ranks(drawn, total, self.vocabulary)
        topic_of = (self.topics ** drawn.random(TEXTS_PER_BLOCK)).astype(np.int64) - 1
        own = _draw_topic_ranks(drawn, np.repeat(topic_of, lengths), self.vocabulary)
        is_own = drawn.random(total) < TOPIC_SHARE
        is_last = drawn.random(total) < 1 / SENTENCE_WORDS
        ends = lengths.cumsum()
        is_last[ends - 1] = True
        words = _spell(np.where(is_own, own, ranks))
        for place in np.flatnonzero(is_last).tolist():
            words[place] += "."
        begins = (ends - lengths).tolist()
        return [" ".join(words[a:b]) for a, b in zip(begins, ends.tolist(), strict=True)]

    def _draw_lengths(self, drawn: np.random.Generator) -> Ranks:
        median = np.log(self.words) - SPREAD**2 / 2
        lengths = np.exp(median + SPREAD * drawn.standard_normal(TEXTS_PER_BLOCK))
        rounded: Ranks = np.clip(np.rint(lengths), SHORTEST, LONGEST).astype(np.int64)
        return rounded


def spell_word(rank: int) -> str:
    """The word of a rank, counted from 0; no two ranks have the same one."""
    if rank < len(FUNCTION_WORDS):
        return FUNCTION_WORDS[rank]
    number, size = rank - len(FUNCTION_WORDS), 2
    while number >= len(SYLLABLES) ** size:
        size += 1
    number = number * MIXER % len(SYLLABLES) ** size
    parts = []
    for _ in range(size):
        number, syllable = divmod(number, len(SYLLABLES))
        parts.append(SYLLABLES[syllable])
    return "".join(parts)


def is_content_word(word: str) -> bool:
    """Whether a word is none of the function words."""
    return word not in _FUNCTION_WORDS


_FUNCTION_WORDS = frozenset(FUNCTION_WORDS)
_spell_again = lru_cache(maxsize=1 << 18)(spell_word)


def _draw_ranks(drawn: np.random.Generator, count: int, vocabulary: int) -> Ranks:
    """Ranks by the inverse of the law's distribution, taken as continuous."""
    power = 1 - EXPONENT
    most, least = (0.5 + SHIFT) ** power, (vocabulary + 0.5 + SHIFT) ** power
    places = (most - drawn.random(count) * (most - least)) ** (1 / power) - SHIFT
    ranks: Ranks = np.clip(np.rint(places).astype(np.int64) - 1, 0, vocabulary - 1)
    return ranks


def _draw_topic_ranks(drawn: np.random.Generator, topics: Ranks, vocabulary: int) -> Ranks:
    """Words of topics: each has its own, of which the first ones come often."""
    local = (TOPIC_WORDS ** drawn.random(len(topics))).astype(np.int64) - 1
    lowest, highest = TOPIC_RANKS
    mixed = (topics * TOPIC_WORDS + local) * 0x9E3779B1 % 2**32
    ranks: Ranks = np.minimum(lowest + mixed % (highest - lowest), vocabulary - 1)
    return ranks


def _spell(ranks: Ranks) -> list[str]:
    distinct, numbers = np.unique(ranks, return_inverse=True)
    words = np.array([_spell_again(rank) for rank in distinct.tolist()], dtype=object)
    spelled: list[str] = words[numbers].tolist()
    return spelled
