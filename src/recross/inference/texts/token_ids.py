"""Token ids of many texts end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from recross.inference.spans import Ints, lay_out_spans

TokenArray = npt.NDArray[np.integer]
"""Token ids of any whole type: kept ones are unsigned, of 16 or 32 bits."""


@dataclass(frozen=True)
class TokenIds:
    """Tokens of ``N`` texts end to end, and where each of them begins and the last one ends."""

    ids: TokenArray  # (T,)
    offsets: Ints  # (N + 1,)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> TokenIds:
        """The tokens of each row."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        return cls(ids, add_up(lengths))

    @classmethod
    def end_to_end(cls, parts: Sequence[TokenIds]) -> TokenIds:
        """The texts of all parts, one part after the other."""
        lengths = np.concatenate([part.lengths for part in parts])
        kept = [part.ids for part in parts if len(part.ids)]  # a part of none decides no type
        return cls(np.concatenate(kept or [parts[0].ids]), add_up(lengths))

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, ``(N,)``."""
        lengths: Ints = np.diff(self.offsets)
        return lengths

    def take(self, which: Ints) -> TokenIds:
        """The tokens of these texts, in this order, copied together."""
        begins = self.offsets[which]
        indices, offsets = lay_out_spans(begins, self.offsets[which + 1] - begins)
        return TokenIds(self.ids[indices], offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def add_up(lengths: Ints) -> Ints:
    """Where spans of these lengths begin when they lie end to end, and where the last one ends."""
    return np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
