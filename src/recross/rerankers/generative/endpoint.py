"""Answers from an OpenAI-compatible server: a hosted model, or vLLM, llama.cpp and the like."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from recross.inference.cache.score_cache import caches_are_off
from recross.parts.bounds import Ge, checked
from recross.parts.identity import fingerprint, handed_over
from recross.records import Cost, Json, JsonObject
from recross.rerankers.generative.chat_server import ChatServer, Reply
from recross.rerankers.generative.generators import Conversation, LabelLogits, split_begun
from recross.rerankers.generative.kept_answers import KeptAnswer, KeptAnswers
from recross.rerankers.generative.token_budget import TokenBudget, guess_tokens
from recross.rerankers.remote.asking import ask_all
from recross.rerankers.remote.json_server import check_address
from recross.rerankers.remote.patience import EndpointError, Patience
from recross.store import DEFAULT_STORE
from recross.writing.progress import progress

TOP_LOGPROBS = 20
"""First tokens that a server is asked to tell of: no more are allowed by OpenAI and by vLLM."""

GO_ON = {"add_generation_prompt": False, "continue_final_message": True}
"""What vLLM must be told to go on from an answer that was begun; llama.cpp does without."""


@dataclass(frozen=True)
@checked
class EndpointGenerator:
    """The chat completions of a server, ``max_concurrent`` requests at a time.

    Answers are kept in the store as they come, by server, model and all that is sent, so that a run
    that was interrupted pays for none twice; ``reuse_answers=False`` neither reads nor writes them,
    and while latency is measured none is read. ``token_budget`` bounds prompt and generated tokens
    that this object spends, by the server's own count, and by a guess from the number of bytes for
    requests under way and servers that do not count: what may pass it is not sent.
    ``temperature=None`` and ``length_field="max_completion_tokens"`` are for models that refuse the
    usual ones, and ``extra_body`` is sent as it is. The API key is read from the environment
    variable ``api_key_variable`` at the first request, and kept nowhere.
    """

    base_url: str
    model: str
    temperature: Annotated[float, Ge(0)] | None = 0.0
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: JsonObject = field(default_factory=dict)
    api_key_variable: str | None = field(default="OPENAI_API_KEY", compare=False)
    patience: Patience = field(default=Patience(), compare=False)
    max_concurrent: Annotated[int, Ge(1)] = field(default=8, compare=False)
    token_budget: Annotated[int, Ge(1)] | None = field(default=None, compare=False)
    reuse_answers: bool = field(default=True, compare=False)
    store: Path = handed_over(DEFAULT_STORE)

    parameters: ClassVar[None] = None
    """A server does not say."""

    def __post_init__(self) -> None:
        check_address(self.base_url)

    @property
    def name(self) -> str:
        """The model's name without its organisation."""
        return self.model.rpartition("/")[2]

    def quote(self, text: str) -> str:
        """The text as it is: only the server knows its control tokens."""
        return text

    def check(self) -> None:
        """Read the key, and look for what asks; nothing is asked."""
        _ = self._server

    def fits(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Assume so: only the server knows, and refuses what is too long."""
        return True

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int, stop: str | None = None
    ) -> tuple[list[str], Cost]:
        """Answer each conversation; what an earlier run has paid for is not asked again.

        Raises:
            EndpointError: the server gave no answer; others that it gave are kept.
            BudgetError: the next request might pass the budget.
        """
        requests = [self._request(talk, max_new_tokens, stop) for talk in conversations]
        answers, cost = self._answer(requests)
        return [answer.text for answer in answers], cost

    def read_labels(
        self, conversations: Sequence[Conversation], labels: Sequence[str]
    ) -> tuple[LabelLogits, Cost]:
        """Log-probabilities of labels among the most probable first tokens of each answer.

        A server tells of a few tokens alone: the others have none, ``-inf``.

        Raises:
            EndpointError: the server gave no answer, or no log-probabilities.
            BudgetError: the next request might pass the budget.
        """
        wanted = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        answers, cost = self._answer([self._request(talk, 1) | wanted for talk in conversations])
        if any(answer.first_tokens is None for answer in answers):
            raise EndpointError(
                f"{self.base_url} gave no log-probabilities of first tokens, which are needed here"
            )
        found = [
            [find_label(answer.first_tokens or {}, label) for label in labels] for answer in answers
        ]
        return np.array(found, dtype=np.float64).reshape(-1, len(labels)), cost

    def _answer(self, asked: Sequence[JsonObject]) -> tuple[list[KeptAnswer], Cost]:
        """The answer to each request, kept or fresh, and what the fresh ones cost."""
        start = time.perf_counter()
        reuses = self.reuse_answers and not caches_are_off()
        keys: list[str] = []
        answers: dict[str, KeptAnswer] = {}
        unanswered: dict[str, JsonObject] = {}
        for request in asked:
            keys.append(fingerprint(self.base_url, request))
            if reuses and (answer := self._kept.get(keys[-1])):
                answers[keys[-1]] = answer
            else:
                unanswered[keys[-1]] = request
        replies = self._ask_all(unanswered)
        answers |= {key: reply.answer for key, reply in replies.items()}
        fresh = [reply.answer for reply in replies.values()]
        tokens = sum(answer.prompt_tokens or 0 for answer in fresh)
        cost = Cost(
            tokens=tokens,
            kept_tokens=sum(answers[key].prompt_tokens or 0 for key in keys) - tokens,
            forward_passes=len(fresh),
            forward_seconds=time.perf_counter() - start,
            cache_hits=len(asked) - len(fresh),
            cache_misses=len(fresh) if reuses else 0,
            requests=len(fresh),
            generated_tokens=sum(answer.generated_tokens or 0 for answer in fresh),
            retries=sum(reply.retries for reply in replies.values()),
        )
        return [answers[key] for key in keys], cost

    @cached_property
    def _server(self) -> ChatServer:
        """Kept from call to call, as its connections take longer to open than a short answer."""
        return ChatServer(self.base_url, self.api_key_variable, self.patience)

    @cached_property
    def _budget(self) -> TokenBudget:
        return TokenBudget(self.token_budget)

    @cached_property
    def _kept(self) -> KeptAnswers:
        name = fingerprint(self.base_url, self.model)
        return KeptAnswers(self.store / "answers" / f"{name}.jsonl")

    def _request(
        self, conversation: Conversation, max_new_tokens: int, stop: str | None = None
    ) -> dict[str, Json]:
        body = {
            **(GO_ON if split_begun(conversation)[1] else {}),
            **({"include_stop_str_in_output": True} if stop else {}),
            **self.extra_body,
        }
        return {
            "model": self.model,
            "messages": list(conversation),
            self.length_field: max_new_tokens,
            "extra_body": body,
            **({} if self.temperature is None else {"temperature": self.temperature}),
            **({"stop": [stop]} if stop else {}),
        }

    def _ask_all(self, requests: Mapping[str, JsonObject]) -> dict[str, Reply]:
        """Ask for all; what is answered before a failure is kept."""
        if not requests:
            return {}
        _ = self._server, self._budget  # made once, not by several threads
        replies: dict[str, Reply] = {}
        with progress(len(requests), self.name, "request") as bar:
            for key, reply in ask_all(requests.items(), self._ask, self.max_concurrent):
                if reply:
                    replies[key] = reply
                bar.update()
        return replies

    def _ask(
        self, asked: tuple[str, JsonObject], stop: threading.Event
    ) -> tuple[str, Reply | None]:
        """Ask and keep the answer; ``None`` where another request has failed meanwhile."""
        key, request = asked
        reply = self._ask_within_budget(request, stop)
        if reply and self.reuse_answers:
            self._kept.add(key, reply.answer)
        return key, reply

    def _ask_within_budget(self, request: JsonObject, stop: threading.Event) -> Reply | None:
        prompt = guess_tokens(json.dumps(request["messages"], ensure_ascii=False))
        set_aside = prompt + int(request[self.length_field])
        used = 0
        self._budget.set_aside(set_aside)
        try:
            if stop.is_set():
                return None
            reply = self._server.ask(request, stop)
            used = _count_used(reply.answer, prompt)
            return reply
        finally:
            self._budget.settle(set_aside, used)


def _count_used(answer: KeptAnswer, prompt: int) -> int:
    """Tokens of a request by the server's count, or a guess where it has none."""
    written = answer.generated_tokens
    return (prompt if answer.prompt_tokens is None else answer.prompt_tokens) + (
        guess_tokens(answer.text) if written is None else written
    )


def find_label(first_tokens: Mapping[str, float], label: str) -> float:
    """The log-probability of a label: of the token that is it, else that is it but for blanks."""
    if label in first_tokens:
        return first_tokens[label]
    alike = [value for token, value in first_tokens.items() if token.strip() == label.strip()]
    return max(alike, default=-np.inf)
