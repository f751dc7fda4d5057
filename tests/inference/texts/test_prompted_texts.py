"""A prompt and its text are one text to a tokenizer; where it splits, its tokens stand apart."""

import numpy as np
from transformers import AutoTokenizer

from recross.inference.texts.prompted_texts import PromptedTexts, find_split_prompt
from recross.inference.texts.texts import GivenTexts
from tests.conftest import save_tiny, save_tiny_llama


def test_pieces_that_join_a_blank_with_a_word_are_not_split(tmp_path):
    words = AutoTokenizer.from_pretrained(save_tiny(tmp_path / "words"))
    blanks = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path / "blanks"))
    assert find_split_prompt(words, "query: ") == tuple(
        words("query: ", add_special_tokens=False)["input_ids"]
    )
    assert find_split_prompt(blanks, "query: ") is None


def test_texts_are_read_together_with_their_prompt(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path / "blanks"))
    texts = PromptedTexts("query: ", GivenTexts(["red cat", "a", ""]))
    found = texts.take(np.array([2, 0]))
    assert found.strings() == ["query: ", "query: red cat"]
    tokens = found.tokens(tokenizer)
    for number, text in enumerate(found.strings()):
        expected = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokens.take(np.array([number])).ids.tolist() == expected
    assert not (texts.digests()[0] == GivenTexts(["red cat"]).digests()[0]).all()
