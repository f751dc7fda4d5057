"""Late interaction: ColBERT in its own layout, and others' in PyLate's."""

from __future__ import annotations

from collections.abc import Mapping

from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.published.record import PublishedCheckpoint, PublishedNumber, ndcg

_PYLATE = "lightonai/pylate, docs/models/models.md"
_HUB = "https://huggingface.co"


def _beir(values: Mapping[str, float]) -> tuple[PublishedNumber, ...]:
    """nDCG@10 in percent, by option of a collection, which the checkpoint searched itself."""
    return tuple(
        PublishedNumber("nDCG@10", round(value / 100, 4), name, "full collection", _PYLATE)
        for name, value in values.items()
    )


def _make_pylate(
    checkpoint: str,
    revision: str,
    *,
    limits: tuple[int, int],
    dimension: int,
    numbers: tuple[PublishedNumber, ...] = (),
) -> PublishedCheckpoint:
    """A folder whose own modules say all this again; queries are not filled up."""
    contract = LateInteractionContract(
        checkpoint.rpartition("/")[2],
        *limits,
        query_marker="[Q] ",
        document_marker="[D] ",
        dimension=dimension,
        filled_to=0,
        source=f"{_HUB}/{checkpoint}",
    )
    return PublishedCheckpoint(
        (checkpoint,), contract, revision=revision, licence="Apache-2.0", numbers=numbers
    )


CHECKPOINTS = (
    PublishedCheckpoint(
        ("colbert-ir/colbertv2.0",),
        LateInteractionContract(
            "colbertv2", source="https://huggingface.co/colbert-ir/colbertv2.0"
        ),
        revision="c1e84128e85ef755c096a95bdb06b47793b13acf",  # as in mteb, colbert_models.py
        licence="MIT",
        numbers=ndcg(0.732, 0.746),
    ),
    PublishedCheckpoint(
        ("answerdotai/answerai-colbert-small-v1",),
        LateInteractionContract(
            "answerai-colbert-small",
            document_length=300,
            dimension=96,
            source=f"{_HUB}/answerdotai/answerai-colbert-small-v1, artifact.metadata",
        ),
        revision="934fa8bb4ce2284f4c2baa232d81aca4d076fa5e",
        licence="Apache-2.0",
        numbers=_beir(
            {
                **{"beir_nfcorpus": 37.3, "beir_scifact": 74.77, "beir_scidocs": 18.42},
                **{"beir_fiqa": 41.15, "beir_trec_covid": 84.59, "beir_hotpotqa": 76.11},
                **{"beir_webis_touche2020": 25.69, "beir_arguana": 50.09},
                **{"beir_climate_fever": 33.07, "beir_fever": 90.96, "beir_quora": 87.72},
                **{"beir_nq": 59.1, "beir_dbpedia_entity": 45.58},
            }
        ),
    ),
    _make_pylate(
        "lightonai/GTE-ModernColBERT-v1",
        "25f6f7bb8237b7ae25ae1d9b805ce17c0d1cc639",
        limits=(48, 300),
        dimension=128,
        numbers=_beir(
            {
                **{"beir_nfcorpus": 37.93, "beir_scifact": 76.34, "beir_scidocs": 19.06},
                **{"beir_fiqa": 48.51, "beir_trec_covid": 83.59, "beir_hotpotqa": 77.32},
                **{"beir_webis_touche2020": 31.23, "beir_arguana": 48.51},
                **{"beir_climate_fever": 30.62, "beir_fever": 87.44, "beir_quora": 86.61},
                **{"beir_nq": 61.8, "beir_dbpedia_entity": 48.3},
            }
        ),
    ),
    _make_pylate(
        "mixedbread-ai/mxbai-edge-colbert-v0-17m",
        "592c6417c1c6687572043408ed1ae5196bce16b1",
        limits=(48, 512),
        dimension=48,
    ),
    _make_pylate(
        "mixedbread-ai/mxbai-edge-colbert-v0-32m",
        "963e23afa1478d8bcc12e5d7115adcfdbd22c3af",
        limits=(48, 512),
        dimension=64,
    ),
)
