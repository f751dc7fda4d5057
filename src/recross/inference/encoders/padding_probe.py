"""Whether a network's own forward lets padding change what it computes of a sequence.

An attention mask hides padding from attention alone. Networks that mix neighbouring tokens in
another way (MobileBERT's embeddings, ConvBERT's convolutions, FNet's Fourier transform,
Nyströmformer's landmarks) would score a pair by what stands beside it in a batch.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from recross.checkpoints.loaded import Model
from recross.inference.batches import find_masked_filler
from recross.inference.encoders.backends.last_token import make_reader

_TOKENS, _PADDING, _FIRST = 4, 4, 5
"""What is probed: so many tokens from this one on, with and without so much padding."""
_TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-3}
_OF_HALF = 5e-2
_KNOWN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def reads_padding(model: Model) -> bool:
    """Whether a model computes otherwise of a sequence with padding behind it; tried once."""
    assert isinstance(model, nn.Module)
    if model not in _KNOWN:
        was_training = model.training
        model.eval()
        try:
            _KNOWN[model] = _is_changed_by_padding(model)
        finally:
            model.train(was_training)
    return _KNOWN[model]


@torch.no_grad()
def _is_changed_by_padding(model: Model) -> bool:
    rows = model.get_input_embeddings().weight.shape[0]
    alone = (torch.arange(_TOKENS, device=model.device)[None] + _FIRST) % rows
    filled = torch.nn.functional.pad(alone, (0, _PADDING), value=find_masked_filler(model.config))
    mask = torch.zeros_like(filled)
    mask[:, :_TOKENS] = 1
    wanted = _answer(model, alone, torch.ones_like(alone))
    found = _answer(model, filled, mask)
    if wanted.ndim > 2:
        found = found[:, : wanted.shape[1]]
    tolerance = _TOLERANCES.get(wanted.dtype, _OF_HALF)
    return not torch.allclose(found, wanted, rtol=tolerance, atol=tolerance)


def _answer(model: Model, tokens: Tensor, mask: Tensor) -> Tensor:
    """Logits of a model with a head ``(1, ...)``, else the states of its encoder."""
    if model.config.is_encoder_decoder:
        states: Tensor = model.get_encoder()(input_ids=tokens, attention_mask=mask)[0]
        return states
    output = make_reader(model)(input_ids=tokens, attention_mask=mask)
    answered: Tensor = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return answered
