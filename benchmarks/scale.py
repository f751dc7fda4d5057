"""How time and memory of re-ranking grow with the number of pairs: both must be linear.

    python benchmarks/scale.py [--full] [--plot FILE.png] [--json]

A process of its own re-ranks each size, so that its peak is its own: 100 candidates a query, drawn
from 20,000 short documents, through a random network of one layer of 64, one thread, no cache.
``added`` is what re-ranking takes beyond the loaded network, collection and candidates.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workload import random_checkpoint, text

from recross.collections.collection import Collection
from recross.machine.hardware import Hardware
from recross.records import ScoredDoc
from recross.rerankers.cross_encoder import CrossEncoder
from recross.runs import Run

DEPTH = 100
DOCUMENTS = 20_000
SIZES = (1_000, 10_000, 100_000)


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="a million pairs, too")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, help=argparse.SUPPRESS)  # one process of the table
    asked = parser.parse_args()
    if asked.pairs is not None:
        print(json.dumps(rerank(asked.pairs)))
        return
    sizes = (*SIZES, 1_000_000) if asked.full else SIZES
    rows = [alone(pairs) for pairs in sizes]
    if asked.plot is not None:
        plot(rows, asked.plot)
    print(json.dumps({"rows": rows})) if asked.json else show(rows)


def alone(pairs: int) -> dict[str, Any]:
    """Re-rank in a fresh process."""
    command = [sys.executable, __file__, "--pairs", str(pairs)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return row


def rerank(pairs: int) -> dict[str, Any]:
    """Seconds and megabytes of re-ranking so many pairs."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    collection, candidates = candidates_of(pairs, rng)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(random_checkpoint(Path(folder), "tiny"))
        reranker = CrossEncoder(checkpoint, hardware=Hardware(threads=1))
        reranker.score("warm", ["up"])
    before, processor, start = peak_mb(), time.process_time(), time.perf_counter()
    cost = reranker.rerank(candidates, collection).cost
    return {
        "pairs": pairs,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "tokenize_seconds": cost.tokenize_seconds,
        "forward_seconds": cost.forward_seconds,
        "peak_mb": peak_mb(),
        "added_mb": peak_mb() - before,
    }


def candidates_of(pairs: int, rng: np.random.Generator) -> tuple[Collection, Run]:
    """Random candidates of random queries over one pool of documents."""
    documents = {f"d{n}": text(int(rng.integers(5, 20)), rng) for n in range(DOCUMENTS)}
    queries = {f"q{n}": text(4, rng) for n in range(pairs // DEPTH)}
    collection = Collection("random", documents, queries, {"test": tuple(queries)}, {}, "random")
    doc_ids = list(documents)
    rankings = {}
    for query_id in queries:
        drawn = rng.choice(len(doc_ids), DEPTH, replace=False)
        ranked = (ScoredDoc(doc_ids[n], float(-rank)) for rank, n in enumerate(drawn))
        rankings[query_id] = tuple(ranked)
    return collection, Run("random", rankings)


def peak_mb() -> float:
    """The most memory this process has held, in megabytes; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(rows: list[dict[str, Any]]) -> None:
    titles = ("pairs", "seconds", "us / pair", "peak MB", "added MB", "B / pair")
    print("".join(f"{title:>10}" for title in titles))
    for row in rows:
        print(
            f"{row['pairs']:10,}{row['seconds']:10.2f}"
            f"{row['processor_seconds'] / row['pairs'] * 1e6:10.1f}"
            f"{row['peak_mb']:10.0f}{row['added_mb']:10.1f}"
            f"{row['added_mb'] * 2**20 / row['pairs']:10.0f}"
        )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw both against the number of pairs, with the line of linear growth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    pairs = [row["pairs"] for row in rows]
    for axis, name, label in zip(
        axes,
        ("processor_seconds", "peak_mb"),
        ("processor time (s)", "peak memory (MB)"),
        strict=True,
    ):
        axis.loglog(pairs, [row[name] for row in rows], "o-", label="measured")
        axis.set(xlabel="pairs", ylabel=label)
    per_pair = rows[-1]["processor_seconds"] / pairs[-1]
    axes[0].loglog(pairs, [n * per_pair for n in pairs], ":", label="linear")
    axes[0].legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
