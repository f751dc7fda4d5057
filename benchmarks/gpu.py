"""Scoring and training on one GPU: equality, speed, and sentence-transformers beside it.

    python benchmarks/gpu.py > gpu.json

No argument, no network, random weights, under six minutes whatever happens; one JSON object on
stdout, what is being done on stderr; what there was no time for is named in ``left_out``. Without a
GPU it says so and exits 0. For each network: scores against fp32 on the processor (largest
difference in fp32, Kendall's tau in bf16 and fp16, mean over queries), pairs
per second end to end from kept token ids and from texts, of the forward alone, of training (AdamW,
dropout .1); the share of the machine's own product rate at the network's width; latency of one
query's 100 documents; the most memory that was held. Three runs begin with shapes that were never
seen: planning would show in the first of each. The peer is ``CrossEncoder.predict`` in bf16 at the
best of three batch sizes, with cuDNN's attention off, which plans for every shape.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from gpu_workload import (
    SIZES,
    Size,
    draw_candidates,
    make_collection,
    open_reranker,
    save_checkpoint,
)
from one_object import one_object_on_stdout
from scipy.stats import kendalltau

from recross.collections.collection import Collection
from recross.evaluation.latency import measure_reranking
from recross.inference.sequences import token_budget
from recross.inference.session import Session
from recross.machine.environment import describe_environment
from recross.machine.hardware import Hardware
from recross.records import TrainingGroup
from recross.runs import Run
from recross.training.data.groups import TrainingGroups
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.pointwise import Pointwise
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation

LAST_SECOND = 330.0
"""When it prints what it has and ends, whatever still runs."""

GROUP = 16
PEER_BATCHES = (32, 128, 512)
Found = dict[str, Any]
Scored = Mapping[tuple[str, str], float]
"""Scores of queries' documents."""


@dataclass(frozen=True)
class Extent:
    """How much is measured: by default what fits in five minutes on one card."""

    accelerator: Literal["cpu", "gpu"] = "gpu"
    sizes: Mapping[str, Size] = field(default_factory=lambda: SIZES)
    documents: int = 20_000
    queries: int = 2_000
    seconds: float = 285.0
    """After so long no further part is begun."""
    pass_flops: float = 4e14
    """Operations of one timed run: about a second of an H100."""
    products: int = 65_536
    latency_queries: int = 30
    peers: tuple[str, ...] = ("MiniLM-L6", "BERT-base", "BERT-large")

    def hardware(self, precision: str = "bf16") -> Hardware:
        if self.accelerator == "cpu":
            return Hardware()
        return Hardware(
            accelerator="gpu", precision=precision, tokens_per_batch=65_536,
            tokens_per_training_pass=32_768,
        )  # fmt: skip


class Measurement:
    """One network on one machine."""

    def __init__(self, name: str, extent: Extent, collection: Collection, folder: Path) -> None:
        self.name, self.extent, self.collection = name, extent, collection
        self.size, self.folder = extent.sizes[name], folder
        self.checkpoint = save_checkpoint(folder / name, self.size)
        per_pair = self.size.flops(np.full(1, 85.0))
        self.queries = int(np.clip(extent.pass_flops / per_pair / 100, 3, extent.queries // 3))

    def run(self, found: Found, until: float) -> list[str]:
        """Fill in everything of this network, in the order in which it matters.

        Returns the parts that would have been begun too late.
        """
        found["pairs_per_run"] = 100 * self.queries
        left_out = []
        parts: list[tuple[str, Callable[[], Found]]] = [
            ("agreement", self.agreement),
            ("scoring", self.scoring),
            ("training", self.training),
        ]
        if self.name in self.extent.peers:
            parts.append(("sentence-transformers", self.peer))
        for part, measure in parts:
            if time.perf_counter() > until:
                left_out.append(f"{self.name}: {part}")
                continue
            say(f"{self.name}: {part}")
            start = time.perf_counter()
            try:
                found[part] = measure()
            except Exception as error:  # noqa: BLE001 - one part's failure is a finding, too
                found[part] = {"error": f"{type(error).__name__}: {error}"[:500]}
            found[part]["seconds"] = time.perf_counter() - start
        found["peak_memory_gib"] = peak_memory()
        return left_out

    def agreement(self) -> Found:
        """Scores against single precision on the processor."""
        depth, queries = 30, 4 if self.size.width < 1024 else 2
        some = draw_candidates(self.collection, queries, depth, seed=9)
        exact = self._scores(Hardware(), some)
        spread = float(np.std(list(exact.values())))
        found: Found = {"pairs": queries * depth, "spread": spread}
        for precision in ("fp32", "bf16", "fp16"):
            if precision == "fp16" and self.size.kind == "T5":
                continue
            scores = self._scores(self.extent.hardware(precision), some)
            difference = max(abs(exact[key] - scores[key]) for key in exact)
            found[precision] = {"largest_difference": difference, "tau": mean_tau(exact, scores)}
        return found

    def scoring(self) -> Found:
        """Pairs per second, from kept token ids and from texts, and where the time goes."""
        reranker = self._open(self.extent.hardware())
        runs = [draw_candidates(self.collection, self.queries, 100, seed) for seed in range(3)]
        start = time.perf_counter()
        cold = reranker.rerank(runs[0], self.collection)  # weights, kernels, token ids, graphs
        found: Found = {"first_run_seconds": time.perf_counter() - start}
        unseen = [self._rate(reranker, run) for run in runs]
        again = max(self._rate(reranker, runs[2]) for _ in range(2))
        found |= {
            "pairs_per_second": again,
            "pairs_per_second_on_unseen_shapes": unseen,
            "tokens_per_pair": cold.cost.tokens / cold.cost.pairs,
            "tokenize_share": cold.cost.tokenize_seconds / found["first_run_seconds"],
        }
        found["pairs_per_second_from_texts"] = self._rate_from_texts(reranker, runs[1])
        found |= self._forward_alone(reranker, runs[1])
        timed = draw_candidates(self.collection, self.extent.latency_queries, 100, seed=5)
        latency = measure_reranking(reranker.rerank, timed, self.collection)
        found["latency_ms_per_100"] = {"p50": latency.p50, "p95": latency.p95}
        return found

    def training(self) -> Found:
        """Pairs per second between two lengths of training, so that beginnings do not count."""
        few, many = (self._train(steps) for steps in ((4, 16) if self._on_gpu else (1, 2)))
        rate = (many["pairs"] - few["pairs"]) / max(many["seconds"] - few["seconds"], 1e-9)
        return {"pairs_per_second": rate, "with_its_beginning": many["pairs_per_second"]}

    def peer(self) -> Found:
        """sentence-transformers on the same pairs, fewer of them."""
        from sentence_transformers import CrossEncoder as Peer

        forbid_planning()
        device = "cuda" if self._on_gpu else "cpu"
        dtype = torch.bfloat16 if self._on_gpu else torch.float32
        peer = Peer(
            str(self.checkpoint), device=device, max_length=512, model_kwargs={"dtype": dtype}
        )
        queries = max(2, min(self.queries // 6, 40))
        pairs = self._texts(draw_candidates(self.collection, queries, 100, seed=1))
        rates = {}
        for size in PEER_BATCHES:
            peer.predict(pairs[: 2 * size], batch_size=size, show_progress_bar=False)
            start = time.perf_counter()
            peer.predict(pairs, batch_size=size, show_progress_bar=False)
            rates[str(size)] = len(pairs) / (time.perf_counter() - start)
        return {"pairs_per_second": max(rates.values()), "by_batch_size": rates}

    @property
    def _on_gpu(self) -> bool:
        return self.extent.accelerator == "gpu"

    def _open(self, hardware: Hardware) -> Any:
        return open_reranker(self.checkpoint, self.size, hardware, self.folder / "store")

    def _scores(self, hardware: Hardware, run: Run) -> dict[tuple[str, str], float]:
        reranked = self._open(hardware).rerank(run, self.collection)
        return {(q, d.doc_id): d.score for q, ranking in reranked.rankings.items() for d in ranking}

    def _rate(self, reranker: Any, run: Run) -> float:
        start = time.perf_counter()
        reranker.rerank(run, self.collection)
        return 100 * len(run) / (time.perf_counter() - start)

    def _texts(self, run: Run) -> list[tuple[str, str]]:
        queries, documents = self.collection.queries, self.collection.documents
        rankings = run.rankings.items()
        return [(queries[q], documents[d.doc_id]) for q, ranking in rankings for d in ranking]

    def _rate_from_texts(self, reranker: Any, run: Run) -> float:
        pairs = self._texts(run)
        start = time.perf_counter()
        reranker.predict(pairs)
        return len(pairs) / (time.perf_counter() - start)

    def _forward_alone(self, reranker: Any, run: Run) -> Found:
        """Pairs per second of batches that lie on the device, and what share of products it is."""
        hardware, network = self.extent.hardware(), reranker.network
        items = reranker.engine.texts_of(self.collection).pair(run)
        encoded = network.encode_texts(items.queries, items.documents, items.numbers)
        budget = token_budget(encoded.lengths, hardware.batch_tokens)
        batches = [encoded.take(rows).on(hardware.device) for rows in budget]
        score = network.inference(Session(hardware))
        with torch.inference_mode():
            seconds = best_of(lambda: [score(batch) for batch in batches], rounds=3)
        rate = len(items) / seconds
        done = self.size.flops(encoded.lengths.astype(float)) / seconds
        limit = product_rate(self.size, hardware, self.extent.products)
        return {
            "forward_pairs_per_second": rate,
            "teraflops": done / 1e12,
            "product_teraflops": limit / 1e12,
            "share_of_product_rate": done / limit,
        }

    def _train(self, steps: int) -> Mapping[str, Any]:
        rng = np.random.default_rng(steps)
        ids = list(self.collection.documents)
        hardware = self.extent.hardware()
        groups_per_step = 32 if self._on_gpu else 2
        asked = list(self.collection.queries)[: steps * groups_per_step]
        labels = (1.0, *([0.0] * (GROUP - 1)))
        drawn = rng.choice(len(ids), (len(asked), GROUP))
        groups = tuple(
            TrainingGroup(query_id, tuple(ids[n] for n in row), labels)
            for query_id, row in zip(asked, drawn.tolist(), strict=True)
        )
        recipe = FineTuning(
            steps=steps, batch_size=groups_per_step, negatives_per_positive=GROUP - 1, validations=1
        )
        dev = Run.from_scores("dev", {"q0": {"d0": 1.0, "d1": 0.0}})
        validation = Validation(dev, self.collection, {"q0": {"d0": 1}}, "MRR@10")
        session = Session(hardware, self.folder / "store")
        with tempfile.TemporaryDirectory() as folder:
            plan = TrainingPlan(Pointwise(), recipe)
            phases = [Phase("all", TrainingGroups(groups, {}))]
            return fit(self._open(hardware), phases, plan, session, validation, Path(folder))


def mean_tau(exact: Scored, found: Scored) -> float:
    """Kendall's tau of two scorings, mean over queries."""
    taus = []
    for query in dict.fromkeys(query for query, _ in exact):
        keys = [key for key in exact if key[0] == query]
        taus.append(kendalltau([exact[k] for k in keys], [found[k] for k in keys]).statistic)
    return statistics.fmean(taus)


def product_rate(size: Size, hardware: Hardware, rows: int) -> float:
    """Operations per second of the machine's own product at a network's width."""
    left = torch.ones(rows, size.width, dtype=hardware.dtype, device=hardware.device)
    right = torch.ones(size.width, size.feed_forward, dtype=hardware.dtype, device=hardware.device)
    seconds = best_of(lambda: [left @ right for _ in range(5)], rounds=4) / 5
    return 2 * rows * size.width * size.feed_forward / seconds


def best_of(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> float:
    """The most memory that was held on the GPU since the last call, in GiB."""
    if not torch.cuda.is_available():
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return peak


def forbid_planning() -> None:
    torch.backends.cuda.enable_cudnn_sdp(False)


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def measure(extent: Extent, found: Found) -> None:
    """Fill in everything of all networks, for as long as there is time."""
    start = time.perf_counter()
    found |= {"machine": describe_environment(extent.hardware()), "driver": read_driver()}
    found |= {"networks": {}, "left_out": []}
    collection = make_collection(extent.documents, extent.queries)
    until = start + extent.seconds
    with tempfile.TemporaryDirectory() as folder:
        for name in extent.sizes:
            if time.perf_counter() > until:
                found["left_out"].append(name)
                continue
            own = found["networks"][name] = {}
            measurement = Measurement(name, extent, collection, Path(folder))
            found["left_out"] += measurement.run(own, until)
    found["seconds"] = time.perf_counter() - start


def read_driver() -> str | None:
    """The card's driver, where the system says it."""
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.is_file() else None


def main() -> None:
    with one_object_on_stdout(LAST_SECOND) as found:
        if not torch.cuda.is_available():
            found |= {"gpu": None, "why": "no GPU: torch sees none"}
            return
        found["gpu"] = torch.cuda.get_device_name()
        measure(Extent(), found)


if __name__ == "__main__":
    main()
