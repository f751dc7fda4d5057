"""The bi-encoder as a network to be trained: query and document encoded apart, compared by cosine.

Sentence-BERT's form (Reimers & Gurevych 2019). What is trained is read back by the first stage.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from recross.checkpoints.contracts import BiEncoderContract
from recross.checkpoints.resolution import resolve_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.pooled import compute_unit_vectors
from recross.inference.preparation import Preparation
from recross.inference.sequences import Sequences
from recross.inference.text_encoder import SingleVectorEncoder
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import Joiner, text_template
from recross.parts.bounds import Ge, Gt, checked
from recross.rerankers.reranker import NetworkReranker
from recross.retrieval.sentence_encoder import (
    SentenceModel,
    find_pooling,
    get_transformer,
    read_model,
)


class DualEncoderNetwork(SingleVectorEncoder):
    """A sentence-transformers model, its contract, and how training uses it.

    Training scores are cosines times ``scale``. With ``in_batch_negatives`` a step's queries learn
    from all of its documents.
    """

    contract: BiEncoderContract
    kind = "bi-encoder"

    def __init__(
        self,
        sentences: SentenceModel,
        contract: BiEncoderContract,
        scale: float,
        in_batch_negatives: bool,
    ) -> None:
        model, tokenizer = get_transformer(sentences)
        super().__init__(
            *(model, tokenizer, contract, find_encoder(model.config)),
            limits={"max_length": contract.max_length},
            first_only=contract.pooling == "cls",
        )
        self._layout = (sentences,)  # not a module of this one: its weights are the model's
        self.scale = scale
        self.in_batch_negatives = in_batch_negatives
        self._texts = Joiner(self.tokenizer, text_template(self.tokenizer), contract.max_length)

    def text_tokens(self, texts: NumberedTexts) -> Sequences:
        """Turn each text into a token sequence of its own, cut to ``max_length``."""
        return self._texts.encode_each(texts)

    def text_vectors(
        self, texts: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Unit vectors of texts, ``(B, D)``, pooled as the contract says."""
        return compute_unit_vectors(forward, self.contract.pooling, texts, dropout)

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
