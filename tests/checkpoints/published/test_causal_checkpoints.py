"""Prompts and scores of published causal re-rankers, against what their authors' code does."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from recross.checkpoints.published import find_contract, find_published
from recross.inference.prompts import Prompter
from recross.inference.texts.texts import GivenTexts
from recross.rerankers.causal import CausalReranker
from tests.conftest import save_tiny_llama

PAIRS = [("red cat?", "a red owl."), ("what is {x}?\n", "  owls\n\n"), ("", "cat")]
JUDGE = (
    "You are a search relevance expert who evaluates how well documents match search queries. For"
    " each query-document pair, carefully analyze the semantic relationship between them, then"
    " provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
)
ASK = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query"
    " by providing a prediction of either 'Yes' or 'No'."
)
QWEN = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("llama"), kind="Qwen3")


@pytest.fixture(scope="module")
def tokenizer(folder):
    made = AutoTokenizer.from_pretrained(folder)
    made.add_tokens(["?\n", ".\n"])  # as Qwen's vocabulary joins an end with its line's
    return made


def rows(tokenizer, contract):
    queries, documents = (GivenTexts(list(texts)) for texts in zip(*PAIRS, strict=True))
    items = np.array([(n, n) for n in range(len(PAIRS))])
    found = Prompter(tokenizer, contract).encode(queries, documents, items)
    return [found.take([n]).tokens.tolist() for n in range(len(PAIRS))]


def apart(tokenizer, *texts):
    return [n for text in texts for n in tokenizer(text, add_special_tokens=False)["input_ids"]]


def test_mxbai_is_asked_line_by_line(tokenizer):
    contract = find_contract("mxbai-rerank-v2")
    before, after = f"{QWEN}<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    expected = [
        apart(tokenizer, before, f"query: {q}", "\n", f"document: {d}", "\n", JUDGE, after)
        for q, d in PAIRS
    ]
    assert rows(tokenizer, contract) == expected
    told = [
        apart(
            *(tokenizer, before, f"instruction: Find\nquery: {q}", "\n"),
            *(f"document: {d}", "\n", JUDGE, after),
        )
        for q, d in PAIRS
    ]
    assert rows(tokenizer, contract.with_instruction("Find")) == told


def test_bges_gemma_is_asked_in_parts_after_its_beginning(tokenizer):
    expected = [apart(tokenizer, "<bos>", f"A: {q}", "\n", f"B: {d}", "\n", ASK) for q, d in PAIRS]
    assert rows(tokenizer, find_contract("bge-reranker-v2-gemma")) == expected


def test_zerank_is_asked_as_a_chat_of_query_and_document(tokenizer):
    turns = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    expected = [apart(tokenizer, turns.format(q, d) + "<|im_start|>assistant\n") for q, d in PAIRS]
    assert rows(tokenizer, find_contract("zerank")) == expected
    contract = find_contract("zerank-2")
    assert rows(tokenizer, contract) == expected
    told = [
        apart(
            tokenizer,
            turns.format(f"<query>{q}</query>\n<instruction>Find</instruction>", d)
            + "<|im_start|>assistant\n",
        )
        for q, d in PAIRS
    ]
    assert rows(tokenizer, contract.with_instruction("Find")) == told


def test_ctxl_reads_the_document_first_within_what_its_tokenizer_adds(tokenizer):
    text = (
        "Check whether a given document contains information helpful to answer the query.\n"
        "<Document> {}\n<Query> {} ??"
    )
    contract = find_contract("ctxl-rerank-v2")
    expected = [tokenizer(text.format(d, q))["input_ids"] for q, d in PAIRS]
    assert rows(tokenizer, contract) == expected
    told = [tokenizer(text.format(d, f"{q} Newest first"))["input_ids"] for q, d in PAIRS]
    assert rows(tokenizer, contract.with_instruction("Newest first")) == told


def last_logits(folder, contract):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        found = [model(torch.tensor([row])).logits[0, -1] for row in rows(tokenizer, contract)]
    return torch.stack(found), tokenizer.convert_tokens_to_ids


def test_scores_are_read_as_their_authors_read_them(folder):
    def scores(name):
        return CausalReranker(str(folder), contract=name).predict(PAIRS)

    logits, number = last_logits(folder, find_contract("mxbai-rerank-v2"))
    margin = logits[:, number("1")] - logits[:, number("0")]
    np.testing.assert_allclose(scores("mxbai-rerank-v2"), margin, atol=1e-4)
    logits, number = last_logits(folder, find_contract("zerank"))
    yes = logits[:, number("Yes")]
    np.testing.assert_allclose(scores("zerank"), yes, atol=1e-4)
    np.testing.assert_allclose(scores("zerank-probability"), torch.sigmoid(yes / 5), atol=1e-5)
    logits, _ = last_logits(folder, find_contract("ctxl-rerank-v2"))
    found = scores("ctxl-rerank-v2")
    np.testing.assert_allclose(found, logits[:, 0], rtol=2**-8)
    assert found.tolist() == torch.tensor(found).bfloat16().float().tolist()


def test_a_head_of_yes_less_no_scores_as_the_margin_of_both(folder, tmp_path):
    causal = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    no, yes = tokenizer.convert_tokens_to_ids(["no", "yes"])
    head = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
    with torch.no_grad():
        head.score.weight.copy_((causal.lm_head.weight[yes] - causal.lm_head.weight[no])[None])
    head.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = CausalReranker(str(tmp_path), contract="qwen3-reranker-seq-cls").predict(PAIRS)
    expected = CausalReranker(str(folder), contract="qwen3-reranker").predict(PAIRS)
    log_sigmoid = torch.nn.functional.logsigmoid(torch.tensor(found))
    np.testing.assert_allclose(log_sigmoid, expected, atol=1e-4)


@pytest.mark.parametrize(
    "checkpoint, name",
    [
        ("Qwen/Qwen3-Reranker-8B", "qwen3-reranker"),
        ("tomaarsen/Qwen3-Reranker-0.6B-seq-cls", "qwen3-reranker-seq-cls"),
        ("mixedbread-ai/mxbai-rerank-large-v2", "mxbai-rerank-v2"),
        ("zeroentropy/zerank-1", "zerank"),
        ("zeroentropy/zerank-1-small-reranker", "zerank"),
        ("zeroentropy/zerank-2", "zerank-2"),
        ("ContextualAI/ctxl-rerank-v2-instruct-multilingual-6b", "ctxl-rerank-v2"),
        ("BAAI/bge-reranker-v2-gemma", "bge-reranker-v2-gemma"),
    ],
)
def test_a_hub_id_finds_its_contract(checkpoint, name):
    assert find_published(checkpoint).contract is find_contract(name)
