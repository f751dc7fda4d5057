"""Listwise re-ranking by the first token of an order (FIRST, Gangi Reddy et al. 2024).

arXiv 2406.15657, and 2411.05508 (Chen et al. 2024): a model trained to write an order of letters
already says the whole order with the logits of its first letter, so that a window costs one
forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from recross.errors import InputError
from recross.parts.bounds import Ge, Le, checked
from recross.records import Cost
from recross.rerankers.generative.generators import Conversation, LabelReader
from recross.rerankers.generative.listwise import ListwiseReranker
from recross.rerankers.generative.listwise_prompts import LETTERS, ListwisePrompt, find_prompt
from recross.rerankers.generative.permutation import Permutation


@dataclass(frozen=True)
@checked
class FirstTokenReranker(ListwiseReranker):
    """Orders a window's documents by how probable each one's letter is as the first of the answer.

    Windows, passes, cuts and scores are those of ``ListwiseReranker``; nothing is written. Letters
    of which a server does not tell come last, as they stand, and such an answer is counted as
    malformed.
    """

    kind = "first-token"

    generator: LabelReader
    prompt: str | ListwisePrompt = "first"
    window: Annotated[int, Ge(2), Le(len(LETTERS))] = 20
    thinking_tokens: Literal[0] = 0

    def __post_init__(self) -> None:
        prompt = find_prompt(self.prompt)
        if prompt.identifiers != "letters":
            raise InputError(f"prompt must call passages by letters, got {self.prompt!r}")

    @property
    def answer_tokens(self) -> int:
        """One: the letter that is read."""
        return 1

    def _ask(
        self, conversations: Sequence[Conversation], counts: Sequence[int]
    ) -> tuple[list[Permutation], Cost]:
        """Orders of windows of so many documents, by the logits of their letters."""
        logits, spent = self.generator.read_labels(conversations, LETTERS[: max(counts)])
        orders = []
        for of_letters, count in zip(logits, counts, strict=True):
            told = of_letters[:count]
            order = np.argsort(-told, kind="stable").tolist()
            orders.append(Permutation(tuple(order), malformed=not np.isfinite(told).all()))
        return orders, spent
