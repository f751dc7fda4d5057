"""What a listwise model is asked.

Permutation generation (RankGPT, Sun et al. 2023): the model reads numbered passages and writes
their numbers, best first.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recross.errors import InputError
from recross.parts.closest import say_unknown
from recross.rerankers.generative.generators import (
    Conversation,
    Message,
    begin_answer,
    check_placeholders,
)

LETTERS = string.ascii_uppercase
_IDENTIFIERS = {"numbers": re.compile(r"\[(\d+)\]"), "letters": re.compile(r"\[([A-Z])\]")}


@dataclass(frozen=True)
class ListwisePrompt:
    """Texts of a conversation, with ``{count}``, ``{query}``, ``{rank}`` and ``{passage}`` to fill.

    Opening, passages and closing are one message, a line each; with replies given, opening and
    passages are messages of their own that the assistant has already confirmed. A ``system`` that
    is empty says nothing. ``identifiers`` are what passages are called by: 1, 2 or A, B.
    ``begun`` is the beginning of the answer, from which the model goes on.
    """

    system: str
    opening: str
    closing: str
    passage: str = "[{rank}] {passage}"
    opening_reply: str = ""
    passage_reply: str = ""
    identifiers: Literal["numbers", "letters"] = "numbers"
    begun: str = ""

    def __post_init__(self) -> None:
        if "{rank}" not in self.passage or "{passage}" not in self.passage:
            raise InputError(f"passage must contain {{rank}} and {{passage}}, got {self.passage!r}")
        if "{query}" not in self.opening + self.closing:
            raise InputError("opening or closing must contain {query}, got neither")
        if bool(self.opening_reply) != bool(self.passage_reply):
            raise InputError("opening_reply and passage_reply must be given both or neither")
        check_placeholders(
            lambda: self.conversation("query", ["passage"]),
            "opening and closing may contain {count} and {query}, passage {rank} and {passage},"
            " passage_reply {rank}, and no other braces;",
        )

    def conversation(self, query: str, passages: Sequence[str]) -> Conversation:
        """The conversation that ends where the model is to answer."""
        facts = {"count": len(passages), "query": self._flatten(query)}
        turns = [(self.opening.format(**facts), self.opening_reply)]
        for rank, passage in enumerate(map(self._flatten, passages), start=1):
            called = rank if self.identifiers == "numbers" else LETTERS[rank - 1]
            shown = self.passage.format(rank=called, passage=passage)
            turns.append((shown, self.passage_reply.format(rank=called)))
        turns.append((self.closing.format(**facts), ""))
        if not self.opening_reply:
            turns = [("\n".join(text for text, _ in turns), "")]
        messages = [Message(role="system", content=self.system)] if self.system else []
        for text, reply in turns:
            messages.append(Message(role="user", content=text))
            if reply:
                messages.append(Message(role="assistant", content=reply))
        return begin_answer(messages, self.begun)

    def _flatten(self, text: str) -> str:
        """One line in which no bracketed identifier, such as a citation, passes for a passage's."""
        return _IDENTIFIERS[self.identifiers].sub(r"(\1)", " ".join(text.split()))


PROMPTS = {
    # Sun et al. 2023, appendix; the conversation of several turns is that of their code.
    "rankgpt": ListwisePrompt(
        system="You are RankGPT, an intelligent assistant that can rank passages based on their"
        " relevancy to the query.",
        opening="I will provide you with {count} passages, each indicated by number identifier"
        " [].\n"
        "Rank the passages based on their relevance to query: {query}.",
        opening_reply="Okay, please provide the passages.",
        passage_reply="Received passage [{rank}].",
        closing="Search Query: {query}.\n"
        "Rank the {count} passages above based on their relevance to the search query. The passages"
        " should be listed in descending order using identifiers. The most relevant passages should"
        " be listed first. The output format should be [] > [], e.g., [1] > [2]. Only response the"
        " ranking results, do not say any word or explain.",
    ),
    # What RankVicuna and RankZephyr (Pradeep et al. 2023) were trained on, as rank_llm asks it.
    "rankzephyr": ListwisePrompt(
        system="You are RankLLM, an intelligent assistant that can rank passages based on their"
        " relevancy to the query",
        opening="I will provide you with {count} passages, each indicated by a numerical identifier"
        " []. Rank the passages based on their relevance to the search query: {query}.",
        closing="Search Query: {query}.\n"
        "Rank the {count} passages above based on their relevance to the search query. All the"
        " passages should be included and listed using identifiers, in descending order of"
        " relevance. The output format should be [] > [], e.g., [2] > [1], Answer concisely and"
        " directly and only respond with the ranking results, do not say any word or explain.",
    ),
    # FIRST (Gangi Reddy et al. 2024), as rank_llm's rank_zephyr_alpha_template asks it.
    "first": ListwisePrompt(
        system="You are RankLLM, an intelligent assistant that can rank passages based on their"
        " relevancy to the query",
        opening="I will provide you with {count} passages, each indicated by an alphabetical"
        " identifier []. Rank the passages based on their relevance to the search query: {query}.",
        closing="Search Query: {query}.\n"
        "Rank the {count} passages above based on their relevance to the search query. All the"
        " passages should be included and listed using identifiers, in descending order of"
        " relevance. The output format should be [] > [], e.g., [B] > [A], Answer concisely and"
        " directly and only respond with the ranking results, do not say any word or explain.",
        identifiers="letters",
        begun="[",
    ),
    # What ReasonRank (Liu et al. 2025) was trained on, as rank_llm's reasonrank_template asks it.
    "reasonrank": ListwisePrompt(
        system="You are RankLLM, an intelligent assistant that can rank passages based on their"
        " relevance to the query. Given a query and a passage list, you first thinks about the"
        " reasoning process in the mind and then provides the answer (i.e., the reranked passage"
        " list). The reasoning process and answer are enclosed within <think> </think> and <answer>"
        " </answer> tags, respectively, i.e., <think> reasoning process here </think> <answer>"
        " answer here </answer>.",
        opening="I will provide you with {count} passages, each indicated by a numerical identifier"
        " []. Rank the passages based on their relevance to the search query: {query}.",
        closing="Search Query: {query}.\n"
        "Rank the {count} passages above based on their relevance to the search query. All the"
        " passages should be included and listed using identifiers, in descending order of"
        " relevance. The format of the answer should be [] > [], e.g., [2] > [1].",
    ),
    # Rank-K (Yang et al. 2025), as in hltcoe/rank-k, rerank.py.
    "rank_k": ListwisePrompt(
        system="",
        opening="Determine a ranking of the passages based on how relevant they are to the query."
        " \nIf the query is a question, how relevant a passage is depends on how well it answers"
        " the question. \n"
        "If not, try analyze the intent of the query and assess how well each passage satisfy the"
        " intent. \n"
        "The query may have typos and passages may contain contradicting information. \n"
        "However, we do not get into fact-checking. We just rank the passages based on they"
        " relevancy to the query. \n\n"
        "Sort them from the most relevant to the least. \n"
        "Answer with the passage number using a format of `[3] > [2] > [4] = [1] > [5]`. \n"
        "Ties are acceptable if they are equally relevant. \n"
        "I need you to be accurate but overthinking it is unnecessary.\n"
        "Output only the ordering without any other text.\n\n"
        "Query: {query}\n",
        passage="[{rank}] {passage}\n",
        closing="",
    ),
}


def find_prompt(prompt: str | ListwisePrompt) -> ListwisePrompt:
    """A prompt of ``PROMPTS`` by name; a prompt stays as it is.

    Raises:
        InputError: the name is unknown.
    """
    if isinstance(prompt, ListwisePrompt):
        return prompt
    if prompt not in PROMPTS:
        raise InputError(say_unknown("prompt", prompt, PROMPTS))
    return PROMPTS[prompt]
