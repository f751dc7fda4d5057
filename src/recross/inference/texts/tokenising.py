"""The tokens of texts, each alone: here, or by several processes part by part."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from multiprocessing import get_context, parent_process

import numpy.typing as npt

from recross.checkpoints.loaded import Tokenizer
from recross.inference.texts.control_tokens import find_text_tokenizer
from recross.inference.texts.token_ids import TokenIds
from recross.machine.processor import count_usable_cores

logger = logging.getLogger(__name__)

TEXTS_WORTH_PROCESSES = 100_000
"""From so many texts on, the seconds that processes take to start are worth it."""

PARTS_AHEAD = 2
"""Parts that each process has been given and not given back."""

SomeTexts = list[str]
_held: dict[str, Tokenizer] = {}  # of a process that tokenises: what it was started with


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text alone, uncut, without special tokens, whose strings are text."""
    if not texts:
        return []
    fast = find_text_tokenizer(tokenizer)
    if fast is not None:
        return fast.encode_texts(texts)
    encoded = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
    )
    slow: list[list[int]] = encoded["input_ids"]
    return slow


def tokenize_fixed(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts that a template is made of: its special tokens are such."""
    fast = find_text_tokenizer(tokenizer)
    if fast is not None:
        return [encoding.ids for encoding in fast.encode([fast.write_fixed(t) for t in texts])]
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)
    slow: list[list[int]] = encoded["input_ids"]
    return slow


def tokenize_part(tokenizer: Tokenizer, texts: Sequence[str], kind: npt.DTypeLike) -> TokenIds:
    """The tokens of texts, as numbers of one type."""
    tokens = TokenIds.of(tokenize(tokenizer, texts))
    return TokenIds(tokens.ids.astype(kind), tokens.offsets)


def tokenize_parts(
    tokenizer: Tokenizer, parts: Iterator[SomeTexts], kind: npt.DTypeLike, count: int
) -> Iterator[TokenIds]:
    """Yield the tokens of every part, in order; many texts (``count``) by all cores.

    In a script that does its work at its top, not under ``if __name__ == "__main__":``, processes
    cannot start; then this one goes on alone.
    """
    processes = count_usable_cores() if count >= TEXTS_WORTH_PROCESSES else 1
    if processes > 1:
        parts = yield from _tokenize_in_processes(tokenizer, parts, kind, processes)
    for part in parts:
        yield tokenize_part(tokenizer, part, kind)


def _tokenize_in_processes(
    tokenizer: Tokenizer, parts: Iterator[SomeTexts], kind: npt.DTypeLike, processes: int
) -> Generator[TokenIds, None, Iterator[SomeTexts]]:
    """Yield the tokens of parts for as long as the processes live; return the parts left over."""
    waiting: deque[tuple[SomeTexts, Future[TokenIds]]] = deque()
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _hold, (tokenizer,))
    try:
        for part in parts:
            try:
                waiting.append((part, pool.submit(_tokenize_held, part, kind)))
            except BrokenProcessPool:
                parts = chain([part], parts)
                raise
            if len(waiting) > PARTS_AHEAD * processes:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool:
        logger.warning(
            "processes that tokenise have ended (a script must do its work under"
            ' if __name__ == "__main__": to have any): one goes on alone'
        )
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return chain((part for part, _ in waiting), parts)


def _hold(tokenizer: Tokenizer) -> None:
    """Begin a process: it has one thread, and ends with the process that started it."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _held["tokenizer"] = tokenizer


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _tokenize_held(part: SomeTexts, kind: npt.DTypeLike) -> TokenIds:
    return tokenize_part(_held["tokenizer"], part, kind)
