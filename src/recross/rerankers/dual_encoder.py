"""The bi-encoder as a network to be trained: query and document encoded apart, then multiplied.

Sentence-BERT's form (Reimers & Gurevych 2019). What is trained is read back by the first stage.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from recross.errors import InputError
from recross.parts.bounds import Ge, Gt, checked
from recross.rerankers.reranker import NetworkReranker

if TYPE_CHECKING:
    from recross.rerankers.networks.dual_encoder import DualEncoderNetwork

TRAINING_SCALES = {"cosine": 20.0, "dot": 1.0}
"""What training multiplies similarities by: cosines as sentence-transformers does."""


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
        from recross.checkpoints.sentence_layout import read_bi_encoder, with_choices
        from recross.rerankers.networks.dual_encoder import DualEncoderNetwork
        from recross.retrieval.sentence_modules import load_modules

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
