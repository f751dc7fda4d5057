"""Networks that read a query with two documents and say which is the better.

Each is the re-ranker of its kind of network, with a ``PairComparison`` in the place of reading
every document alone.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated

from recross.checkpoints.contracts import ClassifierContract
from recross.parts.bounds import Ge, Seed, checked
from recross.rerankers.comparing.comparison import PairComparison
from recross.rerankers.comparing.pairwise import AllPairs, PairwiseStrategy
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.t5 import T5Reranker


@dataclass(frozen=True)
@checked
class DuoT5(T5Reranker):
    """duoT5 (Pradeep et al. 2021), or any other prompt of two documents.

    ``depth``, ``strategy`` and ``sampling_seed`` are those of its ``PairComparison``.
    """

    depth: Annotated[int, Ge(2)] = 50
    strategy: PairwiseStrategy = field(default=AllPairs())
    sampling_seed: Seed = 0
    _: KW_ONLY

    @property
    def reading(self) -> PairComparison:
        """How pairs of documents are chosen, and how a query's documents are ordered by them."""
        return PairComparison(self.depth, self.strategy, self.sampling_seed)


@dataclass(frozen=True)
@checked
class DuoBERT(CrossEncoder):
    """duoBERT (Nogueira et al. 2019): ``[CLS] query [SEP] document [SEP] document [SEP]``.

    A fresh head has one logit, the log-odds that the first document is the more relevant.
    ``depth``, ``strategy`` and ``sampling_seed`` are those of its ``PairComparison``.
    """

    depth: Annotated[int, Ge(2)] = 50
    strategy: PairwiseStrategy = field(default=AllPairs())
    sampling_seed: Seed = 0
    _: KW_ONLY

    @property
    def reading(self) -> PairComparison:
        """How pairs of documents are chosen, and how a query's documents are ordered by them."""
        return PairComparison(self.depth, self.strategy, self.sampling_seed)

    @property
    def fresh_contract(self) -> ClassifierContract:
        """That of a head yet to be trained."""
        source = "Nogueira et al. 2019, section 3.2"
        return ClassifierContract("duobert", source=source, documents=2)
