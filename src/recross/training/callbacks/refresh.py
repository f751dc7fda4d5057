"""Negatives chosen anew: the network in training scores the pools of the steps that follow."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytorch_lightning as pl
import torch

from recross.records import TrainingGroup
from recross.runs import Run
from recross.training.module import RankingModule

logger = logging.getLogger(__name__)


class RefreshNegatives(pl.Callback):
    """Lets the network choose, where it is time to, what the following steps learn from."""

    def __init__(self, module: RankingModule) -> None:
        self._module = module

    def on_train_start(self, *_: object) -> None:
        """Choose for the first steps, or for those after an interruption."""
        self._refresh()

    def on_train_batch_end(self, *_: object) -> None:
        """Choose for the steps that come."""
        self._refresh()

    def _refresh(self) -> None:
        """Score the pools, of which each process takes its share, and keep the hardest."""
        module, processes = self._module, self._module.processes
        step = module.progress.step
        if not module.data.awaits_refresh(step):
            return
        pools = module.data.pools(step)
        sizes = [len(pool.doc_ids) - 1 for pool in pools]
        mine = processes.share(len(pools))
        table = torch.zeros(len(pools), max(sizes), device=processes.device)
        for number, scores in zip(mine, self._score([pools[n] for n in mine]), strict=True):
            table[number, : len(scores)] = torch.tensor(scores)
        rows = processes.add_up(table).tolist()
        module.data.refresh(step, [row[:size] for row, size in zip(rows, sizes, strict=True)])
        logger.info("step %d: hardest negatives of %d groups found anew", step, len(pools))

    def _score(self, pools: Sequence[TrainingGroup]) -> list[list[float]]:
        """Return what the network as it stands says of each pool's negatives."""
        listed: dict[str, dict[str, float]] = {}
        for pool in pools:
            listed.setdefault(pool.query_id, {}).update(dict.fromkeys(pool.doc_ids[1:], 0.0))
        collection = self._module.data.collection
        reranked = self._module.rerank(Run.from_scores("pools", listed), collection)
        scores = {query_id: dict(ranking) for query_id, ranking in reranked.rankings.items()}
        return [[scores[pool.query_id][d] for d in pool.doc_ids[1:]] for pool in pools]
