"""The tokens of many texts, by several processes that run this file and nothing else.

The caller's main module is never run again, as it is in a pool of spawned processes: a script that
does its work at its top would begin it anew in each of them, and wait there for what it holds.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from queue import SimpleQueue
from typing import BinaryIO

import numpy.typing as npt

from recross.checkpoints.loaded import Tokenizer
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenising import tokenize_part
from recross.machine.processor import count_usable_cores

logger = logging.getLogger(__name__)

TEXTS_WORTH_PROCESSES = 100_000
"""From so many texts on, the seconds that processes take to start are worth it."""

PARTS_AHEAD = 2
"""Parts that each process has been given and not given back."""

SomeTexts = list[str]
_Given = tuple[SomeTexts, npt.DTypeLike]
_ENDED = (OSError, EOFError, pickle.UnpicklingError)


def tokenize_parts(
    tokenizer: Tokenizer, parts: Iterator[SomeTexts], kind: npt.DTypeLike, count: int
) -> Iterator[TokenIds]:
    """Yield the tokens of every part, in order; many texts (``count``) by all cores.

    Where the processes end, this one goes on alone.
    """
    processes = count_usable_cores() if count >= TEXTS_WORTH_PROCESSES else 1
    if processes > 1:
        parts = yield from _tokenize_in_processes(tokenizer, parts, kind, processes)
    for part in parts:
        yield tokenize_part(tokenizer, part, kind)


class _TokenProcess:
    """A process that has a tokenizer; it ends with the one that started it."""

    def __init__(self) -> None:
        variables = {"PYTHONPATH": os.pathsep.join(sys.path), "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            process_group=0,  # the parent is interrupted, and ends this one
        )
        self._held: bytes | None = None

    def tokenize(self, tokenizer: bytes, part: SomeTexts, kind: npt.DTypeLike) -> TokenIds:
        """The tokens of a part; the first time it is told the tokenizer, too."""
        given, taken = self._process.stdin, self._process.stdout
        assert given is not None
        assert taken is not None
        if self._held is None:
            given.write(tokenizer)
            self._held = tokenizer
        pickle.dump((part, kind), given, pickle.HIGHEST_PROTOCOL)
        given.flush()
        tokens: TokenIds = pickle.load(taken)
        return tokens

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except OSError:  # what it did not read
                continue


class _TokenProcesses:
    """Processes, and as many threads that wait for what they give back."""

    def __init__(self, tokenizer: Tokenizer, number: int) -> None:
        self._tokenizer = pickle.dumps(tokenizer, pickle.HIGHEST_PROTOCOL)
        self._all = [_TokenProcess() for _ in range(number)]
        self._idle: SimpleQueue[_TokenProcess] = SimpleQueue()
        for process in self._all:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(number)

    def submit(self, part: SomeTexts, kind: npt.DTypeLike) -> Future[TokenIds]:
        return self._threads.submit(self._tokenize, part, kind)

    def end(self) -> None:
        for process in self._all:
            process.end()
        self._threads.shutdown(cancel_futures=True)

    def _tokenize(self, part: SomeTexts, kind: npt.DTypeLike) -> TokenIds:
        process = self._idle.get()
        try:
            return process.tokenize(self._tokenizer, part, kind)
        finally:
            self._idle.put(process)


def _tokenize_in_processes(
    tokenizer: Tokenizer, parts: Iterator[SomeTexts], kind: npt.DTypeLike, number: int
) -> Generator[TokenIds, None, Iterator[SomeTexts]]:
    """Yield the tokens of parts for as long as the processes live; return the parts left over."""
    waiting: deque[tuple[SomeTexts, Future[TokenIds]]] = deque()
    processes = _TokenProcesses(tokenizer, number)
    try:
        for part in parts:
            waiting.append((part, processes.submit(part, kind)))
            if len(waiting) > PARTS_AHEAD * number:
                yield _take(waiting[0][1])
                waiting.popleft()
        while waiting:
            yield _take(waiting[0][1])
            waiting.popleft()
    except _ProcessEndedError:
        logger.warning("processes that tokenise have ended: one goes on alone")
    finally:
        processes.end()
    return chain((part for part, _ in waiting), parts)


class _ProcessEndedError(Exception):
    """A process that tokenises is no more."""


def _take(tokens: Future[TokenIds]) -> TokenIds:
    try:
        return tokens.result()
    except _ENDED as error:
        raise _ProcessEndedError from error


def _serve(given: BinaryIO, taken: BinaryIO) -> None:
    """Tokenise what is given for as long as somebody gives."""
    tokenizer: Tokenizer = pickle.load(given)
    while True:
        part, kind = _read(given)
        pickle.dump(tokenize_part(tokenizer, part, kind), taken, pickle.HIGHEST_PROTOCOL)
        taken.flush()


def _read(given: BinaryIO) -> _Given:
    read: _Given = pickle.load(given)
    return read


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints here prints beside the answers
    try:
        _serve(sys.stdin.buffer, answers)
    except Exception:  # noqa: BLE001  # it ends, and the process that started it goes on alone
        os._exit(1)
