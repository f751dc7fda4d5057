"""Contracts of published checkpoints: complete, of one reading for both spellings, with sources."""

import pytest
import torch
import transformers

from recross.checkpoints.contracts import (
    Contract,
    PromptContract,
    check_precision,
    read_contract,
    save_contract,
)
from recross.checkpoints.published import PUBLISHED
from recross.checkpoints.published_numbers import NUMBERS, OFFICIAL, Published
from recross.command.catalogue import group_rerankers_by_checkpoint, list_options
from recross.command.cli import main
from recross.errors import InputError
from recross.report.references import read_values, reference_file
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

PAIR = ("red cat", ["here lives a red cat", "here lives a blue dog and more words", "owl"])


def test_every_number_is_of_a_checkpoint_with_a_contract_and_of_a_collection_that_is_there():
    assert NUMBERS.keys() <= PUBLISHED.keys()
    for numbers in NUMBERS.values():
        assert {one.collection for one in numbers} <= set(list_options()["collection"])


def test_both_spellings_of_an_id_are_one_checkpoint():
    old = [name for name in PUBLISHED if "-L-" in name]
    assert len(old) == 8
    for name in old:
        new = name.replace("-L-", "-L")
        assert PUBLISHED[name].read_out == PUBLISHED[new].read_out
        assert NUMBERS[name] == NUMBERS[new]


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
    assert PUBLISHED[checkpoint].read_out == read_out


def test_published_values_are_shares_with_a_source():
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got 39.01"):
        Published("MRR@10", 39.01, "msmarco", OFFICIAL, "a card")
    with pytest.raises(InputError, match="candidates and source"):
        Published("MRR@10", 0.39, "msmarco", "", "a card")


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
    t5 = PUBLISHED["castorini/monot5-base-msmarco"]
    assert isinstance(t5, PromptContract)
    check_precision(t5, "bf16")
    with pytest.raises(InputError, match="must be fp32 or bf16 for the contract 'monot5', got"):
        check_precision(t5, "fp16")
    prompts = [c for c in PUBLISHED.values() if isinstance(c, PromptContract)]
    assert any("fp16" in contract.precisions for contract in prompts)  # causal models are


def test_a_contract_keeps_its_precisions_beside_the_weights(tmp_path):
    contract = Contract("own", precisions=("fp32",))
    save_contract(contract, tmp_path)
    assert read_contract(tmp_path) == contract


def test_the_command_prints_every_checkpoint_with_its_option_and_numbers(capsys):
    assert main(["contracts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count(" | ") for line in lines}) == 1
    text = "\n".join(lines)
    assert all(f"`{checkpoint}`" in text for checkpoint in PUBLISHED)
    monot5 = next(line for line in lines if "`castorini/monot5-base-msmarco`" in line)
    assert "| `monot5_base` | `Query: {query} Document: {document} Relevant:` |" in monot5
    assert "log_softmax `▁false` `▁true`" in monot5
    assert "nDCG@10 0.7140 on trec_dl_2020, official top 1000 (lightning-ir" in monot5
    assert "| fp32, bf16 |" in monot5


def test_the_papers_checkpoints_have_options():
    offered = group_rerankers_by_checkpoint()
    for checkpoint in NUMBERS:
        is_old = "-L-" in checkpoint or "TinyBERT-L" in checkpoint.removesuffix("-v2")[-11:]
        assert checkpoint in offered or is_old, checkpoint


def test_the_references_of_the_official_study_are_the_published_numbers_of_its_options():
    checkpoints = {
        option: name for name, found in group_rerankers_by_checkpoint().items() for option in found
    }
    values = read_values([reference_file("official_top1000")])
    assert len(values) >= 10
    for value in values:
        option, _, collection = value.label.partition(" on ")
        published = [
            (one.measure, one.value, one.candidates, one.source)
            for one in NUMBERS[checkpoints[option]]
            if one.collection == collection
        ]
        assert (value.measure, value.value, value.candidates, value.source) in published
