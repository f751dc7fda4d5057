"""Randomness drawn for a thing: it never depends on visiting order, workers or hardware."""

from __future__ import annotations

import zlib

import numpy as np


def make_generator(seed: int, purpose: str, name: str = "") -> np.random.Generator:
    """Return the generator of ``(seed, purpose, name)``, e.g. that of one query's negatives."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), zlib.crc32(name.encode())])
