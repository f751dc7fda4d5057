"""Sequence classifiers that read the last token, where their config names no padding token."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model
from recross.inference.batches import find_padding_token


class Answered(NamedTuple):
    """What is read of a classifier's output."""

    logits: Tensor


class LastTokenClassifier(nn.Module):
    """A causal classifier that is told by the attention mask where each sequence ends.

    Its own forward looks for the last token that is not padding, and refuses more than one sequence
    where its config names no such token. Of a single sequence it reads what is read here.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Answered:
        """Logits of every sequence's last token, ``(B, labels)``."""
        output = self.model.base_model(input_ids=input_ids, attention_mask=attention_mask)
        row = torch.arange(len(input_ids), device=input_ids.device)
        last = output.last_hidden_state[row, attention_mask.sum(dim=1) - 1]
        return Answered(logits=self.model.score(last))


def make_reader(model: Model) -> LoadedModule:
    """A classifier as it can be called with padded sequences filled by ``find_masked_filler``."""
    reads_last = "score" in dict(model.named_children())  # as transformers calls such a head
    if reads_last and find_padding_token(model.config) is None:
        return LastTokenClassifier(model)
    return model
