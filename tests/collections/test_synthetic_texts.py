"""What synthetic texts share with real ones, and what they follow from."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from recross.collections.synthetic_texts import (
    FUNCTION_WORDS,
    SyntheticTexts,
    is_content_word,
    spell_word,
)


@pytest.fixture(scope="module")
def texts():
    return SyntheticTexts(words=56, vocabulary=100_000, topics=50, seed=1).make(0)


def test_no_two_ranks_are_spelled_alike():
    assert len({spell_word(rank) for rank in range(300_000)}) == 300_000


def test_rarer_words_are_longer_and_function_words_are_the_first():
    assert [spell_word(rank) for rank in range(3)] == FUNCTION_WORDS[:3]
    assert not is_content_word(spell_word(len(FUNCTION_WORDS) - 1))
    assert is_content_word(spell_word(len(FUNCTION_WORDS)))
    assert [len(spell_word(rank)) for rank in (1000, 10_000, 1_000_000)] == [4, 6, 8]


def test_lengths_are_log_normal_around_the_mean_asked_for(texts):
    lengths = np.array([len(text.split()) for text in texts])
    assert lengths.mean() == pytest.approx(56, rel=0.06)  # 1,000 draws: 3 standard errors
    assert np.log(lengths).std() == pytest.approx(0.55, rel=0.1)


def test_frequencies_follow_the_law(texts):
    """Of general words, 70 % of all: (1 + 2.7)**-1.1 / sum over r of (r + 2.7)**-1.1."""
    words = [word.rstrip(".") for text in texts for word in text.split()]
    share = Counter(words)["the"] / len(words)
    law = 3.7**-1.1 / ((np.arange(1, 100_001) + 2.7) ** -1.1).sum()
    assert share == pytest.approx(0.7 * law, rel=0.1)


def test_documents_share_more_rare_words_with_those_of_their_topic():
    """With one topic all share its 300 words, with 1,000 few do."""

    def share(topics):
        texts = SyntheticTexts(56, 100_000, topics, 1).make(0)[:200]
        rare = [{word for word in text.split() if len(word) > 4} for text in texts]
        return np.mean([len(a & b) for a, b in pairwise(rare)])

    assert share(1) > 3 * share(1000)


def test_texts_follow_from_the_seed_and_the_block_alone(texts):
    again = SyntheticTexts(words=56, vocabulary=100_000, topics=50, seed=1)
    again.make(3)
    assert again.make(0) == texts
    assert again.make(1) != texts
    assert SyntheticTexts(56, 100_000, 50, 2).make(0) != texts
