"""Cross-encoders with a classification head: query and document read together.

The form is monoBERT's (Nogueira & Cho 2019): ``[CLS] query [SEP] document [SEP]`` through a
BERT-like encoder, a score from the first token; or duoBERT's, with two documents to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints import pretrained
from recross.checkpoints.contracts import ClassifierContract, check_precision
from recross.checkpoints.resolution import resolve_contract, save_contract
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import LiveAffine
from recross.inference.encoders.backends.classifier import classifier_logits
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import classifier_of
from recross.inference.network import Forward
from recross.inference.preparation import Preparation, merge, prepare
from recross.inference.session import Session
from recross.inference.tokens import Item, Joiner, Sequences, pair_template, triple_template
from recross.parts.bounds import Ge, checked
from recross.rerankers.reranker import NetworkReranker

IDENTITY = "torch.nn.modules.linear.Identity"


class PairNetwork(nn.Module):
    """A Hugging Face sequence classifier with its tokenizer and contract."""

    heads = ("classifier", "pooler")

    def __init__(
        self, model: Any, tokenizer: Any, contract: ClassifierContract, head_is_fresh: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.contract = contract
        self.head_is_fresh = head_is_fresh
        self.documents_per_item = contract.documents
        template = (triple_template if contract.compares else pair_template)(tokenizer)
        self._joiner = Joiner(tokenizer, template, contract.max_length, contract.max_query_length)
        self._encoder = classifier_of(model)
        self._encoder.check_positions(model, "max_length", contract.max_length)
        self._live = self._learn(recompute=False)

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Turn items of (query number, document number or numbers) into token sequences."""
        return self._joiner.encode(queries, documents, items)

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say."""
        prepare(self.model, self._encoder, self.heads, settings)
        self._live = self._learn(settings.gradient_checkpointing)

    def finish_training(self) -> None:
        """Merge what was added; the head is no longer fresh."""
        merge(self.model)
        self.head_is_fresh = False

    def forward(self, batch: PackedBatch) -> Tensor:
        """Logits to train on, ``(B,)``: of two classes the margin, or the one that is read."""
        logits = self.answers(batch)
        return logits[:, 1] if self.contract.read_out == "second_logit" else _margin(logits)

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the head's classes, ``(B, C)``."""
        dropout = self._encoder.dropout(self.model.config) if self.training else 0.0
        return self._live.logits(batch, dropout)

    @property
    def answer_count(self) -> int:
        """How many classes the head tells apart; 0 for a head of one logit."""
        labels = int(self.model.config.num_labels)
        return labels if labels > 1 else 0

    def inference(self, session: Session) -> Forward:
        """Return a scorer of the weights as they are now, read out as the contract says.

        Raises:
            InputError: the back-end does not know the model's structure, or the contract does not
                allow the precision.
        """
        check_precision(self.contract, session.hardware.effective_precision)
        self.to(session.hardware.device)
        logits = classifier_logits(self.model, session)
        if self.contract.compares:  # its aggregation needs both probabilities
            return lambda batch: _margin(logits(batch).float())
        return lambda batch: _read_out(logits(batch).float(), self.contract.read_out)

    def save(self, folder: Path) -> None:
        """Save in Hugging Face layout; sentence-transformers reads the same scores from it."""
        self.model.config.sentence_transformers = {"activation_fn": IDENTITY}
        self.tokenizer.model_max_length = self.contract.max_length
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_contract(self.contract, folder)

    def _learn(self, recompute: bool) -> EncoderForward:
        return self._encoder.forward(self.model, LiveAffine, first_only=True, recompute=recompute)


@dataclass(frozen=True)
@checked
class CrossEncoder(NetworkReranker):
    """A cross-encoder with a classification head.

    ``layers`` keeps only the first layers of the encoder. ``fresh_head`` allows a checkpoint that
    has no classification head; it gets one drawn from ``head_seed``, to be trained. ``contract``
    names a published scoring contract where the checkpoint does not say; ``max_length`` and
    ``max_query_length`` override its limits.
    """

    layers: Annotated[int, Ge(1)] | None = None
    fresh_head: bool = False
    head_seed: int = 0
    max_length: Annotated[int, Ge(8)] | None = None
    max_query_length: Annotated[int, Ge(1)] | None = None
    contract: str | ClassifierContract | None = None
    _: KW_ONLY

    def load(self) -> PairNetwork:
        """Load the network."""
        fresh = pretrained.Fresh(self.head_seed) if self.fresh_head else None
        found = pretrained.load(
            "sequence_classifier", self.checkpoint, layers=self.layers, fresh=fresh
        )
        contract = resolve_contract(
            self.checkpoint,
            self.fresh_contract if self.fresh_head else self.contract,
            ClassifierContract,
            compares=self.compares,
            max_length=self.max_length,
            max_query_length=self.max_query_length,
            from_config=lambda: _contract_of(self.checkpoint, found),
        )
        return PairNetwork(found.model, found.tokenizer, contract, found.head_is_fresh).eval()

    def trained(self, folder: Path) -> Self:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            layers=None,
            fresh_head=False,
            contract=None,
        )

    @property
    def fresh_contract(self) -> ClassifierContract:
        """That of a head yet to be trained."""
        return ClassifierContract("fresh")


def _contract_of(checkpoint: str, found: pretrained.Pretrained) -> ClassifierContract:
    """Read a config as sentence-transformers does: one label is a sigmoid unless it says else."""
    config = found.config
    if config.num_labels != 1:
        raise InputError(
            f"checkpoint {checkpoint!r} has {config.num_labels} labels and no published contract;"
            " name one with contract="
        )
    positions = classifier_of(found.model).positions(found.model)
    limit = min(found.tokenizer.model_max_length, positions or ClassifierContract.max_length)
    return ClassifierContract("checkpoint", _stored_activation(config), limit)


def _stored_activation(config: Any) -> Literal["logit", "sigmoid"]:
    stored = (getattr(config, "sentence_transformers", None) or {}).get("activation_fn")
    stored = stored or getattr(config, "sbert_ce_default_activation_function", None)
    if stored is None or stored.endswith("Sigmoid"):
        return "sigmoid"
    if stored.endswith("Identity"):
        return "logit"
    raise InputError(f"activation_fn must be Identity or Sigmoid, got {stored!r}; name a contract")


def _margin(logits: Tensor) -> Tensor:
    return logits.squeeze(-1) if logits.shape[-1] == 1 else logits[:, 1] - logits[:, 0]


def _read_out(logits: Tensor, read_out: str) -> Tensor:
    if read_out == "log_softmax":
        return F.log_softmax(logits, dim=-1)[:, 1]
    if read_out == "second_logit":
        return logits[:, 1]
    single = logits.squeeze(-1)
    return torch.sigmoid(single) if read_out == "sigmoid" else single
