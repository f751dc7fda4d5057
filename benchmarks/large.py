"""Time and memory of every stage over synthetic collections of 10,000 to a million documents.

    python benchmarks/large.py [--sizes 10000 100000 1000000] [--folder DIR] [--plot FILE.png]

Documents are written, indexed for BM25, tokenised, turned into vectors of 384 numbers, clustered
and coded by faiss (IVF-PQ); 1,000 queries are searched in both indexes, and their best 100 of BM25
are re-ranked through a random network of one layer of 64. Each stage runs in a process of its own,
one thread, and leaves its row in DIR: what was measured is not measured again, and an interrupted
stage goes on with its next part. Vectors come from no network: they are sums of random
directions of tokens, weighted by rarity, so that documents that share rare words are near.

``anonymous`` is memory that is the process's own; ``peak`` counts mapped files, too, which the
system takes back when others need it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scale_plan import count_cells
from workload import random_checkpoint

from recross.checkpoints.source import load_tokenizer
from recross.collections.collection import Collection
from recross.collections.synthetic import Synthetic
from recross.inference.encoders.pooled import EncodedTexts
from recross.inference.texts.collection_texts import CollectionTexts
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware
from recross.report.figures import (
    COLOURS,
    SHAPES,
    name_lines,
    open_figure,
    place_whole_numbers,
    save_figure,
)
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.approximate_index import IVFPQ
from recross.retrieval.bm25 import BM25
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import retrieve_once
from recross.retrieval.vector_index import Exact, VectorIndex, VectorSearch
from recross.runs import Run
from recross.store import Store, write_json

SIZES = (10_000, 100_000, 1_000_000)
FORK = multiprocessing.get_context("fork")
"""A stage's process begins with what this one has imported, and nothing else."""
DEPTH = 100
DIMENSION = 384
TEXTS_AT_ONCE = 2_000
Stage = Callable[[Path, Collection], dict[str, Any]]


def main() -> None:
    """Measure what is not yet measured, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--folder", type=Path, default=Path("outputs/large"))
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    pairs = sorted(product(sorted(asked.sizes), STAGES), key=lambda pair: pair[1] == "rerank")
    rows = [measured(asked.folder, size, stage) for size, stage in pairs]  # the longest ones last
    show(rows)
    if asked.plot is not None:
        plot(rows, asked.plot)


def measured(folder: Path, size: int, stage: str) -> dict[str, Any]:
    """The row of a stage, measured in a process of its own unless it is there."""
    path = folder / str(size) / f"{stage}.json"
    if not path.is_file():
        process = FORK.Process(target=measure, args=(folder, size, stage))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{stage} of {size:,} documents ended with {process.exitcode}")
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row


def measure(folder: Path, size: int, stage: str) -> None:
    """Run one stage in this process and write its row."""
    torch.set_num_threads(1)
    place = folder / str(size)
    place.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    if stage != "write":
        collection = load(place, size)
    before, watch.highest = watch.read(), 0.0
    processor, start = time.process_time(), time.perf_counter()
    if stage == "write":
        collection = load(place, size)
    facts = STAGES[stage](place, collection)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = {
        "documents": size,
        "stage": stage,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time()
        - processor
        + children.ru_utime
        + children.ru_stime,
        "before_mb": before,
        "anonymous_mb": watch.end(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **facts,
    }
    write_json(place / f"{stage}.json", row)


class Watch:
    """The most memory of its own that this process has held, looked at ten times a second."""

    def __init__(self) -> None:
        self.highest = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def read(self) -> float:
        """Megabytes that are held now and no file's."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) / 1024

    def end(self) -> float:
        """Look a last time, and say the most."""
        self._is_over.set()
        self._thread.join()
        return max(self.highest, self.read())

    def _look(self) -> None:
        while not self._is_over.wait(0.1):
            self.highest = max(self.highest, self.read())


def load(place: Path, size: int) -> Collection:
    return Synthetic(size=size, store=place / "store").load()


def disk(place: Path, kind: str) -> dict[str, Any]:
    """Megabytes of the store's artefacts of a kind."""
    files = (path for path in (place / "store" / kind).rglob("*") if path.is_file())
    return {"disk_mb": sum(path.stat().st_size for path in files) / 2**20}


def write(place: Path, collection: Collection) -> dict[str, Any]:
    return {"queries": len(collection.query_ids("test")), **disk(place, "documents")}


def index_bm25(place: Path, collection: Collection) -> dict[str, Any]:
    BM25(store=place / "store").retrieve(collection, collection.query_ids("test")[:1], 1)
    return disk(place, "bm25")


def search_bm25(place: Path, collection: Collection) -> dict[str, Any]:
    run = retrieve_bm25(place, collection)
    return {"queries": len(run), **judge(run, collection)}


def retrieve_bm25(place: Path, collection: Collection) -> Run:
    bm25, query_ids = BM25(store=place / "store"), collection.query_ids("test")
    return retrieve_once(bm25, collection, query_ids, DEPTH, Store(place / "store"))


def judge(run: Run, collection: Collection) -> dict[str, Any]:
    """The share of queries whose document was found."""
    qrels = collection.qrels("test")
    found = [bool(qrels[q].keys() & set(run.doc_ids(q))) for q in run.rankings]
    return {"recall": sum(found) / len(found)}


def tokenise(place: Path, collection: Collection) -> dict[str, Any]:
    texts = CollectionTexts(collection, place / "store").all_documents()
    tokens = texts.take(np.arange(10)).tokens(load_tokenizer(str(checkpoint(place))))
    return {"tokens_of_ten": len(tokens.ids), **disk(place, "token_ids")}


def checkpoint(place: Path) -> Path:
    folder = place / "network"
    return folder if (folder / "config.json").is_file() else random_checkpoint(folder, "tiny")


class Projection:
    """Vectors of length 1: the sum of a random direction for each token, rare ones longer."""

    def __init__(self, place: Path, collection: Collection) -> None:
        self._tokenizer = load_tokenizer(str(checkpoint(place)))
        texts = CollectionTexts(collection, place / "store")
        self.documents = texts.all_documents()
        drawn = torch.Generator().manual_seed(0)
        size = len(self._tokenizer)
        sample = self.documents.take(np.arange(min(10_000, len(self.documents))))
        counts = np.bincount(sample.tokens(self._tokenizer).ids, minlength=size)
        rarity = torch.from_numpy(np.log(len(sample) / (counts + 1.0))).clamp(min=0.01).float()
        self._directions = torch.randn(size, DIMENSION, generator=drawn) * rarity[:, None]

    def encode(self, texts: NumberedTexts) -> Iterator[EncodedTexts]:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            rows = np.arange(start, min(start + TEXTS_AT_ONCE, len(texts)))
            tokens = texts.take(rows).tokens(self._tokenizer)
            ids = torch.from_numpy(tokens.ids.astype(np.int64))
            offsets = torch.from_numpy(np.asarray(tokens.offsets[:-1]))
            sums = F.embedding_bag(ids, self._directions, offsets, mode="sum")
            lengths = tokens.lengths
            yield EncodedTexts(rows, F.normalize(sums).numpy(), lengths, np.zeros_like(lengths))


def encode(place: Path, collection: Collection) -> dict[str, Any]:
    open_vectors(place, collection, Projection(place, collection))
    return disk(place, "vectors")


def open_vectors(place: Path, collection: Collection, encoder: Projection) -> DocumentVectors:
    def make(folder: Path) -> dict[str, Any]:
        ids = list(collection.documents)
        return DocumentVectors.write(folder, encoder.documents, ids, encoder.encode)

    store = Store(place / "store")
    return DocumentVectors.open(store.artefact("vectors", {"random": 0}, make, resumable=True))


def find(
    place: Path, collection: Collection, index: VectorIndex, query_ids: list[str]
) -> tuple[DocumentVectors, list[Any]]:
    """What an index finds for these queries, built first unless it is there."""
    encoder = Projection(place, collection)
    vectors = open_vectors(place, collection, encoder)
    texts, numbers = CollectionTexts(collection, place / "store").queries(query_ids)
    queries = np.concatenate([one.vectors for one in encoder.encode(texts)])[numbers]
    store = Store(place / "store")

    def keep(settings: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> Path:
        return store.artefact("faiss", settings, make, resumable=True)

    cpu = torch.device("cpu")
    return vectors, index.find(VectorSearch(vectors, queries, DEPTH, keep, cpu))


def ivfpq(collection: Collection) -> IVFPQ:
    """Cells as faiss advises: about four times the root of the number of documents."""
    lists = count_cells(len(collection.documents))
    return IVFPQ(lists=lists, probes=max(8, lists // 32), bytes=48)


def index_faiss(place: Path, collection: Collection) -> dict[str, Any]:
    index = ivfpq(collection)
    find(place, collection, index, list(collection.query_ids("test"))[:1])
    return {"lists": index.lists, "probes": index.probes, **disk(place, "faiss")}


def search_faiss(place: Path, collection: Collection) -> dict[str, Any]:
    query_ids = list(collection.query_ids("test"))
    vectors, found = find(place, collection, ivfpq(collection), query_ids)
    pairs = zip(query_ids, found, strict=True)
    run = make_run("faiss", vectors.doc_ids, pairs, DEPTH)
    return {"queries": len(run), **judge(run, collection)}


def search_exactly(place: Path, collection: Collection) -> dict[str, Any]:
    """100 queries; the share of each one's best documents that the approximate index finds."""
    query_ids = list(collection.query_ids("test"))[:100]
    _, exact = find(place, collection, Exact(), query_ids)
    _, found = find(place, collection, ivfpq(collection), query_ids)
    shares = [
        len(set(ours.rows.tolist()) & set(best.rows.tolist())) / len(best.rows)
        for ours, best in zip(found, exact, strict=True)
    ]
    return {"queries": len(query_ids), "overlap": float(np.mean(shares))}


def rerank(place: Path, collection: Collection) -> dict[str, Any]:
    candidates = retrieve_bm25(place, collection)
    reranker = CrossEncoder(
        str(checkpoint(place)), store=place / "store", hardware=Hardware(threads=1)
    )
    run = reranker.rerank(candidates, collection)
    return {"pairs": sum(map(len, run.rankings.values()))}


STAGES: dict[str, Stage] = {
    "write": write,
    "index_bm25": index_bm25,
    "search_bm25": search_bm25,
    "tokenise": tokenise,
    "encode": encode,
    "index_faiss": index_faiss,
    "search_faiss": search_faiss,
    "search_exactly": search_exactly,
    "rerank": rerank,
}


NAMES = (
    *("write the collection", "index BM25", "search BM25", "tokenise", "vectors by projection"),
    *("index IVF-PQ", "search IVF-PQ", "search exactly, 100 queries", "re-rank 100,000 pairs"),
)
"""What the plot calls the stages."""


def show(rows: list[dict[str, Any]]) -> None:
    titles = ("documents", "stage", "seconds", "CPU s", "own MB", "peak MB", "disk MB", "")
    print("".join(f"{title:>15}" for title in titles))
    for row in rows:
        about = {name: row[name] for name in ("recall", "overlap") if name in row}
        print(
            f"{row['documents']:15,}{row['stage']:>15}{row['seconds']:15.1f}"
            f"{row['processor_seconds']:15.1f}{row['anonymous_mb']:15.0f}{row['peak_mb']:15.0f}"
            f"{row.get('disk_mb', 0):15.0f}   "
            + " ".join(f"{name} {value:.3f}" for name, value in about.items())
        )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory of every stage against the number of documents, as PNG and SVG."""
    with open_figure(5.4) as figure:
        time_axes, memory_axes = figure.subplots(2, sharex=True)
        shown = []
        for number, (stage, name) in enumerate(zip(STAGES, NAMES, strict=True)):
            own = [row for row in rows if row["stage"] == stage]
            sizes = [row["documents"] for row in own]
            look = {"marker": SHAPES[number % len(SHAPES)], "color": COLOURS[number % len(COLOURS)]}
            look |= {"linestyle": "-" if number < len(COLOURS) else ":"}
            time_axes.plot(sizes, [row["processor_seconds"] for row in own], **look)
            (line,) = memory_axes.plot(sizes, [row["anonymous_mb"] for row in own], **look)
            shown.append((name, line))
        time_axes.set(ylabel="processor time, s", yscale="log")
        time_axes.yaxis.set_major_formatter("{x:,.10g}")
        time_axes.grid(alpha=0.3)
        place_whole_numbers(memory_axes)
        memory_axes.set(xlabel="documents", ylabel="the process's own memory, MB", ylim=(0, None))
        memory_axes.yaxis.set_major_formatter("{x:,.10g}")
        name_lines(figure, memory_axes, shown)
        save_figure(figure, path.parent, path.stem)


if __name__ == "__main__":
    main()
