"""Contracts: which one a checkpoint scores by, what its limits are, and who reads it."""

import json

import pytest

from recross.checkpoints.contracts import (
    ClassifierContract,
    PromptContract,
)
from recross.checkpoints.first_stage_contracts import BiEncoderContract, SparseContract
from recross.checkpoints.generating import GeneratingContract
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.published import PUBLISHED, find_contract
from recross.checkpoints.resolution import (
    look_up_contract,
    read_contract,
    resolve_contract,
    save_contract,
)
from recross.command.loading import RERANKERS
from recross.errors import InputError

OWN = ClassifierContract("own", "sigmoid", max_length=64)
KINDS = (
    OWN,
    PromptContract("own", "{query} {document}", "log_softmax", ("no", "yes"), max_query_length=9),
    LateInteractionContract("own", skip_punctuation=False),
    BiEncoderContract("own", "cls"),
    SparseContract("own", "sum", max_query_length=9),
)


@pytest.mark.parametrize("contract", KINDS)
def test_a_stored_contract_is_read_as_it_was(tmp_path, contract):
    save_contract(contract, tmp_path)
    assert read_contract(tmp_path) == contract == look_up_contract(str(tmp_path))


def test_a_contract_file_of_today_and_one_without_a_kind_are_read(tmp_path):
    values = {"name": "x", "read_out": "sigmoid", "max_length": 64, "max_query_length": None}
    values |= {"source": "ours", "precisions": ["fp32", "bf16"], "documents": 2}
    expected = ClassifierContract(
        "x", "sigmoid", 64, None, 2, source="ours", precisions=("fp32", "bf16")
    )
    for kind in ({"kind": "Contract"}, {}):
        (tmp_path / "recross_contract.json").write_text(json.dumps(kind | values))
        assert read_contract(tmp_path) == expected
    (tmp_path / "recross_contract.json").write_text(json.dumps({"kind": "Oracle", "name": "x"}))
    with pytest.raises(InputError, match="kind must be one of Contract, .* got 'Oracle'"):
        read_contract(tmp_path)


def test_what_is_given_comes_first_then_the_file_then_the_record_then_the_config(tmp_path):
    def resolved(checkpoint, given=None):
        return resolve_contract(
            checkpoint, given, ClassifierContract, from_config=lambda: ClassifierContract("config")
        ).name

    save_contract(OWN, tmp_path)
    assert resolved("intfloat/e5-base-v2") == "config"  # a bi-encoder, here only a backbone
    assert resolved(str(tmp_path), ClassifierContract("value")) == "value"
    assert resolved(str(tmp_path), "monobert") == "monobert"
    assert resolved(str(tmp_path)) == "own"
    assert resolved("cross-encoder/ms-marco-MiniLM-L-6-v2") == "ms-marco-MiniLM-L6-v2"
    assert resolved("no/body") == "config"


def test_limits_that_are_given_override_the_contracts_own():
    found = resolve_contract("no/body", OWN, ClassifierContract, max_query_length=16)
    assert (found.max_length, found.max_query_length) == (64, 16)
    with pytest.raises(InputError, match=r"max_query_length must lie in \[1, max_length=64\)"):
        resolve_contract("no/body", OWN, ClassifierContract, max_query_length=64)
    with pytest.raises(InputError, match="max_length must be at least 8, got 7"):
        resolve_contract("no/body", OWN, ClassifierContract, max_length=7)
    with pytest.raises(InputError, match="max_length must be null for the contract 'colbertv2'"):
        find_contract("colbertv2").with_limits(max_length=64)


@pytest.mark.parametrize(
    "given, kind, compares, message",
    [
        ("monot5", ClassifierContract, False, "be that of a classification head, got 'monot5' for"),
        ("monobert", PromptContract, False, "be that of a prompt, such as monot5, got 'monobert'"),
        (
            None,
            PromptContract,
            False,
            "be given for 'no/body', beside which none .* monot5, .*zerank.* or your own Prompt",
        ),
        (
            "duot5",
            LateInteractionContract,
            True,
            "be that of late interaction, such as colbertv2, got",
        ),
        ("duot5", PromptContract, False, "read one document, got 'duot5'"),
        ("monot5", PromptContract, True, "read two documents, such as duot5, got 'monot5'"),
    ],
)
def test_a_contract_of_another_kind_is_refused(given, kind, compares, message):
    with pytest.raises(InputError, match=f"contract must {message}"):
        resolve_contract("no/body", given, kind, compares=compares)


@pytest.mark.parametrize(
    "name, family, reranker",
    [
        ("monobert", "bert", "CrossEncoder"),
        ("monot5", "mt5", "T5Reranker"),
        ("duot5", "t5", "DuoT5"),
        ("qwen3-reranker", "qwen3", "CausalReranker"),
        ("colbertv2", "bert", "LateInteraction"),
    ],
)
def test_a_contract_names_the_reranker_that_reads_it(name, family, reranker):
    assert find_contract(name).name_reranker(lambda: family) == reranker


def test_every_reranker_that_a_contract_names_can_be_loaded():
    contracts = [*(record.contract for record in PUBLISHED), *KINDS]
    unpaired = GeneratingContract | SparseContract
    contracts = [one for one in contracts if not isinstance(one, unpaired)]
    contracts.append(ClassifierContract("duobert", documents=2))
    named = {contract.name_reranker(lambda: "t5") for contract in contracts}
    named |= {contract.name_reranker(lambda: "llama") for contract in contracts}
    assert named == RERANKERS.keys()
