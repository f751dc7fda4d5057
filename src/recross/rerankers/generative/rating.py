"""Pointwise re-ranking by grades that a language model writes (Zhuang et al. 2023).

For models whose logits cannot be read, such as those behind a server. ``causal.CausalReranker``
reads logits, which tell documents of one grade apart.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import Annotated

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.records import Cost
from recross.rerankers.generative.generators import (
    Conversation,
    Message,
    TextGenerator,
    check_placeholders,
    cut_to_fit,
)
from recross.rerankers.generative.permutation import LONGEST_NUMBER, read_marked
from recross.rerankers.generative.prompted import PromptedReranker
from recross.runs import Run

PROMPT = (
    "From a scale of 0 to {highest}, judge the relevance between the query and the document."
    " Answer with the number alone.\nQuery: {query}\nDocument: {document}\nOutput:"
)
RATING_PROMPTS = {
    "rating": PROMPT,
    # ERank (Cai et al. 2025, arXiv 2509.00520, figure 5).
    "erank": (
        "Given a query and a document, please give a relevance score of 0 to {highest}.\n"
        "The goal or relevance definition is: Given a web search query, retrieve relevant passages"
        " that answer the query\n\n"
        "Here is the query:\n{query}\n\nHere is the document:\n{document}\n\n"
        "After thinking, directly choose a relevance score from [{grades}].\n"
        "- 0 represents completely not related.\n- {highest} means perfectly related.\n\n"
        "Desired output format:\n<think>put your thinking here</think><answer>Only allows an"
        " integer here</answer>\n\nYour output:"
    ),
}
"""Prompts by the names that an option may give in the place of its own text."""

ANSWER_TOKENS = 16
"""Room for a grade and the marks around it."""
GRADE = re.compile(r"\d+")


@dataclass(frozen=True)
@checked
class RatingReranker(PromptedReranker):
    """Asks for a grade of each document alone, 0 to ``highest``, and orders by it.

    The rating scale of Zhuang et al. (2023), read as text. ``prompt`` is a text or the name of one.
    Within a grade the first stage's order stays. An answer without a grade is taken for 0 and
    counted as malformed. Texts are cut to
    ``document_words`` words, and to fewer where the model has no room for the prompt; a model that
    thinks before it answers wants ``thinking_tokens`` besides.
    """

    kind = "rating"

    generator: TextGenerator
    highest: Annotated[int, Ge(1)] = 4
    document_words: Annotated[int, Ge(1)] = 300
    thinking_tokens: Annotated[int, Ge(0)] = 0
    prompt: str = PROMPT
    alias: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        text = RATING_PROMPTS.get(self.prompt, self.prompt)
        missing = [n for n in ("{query}", "{document}") if n not in text]
        if missing:
            raise InputError(
                f"prompt must contain {missing[0]}, or be one of {', '.join(RATING_PROMPTS)},"
                f" got {self.prompt!r}"
            )
        check_placeholders(
            lambda: self._make_conversation("query", ["document"]),
            "prompt may contain {query}, {document}, {highest}, {grades} and no other braces,",
        )

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by their grades.

        Raises:
            InputError: the model has no room for a query and a document of one word each.
        """
        start = time.perf_counter()
        room = ANSWER_TOKENS + self.thinking_tokens
        conversations: list[Conversation] = []
        cost = Cost()
        for query_id, ranking in candidates.rankings.items():
            query = collection.queries[query_id]
            for doc in ranking:
                texts = (query, [collection.documents[doc.doc_id]])
                conversation, cuts = cut_to_fit(
                    self.generator, self._make_conversation, texts, self.document_words, room
                )
                conversations.append(conversation)
                cost += cuts
        answers, spent = self.generator.generate(conversations, room)
        grades = [read_grade(answer, self.highest) for answer in answers]
        left = iter(grades)
        scores = {
            query_id: {
                doc.doc_id: (next(left) or 0) + 1 - rank / len(ranking)
                for rank, doc in enumerate(ranking, start=1)
            }
            for query_id, ranking in candidates.rankings.items()
        }
        cost = replace(
            cost + spent,
            pairs=len(grades),
            malformed=grades.count(None),
            total_seconds=time.perf_counter() - start,
        )
        return Run.from_scores(self.name, scores, cost)

    def _make_conversation(self, query: str, documents: list[str]) -> Conversation:
        (document,) = documents
        text = RATING_PROMPTS.get(self.prompt, self.prompt).format(
            query=query,
            document=document,
            highest=self.highest,
            grades=", ".join(map(str, range(self.highest + 1))),
        )
        return [Message(role="user", content=text)]


def read_grade(answer: str, highest: int) -> int | None:
    """The first number of what an answer says or marks; ``None`` where it is no grade."""
    match = GRADE.search(read_marked(answer))
    if match is None or len(match[0]) > LONGEST_NUMBER:
        return None
    grade = int(match[0])
    return grade if grade <= highest else None
