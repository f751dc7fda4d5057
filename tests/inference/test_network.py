"""What holds for every network because it is written once."""

from dataclasses import replace

import pytest

from recross.errors import InputError
from recross.machine.hardware import Hardware
from tests.rerankers.test_every_network_learns import NETWORKS

ONE_OF_A_KIND = ["bert", "monot5", "colbert", "yes-no"]


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_a_precision_that_the_contract_does_not_name_is_refused_before_any_work(tmp_path, name):
    network = NETWORKS[name](tmp_path).network
    network.contract = replace(network.contract, precisions=("bf16",))
    with pytest.raises(InputError, match="precision must be bf16 for the contract .* got 'fp32'"):
        network.check(Hardware())


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_layers_are_those_of_the_model(tmp_path, name):
    network = NETWORKS[name](tmp_path).network
    assert len(network.layers) == network.model.config.num_hidden_layers
    within = {id(parameter) for parameter in network.model.parameters()}
    assert all(id(p) in within for layer in network.layers for p in layer.parameters())
