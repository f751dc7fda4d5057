"""Strategies made of strategies: mixed in a group, one after another, or hardest of a pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from numpy.random import Generator

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.negatives.sampler import Mined, MiningWindow, NegativeSampler, TrainingStage
from recross.parts.bounds import Filled, Ge, Gt, checked
from recross.records import JsonObject
from recross.store import Store


@dataclass(frozen=True)
@checked
class Part:
    """A strategy and its share; shares count relative to their sum."""

    sampler: NegativeSampler
    share: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.sampler, Curriculum):
            raise InputError("sampler must be one without stages of its own, got a Curriculum")


@dataclass(frozen=True)
@checked
class Mixed(NegativeSampler):
    """Each part draws its share of a group's negatives, say half at random and half from BM25.

    Shares are rounded so that they add up: what is left over after rounding down goes to the
    largest remainders, among equal ones to the first name in alphabetical order. In the same order
    parts draw; a document comes once, and a part that has too few is filled up by the others.
    """

    parts: Annotated[Mapping[str, Part], Filled("hold at least one part")]

    def __post_init__(self) -> None:
        for part in self.parts.values():
            _check_mines_once("parts must be strategies that mine once", part.sampler)

    @property
    def windows(self) -> Mapping[str, MiningWindow]:
        """Those of all parts."""
        return _list_windows(self.parts)

    def mine(self, collection: Collection, split: str, store: Store) -> Blend:
        """Mine each part; parts keep their own artefacts."""
        mined = {
            name: part.sampler.mine(collection, split, store) for name, part in self.parts.items()
        }
        return Blend(mined, share_out(self.parts))


@dataclass(frozen=True)
class Blend:
    """What the parts of a mixture mined."""

    mined: Mapping[str, Mined]
    shares: Mapping[str, float]

    @property
    def counts(self) -> JsonObject:
        """What was mined and dropped for each part, by its name."""
        return {name: mined.counts for name, mined in self.mined.items()}

    def draw(self, query_id: str, positive: str, size: int, rng: Generator) -> list[str]:
        """Let every part draw its share by a generator of its own, then fill up what is missing."""
        names = sorted(self.mined)
        offered = {  # as many as could be needed, should the others have none
            name: self.mined[name].draw(query_id, positive, size, part_rng)
            for name, part_rng in zip(names, rng.spawn(len(names)), strict=True)
        }
        drawn: dict[str, None] = {}
        for name, quota in apportion(self.shares, size).items():
            fresh = [doc_id for doc_id in offered[name] if doc_id not in drawn]
            drawn.update(dict.fromkeys(fresh[:quota]))
        for name in names:
            drawn.update(dict.fromkeys(offered[name]))
        return list(drawn)[:size]

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> None:
        """None: the scores of several sources cannot be compared."""
        return


@dataclass(frozen=True)
@checked
class Curriculum(NegativeSampler):
    """Stages of training in the order given, such as random negatives first and hard ones after.

    Each stage draws for its share of the steps (curriculum learning, Bengio et al. 2009). Where no
    steps are known, it mines what the last stage mines.
    """

    stages: Annotated[Mapping[str, Part], Filled("hold at least one stage")]
    order: tuple[str, ...] = field(init=False, repr=False)
    """Names of the stages: part of what a curriculum is, whereas a mapping's order is not."""
    mines_once: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(self.stages))

    @property
    def windows(self) -> Mapping[str, MiningWindow]:
        """Those of all stages."""
        return _list_windows(self.stages)

    def mine(self, collection: Collection, split: str, store: Store) -> Mined:
        """Mine for the last stage."""
        return self.stages[self.order[-1]].sampler.mine(collection, split, store)

    @property
    def schedule(self) -> Mapping[str, TrainingStage]:
        """Each stage as its strategy has it, for its share of the steps."""
        return {
            name: replace(stage, share=share)
            for name, share in share_out(self.stages).items()
            for stage in self.stages[name].sampler.schedule.values()
        }


@dataclass(frozen=True)
@checked
class Refreshed(NegativeSampler):
    """Of ``pool`` times as many documents of another strategy, those the network scores highest.

    Every ``every`` steps the network as it then stands scores what the following steps could learn
    from (the asynchronous refresh of ANCE, Xiong et al. 2021, here within the loop). Unjudged
    relevant documents rank high, too: a ``sampler`` with a margin or a teacher keeps them out.
    """

    sampler: NegativeSampler
    every: Annotated[int, Ge(1)] = 50
    pool: Annotated[int, Ge(2)] = 4
    mines_once: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_mines_once("sampler must be one that mines once", self.sampler)

    @property
    def windows(self) -> Mapping[str, MiningWindow]:
        """Those of the strategy whose documents are chosen from."""
        return self.sampler.windows

    def mine(self, collection: Collection, split: str, store: Store) -> Mined:
        """Mine the pool that the hardest negatives are chosen from."""
        return self.sampler.mine(collection, split, store)

    @property
    def schedule(self) -> Mapping[str, TrainingStage]:
        """All steps, with pools that are chosen from every ``every`` of them."""
        return {"all": TrainingStage(self.sampler, refresh_every=self.every, pool=self.pool)}


def _check_mines_once(rule: str, sampler: NegativeSampler) -> None:
    if not sampler.mines_once:
        raise InputError(f"{rule}, got a {type(sampler).__name__}")


def _list_windows(parts: Mapping[str, Part]) -> dict[str, MiningWindow]:
    """The rankings that all parts mine from, by the names of their parts."""
    named: dict[str, MiningWindow] = {}
    for name, part in parts.items():
        windows = part.sampler.windows
        several = len(windows) > 1
        named |= {f"{name} {key}" if several else name: each for key, each in windows.items()}
    return named


def share_out(parts: Mapping[str, Part]) -> dict[str, float]:
    """Return every part's share of the whole, which add up to 1."""
    whole = sum(part.share for part in parts.values())
    return {name: part.share / whole for name, part in parts.items()}


def apportion(fractions: Mapping[str, float], size: int) -> dict[str, int]:
    """Return whole numbers that add up to ``size``, in alphabetical order (largest remainders)."""
    exact = {name: fractions[name] * size for name in sorted(fractions)}
    # Nine digits: 1/3 of 3 must be 1 whichever way the share was computed.
    quotas = {name: math.floor(round(value, 9)) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (round(quotas[name] - exact[name], 9), name))
    for name in by_remainder[: size - sum(quotas.values())]:
        quotas[name] += 1
    return quotas
