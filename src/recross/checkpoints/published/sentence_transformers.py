"""sentence-transformers' cross-encoders on MS MARCO.

Revisions and licences of the second version: as in mteb, rerankers_custom.py. Ids were once
spelled ``L-6`` and are ``L6`` today.
"""

from __future__ import annotations

from typing import Literal

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import (
    DL19,
    OFFICIAL,
    GoldenScore,
    PublishedCheckpoint,
    PublishedNumber,
    mrr,
)

_MEASURED = "sentence-transformers, docs/pretrained-models/ce-msmarco.md"
_MEASURED_DL = f"{_MEASURED}; candidates: examples/training/ms_marco/eval_cross-encoder-trec-dl.py"
_TASKS = "huggingface.co/tasks/text-ranking; the first two on the model card, too"

QUERY = "How many people live in Berlin?"
POPULATION = (
    "Berlin {} a population of 3,520,031 registered inhabitants in an area of 891.82 square"
    " kilometers."
)
HAD, HAS = POPULATION.format("had"), POPULATION.format("has")
MUSEUMS = "Berlin is well known for its museums."
METROPOLITAN = "New York City is famous for the Metropolitan Museum of Art."
_BEIR = tuple(
    PublishedNumber(
        "nDCG@10",
        value,
        name,
        "BM25 top 100, whose is not said",
        "https://huggingface.co/juanluisdb/MiniLM-L-6-rerank-m3, model card of commit 9837751",
    )
    for name, value in (
        *(("beir_nfcorpus", 0.349), ("beir_scifact", 0.688), ("beir_scidocs", 0.164)),
        *(("beir_trec_covid", 0.741), ("beir_fiqa", 0.349), ("beir_quora", 0.825)),
        *(("beir_nq", 0.523), ("beir_dbpedia_entity", 0.445), ("beir_hotpotqa", 0.724)),
        *(("beir_fever", 0.801), ("beir_climate_fever", 0.244)),
    )
)
"""What another model's card says of MiniLM-L6 beside its own model."""


def measured(mrr_10: float, ndcg_10: float) -> tuple[PublishedNumber, ...]:
    """What sentence-transformers' documentation lists: MRR@10 on dev, nDCG@10 on TREC DL 2019."""
    return (
        *mrr(mrr_10, "BM25 top 1000, whose is not said", _MEASURED),
        PublishedNumber("nDCG@10", ndcg_10, DL19, OFFICIAL, _MEASURED_DL),
    )


def _list_card_scores(had: float, museums: float, tolerance: float) -> tuple[GoldenScore, ...]:
    return (
        GoldenScore(QUERY, HAD, had, tolerance, "model card"),
        GoldenScore(QUERY, MUSEUMS, museums, tolerance, "model card"),
    )


def _list_onnx_scores(size: str, has: float, metropolitan: float) -> tuple[GoldenScore, ...]:
    source = f"model card of Xenova/ms-marco-{size}-v2, ONNX in fp32"
    return (
        GoldenScore(QUERY, HAS, has, 0.02, source),
        GoldenScore(QUERY, METROPOLITAN, metropolitan, 0.02, source),
    )


_L6_GOLDEN = tuple(
    GoldenScore(QUERY, document, score, 0.01, _TASKS)
    for document, score in (
        (HAD, 8.607138),
        (MUSEUMS, -4.320077),
        (
            "In 2014, the city state Berlin had 37,368 live births (+6.6%), a record number since"
            " 1991.",
            7.5978117,
        ),
        (
            "The urban area of Berlin comprised about 4.1 million people in 2014, making it the"
            " seventh most populous urban area in the European Union.",
            8.915804,
        ),
        (
            "The city of Paris had a population of 2,165,423 people within its administrative city"
            " limits as of January 1, 2019",
            -4.237982,
        ),
        (
            "An estimated 300,000-420,000 Muslims reside in Berlin, making up about 8-11 percent of"
            " the population.",
            8.2359,
        ),
        ("Berlin is subdivided into 12 boroughs or districts (Bezirke).", 0.33119553),
        ("In 2015, the total labour force in Berlin was 1.85 million.", 3.4510403),
        (
            "In 2013 around 600,000 Berliners were registered in one of the more than 2,300 sport"
            " and fitness clubs.",
            6.352979,
        ),
        (
            "Berlin has a yearly total of about 135 million day visitors, which puts it in third"
            " place among the most-visited city destinations in the European Union.",
            5.416662,
        ),
    )
)


def _published(
    names: tuple[str, ...],
    read_out: Literal["logit", "sigmoid"],
    numbers: tuple[PublishedNumber, ...],
    golden: tuple[GoldenScore, ...],
    revision: str | None = None,
    licence: str | None = None,
) -> PublishedCheckpoint:
    ids = tuple(f"cross-encoder/{name}" for name in names)
    contract = ClassifierContract(names[-1], read_out, source=f"https://huggingface.co/{ids[-1]}")
    return PublishedCheckpoint(
        ids, contract, revision=revision, licence=licence, numbers=numbers, golden=golden
    )


def _second(
    size: str,
    revision: str,
    numbers: tuple[PublishedNumber, ...],
    golden: tuple[GoldenScore, ...],
) -> PublishedCheckpoint:
    """The second version, which gives logits."""
    names = _spellings(f"ms-marco-{size}-v2")
    return _published(names, "logit", numbers, golden, revision, "Apache-2.0")


def _first(
    size: str, numbers: tuple[PublishedNumber, ...], golden: tuple[GoldenScore, ...] = ()
) -> PublishedCheckpoint:
    """The first version, which gives shares."""
    return _published(_spellings(f"ms-marco-{size}"), "sigmoid", numbers, golden)


def _spellings(name: str) -> tuple[str, str]:
    return name, name.replace("-L-", "-L")


CHECKPOINTS = (
    _second(
        "TinyBERT-L-2",
        "81d1926f67cb8eee2c2be17ca9f793c7c3bd20cc",
        measured(0.3256, 0.6984),
        _list_onnx_scores("TinyBERT-L-2", 7.235751, -11.562294),
    ),
    _second(
        "MiniLM-L-2",
        "1b5cd67b15209f24824c50370e0397743aa9b787",
        measured(0.3485, 0.7101),
        (
            *_list_card_scores(8.510401, -4.860082, 0.01),
            *_list_onnx_scores("MiniLM-L-2", 8.843852, -11.743544),
        ),
    ),
    _second(
        "MiniLM-L-4",
        "777b2f369bc1c2f850df8bd367ed1654bda4497b",
        measured(0.3770, 0.7304),
        _list_onnx_scores("MiniLM-L-4", 9.238697, -11.619405),
    ),
    _second(
        "MiniLM-L-6",
        "c5ee24cb16019beea0893ab7796b1df96625c6b8",
        (*measured(0.3901, 0.7430), *_BEIR),
        _L6_GOLDEN,
    ),
    _second(
        "MiniLM-L-12",
        "7b0235231ca2674cb8ca8f022859a6eba2b1c968",
        measured(0.3902, 0.7431),
        _list_onnx_scores("MiniLM-L-12", 9.450558, -11.160483),
    ),
    _first(
        "TinyBERT-L-2", measured(0.3015, 0.6743), _list_card_scores(0.82869005, 0.00169255, 0.001)
    ),
    _first("TinyBERT-L-4", measured(0.3450, 0.6809)),
    _first("TinyBERT-L-6", measured(0.3613, 0.6957)),
    _published(
        ("ms-marco-electra-base",),
        "sigmoid",
        measured(0.3641, 0.7199),
        _list_card_scores(0.99227107, 2.013676e-05, 0.001),
    ),
)
