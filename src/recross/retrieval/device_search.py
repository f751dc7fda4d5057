"""Exact search by products on a device: blocks of documents come over, only the best go back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.encoders.pooled import Vectors
from recross.retrieval.document_vectors import ROWS_AT_ONCE, TILE, DocumentVectors
from recross.retrieval.matches import Matches

QUERIES_AT_ONCE = 1024
"""Queries multiplied with a block together: bounds the memory for their products."""

SLACK = 24
"""Documents kept beyond the depth, which are those that tie with the last one, if any do."""


class _Best(NamedTuple):
    """The best documents so far of some queries, best first; row -1 where there are fewer."""

    scores: Tensor  # (Q, K)
    rows: Tensor  # (Q, K)


def search_on_device(
    documents: DocumentVectors,
    queries: Vectors,
    depth: int,
    device: torch.device,
    rows_at_once: int = ROWS_AT_ONCE,
) -> list[Matches]:
    """Find each query's best ``depth`` documents and those that tie with the last of them.

    Products are in single precision and all of one shape, so equal documents have equal scores.
    """
    if not len(queries) or not len(documents):
        return [_bring(torch.empty(0), torch.empty(0, dtype=torch.int64))] * len(queries)
    search = _Search(documents, torch.from_numpy(queries).to(device), rows_at_once)
    with torch.inference_mode(), _in_full_precision():
        return search.find(depth)


class _Search:
    """Some queries on a device, compared with all documents as often as it is asked."""

    def __init__(self, documents: DocumentVectors, queries: Tensor, rows_at_once: int) -> None:
        self._documents = documents
        self._queries = torch.split(queries, QUERIES_AT_ONCE)
        rows = min(rows_at_once, len(documents))
        self._rows_at_once = -(-rows // TILE) * TILE

    def find(self, depth: int) -> list[Matches]:
        """Keep the best of all blocks together, and bring them back at once."""
        kept = min(depth + SLACK, len(self._documents))
        best = [_nothing(part, kept) for part in self._queries]
        for start, count, block in self._blocks():
            for number, part in enumerate(self._queries):
                best[number] = _merge(best[number], _multiply(part, block, count), start)
        scores, rows = (torch.cat(column).cpu() for column in zip(*best, strict=True))
        lowest = scores[:, min(depth, kept) - 1]
        found = [
            _bring(values[own], numbers[own])
            for values, numbers, own in zip(scores, rows, scores >= lowest[:, None], strict=True)
        ]
        if kept < len(self._documents):
            self._find_more(found, lowest, (scores[:, -1] == lowest).nonzero()[:, 0].tolist())
        return found

    def _find_more(self, found: list[Matches], lowest: Tensor, tied: list[int]) -> None:
        """Replace what was found by all that tie, for queries with more of them than were kept.

        Whole parts are multiplied again, for products of another shape may differ in a last digit.
        """
        pieces: dict[int, list[tuple[Tensor, Tensor]]] = {number: [] for number in tied}
        if not pieces:
            return
        for start, count, block in self._blocks():
            for part in sorted({number // QUERIES_AT_ONCE for number in tied}):
                products = _multiply(self._queries[part], block, count)
                for number in tied:
                    if number // QUERIES_AT_ONCE == part:
                        scores = products[number % QUERIES_AT_ONCE]
                        near = (scores >= lowest[number].item()).nonzero()[:, 0]
                        pieces[number].append((scores[near], near + start))
        for number, own in pieces.items():
            scores, rows = (torch.cat(column) for column in zip(*own, strict=True))
            found[number] = _bring(scores, rows)

    def _blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """All documents on the device, some at a time: where they begin, how many, their vectors.

        Half precision comes over and is widened there. Zeros fill the last block up. The block
        after next is read only when this one has been compared.
        """
        device, size = self._queries[0].device, self._rows_at_once
        pace = _Pace(device)
        for start in range(0, len(self._documents), size):
            half = torch.from_numpy(self._documents.vectors[start : start + size])
            half = half.pin_memory() if device.type == "cuda" else half
            block = half.to(device, non_blocking=True).float()
            yield start, len(half), F.pad(block, (0, 0, 0, size - len(half)))
            pace.wait()


class _Pace:
    """Keeps the host at most one block ahead of a GPU: what it reads waits in pinned memory."""

    def __init__(self, device: torch.device) -> None:
        self._is_gpu = device.type == "cuda"
        self._before: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Wait until the block before the latest has been compared."""
        if not self._is_gpu:
            return
        latest = torch.cuda.Event()  # type: ignore[no-untyped-call]
        latest.record()
        if self._before is not None:
            self._before.synchronize()
        self._before = latest


def _nothing(queries: Tensor, kept: int) -> _Best:
    scores = queries.new_full((len(queries), kept), -torch.inf)
    return _Best(scores, torch.full_like(scores, -1, dtype=torch.int64))


def _multiply(queries: Tensor, block: Tensor, count: int) -> Tensor:
    """Products ``(Q, N)`` with a block, of which ``count`` rows are documents."""
    return (queries @ block.T)[:, :count]


def _merge(best: _Best, products: Tensor, start: int) -> _Best:
    """Take the best of a block, numbered from ``start``, and of those before it."""
    kept = best.scores.shape[1]
    near = products.topk(min(kept, products.shape[1]), dim=1)
    scores = torch.cat([best.scores, near.values], dim=1)
    rows = torch.cat([best.rows, near.indices + start], dim=1)
    top = scores.topk(kept, dim=1)
    return _Best(top.values, rows.gather(1, top.indices))


def _bring(scores: Tensor, rows: Tensor) -> Matches:
    return Matches(rows.cpu().numpy(), scores.cpu().numpy())


@contextmanager
def _in_full_precision() -> Iterator[None]:
    """Multiply with all digits of single precision, whatever the process allows elsewhere."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
