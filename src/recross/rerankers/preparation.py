"""A network made ready for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def prepare(
    model: Any,
    layers: Sequence[nn.Module],
    frozen_share: float | None,
    dropout: float,
) -> None:
    """Set every dropout; freeze the word embeddings and a share of ``layers``, from the first.

    A ``frozen_share`` of ``None`` freezes nothing.
    """
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout_rate"):
        if hasattr(model.config, name):
            setattr(model.config, name, dropout)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        elif isinstance(getattr(module, "dropout", None), float):  # T5's attention
            module.dropout = dropout
    if frozen_share is None:
        return
    model.get_input_embeddings().weight.requires_grad_(False)
    for layer in layers[: int(frozen_share * len(layers))]:
        layer.requires_grad_(False)
