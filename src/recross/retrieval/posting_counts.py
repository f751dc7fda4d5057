"""How often each document of a collection holds each term, counted in parts.

A part numbers its own terms, so that any process can count it, whatever the others hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recross.artefacts.strings import StringFile
from recross.collections.document_spans import IdsAndTexts
from recross.records import JsonObject
from recross.sharing.document_parts import DocumentParts

COUNTED, TERMS, DOC_IDS = "counted.npz", "terms", "doc_ids"

DOCUMENTS_PER_COUNT = 10_000
"""Documents that are counted together, and what an interruption loses at most."""

Counts: TypeAlias = npt.NDArray[np.integer]


class NumberedTerms(NamedTuple):
    """The terms of some texts by number, and which term each number is."""

    texts: Sequence[Sequence[int]]
    numbers: Mapping[str, int]


SplitTexts = Callable[[Sequence[str]], NumberedTerms]


@dataclass(frozen=True)
class CountedParts(DocumentParts):
    """Parts whose terms are counted."""

    doing: ClassVar[str] = "counting terms"


class CountedPart(NamedTuple):
    """The postings of some documents by term, in the order of the documents."""

    counts: Counts  # (postings,)
    documents: Counts  # (postings,) from 0 on
    starts: Counts  # (terms + 1,) where the postings of each term begin
    lengths: Counts  # (documents,) terms of each

    @classmethod
    def open(cls, folder: Path) -> CountedPart:
        """Read what :func:`count_terms` wrote."""
        with np.load(folder / COUNTED) as arrays:
            return cls(*(arrays[name] for name in cls._fields))


def count_terms(folder: Path, documents: IdsAndTexts, split: SplitTexts) -> JsonObject:
    """Count the terms of each document; returns entries for the part's manifest."""
    ids, texts = [doc_id for doc_id, _ in documents], [text for _, text in documents]
    found = split(texts) if texts else NumberedTerms((), {})
    names = sorted(found.numbers)  # whatever order they were found in
    numbers = np.zeros(len(names), np.int64)
    numbers[[found.numbers[name] for name in names]] = np.arange(len(names))
    lengths = np.fromiter(map(len, found.texts), np.int64, len(texts))
    terms = numbers[np.fromiter(chain.from_iterable(found.texts), np.int64, int(lengths.sum()))]
    rows = np.repeat(np.arange(len(texts)), lengths)
    pairs, counts = np.unique(terms * len(texts) + rows, return_counts=True)
    by_term, rows = np.divmod(pairs, len(texts))
    counted = CountedPart(
        _narrow(counts), _narrow(rows), np.searchsorted(by_term, np.arange(len(names) + 1)), lengths
    )
    np.savez(folder / COUNTED, **counted._asdict())
    StringFile.write(folder, TERMS, names)
    StringFile.write(folder, DOC_IDS, ids)
    return {"documents": len(texts), "terms": len(names)}


def _narrow(numbers: Counts) -> Counts:
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
