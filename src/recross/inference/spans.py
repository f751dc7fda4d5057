"""Spans within long arrays: whole numbers, laid end to end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def lay_out_spans(begins: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Return the indices of spans laid end to end, and where each span then begins ``(n + 1,)``.

    Spans that begin at ``5, 0`` and are ``2, 3`` long have the indices ``5 6 0 1 2`` and then begin
    at ``0, 2, 5``.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths), offsets
