"""mixedbread's first re-rankers: DeBERTa-v2 with one logit, whose scores are its sigmoid."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import PublishedCheckpoint


def _publish(size: str) -> PublishedCheckpoint:
    name = f"mxbai-rerank-{size}-v1"
    source = f"https://huggingface.co/mixedbread-ai/{name}"
    contract = ClassifierContract(name, "sigmoid", source=source)
    return PublishedCheckpoint(
        (f"mixedbread-ai/{name}",), contract, revision=None, licence="Apache-2.0"
    )


CHECKPOINTS = tuple(_publish(size) for size in ("xsmall", "base", "large"))
