"""The chat completions of an OpenAI-compatible server."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

from recross.records import Json, JsonObject
from recross.rerankers.generative.kept_answers import KeptAnswer
from recross.rerankers.remote.json_server import JsonServer
from recross.rerankers.remote.patience import EndpointError, Patience

PATH = "chat/completions"


class Reply(NamedTuple):
    """An answer and how often it had to be asked for again."""

    answer: KeptAnswer
    retries: int


class ChatServer:
    """A connection to the chat completions of one server, for any number of threads."""

    def __init__(self, base_url: str, api_key_variable: str | None, patience: Patience) -> None:
        self._base_url = base_url
        self._server = JsonServer(base_url, api_key_variable, patience)
        self.close = self._server.close

    def ask(self, request: JsonObject, stop: threading.Event) -> Reply:
        """Send a request until it is answered; ``stop`` ends the waiting between two tries.

        What stands under ``extra_body`` is sent beside the other fields.

        Raises:
            EndpointError: the server refused, failed more than ``max_retries`` times, or answered
                with something else than a completion.
        """
        fields = {name: value for name, value in request.items() if name != "extra_body"}
        sent = {**fields, **request.get("extra_body", {})}
        answer, retries = self._server.post(PATH, sent, stop)
        return Reply(self._read(answer), retries)

    def _read(self, completion: Json) -> KeptAnswer:
        """What a server answered, which may be anything."""
        match completion:
            case {"choices": [{"message": dict(message)} as choice, *_]}:
                usage = completion.get("usage") or {}
                return KeptAnswer(
                    text=message.get("content") or "",
                    prompt_tokens=usage.get("prompt_tokens"),
                    generated_tokens=usage.get("completion_tokens"),
                    first_tokens=_list_first_tokens(choice),
                )
        raise EndpointError(f"{self._base_url} answered with something that is no chat completion")


def _list_first_tokens(choice: Json) -> Mapping[str, float] | None:
    """Log-probabilities of what the first token might have been, where a server tells them."""
    found: dict[str, float] = {}
    match choice:
        case {"logprobs": {"content": [{"top_logprobs": [*told]}, *_]}}:
            for one in told:
                token, value = str(one["token"]), float(one["logprob"])
                found[token] = max(value, found.get(token, value))
            return found
    return None
