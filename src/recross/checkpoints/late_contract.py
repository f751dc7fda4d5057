"""The contract of late interaction: how texts become token vectors, and how these are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recross.checkpoints.contracts import Contract, Summary
from recross.parts.bounds import Ge, UpTo, checked


@dataclass(frozen=True)
@checked
class LateInteractionContract(Contract):
    """The contract of a late-interaction model (ColBERT, Khattab & Zaharia 2020).

    Queries are ``[CLS] query_marker query [SEP]``, filled up to ``query_length`` tokens with
    ``[MASK]``; documents ``[CLS] document_marker document [SEP]``, at most ``document_length``
    tokens, without the vectors of punctuation if ``skip_punctuation``. With ``attends_to_masks`` a
    query's own tokens see the masks that fill it up.

    Queries are filled up to ``filled_to`` tokens where that is not their limit, 0: not at all;
    ``filler`` is an entry of the vocabulary that does so instead of ``[MASK]``. Markers are entries
    of the vocabulary as well, or empty; a prompt is text behind the marker, read together with the
    query or document. Documents lose the vectors of what ``skiplist`` names of the vocabulary.
    Vectors are of length 1 unless ``normalises`` is false.
    """

    kind = "LateInteractionContract"
    subject = "late interaction, such as colbertv2"
    read_by = "LateInteraction"

    query_length: Annotated[int, Ge(4)] = 32
    document_length: Annotated[int, Ge(4)] = 180
    query_marker: str = "[unused0]"
    document_marker: str = "[unused1]"
    dimension: Annotated[int, Ge(1)] = 128
    skip_punctuation: bool = True
    attends_to_masks: bool = False
    filled_to: Annotated[int, Ge(0), UpTo("query_length")] | None = None
    filler: str | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    skiplist: tuple[str, ...] = ()
    normalises: bool = True

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how many tokens are."""
        query = f"{self.query_marker} {self.query_prompt}".strip()
        document = f"{self.document_marker} {self.document_prompt}".strip()
        return Summary(
            f"`{query} query`, `{document} document`",
            f"MaxSim, {self.dimension} wide",
            f"query {self.query_length}, document {self.document_length}",
        )
