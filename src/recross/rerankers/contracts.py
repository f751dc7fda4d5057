"""How a checkpoint wants to be asked, and how its answer is read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from recross.errors import InputError

FILE = "recross_contract.json"


@dataclass(frozen=True)
class Contract:
    """The scoring contract of a pointwise cross-encoder.

    ``read_out``: ``logit`` is the single logit as it is, ``sigmoid`` its sigmoid, ``log_softmax``
    the log-probability of the second of two classes. Without ``max_query_length`` the longer text
    is cut first; the template is never cut. ``source`` says where the contract is published.
    """

    name: str
    read_out: Literal["logit", "sigmoid", "log_softmax"] = "logit"
    max_length: int = 512
    max_query_length: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise InputError(f"max_length must be at least 8, got {self.max_length}")
        if self.max_query_length is not None and not 1 <= self.max_query_length < self.max_length:
            raise InputError(
                f"max_query_length must lie in [1, max_length={self.max_length}),"
                f" got {self.max_query_length}"
            )


_CARD = "https://huggingface.co/cross-encoder/{}"
_MS_MARCO = {
    f"cross-encoder/{name}": Contract(name, "logit", 512, None, _CARD.format(name))
    for size in ("TinyBERT-L-2", "MiniLM-L-2", "MiniLM-L-4", "MiniLM-L-6", "MiniLM-L-12")
    for name in (f"ms-marco-{size}-v2", f"ms-marco-{size.replace('-L-', '-L')}-v2")
}

PUBLISHED: dict[str, Contract] = _MS_MARCO | {
    "cross-encoder/ms-marco-electra-base": Contract(
        "ms-marco-electra-base", "sigmoid", 512, None, _CARD.format("ms-marco-electra-base")
    ),
    "castorini/monobert-large-msmarco": Contract(
        "monobert", "log_softmax", 512, 64, "https://github.com/nyu-dl/dl4marco-bert"
    ),
    "nboost/pt-bert-base-uncased-msmarco": Contract(
        "nboost-bert-base", "log_softmax", 512, None, "https://huggingface.co/nboost"
    ),
    "nboost/pt-bert-large-msmarco": Contract(
        "nboost-bert-large", "log_softmax", 512, None, "https://huggingface.co/nboost"
    ),
}

BY_NAME = {contract.name: contract for contract in PUBLISHED.values()}


def contract_of(checkpoint: str, config: Any, tokenizer: Any, name: str | None) -> Contract:
    """The contract: as named, as stored beside the weights, as published, or as the config says.

    A config is read as sentence-transformers reads it: one label means a sigmoid unless an
    activation is stored.

    Raises:
        InputError: the name is unknown, or a two-label checkpoint comes without a contract.
    """
    if name is not None:
        if name not in BY_NAME:
            raise InputError(f"contract must be one of {', '.join(BY_NAME)}, got {name!r}")
        return BY_NAME[name]
    stored = Path(checkpoint) / FILE
    if stored.is_file():
        return Contract(**json.loads(stored.read_text(encoding="utf-8")))
    if checkpoint in PUBLISHED:
        return PUBLISHED[checkpoint]
    if config.num_labels != 1:
        raise InputError(
            f"checkpoint {checkpoint!r} has {config.num_labels} labels and no published contract;"
            f" name one with contract= ({', '.join(BY_NAME)})"
        )
    limit = min(tokenizer.model_max_length, _positions(config))
    return Contract("checkpoint", _stored_activation(config), limit)


def save_contract(contract: Contract, folder: Path) -> None:
    """Store the contract beside the weights."""
    text = json.dumps(asdict(contract), indent=2)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _positions(config: Any) -> int:
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    return int(config.max_position_embeddings) - offset


def _stored_activation(config: Any) -> Literal["logit", "sigmoid"]:
    stored = (getattr(config, "sentence_transformers", None) or {}).get("activation_fn")
    stored = stored or getattr(config, "sbert_ce_default_activation_function", None)
    if stored is None or stored.endswith("Sigmoid"):
        return "sigmoid"
    if stored.endswith("Identity"):
        return "logit"
    raise InputError(f"activation_fn must be Identity or Sigmoid, got {stored!r}; name a contract")
