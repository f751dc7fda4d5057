"""Unicamp's monoT5 of other languages: mMARCO's mT5, and PTT5 for Portuguese.

Revisions: as in mteb, rerankers_monot5_based.py.
"""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.monot5 import MONO_PROMPT, T5_PRECISIONS
from recross.checkpoints.published.record import PYGAGGLE, PublishedCheckpoint


def _make_contract(name: str, *pieces: str) -> PromptContract:
    return PromptContract(
        name,
        MONO_PROMPT,
        "log_softmax",
        pieces,
        source=PYGAGGLE,
        precisions=T5_PRECISIONS,
    )


def _make_checkpoint(
    name: str, contract: PromptContract, revision: str | None = None
) -> PublishedCheckpoint:
    return PublishedCheckpoint((f"unicamp-dl/{name}",), contract, revision=revision, licence=None)


_NO_YES = _make_contract("mt5-no-yes", "▁no", "▁yes")
_BLANK_TRUE = _make_contract("mt5-blank-true", "▁", "▁true")
_PTT5 = _make_contract("ptt5", "▁não", "▁sim")
_MONOPTT5 = _make_contract("monoptt5", "▁Não", "▁Sim")

CHECKPOINTS = (
    _make_checkpoint("mt5-base-mmarco-v2", _NO_YES, "cc0a949b9f21efcaba45c8cabb998ad02ce8d4e7"),
    _make_checkpoint("mt5-3B-mmarco-en-pt", _BLANK_TRUE),
    _make_checkpoint(
        "mt5-13b-mmarco-100k", _BLANK_TRUE, "e1a4317e102a525ea9e16745ad21394a4f1bffbc"
    ),
    _make_checkpoint("ptt5-base-pt-msmarco-100k-v2", _PTT5),
    _make_checkpoint("ptt5-base-en-pt-msmarco-100k-v2", _PTT5),
    _make_checkpoint("monoptt5-base", _MONOPTT5),
)
