"""Prompts: ids are those of prompt and text tokenised as one, and known ids of texts are used."""

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from recross.inference.prompted import PromptedTokens, ends_a_piece
from recross.inference.texts.texts import GivenTexts
from tests.conftest import save_tiny, save_tiny_llama

TEXTS = ["red cat", " a red cat", "", ", owl", "caf\u00e9 \u0301owl", "white " * 40]


def expected_ids(tokenizer, prompt, limit):
    encoded = [tokenizer(prompt + text, truncation=True, max_length=limit) for text in TEXTS]
    return [list(one["input_ids"]) for one in encoded]


def found_ids(tokenizer, prompt, limit):
    sequences = PromptedTokens(tokenizer, prompt, limit).encode(GivenTexts(TEXTS))
    return [rows.tolist() for rows in np.split(sequences.tokens, sequences.offsets[1:-1])]


@pytest.mark.parametrize("limit", [3, 9, 30])
@pytest.mark.parametrize("prompt", ["", "here lives: ", "a red", "lives\n"])
def test_ids_are_those_of_prompt_and_text_as_one(tmp_path, prompt, limit):
    bert = transformers.AutoTokenizer.from_pretrained(save_tiny(tmp_path / "bert"))
    assert found_ids(bert, prompt, limit) == expected_ids(bert, prompt, limit)
    byte_level = transformers.AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path / "llama"))
    assert found_ids(byte_level, prompt, limit) == expected_ids(byte_level, prompt, limit)


def test_texts_keep_their_own_ids_only_where_the_tokenizer_ends_a_piece(tmp_path):
    bert = transformers.AutoTokenizer.from_pretrained(save_tiny(tmp_path / "bert"))
    assert ends_a_piece(bert, "query: ")
    assert not ends_a_piece(bert, "query")
    assert not ends_a_piece(bert, "")
    byte_level = transformers.AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path / "llama"))
    assert not ends_a_piece(byte_level, "query: ")
    marking = Tokenizer(models.WordLevel({"\u2581a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    marking.pre_tokenizer = pre_tokenizers.Metaspace()
    assert not ends_a_piece(transformers.PreTrainedTokenizerFast(tokenizer_object=marking), "a ")


def test_tokens_that_are_known_are_not_asked_for_again(tmp_path):
    bert = transformers.AutoTokenizer.from_pretrained(save_tiny(tmp_path / "bert"))

    class Known(GivenTexts):
        def strings(self):
            raise AssertionError("the texts were read")

    sequences = PromptedTokens(bert, "here lives: ", 30).encode(Known(TEXTS))
    assert len(sequences) == len(TEXTS)
