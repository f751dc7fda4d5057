"""Where the texts of a collection stand in its order, and a digest of each, on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from xxhash import xxh3_64_intdigest

from recross.errors import InputError
from recross.inference.spans import Ints
from recross.inference.texts.digests import Digests, digest
from recross.records import JsonObject
from recross.writing.progress import progress

DIGESTS, HASHES, ROWS, FIRSTS = "digests.bin", "hashes.npy", "rows.npy", "firsts.npy"


@dataclass(frozen=True)
class TextIndex:
    """Rows of texts by id, in the order of the collection.

    ``hashes`` of all ids are sorted, ``rows`` are those of their texts; no two ids of the
    collection share one. ``firsts`` are the first rows with the same text, where some are equal.
    """

    hashes: np.ndarray  # (N,) uint64, ascending
    rows: Ints  # (N,)
    digests: Digests  # (N, 2)
    firsts: Ints | None  # (N,)
    seed: int

    @classmethod
    def write(cls, folder: Path, texts: Mapping[str, str], description: str) -> JsonObject:
        """Write the index of texts into a folder; returns entries for the manifest."""
        folder.mkdir(exist_ok=True)
        hashes = np.empty(len(texts), dtype=np.uint64)
        with (
            (folder / DIGESTS).open("wb") as file,
            progress(len(texts), description, "text") as bar,
        ):
            for row, (name, text) in enumerate(texts.items()):
                hashes[row] = hash_id(name, 0)
                file.write(digest(text))
                bar.update()
        seed = 0
        while (order := _sort_distinct(hashes)) is None:  # once in a million collections
            seed += 1
            hashes = _hash_ids(texts, seed, len(texts))
        np.save(folder / HASHES, hashes[order])
        np.save(folder / ROWS, order)
        firsts = find_firsts(_map_digests(folder, len(texts)))
        if (firsts != np.arange(len(firsts))).any():
            np.save(folder / FIRSTS, firsts)
        return {"texts": len(texts), "seed": seed}

    @classmethod
    def open(cls, folder: Path, facts: JsonObject) -> TextIndex:
        """Map a written index into memory; ``facts`` are the entries of the manifest."""
        hashes, rows = (np.load(folder / name, mmap_mode="r") for name in (HASHES, ROWS))
        path = folder / FIRSTS
        firsts = np.load(path, mmap_mode="r") if path.is_file() else None
        return cls(hashes, rows, _map_digests(folder, facts["texts"]), firsts, facts["seed"])

    def find_rows(self, ids: Sequence[str]) -> Ints:
        """The rows of texts by their ids, ``(n,)``.

        Raises:
            InputError: the collection has no text of an id.
        """
        wanted = _hash_ids(ids, self.seed, len(ids))
        places = np.searchsorted(self.hashes, wanted)
        is_known = places < len(self.hashes)
        is_known[is_known] = self.hashes[places[is_known]] == wanted[is_known]
        unknown = np.flatnonzero(~is_known)
        if len(unknown):
            raise InputError(
                f"an id must be one of the collection's {len(self.hashes)}, got"
                f" {ids[unknown[0]]!r} ({len(unknown)} unknown)"
            )
        rows: Ints = self.rows[places].astype(np.int64)
        return rows

    def fold(self, rows: Ints) -> Ints:
        """For each row the first one with the same text."""
        return rows if self.firsts is None else self.firsts[rows]


def hash_id(name: str, seed: int) -> int:
    """Hash an id to eight bytes."""
    return xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"), seed)


def find_firsts(digests: Digests) -> Ints:
    """For each digest ``(N, 2)`` the first row of those that equal it, ``(N,)``."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    begins = np.ones(len(order), dtype=bool)
    high, low = (digests[order, half] for half in (0, 1))
    begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    firsts = np.empty(len(order), dtype=np.int64)
    firsts[order] = order[np.flatnonzero(begins)[begins.cumsum() - 1]]
    return firsts


def _hash_ids(ids: Iterable[str], seed: int, number: int) -> np.ndarray:
    return np.fromiter((hash_id(name, seed) for name in ids), np.uint64, number)


def _sort_distinct(hashes: np.ndarray) -> Ints | None:
    """The order that sorts hashes; ``None`` where two are equal."""
    order = np.argsort(hashes)
    return None if (hashes[order[1:]] == hashes[order[:-1]]).any() else order


def _map_digests(folder: Path, number: int) -> Digests:
    if not number:
        return np.empty((0, 2), dtype="<u8")
    return np.memmap(folder / DIGESTS, "<u8", mode="r", shape=(number, 2))
