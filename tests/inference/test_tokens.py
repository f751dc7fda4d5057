import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from recross.errors import InputError
from recross.inference.sequences import count_cuts
from recross.inference.tokens import Joiner, cut_longest_first, pair_template, prompt_template
from recross.records import Cost

CPU = torch.device("cpu")


def pairs(tokenizer, *limits):
    return Joiner(tokenizer, pair_template(tokenizer), *limits)


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
    ours = pairs(tokenizer, limit).encode([query], [document], [(0, 0)])
    theirs = tokenizer([query], [document], truncation="longest_first", max_length=limit)
    assert [ours.tokens.tolist()] == theirs["input_ids"]
    assert [ours.on(CPU).segments.tolist()] == theirs["token_type_ids"]


@given(st.lists(st.tuples(*[st.integers(0, 300)] * 3), min_size=1, max_size=5), st.integers(0, 200))
def test_the_longest_texts_are_cut_until_all_fit_and_no_room_is_wasted(rows, room):
    lengths = np.array(rows)
    kept = cut_longest_first(lengths, room)
    assert (kept <= lengths).all()
    assert (kept.sum(axis=1) == np.minimum(lengths.sum(axis=1), room)).all()
    for before, after in zip(lengths, kept, strict=True):
        cut = after < before
        if cut.any():  # nothing that was cut is more than a token shorter than what stayed longer
            assert after.max() - after[cut].min() <= 1


def test_with_a_query_limit_the_query_is_cut_first_and_what_was_cut_is_counted(tokenizer):
    found = pairs(tokenizer, 10, 2).encode(
        ["red cat dog", "owl"], ["here lives a red cat and more"], [(0, 0), (1, 0)]
    )
    read = [tokenizer.decode(found.take([n]).tokens) for n in (0, 1)]
    assert read[0] == "[CLS] red cat [SEP] here lives a red cat [SEP]"
    assert read[1] == "[CLS] owl [SEP] here lives a red cat and [SEP]"
    assert count_cuts(found.lost) == Cost(cut_queries=1, cut_documents=2, cut_tokens=1 + 2 + 1)


def test_a_very_long_document_still_ends_with_the_template(tokenizer):
    found = pairs(tokenizer, 16).encode(["red"], ["cat " * 5000], [(0, 0)])
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
    assert template.literals == ((0,), (2, 2), (2,))
    assert template.size == 4


def test_nothing_to_encode_is_nothing(tokenizer):
    assert len(pairs(tokenizer, 16).encode([], [], [])) == 0


def test_a_prompt_is_its_literals_around_the_texts(tokenizer):
    prompt = "red {query} cat {document} owl"
    joiner = Joiner(tokenizer, prompt_template(tokenizer, prompt, end=[3]), 12)
    found = joiner.encode(["dog"], ["bee bat", "hen " * 50], [(0, 0), (0, 1)])
    read = [tokenizer.decode(found.take([n]).tokens) for n in (0, 1)]
    assert read[0] == "red dog cat bee bat owl [SEP]"
    assert read[1] == "red dog cat " + "hen " * 7 + "owl [SEP]"


def test_two_documents_share_the_room_that_the_query_leaves(tokenizer):
    template = prompt_template(tokenizer, "{query} red {document0} blue {document1}")
    found = Joiner(tokenizer, template, 12, 2).encode(
        ["dog owl bee"], ["hen " * 9, "pig " * 3], [(0, 0, 1), (0, 1, 0)]
    )
    read = [tokenizer.decode(found.take([n]).tokens) for n in (0, 1)]
    assert read[0] == "dog owl red " + "hen " * 5 + "blue pig pig pig"
    assert read[1] == "dog owl red pig pig pig blue " + "hen " * 4 + "hen"


@pytest.mark.parametrize("prompt", ["no slots", "{document} {query}", "{query} {answer}"])
def test_a_prompt_without_its_slots_is_refused(tokenizer, prompt):
    with pytest.raises(InputError, match="prompt must hold {query} and then"):
        prompt_template(tokenizer, prompt)


def test_a_prompt_whose_tokenizer_joins_across_blanks_is_refused():
    class Letters:
        """A blank is a token of its own unless it is the text's first or last character."""

        def __call__(self, texts, **_):
            return {"input_ids": [[ord(c) for c in text.strip()] for text in texts]}

    with pytest.raises(InputError, match="one that its tokenizer splits at blanks"):
        prompt_template(Letters(), "a {query} b {document}")
