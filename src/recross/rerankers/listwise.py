"""Listwise re-ranking with a language model that writes an order (RankGPT, Sun et al. 2023)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recross.collection import Collection
from recross.errors import InputError
from recross.records import Cost
from recross.rerankers.generators import Conversation, TextGenerator
from recross.rerankers.listwise_prompts import ListwisePrompt, named_prompt
from recross.rerankers.permutation import parse
from recross.runs import Run

TOKENS_PER_PLACE = 8
"""Room in the answer for one of ``[12] > ``: six pieces where digits are single tokens."""

WORDS_KEPT = 0.9
"""Share of the words kept each time that a prompt turns out too long."""

Window = tuple[int, int]
"""First place, and the one after the last."""


@dataclass(frozen=True)
class ListwiseReranker:
    """Orders ``window`` documents at a time, from the bottom of each ranking to its top.

    Windows are ``step`` places apart, so that the best ``window - step`` of each move on into the
    next one; several ``passes`` sort further down. The same window of all queries is asked
    together. Texts are cut to ``passage_words`` words, and to fewer where the model has no room for
    the prompt; a model that thinks before it answers wants ``thinking_tokens`` besides. An answer
    that is no permutation is mended and counted. Scores are ordinal, the number of documents ranked
    below: their differences mean nothing.
    """

    generator: TextGenerator
    prompt: str | ListwisePrompt = "rankgpt"
    window: int = 20
    step: int = 10
    passes: int = 1
    passage_words: int = 300
    thinking_tokens: int = 0
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        named_prompt(self.prompt)
        if self.window < 2:
            raise InputError(f"window must be at least 2, got {self.window}")
        if not 1 <= self.step <= self.window:
            raise InputError(f"step must lie in [1, window={self.window}], got {self.step}")
        for name, least in (("passes", 1), ("passage_words", 1), ("thinking_tokens", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """A short name for runs and tables."""
        return self.alias or f"listwise-{self.generator.name}"

    @property
    def parts(self) -> tuple[TextGenerator]:
        """Where the parameters are."""
        return (self.generator,)

    @property
    def answer_tokens(self) -> int:
        """How long an answer may be."""
        return TOKENS_PER_PLACE * (self.window + 1) + self.thinking_tokens

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Reorder every candidate of every query.

        Raises:
            InputError: the model has no room for a window of passages of one word each.
        """
        start = time.perf_counter()
        orders = {query_id: candidates.doc_ids(query_id) for query_id in candidates.rankings}
        plans = {query_id: self.windows(len(order)) for query_id, order in orders.items()}
        cost = Cost(pairs=sum(map(len, orders.values())))
        for number in range(max(map(len, plans.values()), default=0)):
            due = {q: plan[number] for q, plan in plans.items() if number < len(plan)}
            cost += self._order(due, orders, collection)
        scores = {
            query_id: {doc_id: float(len(order) - rank) for rank, doc_id in enumerate(order, 1)}
            for query_id, order in orders.items()
        }
        cost = replace(cost, total_seconds=time.perf_counter() - start)
        return Run.from_scores(self.name, scores, cost)

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

    def _order(
        self, due: Mapping[str, Window], orders: Mapping[str, list[str]], collection: Collection
    ) -> Cost:
        """Ask for one window of each query and reorder it in ``orders``."""
        conversations, cost = [], Cost()
        for query_id, (start, stop) in due.items():
            documents = [collection.documents[doc_id] for doc_id in orders[query_id][start:stop]]
            conversation, cuts = self._ask(collection.queries[query_id], documents)
            conversations.append(conversation)
            cost += cuts
        answers, spent = self.generator.generate(conversations, self.answer_tokens)
        malformed = 0
        for (query_id, (start, stop)), answer in zip(due.items(), answers, strict=True):
            given = orders[query_id][start:stop]
            found = parse(answer, len(given))
            orders[query_id][start:stop] = [given[place] for place in found.order]
            malformed += found.malformed
        return cost + spent + Cost(malformed=malformed)

    def _ask(self, query: str, documents: Sequence[str]) -> tuple[Conversation, Cost]:
        """The longest conversation that the model has room for, and what was cut."""
        prompt = named_prompt(self.prompt)
        texts = [text.split() for text in (query, *documents)]
        words = min(self.passage_words, max(map(len, texts)))
        while True:
            asked, *shown = [" ".join(text[:words]) for text in texts]
            conversation = prompt.conversation(asked, shown)
            if self.generator.fits(conversation, self.answer_tokens):
                query_is_cut, *are_cut = [len(text) > words for text in texts]
                return conversation, Cost(cut_queries=query_is_cut, cut_documents=sum(are_cut))
            if words <= 1:
                raise InputError(
                    f"window must leave room for {self.answer_tokens} tokens of answer in the"
                    f" context of {self.generator.name}, got {len(documents)} passages, too many"
                    " even at one word each"
                )
            words = max(int(words * WORDS_KEPT), 1)
