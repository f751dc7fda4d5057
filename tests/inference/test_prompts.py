"""A prompt's tokens are those of the whole prompt as one string, cut in its texts alone."""

from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoTokenizer

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published import find_contract
from recross.errors import InputError
from recross.inference.prompts import Prompter
from recross.inference.texts.texts import GivenTexts
from tests.conftest import save_tiny, save_tiny_llama
from tests.inference.texts.test_control_tokens import sentencepiece

QUERIES = ["red cat", "", "what? {query}", "a\n\nb "]
DOCUMENTS = ["here lives a red cat", "", "100% {document} {0}", " owl.", "Ünïcödé 猫?\n"]
DOCUMENT_FIRST = "Is it so?\n<d> {document}\n<q> {query} ??"
QUERY_FIRST = "{query}{document}:"


@pytest.fixture(scope="module", params=["bpe", "wordpiece", "first", "never", "always"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in ("bpe", "wordpiece"):
        save = {"bpe": save_tiny_llama, "wordpiece": save_tiny}[request.param]
        return AutoTokenizer.from_pretrained(save(folder))
    return sentencepiece(folder, request.param)


@pytest.fixture(scope="module")
def llama(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama)


def contract(template, **more):
    given = {"add_eos": False, "max_length": 512} | more
    return PromptContract("own", template, "margin", ("no", "yes"), **given)


def encode(tokenizer, asked, queries, documents):
    items = np.array([(q, d) for q in range(len(queries)) for d in range(len(documents))])
    return Prompter(tokenizer, asked).encode(GivenTexts(queries), GivenTexts(documents), items)


def rows(tokenizer, asked, queries, documents):
    found = encode(tokenizer, asked, queries, documents)
    return [found.take([number]).tokens.tolist() for number in range(len(found.lost))]


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("template", [DOCUMENT_FIRST, QUERY_FIRST, "{{x}} {document} }}{{ {query}"])
def test_tokens_are_those_of_the_whole_prompt_as_one_string(tokenizer, template):
    found = rows(tokenizer, contract(template), QUERIES, DOCUMENTS)
    texts = [template.format(query=q, document=d) for q in QUERIES for d in DOCUMENTS]
    assert found == [ids(tokenizer, text) for text in texts]


def test_control_tokens_of_the_template_are_single_tokens_as_in_the_whole_string(tokenizer):
    token = tokenizer.eos_token or tokenizer.sep_token
    template = f"{token}red {{query}}{token}\n{{document}} {token} cat{token}"
    found = rows(tokenizer, contract(template), QUERIES, DOCUMENTS)
    texts = [template.format(query=q, document=d) for q in QUERIES for d in DOCUMENTS]
    assert found == [ids(tokenizer, text) for text in texts]


def test_control_tokens_named_in_texts_are_text(tokenizer):
    token = tokenizer.eos_token or tokenizer.sep_token
    number = tokenizer.convert_tokens_to_ids(token)
    asked = contract(f"{token} {{query}} : {{instruction}} : {{document}}{token}", instruction="i")
    asked = asked.with_instruction(f"a {token} b")
    (found,) = rows(tokenizer, asked, [f"red {token}"], [f"cat{token}{token}"])
    assert found.count(number) == 2 and found[-1] == number
    assert len(found) > 12


def test_added_markup_in_a_text_is_text_and_in_a_template_a_token(tiny_llama):
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.add_tokens(["<tool>"])
    number = tokenizer.convert_tokens_to_ids("<tool>")
    (found,) = rows(tokenizer, contract("<tool>{query} {document}"), ["a <tool>"], ["<tool> b"])
    assert found[0] == number and found.count(number) == 1
    assert tokenizer.decode(found) == "<tool>a <tool> <tool> b"


def test_qwens_template_gives_the_ids_it_gave_in_three_parts(llama):
    asked = find_contract("qwen3-reranker")
    found = rows(llama, asked, QUERIES, DOCUMENTS)
    start, end = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    for (query, document), row in zip(
        ((q, d) for q in QUERIES for d in DOCUMENTS), found, strict=True
    ):
        body = (
            "<Instruct>: Given a web search query, retrieve relevant passages that answer the"
            f" query\n<Query>: {query}\n<Document>: {document}"
        )
        system = (
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the"
            ' Query and the Instruct provided. Note that the answer can only be "yes" or'
            f' "no".<|im_end|>\n{start}'
        )
        assert row == [*ids(llama, system), *ids(llama, body), *ids(llama, end)]


def test_at_a_joint_tokenising_begins_anew(llama):
    llama.add_tokens(["?\n"])  # joins an end with what follows
    apart = rows(llama, contract("q: {query}{}\n{}{document}"), ["red?"], ["cat"])
    whole = rows(llama, contract("q: {query}\n{document}"), ["red?"], ["cat"])
    assert apart == [[*ids(llama, "q: red?"), *ids(llama, "\n"), *ids(llama, "cat")]]
    assert whole == [ids(llama, "q: red?\ncat")] != apart
    fixed = contract("{query} {document}", prefix="a{}?", suffix="\nb")
    assert rows(llama, fixed, ["red"], ["cat?"]) == [
        [*ids(llama, "a{}?"), *ids(llama, "red cat?"), *ids(llama, "\nb")]
    ]


@pytest.mark.parametrize("template", [DOCUMENT_FIRST, "<q> {query}\n<d> {document}\nSo?"])
def test_the_document_is_cut_wherever_it_stands(llama, template):
    asked = contract(template, max_length=60)
    (found,) = rows(llama, asked, ["red cat"], ["first " + "owl " * 500 + "last"])
    text = llama.decode(found)
    assert len(found) == 60
    head, _, tail = template.replace("{query}", "red cat").partition("{document}")
    assert text.startswith(head + "first owl owl") and text.endswith("owl" + tail)
    assert "last" not in text
    assert (encode(llama, asked, ["red cat"], ["owl " * 500]).lost > 0).tolist() == [[False, True]]


@pytest.mark.parametrize("template", [DOCUMENT_FIRST, "<q> {query}\n<d> {document}\nSo?"])
def test_a_query_is_cut_to_its_limit_and_further_when_no_document_is_left(llama, template):
    asked = contract(template, max_length=60, max_query_length=5)
    found = encode(llama, asked, ["red " * 50, "red"], ["owl", "owl " * 50])
    words = ["red red red red red", "red"]
    texts = [llama.decode(found.take([number]).tokens) for number in range(4)]
    assert all(texts[n].count("red") == words[n // 2].count("red") for n in range(4))
    assert found.lost[:, 0].tolist() == [46, 46, 0, 0]
    assert found.lost[0, 1] == 0 and found.lengths[1] == 60
    unlimited = replace(asked, max_query_length=None)
    (row,) = rows(llama, unlimited, ["red " * 500], ["owl " * 9])
    assert len(row) == 60 and "owl" not in llama.decode(row)
    assert llama.decode(row).replace("red ", "").replace("red", "").split() == [
        word for word in template.split() if word not in ("{query}", "{document}")
    ]


def test_an_instruction_fills_its_slot_and_is_never_cut(llama):
    asked = contract(
        "<i> {instruction} <q> {query} <d> {document}", instruction="one", max_length=50
    )
    (found,) = rows(llama, asked.with_instruction("two {x}"), ["red"], ["owl " * 90])
    assert llama.decode(found).startswith("<i> two {x} <q> red <d> owl owl") and len(found) == 50
    assert asked.with_instruction(None) is asked
    other = contract("{query} {document}", instructed="{query} ({instruction}) {document}")
    assert rows(llama, other, ["a"], ["b"]) == [ids(llama, "a b")]
    assert rows(llama, other.with_instruction("x"), ["a"], ["b"]) == [ids(llama, "a (x) b")]


def test_a_framed_prompt_has_the_special_tokens_of_its_tokenizer_around_it(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny(tmp_path))
    asked = contract("{document} red {query}", framed=True, max_length=16)
    assert rows(tokenizer, asked, ["cat"], ["an owl"]) == [tokenizer("an owl red cat")["input_ids"]]
    (cut,) = rows(tokenizer, asked, ["cat"], ["owl " * 50])
    assert len(cut) == 16 and tokenizer.decode(cut).endswith("owl red cat [SEP]")


def test_a_prompt_that_leaves_no_room_is_refused(llama):
    fixed = len(ids(llama, "word " * 30))
    with pytest.raises(InputError, match=r"max_length must leave 8 tokens beside the \d+ of the"):
        Prompter(llama, contract("word " * 30 + "{query}{document}", max_length=fixed + 7))
    Prompter(llama, contract("word " * 30 + "{query}{document}", max_length=fixed + 8))
    long = contract("{instruction}{query}{document}", instruction="a", max_length=40)
    with pytest.raises(InputError, match="max_length must leave 8 tokens"):
        Prompter(llama, long.with_instruction("word " * 30))
