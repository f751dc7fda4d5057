"""A prompt and its text are one text to a tokenizer."""

import numpy as np
from transformers import AutoTokenizer

from recross.inference.texts.prompted_texts import PromptedTexts
from recross.inference.texts.texts import GivenTexts
from tests.conftest import save_tiny_llama


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
