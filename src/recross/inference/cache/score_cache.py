"""Scores that were computed once, kept by content, shared by every process of a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from recross.errors import InputError
from recross.inference.cache import open_files
from recross.inference.cache.open_files import use_file
from recross.inference.cache.page_writer import PageWriter
from recross.inference.cache.score_keys import DIGEST_BYTES, Keys
from recross.inference.cache.score_pages import (
    LookedUp,
    count_entries,
    is_intact,
    look_up,
    read_time,
    split_by_page,
)
from recross.inference.items import Scores
from recross.inference.texts.texts import TextItem
from recross.parts.bounds import Ge, Le, checked

LEAST_BYTES = 1 << 20
DEFAULT_BYTES = 4 << 30


_off: ContextVar[bool] = ContextVar("score cache off", default=False)


def caches_are_off() -> bool:
    """Whether this is within ``turn_caches_off``."""
    return _off.get()


@contextmanager
def turn_caches_off() -> Iterator[None]:
    """Neither read nor write any score within: for timing."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)


@dataclass(frozen=True)
@checked
class ScoreCache:
    """Scores by content: who scored, the query's text and the documents' texts in their order.

    ``scorer`` is the caller's name for everything else that a score depends on: weights, template,
    limits, read-out, precision, back-end. Nothing is filed under an id, so a text under another id
    is known and a changed text is not.

    Any number of processes of one machine may read and write at once (LMDB: one writer at a time,
    readers never wait); a killed process leaves what it had committed and nothing else. The folder
    must not lie on a network file system. It is opened at the first use, anew in every process. The
    file stays below ``max_bytes``; about half of it is scores, and the oldest written go first.
    """

    path: Path
    max_bytes: Annotated[int, Ge(LEAST_BYTES), Le(1 << 42)] = DEFAULT_BYTES
    enabled: bool = True

    @property
    def is_on(self) -> bool:
        """Whether scores are read and written now."""
        return self.enabled and not caches_are_off()

    def read(self, scorer: str, items: Sequence[TextItem]) -> Scores:
        """Scores of the items, ``(B,)``, as they were written; NaN where there is none.

        Raises:
            InputError: an item holds no document, or the folder cannot be used.
        """
        return self.look_up(Keys.of_texts(scorer, items)).scores

    def write(self, scorer: str, items: Sequence[TextItem], scores: npt.ArrayLike) -> None:
        """Keep one score per item; on return they outlast the process.

        Raises:
            InputError: a score is missing or not finite, an item holds no document, or the folder
                cannot be used.
        """
        self.file(scorer, Keys.of_texts(scorer, items), scores)

    def look_up(self, keys: Keys) -> LookedUp:
        """What ``read`` gives, of items by what they are filed under.

        Those count as damaged that a damaged page may have held, and that no other page holds.
        """
        scores = np.full(len(keys), np.nan, dtype=np.float32)
        damaged = np.zeros(len(keys), dtype=np.bool_)
        if not self.is_on or not len(keys):
            return LookedUp(scores, damaged)
        with use_file(self.path, self.max_bytes) as file, file.reading() as transaction:
            for generation in file.list_newest_first(transaction):
                pages = [transaction.get(key, db=generation) for key in keys.pages]
                found = look_up(keys, pages)
                scores = np.where(np.isnan(scores), found.scores, scores)
                damaged |= found.damaged
        return LookedUp(scores, damaged & np.isnan(scores))

    def file(self, scorer: str, keys: Keys, scores: npt.ArrayLike) -> None:
        """Keep scores as ``write`` does, of items by what they are filed under."""
        values = _checked(len(keys), scores)
        if not self.is_on or not len(keys):
            return
        with use_file(self.path, self.max_bytes) as file:
            writer = PageWriter(file, keys.scorer, scorer, self.max_bytes)
            writer.write(split_by_page(keys, values))


@dataclass(frozen=True)
class CacheStats:
    """What a cache holds; times in seconds since 1970, None in an empty cache."""

    entries: int
    bytes: int
    scorers: dict[str, int]
    """Entries of each scorer."""
    oldest: float | None
    newest: float | None


def count_scores(path: Path) -> CacheStats:
    """Count what a cache holds; a cache that does not exist holds nothing."""
    counts: dict[bytes, int] = {}
    times: list[int] = []
    names: dict[bytes, str] = {}
    if open_files.exists(path):
        with use_file(path, LEAST_BYTES) as file, file.reading() as transaction:
            names = file.names(transaction)
            for _, key, page in file.pages(transaction):
                if is_intact(key, page):
                    scorer = key[:DIGEST_BYTES]
                    counts[scorer] = counts.get(scorer, 0) + count_entries(page)
                    times.append(read_time(page))
    return CacheStats(
        entries=sum(counts.values()),
        bytes=open_files.measure_file(path),
        scorers={names.get(scorer, scorer.hex()): count for scorer, count in counts.items()},
        oldest=min(times) / 1e9 if times else None,
        newest=max(times) / 1e9 if times else None,
    )


def clear(path: Path) -> int:
    """Forget everything; returns the bytes given back. Other processes go on with an empty one."""
    freed = open_files.measure_file(path)
    if freed:
        open_files.remove(path)
    return freed


def verify(path: Path, repair: bool = False) -> int:
    """Count the entries of damaged pages, told by their length, their checksum and their scores.

    They are never read in any case; ``repair`` drops them.
    """
    if not open_files.exists(path):
        return 0
    with use_file(path, LEAST_BYTES) as file:
        with file.reading() as transaction:
            bad = [page for page in file.pages(transaction) if not is_intact(*page[1:])]
        if repair and bad:
            file.delete(bad)
    return sum(count_entries(page) for _, _, page in bad)


def _checked(count: int, scores: npt.ArrayLike) -> Scores:
    values = np.asarray(scores, dtype=np.float32)
    if values.shape != (count,):
        raise InputError(f"scores must be one for each of {count} items, got {values.shape}")
    wrong = values[~np.isfinite(values)]
    if len(wrong):
        raise InputError(f"scores must be finite, got {wrong[0]} ({len(wrong)} such scores)")
    return values
