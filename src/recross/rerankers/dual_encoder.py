"""The bi-encoder as a network to be trained: query and document encoded apart, compared by cosine.

Sentence-BERT's form (Reimers & Gurevych 2019). What is trained is read back by the first stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from recross.checkpoints.contracts import BiEncoderContract
from recross.checkpoints.resolution import resolve_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.families import encoder_of
from recross.inference.encoders.pooled import compute_unit_vectors
from recross.inference.network import Forward, TextEncoder
from recross.inference.preparation import Preparation
from recross.inference.sequences import Ints, Sequences
from recross.inference.session import Session
from recross.inference.tokens import Item, Joiner, Template, text_template
from recross.parts.bounds import Ge, Gt, checked
from recross.rerankers.reranker import NetworkReranker
from recross.retrieval.sentence_encoder import find_pooling, get_transformer, read_model


class DualEncoderNetwork(TextEncoder):
    """A sentence-transformers model, its contract, and how training uses it.

    Training scores are cosines times ``scale``. With ``in_batch_negatives`` a step's queries learn
    from all of its documents.
    """

    contract: BiEncoderContract
    kind = "bi-encoder"

    def __init__(
        self, sentences: Any, contract: BiEncoderContract, scale: float, in_batch_negatives: bool
    ) -> None:
        model, tokenizer = get_transformer(sentences)
        super().__init__(
            *(model, tokenizer, contract, encoder_of(model.config)),
            limits={"max_length": contract.max_length},
            first_only=contract.pooling == "cls",
        )
        self._layout = (sentences,)  # not a module of this one: its weights are the model's
        self.scale = scale
        self.in_batch_negatives = in_batch_negatives
        template = text_template(self.tokenizer)
        self._texts = Joiner(self.tokenizer, template, contract.max_length)
        self._pairs = _Apart(self.tokenizer, _twice(template), 2 * contract.max_length)
        self._opening = len(template.literals[0])

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Joint sequences: the tokens of the query's text, then those of the document's."""
        return self._pairs.encode(queries, documents, items)

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        """Turn each text, a query or a document, into a token sequence of its own."""
        return self._texts.encode(texts, [], [(number,) for number in range(len(texts))])

    def vectors(self, texts: PackedBatch) -> Tensor:
        """Unit vectors to train on, ``(B, D)``."""
        return compute_unit_vectors(self.live, self.contract.pooling, texts, self.dropout)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``."""
        return self.scale * self._cosines(batch, self.vectors)

    def frozen_scorer(self, session: Session) -> Forward:
        """Return a fast scorer by cosine."""
        forward = self.frozen(session.hardware)
        return lambda batch: self._cosines(
            batch, lambda texts: compute_unit_vectors(forward, self.contract.pooling, texts)
        )

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        super().prepare_training(settings)
        if getattr(self.model, "pooler", None) is not None:  # BERT's own, which nothing reads
            self.model.pooler.requires_grad_(False)

    def save_weights(self, folder: Path) -> None:
        """Save in sentence-transformers' layout, as the first stage reads it."""
        (sentences,) = self._layout
        sentences.max_seq_length = self.limits["max_length"]
        sentences.save_pretrained(str(folder), create_model_card=False)

    def _cosines(self, batch: PackedBatch, encode: Forward) -> Tensor:
        both = torch.bincount(_rows(batch), minlength=len(batch))
        own = torch.bincount(_rows(batch)[batch.segments == 0], minlength=len(batch))
        sizes = own - self._opening  # the document's opening is still of the first segment
        queries = _encoded(batch, batch.starts, sizes, encode)
        documents = _encoded(batch, batch.starts + sizes, both - sizes, encode)
        return (queries * documents).sum(dim=1)


@dataclass(frozen=True)
@checked
class DualEncoder(NetworkReranker):
    """A bi-encoder to be trained, and a re-ranker by its cosine.

    The checkpoint is in sentence-transformers' layout: a BERT-like encoder with mean or first-token
    pooling. A query learns from its own group and, with ``in_batch_negatives``, from every other
    document of the step that is not judged relevant to it (Karpukhin et al. 2020); cosines are
    multiplied by ``scale`` in training. Give the trained folder to ``BiEncoder`` to search with it.
    """

    max_length: Annotated[int, Ge(8)] = 256
    scale: Annotated[float, Gt(0)] = 20.0
    in_batch_negatives: bool = True
    _: KW_ONLY

    def load(self) -> DualEncoderNetwork:
        """Load the network.

        Raises:
            InputError: the checkpoint is of another kind, or ``max_length`` exceeds its positions.
        """
        sentences = read_model(self.checkpoint_place, torch.device("cpu"), self.max_length)
        pooling = find_pooling(sentences)
        if pooling is None:
            raise InputError(
                "checkpoint must be a BERT-like encoder with mean or first-token pooling,"
                f" got {self.checkpoint_place!r}"
            )
        contract = resolve_contract(
            self.checkpoint_place,
            BiEncoderContract("bi-encoder", pooling),  # the checkpoint's own modules say it all
            BiEncoderContract,
            max_length=self.max_length,
        )
        network = DualEncoderNetwork(sentences, contract, self.scale, self.in_batch_negatives)
        return network.eval()

    def trained(self, folder: Path) -> DualEncoder:
        """The same re-ranker with the weights of a folder."""
        return replace(self, checkpoint=str(folder), alias=self.name)


class _Apart(Joiner):
    """Joins two texts that keep limits of their own, each half of the whole."""

    def cut(self, lengths: Ints) -> Ints:
        """How many tokens of each text stay."""
        return np.minimum(lengths, (self.max_length - self.template.size) // 2)


def _twice(template: Template) -> Template:
    """A text's template for two texts; all but the second text and its end is of segment 0."""
    opening, end = template.literals
    return Template((opening, (*end, *opening), end), (0, 0, 0, 1, 1))


def _rows(batch: PackedBatch) -> Tensor:
    """The sequence that each token belongs to, ``(T,)``."""
    begins = torch.zeros_like(batch.tokens)
    begins[batch.starts] = 1
    return begins.cumsum(dim=0) - 1


def _encoded(batch: PackedBatch, starts: Tensor, sizes: Tensor, encode: Forward) -> Tensor:
    """Vectors of parts of a batch's sequences, ``(B, D)``, in their order."""
    order = torch.argsort(sizes, descending=True, stable=True)
    starts, sizes = starts[order], sizes[order]
    ends = sizes.cumsum(dim=0)
    at = torch.arange(int(ends[-1]), device=sizes.device)
    positions = at - torch.repeat_interleave(ends - sizes, sizes)
    tokens = batch.tokens[positions + torch.repeat_interleave(starts, sizes)]
    lengths, counts = torch.unique_consecutive(sizes, return_counts=True)
    parts = PackedBatch(
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        positions=positions,
        starts=ends - sizes,
        groups=list(zip(counts.tolist(), lengths.tolist(), strict=True)),
    )
    return encode(parts)[torch.argsort(order)]
