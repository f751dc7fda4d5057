"""Pointwise cross-encoders: query and document read together, one score per pair.

The form is monoBERT's (Nogueira & Cho 2019): ``[CLS] query [SEP] document [SEP]`` through a
BERT-like encoder, a score from the first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from recross.checkpoints import locate
from recross.collection import Collection
from recross.errors import InputError
from recross.hardware import Hardware
from recross.inference import packed
from recross.inference.batches import PackedBatch
from recross.inference.engine import Engine, Forward, Scores
from recross.inference.tokens import PairTokenizer, Sequences
from recross.rerankers.contracts import Contract, contract_of, save_contract
from recross.runs import Run
from recross.store import READ

IDENTITY = "torch.nn.modules.linear.Identity"


class PairNetwork(nn.Module):
    """A Hugging Face sequence classifier with its tokenizer and contract."""

    def __init__(self, model: Any, tokenizer: Any, contract: Contract) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.contract = contract
        self._pairs = PairTokenizer(tokenizer, contract.max_length, contract.max_query_length)
        self._packs = packed.is_supported(model)
        self._live = packed.blocks(model, packed.LiveAffine) if self._packs else []

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> Sequences:
        """Turn pairs of (query number, document number) into token sequences."""
        return self._pairs.encode(queries, documents, pairs)

    def prepare_training(self, frozen_share: float | None, dropout: float) -> None:
        """Set dropout; freeze word embeddings and a share of the layers, from the first.

        ``None`` freezes nothing.
        """
        config = self.model.config
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        if frozen_share is None:
            return
        backbone = self.model.base_model
        backbone.embeddings.word_embeddings.requires_grad_(False)
        for layer in backbone.encoder.layer[: int(frozen_share * config.num_hidden_layers)]:
            layer.requires_grad_(False)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Logits to train on, ``(B,)``."""
        if not self._packs:
            return _margin(_padded_logits(self.model, batch))
        dropout = self.model.config.hidden_dropout_prob if self.training else 0.0
        return _margin(packed.forward(self.model, self._live, batch, dropout=dropout))

    def inference(self, hardware: Hardware) -> Forward:
        """Return a scorer of the weights as they are now, read out as the contract says."""
        self.to(hardware.device)
        logits = self._frozen(hardware) if self._packs else self._plain(hardware)
        return lambda batch: _read_out(logits(batch).float(), self.contract.read_out)

    def _frozen(self, hardware: Hardware) -> Forward:
        dtype = hardware.dtype
        layers = packed.blocks(self.model, packed.frozen_affine(dtype, hardware.tokens_per_batch))
        return lambda batch: packed.forward(self.model, layers, batch, dtype)

    def _plain(self, hardware: Hardware) -> Forward:
        device = hardware.device.type

        def logits(batch: PackedBatch) -> Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=hardware.dtype == torch.bfloat16):
                return _padded_logits(self.model.eval(), batch)

        return logits

    def save(self, folder: Path) -> None:
        """Save in Hugging Face layout; sentence-transformers reads the same scores from it."""
        self.model.config.sentence_transformers = {"activation_fn": IDENTITY}
        self.tokenizer.model_max_length = self.contract.max_length
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_contract(self.contract, folder)


@dataclass(frozen=True)
class CrossEncoder:
    """A cross-encoder by checkpoint: a hub id, a folder, or ``embedded:NAME``.

    ``layers`` keeps only the first layers of the encoder. ``fresh_head`` allows a checkpoint that
    has no classification head; it gets one drawn from ``head_seed``, to be trained. ``contract``
    names a published scoring contract where the checkpoint does not say; ``max_length`` and
    ``max_query_length`` override its limits; ``alias`` names it in runs. Weights are loaded when
    first needed.
    """

    checkpoint: str = field(metadata=READ)
    layers: int | None = None
    fresh_head: bool = False
    head_seed: int = 0
    max_length: int | None = None
    max_query_length: int | None = None
    contract: str | None = None
    hardware: Hardware = field(default=Hardware(), compare=False)
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("layers", 1), ("max_length", 8), ("max_query_length", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents, ``(N,)``; higher is more relevant."""
        return self.predict([(query, document) for document in documents])

    def predict(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Score (query, document) pairs, ``(B,)``."""
        return self._engine.score([(query, document) for query, document in pairs])[0]

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by the network's score."""
        return self._engine.rescore(candidates, collection, self.name)

    @property
    def name(self) -> str:
        """A short name for runs and tables."""
        return self.alias or Path(self.checkpoint.removeprefix("embedded:")).name

    @cached_property
    def network(self) -> PairNetwork:
        """The network, loaded on first use."""
        return _load(self)

    def trained(self, folder: Path) -> CrossEncoder:
        """The same re-ranker with the weights and the contract of a folder."""
        return replace(
            self,
            checkpoint=str(folder),
            alias=self.name,
            layers=None,
            fresh_head=False,
            contract=None,
        )

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.network, self.hardware)


def _load(spec: CrossEncoder) -> PairNetwork:
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    place = locate(spec.checkpoint)
    try:
        config = AutoConfig.from_pretrained(place)
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = _load_model(spec, place, config)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"checkpoint must be a hub id or a folder with config, weights and tokenizer,"
            f" got {spec.checkpoint!r} ({str(error).splitlines()[0]})"
        ) from None
    contract = (
        Contract("fresh", max_length=512)
        if spec.fresh_head
        else contract_of(spec.checkpoint, config, tokenizer, spec.contract)
    )
    contract = replace(
        contract,
        max_length=spec.max_length or contract.max_length,
        max_query_length=spec.max_query_length or contract.max_query_length,
    )
    return PairNetwork(model, tokenizer, contract).eval()


def _load_model(spec: CrossEncoder, place: str, config: Any) -> Any:
    if spec.layers is not None:
        if spec.layers > config.num_hidden_layers:
            raise InputError(
                f"layers must not exceed the checkpoint's {config.num_hidden_layers},"
                f" got {spec.layers}"
            )
        config.num_hidden_layers = spec.layers
    if spec.fresh_head:
        config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.head_seed)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            place, config=config, dtype=torch.float32, output_loading_info=True
        )
    if report["missing_keys"] and not spec.fresh_head:
        raise InputError(
            f"checkpoint {spec.checkpoint!r} lacks {', '.join(sorted(report['missing_keys']))};"
            " a freshly initialised head scores at random (fresh_head=true allows it, for training)"
        )
    return model


def _padded_logits(model: Any, batch: PackedBatch) -> Tensor:
    tokens, segments, mask = batch.padded()
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = segments
    logits: Tensor = model(**inputs).logits
    return logits


def _margin(logits: Tensor) -> Tensor:
    return logits.squeeze(-1) if logits.shape[-1] == 1 else logits[:, 1] - logits[:, 0]


def _read_out(logits: Tensor, read_out: str) -> Tensor:
    if read_out == "log_softmax":
        return F.log_softmax(logits, dim=-1)[:, 1]
    single = logits.squeeze(-1)
    return torch.sigmoid(single) if read_out == "sigmoid" else single
