"""A run of 100,000 pairs re-ranked by actors of Ray, one of which is killed, and by one process.

    python benchmarks/ray_rerank.py [--queries 1000] [--depth 100] [--actors 2] [--folder DIR]

Candidates are random documents of a synthetic collection, which a random network of one layer of
64 re-ranks. Once a third of the blocks is finished, the process of an actor is killed. Then the
run file must have the bytes of the one that a single process writes without Ray. Prints one JSON
object: seconds of each command from its start to its end, and how the two files compare. Needs the
extra ``ray``.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from workload import random_checkpoint

from recross.collections.synthetic import Synthetic
from recross.retrieval.random_order import RandomOrder

MARK = "RECROSS_BENCHMARK_MARK"
"""Environment variable that processes of Ray inherit from the command that starts them."""
COLLECTION = {"size": 10_000, "words": 20}
BLOCK_QUERIES = 10


def main() -> None:
    """Make the candidates, run both commands, and compare what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("outputs/ray_rerank"))
    asked = parser.parse_args()
    words = prepare(asked.folder, asked.queries, asked.depth)
    alone = Command(asked.folder / "alone", [*words, "processes=1"]).wait()
    spread = Command(asked.folder / "ray", [*words, "executor=ray", f"processes={asked.actors}"])
    killed = spread.kill_an_actor(-(-asked.queries // BLOCK_QUERIES) // 3)
    print(json.dumps(compare(asked.folder, alone, spread.wait(), killed), indent=2))


def prepare(folder: Path, queries: int, depth: int) -> list[str]:
    """Write a checkpoint and the candidates; the words of a command that re-ranks them."""
    collection = Synthetic(**COLLECTION, store=folder / "store").load()
    query_ids = collection.query_ids("test")[:queries]
    RandomOrder(0).retrieve(collection, query_ids, depth).write(folder / "candidates.trec")
    random_checkpoint(folder / "network", "tiny")
    settings = [f"collection.{name}={value}" for name, value in COLLECTION.items()]
    words = ["rerank", "collection=synthetic", *settings, f"block_queries={BLOCK_QUERIES}"]
    words += ["reranker=cross_encoder", f"reranker.checkpoint={folder / 'network'}"]
    return [*words, f"candidates={folder / 'candidates.trec'}", "hardware.threads=1"]


class Command:
    """A command that is at work, with an output and a store of its own."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder, self.mark, self.start = folder, secrets.token_hex(8), time.perf_counter()
        given = [sys.executable, "-m", "recross", *words, f"output={folder}"]
        environment = {**os.environ, MARK: self.mark}
        self.popen = subprocess.Popen([*given, f"store={folder / 'store'}"], env=environment)

    def wait(self) -> float:
        """Wait for its end; returns the seconds that it took."""
        if self.popen.wait():
            sys.exit(f"{self.folder}: exit code {self.popen.returncode}")
        return time.perf_counter() - self.start

    def kill_an_actor(self, blocks: int) -> dict[str, Any]:
        """Kill an actor once so many blocks are finished; returns which, and how many were."""
        while (done := self.count_parts()) < blocks:
            if self.popen.poll() is not None:
                sys.exit(f"{self.folder}: ended before {blocks} blocks were finished")
            time.sleep(0.2)
        pid = min(self.list_actors())
        os.kill(pid, signal.SIGKILL)
        return {"pid": pid, "blocks_finished_before": done}

    def count_parts(self) -> int:
        return len(list(self.folder.glob("store/reranked_parts/[!.]*/pairs.parquet")))

    def list_actors(self) -> list[int]:
        """The processes of its actors on this machine."""
        mark, found = f"{MARK}={self.mark}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
                if b"BlockActor" in line and mark in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:  # it has ended
                continue
        return found


def count_pairs(path: Path) -> Counter[tuple[str, ...]]:
    """How often each query and document stand together in a run file."""
    return Counter(tuple(line.split()[:3:2]) for line in path.read_text().splitlines())


def compare(folder: Path, alone: float, spread: float, killed: dict[str, Any]) -> dict[str, Any]:
    """How long both took, and whether every pair is there once, in the same bytes."""
    files = [folder / name / "reranked.trec" for name in ("alone", "ray")]
    asked, *pairs = map(count_pairs, [folder / "candidates.trec", *files])
    return {
        "pairs": sum(asked.values()),
        "every_pair_once": all(found == asked for found in pairs) and set(asked.values()) == {1},
        "same_bytes": files[0].read_bytes() == files[1].read_bytes(),
        "parts": len(list(folder.glob("ray/store/reranked_parts/[!.]*/pairs.parquet"))),
        "killed": killed,
        "seconds": {"one_process": round(alone, 1), "ray": round(spread, 1)},
    }


if __name__ == "__main__":
    main()
