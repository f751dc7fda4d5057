"""Contracts of published checkpoints: complete, of one reading for both spellings, with sources."""

import re

import pytest
import torch
import transformers

from recross.checkpoints.contracts import ClassifierContract, PromptContract, check_precision
from recross.checkpoints.first_stage_contracts import BiEncoderContract, SparseContract
from recross.checkpoints.published import PUBLISHED, find_contract, find_published
from recross.checkpoints.published.record import OFFICIAL, PublishedNumber
from recross.checkpoints.resolution import read_contract, save_contract
from recross.command.catalogue import (
    group_options_by_checkpoint,
    list_options,
)
from recross.command.cli import main
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.report.references import find_reference_file, read_values
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.generative.thinking import THINKING_PROMPTS
from tests.conftest import save_tiny

REPRESENT = "Represent this sentence for searching relevant passages"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
PAIR = ("red cat", ["here lives a red cat", "here lives a blue dog and more words", "owl"])


def test_every_number_is_on_a_collection_that_is_there():
    numbers = [number for record in PUBLISHED for number in record.numbers]
    assert {one.collection for one in numbers} <= set(list_options()["collection"])


def test_every_spelling_of_an_id_finds_one_record_and_names_one_contract():
    renamed = [record for record in PUBLISHED if len(record.ids) > 1]
    assert all(find_published(spelling) is one for one in renamed for spelling in one.ids)
    earlier = [record for record in renamed if record.id.startswith("cross-encoder/")]
    assert earlier
    spellings = [spelling for record in PUBLISHED for spelling in record.ids]
    assert len(spellings) == len(set(spellings))
    for record in earlier:
        assert record.ids == (record.id.replace("-L", "-L-"), record.id)
        assert all(find_published(spelling) is record for spelling in record.ids)
        for spelling in record.ids:
            assert find_contract(spelling.removeprefix("cross-encoder/")) is record.contract


def test_a_revision_is_a_whole_commit_or_is_said_not_to_be_pinned():
    pinned = [record.revision for record in PUBLISHED if record.revision is not None]
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in pinned)
    assert len(set(pinned)) == len(pinned) > 22


@pytest.mark.parametrize(
    "checkpoint, read_out",
    [
        ("cross-encoder/ms-marco-MiniLM-L-6-v2", "logit"),
        ("cross-encoder/ms-marco-TinyBERT-L2", "sigmoid"),
        ("cross-encoder/ms-marco-electra-base", "sigmoid"),
        ("castorini/monobert-large-msmarco", "log_softmax"),
        ("castorini/monoelectra-base", "second_logit"),
        ("castorini/monot5-3b-msmarco", "log_softmax"),
        ("Soyoung97/RankT5-base", "logit"),
        ("BAAI/bge-reranker-v2-m3", "logit"),
        ("webis/monoelectra-base", "logit"),
    ],
)
def test_a_checkpoint_is_read_as_its_authors_read_it(checkpoint, read_out):
    assert find_published(checkpoint).contract.read_out == read_out


def test_published_values_are_shares_with_a_source():
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got 39.01"):
        PublishedNumber("MRR@10", 39.01, "msmarco", OFFICIAL, "a card")
    with pytest.raises(InputError, match="candidates and source"):
        PublishedNumber("MRR@10", 0.39, "msmarco", "", "a card")


def test_the_second_logit_orders_otherwise_than_the_margin(tmp_path):
    folder = str(save_tiny(tmp_path / "two", "electra", labels=2))
    scores = CrossEncoder(folder, contract="monoelectra", max_length=64).score(*PAIR)
    margins = CrossEncoder(folder, contract="monobert", max_length=64, max_query_length=32)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer([PAIR[0]] * 3, PAIR[1], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    assert scores.tolist() == pytest.approx(logits[:, 1].tolist(), abs=1e-4)
    expected = torch.log_softmax(logits, -1)[:, 1]
    assert margins.score(*PAIR).tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_precision_that_breaks_a_checkpoint_is_refused():
    t5 = find_published("castorini/monot5-base-msmarco").contract
    assert isinstance(t5, PromptContract)
    check_precision(t5, "bf16")
    with pytest.raises(InputError, match="must be fp32 or bf16 for the contract 'monot5', got"):
        check_precision(t5, "fp16")
    prompts = [r.contract for r in PUBLISHED if isinstance(r.contract, PromptContract)]
    assert any("fp16" in contract.precisions for contract in prompts)  # causal models are


def test_a_contract_keeps_its_precisions_beside_the_weights(tmp_path):
    contract = ClassifierContract("own", precisions=("fp32",))
    save_contract(contract, tmp_path)
    assert read_contract(tmp_path) == contract


def test_the_command_prints_every_checkpoint_with_its_option_and_numbers(capsys):
    assert main(["contracts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count(" | ") for line in lines if "|--" not in line}) == 1
    text = "\n".join(lines)
    assert all(f"`{spelling}`" in text for record in PUBLISHED for spelling in record.ids)
    monot5 = next(line for line in lines if "`castorini/monot5-base-msmarco`" in line)
    cells = [cell.strip() for cell in monot5.split(" | ")]
    assert cells[1:3] == ["`monot5_base`", "`Query: {query} Document: {document} Relevant:`"]
    assert "log_softmax `▁false` `▁true`" in monot5
    assert "nDCG@10 0.7140 on trec_dl_2020, official top 1000 (lightning-ir" in monot5
    assert "fp32, bf16" in cells


def test_the_papers_checkpoints_have_options():
    offered = group_options_by_checkpoint()
    for record in PUBLISHED:
        is_first_version = record.id.startswith("cross-encoder/ms-marco-TinyBERT-L")
        assert not record.numbers or record.id in offered or is_first_version, record.id


@pytest.mark.parametrize(
    "checkpoint, query, document",
    [
        ("intfloat/e5-base-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("BAAI/bge-small-en-v1.5", f"{REPRESENT}: ", ""),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", f"{REPRESENT}: ", ""),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("Qwen/Qwen3-Embedding-0.6B", f"Instruct: {INSTRUCTION}\nQuery:", ""),
        ("intfloat/multilingual-e5-large-instruct", f"Instruct: {INSTRUCTION}\nQuery: ", ""),
        ("google/embeddinggemma-300m", "task: search result | query: ", "title: none | text: "),
        ("BAAI/bge-m3", "", ""),
    ],
)
def test_a_bi_encoder_is_asked_in_the_words_it_was_trained_with(checkpoint, query, document):
    contract = find_published(checkpoint).contract
    assert (contract.query_prompt, contract.document_prompt) == (query, document)


def test_every_sparse_encoder_has_an_option():
    sparse = [r.id for r in PUBLISHED if isinstance(r.contract, SparseContract)]
    assert len(sparse) == 4
    assert set(sparse) <= group_options_by_checkpoint(("retriever",)).keys()


def test_every_bi_encoder_has_an_option_and_those_called_dot_keep_their_lengths():
    offered = group_options_by_checkpoint(("retriever",))
    records = [r for r in PUBLISHED if isinstance(r.contract, BiEncoderContract)]
    assert [record.id for record in records if record.id not in offered] == []
    dot = {
        record.id.rpartition("/")[2] for record in records if record.contract.similarity == "dot"
    }
    named = {name.rpartition("/")[2] for name in offered if "-dot-" in name}
    assert dot == named | {"msmarco-distilbert-base-tas-b", "contriever", "contriever-msmarco"}


@pytest.mark.parametrize(
    "study, least", [("official_top1000", 10), ("beir", 11), ("nano_msmarco", 1)]
)
def test_the_references_of_a_study_are_the_published_numbers_of_its_options(study, least):
    offered = group_options_by_checkpoint(("reranker",))
    checkpoints = {option: name for name, found in offered.items() for option in found}
    values = read_values([find_reference_file(study)])
    assert len(values) >= least
    for value in values:
        option, _, named = value.label.partition(" on ")
        collection = named or study  # a study of one collection has its name
        published = [
            (one.measure, one.value, one.candidates, one.source)
            for one in find_published(checkpoints[option]).numbers
            if one.collection == collection
        ]
        assert (value.measure, value.value, value.candidates, value.source) in published


def test_a_model_that_writes_is_no_network_that_scores_pairs():
    with pytest.raises(InputError, match="'jhu-clsp/rank1-7b', which ThinkingReranker reads"):
        load_reranker("jhu-clsp/rank1-7b")
    assert find_published("jhu-clsp/rank1-7b").contract.prompt in THINKING_PROMPTS
