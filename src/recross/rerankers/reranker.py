"""What a second stage is, and what those that score pairs with a network share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeGuard

from recross.checkpoints.location import CHECKPOINT
from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.inference.untrained import refuse_untrained
from recross.machine.hardware import Hardware
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.rerankers.reading import EachAlone, Reading
from recross.rerankers.text_ranking import (
    TextPair,
    TextRanker,
    check_documents,
    check_pointwise,
    score_pairs,
)
from recross.rerankers.unmade import UnmadeCheckpoint
from recross.runs import Run
from recross.sharing.work import SharedWork
from recross.store import DEFAULT_STORE

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.inference.items import Scores
    from recross.inference.network import Network


class Reranker(ABC):
    """Anything that reorders candidates: a network, a cascade, a baseline.

    A re-ranker made of others names them as its ``parts``; its size, its networks and its base
    checkpoint are those of its parts together.
    """

    reranks: ClassVar[bool] = True
    """Whether the order may change: the first stage alone says that it does not."""
    is_served: ClassVar[bool] = False
    """Whether a server computes the scores, in a form that is not known here."""

    @property
    def can_be_trained(self) -> bool:
        """Whether it has one network that training changes; known without loading it."""
        return False

    @abstractmethod
    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Return the same documents for every query, in a new order."""

    @property
    def parts(self) -> Sequence[Reranker]:
        """The re-rankers that this one is made of."""
        return ()

    @property
    def budget_ms(self) -> float | None:
        """The milliseconds that a query may take; ``None`` where all candidates are scored."""
        return None

    @property
    def parameters(self) -> int | None:
        """How many parameters decide the order, of all parts; ``None`` where no part has any."""
        known = [size for part in self.parts if (size := part.parameters) is not None]
        return sum(known) if known else None

    @property
    def base_checkpoint(self) -> str | None:
        """The checkpoint whose weights are scored with or learn, or those of all parts."""
        bases = dict.fromkeys(base for part in self.parts if (base := part.base_checkpoint))
        return " and ".join(bases) or None

    def introduce_servers(self) -> JsonObject:
        """What the servers of all parts say of themselves, by the model that they serve."""
        return {
            model: said for part in self.parts for model, said in part.introduce_servers().items()
        }

    def networks(self) -> Iterator[NetworkReranker]:
        """Yield the re-rankers with a network that this one is or is made of."""
        for part in self.parts:
            yield from part.networks()

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """What it makes of all documents before it scores, in parts that any process can make."""
        return [work for part in self.parts for work in part.document_parts(collection)]


class Trainable(Reranker):
    """A re-ranker with one network that can be trained, unless what it is made of has none."""

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network: a module that encodes texts, scores batches, and saves itself."""

    @property
    def can_be_trained(self) -> bool:
        """True: its network can learn."""
        return True

    @abstractmethod
    def trained(self, folder: Path) -> Self:
        """The same re-ranker with the weights and the contract of a folder."""

    @abstractmethod
    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Re-rank through an engine of the network, as it stands in the middle of training."""


def is_trainable(reranker: Reranker) -> TypeGuard[Trainable]:
    """Whether a re-ranker has a network that can be trained; nothing is loaded to say so."""
    return reranker.can_be_trained


@dataclass(frozen=True)
class NetworkReranker(Trainable, TextRanker):
    """A re-ranker by checkpoint: a hub id, a folder, ``embedded:NAME``, or what a training leaves.

    Weights are loaded when first needed; scores are kept in the ``cache``, if there is one;
    ``alias`` names it in runs.
    """

    checkpoint: str | UnmadeCheckpoint = field(metadata=CHECKPOINT)
    _: KW_ONLY
    hardware: Hardware = handed_over(Hardware())
    store: Path = handed_over(DEFAULT_STORE)
    cache: ScoreCache | None = handed_over(None)
    alias: str | None = field(default=None, compare=False)

    @abstractmethod
    def load(self) -> Network:
        """Load the network: a module that encodes texts, scores batches, and saves itself."""

    @property
    def reading(self) -> Reading:
        """How its network reads a query's documents: each alone, unless they are compared."""
        return EachAlone()

    @property
    def checkpoint_place(self) -> str:
        """Where the weights are: a hub id, a folder or ``embedded:NAME``.

        Raises:
            InputError: they are yet to be made, which an experiment does.
        """
        if isinstance(self.checkpoint, UnmadeCheckpoint):
            raise InputError(
                "checkpoint must be a hub id or a folder where nothing is trained (recross run and"
                f" recross train make it first), got one trained from {self.base_checkpoint}"
            )
        return self.checkpoint

    @property
    def is_made(self) -> bool:
        """Whether the weights are there to be loaded, not described as the result of a training."""
        return not isinstance(self.checkpoint, UnmadeCheckpoint)

    @cached_property
    def network(self) -> Network:
        """The network, loaded on first use.

        Raises:
            InputError: the hardware is none that computes its scores.
        """
        network = self.load()
        network.check(self.hardware)
        return network

    @property
    def name(self) -> str:
        """A short name for runs and tables."""
        return self.alias or Path(self.base_checkpoint.removeprefix("embedded:")).name

    @property
    def session(self) -> Session:
        """Where the network computes, and where what it makes is kept."""
        return Session(self.hardware, self.store, self.cache)

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(int(parameter.numel()) for parameter in self.network.parameters())

    @property
    def base_checkpoint(self) -> str:
        """The checkpoint that is scored with or trained, or that its training began with."""
        if isinstance(self.checkpoint, UnmadeCheckpoint):
            return self.checkpoint.base_checkpoint
        return self.checkpoint

    def networks(self) -> Iterator[NetworkReranker]:
        """Yield this re-ranker: it has a network and no parts."""
        yield self

    def check_trained(self) -> None:
        """Refuse to score with a head that was drawn and not trained: its order is random.

        Raises:
            InputError: it was, or there is no network that computes scores on the hardware.
        """
        refuse_untrained(self.network, self.checkpoint_place)

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents, ``(N,)``; higher is more relevant."""
        check_documents(documents)
        return self.reading.score(self.engine, query, documents)

    def predict(
        self, pairs: Sequence[TextPair], batch_size: int | None = None, show_progress: bool = False
    ) -> Scores:
        """Score (query, document) pairs, ``(B,)``; at most ``batch_size`` in one forward pass.

        Documents that are compared have no score of their own: an ``InputError``.
        """
        check_pointwise(self.reading)
        return score_pairs(self.engine, pairs, batch_size, show_progress)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by the network's scores."""
        return self.rerank_with(self.engine, candidates, collection)

    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Re-rank through an engine of this network, as it stands in the middle of training."""
        return self.reading.rerank(engine, candidates, collection, self.name)

    @cached_property
    def engine(self) -> Engine:
        """Scores with the weights as they were when first asked."""
        from recross.inference.engine import Engine

        self.check_trained()
        return Engine(self.network, self.session)
