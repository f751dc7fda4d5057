"""What re-rankers share that ask a language model and read what it writes."""

from __future__ import annotations

from typing import ClassVar

from recross.rerankers.generative.generators import TextGenerator
from recross.rerankers.reranker import Reranker


class PromptedReranker(Reranker):
    """Orders documents by what a ``generator`` answers to prompts about them."""

    generator: TextGenerator
    alias: str | None
    kind: ClassVar[str]
    """How it asks, in the names of runs."""

    @property
    def name(self) -> str:
        """A short name for runs and tables: the alias, or what is asked of which model."""
        return self.alias or f"{self.kind}-{self.generator.name}"

    @property
    def parameters(self) -> int | None:
        """How many parameters the model that answers has, where that is known."""
        return self.generator.parameters

    @property
    def base_checkpoint(self) -> str:
        """The name of the model that answers the prompts."""
        return self.generator.name
