"""How a checkpoint wants to be asked, and how its answer is read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from recross.errors import InputError
from recross.machine.hardware import Precision

FILE = "recross_contract.json"
ANY: tuple[Precision, ...] = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Contract:
    """The scoring contract of a cross-encoder with a classification head.

    ``read_out``: ``logit`` is the single logit as it is, ``sigmoid`` its sigmoid, ``log_softmax``
    the log-probability of the second of two classes, ``second_logit`` its logit, which orders
    otherwise. Without ``max_query_length`` the longer text is cut first; the template is never cut.
    ``precisions`` are those in which it may be computed; ``source`` says where it is published;
    ``documents`` is how many are read together: two that are compared are read as a margin.
    """

    name: str
    read_out: Literal["logit", "sigmoid", "log_softmax", "second_logit"] = "logit"
    max_length: int = 512
    max_query_length: int | None = None
    source: str = ""
    precisions: tuple[Precision, ...] = ANY
    documents: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        _check_limits(self.max_length, self.max_query_length)

    @property
    def compares(self) -> bool:
        """Whether two documents are read together."""
        return self.documents == 2


@dataclass(frozen=True)
class PromptContract:
    """The scoring contract of a generative network that is read instead of asked to generate.

    ``template`` is the prompt, ``{query}`` and ``{document}`` (or ``{document0} {document1}``)
    its texts; the documents are cut, the template never. ``pieces`` are the tokens whose logits
    are read at the first step, after the tokens of ``opening`` where the answers begin alike.
    ``read_out``: ``log_softmax`` is the log-probability of the last piece among the pieces,
    ``logit`` the logit of the only piece, ``expected_value`` the mean of the pieces' numbers
    0, 1, ... under their softmax, ``head`` a linear head (no pieces): on the first token of an
    encoder, on the last of a decoder. ``prefix`` and ``suffix`` are fixed text around a causal
    model's prompt. ``precisions`` are those in which it may be computed.
    """

    name: str
    template: str
    read_out: Literal["log_softmax", "logit", "expected_value", "head"]
    pieces: tuple[str, ...] = ()
    opening: tuple[str, ...] = ()
    add_eos: bool = True
    max_length: int = 512
    max_query_length: int | None = None
    prefix: str = ""
    suffix: str = ""
    source: str = ""
    precisions: tuple[Precision, ...] = ANY

    def __post_init__(self) -> None:
        _check_limits(self.max_length, self.max_query_length)
        least, most = {"head": (0, 0), "logit": (1, 1)}.get(self.read_out, (2, None))
        if len(self.pieces) < least or (most is not None and len(self.pieces) > most):
            raise InputError(
                f"pieces must be {least}{' or more' if most is None else ''} for the read-out"
                f" {self.read_out!r}, got {list(self.pieces)}"
            )

    @property
    def compares(self) -> bool:
        """Whether two documents are read together."""
        return "{document1}" in self.template


@dataclass(frozen=True)
class LateInteractionContract:
    """The contract of a late-interaction model (ColBERT, Khattab & Zaharia 2020).

    Queries are ``[CLS] query_marker query [SEP]``, filled up to ``query_length`` tokens with
    ``[MASK]``; documents ``[CLS] document_marker document [SEP]``, at most ``document_length``
    tokens, without the vectors of punctuation if ``skip_punctuation``. With ``attends_to_masks`` a
    query's own tokens see the masks that fill it up.
    """

    name: str
    query_length: int = 32
    document_length: int = 180
    query_marker: str = "[unused0]"
    document_marker: str = "[unused1]"
    dimension: int = 128
    skip_punctuation: bool = True
    attends_to_masks: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        for name, least in (("query_length", 4), ("document_length", 4), ("dimension", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class BiEncoderContract:
    """The contract of a bi-encoder: texts cut to ``max_length`` tokens, pooled, compared by cosine.

    ``pooling``: the mean of all tokens' vectors, or that of the first one.
    """

    name: str
    pooling: Literal["mean", "cls"] = "mean"
    max_length: int = 256
    source: str = ""


AnyContract = Contract | PromptContract | LateInteractionContract | BiEncoderContract
_KINDS = {
    kind.__name__: kind
    for kind in (Contract, PromptContract, LateInteractionContract, BiEncoderContract)
}


def check_precision(contract: Contract | PromptContract, precision: Precision) -> None:
    """Refuse a precision in which a checkpoint's scores are known to break.

    Raises:
        InputError: the contract does not allow it.
    """
    if precision not in contract.precisions:
        raise InputError(
            f"precision must be {' or '.join(contract.precisions)} for the contract"
            f" {contract.name!r}, got {precision!r}"
        )


def read_contract(folder: Path) -> AnyContract:
    """The contract stored beside the weights of a folder."""
    values = json.loads((folder / FILE).read_text(encoding="utf-8"))
    kind: Any = _KINDS[values.pop("kind", "Contract")]
    found: AnyContract = kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    )
    return found


def save_contract(contract: AnyContract, folder: Path) -> None:
    """Store the contract beside the weights."""
    text = json.dumps({"kind": type(contract).__name__, **asdict(contract)}, indent=2)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _check_limits(max_length: int, max_query_length: int | None) -> None:
    if max_length < 8:
        raise InputError(f"max_length must be at least 8, got {max_length}")
    if max_query_length is not None and not 1 <= max_query_length < max_length:
        raise InputError(
            f"max_query_length must lie in [1, max_length={max_length}), got {max_query_length}"
        )
