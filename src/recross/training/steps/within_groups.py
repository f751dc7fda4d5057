"""Steps whose groups learn from their own documents, in micro-batches that fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recross.training.data.micro_batches import MicroBatch
from recross.training.steps.step import Learned, Learner, Step, repeat_last


@dataclass(frozen=True)
class WithinGroups(Step):
    """Gradients of the micro-batches add up to those of all groups at once."""

    micro_batches: Sequence[MicroBatch]

    def to(self, device: torch.device) -> WithinGroups:
        """The same micro-batches on a device."""
        return WithinGroups([micro.to(device) for micro in self.micro_batches])

    def learn(self, learner: Learner) -> Learned:
        """Add the gradients of one micro-batch after the other."""
        device = learner.processes.device
        total = torch.zeros((), device=device)
        passes = learner.processes.count_passes(len(self.micro_batches))
        for number, waiting in enumerate(repeat_last(self.micro_batches, passes), start=1):
            micro = waiting.to(device)
            scores = score_lists(learner, micro)
            share = micro.share if number <= len(self.micro_batches) else 0.0
            loss = learner.loss.of(scores, micro.labels, micro.teacher_scores) * share
            learner.add_gradients(loss, is_last=number == passes)
            total += loss.detach()
        pairs = sum(len(micro.places) for micro in self.micro_batches)
        return Learned(total, pairs, sum(micro.tokens for micro in self.micro_batches))


def score_lists(learner: Learner, micro: MicroBatch) -> Tensor:
    """Return what the loss sees: scores ``(Q, N)``, or logits of the answers ``(Q, N, C)``."""
    network = learner.network
    if learner.loss.reads_answers:
        return micro.lists(learner.compute(network.answers, micro.batch).float())
    lists = micro.lists(learner.compute(network.forward, micro.batch).float())
    return lists + learner.first_stage_weight * micro.first_stage_scores
