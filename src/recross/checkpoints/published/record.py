"""What is known of a published checkpoint, as one record."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from recross.checkpoints.contracts import Contract
from recross.checkpoints.first_stage_contracts import BiEncoderContract, Similarity
from recross.errors import InputError
from recross.parts.bounds import Ge, Le, checked

MSMARCO = "msmarco"
DL19 = "trec_dl_2019"
DL20 = "trec_dl_2020"
OFFICIAL = "official top 1000"
WHOLE = "full collection"
ANSERINI = "Anserini's BM25 top 1000"
LIGHTNING_IR = "lightning-ir, docs/models/reranking.csv"
NANO_MSMARCO = "nano_msmarco"
RCP_NDCG = "cohere-ai/rcp-ndcg, experiments/paper_values.json"
RCP_POOLS = "pools of 150 of several first stages"
PYGAGGLE = "https://github.com/castorini/pygaggle"


@dataclass(frozen=True)
@checked
class PublishedNumber:
    """A measure that others published: over which candidates, and who says so.

    ``collection`` is the name of an option. Values over different candidates are not comparable.
    MRR@10 is on MS MARCO dev/small, nDCG@10 on the judged queries of TREC DL.
    """

    measure: str
    value: Annotated[float, Ge(0), Le(1)]
    collection: str
    candidates: str
    source: str

    def __post_init__(self) -> None:
        if not (self.candidates and self.source):
            raise InputError("candidates and source of a published value must be named, got none")


@dataclass(frozen=True)
@checked
class GoldenScore:
    """The score that a checkpoint's authors print for a pair, and how near ours must come."""

    query: str
    document: str
    score: float
    tolerance: float
    source: str


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint on the hub: how it scores, and what others say of it.

    ``ids`` are all spellings of its id, the last one today's. ``revision`` is the commit that is
    loaded; ``None``: it is not pinned, because no commit is known here, and the hub's newest is
    loaded. ``licence`` is as its card says; ``None``: not known here. ``tokenizer`` is the id of
    the checkpoint that holds its tokenizer, where that is another one. ``unused_weights`` are
    regular expressions of names of weights that its score does not need.
    """

    ids: tuple[str, ...]
    contract: Contract
    _: KW_ONLY
    revision: str | None
    licence: str | None
    numbers: tuple[PublishedNumber, ...] = ()
    golden: tuple[GoldenScore, ...] = ()
    tokenizer: str | None = None
    unused_weights: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id as the hub spells it today."""
        return self.ids[-1]


def mrr(value: float, candidates: str, source: str) -> tuple[PublishedNumber, ...]:
    """MRR@10 on MS MARCO dev/small."""
    return (PublishedNumber("MRR@10", value, MSMARCO, candidates, source),)


def ndcg(dl19: float, dl20: float) -> tuple[PublishedNumber, ...]:
    """nDCG@10 on TREC DL 2019 and 2020, over the official candidates, as lightning-ir lists it."""
    return (
        PublishedNumber("nDCG@10", dl19, DL19, OFFICIAL, LIGHTNING_IR),
        PublishedNumber("nDCG@10", dl20, DL20, OFFICIAL, LIGHTNING_IR),
    )


def describe_embedder(
    checkpoint: str,
    revision: str | None = None,
    licence: str | None = None,
    *,
    pooling: str = "mean",
    max_length: int = 512,
    prompts: tuple[str, str] = ("", ""),
    similarity: Similarity = "cosine",
) -> PublishedCheckpoint:
    """Describe a bi-encoder, whose contract is called as it is.

    ``prompts`` come before queries and before documents.
    """
    contract = BiEncoderContract(
        checkpoint.rpartition("/")[2].lower(),
        pooling,
        max_length,
        *prompts,
        similarity=similarity,
        source=f"https://huggingface.co/{checkpoint}",
    )
    return PublishedCheckpoint((checkpoint,), contract, revision=revision, licence=licence)
