import json
import random

import numpy as np
import pytest
import torch

from recross import load_reranker
from recross.checkpoints.contracts import ClassifierContract
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.runs import Run
from tests.conftest import save_tiny

WORDS = ["here", "lives", "a", "red", "blue", "cat", "dog", "owl", "and", "more", "zebra"]


def mixed_pairs(count: int = 500) -> list[tuple[str, str]]:
    draw = random.Random(3)

    def text(longest: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, longest)))

    return [(text(draw.choice([3, 8, 60])), text(draw.choice([5, 30, 120]))) for _ in range(count)]


def peer_scores(folder, pairs):
    from sentence_transformers import CrossEncoder as Peer

    return Peer(str(folder), device="cpu").predict(pairs)


@pytest.mark.parametrize("budget", [1, 300, 100_000])
def test_scores_equal_sentence_transformers_whatever_the_batch_budget(tiny_bert, budget):
    pairs = mixed_pairs()
    reranker = load_reranker(tiny_bert, hardware=Hardware(tokens_per_batch=budget))
    expected = peer_scores(tiny_bert, pairs)
    assert expected.std() > 0.01
    np.testing.assert_allclose(reranker.predict(pairs), expected, atol=1e-4)


def test_an_activation_stored_in_the_config_is_followed(tmp_path):
    folder = save_tiny(tmp_path / "raw")
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    (folder / "config.json").write_text(json.dumps(config))
    pairs = mixed_pairs(40)
    found = load_reranker(folder).predict(pairs)
    assert found.max() > 1 or found.min() < 0  # no sigmoid
    np.testing.assert_allclose(found, peer_scores(folder, pairs), atol=1e-4)


def test_networks_without_a_packed_forward_get_the_same_scores(tmp_path):
    folder = save_tiny(tmp_path / "relu", hidden_act="relu")
    pairs = mixed_pairs(60)
    np.testing.assert_allclose(
        load_reranker(folder).predict(pairs), peer_scores(folder, pairs), atol=1e-4
    )


def test_a_saved_network_loads_in_sentence_transformers_with_the_same_scores(tmp_path):
    source = save_tiny(tmp_path / "source")
    fresh = CrossEncoder(str(source), layers=2, fresh_head=True, max_length=24)
    fresh.network.save(tmp_path / "saved")
    pairs = mixed_pairs(80)
    ours = load_reranker(tmp_path / "saved").predict(pairs)
    np.testing.assert_allclose(ours, fresh.predict(pairs), atol=1e-5)
    np.testing.assert_allclose(ours, peer_scores(tmp_path / "saved", pairs), atol=1e-4)


def test_two_labels_need_a_contract_and_are_read_as_log_probabilities(tmp_path):
    folder = save_tiny(tmp_path / "two", labels=2)
    with pytest.raises(InputError, match="has 2 labels and no published contract"):
        load_reranker(folder)
    reranker = load_reranker(folder, contract="nboost-bert-base", max_length=64)
    scores = reranker.score("red cat", ["here lives a red cat", "a dog"])
    assert scores.shape == (2,)
    assert (scores < 0).all()


def test_a_checkpoint_without_a_head_is_refused_unless_it_is_to_be_trained(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    source = save_tiny(tmp_path / "source")
    AutoModel.from_pretrained(source).save_pretrained(tmp_path / "headless")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "headless")
    with pytest.raises(InputError, match=r"lacks classifier.bias, classifier.weight; freshly"):
        load_reranker(tmp_path / "headless")
    allowed = CrossEncoder(str(tmp_path / "headless"), fresh_head=True, max_length=32)
    same = CrossEncoder(str(tmp_path / "headless"), fresh_head=True, max_length=32)
    other = CrossEncoder(str(tmp_path / "headless"), fresh_head=True, max_length=32, head_seed=1)
    drawn, again, differs = (one.network.model.classifier.weight for one in (allowed, same, other))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, differs)


def test_reranking_orders_by_score_and_counts_what_was_cut(tiny_bert, collection):
    reranker = load_reranker(tiny_bert, max_length=12)
    run = Run.from_scores("first", {"q0": {f"d{n}": -float(n) for n in range(10)}})
    reranked = reranker.rerank(run, collection)
    scores = [doc.score for doc in reranked.rankings["q0"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(reranked.doc_ids("q0")) == sorted(run.doc_ids("q0"))
    assert reranked.cost.pairs == 10
    assert reranked.cost.cut_documents > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"layers": 9}, "layers must not exceed the checkpoint's 3, got 9"),
        ({"contract": "nope"}, "contract must be one of .* got 'nope'"),
    ],
)
def test_arguments_that_do_not_fit_the_checkpoint_are_refused(tiny_bert, arguments, message):
    with pytest.raises(InputError, match=message):
        _ = CrossEncoder(str(tiny_bert), **arguments).network


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="checkpoint must be a hub id or a folder"):
        load_reranker(tmp_path)


def test_an_option_without_a_network_is_refused():
    with pytest.raises(InputError, match="must be that of a network, got the option 'oracle'"):
        load_reranker("oracle")


def test_contracts_check_their_limits():
    with pytest.raises(
        InputError, match=r"max_query_length must lie in \[1, max_length=16\), got 16"
    ):
        ClassifierContract("x", max_length=16, max_query_length=16)


def test_the_embedded_twins_have_the_layers_they_name():
    for layers in (2, 4, 6):
        network = load_reranker(f"embedded_l{layers}").network
        assert network.model.config.num_hidden_layers == layers
        assert network.contract.max_length <= 512
