"""Processors that were measured: which of them a machine resembles, and what to expect of it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownProcessor:
    """A kind of processor by the instructions it has, and what was measured on one.

    Speeds are those of MiniLM-L6's size beside sentence-transformers' defaults, on one thread.
    """

    name: str
    needs: str
    expect: str


KNOWN = (
    KnownProcessor("Xeon with AMX", "amx_bf16", "fp32 2.1x, bf16 6.7x"),
    KnownProcessor(
        "EPYC with AVX-512 and bfloat16", "avx512_bf16", "fp32 at least 2.0x, bf16 3.7x"
    ),
    KnownProcessor("Xeon with AVX-512, no AMX", "avx512f", "fp32 2.4x, bf16 1.4x"),
    KnownProcessor("EPYC with AVX2 only", "avx2", "fp32 1.8x, no bf16"),
)


def find_resembling(flags: Set[str]) -> KnownProcessor | None:
    """The first measured kind whose instructions a processor has."""
    return next((known for known in KNOWN if known.needs in flags), None)
