"""Classifiers of pairs of texts, with the contract that a checkpoint's own files state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from torch import Tensor

from recross.checkpoints.chat_layout import is_chat_chain
from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.loaded import ModelConfig
from recross.checkpoints.module_folder import ModuleFolder, make_classifier_chain, write_modules
from recross.checkpoints.pooled_classifier import find_chain, find_pooling
from recross.checkpoints.pretrained import Pretrained
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.backends.classifier import make_classifier_forward
from recross.inference.encoders.families import find_classifier
from recross.inference.network import Forward, PairScorer
from recross.inference.read_outs import READ_OUTS
from recross.inference.sequences import Sequences
from recross.inference.session import Session
from recross.inference.spans import Ints
from recross.inference.texts.prompted_texts import PromptedTexts
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import Joiner, pair_template, triple_template
from recross.records import JsonObject

ActivatedLogit = Literal["logit", "sigmoid", "tanh"]
"""What is made of a head's only logit."""
ACTIVATION_PATHS: Mapping[str, str] = {
    "logit": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "tanh": "torch.nn.modules.activation.Tanh",
}
"""Read-outs by what sentence-transformers calls them."""


class PairNetwork(PairScorer):
    """A Hugging Face sequence classifier with its tokenizer and contract."""

    contract: ClassifierContract
    kind = "classifier"
    heads = ("classifier", "pooler", "head.", "score")
    backends = True

    def __init__(self, loaded: Pretrained, contract: ClassifierContract) -> None:
        model, tokenizer = loaded.model, loaded.tokenizer
        super().__init__(
            *(model, tokenizer, contract, find_classifier(model)),
            limits={"max_length": contract.max_length},
            first_only=True,
            head_is_fresh=loaded.head_is_fresh,
        )
        self.read_out = READ_OUTS[contract.read_out]
        template = (triple_template if contract.compares else pair_template)(tokenizer)
        if find_pooling(model) == "span_cosine" and template.segments[1] == template.segments[3]:
            raise InputError(
                "head=span_cosine needs a tokenizer with a segment for queries and one for"
                f" documents, got {type(tokenizer).__name__}, which has one for both"
            )
        self._joiner = Joiner(tokenizer, template, contract.max_length, contract.max_query_length)

    def encode_texts(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints
    ) -> Sequences:
        """Turn items of (query number, document number or numbers) into token sequences."""
        if self.contract.query_prompt:
            queries = PromptedTexts(self.contract.query_prompt, queries)
        return self._joiner.join(queries, documents, items)

    def answers(self, batch: PackedBatch) -> Tensor:
        """Logits of the head's classes, ``(B, C)``."""
        return self.live.logits(batch, self.dropout)

    @property
    def answer_count(self) -> int:
        """How many classes the head tells apart; 0 for a head of one logit."""
        labels = int(self.model.config.num_labels)
        return labels if labels > 1 else 0

    def frozen_answers(self, session: Session) -> Forward:
        """Return the logits that the session's back-end computes."""
        return make_classifier_forward(self.model, session)

    def save_weights(self, folder: Path) -> None:
        """Save in Hugging Face layout; sentence-transformers reads the same scores from it."""
        activation = ACTIVATION_PATHS.get(self.contract.read_out, ACTIVATION_PATHS["logit"])
        self.model.config.sentence_transformers = {"activation_fn": activation}
        super().save_weights(folder)
        if self.contract.compares:
            return  # which sentence-transformers does not know
        chain = find_chain(self.model) or make_classifier_chain()
        says = {**chain.settings, **_say_model(self.contract, activation)}
        write_modules(replace(chain, settings=says), folder)


def fit_to_positions(contract: ClassifierContract, loaded: Pretrained) -> ClassifierContract:
    """The contract, with no more tokens than the encoder has positions."""
    positions = find_classifier(loaded.model).positions(loaded.model) or contract.max_length
    return contract.with_limits(max_length=min(contract.max_length, positions))


def _say_model(contract: ClassifierContract, activation: str) -> JsonObject:
    """What concerns the whole model, as sentence-transformers keeps it."""
    prompt = {"query": contract.query_prompt} if contract.query_prompt else {}
    return {
        "model_type": "CrossEncoder",
        "activation_fn": activation,
        "prompts": prompt,
        "default_prompt_name": "query" if prompt else None,
    }


def read_own_contract(checkpoint: str, loaded: Pretrained) -> ClassifierContract:
    """Read a checkpoint's files as sentence-transformers does: a sigmoid unless they say else."""
    config, chain = loaded.config, loaded.chain
    if is_chat_chain(chain):
        raise InputError(
            f"checkpoint {checkpoint!r} asks by a chat template, not by pairs of texts: its"
            " re-ranker is CausalReranker (reranker=causal_lm)"
        )
    if config.num_labels != 1:
        raise InputError(
            f"checkpoint {checkpoint!r} has {config.num_labels} labels and no published contract;"
            " name one with contract="
        )
    prompt = chain.prompt(None) if chain is not None else None
    return ClassifierContract(
        "checkpoint",
        _read_activation(chain, config),
        _find_limit(loaded),
        query_prompt=prompt or "",
    )


def _find_limit(loaded: Pretrained) -> int:
    """How many tokens a checkpoint's own files allow, and its positions."""
    stated = loaded.chain.limit if loaded.chain is not None else None
    stated = stated or loaded.tokenizer.model_max_length
    positions = find_classifier(loaded.model).positions(loaded.model)
    return int(min(stated, positions or ClassifierContract.max_length))


def _read_activation(chain: ModuleFolder | None, config: ModelConfig) -> ActivatedLogit:
    settings = config.to_dict()
    stored = chain.settings.get("activation_fn") if chain is not None else None
    stored = stored or (settings.get("sentence_transformers") or {}).get("activation_fn")
    stored = stored or settings.get("sbert_ce_default_activation_function")
    if stored is None:
        return "sigmoid"
    for read_out, path in ACTIVATION_PATHS.items():
        if stored.rpartition(".")[2] == path.rpartition(".")[2]:
            return cast(ActivatedLogit, read_out)
    names = [path.rpartition(".")[2] for path in ACTIVATION_PATHS.values()]
    raise InputError(f"activation_fn must be {', '.join(names)}, got {stored!r}; name a contract")
