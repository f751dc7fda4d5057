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
from torch import Tensor, nn

from recross.checkpoints.contracts import BiEncoderContract
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import LiveAffine, MakeAffine, frozen_affine
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import encoder_of
from recross.inference.encoders.pooled import unit_vectors
from recross.inference.network import Forward
from recross.inference.preparation import Preparation, merge, prepare
from recross.inference.session import Session
from recross.inference.tokens import Ints, Item, Joiner, Sequences, Template, text_template
from recross.parts.bounds import Ge, Gt, checked
from recross.rerankers.reranker import NetworkReranker
from recross.retrieval.sentence_encoder import find_pooling, get_transformer, read_model


class DualEncoderNetwork(nn.Module):
    """A sentence-transformers model, its contract, and how training uses it.

    Training scores are cosines times ``scale``. With ``in_batch_negatives`` a step's queries learn
    from all of its documents.
    """

    documents_per_item = 1
    heads = ()

    def __init__(
        self, sentences: Any, contract: BiEncoderContract, scale: float, in_batch_negatives: bool
    ) -> None:
        super().__init__()
        self.sentences = sentences
        self.contract = contract
        self.scale = scale
        self.in_batch_negatives = in_batch_negatives
        template = text_template(self.tokenizer)
        self._texts = Joiner(self.tokenizer, template, contract.max_length)
        self._pairs = _Apart(self.tokenizer, _twice(template), 2 * contract.max_length)
        self._opening = len(template.literals[0])
        self._encoder = encoder_of(self.model.config)
        self._live = self._learn(recompute=False)

    @property
    def model(self) -> Any:
        """The encoder within."""
        return get_transformer(self.sentences)[0]

    @property
    def tokenizer(self) -> Any:
        """The encoder's own."""
        return get_transformer(self.sentences)[1]

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Joint sequences: the tokens of the query's text, then those of the document's."""
        return self._pairs.encode(queries, documents, items)

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        """Each text's own sequence."""
        return self._texts.encode(texts, [], [(number,) for number in range(len(texts))])

    def vectors(self, texts: PackedBatch) -> Tensor:
        """Unit vectors to train on, ``(B, D)``."""
        dropout = self._encoder.dropout(self.model.config) if self.training else 0.0
        return unit_vectors(self._live, self.contract.pooling, texts, dropout)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``."""
        return self.scale * self._cosines(batch, self.vectors)

    def inference(self, session: Session) -> Forward:
        """Return a scorer by cosine of the weights as they are now."""
        hardware = session.hardware
        hardware.require_torch("bi-encoder")
        self.to(hardware.device)
        make = frozen_affine(hardware.dtype, hardware.batch_tokens)
        forward = self._forward_of(make, hardware.dtype)
        return lambda batch: self._cosines(
            batch, lambda texts: unit_vectors(forward, self.contract.pooling, texts)
        )

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        prepare(self.model, self._encoder, self.heads, settings)
        if getattr(self.model, "pooler", None) is not None:  # BERT's own, which nothing reads
            self.model.pooler.requires_grad_(False)
        self._live = self._learn(settings.gradient_checkpointing)

    def finish_training(self) -> None:
        """Merge what was added."""
        merge(self.model)

    def save(self, folder: Path) -> None:
        """Save in sentence-transformers' layout, as the first stage reads it."""
        self.sentences.max_seq_length = self.contract.max_length
        self.sentences.save_pretrained(str(folder), create_model_card=False)
        save_contract(self.contract, folder)

    def _learn(self, recompute: bool) -> EncoderForward:
        return self._forward_of(LiveAffine, torch.float32, recompute)

    def _forward_of(
        self, make: MakeAffine, dtype: torch.dtype, recompute: bool = False
    ) -> EncoderForward:
        return self._encoder.forward(
            *(self.model, make, dtype),
            first_only=self.contract.pooling == "cls",
            recompute=recompute,
        )

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
            InputError: the checkpoint is of another kind, or has not so many positions.
        """
        sentences = read_model(self.checkpoint, torch.device("cpu"), self.max_length)
        pooling = find_pooling(sentences)
        if pooling is None:
            raise InputError(
                "checkpoint must be a BERT-like encoder with mean or first-token pooling,"
                f" got {self.checkpoint!r}"
            )
        contract = resolve_contract(
            self.checkpoint,
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
