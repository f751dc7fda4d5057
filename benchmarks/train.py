"""Training throughput against sentence-transformers: the same network, pairs, loss and batch size.

    python benchmarks/train.py [--json] [--size l6|base] [--steps 8] [--rounds 3]

The peer is ``CrossEncoderTrainer`` with binary cross-entropy, batches of 32 pairs, in fp32 and with
``bf16=True`` (needs accelerate and datasets: ``pip install 'sentence-transformers[train]'``). Ours
is ``fit`` with the same loss on groups of one positive and seven negatives, four groups a step, the
end of it with a validation of one query included. One thread; variants interleaved; ratios are
medians over rounds of pairs per second of processor time.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rounds import processor_seconds
from workload import documents, queries, random_checkpoint

from recross.collections.collection import Collection
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.machine.processor import read_processor_name
from recross.records import TrainingGroup
from recross.rerankers.cross_encoder import CrossEncoder
from recross.runs import Run
from recross.training.data.groups import TrainingGroups
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.pointwise import Pointwise
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation

GROUPS_PER_STEP, GROUP = 4, 8
PAIRS_PER_STEP = GROUPS_PER_STEP * GROUP
PEER, PEER_BF16 = "CrossEncoderTrainer", "CrossEncoderTrainer, bf16"


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=("l6", "base"), default="l6")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = random_checkpoint(Path(scratch) / "model", asked.size)
        collection, groups = task(asked.steps)
        variants = {
            PEER: lambda: peer(checkpoint, collection, groups, asked.steps, False),
            PEER_BF16: lambda: peer(checkpoint, collection, groups, asked.steps, True),
            "recross": lambda: ours(checkpoint, collection, groups, asked.steps, "fp32"),
            "recross, bf16": lambda: ours(checkpoint, collection, groups, asked.steps, "bf16"),
        }
        seconds = processor_seconds(variants, asked.rounds)  # loading the network is part of it
    found = {
        "pairs_per_second": {
            name: PAIRS_PER_STEP * asked.steps / statistics.median(own)
            for name, own in seconds.items()
        },
        "ratios": {
            "fp32": ratio(seconds, "recross", PEER),
            "bf16": ratio(seconds, "recross, bf16", PEER_BF16),
            "fp32 against the peer's best": min(
                ratio(seconds, "recross", name) for name in (PEER, PEER_BF16)
            ),
        },
        "size": asked.size,
        "processor": read_processor_name(),
    }
    print(json.dumps(found)) if asked.json else show(found)


def task(steps: int) -> tuple[Collection, list[TrainingGroup]]:
    """Passages of realistic length; every query has one positive and seven negatives of its own."""
    rng = np.random.default_rng(0)
    count = steps * GROUPS_PER_STEP
    texts = {f"q{n}": text for n, text in enumerate(queries(count, rng))}
    passages = {f"d{n}": text for n, text in enumerate(documents(count * GROUP, rng))}
    collection = Collection("random", passages, texts, {"dev": ("q0",)}, {}, "random")
    groups = [
        TrainingGroup(
            f"q{n}",
            tuple(f"d{n * GROUP + k}" for k in range(GROUP)),
            (1.0, *(0.0,) * (GROUP - 1)),
        )
        for n in range(count)
    ]
    return collection, groups


def ours(
    checkpoint: Path,
    collection: Collection,
    groups: list[TrainingGroup],
    steps: int,
    precision: Any,
) -> None:
    reranker = CrossEncoder(str(checkpoint), hardware=Hardware(threads=1))
    training = FineTuning(
        steps=steps,
        batch_size=GROUPS_PER_STEP,
        negatives_per_positive=GROUP - 1,
        validations=1,
        precision=precision,
    )
    lists = Run.from_scores("one", {"q0": {"d0": 1.0, "d1": 0.0}})
    validation = Validation(lists, collection, {"q0": {"d0": 1}}, "MRR@10")
    own = TrainingGroups(tuple(groups), {})
    with tempfile.TemporaryDirectory() as folder:
        fit(
            reranker,
            [Phase("all", own)],
            TrainingPlan(Pointwise(), training),
            Session(Hardware(threads=1)),
            validation,
            Path(folder),
        )


def peer(
    checkpoint: Path, collection: Collection, groups: list[TrainingGroup], steps: int, bf16: bool
) -> None:
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    rows = [
        (collection.queries[g.query_id], collection.documents[d], label)
        for g in groups
        for d, label in zip(g.doc_ids, g.labels, strict=True)
    ]
    names = ("query", "document", "label")
    data = Dataset.from_dict(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    model = CrossEncoder(str(checkpoint), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(
            folder,
            per_device_train_batch_size=PAIRS_PER_STEP,
            max_steps=steps,
            bf16=bf16,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        CrossEncoderTrainer(
            model, arguments, train_dataset=data, loss=BinaryCrossEntropyLoss(model)
        ).train()


def ratio(seconds: dict[str, list[float]], own: str, theirs: str) -> float:
    """How many times as fast, the median over rounds."""
    pairs = zip(seconds[theirs], seconds[own], strict=True)
    return statistics.median(peers / ours for peers, ours in pairs)


def show(found: dict[str, Any]) -> None:
    print(f"{found['size']}, {PAIRS_PER_STEP} pairs a step, one thread, {found['processor']}")
    for name, rate in found["pairs_per_second"].items():
        print(f"{name:32}{rate:8.1f} pairs/s")
    for name, value in found["ratios"].items():
        print(f"{name:32}{value:8.2f}x")


if __name__ == "__main__":
    main()
