"""Networks that encode texts apart: each text of a batch once, with the scores of pairs alone."""

import numpy as np
import pytest
import torch

from recross.inference.session import Session
from tests.inference.test_gpu_dtypes import ALL_NETWORKS

QUERIES = ["red cat", "a very white owl", "bee"]
DOCUMENTS = ["here lives a red cat", "an owl", "white dog and more words " * 4, "a bee . ,"]
PAIRS = [(0, 1), (2, 2), (0, 0), (2, 1), (0, 1), (0, 2), (2, 0)]  # neither query 1 nor document 3
CPU = torch.device("cpu")


@pytest.fixture(params=["colbert", "bi-encoder-mean", "bi-encoder-cls"])
def network(request, tmp_path):
    return ALL_NETWORKS[request.param](tmp_path).network.eval()


def one_by_one(network, score):
    """Scores of all pairs, each encoded in a batch of its own, as if no other were there."""
    return torch.cat(
        [
            score(network.encode([QUERIES[query]], [DOCUMENTS[document]], [(0, 0)]).on(CPU))
            for query, document in PAIRS
        ]
    )


def test_texts_of_several_pairs_are_encoded_once_and_scores_are_those_of_pairs_alone(
    network, monkeypatch
):
    encoded = {"query_vectors": [], "document_vectors": []}
    for name, seen in encoded.items():
        vectors = getattr(network, name)

        def watched(texts, *more, vectors=vectors, seen=seen):
            seen.append(len(texts))
            return vectors(texts, *more)

        monkeypatch.setattr(network, name, watched)
    with torch.inference_mode():
        score = network.inference(Session())
        batch = network.encode(QUERIES, DOCUMENTS, PAIRS).on(CPU)
        found = score(batch)
        assert encoded == {"query_vectors": [2], "document_vectors": [3]}
        expected = one_by_one(network, score)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_text_of_several_pairs_learns_from_all_of_them(network):
    weights = torch.arange(1.0, len(PAIRS) + 1)

    def gradients(scores):
        network.zero_grad()
        (scores * weights).sum().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    found = gradients(network(network.encode(QUERIES, DOCUMENTS, PAIRS).on(CPU)))
    expected = gradients(one_by_one(network, network))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_scores_keep_the_order_of_the_pairs(network):
    texts = network.encode(QUERIES, DOCUMENTS, PAIRS)
    order = np.array([3, 0, 6, 2, 5, 1, 4])
    with torch.inference_mode():
        score = network.inference(Session())
        found = score(texts.take(order).on(CPU))
        torch.testing.assert_close(found, score(texts.on(CPU))[order], atol=1e-6, rtol=1e-6)
