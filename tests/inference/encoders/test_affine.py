import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recross.inference.encoders import affine
from recross.inference.encoders.affine import LiveAffine, freeze_affine

EXPECTED = {
    "none": lambda out: out,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda out: F.gelu(out, approximate="tanh"),
}


@pytest.mark.parametrize("maker", ["live", "blocked", "plain"])
@pytest.mark.parametrize("activation", EXPECTED)
def test_fused_layers_and_their_activation_are_what_torch_computes_apart(
    maker, activation, monkeypatch
):
    torch.manual_seed(0)
    layers = [nn.Linear(8, 3), nn.Linear(8, 5)]
    states = torch.randn(6, 8)
    if maker == "plain":
        monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    make = LiveAffine if maker == "live" else freeze_affine(torch.float32, 6)
    with torch.inference_mode():
        expected = EXPECTED[activation](torch.cat([layer(states) for layer in layers], dim=1))
        found = make(layers)(states, activation)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
