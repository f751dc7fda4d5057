"""Contracts: what a checkpoint is asked, and how a score is read from its answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from recross.checkpoints.answer_pieces import check_pieces
from recross.checkpoints.templates import check_slots, list_slots
from recross.errors import InputError
from recross.machine.backends import Precision
from recross.parts.bounds import Below, Ge, Gt, checked

PromptReadOut = Literal["log_softmax", "margin", "logit", "sigmoid", "expected_value", "head"]
ANY: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
T5_FAMILIES = frozenset({"t5", "mt5", "umt5"})
"""The ``model_type`` of checkpoints whose prompts T5 re-rankers read; others are causal models."""


class Summary(NamedTuple):
    """A contract in the words of a table."""

    asked: str
    answer: str
    limits: str


@dataclass(frozen=True)
class Contract(ABC):
    """What every contract says: its name, its source, and in which precisions it holds."""

    kind: ClassVar[str]
    """What ``recross_contract.json`` calls this kind of contract."""
    subject: ClassVar[str]
    """Whose contract it is, as an error says it."""
    read_by: ClassVar[str]
    """The class of the re-ranker that reads it."""

    name: str
    _: KW_ONLY
    source: str = ""
    precisions: tuple[Precision, ...] = ANY

    @property
    def compares(self) -> bool:
        """Whether two documents are read together."""
        return False

    def name_reranker(self, family: Callable[[], str]) -> str:
        """Name the class that reads it; ``family`` tells a checkpoint's ``model_type``."""
        del family  # one class reads them all
        return self.read_by

    @property
    @abstractmethod
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""

    def with_limits(self, **limits: int | None) -> Self:
        """Return the same contract with those limits that are not ``None``.

        Raises:
            InputError: this kind of contract has no such limit, or the limit breaks its rules.
        """
        given: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}
        if unknown := sorted(given.keys() - {field.name for field in fields(self)}):
            raise InputError(
                f"{unknown[0]} must be null for the contract {self.name!r}, that of"
                f" {self.subject}, got {given[unknown[0]]}"
            )
        return replace(self, **given) if given else self


@dataclass(frozen=True)
@checked
class ClassifierContract(Contract):
    """The scoring contract of a cross-encoder with a classification head.

    ``read_out``: ``logit`` is the single logit as it is, ``sigmoid`` and ``tanh`` what these make
    of it, ``log_softmax`` the log-probability of the second of two classes, ``second_logit`` its
    logit, which orders otherwise. ``query_prompt`` stands before every query, and ``head`` says
    what follows the encoder where that is no head of its own family. Without ``max_query_length``
    the longer text is cut first; the template is never cut.
    ``documents`` is how many are read together: two that are compared are read as a margin.
    """

    kind = "Contract"
    subject = "a classification head"
    read_by = "CrossEncoder"

    read_out: Literal["logit", "sigmoid", "tanh", "log_softmax", "second_logit"] = "logit"
    max_length: Annotated[int, Ge(8)] = 512
    max_query_length: Annotated[int, Ge(1), Below("max_length")] | None = None
    documents: Literal[1, 2] = 1
    query_prompt: str = ""
    head: str = ""

    @property
    def compares(self) -> bool:
        """Whether two documents are read together."""
        return self.documents == 2

    def name_reranker(self, family: Callable[[], str]) -> str:
        """Name the class that reads it, which is another for comparisons."""
        return "DuoBERT" if self.compares else super().name_reranker(family)

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""
        limits = _say_limits(self.max_length, self.max_query_length)
        asked = f"`{self.query_prompt}`, then " if self.query_prompt else ""
        answer = f"{self.read_out} of {self.head}" if self.head else self.read_out
        return Summary(f"{asked}query and document as a pair", answer, limits)


@dataclass(frozen=True)
@checked
class PromptContract(Contract):
    """The scoring contract of a generative network that is read instead of asked to generate.

    ``template`` is the prompt with the slots ``{query}`` and ``{document}`` (or ``{document0}
    {document1}``) in any order, braces of its own doubled; documents are cut, then the query, which
    has at most ``max_query_length`` tokens, the rest never. ``prefix`` and ``suffix`` are fixed
    text around a causal model's prompt; ``framed``, it has the special tokens that its tokenizer
    puts around any text; ``stripped``, its texts lose the blanks around them. At a joint ``{}``
    tokenising begins anew, for checkpoints that tokenise their prompts in parts.

    ``instruction`` fills the slot ``{instruction}``; where it is another prompt that has one,
    ``instructed`` is the template when there is an instruction.

    ``pieces`` are the tokens whose logits are read at the first step, by their names or numbers in
    the vocabulary, after the tokens of ``opening`` where the answers begin alike.
    ``read_out``: ``log_softmax`` is the log-probability of the last piece among the pieces,
    ``margin`` the last of two pieces' logits minus the first, ``logit`` the logit of the only
    piece, ``sigmoid`` that of margin, logit or head, ``expected_value`` the mean of the pieces'
    numbers 0, 1, ... under their softmax, ``head`` a linear head (no pieces): on the first
    token of an encoder, on the last of a decoder. Logits are divided by the ``temperature`` first;
    scores, not what is learnt from, are ``rounded`` to bf16 where their authors round them.
    """

    kind = "PromptContract"
    subject = "a prompt, such as monot5"
    read_by = "CausalReranker"

    template: str
    read_out: PromptReadOut
    pieces: tuple[str | int, ...] = ()
    opening: tuple[str, ...] = ()
    add_eos: bool = True
    max_length: Annotated[int, Ge(8)] = 512
    max_query_length: Annotated[int, Ge(1), Below("max_length")] | None = None
    prefix: str = ""
    suffix: str = ""
    framed: bool = False
    stripped: bool = False
    instruction: str | None = None
    instructed: str | None = None
    temperature: Annotated[float, Gt(0)] = 1.0
    rounded: bool = False

    def __post_init__(self) -> None:
        check_pieces(self.read_out, self.pieces)
        for template in filter(None, (self.template, self.instructed)):
            check_slots(template)
        if (self.instruction is None) and "instruction" in list_slots(self.template):
            raise InputError(f"instruction must be given for the slot of {self.name!r}, got none")
        if self.instruction is not None and "instruction" not in list_slots(self.asked_template):
            raise InputError(
                f"instruction must be null for the contract {self.name!r}, whose prompt has no"
                f" place for it, got {self.instruction!r}"
            )

    @property
    def asked_template(self) -> str:
        """The template that is asked."""
        return (self.instruction is not None and self.instructed) or self.template

    @property
    def reads_head(self) -> bool:
        """Whether a linear head gives the score, and no pieces of the vocabulary."""
        return not self.pieces

    @property
    def takes_instruction(self) -> bool:
        """Whether a prompt of it has a place for an instruction."""
        return "instruction" in list_slots(self.instructed or self.template)

    @property
    def compares(self) -> bool:
        """Whether two documents are read together."""
        return "document1" in list_slots(self.template)

    def with_instruction(self, instruction: str | None) -> PromptContract:
        """Return the same contract with this instruction, or as it is for ``None``."""
        return self if instruction is None else replace(self, instruction=instruction)

    def name_reranker(self, family: Callable[[], str]) -> str:
        """Name the class that reads it, which is another for T5."""
        if family() not in T5_FAMILIES:
            return super().name_reranker(family)
        return "DuoT5" if self.compares else "T5Reranker"

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""
        named = (f"#{piece}" if isinstance(piece, int) else piece for piece in self.pieces)
        pieces = " ".join(f"`{piece}`" for piece in named)
        after = f" after `{' '.join(self.opening)}`" if self.opening else ""
        divided = f" / {self.temperature:g}" if self.temperature != 1 else ""
        rounded = " in bf16" if self.rounded else ""
        return Summary(
            f"`{self.prefix}{self.template.replace('{}', '')}{self.suffix}`",
            f"{self.read_out} {pieces}{after}{divided}{rounded}".strip(),
            _say_limits(self.max_length, self.max_query_length),
        )


def check_precision(contract: Contract, precision: Precision) -> None:
    """Refuse a precision in which a checkpoint's scores are known to break.

    Raises:
        InputError: the contract does not allow it.
    """
    if precision not in contract.precisions:
        raise InputError(
            f"precision must be {' or '.join(contract.precisions)} for the contract"
            f" {contract.name!r}, got {precision!r}"
        )


def _say_limits(max_length: int, max_query_length: int | None) -> str:
    return f"{max_length}, query {max_query_length}" if max_query_length else str(max_length)
