"""Re-ranking 100 documents against sentence-transformers: time, equality, and where it goes.

    python benchmarks/rerank.py [--json] [--size l6|base] [--rounds 5]
                                [--checkpoint FOLDER [--collection BEIR_FOLDER]]

One thread; the variants are interleaved in one process; a ratio is the median over rounds of the
peer's processor time through one's own, tokenisation included. The network is random and of the
named size, its tokenizer real. The peer is ``CrossEncoder.predict`` at its defaults (batches of 32,
fp32), and, for the tuned ratio, at its best batch size (8) in the same precision as ours.

A lower precision is also judged by the order it gives: Kendall's tau against our fp32, mean over
queries, and with a trained ``--checkpoint`` the change of MRR@10 over BM25's first 100 documents.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from sentence_transformers import CrossEncoder as Peer
from workload import documents, queries, random_checkpoint

from recross.collections.files import BeirFolder
from recross.evaluation.measures import evaluate
from recross.inference.encoders.backends.int8_affine import multiplies_in_int8
from recross.inference.engine import Engine
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.machine.processor import read_processor_name
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.bm25 import BM25

COUNTS = {"l6": 100, "base": 32}
REAL = Path(__file__).parents[2] / "shared" / "collections" / "scifact"
DEFAULTS, TUNED, TUNED_BF16 = (
    "sentence-transformers, defaults",
    "sentence-transformers, batches of 8",
    "sentence-transformers, bf16, batches of 8",
)
Score = Callable[[str, Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Timings:
    """Seconds of processor time by variant and round, and each variant's scores."""

    seconds: dict[str, list[float]]
    scores: dict[str, np.ndarray]

    def ratio(self, name: str, peer: str) -> float | None:
        """How many times as fast as a peer; ``None`` where one of them did not run."""
        if name not in self.seconds or peer not in self.seconds:
            return None
        pairs = zip(self.seconds[peer], self.seconds[name], strict=True)
        return statistics.median(theirs / own for theirs, own in pairs)

    def difference(self, name: str) -> float:
        """Largest difference of a score from the peer's."""
        return float(np.abs(self.scores[name] - self.scores[DEFAULTS]).max())


class Watched:
    """A network whose tokenisation and forward are timed apart."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.tokenising = self.forwarding = 0.0
        self.head_is_fresh = network.head_is_fresh

    def encode_texts(self, *texts: Any) -> Any:
        start = time.perf_counter()
        found = self.network.encode_texts(*texts)
        self.tokenising += time.perf_counter() - start
        return found

    def inference(self, session: Session) -> Callable[[Any], torch.Tensor]:
        forward = self.network.inference(session)

        def timed(batch: Any) -> torch.Tensor:
            start = time.perf_counter()
            scores: torch.Tensor = forward(batch)
            self.forwarding += time.perf_counter() - start
            return scores

        return timed


def main() -> None:
    """Print the tables, or one JSON object."""
    asked = options()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(random_checkpoint(Path(scratch), asked.size))
        rerankers = {name: CrossEncoder(folder, hardware=h) for name, h in hardwares().items()}
        query, texts = queries(1, rng)[0], documents(COUNTS[asked.size], rng)
        own = {name: reranker.score for name, reranker in rerankers.items()}
        timings = measure({**peers(folder), **own}, query, texts, asked.rounds)
        where, padding = shares(rerankers["fp32"], query, texts, asked.rounds)
        order = {name: {"tau": tau} for name, tau in random_order(rerankers, rng, asked).items()}
    if asked.checkpoint is not None:
        order = real_order(asked)
    found = {
        "ratios": {name: timings.ratio(name, DEFAULTS) for name in hardwares()},
        "ratios_tuned": {
            "fp32": timings.ratio("fp32", TUNED),
            "bf16": timings.ratio("bf16", TUNED_BF16),
            "int8": timings.ratio("int8", TUNED),
        },
        "fp32_difference": timings.difference("fp32"),
        "shares": where,
        "padding_share": padding,
        "order": order,
        "order_of": str(asked.checkpoint or "random weights"),
        "size": asked.size,
        "processor": read_processor_name(),
    }
    print(json.dumps(found)) if asked.json else show(timings, found, len(texts))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=COUNTS, default="l6")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=10, help="queries to judge the order by")
    parser.add_argument("--checkpoint", type=Path, help="a trained cross-encoder to judge by")
    parser.add_argument("--collection", type=Path, default=REAL, help="BEIR folder, its test split")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def hardwares() -> dict[str, Hardware]:
    """What this machine and this version of the package offer."""
    found = {"fp32": Hardware(threads=1)}
    if Hardware(precision="bf16").effective_precision == "bf16":
        found["bf16"] = Hardware(precision="bf16", threads=1)
    if multiplies_in_int8():
        found["int8"] = Hardware(backend="torch_int8", threads=1)
    return found


def peers(folder: str) -> dict[str, Score]:
    """sentence-transformers, as it comes and at its best."""
    peer = Peer(folder, device="cpu")
    found = {DEFAULTS: predict(peer, 32), TUNED: predict(peer, 8)}
    if "bf16" in hardwares():
        half = Peer(folder, device="cpu", model_kwargs={"dtype": torch.bfloat16})
        found[TUNED_BF16] = predict(half, 8)
    return found


def predict(peer: Peer, batch_size: int) -> Score:
    def score(query: str, texts: Sequence[str]) -> np.ndarray:
        pairs = [(query, document) for document in texts]
        return peer.predict(pairs, batch_size=batch_size, show_progress_bar=False)

    return score


def measure(variants: dict[str, Score], query: str, texts: Sequence[str], rounds: int) -> Timings:
    """Time the variants in turn, after one round that warms them."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    scores = {name: run(query, texts) for name, run in variants.items()}
    for _ in range(rounds):
        for name, run in variants.items():
            start = time.process_time()
            run(query, texts)
            seconds[name].append(time.process_time() - start)
    return Timings(seconds, scores)


def shares(
    reranker: CrossEncoder, query: str, texts: Sequence[str], rounds: int
) -> tuple[dict[str, float], float]:
    """Shares of wall time, medians over rounds, and the share of padding among tokens."""
    watched = Watched(reranker.network)
    engine = Engine(watched, reranker.session)
    pairs = [(query, document) for document in texts]
    engine.score(pairs)
    found = []
    for _ in range(rounds):
        watched.tokenising = watched.forwarding = 0.0
        start = time.perf_counter()
        _, cost = engine.score(pairs)
        wall = time.perf_counter() - start
        tokenising, forwarding = watched.tokenising / wall, watched.forwarding / wall
        found.append((tokenising, forwarding, 1 - tokenising - forwarding))
    names = ("tokenisation", "forward", "elsewhere")
    medians = (statistics.median(column) for column in zip(*found, strict=True))
    return dict(zip(names, medians, strict=True)), cost.padding_tokens / (
        cost.tokens + cost.padding_tokens
    )


def random_order(
    rerankers: dict[str, CrossEncoder], rng: np.random.Generator, asked: argparse.Namespace
) -> dict[str, float]:
    """Kendall's tau of each precision against fp32, mean over queries of random texts."""
    taus: dict[str, list[float]] = {name: [] for name in rerankers if name != "fp32"}
    if not taus:
        return {}
    for query in queries(asked.queries, rng):
        texts = documents(COUNTS[asked.size], rng)
        exact = rerankers["fp32"].score(query, texts)
        for name, own in taus.items():
            own.append(kendalltau(exact, rerankers[name].score(query, texts)).statistic)
    return {name: statistics.mean(own) for name, own in taus.items()}


def real_order(asked: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Kendall's tau and change of MRR@10 against fp32, on a collection's first test queries."""
    collection = BeirFolder(asked.collection).load()
    chosen = list(collection.query_ids("test"))[: asked.queries]
    qrels = {query_id: collection.qrels("test")[query_id] for query_id in chosen}
    with tempfile.TemporaryDirectory() as store:
        candidates = BM25(store=Path(store)).retrieve(collection, chosen, 100)
    runs = {
        name: CrossEncoder(str(asked.checkpoint), hardware=hardware).rerank(candidates, collection)
        for name, hardware in hardwares().items()
    }
    scores = {
        name: {q: dict(ranking) for q, ranking in run.rankings.items()}
        for name, run in runs.items()
    }
    quality = {name: evaluate(run, qrels, ["MRR@10"]).mean["MRR@10"] for name, run in runs.items()}
    return {
        name: {
            "tau": statistics.mean(tau(scores["fp32"][q], scores[name][q]) for q in chosen),
            "mrr_change": quality[name] - quality["fp32"],
        }
        for name in runs
        if name != "fp32"
    }


def tau(exact: dict[str, float], rough: dict[str, float]) -> float:
    return float(kendalltau(list(exact.values()), [rough[d] for d in exact]).statistic)


def show(timings: Timings, found: dict[str, Any], count: int) -> None:
    print(f"{found['size']}, {count} documents of one query, one thread, {found['processor']}")
    print(f"{'variant':44}{'ms / 100':>10}{'ratio':>8}{'tuned':>8}{'max |diff|':>12}")
    for name, own in timings.seconds.items():
        hundred = statistics.median(own) * 1e5 / count
        tuned = found["ratios_tuned"].get(name)
        print(
            f"{name:44}{hundred:10,.0f}{timings.ratio(name, DEFAULTS):8.2f}"
            f"{'' if tuned is None else format(tuned, '.2f'):>8}{timings.difference(name):12.1e}"
        )
    where = ", ".join(f"{name} {share:.1%}" for name, share in found["shares"].items())
    print(f"wall time of fp32: {where}; padding {found['padding_share']:.1%}")
    for name, judged in found["order"].items():
        values = ", ".join(f"{key} {value:.4f}" for key, value in judged.items())
        print(f"order of {name} against fp32, {found['order_of']}: {values}")


if __name__ == "__main__":
    main()
