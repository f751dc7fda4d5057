"""Re-rankers by name, from Python: where they compute, and where they keep what they make."""

import pytest

from recross import load_reranker
from recross.errors import ConfigError, InputError
from recross.inference.cache.score_cache import count_scores
from recross.inference.engine import Engine

TEXTS = ["red fox", "blue owl"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory and a user's cache, both empty."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("RECROSS_CACHE", str(tmp_path / "user"))
    return tmp_path


def test_nothing_is_left_in_the_working_directory(elsewhere, tiny_bert):
    reranker = load_reranker(tiny_bert, cache=True)
    assert reranker.store == elsewhere / "user" / "store"
    reranker.score("red cat", TEXTS)
    assert count_scores(elsewhere / "user" / "scores").entries == 2
    assert not list((elsewhere / "work").iterdir())


def test_scores_are_kept_where_one_says_or_not_at_all(elsewhere, tiny_bert):
    load_reranker(tiny_bert, cache=elsewhere / "mine").score("red cat", TEXTS)
    assert count_scores(elsewhere / "mine").entries == 2
    assert load_reranker(tiny_bert).cache is None


def test_hardware_may_be_an_option_by_name(tiny_bert):
    assert load_reranker(tiny_bert, hardware="cpu_bf16").hardware.precision == "bf16"
    with pytest.raises(ConfigError, match="cpu_int9"):
        load_reranker(tiny_bert, hardware="cpu_int9")


def test_a_head_that_was_drawn_scores_only_where_that_is_allowed():
    drawn = load_reranker("embedded_l2")
    for score in (
        lambda: drawn.score("red cat", TEXTS),
        lambda: drawn.rank("red cat", TEXTS),
        lambda: drawn.predict([("red cat", TEXTS[0])]),
        lambda: Engine(drawn.network, drawn.session).score([("red cat", TEXTS[0])]),
    ):
        with pytest.raises(InputError, match="must be trained before it scores"):
            score()
    assert load_reranker("embedded_l2", untrained="allow").score("red cat", TEXTS).shape == (2,)


def test_a_text_where_a_list_belongs_is_refused(tiny_bert):
    reranker = load_reranker(tiny_bert)
    for score in (reranker.score, reranker.rank):
        with pytest.raises(InputError, match="documents must be a list of texts, got the text 're"):
            score("red cat", "red fox")
    with pytest.raises(InputError, match="pairs must be a list of .*, got the text 'red cat'"):
        reranker.predict(("red cat", "red fox"))
