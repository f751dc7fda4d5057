"""Listwise re-ranking with a language model that writes an order (RankGPT, Sun et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recross.inference.items import Scores
from recross.parts.bounds import Ge, UpTo, checked
from recross.records import Cost
from recross.rerankers.generative.generators import Conversation, TextGenerator, cut_to_fit
from recross.rerankers.generative.listwise_prompts import ListwisePrompt, find_prompt
from recross.rerankers.generative.ordering import OrderingReranker, QueryTexts
from recross.rerankers.generative.permutation import Permutation, parse
from recross.rerankers.text_ranking import check_documents

TOKENS_PER_PLACE = 8
"""Room in the answer for one of ``[12] > ``: six pieces where digits are single tokens."""

Window = tuple[int, int]
"""First place, and the one after the last."""


@dataclass(frozen=True)
@checked
class ListwiseReranker(OrderingReranker):
    """Orders ``window`` documents at a time, from the bottom of each ranking to its top.

    Windows are ``step`` places apart, so that the best ``window - step`` of each move on into the
    next one; several ``passes`` sort further down. The same window of all queries is asked
    together. Texts are cut to ``passage_words`` words, and to fewer where the model has no room for
    the prompt; a model that thinks before it answers wants ``thinking_tokens`` besides. An answer
    that is no permutation is mended and counted. Scores are ordinal, the number of documents ranked
    below: their differences mean nothing.
    """

    kind = "listwise"

    generator: TextGenerator
    prompt: str | ListwisePrompt = "rankgpt"
    window: Annotated[int, Ge(2)] = 20
    step: Annotated[int, Ge(1), UpTo("window")] = 10
    passes: Annotated[int, Ge(1)] = 1
    passage_words: Annotated[int, Ge(1)] = 300
    thinking_tokens: Annotated[int, Ge(0)] = 0
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        find_prompt(self.prompt)

    @property
    def answer_tokens(self) -> int:
        """How long an answer may be."""
        return TOKENS_PER_PLACE * (self.window + 1) + self.thinking_tokens

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents against each other, ``(N,)``."""
        check_documents(documents)
        orders, _ = self.order({"": (query, documents)})
        scores = np.empty(len(documents), dtype=np.float32)
        scores[orders[""]] = np.arange(len(documents))[::-1]
        return scores

    def windows(self, count: int) -> list[Window]:
        """Windows over ``count`` documents in the order they are asked, the last at the top."""
        if count < 2:
            return []
        one_pass = []
        start, stop = max(count - self.window, 0), count
        while True:
            one_pass.append((start, stop))
            if start == 0:
                return one_pass * self.passes
            start, stop = max(start - self.step, 0), stop - self.step

    def order(self, texts: Mapping[str, QueryTexts]) -> tuple[dict[str, list[int]], Cost]:
        """Places of each query's documents, best first."""
        orders = {
            query_id: list(range(len(documents))) for query_id, (_, documents) in texts.items()
        }
        plans = {query_id: self.windows(len(order)) for query_id, order in orders.items()}
        cost = Cost(pairs=sum(map(len, orders.values())))
        for number in range(max(map(len, plans.values()), default=0)):
            due = {q: plan[number] for q, plan in plans.items() if number < len(plan)}
            cost += self._one_round(due, texts, orders)
        return orders, cost

    def _one_round(
        self,
        due: Mapping[str, Window],
        texts: Mapping[str, QueryTexts],
        orders: Mapping[str, list[int]],
    ) -> Cost:
        """Ask for one window of each query that is due, and reorder it in ``orders``."""
        conversations, cost = [], Cost()
        for query_id, (start, stop) in due.items():
            query, documents = texts[query_id]
            shown = [documents[place] for place in orders[query_id][start:stop]]
            conversation, cuts = cut_to_fit(
                self.generator,
                find_prompt(self.prompt).conversation,
                (query, shown),
                self.passage_words,
                self.answer_tokens,
            )
            conversations.append(conversation)
            cost += cuts
        found, spent = self._ask(conversations, [stop - start for start, stop in due.values()])
        for (query_id, (start, stop)), permutation in zip(due.items(), found, strict=True):
            given = orders[query_id][start:stop]
            orders[query_id][start:stop] = [given[place] for place in permutation.order]
        return cost + spent + Cost(malformed=sum(one.malformed for one in found))

    def _ask(
        self, conversations: Sequence[Conversation], counts: Sequence[int]
    ) -> tuple[list[Permutation], Cost]:
        """Orders of windows of so many documents, as the model writes them."""
        answers, spent = self.generator.generate(conversations, self.answer_tokens)
        return [parse(answer, n) for answer, n in zip(answers, counts, strict=True)], spent
