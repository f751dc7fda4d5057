import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recross import load_reranker
from recross.checkpoints.contracts import ClassifierContract
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.comparing.comparison import PairComparison
from recross.rerankers.comparing.duo import DuoBERT, DuoT5
from recross.rerankers.comparing.pairwise import AllPairs, MergeSort, SampledOpponents
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.t5 import T5Reranker
from recross.runs import Run
from tests.conftest import save_tiny
from tests.rerankers.test_t5 import generated

QUERY = "red cat"
DOCUMENTS = ["here lives a red cat", "a dog", "blue owl and more words", "red"]
PAIRS = [(i, j) for i in range(4) for j in range(4) if i != j]


def probabilities(folder, template, pieces, start=None):
    """p(first is better) of every ordered pair, from ``generate``."""
    prompts = [template.format(q=QUERY, one=DOCUMENTS[i], other=DOCUMENTS[j]) for i, j in PAIRS]
    logits = generated(folder, prompts, pieces, start)
    return dict(zip(PAIRS, logits.softmax(dim=1)[:, 1].tolist(), strict=True))


PUBLISHED = "Query: {q} Document0: {one} Document1: {other} Relevant:"
NAMED = "Query: {q} Document1: {one} Document2: {other} More relevant:"


def test_published_duot5_equals_what_generate_gives_summed_symmetrically(tiny_t5):
    p = probabilities(tiny_t5, PUBLISHED, ["▁false", "▁true"])
    expected = [sum(p[i, j] + 1 - p[j, i] for j in range(4) if j != i) for i in range(4)]
    assert np.std(expected) > 1e-3
    found = DuoT5(str(tiny_t5), contract="duot5").score(QUERY, DOCUMENTS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_named_form_reads_the_digit_after_the_forced_piece(tiny_t5):
    document = AutoTokenizer.from_pretrained(tiny_t5).get_vocab()["▁Document"]
    p = probabilities(tiny_t5, NAMED, ["2", "1"], torch.tensor([0, document]))
    expected = [sum(p[i, j] for j in range(4) if j != i) for i in range(4)]
    reranker = DuoT5(str(tiny_t5), contract="duot5-named", strategy=AllPairs("sum"))
    np.testing.assert_allclose(reranker.score(QUERY, DOCUMENTS), expected, atol=1e-4)


DUOBERT = ClassifierContract("tiny-duobert", documents=2, max_length=80)


@pytest.mark.parametrize("labels", [1, 2])
def test_duobert_equals_the_classifier_on_three_texts_summed_symmetrically(tmp_path, labels):
    folder = save_tiny(tmp_path, labels=labels)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    p = {}
    for i, j in PAIRS:
        texts = [
            tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (QUERY, DOCUMENTS[i], DOCUMENTS[j])
        ]
        ids, kinds = [tokenizer.cls_token_id], [0]
        for number, text in enumerate(texts):
            ids += [*text, tokenizer.sep_token_id]
            kinds += [min(number, 1)] * (len(text) + 1)
        with torch.inference_mode():
            found = model(torch.tensor([ids]), token_type_ids=torch.tensor([kinds])).logits[0]
        p[i, j] = (found[0] if labels == 1 else found[1] - found[0]).sigmoid().item()
    expected = [sum(p[i, j] + 1 - p[j, i] for j in range(4) if j != i) for i in range(4)]
    assert np.std(expected) > 1e-3
    found = DuoBERT(str(folder), contract=DUOBERT).score(QUERY, DOCUMENTS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_trained_duobert_is_found_by_its_contract(tiny_bert, tmp_path):
    fresh = DuoBERT(str(tiny_bert), fresh_head=True, max_length=60)
    fresh.network.save(tmp_path / "own")
    assert fresh.network.contract.compares
    found = load_reranker(tmp_path / "own")
    assert type(found) is DuoBERT
    assert found.network.contract.max_length == 60
    np.testing.assert_array_equal(found.score(QUERY, DOCUMENTS), fresh.score(QUERY, DOCUMENTS))


def run_of(count=12):
    return Run.from_scores(
        "first", {q: {f"d{n}": -float(n) for n in range(count)} for q in ("q0", "q5", "q9")}
    )


def test_the_head_is_compared_and_the_tail_keeps_its_order(tiny_t5, collection):
    candidates = run_of()
    reranker = DuoT5(str(tiny_t5), contract="duot5", depth=5)
    reranked = reranker.rerank(candidates, collection)
    for query_id in candidates.rankings:
        before, after = candidates.doc_ids(query_id), reranked.doc_ids(query_id)
        assert sorted(after[:5]) == sorted(before[:5])
        assert after[5:] == before[5:]
        texts = [collection.documents[doc_id] for doc_id in before[:5]]
        alone = reranker.score(collection.queries[query_id], texts)
        scores = dict(reranked.rankings[query_id])
        np.testing.assert_allclose([scores[d] for d in before[:5]], alone, atol=1e-4)


@pytest.mark.parametrize(
    "strategy, at_most",
    [(AllPairs(), 8 * 7), (SampledOpponents(3), 8 * 3), (MergeSort(both_orders=False), 8 * 3)],
)
def test_the_cost_counts_every_comparison_as_a_forward_pass(tiny_t5, collection, strategy, at_most):
    reranker = DuoT5(str(tiny_t5), contract="duot5", depth=8, strategy=strategy)
    cost = reranker.rerank(run_of(), collection).cost
    assert cost.forward_passes == cost.pairs <= 3 * at_most
    assert cost.forward_passes > 3 * at_most * 0.4
    assert cost.tokens > 20 * cost.forward_passes


def test_the_order_does_not_depend_on_batches_or_other_queries(tiny_t5, collection):
    candidates = run_of()
    one = DuoT5(str(tiny_t5), contract="duot5", depth=6, strategy=SampledOpponents(2))
    few = DuoT5(
        str(tiny_t5),
        contract="duot5",
        depth=6,
        strategy=SampledOpponents(2),
        hardware=Hardware(tokens_per_batch=1),
    )
    together = one.rerank(candidates, collection)
    for query_id in candidates.rankings:
        alone = few.rerank(candidates.restrict([query_id]), collection)
        assert alone.doc_ids(query_id) == together.doc_ids(query_id)


def test_contracts_of_one_and_of_two_documents_are_not_confused(tiny_t5, tiny_bert):
    with pytest.raises(InputError, match="must read two documents, such as duot5, got 'monot5'"):
        _ = DuoT5(str(tiny_t5), contract="monot5").network
    with pytest.raises(InputError, match="must read one document, got 'duot5'"):
        _ = T5Reranker(str(tiny_t5), contract="duot5").network
    with pytest.raises(InputError, match="must read one document, got 'tiny-duobert'"):
        _ = CrossEncoder(str(tiny_bert), contract=DUOBERT).network
    with pytest.raises(InputError, match="must read two documents, such as duot5, got 'fresh'"):
        _ = DuoBERT(str(tiny_bert), contract=ClassifierContract("fresh")).network
    with pytest.raises(InputError, match="contract must be given for grown_layers, got none"):
        DuoT5(str(tiny_bert), grown_layers=2)
    with pytest.raises(InputError, match="depth must be at least 2, got 1"):
        DuoT5(str(tiny_t5), contract="duot5", depth=1)
    with pytest.raises(InputError, match=r"use score\(query, documents\)"):
        DuoT5(str(tiny_t5), contract="duot5").predict([("a", "b")])


def test_only_the_comparison_is_a_duo_rerankers_own(tiny_t5):
    reading = DuoT5(str(tiny_t5), contract="duot5", depth=7, sampling_seed=3).reading
    assert reading == PairComparison(7, AllPairs(), 3)
    assert (DuoT5.__bases__, DuoBERT.__bases__) == ((T5Reranker,), (CrossEncoder,))


def test_loading_by_contract_finds_the_class(tiny_t5, tiny_bert, tiny_llama):
    assert type(load_reranker(tiny_t5, contract="duot5")) is DuoT5
    mono = load_reranker(tiny_t5, contract="monot5", max_length=64)
    assert type(mono) is T5Reranker
    assert mono.network.contract.max_length == 64
    assert type(load_reranker(tiny_llama, contract="qwen3-reranker")).__name__ == "CausalReranker"
    with pytest.raises(InputError, match="lacks linear.weight"):
        load_reranker(tiny_bert, contract="colbertv2")
    with pytest.raises(InputError, match="contract must be one of"):
        load_reranker(tiny_t5, contract="nope")
    with pytest.raises(InputError, match="max_length is not an argument of 'embedded_colbert'"):
        load_reranker("embedded_colbert", max_length=9)
