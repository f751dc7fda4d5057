"""Which embedded database holds the score cache: time and room for the same scores in each.

Prints microseconds per entry, for 100 documents of each query: look-ups are the best of the
repetitions, an insert is one transaction, four writers commit 1,000 entries at a time, and every
commit waits for the disk.
    python benchmarks/score_cache.py [--entries 100000] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Protocol

import lmdb
import numpy as np
from filelock import FileLock
from xxhash import xxh3_128_digest

from recross.inference.cache.open_files import use_file
from recross.inference.cache.page_writer import PageWriter
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.cache.score_keys import Keys
from recross.inference.cache.score_pages import (
    Scores,
    is_intact,
    lay_out_page,
    look_up,
    merge_entries,
    read_entries,
    split_by_page,
)
from recross.inference.texts.texts import TextItem

DEPTH = 100
DOCUMENTS = 20_000
WORDS = 55
WRITERS = 4
QUERIES_PER_WRITE = 10
ROOM = 1 << 30


class Store(Protocol):
    """One way to keep scores by key in a folder, for several processes."""

    def __init__(self, folder: Path) -> None: ...

    def write(self, keys: Keys, scores: Scores) -> None: ...

    def read(self, keys: Keys) -> Scores: ...


class LmdbPages:
    """A value for each scorer and query: what the package uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, keys: Keys, scores: Scores) -> None:
        with use_file(self.folder, ROOM) as file:
            PageWriter(file, keys.scorer, "scorer", ROOM).write(split_by_page(keys, scores))

    def read(self, keys: Keys) -> Scores:
        with use_file(self.folder, ROOM) as file, file.reading() as transaction:
            (young, *_) = file.list_newest_first(transaction)
            return look_up(keys, [transaction.get(key, db=young) for key in keys.pages])


class LmdbPairs:
    """A value for each pair."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.environment = lmdb.open(str(folder), map_size=ROOM)

    def write(self, keys: Keys, scores: Scores) -> None:
        pairs = [(key, score.tobytes()) for key, score in zip(pair_keys(keys), scores, strict=True)]
        with self.environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(sorted(pairs))

    def read(self, keys: Keys) -> Scores:
        pairs = pair_keys(keys)
        with self.environment.begin() as transaction, transaction.cursor() as cursor:
            found = dict(cursor.getmulti(pairs))
        return np.frombuffer(b"".join(map(found.__getitem__, pairs)), np.float32)


def connect(folder: Path, table: str) -> sqlite3.Connection:
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / "scores.sqlite", isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"CREATE TABLE IF NOT EXISTS scores ({table}) WITHOUT ROWID")
    return connection


class SqlitePages:
    """A row for each scorer and query."""

    def __init__(self, folder: Path) -> None:
        self.connection = connect(folder, "key BLOB PRIMARY KEY, page BLOB")

    def write(self, keys: Keys, scores: Scores) -> None:
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            rows = []
            for key, new in split_by_page(keys, scores):
                old = self._page(key)
                entries = (
                    merge_entries(read_entries(old), new) if old and is_intact(key, old) else new
                )
                rows.append((key, lay_out_page(key, entries, 0)))
            self.connection.executemany("REPLACE INTO scores VALUES (?, ?)", rows)

    def read(self, keys: Keys) -> Scores:
        return look_up(keys, list(map(self._page, keys.pages)))

    def _page(self, key: bytes) -> bytes | None:
        query = "SELECT page FROM scores WHERE key = ?"
        row = self.connection.execute(query, (key,)).fetchone()
        return row[0] if row else None


class SqlitePairs:
    """A row for each pair, 500 keys to a statement."""

    def __init__(self, folder: Path) -> None:
        self.connection = connect(folder, "key BLOB PRIMARY KEY, score REAL")

    def write(self, keys: Keys, scores: Scores) -> None:
        rows = sorted(zip(pair_keys(keys), scores.tolist(), strict=True))
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("REPLACE INTO scores VALUES (?, ?)", rows)

    def read(self, keys: Keys) -> Scores:
        found: dict[bytes, float] = {}
        pairs = pair_keys(keys)
        for start in range(0, len(pairs), 500):
            part = pairs[start : start + 500]
            query = f"SELECT * FROM scores WHERE key IN ({','.join('?' * len(part))})"
            found.update(self.connection.execute(query, part))
        return np.array(list(map(found.__getitem__, pairs)), dtype=np.float32)


class NumpyTable:
    """A memory-mapped table with open addressing, of fixed size, written under a file lock."""

    SLOTS = 1 << 18

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        entry = np.dtype([("key", "<u8", 2), ("score", "<f4")])
        path = folder / "scores.table"
        self.lock = FileLock(folder / "lock")
        with self.lock:
            if not path.exists():
                with path.open("wb") as file:
                    file.truncate(self.SLOTS * entry.itemsize)
        self.table = np.memmap(path, entry, "r+")

    def write(self, keys: Keys, scores: Scores) -> None:
        own = self._own(keys)
        with self.lock:
            slots = self._slots(own)
            while len(own):
                self.table["key"][slots], self.table["score"][slots] = own, scores
                lost = (self.table["key"][slots] != own).any(axis=1)  # two keys for one free slot
                own, scores = own[lost], scores[lost]
                slots = self._slots(own)
            self.table.flush()

    def read(self, keys: Keys) -> Scores:
        return np.asarray(self.table["score"][self._slots(self._own(keys))])

    def _own(self, keys: Keys) -> np.ndarray[Any, Any]:
        return np.frombuffer(b"".join(pair_keys(keys)), "<u8").reshape(-1, 2)

    def _slots(self, own: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        slots = (own[:, 0] % self.SLOTS).astype(np.int64)
        open_rows = np.arange(len(own))
        while len(open_rows):
            there = self.table["key"][slots[open_rows]]
            done = (there == own[open_rows]).all(axis=1) | ~there.any(axis=1)
            open_rows = open_rows[~done]
            slots[open_rows] = (slots[open_rows] + 1) % self.SLOTS
        return slots


STORES: dict[str, type[Store]] = {
    "LMDB, page per query": LmdbPages,
    "LMDB, key per pair": LmdbPairs,
    "SQLite WAL, page per query": SqlitePages,
    "SQLite WAL, row per pair": SqlitePairs,
    "numpy table, file lock": NumpyTable,
}


def pair_keys(keys: Keys) -> list[bytes]:
    """One key for each pair, for stores that know no pages."""
    entries = keys.entries.tobytes()
    pages = map(keys.pages.__getitem__, keys.page_of.tolist())
    return [
        xxh3_128_digest(page + entries[at : at + 16])
        for page, at in zip(pages, range(0, len(entries), 16), strict=True)
    ]


def made_items(entries: int, start: int = 0) -> list[TextItem]:
    """Pairs of made-up texts, 100 documents of 20,000 for each query."""
    rng = random.Random(1)
    texts = [
        f"document {number} " + " ".join(f"word{rng.randrange(9999)}" for _ in range(WORDS))
        for number in range(DOCUMENTS)
    ]
    queries = range(start, start + -(-entries // DEPTH))
    pairs = [(f"a query of number {q}", text) for q in queries for text in rng.sample(texts, DEPTH)]
    return list(pairs[:entries])


def best(repeat: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest repetition."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def write_in_parts(kind: str, folder: Path, number: int, entries: int, start: Barrier) -> None:
    """One of several writers: its own queries, committed ten at a time."""
    items = made_items(entries, start=number * entries)
    size = QUERIES_PER_WRITE * DEPTH
    parts = [Keys.of_texts("scorer", items[at : at + size]) for at in range(0, len(items), size)]
    store = STORES[kind](folder)
    start.wait()
    for keys in parts:
        store.write(keys, np.ones(len(keys.page_of), dtype=np.float32))
    start.wait()


def writers(kind: str, folder: Path, entries: int) -> float:
    """Seconds in which four processes write their shares."""
    STORES[kind](folder)  # SQLite refuses to be made by several at once
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(WRITERS + 1, timeout=300)
    share = entries // WRITERS
    processes = [
        spawn.Process(target=write_in_parts, args=(kind, folder, number, share, start), daemon=True)
        for number in range(WRITERS)
    ]
    for process in processes:
        process.start()
    start.wait()
    begun = time.perf_counter()
    start.wait()
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    return seconds


def measure(kind: str, items: Sequence[TextItem], repeat: int, root: Path) -> dict[str, float]:
    """Microseconds per entry of each use, and bytes of disk per entry."""
    per_entry = 1e6 / len(items)
    scores = np.random.default_rng(1).normal(size=len(items)).astype(np.float32)
    keys = Keys.of_texts("scorer", items)
    folder = root / "one"
    store = STORES[kind](folder)
    insert = best(1, lambda: store.write(keys, scores))
    look = best(repeat, lambda: store.read(keys))
    if not np.array_equal(store.read(keys), scores):
        raise AssertionError(f"{kind} returned other scores than it was given")
    size = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
    return {
        "look_up": look * per_entry,
        "insert": insert * per_entry,
        "four_writers": writers(kind, root / "many", len(items)) * per_entry,
        "bytes": size / len(items),
    }


def measure_cache(items: Sequence[TextItem], repeat: int, root: Path) -> dict[str, float]:
    """Microseconds per entry of the whole of ``ScoreCache``, and of hashing, which it includes."""
    per_entry = 1e6 / len(items)
    cache = ScoreCache(root / "cache", ROOM)
    write = best(1, lambda: cache.write("scorer", items, np.ones(len(items))))
    return {
        "hash": best(repeat, lambda: Keys.of_texts("scorer", items)) * per_entry,
        "write": write * per_entry,
        "read": best(repeat, lambda: cache.read("scorer", items)) * per_entry,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    items = made_items(arguments.entries)
    stores: dict[str, dict[str, float]] = {}
    for kind in STORES:
        with tempfile.TemporaryDirectory() as root:
            stores[kind] = measure(kind, items, arguments.repeat, Path(root))
    with tempfile.TemporaryDirectory() as root:
        cache = measure_cache(items, arguments.repeat, Path(root))
    if arguments.json:
        print(json.dumps({"entries": len(items), "stores": stores, "score_cache": cache}))
        return
    print(f"{len(items)} entries, microseconds per entry; keys of the stores already hashed")
    print(f"{'store':28}{'look-up':>9}{'insert':>9}{'4 writers':>11}{'bytes':>8}")
    for kind, row in stores.items():
        times = f"{row['look_up']:9.2f}{row['insert']:9.2f}{row['four_writers']:11.2f}"
        print(f"{kind:28}{times}{row['bytes']:8.0f}")
    print("ScoreCache, texts to scores: " + ", ".join(f"{k} {v:.2f}" for k, v in cache.items()))


if __name__ == "__main__":
    main()
