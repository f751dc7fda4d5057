"""Weights as they lie in memory once they are read."""

import torch

from recross.checkpoints import weight_files
from recross.checkpoints.weight_files import ALIGNMENT, align_weights
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny


def lie_askew():
    """Three numbers, the first of which lies four bytes behind the beginning of a line."""
    return torch.nn.Parameter(torch.arange(20.0)[1:4])


def test_weights_that_lie_askew_are_moved_and_stay_the_same_parameters():
    weight = lie_askew()
    assert weight.data_ptr() % ALIGNMENT
    align_weights([weight])
    assert weight.data_ptr() % ALIGNMENT == 0
    assert weight.tolist() == [1.0, 2.0, 3.0]
    assert weight.requires_grad


def test_those_of_a_large_network_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(weight_files, "MOST_ALIGNED", 2 * 12 - 1)
    two = [lie_askew(), lie_askew()]
    places = [weight.data_ptr() for weight in two]
    align_weights(two)
    assert [weight.data_ptr() for weight in two] == places


def test_all_weights_of_a_checkpoint_begin_where_a_line_of_the_cache_does(tmp_path):
    network = CrossEncoder(str(save_tiny(tmp_path / "tiny"))).network
    assert {parameter.data_ptr() % ALIGNMENT for parameter in network.parameters()} == {0}
