"""The first stage against its peers: encoding without padding, BM25 search by a sparse product.

    python benchmarks/first_stage.py [--json] [--rounds 5] [--documents 256] [--queries 500]

One thread, variants interleaved, medians of per-round ratios of processor time. Texts are those of
the embedded collection. The peer of encoding is ``SentenceTransformer.encode`` in batches of 32,
that of BM25 is ``bm25s.BM25.retrieve`` on numpy, and on numba where that is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from recross.checkpoints import locate
from recross.collection import Collection
from recross.collections.apidocs import Apidocs
from recross.hardware import Hardware
from recross.retrieval import bm25
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25

EMBEDDED = "embedded:all-minilm-l6-v2"
PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sklearn")
MAX_LENGTH = 256
DEPTH = 100

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
            variants[f"packed {precision}"] = lambda ours=ours: ours.encode(texts)
    found, seconds = timed(variants, rounds)
    exact = found["sentence-transformers encode"]
    off = {name: float(np.abs(vectors - exact).max()) for name, vectors in found.items()}
    return Measured("encoding", len(texts), seconds, off)


def lexical(collection: Collection, queries: int, rounds: int, store: Path) -> Measured:
    """The best 100 documents of tokenised queries; the difference is that of one score."""
    retriever = BM25(store=store)
    folder = retriever._index(collection)
    index, doc_ids = bm25._load(folder)
    asked = retriever._tokenize(list(collection.queries.values())[:queries])
    depth = min(DEPTH, len(doc_ids))

    def theirs(backend: str) -> Callable[[], np.ndarray]:
        own, _ = bm25._load.__wrapped__(folder)
        own.backend = backend
        return lambda: own.retrieve(asked, k=depth, show_progress=False)[1]

    variants: Variants = {"bm25s on numpy": theirs("numpy")}
    if find_spec("numba"):
        variants["bm25s on numba"] = theirs("numba")
    variants["sparse product"] = lambda: np.stack(
        [padded(scores, depth) for _, scores in bm25.search(index, asked, depth)]
    )
    found, seconds = timed(variants, rounds)
    exact = found["bm25s on numpy"]
    off = {name: float(np.abs(scores - exact).max()) for name, scores in found.items()}
    return Measured("BM25", len(asked), seconds, off)


def padded(scores: np.ndarray, depth: int) -> np.ndarray:
    """The best ``depth`` scores in descending order, zeros where there are fewer."""
    best = np.sort(scores)[::-1][:depth]
    return np.pad(best, (0, depth - len(best)))


def timed(variants: Variants, rounds: int) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """What each variant finds, and its seconds of processor time in each round."""
    found = {name: run() for name, run in variants.items()}  # warm
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return found, seconds


def main() -> None:
    """Print the tables, or one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--documents", type=int, default=256)
    options.add_argument("--queries", type=int, default=500)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--body-words", type=int, default=50, help="words of a document at most")
    options.add_argument("--store", type=Path, default=Path("outputs/store"))
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    torch.set_num_threads(1)
    source = Apidocs(PACKAGES, body_words=asked.body_words, store=asked.store)
    collection = source.load()
    texts = list(collection.documents.values())
    texts = texts[:: max(len(texts) // asked.documents, 1)][: asked.documents]
    measured = [
        lexical(collection, asked.queries, asked.rounds, asked.store),
        encoding(texts, asked.rounds),
    ]
    if asked.json:
        print(json.dumps({"ratios": {one.what: one.ratios() for one in measured}}))
        return
    for one in measured:
        one.show()


if __name__ == "__main__":
    main()
