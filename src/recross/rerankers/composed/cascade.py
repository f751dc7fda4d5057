"""Re-rankers in sequence: each stage orders the best of what the stage before left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Filled, Ge, checked
from recross.records import Cost
from recross.rerankers.reranker import Reranker
from recross.runs import Run


@dataclass(frozen=True)
@checked
class Stage:
    """A re-ranker and how many of each query's best documents it scores."""

    reranker: Reranker
    depth: Annotated[int, Ge(1)]


@dataclass(frozen=True)
@checked
class Cascade(Reranker):
    """Stages by name, in the order given, the cheap and deep ones first.

    Multi-stage ranking as of Nogueira et al. (2019, monoBERT before duoBERT): a stage scores the
    best ``depth`` documents that reach it, the others stay below them in their order, with scores
    that say nothing but that order. Costs of the stages add up. A cascade is not trainable:
    experiments leave its networks as they are; train them alone and put their folders here.
    """

    stages: Annotated[Mapping[str, Stage], Filled("hold at least one stage")]
    alias: str | None = field(default=None, compare=False)
    order: tuple[str, ...] = field(init=False, repr=False)
    """Names of the stages: part of what a cascade is, whereas a mapping's order is not."""

    def __post_init__(self) -> None:
        depths = [stage.depth for stage in self.stages.values()]
        if any(depth < following for depth, following in pairwise(depths)):
            given = ", ".join(f"{name}={stage.depth}" for name, stage in self.stages.items())
            raise InputError(f"depths must not grow from stage to stage, got {given}")
        object.__setattr__(self, "order", tuple(self.stages))

    @property
    def name(self) -> str:
        """A short name for runs."""
        return self.alias or "+".join(self.order)

    @property
    def parts(self) -> tuple[Reranker, ...]:
        """The re-rankers of the stages."""
        return tuple(stage.reranker for stage in self.stages.values())

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Pass the candidates through all stages.

        Raises:
            InputError: a stage returned a document that it was not given.
        """
        run, cost = replace(candidates, cost=Cost()), Cost()
        for stage in self.stages.values():
            head = stage.reranker.rerank(run.cut(stage.depth), collection)
            cost += head.cost
            run = replace(head, cost=Cost()).with_tail(run)
        return replace(run, name=self.name, cost=cost)
