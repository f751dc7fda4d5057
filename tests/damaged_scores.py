"""Pages of a score cache, changed behind its back."""

from __future__ import annotations

from collections.abc import Callable

from recross.inference.cache import open_files
from recross.inference.cache.score_cache import LEAST_BYTES, ScoreCache


def change_pages(cache: ScoreCache, change: Callable[[bytes], bytes]) -> None:
    """Change every stored page of a cache."""
    with open_files.use_file(cache.path, LEAST_BYTES) as file, file.writing() as transaction:
        for generation, key, page in list(file.pages(transaction)):
            transaction.put(key, change(page), db=generation)


def flip_last_bits(cache: ScoreCache) -> None:
    """Change one bit of every stored page."""
    change_pages(cache, lambda page: page[:-1] + bytes([page[-1] ^ 1]))
