"""Contracts of first stages that are networks: how texts become vectors that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from recross.checkpoints.contracts import Contract, Summary
from recross.errors import InputError
from recross.parts.bounds import Ge, checked

Similarity = Literal["cosine", "dot"]
POOLINGS = ("mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean")
"""How a bi-encoder makes one vector of those of a text's tokens, as sentence-transformers says."""


@dataclass(frozen=True)
@checked
class BiEncoderContract(Contract):
    """The contract of a bi-encoder: texts after their prompts, cut, pooled, compared.

    ``max_length`` counts all tokens, those of ``query_prompt`` or ``document_prompt`` included.
    ``pooling`` is one of sentence-transformers' modes, or several with ``+`` between them, whose
    vectors are laid side by side. ``normalise``: the checkpoint gives every vector the length 1. A
    ``cosine`` does so in any case; ``dot`` products keep the lengths that the checkpoint gives. Of
    a vector the first ``truncate_dim`` numbers are kept.
    """

    kind = "BiEncoderContract"
    subject = "a bi-encoder"
    read_by = "DualEncoder"

    pooling: str = "mean"
    max_length: Annotated[int, Ge(1)] = 256
    query_prompt: str = ""
    document_prompt: str = ""
    similarity: Similarity = "cosine"
    normalise: bool = False
    truncate_dim: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        if unknown := [mode for mode in self.poolings if mode not in POOLINGS]:
            raise InputError(
                f"pooling must be of {', '.join(POOLINGS)}, several with + between them,"
                f" got {unknown[0]!r}"
            )

    @property
    def poolings(self) -> tuple[str, ...]:
        """The modes of pooling, whose vectors are laid side by side."""
        return tuple(self.pooling.split("+"))

    @property
    def has_unit_vectors(self) -> bool:
        """Whether vectors that are compared have the length 1."""
        return self.normalise or self.similarity == "cosine"

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""
        prompts = [self.query_prompt, self.document_prompt]
        sides = (
            f"`{prompt}{side}`" if prompt else side
            for prompt, side in zip(prompts, ("query", "document"), strict=True)
        )
        asked = " and ".join(sides) + " apart"
        return Summary(asked, f"{self.similarity}, {self.pooling} pooling", str(self.max_length))


@dataclass(frozen=True)
@checked
class SparseContract(Contract):
    """The contract of a sparse encoder (SPLADE, Formal et al. 2021): weights of all terms.

    A term's weight is ``log(1 + relu(logit))`` (``log1p_relu``: the logarithm of one more than
    that), the highest over a text's tokens (``max``) or all together (``sum``), special ones
    included. Texts follow their prompts; ``max_query_length`` is that of queries, where it is
    another. Of a text's terms those of the highest weights are kept, ``max_terms`` of them.
    """

    kind = "SparseContract"
    subject = "a sparse encoder"
    read_by = "SPLADE"

    pooling: Literal["max", "sum"] = "max"
    activation: Literal["relu", "log1p_relu"] = "relu"
    max_length: Annotated[int, Ge(1)] = 256
    max_query_length: Annotated[int, Ge(1)] | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    max_terms: Annotated[int, Ge(1)] | None = None

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""
        read = f"dot, {self.pooling} of {self.activation}"
        return Summary("query and document apart", read, str(self.max_length))
