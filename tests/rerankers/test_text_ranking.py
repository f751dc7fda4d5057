"""Texts ranked and scored from Python, as a service does."""

import numpy as np
import pytest

from recross import load_reranker
from recross.errors import InputError
from recross.inference.engine import Engine
from recross.rerankers.text_ranking import RankedText, TextRanker

TEXTS = ["red fox", "a blue owl sees the red cat", "owl", "red fox"]
PAIRS = [("red cat", text) for text in TEXTS] + [("blue owl", text) for text in TEXTS]


class ByLength(TextRanker):
    def score(self, query, documents):
        return np.array([len(text) for text in documents], dtype=np.float32)


def test_the_best_come_first_and_equal_ones_stay_in_the_order_given():
    assert ByLength().rank("q", ["bb", "a", "cc"]) == [
        RankedText(0, 2.0, "bb"),
        RankedText(2, 2.0, "cc"),
        RankedText(1, 1.0, "a"),
    ]
    assert [ranked.index for ranked in ByLength().rank("q", ["bb", "a", "cc"], top_k=1)] == [0]
    assert ByLength().rank("q", []) == []


@pytest.mark.parametrize(
    ("documents", "top_k", "message"),
    [("one text", None, "documents must be a list"), (["a"], 0, "top_k must be at least 1")],
)
def test_what_is_no_list_of_texts_or_no_number_of_them_is_refused(documents, top_k, message):
    with pytest.raises(InputError, match=message):
        ByLength().rank("q", documents, top_k)


def test_a_network_ranks_as_it_scores(tiny_bert):
    reranker = load_reranker(tiny_bert)
    scores = reranker.score("red cat", TEXTS)
    ranked = reranker.rank("red cat", TEXTS, top_k=3)
    assert [one.score for one in ranked] == pytest.approx(sorted(scores.tolist())[::-1][:3])
    assert all(TEXTS[one.index] == one.document for one in ranked)


def test_a_batch_size_bounds_what_is_read_at_once_and_changes_no_score(tiny_bert, monkeypatch):
    reranker, sizes, score = load_reranker(tiny_bert), [], Engine.score

    def watch(self, items, *more):
        sizes.append(len(items))
        return score(self, items, *more)

    expected = reranker.predict(PAIRS)
    monkeypatch.setattr(Engine, "score", watch)
    found = reranker.predict(PAIRS, batch_size=3, show_progress=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert sizes == [3, 3, 2]
    with pytest.raises(InputError, match="batch_size must be at least 1, got 0"):
        reranker.predict(PAIRS, batch_size=0)
