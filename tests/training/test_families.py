"""Classifiers of every family learn: the loss falls, layers move, and what is saved scores so."""

import numpy as np
import pytest
import torch

from recross.command.cli import main
from recross.inference.preparation import Preparation
from recross.inference.sequences import by_length
from recross.rerankers.cross_encoder import CrossEncoder
from tests.inference.test_neighbours import (
    DOCUMENTS,
    PACKED,
    PADDED,
    QUERY,
    READS_PADDING,
    save_classifier,
)


@pytest.mark.parametrize("family", [*PACKED, *PADDED, *READS_PADDING])
def test_every_layer_of_every_family_learns(tmp_path, family):
    folder = save_classifier(tmp_path / "model", family)
    reranker = CrossEncoder(str(folder))
    network = reranker.network
    network.train()
    network.prepare_training(Preparation(dropout=0.0))
    sequences = network.encode([QUERY], DOCUMENTS, [(0, n) for n in range(len(DOCUMENTS))])
    order = by_length(sequences.lengths)
    batch = sequences.take(order).on(torch.device("cpu"))
    labels = torch.tensor([float(number == 0) for number in order])
    layers = list(network.layers)
    assert len(layers) == getattr(network.model.config, "num_hidden_groups", 2)
    before = [[p.detach().clone() for p in layer.parameters()] for layer in layers]
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(batch), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for layer, old in zip(layers, before, strict=True):
        moved = [
            not torch.equal(new, one) for new, one in zip(layer.parameters(), old, strict=True)
        ]
        assert any(moved)
    network.finish_training()
    network.eval()
    network.save(tmp_path / "saved")
    with torch.no_grad():
        expected = torch.sigmoid(network(batch)).numpy()
    found = np.asarray(CrossEncoder(str(tmp_path / "saved")).score(QUERY, DOCUMENTS))[order]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    "family",
    [
        "modernbert",
        *(
            pytest.param(family, marks=pytest.mark.ci)
            for family in (*PACKED, *PADDED, *READS_PADDING)
            if family != "modernbert"
        ),
    ],
)
def test_the_command_trains_every_family(tmp_path, beir_folder, family):
    folder = save_classifier(tmp_path / "model", family)
    words = [
        *("train", "reranker=cross_encoder", f"reranker.checkpoint={folder}", "retriever=bm25"),
        *("collection=files", f"collection.folder={beir_folder}", "negatives=random"),
        *("training=smoke", f"output={tmp_path / 'out'}"),
    ]
    assert main(words) == 0
