"""Posting lists of a collection on disk, put together of counted parts: few are ever in memory.

The first look at the parts gives every term its number in the collection, and how many documents
hold it. From that follow the weights, which the second look writes to their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recross.artefacts.strings import NameFile, StringFile
from recross.records import JsonObject
from recross.retrieval.posting_counts import DOC_IDS, TERMS, CountedPart, Counts
from recross.sharing.document_parts import DocumentParts
from recross.store import read_manifest

WEIGHTS, DOCUMENTS, STARTS, ABSENT = "weights.npy", "documents.npy", "starts.npy", "absent.npy"

COUNTS_PER_PART = 10
"""Counted parts whose postings lie together, and are searched together."""


@dataclass(frozen=True)
class TermStatistics:
    """What the parts say together: ``frequencies`` are how many documents hold each term."""

    documents: int
    mean_length: np.float64
    frequencies: npt.NDArray[np.int64]  # (terms,)


class WeighPostings(NamedTuple):
    """Weights of ``(terms, counts, lengths)`` of postings, and of a document without a term."""

    weigh: Callable[[Counts, Counts, Counts], npt.NDArray[np.float32]]
    absent: npt.NDArray[np.float32] | None  # (terms,)


class _Counted(NamedTuple):
    """A part that was counted, and which term of the collection each of its terms is."""

    folder: Path
    numbers: npt.NDArray[np.int32]  # (terms of the part,)
    known: int  # terms of the collection that this part and those before it hold


def join_counts(
    folder: Path, parts: DocumentParts, choose_weights: Callable[[TermStatistics], WeighPostings]
) -> JsonObject:
    """Count the parts that are missing, and weigh all; entries for the index's manifest."""
    parts.make_all()
    counted = _number_terms(folder, parts)
    statistics = _add_up(counted)
    weights = choose_weights(statistics)
    firsts = range(0, len(counted), COUNTS_PER_PART)
    for number, first in enumerate(firsts):
        part = name_part(folder, number)
        part.mkdir(exist_ok=True)
        _weigh_part(part, counted[first : first + COUNTS_PER_PART], weights.weigh)
    if weights.absent is not None:
        np.save(folder / ABSENT, weights.absent)
    ids = chain.from_iterable(StringFile(part.folder, DOC_IDS) for part in counted)
    StringFile.write(folder, DOC_IDS, ids)
    return {
        "documents": statistics.documents,
        "documents_per_part": parts.documents_per_part * COUNTS_PER_PART,
        "parts": len(firsts),
        "terms": len(statistics.frequencies),
    }


def name_part(folder: Path, number: int) -> Path:
    """Where the postings of some of the documents lie."""
    return folder / f"part_{number:05}"


def _number_terms(folder: Path, parts: DocumentParts) -> list[_Counted]:
    """Number the terms of all parts as they come, and write which they are; some are empty."""
    known: dict[str, int] = {}
    counted: list[_Counted] = []
    for number in range(len(parts)):
        part = parts.find_made(number)
        if not read_manifest(part)["documents"]:
            continue
        own = StringFile(part, TERMS)
        numbers = (known.setdefault(term, len(known)) for term in own)
        counted.append(_Counted(part, np.fromiter(numbers, np.int32, len(own)), len(known)))
    NameFile.finish(StringFile.write(folder, TERMS, known))
    return counted


def _add_up(counted: Sequence[_Counted]) -> TermStatistics:
    frequencies = np.zeros(counted[-1].known if counted else 0, np.int64)
    documents = total = 0
    for part in counted:
        postings = CountedPart.open(part.folder)
        frequencies[part.numbers] += np.diff(postings.starts)
        documents += len(postings.lengths)
        total += int(postings.lengths.sum())
    return TermStatistics(documents, np.float64(total) / max(documents, 1), frequencies)


def _weigh_part(
    folder: Path,
    counted: Sequence[_Counted],
    weigh: Callable[[Counts, Counts, Counts], npt.NDArray[np.float32]],
) -> None:
    """Write the weights and documents of each term's list, in the order of the documents."""
    held = np.zeros(counted[-1].known, np.int64)
    for part in counted:
        held[part.numbers] += np.diff(CountedPart.open(part.folder).starts)
    starts = np.concatenate([[0], held.cumsum()])
    weights, documents = np.empty(starts[-1], np.float32), np.empty(starts[-1], np.int32)
    next_places, first = starts[:-1].copy(), 0
    for part in counted:
        postings = CountedPart.open(part.folder)
        own = np.diff(postings.starts)
        ends = np.repeat(next_places[part.numbers] - postings.starts[:-1], own)
        places = ends + np.arange(len(ends))
        lengths = postings.lengths[postings.documents]
        weights[places] = weigh(np.repeat(part.numbers, own), postings.counts, lengths)
        documents[places] = postings.documents + np.int32(first)
        next_places[part.numbers] += own
        first += len(postings.lengths)
    np.save(folder / WEIGHTS, weights)
    np.save(folder / DOCUMENTS, documents)
    np.save(folder / STARTS, starts.astype(np.int32))


def open_parts(folder: Path) -> Iterator[tuple[npt.NDArray[np.float32], Counts, Counts, range]]:
    """Weights, documents and starts of each part, mapped into memory, and which documents."""
    facts = read_manifest(folder)
    documents, size = facts["documents"], facts["documents_per_part"]
    for number in range(facts["parts"]):
        files = (name_part(folder, number) / name for name in (WEIGHTS, DOCUMENTS, STARTS))
        weights, rows, starts = (np.load(file, mmap_mode="r") for file in files)
        is_last = number == facts["parts"] - 1
        span = range(number * size, documents if is_last else (number + 1) * size)
        yield weights, rows, starts, span
