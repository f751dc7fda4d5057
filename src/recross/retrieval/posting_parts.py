"""Posting lists of a collection on disk, built part by part: few documents are ever in memory.

A part is counted once and outlasts an interruption. When all are counted, the weights of each
follow from what they say together: how many documents hold a term, and how long documents are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recross.artefacts.folders import PARTIAL, sync_tree
from recross.artefacts.manifest import find_damage, read_sealed, seal_folder
from recross.artefacts.strings import NameFile, StringFile
from recross.records import JsonObject
from recross.writing.progress import progress
from recross.writing.whole_files import replace_file

logger = logging.getLogger(__name__)

COUNTS, WEIGHTS, DOCUMENTS, STARTS = "counts.npy", "weights.npy", "documents.npy", "starts.npy"
LENGTHS, ABSENT = "lengths.npy", "absent.npy"
TERMS, DOC_IDS = "terms", "doc_ids"

DOCUMENTS_PER_PART = 100_000
"""Documents that are counted together, and what an interruption loses at most."""

DOCUMENTS_AT_ONCE = 10_000
"""Documents whose terms are lists of Python's at a time."""

Counts = npt.NDArray[np.integer]


class NumberedTerms(NamedTuple):
    """The terms of some texts by number, and which term each number is."""

    texts: Sequence[Sequence[int]]
    numbers: Mapping[str, int]


SplitTexts = Callable[[Sequence[str]], NumberedTerms]


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


def write_posting_parts(
    folder: Path,
    documents: Mapping[str, str],
    split: SplitTexts,
    choose_weights: Callable[[TermStatistics], WeighPostings],
) -> JsonObject:
    """Count the parts that an interruption left uncounted, and weigh all; entries of a manifest."""
    known: dict[str, int] = {}
    pairs = iter(documents.items())
    parts: list[Path] = []
    with progress(len(documents), "indexing", "document") as bar:
        while chunk := list(islice(pairs, DOCUMENTS_PER_PART)):
            parts.append(folder / f"part_{len(parts):05}")
            if not _is_counted(parts[-1]):
                _count_part(parts[-1], chunk, split, known)
            for term in StringFile(parts[-1], TERMS):
                known.setdefault(term, len(known))
            bar.update(len(chunk))
    statistics = _add_up(parts, len(known))
    weights = choose_weights(statistics)
    for part in parts:
        _weigh_part(part, weights.weigh)
    if weights.absent is not None:
        np.save(folder / ABSENT, weights.absent)
    NameFile.finish(StringFile.join(folder, TERMS, [StringFile(part, TERMS) for part in parts]))
    StringFile.join(folder, DOC_IDS, [StringFile(part, DOC_IDS) for part in parts])
    return {"documents": statistics.documents, "parts": len(parts), "terms": len(known)}


def _is_counted(part: Path) -> bool:
    """Whether a part is there as it was written; one that is damaged is said."""
    if not part.is_dir():
        return False
    if (damage := find_damage(part)) is None:
        return True
    logger.warning("%s: %s; counted again", part, damage)
    for path in part.iterdir():
        path.unlink()
    part.rmdir()
    return False


def _count_part(
    part: Path, chunk: Sequence[tuple[str, str]], split: SplitTexts, known: Mapping[str, int]
) -> None:
    """Count the terms of each document, in a folder that has its name when it is whole."""
    ids, texts = zip(*chunk, strict=True)
    numbers = dict(known)
    terms, lengths = _number_terms(texts, split, numbers)
    documents = np.repeat(np.arange(len(texts)), lengths)
    pairs, counts = np.unique(terms * len(texts) + documents, return_counts=True)
    by_term, rows = np.divmod(pairs, len(texts))
    starts = np.searchsorted(by_term, np.arange(len(numbers) + 1)).astype(np.int32)
    smallest = np.min_scalar_type(int(counts.max(initial=0)))
    partial = part.with_name(part.name + PARTIAL)
    partial.mkdir()
    np.save(partial / COUNTS, counts.astype(smallest))
    np.save(partial / DOCUMENTS, rows.astype(np.int32))
    np.save(partial / STARTS, starts)
    np.save(partial / LENGTHS, lengths.astype(np.int32))
    StringFile.write(partial, TERMS, list(islice(numbers, len(known), None)))
    StringFile.write(partial, DOC_IDS, ids)
    sync_tree(partial)
    seal_folder(partial, {"terms": int(lengths.sum())})
    partial.replace(part)


def _number_terms(
    texts: Sequence[str], split: SplitTexts, numbers: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The number of every term of texts end to end, new ones counted on, and how many each has."""
    terms: list[npt.NDArray[np.int64]] = []
    lengths: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(texts), DOCUMENTS_AT_ONCE):
        found = split(texts[start : start + DOCUMENTS_AT_ONCE])
        own = np.zeros(len(found.numbers), np.int64)
        for term in sorted(found.numbers):  # whatever order they were found in
            own[found.numbers[term]] = numbers.setdefault(term, len(numbers))
        lengths.append(np.fromiter(map(len, found.texts), np.int64, len(found.texts)))
        local = np.fromiter(chain.from_iterable(found.texts), np.int64, int(lengths[-1].sum()))
        terms.append(own[local])
    return np.concatenate(terms), np.concatenate(lengths)


def _add_up(parts: Sequence[Path], terms: int) -> TermStatistics:
    frequencies = np.zeros(terms, np.int64)
    documents = total = 0
    for part in parts:
        held = np.diff(np.load(part / STARTS))
        frequencies[: len(held)] += held
        documents += len(np.load(part / LENGTHS, mmap_mode="r"))
        total += (read_sealed(part) or {})["terms"]
    return TermStatistics(documents, np.float64(total) / max(documents, 1), frequencies)


def _weigh_part(
    part: Path, weigh: Callable[[Counts, Counts, Counts], npt.NDArray[np.float32]]
) -> None:
    if (part / WEIGHTS).is_file():  # written whole or not at all, and always the same
        return
    held = np.diff(np.load(part / STARTS))
    terms = np.repeat(np.arange(len(held)), held)
    lengths = np.load(part / LENGTHS)[np.load(part / DOCUMENTS)]
    weights = weigh(terms, np.load(part / COUNTS), lengths)
    with replace_file(part / WEIGHTS) as path, path.open("wb") as file:
        np.save(file, weights)


def open_parts(
    folder: Path, count: int
) -> Iterator[tuple[npt.NDArray[np.float32], Counts, Counts, int]]:
    """Weights, documents and starts of each part, mapped into memory, and its documents."""
    for number in range(count):
        part = folder / f"part_{number:05}"
        weights, documents, starts = (
            np.load(part / name, mmap_mode="r") for name in (WEIGHTS, DOCUMENTS, STARTS)
        )
        yield weights, documents, starts, len(np.load(part / LENGTHS, mmap_mode="r"))
