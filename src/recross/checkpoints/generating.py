"""Contracts of models that write: which prompt they were trained on, and what is read of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recross.checkpoints.contracts import Contract, Summary


@dataclass(frozen=True)
class GeneratingContract(Contract):
    """The contract of a model that is asked to write, or read where it would begin to.

    ``prompt`` is a name that the class ``reranker`` knows; ``answer`` and ``limits`` say what is
    read and how much is shown. An option of the group ``reranker`` states them as values.
    """

    kind = "GeneratingContract"
    subject = "a model that generates, such as rank1"
    read_by = "PromptedReranker"

    reranker: str
    prompt: str
    answer: str
    limits: str

    def name_reranker(self, family: Callable[[], str]) -> str:
        """Name the class that asks it."""
        del family
        return self.reranker

    @property
    def summary(self) -> Summary:
        """What is asked, how the answer is read, and how much is shown."""
        return Summary(f"the prompt `{self.prompt}` of {self.reranker}", self.answer, self.limits)
