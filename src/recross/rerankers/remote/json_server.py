"""A server that takes and gives JSON, asked again while that may help."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from contextlib import suppress
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import NamedTuple
from urllib.parse import urlsplit

from recross.errors import InputError
from recross.machine.packages import is_installed
from recross.records import Json, JsonObject
from recross.rerankers.remote.patience import EndpointError, Patience

LONGEST_REASON = 300
WORTH_ANOTHER_TRY = (408, 409, 429)
KEY_REFUSED = (401, 403)


class JsonReply(NamedTuple):
    """An answer and how often it had to be asked for again."""

    answer: Json
    retries: int


class JsonServer:
    """A connection to one server, for any number of threads.

    The key is read from its variable here, sent in the header, and stored nowhere else.
    """

    def __init__(self, base_url: str, api_key_variable: str | None, patience: Patience) -> None:
        self._httpx = _import_httpx()
        self.base_url = base_url
        self._variable = api_key_variable
        self._patience = patience
        key = _read_key(api_key_variable) if api_key_variable else ""
        self._client = self._httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=patience.timeout_seconds,
            limits=self._httpx.Limits(max_connections=None),
        )
        self.close = weakref.finalize(self, self._client.close)
        """Closes the connections, at the latest when nobody has a use for this any more."""

    def post(self, path: str, request: JsonObject, stop: threading.Event) -> JsonReply:
        """Send a request until it is answered; ``stop`` ends the waiting between two tries.

        Raises:
            EndpointError: the server refused, failed more than ``max_retries`` times, or gave no
                JSON.
        """
        body = json.dumps(request).encode()  # in ASCII: half a surrogate pair passes
        reply = self._ask("POST", path, body, stop)
        match reply.answer:
            case Refusal() as refusal:
                raise self._explained(refusal, reply.retries)
            case content:
                return JsonReply(self._parse(content), reply.retries)

    def look_up(self, path: str) -> Json | None:
        """What the server says under a path; ``None`` where it has no JSON there.

        Raises:
            EndpointError: it failed more than ``max_retries`` times.
        """
        reply = self._ask("GET", path, None, threading.Event())
        match reply.answer:
            case Refusal(may_pass=True) as refusal:
                raise self._explained(refusal, reply.retries)
            case Refusal():
                return None
            case bytes(content):
                with suppress(ValueError):
                    return json.loads(content)
        return None

    def _ask(self, method: str, path: str, body: bytes | None, stop: threading.Event) -> _Tried:
        """Ask until there is an answer or a refusal that is not worth another try."""
        tries = 0
        while True:
            tries += 1
            answer = self._try(method, path, body)
            if not isinstance(answer, Refusal) or not answer.may_pass:
                return _Tried(answer, tries - 1)
            wait = self._patience.wait_seconds(tries, answer.asked_for)
            if tries > self._patience.max_retries or stop.wait(wait):
                return _Tried(answer, tries - 1)

    def _try(self, method: str, path: str, body: bytes | None) -> bytes | Refusal:
        try:
            response = self._client.request(
                method,
                f"{self.base_url.rstrip('/')}/{path}",
                content=body,
                headers={"Content-Type": "application/json"} if body is not None else {},
            )
        except self._httpx.RequestError as error:
            return Refusal(str(error) or type(error).__name__, None, 0.0)
        if response.is_success:
            return bytes(response.content)
        said = f"{response.status_code} {read_reason(response.content)}".strip()
        return Refusal(said, response.status_code, read_wait(response.headers.get("retry-after")))

    def _parse(self, content: bytes) -> Json:
        try:
            return json.loads(content)
        except ValueError:
            said = _shorten(content.decode(errors="replace"))
            raise EndpointError(
                f"{self.base_url} answered with something that is no JSON: {self._hide(said)!r}"
            ) from None

    def _explained(self, refusal: Refusal, retries: int) -> EndpointError:
        has_key = "authorization" in self._client.headers
        if refusal.status in KEY_REFUSED and (refusal.status == KEY_REFUSED[0] or not has_key):
            problem = f"the one in {self._variable} is not accepted" if has_key else "none is set"
            return EndpointError(
                f"{self.base_url} wants an API key, and {problem};"
                f" api_key_variable names the variable to read it from ({self._variable})"
            )
        often = f" after {retries + 1} tries" if retries else ""
        return EndpointError(f"{self.base_url} gave no answer{often}: {self._hide(refusal.reason)}")

    def _hide(self, text: str) -> str:
        """The text without the key, which a server may repeat."""
        key = self._client.headers.get("authorization", "").removeprefix("Bearer ")
        return text.replace(key, "***") if key else text


class Refusal(NamedTuple):
    """Why there is no answer: what the server or the connection said, the status, the wait."""

    reason: str
    status: int | None
    asked_for: float

    @property
    def may_pass(self) -> bool:
        """Whether asking again may help."""
        return self.status is None or self.status >= 500 or self.status in WORTH_ANOTHER_TRY


class _Tried(NamedTuple):
    answer: bytes | Refusal
    retries: int


def check_address(base_url: str) -> None:
    """Refuse what is no address, and what would write a secret into results.

    Raises:
        InputError: it is none, or holds a user, a password or a query.
    """
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise InputError(f"base_url must begin with http:// or https://, got {base_url!r}")
    if address.username or address.password or address.query:
        raise InputError(
            "base_url must hold no user, password or query, which would be written into results;"
            " put the key into the variable that api_key_variable names"
        )


def _read_key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():  # an error about a header would show it
        raise InputError(f"{variable} must hold an API key of one line in ASCII")
    return key


def read_reason(content: bytes) -> str:
    """What a server says of a failure, in any of the forms in use, in one short line."""
    text = content.decode(errors="replace")
    try:
        said = json.loads(text)
    except ValueError:
        return _shorten(text)
    match said:
        case {"error": {"message": str(reason)}} | {"error": str(reason)}:  # OpenAI, vLLM; TEI
            return _shorten(reason)
        case {"message": str(reason)} | {"detail": str(reason)}:  # Cohere; Jina, FastAPI
            return _shorten(reason)
    return _shorten(text)


def read_wait(header: str | None) -> float:
    """Seconds that a server asks to be left alone, by number or by date (RFC 9110, 10.2.3)."""
    if not header:
        return 0.0
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0


def _shorten(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def _import_httpx() -> ModuleType:
    if not is_installed("httpx"):
        raise InputError(
            "a server is asked with the package 'httpx'; pip install 'recross[endpoint]'"
        )
    import httpx

    return httpx
