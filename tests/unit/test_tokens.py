import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from recross.inference.tokens import (
    PairTokenizer,
    Sequences,
    longest_first,
    pair_template,
    query_then_document,
)


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return AutoTokenizer.from_pretrained(tiny_bert)


WORDS = st.lists(st.sampled_from(["red", "cat", "here", "lives", "zebra"]), max_size=40).map(
    " ".join
)


@given(query=WORDS, document=WORDS, limit=st.integers(8, 40))
def test_without_a_query_limit_sequences_equal_the_tokenizers_own_longest_first(
    tokenizer, query, document, limit
):
    ours = PairTokenizer(tokenizer, limit).encode([query], [document], [(0, 0)])
    theirs = tokenizer([query], [document], truncation="longest_first", max_length=limit)
    assert [ours.tokens.tolist()] == theirs["input_ids"]
    assert [ours.segments.tolist()] == theirs["token_type_ids"]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(4, 200), st.integers(1, 64))
def test_cutting_keeps_within_the_room_and_never_adds(query, document, room, query_limit):
    for cut in (
        longest_first(query, document, room),
        query_then_document(query, document, room, min(query_limit, room)),
    ):
        assert cut.query <= query
        assert cut.document <= document
        assert cut.query + cut.document <= room


def test_with_a_query_limit_the_query_is_cut_first_and_what_was_cut_is_counted(tokenizer):
    pairs = PairTokenizer(tokenizer, max_length=10, max_query_length=2)
    found = pairs.encode(
        ["red cat dog", "owl"], ["here lives a red cat and more"], [(0, 0), (1, 0)]
    )
    read = [tokenizer.decode(found.take([n]).tokens) for n in (0, 1)]
    assert read[0] == "[CLS] red cat [SEP] here lives a red cat [SEP]"
    assert read[1] == "[CLS] owl [SEP] here lives a red cat and [SEP]"
    assert (found.cut_queries, found.cut_documents, found.cut_tokens) == (1, 2, 1 + 2 + 1)


def test_a_very_long_document_still_ends_with_the_template(tokenizer):
    found = PairTokenizer(tokenizer, 16).encode(["red"], ["cat " * 5000], [(0, 0)])
    assert len(found.tokens) == 16
    assert found.tokens[-1] == tokenizer.sep_token_id


def test_a_template_of_another_family_is_read_off_its_tokenizer():
    class Roberta:
        """``<s> q </s></s> d </s>``, as RoBERTa's tokenizer joins pairs."""

        def __call__(self, first, second=None, **_):
            one, two = [ord(first)], [ord(second)] if second else []
            ids = [0, *one, 2, 2, *two, 2] if second else one
            return {"input_ids": ids, "token_type_ids": [0] * len(ids)}

    template = pair_template(Roberta())
    assert (template.before, template.between, template.after) == ([0], [2, 2], [2])
    assert template.size == 4


def test_taking_sequences_keeps_their_tokens():
    sequences = Sequences(np.arange(9), np.arange(9) % 2, np.array([0, 2, 2, 5, 9]))
    taken = sequences.take([3, 0, 1])
    assert taken.tokens.tolist() == [5, 6, 7, 8, 0, 1]
    assert taken.lengths.tolist() == [4, 2, 0]


def test_nothing_to_encode_is_nothing(tokenizer):
    assert len(PairTokenizer(tokenizer, 16).encode([], [], [])) == 0
