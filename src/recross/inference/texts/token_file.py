"""Token ids of many texts on disk: made in parts by several processes, resumable, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recross.artefacts.growing import GrowingFiles
from recross.checkpoints.loaded import Tokenizer
from recross.errors import RunError
from recross.inference.texts.token_ids import TokenArray, TokenIds
from recross.inference.texts.token_processes import tokenize_parts
from recross.records import JsonObject
from recross.writing.progress import progress
from recross.writing.whole_files import reserve_space

IDS, LENGTHS, OFFSETS = "ids.bin", "lengths.bin", "offsets.npy"
LENGTH = np.dtype("<i4")

TEXTS_PER_PART = 20_000
"""Texts tokenised together, and what an interruption loses at most of each process."""

LENGTHS_AT_ONCE = 1 << 20


def write_token_file(
    folder: Path, texts: Iterable[str], count: int, tokenizer: Tokenizer, description: str
) -> JsonObject:
    """Tokenise ``count`` texts into a folder, after those that an interruption left there.

    Few parts are in memory. A part counts as written when its bytes are on the disk and the
    folder's record of them, replaced after that, says so. Returns entries for the manifest.

    Raises:
        RunError: there are other than ``count`` texts.
    """
    folder.mkdir(exist_ok=True)
    kind = _choose_type(tokenizer)
    files = GrowingFiles(folder, IDS, LENGTHS)
    done, tokens = files.facts.get("texts", 0), files.facts.get("tokens", 0)
    waiting = islice(texts, done, None)
    with progress(count, description, "text", done) as bar:
        parts = iter(lambda: list(islice(waiting, TEXTS_PER_PART)), [])
        for part in tokenize_parts(tokenizer, parts, kind, count - done):
            done, tokens = done + len(part), tokens + len(part.ids)
            files.append(
                {IDS: part.ids, LENGTHS: part.lengths.astype(LENGTH)},
                {"texts": done, "tokens": tokens},
            )
            bar.update(len(part))
    if done != count:
        raise RunError(f"a collection must hold as many texts as it says, {count}, got {done}")
    _write_offsets(folder, done)
    return {"texts": done, "tokens": tokens, "type": kind.name}


def open_token_file(folder: Path, facts: JsonObject) -> TokenIds:
    """Map what was written into memory; ``facts`` are the entries of the manifest.

    Raises:
        RunError: a file is not as long as it was when it was finished, or not of these tokens.
    """
    kind: np.dtype[Any] = np.dtype(facts["type"])
    path, size = folder / IDS, facts["tokens"] * kind.itemsize
    offsets = np.load(folder / OFFSETS, mmap_mode="r")
    is_whole = path.stat().st_size == size and len(offsets) == facts["texts"] + 1
    if not is_whole or offsets[-1] != facts["tokens"]:
        raise RunError(
            f"kept token ids must be as they were written, got {path.stat().st_size} bytes for"
            f" {size} in {path} and offsets up to {offsets[-1]} for {facts['tokens']}; delete the"
            f" folder {folder.parent}, and they are made again"
        )
    ids: TokenArray = np.memmap(path, kind, mode="r") if size else np.empty(0, kind)
    return TokenIds(ids, offsets)


def _choose_type(tokenizer: Tokenizer) -> np.dtype[np.unsignedinteger]:
    largest = max(tokenizer.get_vocab().values(), default=0)
    return np.dtype(np.uint16 if largest < 1 << 16 else np.uint32)


def _write_offsets(folder: Path, count: int) -> None:
    offsets = np.lib.format.open_memmap(folder / OFFSETS, "w+", np.int64, (count + 1,))
    reserve_space(folder / OFFSETS)
    offsets[0] = 0
    for start, lengths in _read_lengths(folder, count):
        stop = start + len(lengths)
        offsets[start + 1 : stop + 1] = offsets[start] + lengths.cumsum(dtype=np.int64)
    offsets.flush()


def _read_lengths(folder: Path, count: int) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    for start in range(0, count, LENGTHS_AT_ONCE):
        with (folder / LENGTHS).open("rb") as file:
            file.seek(start * LENGTH.itemsize)
            yield start, np.fromfile(file, LENGTH, min(LENGTHS_AT_ONCE, count - start))
