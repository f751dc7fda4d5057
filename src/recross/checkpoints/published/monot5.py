"""Castorini's monoT5 and duoT5 (Nogueira et al. 2020; Pradeep et al. 2021), and prompts like them.

Revisions of checkpoints of 10,000 steps: as in mteb, rerankers_monot5_based.py.
"""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import (
    ANSERINI,
    PYGAGGLE,
    PublishedCheckpoint,
    PublishedNumber,
    mrr,
    ndcg,
)
from recross.machine.backends import Precision

MONO_PROMPT = "Query: {query} Document: {document} Relevant:"
TRUE_FALSE = ("▁false", "▁true")
T5_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
"""T5 was trained in bfloat16; its activations leave the range of fp16 (transformers #4586)."""

MONOT5 = PromptContract(
    "monot5",
    MONO_PROMPT,
    "log_softmax",
    TRUE_FALSE,
    source=PYGAGGLE,
    precisions=T5_PRECISIONS,
)
DUOT5 = PromptContract(
    "duot5",
    "Query: {query} Document0: {document0} Document1: {document1} Relevant:",
    "log_softmax",
    TRUE_FALSE,
    source=PYGAGGLE,
    precisions=T5_PRECISIONS,
)
CONTRACTS = (
    # T5 has no piece "▁0": the blank is given, the bare digit after it is read
    PromptContract(
        "t5-digits",
        "Query: {query} Document: {document} Score:",
        "expected_value",
        tuple("0123456789"),
        opening=("▁",),
        source="ours; no published checkpoint",
        precisions=T5_PRECISIONS,
    ),
    # both answers begin with the piece "▁Document": it is given, the digit after it is read
    PromptContract(
        "duot5-named",
        "Query: {query} Document1: {document0} Document2: {document1} More relevant:",
        "log_softmax",
        ("2", "1"),
        opening=("▁Document",),
        source="ours; no published checkpoint",
        precisions=T5_PRECISIONS,
    ),
)
"""Prompts of this kind that no published checkpoint answers."""

_TPU = "pygaggle, docs of experiments on TPU"
_NUMBERS: dict[str, tuple[PublishedNumber, ...]] = {
    "base-msmarco": (
        *mrr(0.3816, ANSERINI, "pygaggle, docs; .3799 elsewhere in them"),
        *ndcg(0.723, 0.714),
    ),
    "large-msmarco": (*mrr(0.3937, ANSERINI, _TPU), *ndcg(0.720, 0.728)),
    "3b-msmarco": (
        *mrr(0.3984, ANSERINI, "pygaggle, docs; .3975 elsewhere in them"),
        *ndcg(0.726, 0.752),
    ),
}
_REVISIONS = {
    "small-msmarco-10k": "77f8e3f7b1eb1afe353aa21a7c3a2fc8feca702e",
    "base-msmarco-10k": "f15657ab3d2a5dd0b9a30c8c0b6a0a73c9cb5884",
    "large-msmarco-10k": "48cfad1d8dd587670393f27ee8ec41fde63e3d98",
    "3b-msmarco-10k": "bc0c419a438c81f592f878ce32430a1823f5db6c",
}
_DUO = "pygaggle, docs/experiments-duot5-tpu.md"
_DUO_NUMBERS: dict[str, tuple[PublishedNumber, ...]] = {
    "base-msmarco": mrr(0.3929, "monoT5-base's top 50", _DUO),
    "base-msmarco-10k": (),
    "3b-msmarco": mrr(0.4091, "monoT5-3B's top 50", _DUO),
    "3b-med-msmarco": (),
}


def _make_mono(name: str) -> PublishedCheckpoint:
    return PublishedCheckpoint(
        (f"castorini/monot5-{name}",),
        MONOT5,
        revision=_REVISIONS.get(name),
        licence=None,
        numbers=_NUMBERS.get(name, ()),
    )


_MONO = (
    *(
        _make_mono(f"{size}-msmarco{steps}")
        for size in ("small", "base", "large", "3b")
        for steps in ("", "-10k", "-100k")
    ),
    _make_mono("base-med-msmarco"),
    _make_mono("3b-med-msmarco"),
)
_COMPARING = tuple(
    PublishedCheckpoint(
        (f"castorini/duot5-{name}",), DUOT5, revision=None, licence=None, numbers=numbers
    )
    for name, numbers in _DUO_NUMBERS.items()
)

CHECKPOINTS = (*_MONO, *_COMPARING)
