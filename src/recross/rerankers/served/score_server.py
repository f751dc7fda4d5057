"""Scores of one query's documents from a server, checked before anybody uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from recross.inference.items import Scores
from recross.records import Json, JsonObject
from recross.rerankers.remote.json_server import JsonServer
from recross.rerankers.remote.patience import EndpointError
from recross.rerankers.served.dialects import Asked, Dialect

LARGEST_SCORE = float(np.finfo(np.float32).max)
"""Scores are kept and compared in single precision."""


class Scored(NamedTuple):
    """One score per document, in their order, the tokens read where the server says, and tries."""

    scores: Scores
    tokens: int
    retries: int


class ScoreServer:
    """One model behind a server that speaks a dialect, for any number of threads."""

    def __init__(self, server: JsonServer, dialect: Dialect, model: str, extra: JsonObject) -> None:
        self._server, self._dialect, self._model, self._extra = server, dialect, model, extra
        self._named: str | None = None

    def introduce(self) -> JsonObject:
        """What the server says of itself that changes scores; nothing, if in another form.

        Raises:
            EndpointError: there is no such server.
        """
        try:
            return self._dialect.introduce(self._server.look_up)
        except (LookupError, TypeError, AttributeError):
            return {}

    def score(self, asked: Asked, stop: threading.Event) -> Scored:
        """Score the documents; ``stop`` ends the waiting between two tries.

        Raises:
            EndpointError: the server refused, failed too often, or its answer is not one finite
                score for each document.
        """
        request = {**self._dialect.request(self._model, asked), **self._extra}
        answer, retries = self._server.post(self._dialect.path, request, stop)
        try:
            results = list(self._dialect.read(answer))
        except (LookupError, TypeError) as error:
            raise self._misread(f"its answer has another form ({error!r})") from None
        if problem := find_problem(results, len(asked.documents)):
            raise self._misread(problem)
        self._check_model(answer)
        scores = np.empty(len(results), dtype=np.float32)
        for place, score in results:
            scores[place] = score
        return Scored(scores, count_tokens(answer), retries)

    def _check_model(self, answer: Json) -> None:
        """Refuse the answers of two models, such as those of a gateway that falls back."""
        match answer:
            case {"model": str(name)}:
                first, self._named = self._named or name, self._named or name
                if name != first:
                    raise self._misread(f"model {first!r} has answered before, and now {name!r}")

    def _misread(self, problem: str) -> EndpointError:
        kind = type(self._dialect).__name__
        return EndpointError(
            f"{self._server.base_url} was asked as {kind} for scores, but {problem}"
        )


def find_problem(results: Iterable[tuple[Json, Json]], count: int) -> str | None:
    """Why results are not one finite score for each of ``count`` documents."""
    seen = set[int]()
    for place, score in results:
        match place, score:
            case (bool(), _) | (_, bool()):
                return f"one result is {place!r} with the score {score!r}"
            case int(), int() | float():
                if not 0 <= place < count:
                    return f"it scored document {place} of {count}, counted from 0"
                if place in seen:
                    return f"it scored document {place} twice"
                if not abs(score) <= LARGEST_SCORE:  # NaN is no smaller
                    return f"the score of document {place} is {score}"
                seen.add(place)
            case _:
                return f"one result is {place!r} with the score {score!r}"
    return None if len(seen) == count else f"it scored {len(seen)} of {count} documents"


def count_tokens(answer: Json) -> int:
    """Tokens that an answer says were read; 0 where it does not."""
    match answer:
        case {"usage": {"total_tokens": int(tokens)}} | {"usage": {"prompt_tokens": int(tokens)}}:
            return tokens
    return 0
