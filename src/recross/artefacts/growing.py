"""Files that grow chunk by chunk, and of which an interruption loses the last chunk alone."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from recross.artefacts.manifest import CHECKSUM
from recross.records import JsonObject
from recross.writing.whole_files import write_whole

logger = logging.getLogger(__name__)

WRITTEN = "written.json"
_BYTES_AT_ONCE = 1 << 20


class GrowingFiles:
    """Some files of a folder, begun or as an interrupted process left them.

    A chunk counts as written when its bytes are on the disk and ``written.json``, replaced after
    that, says so; what lies behind it is cut off. ``facts`` are those of the last such chunk: none
    at first, and none where the files are not what was written. Then all is begun anew, and that
    is said.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        folder.mkdir(exist_ok=True)
        self.facts: JsonObject = {}
        self._folder = folder
        self._digests = {name: xxhash.xxh3_128() for name in names}
        self._sizes = dict.fromkeys(names, 0)
        if (folder / WRITTEN).is_file() and not self._resume():
            logger.warning("%s is not what an interrupted process wrote: begun anew", folder)
            self._digests = {name: xxhash.xxh3_128() for name in names}
            self._sizes = dict.fromkeys(names, 0)
            (folder / WRITTEN).unlink()
        for name in names:
            (folder / name).touch()

    def append(self, chunk: Mapping[str, memoryview], facts: JsonObject) -> None:
        """Add a chunk to the end of each file, and only then say that it is there."""
        with ExitStack() as stack:
            for name, values in chunk.items():
                file = stack.enter_context((self._folder / name).open("ab"))
                file.truncate(self._sizes[name])
                content = values.cast("B") if values.nbytes else memoryview(b"")
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                self._digests[name].update(content)
                self._sizes[name] += values.nbytes
        files = {
            name: {"bytes": self._sizes[name], CHECKSUM: digest.hexdigest()}
            for name, digest in self._digests.items()
        }
        self.facts = facts
        text = json.dumps({**facts, "files": files}, indent=2, ensure_ascii=False) + "\n"
        write_whole(self._folder / WRITTEN, text)

    def close(self) -> None:
        """Cut off what lies behind the last chunk."""
        for name, size in self._sizes.items():
            with (self._folder / name).open("ab") as file:
                file.truncate(size)

    def _resume(self) -> bool:
        try:
            facts = json.loads((self._folder / WRITTEN).read_text(encoding="utf-8"))
            files = facts.pop("files")
            is_whole = all(self._read(name, files[name]) for name in self._digests)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        self.facts = facts if is_whole else {}
        return is_whole

    def _read(self, name: str, written: Mapping[str, Any]) -> bool:
        """Read what counts of a file; whether it is what was written."""
        with (self._folder / name).open("rb") as file:
            self._sizes[name] = _read_into(self._digests[name], file, int(written["bytes"]))
        is_equal: bool = self._digests[name].hexdigest() == written[CHECKSUM]
        return is_equal and self._sizes[name] == written["bytes"]


def _read_into(digest: xxhash.xxh3_128, file: BinaryIO, size: int) -> int:
    """Add the first bytes of a file to a digest; returns how many there were."""
    left = size
    while left and (content := file.read(min(left, _BYTES_AT_ONCE))):
        digest.update(content)
        left -= len(content)
    return size - left
