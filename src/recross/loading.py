"""A re-ranker by name, for Python users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recross.config import build, composed, options, resolved
from recross.errors import InputError
from recross.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import Reranker


def load_reranker(
    name: str | Path,
    *,
    contract: str | None = None,
    max_length: int | None = None,
    hardware: Hardware = Hardware(),
) -> CrossEncoder:
    """Load a cross-encoder by folder, option name (``minilm_l6``) or hub id.

    ``contract`` names the scoring contract where the checkpoint does not say; ``max_length``
    overrides its limit, in tokens.

    Raises:
        InputError: there is no such checkpoint, or the option is not a cross-encoder.
    """
    name = str(name)
    found: Reranker = CrossEncoder(name)
    if not Path(name).is_dir() and name in options()["reranker"]:
        found = reranker_option(name)
    if not isinstance(found, CrossEncoder):
        raise InputError(f"name must be that of a cross-encoder, got the option {name!r}")
    reranker = replace(
        found,
        contract=contract or found.contract,
        max_length=max_length or found.max_length,
        hardware=hardware,
    )
    _ = reranker.network  # a wrong name fails here, not at the first score
    return reranker


def reranker_option(name: str) -> Reranker:
    """Build a shipped option of the group ``reranker``."""
    reranker: Reranker = build(resolved(composed("run", [f"reranker={name}"]))["reranker"])
    return reranker
