"""A process that re-ranks blocks of a run until none is left; it runs this file and nothing else.

It is told which run, and ends with the process that started it. The main module of that one is not
run again.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recross.collections.collection import CollectionSource
from recross.experiment.blocks import RunBlocks
from recross.experiment.refusals import say_refusal
from recross.machine.hardware import Hardware
from recross.records import JsonObject
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.store import Store


@dataclass(frozen=True)
class BlockTask:
    """What a process is told: the candidates, and what re-ranks how many of their queries."""

    reranker: Reranker
    collection: CollectionSource
    candidates: Run
    queries: int
    hardware: Hardware
    store: Store
    identity: JsonObject

    def open(self) -> RunBlocks:
        """The blocks of the run, in a process that is made ready to compute them.

        Raises:
            InputError: the re-ranker was never trained.
        """
        self.hardware.prepare()
        self.reranker.check_trained()
        return RunBlocks(
            self.reranker,
            self.collection.load(),
            self.candidates,
            self.queries,
            self.store,
            self.identity,
        )


def rerank_blocks(blocks: RunBlocks, first: int) -> None:
    """Re-rank blocks from the first on, those that no other process is at, until all are there."""
    waiting = [*range(first, len(blocks)), *range(first)]
    while waiting := [number for number in waiting if not blocks.is_finished(number)]:
        made = [number for number in waiting if blocks.make_if_free(number)]
        if not made:
            blocks.make(waiting[0])  # others are at all of them: it is theirs, or they have ended


def _serve(told: Path, first: int) -> None:
    """Do what a file tells."""
    with told.open("rb") as file:
        task: BlockTask = pickle.load(file)
    rerank_blocks(task.open(), first)


def _end_with_parent() -> None:
    """End once the process that started this one is no more."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints here prints beside the answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    json.dump(say_refusal(partial(_serve, Path(sys.argv[1]), int(sys.argv[2]))), answer)
    answer.close()
    os._exit(0)
