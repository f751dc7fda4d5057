"""The first stage against its peers: encoding, and search by dense and by sparse products.

    python benchmarks/first_stage.py [--json [FILE]] [--rounds 5] [--documents 256] [--queries 500]
                                     [--collection BEIR_FOLDER]

One thread, variants interleaved, medians of per-round ratios of processor time. Texts are those of
the embedded collection unless another is named. The peer of encoding is
``SentenceTransformer.encode`` in batches of 32, that of dense search ``faiss.IndexFlatIP`` over
random vectors, that of BM25 ``bm25s.BM25.retrieve`` on numpy, and on numba where that is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import bm25s
import faiss
import numpy as np
import torch
from rounds import processor_seconds
from sentence_transformers import SentenceTransformer

from recross.checkpoints.location import locate
from recross.collections.apidocs import Apidocs
from recross.collections.collection import Collection
from recross.collections.files import BeirFolder
from recross.machine.hardware import Hardware
from recross.machine.processor import read_processor_name
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.posting_search import PostingIndex
from recross.retrieval.vector_index import search_exactly

EMBEDDED = "embedded:all-minilm-l6-v2"
PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sklearn")
MAX_LENGTH = 256
DEPTH = 100
DIMENSION = 384
STDOUT = "-"

Variants = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Measured:
    """Seconds of each variant in each round, the first one the peer, for ``count`` texts."""

    what: str
    count: int
    seconds: dict[str, list[float]]
    difference: dict[str, float]

    def ratios(self) -> dict[str, float]:
        """How many times as fast as the peer each variant is."""
        peer = next(iter(self.seconds.values()))
        return {
            name: statistics.median(a / b for a, b in zip(peer, own, strict=True))
            for name, own in self.seconds.items()
        }

    def show(self) -> None:
        """Print one table."""
        print(f"\n{self.what}: {self.count} texts, one thread")
        print(f"{'variant':34}{'texts/s':>10}{'ratio':>8}{'difference':>12}")
        for name, ratio in self.ratios().items():
            speed = self.count / statistics.median(self.seconds[name])
            print(f"{name:34}{speed:10,.0f}{ratio:8.2f}{self.difference[name]:12.1e}")


def encoding(texts: list[str], rounds: int) -> Measured:
    """Documents to unit vectors; the difference is the largest of one component."""
    peer = SentenceTransformer(locate(EMBEDDED), device="cpu")
    peer.max_seq_length = MAX_LENGTH
    variants: Variants = {
        "sentence-transformers encode": lambda: peer.encode(
            texts, normalize_embeddings=True, show_progress_bar=False
        )
    }
    for precision in ("fp32", "bf16"):
        hardware = Hardware(precision=precision, threads=1)
        if hardware.effective_precision == precision:
            ours = BiEncoder(EMBEDDED, max_length=MAX_LENGTH, hardware=hardware)
            variants[f"packed {precision}"] = lambda ours=ours: ours.encode(texts, "document")
    return compared("encoding", len(texts), variants, rounds)


def dense(documents: int, queries: int, rounds: int, folder: Path) -> Measured:
    """The best 100 of random unit vectors; the difference is that of one score."""
    rng = np.random.default_rng(0)
    vectors, asked = (unit(rng.normal(size=(size, DIMENSION))) for size in (documents, queries))
    vectors.astype(np.float16).tofile(folder / "vectors.bin")
    half = np.memmap(folder / "vectors.bin", np.float16, "c", shape=vectors.shape)
    stored = DocumentVectors(half, [str(row) for row in range(documents)])
    peer = faiss.IndexFlatIP(DIMENSION)
    peer.add(half.astype(np.float32))
    variants: Variants = {
        "faiss IndexFlatIP, fp32 in memory": lambda: peer.search(asked, DEPTH)[0],
        "block by block, fp16 on disk": lambda: np.stack(
            [padded(scores, DEPTH) for _, scores in search_exactly(stored, asked, DEPTH)]
        ),
    }
    return compared(f"dense search, {documents} vectors", queries, variants, rounds)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one, in single precision."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def lexical(collection: Collection, queries: int, rounds: int, store: Path) -> Measured:
    """The best 100 documents of tokenised queries; the difference is that of one score."""
    retriever = BM25(store=store)
    index = PostingIndex.open(retriever._index(collection))
    asked = retriever._split_queries(list(collection.queries.values())[:queries])
    documents = retriever._split_queries(list(collection.documents.values()))
    depth = min(DEPTH, len(documents))

    def theirs(backend: str) -> Callable[[], np.ndarray]:
        own = bm25s.BM25(k1=retriever.k1, b=retriever.b, method=retriever.method, backend=backend)
        own.index(documents, show_progress=False)
        return lambda: own.retrieve(asked, k=depth, show_progress=False)[1]

    variants: Variants = {"bm25s on numpy": theirs("numpy")}
    if find_spec("numba"):
        variants["bm25s on numba"] = theirs("numba")
    variants["sparse product"] = lambda: np.stack(
        [padded(scores, depth) for _, scores in index.search(asked, depth)]
    )
    return compared(f"BM25, {len(documents)} documents", len(asked), variants, rounds)


def padded(scores: np.ndarray, depth: int) -> np.ndarray:
    """The best ``depth`` scores in descending order, zeros where there are fewer."""
    best = np.sort(scores)[::-1][:depth]
    return np.pad(best, (0, depth - len(best)))


def compared(what: str, count: int, variants: Variants, rounds: int) -> Measured:
    """Time the variants in turn, after one round that warms them; the first one is the peer."""
    found = {name: run() for name, run in variants.items()}
    seconds = processor_seconds(variants, rounds)
    exact = next(iter(found.values()))
    off = {name: float(np.abs(values - exact).max()) for name, values in found.items()}
    return Measured(what, count, seconds, off)


def main() -> None:
    """Print the tables, or one JSON object."""
    asked = options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = (
            BeirFolder(asked.collection)
            if asked.collection
            else Apidocs(PACKAGES, body_words=asked.body_words, store=folder)
        )
        collection = source.load()
        texts = list(collection.documents.values())
        texts = texts[:: max(len(texts) // asked.documents, 1)][: asked.documents]
        measured = [
            lexical(collection, asked.queries, asked.rounds, folder),
            dense(asked.vectors, asked.queries, asked.rounds, folder),
            encoding(texts, asked.rounds),
        ]
    found = json.dumps(
        {
            "ratios": {one.what: one.ratios() for one in measured},
            "differences": {one.what: one.difference for one in measured},
            "processor": read_processor_name(),
        }
    )
    if asked.json is None:
        for one in measured:
            one.show()
    elif asked.json == STDOUT:
        print(found)
    else:
        Path(asked.json).write_text(found + "\n", encoding="utf-8")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", type=Path, help="BEIR folder")
    parser.add_argument("--documents", type=int, default=256, help="documents to encode")
    parser.add_argument("--vectors", type=int, default=100_000, help="vectors to search")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--body-words", type=int, default=50, help="words of a document at most")
    parser.add_argument("--json", nargs="?", const=STDOUT, metavar="FILE", help="- is the default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
