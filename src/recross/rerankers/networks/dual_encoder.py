"""An encoder of queries and of documents, apart, that training compares."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.sentence_saving import save_sentence_layout
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.pooled import compute_vectors
from recross.inference.preparation import Preparation
from recross.inference.prompted import PromptedTokens
from recross.inference.sequences import Sequences
from recross.inference.text_encoder import SingleVectorEncoder
from recross.inference.texts.texts import NumberedTexts
from recross.retrieval.sentence_modules import SentenceModules


class DualEncoderNetwork(SingleVectorEncoder):
    """An encoder, what projects its vectors, its contract, and how training uses it.

    Training scores are similarities times ``scale``. With ``in_batch_negatives`` a step's queries
    learn from all of its documents.
    """

    contract: BiEncoderContract
    kind = "bi-encoder"

    def __init__(self, modules: SentenceModules, scale: float, in_batch_negatives: bool) -> None:
        encoder, projections, entries, contract = modules
        super().__init__(
            *(encoder.model, encoder.tokenizer, contract, find_encoder(encoder.config)),
            limits={"max_length": contract.max_length},
            first_only=contract.poolings == ("cls",),
        )
        self.projections = nn.ModuleList(projections)
        self._entries = entries
        self.scale = scale
        self.in_batch_negatives = in_batch_negatives

    def query_tokens(self, queries: NumberedTexts) -> Sequences:
        """Turn each query into a token sequence of its own, after its prompt."""
        return self._encode(queries, self.contract.query_prompt)

    def document_tokens(self, documents: NumberedTexts) -> Sequences:
        """Turn each document into a token sequence of its own, after its prompt."""
        return self._encode(documents, self.contract.document_prompt)

    def _encode(self, texts: NumberedTexts, prompt: str) -> Sequences:
        return PromptedTokens(self.tokenizer, prompt, self.contract.max_length).encode(texts)

    def text_vectors(
        self, texts: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of texts, ``(B, D)``, as the contract says."""
        return compute_vectors(forward, self.contract, list(self.projections), texts, dropout)

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        super().prepare_training(settings)
        if getattr(self.model, "pooler", None) is not None:  # BERT's own, which nothing reads
            self.model.pooler.requires_grad_(False)

    def save_weights(self, folder: Path) -> None:
        """Save in sentence-transformers' layout, as that library and the first stage read it."""
        super().save_weights(folder)
        width = self.model.config.get_text_config().hidden_size
        projections = zip(self._entries, self.projections, strict=True)
        save_sentence_layout(folder, self.contract, width, list(projections))
