"""PyLate's and MultiVectorEncoder's folders score as MultiVectorEncoder itself scores them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers.base.modules import Normalize
from sentence_transformers.multi_vector_encoder.modules import (
    HierarchicalTokenPooling,
    MultiVectorMask,
)
from torch import nn

from recross.checkpoints.late_contract import LateInteractionContract
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.inference.encoders.padded import PaddedFamily
from recross.inference.late_interaction.encoding import make_document_encoder
from recross.inference.preparation import Preparation
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from tests.inference.late_interaction.multi_vector_folders import (
    make_dense,
    read_back,
    save_encoder,
    save_native,
    save_pylate,
)

QUERIES = ["red cat", "blue owl , and more words and more words and more words and more", "a", ""]
DOCUMENTS = [
    "here lives a red cat",
    "here , lives . a blue owl and more words and more words",
    ".a",
]
FIXED = {"query_expansion": {"strategy": "fixed", "attend": True, "length": 12}}
LEAST = {"query_expansion": {"strategy": "min", "length": 7}, "query_length": 11}


def assert_scores_alike(folder, **settings):
    """Vectors and scores equal those of MultiVectorEncoder; return re-ranker and scores."""
    reranker = LateInteraction(str(folder), **settings)
    reference = read_back(folder)
    encoded = reference.encode_query(QUERIES), reference.encode_document(DOCUMENTS)
    network = reranker.network
    for text, expected in zip(QUERIES, encoded[0], strict=True):
        tokens = network.query_tokens(GivenTexts([text])).on(torch.device("cpu"))
        with torch.inference_mode():
            vectors = network.query_vectors(tokens)[0].numpy()
        np.testing.assert_allclose(vectors[: len(expected)], expected, atol=1e-4)
        assert not vectors[len(expected) :].any()
    found = list(make_document_encoder(network, Hardware())(GivenTexts(DOCUMENTS)))
    for (vectors, _), expected in zip(found, encoded[1], strict=True):
        np.testing.assert_allclose(vectors, expected, atol=1e-4)
    scores = np.array([reranker.score(query, DOCUMENTS) for query in QUERIES])
    np.testing.assert_allclose(scores, reference.similarity(*encoded).numpy(), atol=1e-4)
    assert scores.std() > 0.05
    return reranker, scores


@pytest.mark.parametrize("lengths", [{}, FIXED, LEAST], ids=["none", "fixed", "least"])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_folder_of_multi_vector_encoder(tmp_path, family, lengths):
    prompts = {"query": "search query: ", "document": "[D] "}
    folder = save_native(tmp_path, family, prompts=prompts, document_length=18, **lengths)
    reranker, _ = assert_scores_alike(folder)
    assert reranker.network.family.packs


@pytest.mark.parametrize("family", ["distilbert", "xlm-roberta", "electra"])
def test_other_families_of_encoders(tmp_path, family):
    assert_scores_alike(save_native(tmp_path, family, document_length=18, **FIXED))


def test_linear_layers_in_a_row_with_all_that_they_may_have(tmp_path):
    dense = make_dense(32, 16, 16, bias=True, activation=nn.GELU(), residual=True)
    assert_scores_alike(save_native(tmp_path, dense=dense, **FIXED))


def test_without_a_linear_layer_or_a_normalisation(tmp_path):
    folder = save_native(tmp_path, dense=[], ends=[MultiVectorMask()], **LEAST)
    reranker, _ = assert_scores_alike(folder)
    assert reranker.network.contract.dimension == 32


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attend_to_expansion_tokens": True},
        {"do_query_expansion": False},
        {"skiplist_words": "absent", "query_length": "absent", "document_length": 20},
        {"prompts": {"query": "search query: ", "document": "[unused1]"}},
        {"query_prefix": "[Q] ", "document_prefix": "[D] "},
        {"query_prefix": "", "document_prefix": "[unused1] "},
    ],
)
def test_a_folder_of_pylate(tmp_path, changes):
    assert_scores_alike(save_pylate(tmp_path, **changes))


@pytest.mark.parametrize("markers", [("[Q] ", "[D] "), ()], ids=["one token", "text"])
def test_markers_with_a_blank_that_a_tokenizer_joins_to_words(tmp_path, markers):
    changes = {"query_prefix": "[Q] ", "document_prefix": "[D] "}
    folder = save_pylate(tmp_path, "modernbert", markers=markers, **changes)
    reranker, _ = assert_scores_alike(folder)
    assert reranker.network.contract.query_marker == "".join(markers[:1])


def test_a_folder_is_known_by_its_modules(tmp_path):
    assert isinstance(load_reranker(save_native(tmp_path, **LEAST)), LateInteraction)


def test_without_the_packed_forward_the_scores_are_the_same(tmp_path, monkeypatch):
    folder = save_pylate(tmp_path, "modernbert")
    monkeypatch.setattr("recross.inference.encoders.families.FAMILIES", {})
    reranker, _ = assert_scores_alike(folder)
    assert isinstance(reranker.network.family, PaddedFamily)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("save", [save_native, save_pylate])
def test_what_was_trained_is_read_by_both_with_the_same_scores(tmp_path, save, family):
    folder = save(tmp_path / "first", family)
    reranker, before = assert_scores_alike(folder)
    network = reranker.network
    network.prepare_training(Preparation())
    for parameter in network.parameters():
        parameter.data.mul_(1.1)
    network.finish_training()
    (tmp_path / "trained").mkdir()
    network.save(tmp_path / "trained")
    again, after = assert_scores_alike(reranker.trained(tmp_path / "trained").checkpoint)
    assert again.network.contract == network.contract
    assert np.abs(after - before).max() > 0.01
    (tmp_path / "trained" / "recross_contract.json").unlink()
    _, unnamed = assert_scores_alike(tmp_path / "trained")  # its own modules say the same
    np.testing.assert_allclose(unnamed, after, atol=1e-5)


@pytest.mark.parametrize("family", ["electra", "modernbert"])
def test_any_encoder_can_be_given_a_linear_layer_to_be_trained(tmp_path, family):
    contract = LateInteractionContract(
        "short", 12, 20, query_marker="", document_marker="", dimension=16, filled_to=0
    )
    plain = str(save_encoder(tmp_path / "plain", family))
    fresh = LateInteraction(plain, contract=contract, fresh_head=True, head_seed=3)
    assert fresh.network.head_is_fresh
    drawn = fresh.network.model.linear[0].linear.weight
    other = replace(fresh, head_seed=4).network.model.linear[0].linear.weight
    assert drawn.shape == (16, 32) and not torch.equal(drawn, other)
    fresh.network.finish_training()
    (tmp_path / "trained").mkdir()
    fresh.network.save(tmp_path / "trained")
    assert_scores_alike(tmp_path / "trained")


def test_code_that_a_checkpoint_brings_is_not_run(tmp_path):
    folder = save_native(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "jinaai/xlm-roberta-flash--modeling.XLMRobertaModel"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="no code of a checkpoint is run here, got .* brings jina"):
        _ = LateInteraction(str(folder)).network


def test_what_is_not_computed_here_is_refused(tmp_path):
    ends = [HierarchicalTokenPooling(2.0), Normalize("token_embeddings")]
    with pytest.raises(InputError, match="modules of late interaction must be .*TokenPooling"):
        _ = LateInteraction(str(save_native(tmp_path / "pooling", ends=ends))).network
    ends = [MultiVectorMask(["."], skiplist_tasks=["query"])]
    with pytest.raises(InputError, match=r"skiplist_tasks must be \['document'\], got \['query'\]"):
        _ = LateInteraction(str(save_native(tmp_path / "skips", ends=ends))).network
    ends = [MultiVectorMask(keep_only_token_ids=[3])]
    with pytest.raises(InputError, match="keep_only_token_ids"):
        _ = LateInteraction(str(save_native(tmp_path / "keeps", ends=ends))).network
    mean = save_pylate(tmp_path / "mean", similarity_fn_name="meanmaxsim")
    with pytest.raises(InputError, match="'meanmaxsim'"):
        _ = LateInteraction(str(mean)).network
