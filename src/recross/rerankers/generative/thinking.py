"""Pointwise re-ranking by a model that thinks aloud before it is read (rank1, Weller et al. 2025).

The model writes its thoughts; of what it would write next, two answers are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.parts.closest import say_unknown
from recross.records import Cost
from recross.rerankers.generative.generators import (
    Conversation,
    LabelLogits,
    LabelReader,
    Message,
    begin_answer,
    check_placeholders,
    cut_to_fit,
    split_begun,
)
from recross.rerankers.generative.prompted import PromptedReranker
from recross.runs import Run

CLOSING_TOKENS = 8
"""Room for the end of the thoughts and for the answer."""
SENTENCE_ENDS = (".", "!", "?")


@dataclass(frozen=True)
class ThinkingPrompt:
    """What is asked, with ``{query}`` and ``{document}`` to fill, and how its answer is read.

    Thoughts stand between ``opening``, which is written for the model, and ``closing``. Of the two
    ``answers`` that may follow, the second says that the document is relevant.
    """

    question: str
    opening: str = "<think>"
    closing: str = "</think>"
    answers: tuple[str, str] = (" false", " true")

    def __post_init__(self) -> None:
        missing = [n for n in ("{query}", "{document}") if n not in self.question]
        if missing:
            raise InputError(f"question must contain {missing[0]}, got {self.question!r}")
        check_placeholders(
            lambda: self.conversation("query", ["document"]),
            "question may contain {query}, {document} and no other braces,",
        )

    def conversation(self, query: str, documents: Sequence[str]) -> Conversation:
        """The conversation that ends where the model is to think about a document."""
        (document,) = documents
        question = self.question.format(query=query, document=document)
        return begin_answer([Message(role="user", content=question)], self.opening)

    def close(self, thought: str, quote: Callable[[str], str] = str) -> tuple[str, bool]:
        """The answer up to where it is read, and whether the thought came to its own end.

        One that did not is closed after its last whole sentence, as rank1's authors do it. What the
        model thought is put into the answer as ``quote`` gives it.
        """
        finished, closing, _ = thought.partition(self.closing)
        if closing:
            return f"{self.opening}{quote(finished)}{closing}", True
        return f"{self.opening}\n{quote(_cut_to_sentence(thought))}\n{self.closing}", False


THINKING_PROMPTS = {
    "rank1": ThinkingPrompt(
        "Determine if the following passage is relevant to the query. Answer only with 'true' or"
        " 'false'.\nQuery: {query}\nPassage: {document}"
    ),
}


@dataclass(frozen=True)
@checked
class ThinkingReranker(PromptedReranker):
    """Thinks about each document alone, and scores it by how probable the better answer is then.

    The score is that answer's share of the probability of both. A thought has ``thinking_tokens``;
    one that does not end within them is closed, read as it is, and counted as malformed, and so is
    an answer of which neither can be read. Texts are cut to ``document_words`` words, and to fewer
    where the model has no room for the prompt and the thought. ``generator`` keeps the thoughts, if
    it reuses answers.
    """

    kind = "thinking"

    generator: LabelReader
    prompt: str | ThinkingPrompt = "rank1"
    document_words: Annotated[int, Ge(1)] = 5000
    thinking_tokens: Annotated[int, Ge(1)] = 8192
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        find_thinking_prompt(self.prompt)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by their shares.

        Raises:
            InputError: the model has no room for a thought about texts of one word each.
        """
        start = time.perf_counter()
        pairs = [
            (collection.queries[query_id], collection.documents[doc.doc_id])
            for query_id, ranking in candidates.rankings.items()
            for doc in ranking
        ]
        shares, cost = self._judge(pairs)
        left = iter(shares.tolist())
        scores = {
            query_id: {doc.doc_id: next(left) for doc in ranking}
            for query_id, ranking in candidates.rankings.items()
        }
        cost = replace(cost, total_seconds=time.perf_counter() - start)
        return Run.from_scores(self.name, scores, cost)

    def _judge(self, pairs: Sequence[tuple[str, str]]) -> tuple[npt.NDArray[np.float64], Cost]:
        """Share of the better answer for every query and document, ``(N,)``."""
        prompt = find_thinking_prompt(self.prompt)
        room = self.thinking_tokens + CLOSING_TOKENS
        asked, cost = [], Cost(pairs=len(pairs))
        for query, document in pairs:
            texts = (query, [document])
            conversation, cuts = cut_to_fit(
                self.generator, prompt.conversation, texts, self.document_words, room
            )
            asked.append(conversation)
            cost += cuts
        thoughts, spent = self.generator.generate(asked, self.thinking_tokens, prompt.closing)
        closed = [prompt.close(thought, self.generator.quote) for thought in thoughts]
        read = [
            begin_answer(split_begun(conversation)[0], answer)
            for conversation, (answer, _) in zip(asked, closed, strict=True)
        ]
        logits, reading = self.generator.read_labels(read, prompt.answers)
        is_read = np.isfinite(logits).any(axis=1)
        ended = np.array([has_ended for _, has_ended in closed], dtype=bool)
        malformed = int((~(is_read & ended)).sum())
        return _share(logits), cost + spent + reading + Cost(malformed=malformed)


def _share(logits: LabelLogits) -> npt.NDArray[np.float64]:
    """The second answer's share of the probability of both; one half where neither has any."""
    most = logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(logits - np.where(np.isfinite(most), most, 0.0))
    totals = weights.sum(axis=1)
    shares = np.full(len(totals), 0.5)
    np.divide(weights[:, 1], totals, out=shares, where=totals > 0)
    return shares


def _cut_to_sentence(thought: str) -> str:
    text = thought.strip()
    end = max(text.rfind(mark) for mark in SENTENCE_ENDS)
    return text[: end + 1] if end >= 0 else text


def find_thinking_prompt(prompt: str | ThinkingPrompt) -> ThinkingPrompt:
    """A prompt of ``THINKING_PROMPTS`` by name; a prompt stays as it is.

    Raises:
        InputError: the name is unknown.
    """
    if isinstance(prompt, ThinkingPrompt):
        return prompt
    if prompt not in THINKING_PROMPTS:
        raise InputError(say_unknown("prompt", prompt, THINKING_PROMPTS))
    return THINKING_PROMPTS[prompt]
