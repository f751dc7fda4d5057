"""Bi-encoders of which one or two are known here (revisions and licences as in mteb)."""

from __future__ import annotations

from recross.checkpoints.published.record import describe_embedder

_INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)

CHECKPOINTS = (
    describe_embedder(  # Izacard et al. 2021; their folders hold an encoder alone
        "facebook/contriever", similarity="dot"
    ),
    describe_embedder(
        "facebook/contriever-msmarco",
        "abe8c1493371369031bcb1e02acb754cf4e162fa",
        similarity="dot",
    ),
    describe_embedder(  # transformers knows its newest files, so that no commit is pinned
        "nomic-ai/nomic-embed-text-v1.5",
        licence="Apache-2.0",
        max_length=8192,
        prompts=("search_query: ", "search_document: "),
    ),
    describe_embedder(
        "Alibaba-NLP/gte-modernbert-base",
        "7ca8b4ca700621b67618669f5378fe5f5820b8e4",
        "Apache-2.0",
        pooling="cls",
        max_length=8192,
    ),
    describe_embedder(
        "Qwen/Qwen3-Embedding-0.6B",
        "b22da495047858cce924d27d76261e96be6febc0",
        "Apache-2.0",
        pooling="lasttoken",
        max_length=8192,
        prompts=(_INSTRUCTION, ""),
    ),
    describe_embedder(
        "google/embeddinggemma-300m",
        "64614b0b8b64f0c6c1e52b07e4e9a4e8fe4d2da2",
        "Gemma",
        max_length=2048,
        prompts=("task: search result | query: ", "title: none | text: "),
    ),
)
