"""Forms of a cross-encoder in 8 bits: how fast, how near to fp32, and whether neighbours matter.

    python benchmarks/int8.py CHECKPOINT [--collection BEIR_FOLDER] [--queries 50] [--json]

``CHECKPOINT`` is a trained cross-encoder's folder, such as an experiment's ``checkpoint``; it
re-ranks BM25's first 100 documents of the collection's first test queries. One thread, variants
interleaved, medians of per-round ratios of processor time against the padding-free fp32 forward.
``neighbours`` is the largest change of a score when batches hold 256 tokens instead of 2,048.
OpenVINO's forms are tried where openvino and nncf are installed; forms that want calibration get
texts of later queries. The verdict is that of ``conf/run.yaml``'s quality gate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from reduced_forms import BUDGET, Form, forms

from recross.collections.collection import Collection
from recross.collections.files import BeirFolder
from recross.experiment.quality_gate import Judgments, QualityGate, compare_runs
from recross.inference.batches import PackedBatch
from recross.inference.sequences import Sequences, token_budget
from recross.machine.processor import read_processor_name
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.bm25 import BM25
from recross.runs import Run

CPU = torch.device("cpu")
SMALL_BUDGET, CALIBRATION = 256, 10
REAL = Path(__file__).parents[2] / "shared" / "collections" / "scifact"


class Task:
    """BM25's first documents of some test queries as token sequences."""

    def __init__(self, checkpoint: Path, collection: Collection, queries: list[str]) -> None:
        with tempfile.TemporaryDirectory() as store:
            self.candidates = BM25(store=Path(store)).retrieve(collection, queries, 100)
        self.network = CrossEncoder(str(checkpoint)).load()
        pairs = [(q, d.doc_id) for q, ranking in self.candidates.rankings.items() for d in ranking]
        texts = (
            [collection.queries[q] for q, _ in pairs],
            [collection.documents[d] for _, d in pairs],
        )
        self.sequences = self.network.encode(*texts, [(n, n) for n in range(len(pairs))])

    def batches(
        self, count: int | None = None, budget: int = BUDGET
    ) -> Iterator[tuple[np.ndarray, PackedBatch]]:
        """Numbers of sequences with their batch; ``count`` takes them evenly from all."""
        chosen = np.arange(len(self.sequences))
        if count is not None:
            chosen = np.linspace(0, len(chosen) - 1, count).astype(np.int64)
        part: Sequences = self.sequences.take(chosen)
        for which in token_budget(part.lengths, budget):
            yield which, part.take(which).on(CPU)

    def scores(self, form: Form, count: int | None = None, budget: int = BUDGET) -> np.ndarray:
        """Logits in the order of the pairs."""
        found = np.empty(len(self.sequences) if count is None else count, dtype=np.float32)
        for which, batch in self.batches(count, budget):
            found[which] = form(batch).squeeze(-1).float().numpy()
        return found

    def run(self, scores: np.ndarray) -> Run:
        """Scores of all pairs as a run."""
        values = iter(scores.tolist())
        rankings = self.candidates.rankings
        return Run.from_scores(
            "form",
            {q: {d.doc_id: next(values) for d in ranking} for q, ranking in rankings.items()},
        )


def ratios(task: Task, tried: Mapping[str, Form], rounds: int, count: int) -> dict[str, float]:
    """How many times faster than the first; medians of per-round ratios."""
    spent: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(rounds + 1):
        for name, form in tried.items():
            start = time.process_time()
            task.scores(form, count)
            spent[name].append(time.process_time() - start)
    base, *_ = spent.values()
    return {
        name: statistics.median(b / own for b, own in zip(base[1:], times[1:], strict=True))
        for name, times in spent.items()
    }


def main() -> None:
    """Print the table, or one JSON object."""
    asked = options()
    torch.set_num_threads(1)
    collection = BeirFolder(asked.collection).load()
    every = list(collection.query_ids("test"))
    chosen, others = every[: asked.queries], every[-CALIBRATION:]
    task = Task(asked.checkpoint, collection, chosen)
    calibration = Task(asked.checkpoint, collection, others)
    sample = [batch for _, batch in calibration.batches(300, 512)]
    qrels = {query_id: collection.qrels("test")[query_id] for query_id in chosen}
    judgments = Judgments(qrels, "MRR@10", collection.relevant_from)
    gate = QualityGate(on_failure="record")
    with tempfile.TemporaryDirectory() as store, torch.no_grad():
        tried = forms(task.network.model, sample, Path(store))
        faster = ratios(task, tried, asked.rounds, asked.timed)
        reference = task.run(task.scores(tried["fp32"]))
        rows: dict[str, dict[str, Any]] = {}
        for name, form in tried.items():
            alone = task.scores(form, asked.timed, SMALL_BUDGET)
            found = compare_runs(task.run(task.scores(form)), reference, judgments)
            rows[name] = {
                "times_faster": faster[name],
                "neighbours": float(np.abs(alone - task.scores(form, asked.timed)).max()),
                "passes": not gate.failures(found),
                **found,
            }
            if not asked.json:
                print(_line(name, rows[name]), flush=True)
    if asked.json:
        print(json.dumps({"processor": read_processor_name(), "forms": rows}, indent=2))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--collection", type=Path, default=REAL, help="BEIR folder, its test split")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timed", type=int, default=200, help="pairs that are timed")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _line(name: str, row: Mapping[str, Any]) -> str:
    return (
        f"{name:<44}{row['times_faster']:6.2f}x  max diff {row['score_difference']:.4f}"
        f"  tau {row['tau_mean']:.4f} min {row['tau_min']:.3f}  top 10 {row['top_10_overlap']:.3f}"
        f"  MRR@10 {row['measure_difference']:+.4f}  neighbours {row['neighbours']:.1e}"
        f"  {'passes' if row['passes'] else 'fails'}"
    )


if __name__ == "__main__":
    main()
