"""What a text is, in sixteen bytes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

Digests = npt.NDArray[np.uint64]
"""Digests of texts in two halves, ``(N, 2)``."""


def digest(text: str) -> bytes:
    """Hash a text to sixteen bytes; lone surrogates are texts too."""
    return xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


def digest_texts(texts: Iterable[str]) -> Digests:
    """Hash every text, ``(N, 2)``."""
    return np.frombuffer(b"".join(map(digest, texts)), "<u8").reshape(-1, 2)
