"""Strings of control tokens are text in texts and tokens in templates, whatever the vocabulary."""

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from recross.inference.texts.control_tokens import SIGN, find_text_tokenizer
from recross.inference.texts.tokenising import tokenize, tokenize_fixed
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5

PLAIN = ["here lives a red cat", "", "  two  blanks ", "a\nb\n\nc?\n", "Ünïcödé 猫 <b>", "[x] <y"]


def sentencepiece(tmp_path, scheme="first"):
    """Llama's form: pieces joined by merges, bytes for what is unknown, blanks as ``▁``."""
    words = [*"abcdefghijklmnopqrstuvwxyz<>/|_[]", "▁", "re", "red", "▁red", "</", "</s", "</s>"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *words]))}
    merges = [("r", "e"), ("re", "d"), ("▁", "red"), ("<", "/"), ("</", "s"), ("</s", ">")]
    model = models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    fast = tokenizers.Tokenizer(model)
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    fast.decoder = decoders.Metaspace()
    if scheme == "never":  # as Llama 2 was converted first
        fast.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        fast.pre_tokenizer = None
    made = PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    made.save_pretrained(tmp_path)
    return made


@pytest.fixture(scope="module", params=["bpe", "wordpiece", "unigram", "first", "never"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    makers = {"bpe": save_tiny_llama, "wordpiece": save_tiny, "unigram": save_tiny_t5}
    if request.param in makers:
        return AutoTokenizer.from_pretrained(makers[request.param](folder))
    return sentencepiece(folder, request.param)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def controls(tokenizer):
    return sorted(set(tokenizer.all_special_tokens))


def test_texts_without_control_tokens_have_the_tokenizers_own_tokens(tokenizer):
    assert tokenize(tokenizer, PLAIN) == [ids(tokenizer, text) for text in PLAIN]


def test_the_string_of_a_control_token_is_text_in_a_text(tokenizer):
    special = controls(tokenizer)
    numbers = set(tokenizer.convert_tokens_to_ids(special)) - {tokenizer.unk_token_id}
    texts = [f"red {token} cat{token}" for token in special]
    for text, found in zip(texts, tokenize(tokenizer, texts), strict=True):
        assert not numbers & set(found), text
        assert len(found) > 3


def test_a_template_holds_control_tokens_among_texts_that_name_them(tokenizer):
    fast, special = find_text_tokenizer(tokenizer), controls(tokenizer)
    for token in special:
        fixed = f"red{token}cat{token} "
        assert tokenize_fixed(tokenizer, [fixed]) == [ids(tokenizer, fixed)]
        written = fast.write_fixed(f"red{token}")
        number = tokenizer.convert_tokens_to_ids(token)
        with_text = fast.encode([f"{written} cat {token}"])[0].ids
        assert with_text.count(number) == (2 if number == tokenizer.unk_token_id else 1) or (
            token == tokenizer.unk_token
        )


def test_markup_that_was_added_is_text_and_blanks_and_words_that_were_added_are_pieces(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path))
    tokenizer.add_tokens(["<tool>", "zebrafish", "    "])
    tool, word, blanks = tokenizer.convert_tokens_to_ids(["<tool>", "zebrafish", "    "])
    found = tokenize(tokenizer, ["a <tool> b", "a zebrafish", "a    b"])
    assert tool not in found[0] and word in found[1] and blanks in found[2]
    assert tokenizer.decode(found[0]) == "a <tool> b"
    assert tool in tokenize_fixed(tokenizer, ["a <tool> b"])[0]


def test_tokens_that_are_added_later_are_seen(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path))
    before = tokenize(tokenizer, ["a zebrafish"])
    tokenizer.add_tokens(["zebrafish"])
    assert len(tokenize(tokenizer, ["a zebrafish"])[0]) < len(before[0])


def test_a_special_token_of_one_character_is_text_as_its_tokenizer_reads_it(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path), pad_token="+")
    text = "red + cat+owl"
    assert tokenize(tokenizer, [text]) == [ids(tokenizer, text)]


def test_a_text_cannot_hold_what_control_tokens_are_called_by(tokenizer):
    fast = find_text_tokenizer(tokenizer)
    name = next(iter(fast.names.values()))
    number = tokenizer.convert_tokens_to_ids(next(iter(fast.names)))
    assert name.startswith(SIGN)
    found = tokenize(tokenizer, [f"red {name} cat"])[0]
    assert number not in found or number == tokenizer.unk_token_id


def test_a_guarded_text_is_text_wherever_it_stands_among_control_tokens(tokenizer):
    texts, special = find_text_tokenizer(tokenizer), controls(tokenizer)
    numbers = tokenizer.convert_tokens_to_ids(special)
    for token, number in zip(special, numbers, strict=True):
        text = texts.guard(f"red{token}{token} {token[:-1]}")
        found = texts.encode_guarded(f"{token}{token[0]}{text}{token[-1]}{token}")
        if number != tokenizer.unk_token_id:
            assert found.count(number) == 2, token
        assert (
            found
            == texts.encode(
                [
                    f"{texts.write_fixed(token)}{token[0]}red{token}{token}"
                    f" {token[:-1]}{token[-1]}{texts.write_fixed(token)}"
                ]
            )[0].ids
        )


def test_control_tokens_that_overlap_are_all_kept_apart(tmp_path):
    made = AutoTokenizer.from_pretrained(save_tiny_llama(tmp_path))
    special = ["<<x>>", "<x>", ">y>", "<z>"]
    made.add_tokens(special, special_tokens=True)
    texts = find_text_tokenizer(made)
    for text in ("<<x>>y>", "<x>y>", "<<x>", "<<z>>y>"):
        found = texts.encode_guarded(texts.guard(text))
        assert not set(found) & set(made.convert_tokens_to_ids(special)), text
        assert made.decode(found) == text
