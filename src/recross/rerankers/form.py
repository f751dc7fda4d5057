"""In which form scores are computed: by which back-end, in which precision."""

from __future__ import annotations

from typing import NamedTuple

from recross.machine.hardware import Hardware
from recross.rerankers.reranker import Reranker


class Form(NamedTuple):
    """What computes scores, and in which precision; ``None`` where a server alone knows."""

    backend: str
    precision: str | None


def find_attentions(reranker: Reranker) -> list[str]:
    """Which attention computes the scores of each network that a re-ranker is made of."""
    networks = reranker.networks()
    return list(dict.fromkeys(part.network.name_attention(part.hardware) for part in networks))


SERVED = Form("served", None)


def find_form(reranker: Reranker, hardware: Hardware) -> Form:
    """The form of a re-ranker's scores, of all its parts together: the hardware's, or served."""
    if reranker.is_served:
        return SERVED
    forms = [find_form(part, hardware) for part in reranker.parts]
    forms = forms or [Form(hardware.backend, hardware.effective_precision)]
    backends = dict.fromkeys(form.backend for form in forms)
    precisions = dict.fromkeys(form.precision for form in forms if form.precision)
    return Form(" and ".join(backends), " and ".join(precisions) or None)
