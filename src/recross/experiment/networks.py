"""The networks of a command, wherever in its parts they stand: loaded before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from recross.parts.fields import holds_fields, read_field_values
from recross.rerankers.reranker import NetworkReranker, Reranker
from recross.training.recipe import Training


@runtime_checkable
class LooksAhead(Protocol):
    """A part that looks for what its work needs, such as its network, before any work."""

    def check(self) -> None:
        """Refuse with an ``InputError`` what the work would refuse."""


@runtime_checkable
class TrainsFirst(Protocol):
    """What says how a re-ranker is trained before it is used: a teacher, an unmade checkpoint."""

    @property
    def reranker(self) -> Reranker:
        """Who learns, if it can."""

    @property
    def training(self) -> Training:
        """How, or whether."""


def load_networks(part: object, *, learns: bool = False, trains: bool = False) -> None:
    """Load every network that a part is or holds, and refuse what would be refused at its work.

    A part that ``learns`` is trained before it scores, so that its head may be fresh. Where the
    command ``trains``, it makes checkpoints that are described by their training.

    Raises:
        InputError: a network is missing, is none for its hardware, or was never trained.
    """
    match part:
        case NetworkReranker():
            if part.is_made or not trains:
                _load(part, learns)
        case LooksAhead():
            part.check()
    for held, is_learner in _list_learners(part, learns):
        load_networks(held, learns=is_learner, trains=trains)


def _load(reranker: NetworkReranker, learns: bool) -> None:
    if learns:
        _ = reranker.network
    else:
        reranker.check_trained()


def _list_learners(part: object, learns: bool) -> Iterator[tuple[object, bool]]:
    """What a part, a mapping or a list holds, and whether that is trained before it scores."""
    match part:
        case TrainsFirst():
            learner = part.reranker if part.training.enabled else None
            for held in _list_held(part):
                yield held, held is learner and part.reranker.can_be_trained
        case _:
            yield from ((held, learns) for held in _list_held(part))


def _list_held(part: object) -> Iterable[object]:
    match part:
        case Mapping():
            return part.values()
        case list() | tuple():
            return part
    return read_field_values(part).values() if holds_fields(part) else ()
