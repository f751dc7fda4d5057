"""Setwise re-ranking: a model says which of a few passages is the best (Zhuang et al. 2024)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.parts.closest import say_unknown
from recross.records import Cost
from recross.rerankers.generative.generators import (
    Conversation,
    LabelReader,
    Message,
    begin_answer,
    check_placeholders,
    cut_to_fit,
)
from recross.rerankers.generative.listwise_prompts import LETTERS
from recross.rerankers.generative.ordering import OrderingReranker, QueryTexts
from recross.rerankers.generative.permutation import read_marked
from recross.rerankers.generative.set_sorting import HeapSort, Sets, SetwiseStrategy

LABEL_TOKENS = 8
LABEL = re.compile(r"\b[A-Z]\b")


@dataclass(frozen=True)
class SetwisePrompt:
    """A question with ``{query}`` and ``{passages}``, each shown as ``passage`` with its letter.

    ``begun`` is the beginning of the answer, from which the model goes on.
    """

    question: str
    passage: str = 'Passage {label}: "{passage}"'
    begun: str = ""

    def __post_init__(self) -> None:
        for name, wanted in (("question", "{query} {passages}"), ("passage", "{label} {passage}")):
            missing = [one for one in wanted.split() if one not in getattr(self, name)]
            if missing:
                raise InputError(f"{name} must contain {missing[0]}, got {getattr(self, name)!r}")
        check_placeholders(
            lambda: self.conversation("query", ["passage"]),
            "question may contain {query} and {passages}, passage {label} and {passage}, and no"
            " other braces,",
        )

    def conversation(self, query: str, passages: Sequence[str]) -> Conversation:
        """The conversation that ends where the model is to name the best passage."""
        shown = [
            self.passage.format(label=label, passage=passage)
            for label, passage in zip(LETTERS, passages, strict=False)
        ]
        text = self.question.format(query=query, passages="\n\n".join(shown))
        return begin_answer([Message(role="user", content=text)], self.begun)


_QUESTION = (
    'Given a query "{query}", which of the following passages is the most relevant one to the'
    " query?\n\n{passages}\n\nOutput only the passage label of the most relevant passage:"
)
SETWISE_PROMPTS = {
    # As in ielab/llm-rankers, whose causal models go on from " Passage:".
    "setwise": SetwisePrompt(_QUESTION, begun=" Passage:"),
    "setwise_open": SetwisePrompt(_QUESTION),
}


@dataclass(frozen=True)
@checked
class SetwiseReranker(OrderingReranker):
    """Sorts the best documents by asking which of a few is the most relevant.

    ``strategy`` says which are asked about at once, and how many are sorted; the others follow in
    the first stage's order. With ``reads_logits`` the letter of the greatest logit is the answer,
    one forward pass and nothing written; else what the model writes, after ``thinking_tokens`` at
    most. An answer that names none of the letters leaves the order, and is counted as malformed.
    The cost counts every comparison as a pair. Scores are ordinal, the number of documents ranked
    below: their differences mean nothing.
    """

    kind = "setwise"

    generator: LabelReader
    strategy: SetwiseStrategy = field(default=HeapSort())
    prompt: str | SetwisePrompt = "setwise"
    reads_logits: bool = True
    passage_words: Annotated[int, Ge(1)] = 100
    thinking_tokens: Annotated[int, Ge(0)] = 0
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        find_setwise_prompt(self.prompt)
        if self.reads_logits and self.thinking_tokens:
            raise InputError(
                f"thinking_tokens must be 0 where logits are read, got {self.thinking_tokens}"
            )

    def order(self, texts: Mapping[str, QueryTexts]) -> tuple[dict[str, list[int]], Cost]:
        """The best places of each query; what all want to know at the same time is one call."""
        sorts = {q: self.strategy.sort(len(documents)) for q, (_, documents) in texts.items()}
        found: dict[str, list[int]] = {}
        answers: dict[str, list[int] | None] = dict.fromkeys(sorts)
        cost = Cost()
        while answers:
            due: dict[str, Sets] = {}
            for query_id, answer in answers.items():
                sort = sorts[query_id]
                try:
                    due[query_id] = next(sort) if answer is None else sort.send(answer)
                except StopIteration as end:
                    found[query_id] = end.value
            chosen, spent = self._choose(due, texts)
            left = iter(chosen)
            answers = {query_id: [next(left) for _ in sets] for query_id, sets in due.items()}
            cost += spent
        return {query_id: found[query_id] for query_id in texts}, cost

    def _choose(
        self, due: Mapping[str, Sets], texts: Mapping[str, QueryTexts]
    ) -> tuple[list[int], Cost]:
        """The best place of every set of every query, in their order."""
        conversations, counts, cost = [], list[int](), Cost()
        room = 1 if self.reads_logits else LABEL_TOKENS + self.thinking_tokens
        prompt = find_setwise_prompt(self.prompt)
        for query_id, sets in due.items():
            query, documents = texts[query_id]
            for one in sets:
                shown = (query, [documents[place] for place in one])
                conversation, cuts = cut_to_fit(
                    self.generator, prompt.conversation, shown, self.passage_words, room
                )
                conversations.append(conversation)
                counts.append(len(one))
                cost += cuts
        if not counts:
            return [], cost
        ask = self._read if self.reads_logits else self._write
        answers, spent = ask(conversations, counts)
        answered = Cost(pairs=len(answers), malformed=answers.count(None))
        return [answer or 0 for answer in answers], cost + spent + answered

    def _read(
        self, conversations: Sequence[Conversation], counts: Sequence[int]
    ) -> tuple[list[int | None], Cost]:
        labels = [f" {letter}" for letter in LETTERS[: max(counts)]]
        logits, spent = self.generator.read_labels(conversations, labels)
        told = [of_set[:count] for of_set, count in zip(logits, counts, strict=True)]
        return [int(one.argmax()) if np.isfinite(one).any() else None for one in told], spent

    def _write(
        self, conversations: Sequence[Conversation], counts: Sequence[int]
    ) -> tuple[list[int | None], Cost]:
        room = LABEL_TOKENS + self.thinking_tokens
        answers, spent = self.generator.generate(conversations, room)
        return [read_label(one, count) for one, count in zip(answers, counts, strict=True)], spent


def read_label(answer: str, count: int) -> int | None:
    """The place of the first letter that an answer names; ``None`` where it is none of the set."""
    match = LABEL.search(read_marked(answer))
    place = LETTERS.index(match[0]) if match else count
    return place if place < count else None


def find_setwise_prompt(prompt: str | SetwisePrompt) -> SetwisePrompt:
    """A prompt of ``SETWISE_PROMPTS`` by name; a prompt stays as it is.

    Raises:
        InputError: the name is unknown.
    """
    if isinstance(prompt, SetwisePrompt):
        return prompt
    if prompt not in SETWISE_PROMPTS:
        raise InputError(say_unknown("prompt", prompt, SETWISE_PROMPTS))
    return SETWISE_PROMPTS[prompt]
