"""Memory and time of a training in two processes, by what each of them keeps only a part of.

    python benchmarks/shards.py [--network base] [--steps 4]

A random BERT learns from synthetic documents. A process reads what it holds (private pages, and its
share of the others) where it asks for a loss, with the activations beside the weights. glibc is
told to give back what is freed (MALLOC_MMAP_THRESHOLD_), as it would not of blocks below 32 MB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import get_args

from torch import Tensor
from workload import SIZES, random_checkpoint

from recross.collections.synthetic import Synthetic
from recross.inference.session import Session
from recross.machine.hardware import Hardware, Shards
from recross.negatives.ranked import RankWindow
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.store import Store
from recross.training.data.groups import make_groups
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import Loss
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation

WARM_UP = 1
"""Steps whose times are left out; the optimiser's state is made in the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=SIZES, default="base")
    parser.add_argument("--steps", type=int, choices=range(1, 1000), metavar="N", default=4)
    options = parser.parse_args()
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # read by processes that start
    print("| shards | MB per process | seconds per step |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = random_checkpoint(Path(folder) / options.network, options.network)
        for shards in get_args(Shards):
            notes = Path(folder) / shards
            train(checkpoint, notes, shards, options.steps + WARM_UP)
            megabytes, moments = read_notes(notes)
            seconds = (moments[-1] - moments[WARM_UP]) / (len(moments) - 1 - WARM_UP)
            print(f"| {shards} | {megabytes:,.0f} | {seconds:.1f} |")


class Noted(Loss):
    """A listwise loss that writes down when it was asked for, and what the process holds then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        from torch.distributed import get_rank

        with (self.folder / f"{get_rank()}.notes").open("a") as file:
            file.write(f"{time.time()} {read_held_bytes()}\n")
        return Listwise()(scores, targets)


def train(checkpoint: Path, folder: Path, shards: Shards, steps: int) -> None:
    """Two processes train a little, one group each in a step."""
    store = Store(folder / "store")
    collection = Synthetic(size=1000, queries={"train": 64, "dev": 2}, store=store.root).load()
    mined = RankWindow(RandomOrder(), 10).mine(collection, "train", store)
    groups = make_groups(mined, collection, "train", 3, 0)
    candidates = RandomOrder().retrieve(collection, collection.query_ids("dev"), 2)
    dev = Validation(candidates, collection, collection.qrels("dev"), "MRR@10")
    recipe = FineTuning(steps=steps, batch_size=2, negatives_per_positive=3, validations=1)
    fit(
        CrossEncoder(str(checkpoint)),
        [Phase("all", groups)],
        TrainingPlan(Noted(folder), recipe),
        Session(Hardware(devices=2, threads=1, shards=shards), store.root),
        dev,
        folder,
    )


def read_held_bytes() -> int:
    """The memory of this process: its own, and its share of what others use, too."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (held,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(held) * 1024


def read_notes(folder: Path) -> tuple[float, list[float]]:
    """The most megabytes of a process, and the moments of the first one's losses."""
    notes = [
        [line.split() for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*.notes"))
    ]
    most = max(int(held) for of_process in notes for _, held in of_process)
    return most / 1e6, [float(moment) for moment, _ in notes[0]]


if __name__ == "__main__":
    main()
