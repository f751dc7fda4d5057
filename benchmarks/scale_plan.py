"""Time, memory, disk and cost of collections nobody measured, from what was measured on small ones.

    python benchmarks/scale_plan.py [--folder DIR] [--gpu-price 3.00] [--core-price 0.05]

Every stage of ``benchmarks/large.py`` takes ``fixed + slope * effort``: how much effort a number of
documents is, is known from what the stage does, the rest follows from its two largest measured
sizes. Memory and disk are lines through the same two; to cluster vectors takes memory for the
sample that is looked at. Stages that a GPU takes over have rates of their own.
Prints Markdown: how well each stage's largest size follows from the smaller ones, and the plans.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recross.retrieval.approximate_index import count_sample

Effort = Callable[[int], float]
"""What a number of documents takes, in any unit."""

CLUSTERINGS = 10
"""Times that faiss compares each vector of its sample with every cell."""


def count_cells(documents: int) -> int:
    """Cells of an index as faiss advises: about four times the root of the number of documents."""
    return 1 << round(math.log2(4 * documents**0.5))


def count_held(documents: int) -> float:
    """Vectors that are held in memory, to find cells among them."""
    return min(documents, count_sample(count_cells(documents)))


def compare(documents: int) -> float:
    """Comparisons of a vector with a cell, to find the cells and then each document's own."""
    return (CLUSTERINGS * count_held(documents) + documents) * count_cells(documents)


def each(documents: int) -> float:
    """So much for every document."""
    return documents


EFFORTS: dict[str, Effort] = {
    "write": each,
    "index_bm25": each,
    "search_bm25": each,  # a term's posting list grows with the collection
    "tokenise": each,
    "index_faiss": compare,
    "search_faiss": math.sqrt,  # a 32nd of 4 * sqrt(N) cells, of sqrt(N) / 4 documents each
}
MEMORY: dict[str, Effort] = {"index_faiss": count_held}
"""What memory grows with, where that is not the number of documents."""

SEARCHES = ("search_bm25", "search_faiss")
MEASURED_QUERIES = 1000
ON_ALL_CORES = ("tokenise", "index_faiss", "search_faiss")
"""Stages that use every core; the others use one."""

SYNTHETIC_TOKENS = 124
"""Tokens of a synthetic document on average; texts with fewer are tokenised in less time."""

GPU_TOKENS = 73
GPU_PAIRS = {"MiniLM-L6": 25_000, "BERT-base": 13_950}
"""Pairs of ``GPU_TOKENS`` tokens on average a second on one H100 with 16 cores beside it, end to
end: bf16, random weights, queries with 100 passages each, torch 2.11."""

BYTES_PER_NUMBER, DIMENSION = 2, 384


class Workload(NamedTuple):
    """A collection, and what is asked of it."""

    name: str
    documents: int
    tokens: int  # of a document, on average
    queries: int
    depth: int


class Machine(NamedTuple):
    """Hardware with a price."""

    name: str
    cores: int
    gpus: int
    memory_gb: int


class Step(NamedTuple):
    """One stage of a plan."""

    stage: str
    hours: float
    memory_gb: float
    disk_gb: float
    dollars: float


WORKLOADS = (
    Workload("MS MARCO", 8_841_823, 73, 6_980, 1000),
    Workload("MS MARCO v2", 138_364_198, 73, 3_903, 1000),
    Workload("10^9 passages", 1_000_000_000, 73, 10_000, 100),
)
MACHINES = (
    Machine("16 cores, one H100", 16, 1, 128),
    Machine("128 cores, eight H100", 128, 8, 2048),
)


@dataclass(frozen=True)
class Curve:
    """What a stage takes of some number of documents: ``fixed + slope * effort(documents)``."""

    fixed: float
    slope: float
    effort: Effort

    @classmethod
    def through(cls, first: tuple[int, float], second: tuple[int, float], effort: Effort) -> Curve:
        """The curve through two measured points; what falls with size is taken as constant."""
        (small, low), (large, high) = first, second
        slope = max(high - low, 0.0) / (effort(large) - effort(small))
        return cls(high - slope * effort(large), slope, effort)

    def __call__(self, documents: int) -> float:
        return self.fixed + self.slope * self.effort(documents)


@dataclass(frozen=True)
class Measurements:
    """The rows of ``benchmarks/large.py``."""

    rows: Sequence[dict[str, float | str]]

    @classmethod
    def read(cls, folder: Path) -> Measurements:
        """Read the rows that were left in a folder."""
        paths = sorted(folder.glob("*/*.json"))
        return cls([json.loads(path.read_text(encoding="utf-8")) for path in paths])

    def curve(self, stage: str, column: str, effort: Effort, without: int = 0) -> Curve:
        """Through a stage's two largest sizes, of all but the ``without`` largest."""
        points = self.points(stage, column)
        points = points[: len(points) - without]
        return Curve.through(points[-2], points[-1], effort)

    def points(self, stage: str, column: str) -> list[tuple[int, float]]:
        """Numbers of documents with what was measured of them."""
        own = [row for row in self.rows if row["stage"] == stage]
        return sorted((int(row["documents"]), float(row.get(column, 0.0))) for row in own)

    def foresee(self, stage: str) -> tuple[int, float, float] | None:
        """The largest size, its seconds, and what the smaller sizes say of it."""
        points = self.points(stage, "processor_seconds")
        if len(points) < 3:
            return None
        curve = self.curve(stage, "processor_seconds", EFFORTS[stage], without=1)
        return *points[-1], curve(points[-1][0])


def plan(
    workload: Workload,
    machine: Machine,
    measured: Measurements,
    gpu_price: float,
    core_price: float,
) -> list[Step]:
    """Every stage from the texts to the re-ranked run, one after the other."""
    price = machine.gpus * gpu_price + machine.cores * core_price

    def step(stage: str, seconds: float, memory_mb: float, disk_bytes: float) -> Step:
        hours = seconds / 3600
        return Step(stage, hours, memory_mb / 1024, disk_bytes / 1e9, hours * price)

    steps = []
    for stage, effort in EFFORTS.items():
        seconds = measured.curve(stage, "processor_seconds", effort)(workload.documents)
        if stage in SEARCHES:
            seconds *= workload.queries / MEASURED_QUERIES
        if stage in ("write", "tokenise"):
            seconds *= workload.tokens / SYNTHETIC_TOKENS
        if stage in ON_ALL_CORES:
            seconds /= machine.cores
        memory = measured.curve(stage, "anonymous_mb", MEMORY.get(stage, each))(workload.documents)
        disk = measured.curve(stage, "disk_mb", each)(workload.documents) * 2**20
        steps.append(step(stage, seconds, memory, disk))
    fewer = workload.tokens / GPU_TOKENS
    vectors = workload.documents * DIMENSION * BYTES_PER_NUMBER
    encoding = workload.documents * fewer / (GPU_PAIRS["MiniLM-L6"] * machine.gpus)
    steps.insert(4, step("encode (MiniLM-L6)", encoding, 0, vectors))
    pairs = workload.queries * workload.depth
    for network, rate in GPU_PAIRS.items():
        seconds = pairs * fewer / (rate * machine.gpus)
        steps.append(step(f"re-rank ({network})", seconds, 0, 0))
    return steps


def main() -> None:
    """Print how well the curves foresee, and the plans, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("outputs/large"))
    parser.add_argument("--gpu-price", type=float, default=3.0, help="dollars an hour of a GPU")
    parser.add_argument("--core-price", type=float, default=0.05, help="dollars an hour of a core")
    asked = parser.parse_args()
    measured = Measurements.read(asked.folder)
    if fewer := [stage for stage in EFFORTS if len(measured.points(stage, "seconds")) < 2]:
        sys.exit(f"{', '.join(fewer)}: measure two sizes first, with benchmarks/large.py")
    print("\n".join(say_foresight(measured)))
    for workload in WORKLOADS:
        for machine in MACHINES:
            steps = plan(workload, machine, measured, asked.gpu_price, asked.core_price)
            print("\n".join(say_plan(workload, machine, steps)))


def say_foresight(measured: Measurements) -> list[str]:
    """A table of the largest size of each stage beside what smaller ones say of it."""
    known = [(stage, measured.foresee(stage)) for stage in EFFORTS]
    rows = [
        f"| {stage} | {size:,} | {seconds:.1f} | {foreseen:.1f} |"
        for stage, (size, seconds, foreseen) in ((s, f) for s, f in known if f is not None)
    ]
    head = ["| stage | documents | measured (s) | foreseen from smaller sizes (s) |"]
    return [*head, "| --- | ---: | ---: | ---: |", *rows, ""] if rows else []


def say_plan(workload: Workload, machine: Machine, steps: Sequence[Step]) -> list[str]:
    """One plan as a table, with what it takes in all."""
    asked = f"{workload.queries:,} queries × {workload.depth:,}"
    lines = [
        f"**{workload.name}** ({workload.documents:,} documents, {asked}) on {machine.name}",
        "",
        "| stage | time | memory (GB) | disk (GB) | cost |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    total = Step(
        "in all",
        sum(step.hours for step in steps),
        max(step.memory_gb for step in steps),
        sum(step.disk_gb for step in steps),
        sum(step.dollars for step in steps),
    )
    for step in (*steps, total):
        lines.append(
            f"| {step.stage} | {say_hours(step.hours)} | {step.memory_gb:,.1f}"
            f" | {step.disk_gb:,.1f} | ${step.dollars:,.2f} |"
        )
    return [*lines, ""]


def say_hours(hours: float) -> str:
    """A time in the unit that it is read in."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"


if __name__ == "__main__":
    main()
