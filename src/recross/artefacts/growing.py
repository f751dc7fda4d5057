"""Files that grow part by part, and are known again, whole and unchanged, after an interruption."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import xxhash

from recross.artefacts.manifest import BYTES_AT_ONCE, CHECKSUM, read_sealed, seal_folder
from recross.records import JsonObject

logger = logging.getLogger(__name__)

WRITTEN = "written.json"
"""How much of the files is whole, their checksums so far, and what their writer knows of them."""


class GrowingFiles:
    """Files of a folder that grow together, opened where an interruption left them.

    What lies behind the last whole part is cut off. Where a file is not what was written, all of
    them begin again, which is said. ``facts`` are those of the last part, none at first.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self._folder, self._names = folder, names
        self.facts: JsonObject = {}
        self._begin()
        if (folder / WRITTEN).is_file() and (damage := self._go_on()) is not None:
            logger.warning("%s: %s; begun again", folder, damage)
            (folder / WRITTEN).unlink()
            self._begin()
        for name in names:
            with (folder / name).open("ab") as file:
                file.truncate(self._sizes[name])

    def append(self, parts: Mapping[str, npt.NDArray[Any]], facts: JsonObject) -> None:
        """Put a part behind each of the files; on return it outlasts the process."""
        for name, values in parts.items():
            with (self._folder / name).open("ab") as file:
                file.write(values.data)
                file.flush()
                os.fsync(file.fileno())
            self._sums[name].update(values.data)
            self._sizes[name] += values.nbytes
        grown = {
            name: {"bytes": self._sizes[name], CHECKSUM: self._sums[name].hexdigest()}
            for name in self._names
        }
        self.facts = facts
        seal_folder(self._folder, {"facts": facts, "grown": grown}, (), WRITTEN)

    def _begin(self) -> None:
        self._sums = {name: xxhash.xxh3_128() for name in self._names}
        self._sizes = dict.fromkeys(self._names, 0)

    def _go_on(self) -> str | None:
        """Take what was written as it is, or say what is wrong with it."""
        written = read_sealed(self._folder, WRITTEN)
        if written is None or "grown" not in written:
            return f"{WRITTEN} is damaged or of an older version"
        for name in self._names:
            state = written["grown"][name]
            if self._sum_up(name, state["bytes"]) != state[CHECKSUM]:
                return f"{name} is not what was written"
        self.facts = written["facts"]
        return None

    def _sum_up(self, name: str, size: int) -> str:
        """Take the first ``size`` bytes of a file into its checksum, which is returned."""
        path = self._folder / name
        self._sizes[name] = size
        if path.is_file():
            with path.open("rb") as file:
                while size and (read := file.read(min(size, BYTES_AT_ONCE))):
                    self._sums[name].update(read)
                    size -= len(read)
        return str(self._sums[name].hexdigest())
