from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from recross import load_reranker
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published import find_contract
from recross.checkpoints.resolution import save_contract
from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.records import TrainingGroup
from recross.rerankers.causal import CausalReranker
from recross.runs import Run
from recross.training.data.micro_batches import micro_batches
from tests.conftest import save_tiny_llama
from tests.rerankers.test_cross_encoder import mixed_pairs

PAIRS = mixed_pairs(20)
QWEN3, RANKLLAMA = find_contract("qwen3-reranker"), find_contract("rankllama")


def write(contract, query, document):
    return contract.template.format(
        query=query, document=document, instruction=contract.instruction
    )


def test_yes_and_no_are_read_as_generate_gives_them_one_by_one(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    expected = []
    for query, document in PAIRS:
        ids = tokenizer(write(QWEN3, query, document), add_special_tokens=False)["input_ids"]
        out = model.generate(
            torch.tensor([ids]),
            max_new_tokens=1,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        answers = out.scores[0][0, tokenizer.convert_tokens_to_ids(["no", "yes"])]
        expected.append(float(answers.log_softmax(dim=0)[1]))
    assert np.std(expected) > 0.01
    found = CausalReranker(str(tiny_llama), contract="qwen3-reranker").predict(PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_linear_head_is_read_at_the_last_token(tmp_path):
    folder = save_tiny_llama(tmp_path, head=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    for query, document in PAIRS:
        ids = tokenizer("<s>" + write(RANKLLAMA, query, document), add_special_tokens=False)
        with torch.no_grad():
            expected.append(float(model(torch.tensor([ids["input_ids"]])).logits[0, 0]))
    assert np.std(expected) > 0.01
    found = CausalReranker(str(folder), contract="rankllama").predict(PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_end_of_sequence_is_refused_where_the_tokenizer_has_none(tiny_llama, tmp_path):
    AutoModelForCausalLM.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama, eos_token=None)
    tokenizer.save_pretrained(tmp_path)
    contract = PromptContract("ends", "{query} : {document}", "log_softmax", ("no", "yes"))
    with pytest.raises(InputError, match="add_eos needs a tokenizer with an end of sequence"):
        _ = CausalReranker(str(tmp_path), contract=contract).network
    without = CausalReranker(str(tmp_path), contract=replace(contract, add_eos=False))
    assert np.isfinite(without.predict(PAIRS)).all()


def test_scores_do_not_change_with_batches_order_or_padding(tiny_llama):
    found = [
        CausalReranker(
            str(tiny_llama),
            contract="qwen3-reranker",
            hardware=Hardware(tokens_per_batch=budget),
        ).predict(PAIRS)
        for budget in (1, 500, 10**6)
    ]
    turned = CausalReranker(str(tiny_llama), contract="qwen3-reranker").predict(PAIRS[::-1])[::-1]
    for other in (*found[1:], turned):
        np.testing.assert_allclose(other, found[0], atol=1e-4)


def test_logits_that_are_more_than_a_product_are_read_whole(tmp_path):
    folder = save_tiny_llama(tmp_path, kind="Granite", logits_scaling=7.0)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    reranker = CausalReranker(str(folder), contract="qwen3-reranker")
    assert not reranker.network._rows_are_enough
    network = reranker.network
    sequence = network.encode(["red cat"], ["a red owl"], [(0, 0)])
    with torch.no_grad():
        logits = model(torch.from_numpy(sequence.tokens)[None]).logits[0, -1]
    no, yes = network.tokenizer.convert_tokens_to_ids(["no", "yes"])
    expected = float(logits[[no, yes]].log_softmax(dim=0)[1])
    assert reranker.predict([("red cat", "a red owl")])[0] == pytest.approx(expected, abs=1e-4)


def test_what_is_too_long_loses_the_end_of_its_document_and_keeps_the_template(tiny_llama):
    reranker = CausalReranker(str(tiny_llama), contract="qwen3-reranker", max_length=300)
    network = reranker.network
    found = network.encode(["red cat"], ["first " + "owl " * 5000], [(0, 0)])
    text = network.tokenizer.decode(found.tokens)
    assert len(found.tokens) == 300
    assert text.startswith("<|im_start|>system\nJudge whether")
    assert "<Query>: red cat\n<Document>: first owl owl" in text
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert (found.lost > 0).tolist() == [[False, True]]


def test_a_query_loses_tokens_only_when_its_document_has_none_left(tiny_llama):
    reranker = CausalReranker(str(tiny_llama), contract="qwen3-reranker", max_length=300)
    network = reranker.network
    found = network.encode(["red " * 900], ["owl owl"], [(0, 0)])
    assert len(found.tokens) == 300
    assert (found.lost > 0).tolist() == [[True, True]]
    assert "<Document>:" in network.tokenizer.decode(found.tokens)


def test_a_saved_network_keeps_its_contract_and_its_scores(tmp_path, tiny_llama):
    first = CausalReranker(str(tiny_llama), contract="qwen3-reranker", max_length=400)
    first.network.save(tmp_path / "saved")
    again = CausalReranker(str(tmp_path / "saved"))
    np.testing.assert_allclose(again.predict(PAIRS), first.predict(PAIRS), atol=1e-5)


def test_weights_in_bf16_take_half_the_memory_and_keep_the_scores_near(tiny_llama):
    whole = CausalReranker(str(tiny_llama), contract="qwen3-reranker")
    half = CausalReranker(str(tiny_llama), contract="qwen3-reranker", weights="bf16")
    assert {p.dtype for p in half.network.parameters()} == {torch.bfloat16}
    assert np.abs(half.predict(PAIRS) - whole.predict(PAIRS)).max() < 0.3


def test_a_causal_model_by_its_folder_wants_a_prompt_and_takes_it_by_name(tiny_llama):
    with pytest.raises(InputError, match=r"contract must be given for .*: .*qwen3-reranker"):
        load_reranker(tiny_llama)
    found = load_reranker(tiny_llama, contract="qwen3-reranker", max_length=256)
    assert isinstance(found, CausalReranker)


def test_a_missing_head_and_another_architecture_are_refused(tiny_llama, tiny_t5):
    with pytest.raises(InputError, match=r"lacks score.weight"):
        _ = CausalReranker(str(tiny_llama), contract="rankllama").network
    with pytest.raises(InputError, match="checkpoint must be"):
        _ = CausalReranker(str(tiny_t5), contract="qwen3-reranker").network


def test_the_option_for_any_model_reads_the_contract_stored_beside_it(tmp_path):
    def network(folder):
        words = ["reranker=causal_lm", f"reranker.checkpoint={folder}"]
        return build(compose_values("run", words)["reranker"]).network

    stored = PromptContract("own", "{query} {document}", "head", max_length=64)
    folder = save_tiny_llama(tmp_path / "own", head=True)
    with pytest.raises(InputError, match="contract must be given for .* qwen3-reranker, "):
        network(folder)
    save_contract(stored, folder)
    assert network(folder).contract == stored


def told_collection(collection):
    told = {"q0": "find animals", "q5": "find colours", "q10": "find animals"}
    return replace(collection, instructions=told)


def test_queries_are_asked_with_their_own_instructions_and_the_others_with_the_contracts(
    tiny_llama, collection, tmp_path
):
    documents = ["d1", "d2", "d3"]
    candidates = Run.from_scores(
        "c", {q: dict.fromkeys(documents, 0.0) for q in ("q0", "q5", "q15", "q10")}
    )
    found = CausalReranker(
        str(tiny_llama), contract="qwen3-reranker", cache=ScoreCache(tmp_path / "scores")
    ).rerank(candidates, told_collection(collection))
    assert list(found.rankings) == list(candidates.rankings)
    assert found.cost.pairs == found.cost.forward_passes == 12
    scores = {}
    for query_id, ranking in found.rankings.items():
        instruction = told_collection(collection).instructions.get(query_id)
        alone = CausalReranker(
            str(tiny_llama), contract="qwen3-reranker", instruction=instruction
        ).score(collection.queries[query_id], [collection.documents[d] for d in documents])
        scores[query_id] = {doc.doc_id: doc.score for doc in ranking}
        assert [scores[query_id][d] for d in documents] == pytest.approx(alone.tolist(), abs=1e-5)
    plain = CausalReranker(
        str(tiny_llama), contract="qwen3-reranker", cache=ScoreCache(tmp_path / "scores")
    ).rerank(candidates, collection)
    assert plain.cost.cache_hits == 3  # of q15 alone, which was asked with the same prompt
    assert {doc.doc_id: doc.score for doc in plain.rankings["q0"]} != scores["q0"]


def told_groups():
    return [
        TrainingGroup(query_id, ("d1", "d2", "d3"), (1.0, 0.0, 0.0))
        for query_id in ("q0", "q5", "q15", "q10")
    ]


def learn_from(network, collection, budget=10**6):
    """The rows of a step in the order of its lists, with their scores in training."""
    rows, scores = [], []
    for micro in micro_batches(told_groups(), CollectionTexts(collection), network, budget):
        pieces = micro.batch.tokens.split(micro.batch.layout.offsets.diff().tolist())
        rows += [pieces[place].tolist() for place in micro.places.argsort().tolist()]
        scores += micro.lists(network(micro.batch)).flatten().tolist()
    return rows, scores


@pytest.mark.parametrize("budget", [1, 10**6])
def test_training_reads_the_prompts_that_scoring_reads(tiny_llama, collection, budget):
    network = CausalReranker(str(tiny_llama), contract="qwen3-reranker").network
    told = told_collection(collection)
    rows, scores = learn_from(network, told, budget)
    expected_rows, expected_scores = [], []
    for group in told_groups():
        instruction = told.instructions.get(group.query_id)
        alone = CausalReranker(
            str(tiny_llama), contract="qwen3-reranker", instruction=instruction
        ).network
        assert instruction is None or alone.contract.instruction == instruction
        for doc_id in group.doc_ids:
            encoded = alone.encode(
                [told.queries[group.query_id]], [told.documents[doc_id]], [(0, 0)]
            )
            expected_rows.append(encoded.tokens.tolist())
            expected_scores.append(alone(encoded.on(torch.device("cpu"))).item())
    assert rows == expected_rows
    assert scores == pytest.approx(expected_scores, abs=1e-4)
    assert learn_from(network, collection)[0] != rows


def test_a_model_without_a_place_for_it_learns_without_instructions(tmp_path, collection):
    folder = save_tiny_llama(tmp_path, head=True)
    network = CausalReranker(str(folder), contract="rankllama").network
    assert learn_from(network, told_collection(collection)) == learn_from(network, collection)


def test_an_instruction_without_room_for_texts_is_refused_before_scoring_and_training(
    tiny_llama, collection
):
    told = replace(collection, instructions={"q5": "find " * 200})
    reranker = CausalReranker(str(tiny_llama), contract="qwen3-reranker", max_length=160)
    candidates = Run.from_scores("c", {"q0": {"d1": 0.0}, "q5": {"d1": 0.0}})
    with pytest.raises(InputError, match="max_length must leave 8 tokens beside the"):
        reranker.rerank(candidates, told)
    with pytest.raises(InputError, match="max_length must leave 8 tokens beside the"):
        reranker.network.check_instructions(told.instructions.values())


def test_a_model_that_is_told_nothing_reads_a_collection_with_instructions(tmp_path, collection):
    folder = save_tiny_llama(tmp_path, head=True)
    candidates = Run.from_scores("c", {"q0": {"d1": 0.0, "d2": 0.0}})
    reranker = CausalReranker(str(folder), contract="rankllama")
    assert reranker.rerank(candidates, told_collection(collection)) == reranker.rerank(
        candidates, collection
    )
    with pytest.raises(InputError, match="instruction must be null for the contract 'rankllama'"):
        _ = replace(reranker, instruction="be kind").network


@pytest.mark.parametrize(
    "given, message",
    [
        ({"pieces": ("no", "not a piece")}, "single entries of the tokenizer's vocabulary, got"),
        ({"pieces": (0, 10**6)}, "pieces must be numbers from 0 to"),
        ({"template": "{query} {document} " + "word " * 200}, "max_length must leave 8 tokens"),
        ({"max_length": 10**5}, "max_length must not exceed the 8192 positions"),
    ],
)
def test_a_contract_that_does_not_fit_its_checkpoint_is_one_error(tiny_llama, given, message):
    own = {"template": "{query} {document}", "pieces": ("no", "yes"), "max_length": 128} | given
    contract = PromptContract("own", read_out="margin", add_eos=False, **own)
    with pytest.raises(InputError, match=message):
        _ = CausalReranker(str(tiny_llama), contract=contract).network
