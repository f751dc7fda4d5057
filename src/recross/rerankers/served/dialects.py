"""How servers are asked for scores: one class for each form of request and answer in use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from recross.parts.bounds import checked
from recross.records import Json, JsonObject

LookUp = Callable[[str], Json]
"""What a server says under a path; nothing where it has nothing there."""


class Asked(NamedTuple):
    """One query and the documents that one request is about."""

    query: str
    documents: tuple[str, ...]


class Dialect(ABC):
    """A form of request for the scores of one query's documents, and of the answer to it."""

    path: str
    """Where requests go, below the address of the server."""

    @abstractmethod
    def request(self, model: str, asked: Asked) -> JsonObject:
        """The request, as the server wants it."""

    @abstractmethod
    def read(self, answer: Json) -> Iterable[tuple[Json, Json]]:
        """Place among the documents asked for, and score, of each result, in any order.

        Raises:
            LookupError: the answer lacks a field.
            TypeError: it is of another form.
        """

    def introduce(self, look_up: LookUp) -> JsonObject:
        """What the server says of itself that changes scores: checkpoint, revision, version."""
        return {}


@dataclass(frozen=True)
@checked
class VllmScore(Dialect):
    """The Score API of vLLM, which also scores by late interaction and by cosine.

    Request ``{model, text_1, text_2, use_activation}``, answer ``{data: [{index, score}]}``
    (vllm-project/vllm, entrypoints/pooling/scoring/protocol.py). ``raw_scores`` asks for logits; a
    server too old to know ``use_activation`` gives probabilities instead. Documents beyond the
    model's length are refused, unless ``extra_body`` holds ``truncate_prompt_tokens: -1``, which
    cuts a prompt's end, where templates have their last words.
    """

    path: str = "score"
    raw_scores: bool = True

    def request(self, model: str, asked: Asked) -> JsonObject:
        """One text against many."""
        return {
            "model": model,
            "text_1": asked.query,
            "text_2": list(asked.documents),
            "use_activation": not self.raw_scores,
        }

    def read(self, answer: Json) -> Iterable[tuple[Json, Json]]:
        """Results under ``data``."""
        return [(result["index"], result["score"]) for result in answer["data"]]

    def introduce(self, look_up: LookUp) -> JsonObject:
        """The version of vLLM, and the checkpoint behind each name that is served."""
        version, models = look_up("version"), look_up("v1/models")
        served = models["data"] if models else []
        return {
            "version": version["version"] if version else None,
            "checkpoints": {model["id"]: model.get("root") for model in served},
        }


@dataclass(frozen=True)
@checked
class TeiRerank(Dialect):
    """The re-ranking of text-embeddings-inference.

    Request ``{query, texts, raw_scores, truncate, return_text}``, answer ``[{index, score}]``,
    best first; ``/info`` names the model, its revision and its precision
    (huggingface/text-embeddings-inference, docs/openapi.json of 1.7). The server serves one model,
    so that none is named in a request. It takes 32 texts at once unless it was started with
    another ``--max-client-batch-size``.
    """

    path: str = "rerank"
    raw_scores: bool = True
    truncate: bool = True

    def request(self, model: str, asked: Asked) -> JsonObject:
        """One query and its texts."""
        return {
            "query": asked.query,
            "texts": list(asked.documents),
            "raw_scores": self.raw_scores,
            "truncate": self.truncate,
            "return_text": False,
        }

    def read(self, answer: Json) -> Iterable[tuple[Json, Json]]:
        """Results at the top level."""
        return [(result["index"], result["score"]) for result in answer]

    def introduce(self, look_up: LookUp) -> JsonObject:
        """Model, revision, precision and version."""
        said = look_up("info") or {}
        named = ("model_id", "model_sha", "model_dtype", "version")
        return {name: said.get(name) for name in named}


@dataclass(frozen=True)
@checked
class RerankV1(Dialect):
    """The re-ranking of Jina, which Infinity, vLLM and most gateways speak too.

    Request ``{model, query, documents, top_n, return_documents}``, answer ``{results: [{index,
    relevance_score}]}``, best first (https://api.jina.ai; michaelfeil/infinity,
    fastapi_schemas/pymodels.py; vllm-project/vllm, entrypoints/pooling/scoring/protocol.py).
    Infinity's path is ``rerank``; its logits and vLLM's want an ``extra_body`` of
    ``raw_scores: true`` and of ``use_activation: false``.
    """

    path: str = "v1/rerank"

    def request(self, model: str, asked: Asked) -> JsonObject:
        """One query and its documents, all of which are wanted back, without their texts."""
        return {
            "model": model,
            "query": asked.query,
            "documents": list(asked.documents),
            "top_n": len(asked.documents),
            "return_documents": False,
        }

    def read(self, answer: Json) -> Iterable[tuple[Json, Json]]:
        """Results under ``results``."""
        return _read_results(answer)


@dataclass(frozen=True)
@checked
class RerankV2(Dialect):
    """The second version of Cohere's re-ranking, which vLLM speaks too.

    Request ``{model, query, documents, top_n}``, answer ``{results: [{index, relevance_score}]}``,
    best first (https://docs.cohere.com/reference/rerank; cohere-ai/cohere-python,
    v2/raw_client.py). Cohere recommends at most 1,000 documents at once, and cuts each to 4,096
    tokens unless ``extra_body`` holds another ``max_tokens_per_doc``. Its scores are from 0 to 1.
    """

    path: str = "v2/rerank"

    def request(self, model: str, asked: Asked) -> JsonObject:
        """One query and its documents, all of which are wanted back."""
        return {
            "model": model,
            "query": asked.query,
            "documents": list(asked.documents),
            "top_n": len(asked.documents),
        }

    def read(self, answer: Json) -> Iterable[tuple[Json, Json]]:
        """Results under ``results``."""
        return _read_results(answer)


def _read_results(answer: Json) -> list[tuple[Json, Json]]:
    return [(result["index"], result["relevance_score"]) for result in answer["results"]]
