"""Processes that keep a part of the weights each have the gradients and scores of whole ones."""

import copy
import json

import pytest
import torch
from torch import distributed
from torch.multiprocessing import spawn

from recross.inference.encoders.layer_passes import within
from recross.inference.preparation import Preparation
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.training.processes import MeetingPoint
from recross.training.shared_weights import (
    WholeCopy,
    cut_like,
    gather,
    gather_all,
    load_weights,
    share_weights,
)
from tests.inference.test_neighbours import PACKED, PADDED, READS_PADDING, save_classifier
from tests.rerankers.test_dual_encoder import save_sentences
from tests.rerankers.test_every_network_learns import NETWORKS

QUERIES = ["fox red", "w1 w2 w3"]
DOCUMENTS = ["w1 w2", "the quick fox w3 w4 w5 w6", "w9", "w7 w8 red w2 w2", "a b c", "w3"]
PROCESSES = 2
WAYS = {
    "plain": Preparation(dropout=0.0),
    "recomputed": Preparation(dropout=0.0, gradient_checkpointing=True),
    "lora": Preparation(dropout=0.0, lora_rank=4),
}


def make_network(name, folder):
    """A network in training, whose numbers follow from its name."""
    torch.manual_seed(0)
    if name in NETWORKS:
        return NETWORKS[name](folder).network
    if name == "dual":
        return DualEncoder(save_sentences(folder, "mean"), max_length=24).network
    return CrossEncoder(str(save_classifier(folder, name))).network


def make_batch(network, rank):
    """What one process reads: other texts, and more of them, than another."""
    count = 2 + rank
    per_item = network.documents_per_item
    items = [
        (rank, *((rank + n + m) % len(DOCUMENTS) for m in range(per_item))) for n in range(count)
    ]
    sequences = network.encode(QUERIES, DOCUMENTS, items)
    return sequences.take(by_length(sequences.lengths)).on(torch.device("cpu"))


def compute_value(network, batch):
    """A number that every score changes by another amount."""
    scores = within(network, network.forward)(batch)
    return (scores.float() * torch.linspace(0.5, 1.5, len(scores))).sum()


def compare(network, rank, folder):
    """What differs between whole and shared weights: gradients, weights and scores."""
    plain = copy.deepcopy(network)
    whole = WholeCopy(network)
    share_weights(network, torch.device("cpu"))
    kept = sum(p.to_local().numel() for p in network.parameters())
    everywhere = torch.tensor(kept)
    distributed.all_reduce(everywhere)
    for _ in range(2):  # the second adds to the first
        compute_value(network, make_batch(network, rank)).backward()
    for other in (*range(PROCESSES), *range(PROCESSES)):
        (compute_value(plain, make_batch(plain, other)) / PROCESSES).backward()
    gradients = [0.0]
    for (name, own), shared in zip(plain.named_parameters(), network.parameters(), strict=True):
        if own.grad is None or shared.grad is None:
            assert own.grad is None or not own.grad.any(), name
            assert shared.grad is None or not gather(shared.grad, keeps=True).any(), name
            continue
        apart = (own.grad - gather(shared.grad, keeps=True)).abs().max()
        gradients.append(float(apart / own.grad.abs().max().clamp(min=1e-3)))
    hardware = Hardware(threads=1)
    session = Session(hardware, folder / "store")
    batch = make_batch(network, rank)
    with whole.filled(network) as filled, torch.inference_mode():
        score = filled.inference(session)
        for _ in range(2 - rank):  # as often as each likes
            scores = score(batch)
        expected = plain.eval().inference(session)(batch)
    weights = gather_all(network.state_dict(), keeps=True)
    own = plain.state_dict()
    doubled = {name: 2 * weight for name, weight in own.items()}
    load_weights(network, doubled)
    loaded = gather_all(network.state_dict(), keeps=True)
    return {
        "moved": float(max(p.grad.abs().max() for p in plain.parameters() if p.grad is not None)),
        "gradients": max(gradients),
        "scores": float((scores - expected).abs().max()),
        "weights": max(float((own[name] - weights[name]).abs().max()) for name in own),
        "loaded": max(float((doubled[name] - loaded[name]).abs().max()) for name in own),
        "kept": kept / sum(p.numel() for p in plain.parameters()),
        "everywhere": int(everywhere) / sum(p.numel() for p in plain.parameters()),
    }


def run(rank, folder, port, names):
    """Compare networks, one after the other, in one of the processes."""
    torch.set_num_threads(1)
    networks = {
        (name, way): make_network(name, folder / f"{name}{rank}{way}").train()
        for name in names
        for way in WAYS
        if way != "lora" or name in NETWORKS
    }  # before there are others: transformers saves in the first of several processes alone
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=PROCESSES)
    found = {}
    for (name, way), network in networks.items():
        if way == "recomputed" and not network.family.can_recompute(network.model):
            continue
        torch.manual_seed(0)  # what is added begins alike
        network.prepare_training(WAYS[way])
        found[f"{name} {way}"] = compare(network, rank, folder)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.mark.ci  # processes of their own import torch
@pytest.mark.parametrize(
    "names",
    [tuple(NETWORKS), (*PACKED, "dual"), (*PADDED, *READS_PADDING)],
    ids=["kinds", "packed", "padded"],
)
def test_gradients_and_scores_are_those_of_whole_weights(tmp_path, names):
    spawn(run, args=(tmp_path, MeetingPoint(1).main_port, names), nprocs=PROCESSES)
    for rank in range(PROCESSES):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert {name.rpartition(" ")[0] for name in found} == {*names}
        for name, differences in found.items():
            assert differences["moved"] > 0, name
            assert differences["gradients"] < 1e-4, (name, differences)
            assert differences["scores"] < 1e-5, (name, differences)
            assert differences["weights"] == differences["loaded"] == 0.0, name
            assert differences["everywhere"] == 1.0, name
            assert 0.4 < differences["kept"] < 0.6, (name, differences)


def test_whole_weights_stay_as_they_are():
    weight = torch.arange(3.0)
    assert gather(weight, keeps=False) is weight
    assert cut_like(weight, torch.zeros(3)) is weight
