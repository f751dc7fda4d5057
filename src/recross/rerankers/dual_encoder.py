"""The bi-encoder as a network to be trained: query and document encoded apart, then multiplied.

Sentence-BERT's form (Reimers & Gurevych 2019). What is trained is read back by the first stage.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from torch import Tensor, nn

from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.sentence_layout import read_bi_encoder, with_choices
from recross.checkpoints.sentence_saving import save_sentence_layout
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.pooled import compute_vectors
from recross.inference.preparation import Preparation
from recross.inference.prompted import PromptedTokens
from recross.inference.sequences import Sequences
from recross.inference.text_encoder import SingleVectorEncoder
from recross.inference.texts.texts import NumberedTexts
from recross.parts.bounds import Ge, Gt, checked
from recross.rerankers.reranker import NetworkReranker
from recross.retrieval.sentence_modules import SentenceModules, load_modules

TRAINING_SCALES = {"cosine": 20.0, "dot": 1.0}
"""What training multiplies similarities by: cosines as sentence-transformers does."""


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


@dataclass(frozen=True)
@checked
class DualEncoder(NetworkReranker):
    """A bi-encoder to be trained, and a re-ranker by its similarity.

    The checkpoint is in sentence-transformers' layout, an encoder with a pooling and perhaps
    projections, or an encoder alone. A query learns from its own group and, with
    ``in_batch_negatives``, from every other document of the step that is not judged relevant to it
    (Karpukhin et al. 2020); similarities are multiplied by ``scale`` in training (``None``: cosines
    by 20, products of vectors with lengths of their own by 1). Give the trained folder to
    ``BiEncoder`` to search with it. ``None`` leaves limit, prompts and similarity as the checkpoint
    or what is published for it says.
    """

    max_length: Annotated[int, Ge(8)] | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    similarity: Literal["cosine", "dot"] | None = None
    scale: Annotated[float, Gt(0)] | None = None
    in_batch_negatives: bool = True
    _: KW_ONLY

    def load(self) -> DualEncoderNetwork:
        """Load the network.

        Raises:
            InputError: the checkpoint is of another kind, or ``max_length`` exceeds its positions.
        """
        contract = with_choices(
            read_bi_encoder(self.checkpoint_place),
            max_length=self.max_length,
            query_prompt=self.query_prompt,
            document_prompt=self.document_prompt,
            similarity=self.similarity,
        )
        modules = load_modules(self.checkpoint_place, contract)
        if modules is None:
            raise InputError(
                "checkpoint must be an encoder with a pooling and perhaps projections and a"
                f" normalisation, got {self.checkpoint_place!r}"
            )
        scale = TRAINING_SCALES[contract.similarity] if self.scale is None else self.scale
        return DualEncoderNetwork(modules, scale, self.in_batch_negatives).eval()

    def trained(self, folder: Path) -> DualEncoder:
        """The same re-ranker with the weights of a folder."""
        return replace(self, checkpoint=str(folder), alias=self.name)
