"""One request to an OpenAI-compatible server, tried again while that may help."""

from __future__ import annotations

import json
import os
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, NamedTuple

from recross.errors import InputError, RunError
from recross.parts.bounds import Ge, Gt, checked
from recross.records import JsonObject
from recross.rerankers.generative.kept_answers import KeptAnswer

LONGEST_WAIT_SECONDS = 60.0
LONGEST_REASON = 300
NO_COMPLETION = "answered with something that is no chat completion"
WORTH_ANOTHER_TRY = (408, 409, 429)


class EndpointError(RunError):
    """A server gave no answer; the message names the server, the tries and its reason."""


class Reply(NamedTuple):
    """An answer and how often it had to be asked for again."""

    answer: KeptAnswer
    retries: int


@dataclass(frozen=True)
@checked
class Patience:
    """How long to wait for an answer, how often to ask again, and how long to wait in between.

    The wait doubles from ``backoff_seconds`` up to a minute; where the server names one, that is
    waited if it is longer.
    """

    timeout_seconds: Annotated[float, Gt(0)] = 120.0
    max_retries: Annotated[int, Ge(0)] = 6
    backoff_seconds: Annotated[float, Ge(0)] = 1.0

    def wait_seconds(self, tries: int, asked_for: float) -> float:
        """How long to wait after this many failed tries."""
        doubled = self.backoff_seconds * 2.0 ** min(tries - 1, 30)
        return min(max(doubled, asked_for), LONGEST_WAIT_SECONDS)


class ChatServer:
    """A connection to the chat completions of one server, for any number of threads.

    The key is read from its variable here, sent in the header, and stored nowhere else.
    """

    def __init__(self, base_url: str, api_key_variable: str | None, patience: Patience) -> None:
        self._openai = _import_openai()
        self._base_url = base_url
        self._variable = api_key_variable
        self._patience = patience
        key = os.environ.get(api_key_variable, "") if api_key_variable else ""
        self._has_key = bool(key)
        self._client = self._openai.OpenAI(
            base_url=base_url,
            api_key=key or "none",  # the client wants one; without a key the header is left out
            timeout=patience.timeout_seconds,
            max_retries=0,
        )
        self.close = weakref.finalize(self, self._client.close)
        """Closes the connections, at the latest when nobody has a use for this any more."""

    def ask(self, request: JsonObject, stop: threading.Event) -> Reply:
        """Send a request until it is answered; ``stop`` ends the waiting between two tries.

        Raises:
            EndpointError: the server refused, or failed more than ``max_retries`` times.
        """
        headers = {} if self._has_key else {"Authorization": self._openai.Omit()}
        tries = 0
        while True:
            tries += 1
            try:
                completion = self._client.chat.completions.create(**request, extra_headers=headers)
                return Reply(self._answer(completion), tries - 1)
            except self._openai.OpenAIError as error:
                if not self._may_pass(error) or tries > self._patience.max_retries:
                    raise self._explained(error, tries) from None
                wait = self._patience.wait_seconds(tries, _asked_for(error))
                if stop.wait(wait):
                    raise self._explained(error, tries) from None
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise EndpointError(f"{self._base_url} {NO_COMPLETION}") from None

    def _may_pass(self, error: Exception) -> bool:
        match error:
            case self._openai.APIStatusError(status_code=status):
                return status in WORTH_ANOTHER_TRY or status >= 500
            case self._openai.APIConnectionError():
                return True
        return False

    def _answer(self, completion: object) -> KeptAnswer:
        """What a server answered, which may be anything."""
        match completion:
            case object(choices=[object(message=message), *_]) if message:
                usage = getattr(completion, "usage", None)
                return KeptAnswer(
                    text=message.content or "",
                    prompt_tokens=getattr(usage, "prompt_tokens", None),
                    generated_tokens=getattr(usage, "completion_tokens", None),
                )
        raise EndpointError(f"{self._base_url} {NO_COMPLETION}")

    def _explained(self, error: Exception, tries: int) -> EndpointError:
        if isinstance(error, self._openai.AuthenticationError):
            variable = self._variable
            problem = f"the one in {variable} is not accepted" if self._has_key else "none is set"
            return EndpointError(
                f"{self._base_url} wants an API key, and {problem};"
                f" api_key_variable names the variable to read it from ({variable})"
            )
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        if self._has_key:
            reason = reason.replace(self._client.api_key, "***")
        often = f" after {tries} tries" if tries > 1 else ""
        return EndpointError(f"{self._base_url} gave no answer{often}: {reason}")


def _asked_for(error: Exception) -> float:
    """Seconds that a server asks to be left alone."""
    match error:
        case object(response=object(headers=headers)):
            with suppress(ValueError):
                return float(headers.get("retry-after", 0))
    return 0.0


def _import_openai() -> ModuleType:
    try:
        import openai
    except ImportError:
        raise InputError(
            "EndpointGenerator needs the package 'openai'; pip install 'recross[endpoint]'"
        ) from None
    return openai
