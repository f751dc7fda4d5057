"""Nothing that runs once a batch or a step waits for a GPU: work is given to it ahead of its need.

A processor's tensors stand for those of a GPU, and what would wait is counted; on a GPU torch
itself refuses it.
"""

import pytest
import torch

from recross.inference.encoders import affine, post_norm
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.training.losses.listwise import Listwise
from recross.training.module import RankingModule
from recross.training.recorded_losses import READ_EVERY
from tests.conftest import save_tiny
from tests.inference.test_exact_heads import EVERY
from tests.inference.test_gpu_dtypes import batch_of, scorer_of
from tests.synchronisations import Synchronisations
from tests.training.learning import LOSSES, Learner, loss_for, step_of
from tests.training.test_resume import train

HIDDEN = {"bert-padded": 1, "colbert": 1, "causal-padded": 2, "t5-padded": 2}
"""How often transformers itself looks at a mask, once a forward, where it pads."""


def asked_by_transformers(counted):
    """Whether all that waits elsewhere is to know whether a mask hides anything."""
    return all("in masking_utils.py:_ignore_" in name for name in counted.elsewhere)


@pytest.fixture
def gpu(monkeypatch):
    """Hardware that computes as on a GPU, with the processor's tensors."""
    monkeypatch.setattr(Hardware, "device", torch.device("cpu"))
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    return Hardware(accelerator="gpu", precision="bf16")


@pytest.mark.parametrize("kind", EVERY)
def test_no_scorer_waits(kind, gpu, tmp_path):
    network = EVERY[kind](tmp_path).network.eval()
    scorer, batch = scorer_of(network, gpu), batch_of(network)
    with torch.inference_mode(), Synchronisations() as counted:
        scorer(batch)
    assert not counted.within
    assert asked_by_transformers(counted)
    assert counted.elsewhere.total() <= HIDDEN.get(kind, 0)


@pytest.mark.parametrize("kind", EVERY)
def test_no_step_waits(kind, tmp_path):
    network = EVERY[kind](tmp_path).network.train()
    step = step_of(network)
    learner = Learner(network, loss_for(network, Listwise()))
    with Synchronisations() as counted, torch.autocast("cpu", torch.bfloat16):
        step.learn(learner)
    assert not counted.within
    assert asked_by_transformers(counted)
    assert counted.elsewhere.total() <= 4 * HIDDEN.get(kind, 0)  # micro-batches


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_no_loss_waits(loss, tmp_path):
    network = EVERY["bert"](tmp_path).network.train()
    step = step_of(network)
    with Synchronisations() as counted:
        step.learn(Learner(network, loss))
    assert not counted.within | counted.elsewhere


def test_a_training_waits_where_losses_are_read_alone(tmp_path, monkeypatch):
    waits = []
    whole = RankingModule.training_step

    def counted_step(self, batch, number):
        with Synchronisations() as counted:
            loss = whole(self, batch, number)
        waits.append(counted.within + counted.elsewhere)
        return loss

    monkeypatch.setattr(RankingModule, "training_step", counted_step)
    monkeypatch.setattr(RankingModule, "is_on_gpu", True)
    settings = {"validations": 1, "save_seconds": 1e9, "averaging": 0.9}
    train(tmp_path / "out", save_tiny(tmp_path / "source"), steps=READ_EVERY + 3, **settings)
    waiting = [number for number, counted in enumerate(waits, start=1) if counted]
    assert waiting == [READ_EVERY]
    assert waits[READ_EVERY - 1] == {"tolist in recorded_losses.py:read": 1}


VECTOR = torch.arange(4.0)
WAITING = {
    "item": lambda: VECTOR[0].item(),
    "bool": lambda: bool(VECTOR[0] > 0),
    "float": lambda: float(VECTOR[1]),
    "if-any": lambda: 1 if (VECTOR > 2).any() else 0,
    "tolist": lambda: VECTOR.tolist(),
    "cpu": lambda: VECTOR.cpu(),
    "numpy": lambda: VECTOR.numpy(),
    "nonzero": lambda: VECTOR.nonzero(),
    "mask": lambda: VECTOR[VECTOR > 1],
    "unique": lambda: torch.unique(VECTOR),
    "isin": lambda: torch.isin(VECTOR, torch.arange(64.0)),
    "repeat": lambda: torch.repeat_interleave(VECTOR, VECTOR.long()),
    "upload": lambda: torch.tensor([1, 2], device=VECTOR.device),
}


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("how", WAITING)
def test_what_waits_is_counted_where_it_was_asked_for(how, mode):
    with mode(), Synchronisations() as counted:
        VECTOR * 2 + VECTOR.sum()
        torch.repeat_interleave(VECTOR, VECTOR.long(), output_size=6)
        VECTOR[torch.tensor([0, 1])]
        assert not counted.within
        WAITING[how]()
    assert counted.within.total() == 1
    assert "test_synchronisations.py" in str(counted.within)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_one_that_is_planted_in_a_network_is_found(mode, gpu, tmp_path, monkeypatch):
    network = CrossEncoder(str(save_tiny(tmp_path))).network.eval()
    scorer, batch = network.inference(Session(gpu)), batch_of(network)
    kept = post_norm.layer_norm

    def waiting(norm, states):
        states.abs().max().item()
        return kept(norm, states)

    monkeypatch.setattr(post_norm, "layer_norm", waiting)
    with mode(), Synchronisations() as counted:
        scorer(batch)
    (name,) = counted.within
    assert name.endswith("in test_synchronisations.py:waiting")
    assert counted.within[name] == 2 * network.model.config.num_hidden_layers


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind not in HIDDEN])
def test_torch_sees_no_scorer_and_no_step_wait_on_a_gpu(kind, tmp_path):
    hardware = Hardware(accelerator="gpu", precision="bf16")
    hardware.prepare()
    network = EVERY[kind](tmp_path).network.eval()
    scorer, batch = scorer_of(network, hardware), batch_of(network).to(hardware.device)
    step = step_of(network).to(hardware.device)
    learner = Learner(network, loss_for(network, Listwise()), "cuda")

    def work():
        with torch.inference_mode():
            scorer(batch)
        with torch.autocast("cuda", torch.bfloat16):
            step.learn(learner)

    work()  # what is made once for a shape may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
