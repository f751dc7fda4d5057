"""Steps whose queries learn from the documents of all groups (in-batch negatives).

In-batch negatives (Karpukhin et al. 2020) need the vectors of all texts of a step at once. So that
they do not depend on what fits in memory, texts are encoded in chunks without a gradient, the loss
gives the gradient of every vector, and each chunk is encoded again to carry it on to the weights
(GradCache, Gao et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from recross.inference.text_encoder import SingleVectorEncoder
from recross.training.data.in_batch import StepTexts
from recross.training.steps.step import Learned, Learner, Step, repeat_last


@dataclass(frozen=True)
class AcrossGroups(Step):
    """Processes share the chunks, and each knows all vectors; their gradients are averaged."""

    texts: StepTexts

    def to(self, device: torch.device) -> AcrossGroups:
        """The same texts on a device."""
        return AcrossGroups(self.texts.to(device))

    def learn(self, learner: Learner) -> Learned:
        """Encode all texts, find the gradients of their vectors, and carry them on."""
        processes = learner.processes
        texts = self.texts.to(processes.device)
        chunks = processes.share(len(texts.chunks))
        vectors = encode_all(learner, texts, chunks).requires_grad_()
        with torch.enable_grad():
            scores = texts.scores(vectors, text_encoder(learner).scale)
            loss = learner.loss.of(scores, texts.labels, texts.teacher_scores)
            (wanted,) = torch.autograd.grad(loss, vectors)
        passes = processes.count_passes(len(chunks))
        for at, number in enumerate(repeat_last(chunks, passes), start=1):
            numbers, _ = texts.chunks[number]
            value = (encode_chunk(learner, texts, number) * wanted[numbers]).sum()
            share = processes.count if at <= len(chunks) else 0
            learner.add_gradients(value * share, is_last=at == passes)
        tokens = sum(len(texts.chunks[number][1].tokens) for number in chunks)
        return Learned(loss.detach(), texts.pairs if processes.is_first else 0, tokens)


def encode_all(learner: Learner, texts: StepTexts, chunks: range) -> Tensor:
    """Return vectors of all texts ``(T, D)``, of which this process encodes some chunks."""
    processes = learner.processes
    asked = repeat_last(chunks, processes.count_passes(len(chunks)))
    with torch.no_grad():
        encoded = [encode_chunk(learner, texts, number) for number in asked]
    vectors = torch.zeros(texts.count, encoded[0].shape[1], device=processes.device)
    for number, rows in zip(asked, encoded, strict=True):
        vectors[texts.chunks[number][0]] = rows
    return processes.add_up(vectors)


def encode_chunk(learner: Learner, texts: StepTexts, number: int) -> Tensor:
    """Return vectors of a chunk; a second call in a step draws the same dropout."""
    learner.seed_dropout(f"chunk {number}")
    _, batch = texts.chunks[number]
    return learner.compute(text_encoder(learner).vectors, batch).float()


def text_encoder(learner: Learner) -> SingleVectorEncoder:
    """The network of such steps: no other learns across groups."""
    return cast(SingleVectorEncoder, learner.network)
