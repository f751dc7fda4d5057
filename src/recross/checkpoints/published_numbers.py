"""What others measured of published checkpoints: the value, over which candidates, and who says so.

Values over different candidates are not comparable. MRR@10 is on MS MARCO dev/small, nDCG@10 on the
judged queries of TREC DL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recross.errors import InputError

DEV = "msmarco"
DL19 = "trec_dl_2019"
DL20 = "trec_dl_2020"
OFFICIAL = "official top 1000"
ANSERINI = "Anserini's BM25 top 1000"

_SBERT = "sentence-transformers, docs/pretrained-models/ce-msmarco.md"
_SBERT_DL = f"{_SBERT}; candidates: examples/training/ms_marco/eval_cross-encoder-trec-dl.py"
_LIGHTNING_IR = "lightning-ir, docs/models/reranking.csv"
_PYGAGGLE = "pygaggle, docs/experiments-msmarco-passage-entire.md"
_PYGAGGLE_TPU = "pygaggle, docs of experiments on TPU"
_PYGAGGLE_DUO = "pygaggle, docs/experiments-duot5-tpu.md"


@dataclass(frozen=True)
class Published:
    """One published value.

    ``collection`` is the name of an option, ``candidates`` says what was re-ranked.
    """

    measure: str
    value: float
    collection: str
    candidates: str
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise InputError(f"value of a measure must lie in [0, 1], got {self.value}")
        if not (self.candidates and self.source):
            raise InputError("candidates and source of a published value must be named, got none")


def _sbert(mrr: float, ndcg: float) -> tuple[Published, ...]:
    return (
        Published("MRR@10", mrr, DEV, "BM25 top 1000, whose is not said", _SBERT),
        Published("nDCG@10", ndcg, DL19, OFFICIAL, _SBERT_DL),
    )


def _dl(dl19: float, dl20: float) -> tuple[Published, ...]:
    return (
        Published("nDCG@10", dl19, DL19, OFFICIAL, _LIGHTNING_IR),
        Published("nDCG@10", dl20, DL20, OFFICIAL, _LIGHTNING_IR),
    )


def _mrr(value: float, candidates: str, source: str) -> tuple[Published, ...]:
    return (Published("MRR@10", value, DEV, candidates, source),)


def _both_spellings(
    numbers: Mapping[str, Sequence[Published]],
) -> dict[str, tuple[Published, ...]]:
    """Under the ids of today (``L6``), and those of before (``L-6``)."""
    found = {}
    for name, values in numbers.items():
        for spelling in (name, name.replace("-L", "-L-")):
            found[f"cross-encoder/ms-marco-{spelling}"] = tuple(values)
    return found


NUMBERS: dict[str, tuple[Published, ...]] = {
    **_both_spellings(
        {
            "TinyBERT-L2-v2": _sbert(0.3256, 0.6984),
            "MiniLM-L2-v2": _sbert(0.3485, 0.7101),
            "MiniLM-L4-v2": _sbert(0.3770, 0.7304),
            "MiniLM-L6-v2": _sbert(0.3901, 0.7430),
            "MiniLM-L12-v2": _sbert(0.3902, 0.7431),
            "TinyBERT-L2": _sbert(0.3015, 0.6743),
            "TinyBERT-L4": _sbert(0.3450, 0.6809),
            "TinyBERT-L6": _sbert(0.3613, 0.6957),
        }
    ),
    "cross-encoder/ms-marco-electra-base": _sbert(0.3641, 0.7199),
    "nboost/pt-bert-base-uncased-msmarco": _sbert(0.3475, 0.7094),
    "nboost/pt-bert-large-msmarco": _sbert(0.3648, 0.7336),
    "castorini/monobert-large-msmarco": _mrr(0.3792, ANSERINI, _PYGAGGLE),
    "castorini/monot5-base-msmarco": (
        *_mrr(0.3816, ANSERINI, "pygaggle, docs; .3799 elsewhere in them"),
        *_dl(0.723, 0.714),
    ),
    "castorini/monot5-large-msmarco": (
        *_mrr(0.3937, ANSERINI, _PYGAGGLE_TPU),
        *_dl(0.720, 0.728),
    ),
    "castorini/monot5-3b-msmarco": (
        *_mrr(0.3984, ANSERINI, "pygaggle, docs; .3975 elsewhere in them"),
        *_dl(0.726, 0.752),
    ),
    "castorini/duot5-base-msmarco": _mrr(0.3929, "monoT5-base's top 50", _PYGAGGLE_DUO),
    "castorini/duot5-3b-msmarco": _mrr(0.4091, "monoT5-3B's top 50", _PYGAGGLE_DUO),
    "Soyoung97/RankT5-base": _dl(0.734, 0.745),
    "Soyoung97/RankT5-large": _dl(0.737, 0.759),
    "Soyoung97/RankT5-3b": _dl(0.721, 0.776),
    "webis/monoelectra-base": _dl(0.751, 0.769),
    "webis/monoelectra-large": _dl(0.750, 0.791),
    "colbert-ir/colbertv2.0": _dl(0.732, 0.746),
    "castorini/rankllama-v1-7b-lora-passage": (
        Published("nDCG@10", 0.7655, DL19, "RepLLaMA's top 200", "tevatron, docs"),
    ),
}
