"""A page of the score cache: the scores of one query by one scorer, with a checksum of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_digest

from recross.inference.cache.score_keys import Keys
from recross.inference.items import Scores

LAYOUT = 1
"""Part of every checksum: pages laid out otherwise are not intact, hence not read."""
ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("score", "<f4")])
HEADER_BYTES = 16
"""Checksum, then the time of writing in nanoseconds, eight bytes each; entries follow."""

Entries = npt.NDArray[np.void]


class LookedUp(NamedTuple):
    """What pages hold of items: scores, NaN where there is none, and whose page is damaged."""

    scores: Scores  # (B,)
    damaged: npt.NDArray[np.bool_]  # (B,)


def lay_out_page(key: bytes, entries: Entries, written: int) -> bytes:
    """Lay out a page, to be stored under ``key``."""
    body = written.to_bytes(8, "little") + entries.tobytes()
    return _sum_up(key, body) + body


def is_intact(key: bytes, page: bytes) -> bool:
    """Whether a page is what was once written under this key, in whole and with real scores."""
    rest = len(page) - HEADER_BYTES
    if rest < 0 or rest % ENTRY.itemsize or page[:8] != _sum_up(key, page[8:]):
        return False
    return bool(np.isfinite(read_entries(page)["score"]).all())


def read_entries(page: bytes) -> Entries:
    """Return the entries of an intact page."""
    return np.frombuffer(page, ENTRY, offset=HEADER_BYTES)


def count_entries(page: bytes) -> int:
    """Count the entries that a page has room for, intact or not; at least one."""
    return max(1, (len(page) - HEADER_BYTES) // ENTRY.itemsize)


def read_time(page: bytes) -> int:
    """Return when an intact page was written, in nanoseconds since 1970."""
    return int.from_bytes(page[8:HEADER_BYTES], "little")


def look_up(keys: Keys, pages: Sequence[bytes | None]) -> LookedUp:
    """Look up the scores of the items; NaN where a page or an entry is missing.

    All pages are searched at once; a page that is not intact counts as missing. Two pages with the
    entries ``[b, a]`` and ``[c]`` make a table of three rows on the pages ``[0, 0, 1]``. An item
    of page 0 and document a gets a search number; among the sorted numbers of the table it falls on
    that of row 1, whose page and digest are then compared with the item's own.
    """
    sound = [
        page is None or page[:8] == _sum_up(key, page[8:])
        for key, page in zip(keys.pages, pages, strict=True)
    ]
    damaged = ~np.array(sound, dtype=np.bool_)[keys.page_of]
    bodies = [
        page[HEADER_BYTES:] if page and is_sound else b""
        for page, is_sound in zip(pages, sound, strict=True)
    ]
    table = np.frombuffer(b"".join(bodies), ENTRY)
    scores = np.full(len(keys.page_of), np.nan, dtype=np.float32)
    if not len(table) or not len(scores):
        return LookedUp(scores, damaged)
    page_of = np.repeat(np.arange(len(bodies)), [len(body) // ENTRY.itemsize for body in bodies])
    high, low = keys.entries[:, 0], keys.entries[:, 1]
    table_numbers = keys.search_numbers(page_of, table["high"])
    item_numbers = keys.search_numbers(keys.page_of, high)
    table_order, items = np.argsort(table_numbers), np.argsort(item_numbers)
    # Sorted, each search goes on where the last one ended: four times faster than at random.
    hits = np.searchsorted(table_numbers[table_order], item_numbers[items])
    rows = table_order[np.minimum(hits, len(table_order) - 1)]
    same = (table["high"][rows] == high[items]) & (table["low"][rows] == low[items])
    same &= page_of[rows] == keys.page_of[items]
    scores[items[same]] = table["score"][rows[same]]
    return LookedUp(scores, damaged)


def split_by_page(keys: Keys, scores: Scores) -> Iterator[tuple[bytes, Entries]]:
    """Yield each page's key and its entries, ascending and without repetition; the last one counts.

    The items ``(q, a), (r, a), (q, a)`` with the scores ``1, 2, 3`` are of the pages ``0, 1, 0``.
    Sorted by page and digest their scores stand as ``1, 3, 2``; the first is followed by its equal
    and dropped. What is left, ``3, 2``, ends at ``[1, 2]``: page q holds 3, page r holds 2.
    """
    entries = np.empty(len(scores), dtype=ENTRY)
    entries["high"], entries["low"], entries["score"] = (
        keys.entries[:, 0],
        keys.entries[:, 1],
        scores,
    )
    order = np.lexsort((entries["high"], keys.page_of))
    entries, page_of = entries[order], keys.page_of[order]
    last = np.ones(len(entries), dtype=bool)
    last[:-1] = (page_of[1:] != page_of[:-1]) | (entries["high"][1:] != entries["high"][:-1])
    entries, page_of = entries[last], page_of[last]
    ends = np.cumsum(np.bincount(page_of, minlength=len(keys.pages))).tolist()
    for key, start, end in zip(keys.pages, [0, *ends], ends, strict=False):
        yield key, entries[start:end]


def merge_entries(old: Entries, new: Entries) -> Entries:
    """Join the entries of both, the new ones last; where both know an item the new one stays."""
    return np.concatenate([old[~np.isin(old["high"], new["high"])], new])


def _sum_up(key: bytes, body: bytes) -> bytes:
    return xxh3_64_digest(key + body, seed=LAYOUT)
