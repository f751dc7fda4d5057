"""Learning rates by layer, averaged weights, low-rank additions, activations computed twice."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch

from recross.errors import InputError
from recross.inference import preparation
from recross.inference.preparation import Preparation
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.t5 import T5Reranker
from recross.training.optimisation import AveragedWeights, Optimisation
from tests.conftest import save_tiny, save_tiny_t5
from tests.rerankers.test_cross_encoder import mixed_pairs
from tests.rerankers.test_every_network_learns import NETWORKS

SETTINGS = Optimisation(100, 1e-3, 1e-2, 0.01, 0.1, 1.0, 0.0, layer_decay=0.5)


def test_rates_fall_from_the_head_to_the_embeddings_and_flat_parameters_do_not_decay(tiny_bert):
    network = CrossEncoder(str(tiny_bert)).network
    top = network.model.config.num_hidden_layers - 1
    optimizer = SETTINGS.optimiser(network)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(found) == len(names)
    encoder = "model.bert.encoder.layer"
    assert found["model.classifier.weight"] == (1e-2, 0.01)
    assert found[f"{encoder}.{top}.output.dense.weight"] == (1e-3, 0.01)
    assert found[f"{encoder}.{top}.output.dense.bias"] == (1e-3, 0.0)
    assert found[f"{encoder}.{top - 1}.output.dense.weight"] == (5e-4, 0.01)
    embeddings = found["model.bert.embeddings.word_embeddings.weight"]
    assert embeddings == (1e-3 * 0.5 ** (top + 1), 0.01)


ELECTRA = {"electra": lambda f: CrossEncoder(str(save_tiny(f, "electra")))}
STACKS = {
    "bert": lambda model: [model.bert.encoder.layer],
    "electra": lambda model: [model.electra.encoder.layer],
    "colbert": lambda model: [model.bert.encoder.layer],
    "monot5": lambda model: [model.encoder.block, model.decoder.block],
    "rankt5-encoder": lambda model: [model.transformer.encoder.block],
    "yes-no": lambda model: [model.model.layers],
    "head": lambda model: [model.model.layers],
}


@pytest.mark.parametrize("lora_rank", [None, 2])
@pytest.mark.parametrize("name", STACKS)
def test_a_layer_learns_half_as_fast_as_the_one_above_it(tmp_path, name, lora_rank):
    network = (NETWORKS | ELECTRA)[name](tmp_path).network
    network.prepare_training(Preparation(lora_rank=lora_rank))
    rates = {
        id(parameter): group["lr"]
        for group in SETTINGS.optimiser(network).param_groups
        for parameter in group["params"]
    }
    assert rates.keys() == {id(p) for p in network.parameters() if p.requires_grad}
    for stack in STACKS[name](network.model):
        for depth, layer in enumerate(reversed(stack)):
            learned = [p for p in layer.parameters() if p.requires_grad]
            assert all(rates.pop(id(p)) == 1e-3 * 0.5**depth for p in learned)
    heads = {id(p) for n, p in network.named_parameters() if any(h in n for h in network.heads)}
    lowest = 1e-3 * 0.5 ** len(STACKS[name](network.model)[0])
    assert all(rate == (1e-2 if p in heads else lowest) for p, rate in rates.items())


def test_a_decoder_of_fewer_layers_than_the_encoder_stands_at_the_top(tmp_path):
    folder = save_tiny_t5(tmp_path, num_decoder_layers=1)
    network = T5Reranker(str(folder), contract="monot5").network
    rates = {
        id(parameter): group["lr"]
        for group in SETTINGS.optimiser(network).param_groups
        for parameter in group["params"]
    }
    assert {rates[id(p)] for p in network.model.decoder.block[0].parameters()} == {1e-3}


def test_the_average_of_the_weights_by_hand():
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    averages = AveragedWeights(layer, decay=0.75)
    for value in (2.0, 4.0):
        with torch.no_grad():
            layer.weight.fill_(value)
        averages.update()
    with averages.in_place():  # .75 (.75 1 + .25 2) + .25 4
        assert layer.weight.item() == pytest.approx(1.9375)
    assert layer.weight.item() == 4.0
    assert averages.averages[0].item() == pytest.approx(1.9375)


def batch_of(network, count=12):
    queries, documents = zip(*mixed_pairs(count), strict=True)
    width = network.documents_per_item
    items = [(n, *((n + k) % count for k in range(width))) for n in range(count)]
    sequences = network.encode(list(queries), list(documents), items)
    return sequences.take(by_length(sequences.lengths)).on(torch.device("cpu"))


def gradients(network, settings, batch):
    network.prepare_training(settings)
    network.train()
    torch.manual_seed(7)
    scores = network(batch)
    scores.pow(2).sum().backward()
    return scores.detach(), [p.grad for p in network.parameters() if p.grad is not None]


def calls_of_a_layer(network, batch):
    """How often the first layer of a network that learns is computed in a step."""
    calls = Counter()
    hooks = [
        module.register_forward_hook(lambda module, *_: calls.update([id(module)]))
        for module in network.layers[0].modules()
        if isinstance(module, torch.nn.Linear)
    ]
    network(batch).sum().backward()
    for hook in hooks:
        hook.remove()
    return max(calls.values())  # torch stops computing again where all that it needs is there


@pytest.mark.parametrize("name", ["bert", "monot5", "rankt5-encoder", "colbert", "head"])
def test_activations_computed_twice_give_the_same_gradients(tmp_path, name):
    torch.manual_seed(0)
    network = NETWORKS[name](tmp_path / "source").network
    batch = batch_of(network)
    twice = copy.deepcopy(network)
    scores, plain = gradients(network, Preparation(dropout=0.2), batch)
    same, recomputed = gradients(twice, Preparation(None, 0.2, True), batch)
    torch.testing.assert_close(same, scores)
    assert len(plain) == len(recomputed) > 10
    for one, other in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-4)
    assert 0 < calls_of_a_layer(network, batch) == calls_of_a_layer(twice, batch) / 2


@pytest.mark.parametrize("name", ["bert", "monot5", "colbert", "head"])
def test_low_rank_additions_learn_alone_and_are_merged_at_the_end(tmp_path, name):
    torch.manual_seed(0)
    network = NETWORKS[name](tmp_path / "source").network
    batch = batch_of(network)
    before = network(batch).detach()
    network.prepare_training(Preparation(lora_rank=2))
    torch.testing.assert_close(network(batch).detach(), before)  # additions begin at zero
    learned = {n for n, p in network.named_parameters() if p.requires_grad}
    assert any("lora_A" in n for n in learned)
    assert all("lora_" in n or any(head in n for head in network.heads) for n in learned)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (network(batch) - 3).pow(2).mean().backward()
        optimizer.step()
    moved = network(batch).detach()
    assert (moved - before).abs().max() > 1e-3
    frozen = network.inference(Session())(batch)  # the fast forward knows of the additions
    network.finish_training()
    assert not [n for n, _ in network.named_parameters() if "lora_" in n]
    merged = network.inference(Session())(batch)
    torch.testing.assert_close(merged, frozen, atol=1e-5, rtol=1e-4)
    if name == "bert":  # what is trained on is what is read
        torch.testing.assert_close(merged, moved, atol=1e-5, rtol=1e-4)


def test_a_checkpoint_trained_with_low_rank_additions_is_an_ordinary_one(tmp_path):
    network = CrossEncoder(str(save_tiny(tmp_path / "source"))).network
    network.prepare_training(Preparation(lora_rank=2))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    pairs = mixed_pairs(10)
    network.finish_training()
    network.eval().save(tmp_path / "merged")
    loaded = CrossEncoder(str(tmp_path / "merged"))
    plain = CrossEncoder(str(tmp_path / "source"))
    assert np.abs(loaded.predict(pairs) - plain.predict(pairs)).max() > 1e-3
    theirs = {n for n, _ in plain.network.named_parameters()}
    assert {n for n, _ in loaded.network.named_parameters()} == theirs


def test_low_rank_additions_without_peft_name_the_extra(tiny_bert, monkeypatch):
    monkeypatch.setattr(preparation, "is_installed", lambda _: False)
    with pytest.raises(InputError, match=r"lora_rank needs peft: pip install 'recross\[lora\]'"):
        CrossEncoder(str(tiny_bert)).network.prepare_training(Preparation(lora_rank=4))


def test_a_causal_network_is_prepared_like_the_others(tmp_path):
    network = NETWORKS["yes-no"](tmp_path / "source")
    assert isinstance(network, CausalReranker)
    network.network.prepare_training(Preparation(gradient_checkpointing=True))
    assert network.network.live.recompute
