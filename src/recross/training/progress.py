"""Where a training stands, on disk: enough to go on after any step as if nothing had happened."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from recross.artefacts.folders import sync_tree
from recross.artefacts.manifest import find_damage, seal_folder, sum_up
from recross.records import Json, JsonObject
from recross.store import write_json
from recross.tracking.tracker import Log
from recross.writing.whole_files import remove_abandoned, replace_file

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

STATE, BEST, LAST_GOOD = "state.pt", "best.pt", "last_good"
SUMS = "sums.json"
"""What the files of an unfinished training are: their sizes and checksums."""
TRAINED = "training.json"
"""The manifest of a finished training: what it took, and its curves; it stays with the weights."""

Curves: TypeAlias = list[tuple[int, dict[str, float]]]


@dataclass
class Progress:
    """Steps done, the best validation so far, and what was recorded on the way.

    The data of a step and its dropout follow from the seed and the step's number, so that no
    generator has a state to keep.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0
    pairs: int = 0
    tokens: int = 0
    seconds: float = 0.0
    is_over: bool = False
    curves: Curves = field(default_factory=list)

    def count(self, pairs: int, tokens: int) -> None:
        """Take in a step and what was read for it."""
        self.step += 1
        self.pairs += pairs
        self.tokens += tokens

    def values(self, name: str) -> list[float]:
        """What was recorded under a name, step by step."""
        return [values[name] for _, values in self.curves if name in values]

    def judge(self, value: float) -> bool:
        """Take in the value of a validation; whether it is the best so far."""
        if self.best is not None and value <= self.best:
            self.validations_without_gain += 1
            return False
        self.best, self.best_step, self.validations_without_gain = value, self.step, 0
        return True


class TrainingState(TypedDict):
    """What a training must have back to go on, beside its progress."""

    network: dict[str, Tensor]
    optimizer: dict[str, object]
    schedule: dict[str, object]
    averages: list[Tensor]
    hardest: dict[int, list[list[int]]]


@dataclass(frozen=True)
class TrainingFolder:
    """The files of a training, finished or not; each appears whole or not at all."""

    folder: Path

    def save(self, progress: Progress, training: TrainingState) -> None:
        """Replace the saved state by this one."""
        state = {"recross": version("recross"), "progress": asdict(progress), **training}
        self._write(STATE, state)

    def load(self) -> tuple[Progress, TrainingState] | None:
        """The saved state, if this version of the package left one and its files are whole."""
        import torch

        path = self.folder / STATE
        if not path.is_file() or not self._are_whole():
            return None
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["recross"] != version("recross"):
            logger.warning("%s was left by recross %s: not used", path, state["recross"])
            return None
        progress = Progress(**state["progress"])
        progress.curves = [(step, values) for step, values in progress.curves]
        return progress, state

    def keep_best(self, weights: Mapping[str, Tensor]) -> None:
        """Replace the weights kept as the best ones."""
        self._write(BEST, dict(weights))

    def best(self) -> dict[str, Tensor] | None:
        """The best weights, once there are any."""
        import torch

        path = self.folder / BEST
        if not path.is_file():
            return None
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return weights

    def finish(self, took: JsonObject, curves: Curves) -> None:
        """Say that the weights in the folder are the final ones, then remove what led to them."""
        for name in (STATE, BEST, SUMS):
            remove_abandoned(self.folder / name)
        sync_tree(self.folder)
        files = (path for path in self.folder.rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix() for path in files}
        facts = {"recross": version("recross"), "took": took, "curves": curves}
        seal_folder(self.folder, facts, names - {STATE, BEST, SUMS, TRAINED}, TRAINED)
        for name in (STATE, BEST, SUMS):
            (self.folder / name).unlink(missing_ok=True)

    def finished(self) -> JsonObject | None:
        """What the training took, if this version of the package has finished it here."""
        if not (self.folder / TRAINED).is_file():
            return None
        if (damage := find_damage(self.folder, TRAINED)) is not None:
            logger.warning("%s: %s; trained again", self.folder, damage)
            return None
        trained = self._read(TRAINED)
        took: JsonObject = trained["took"]
        return took if trained["recross"] == version("recross") else None

    def replay(self, log: Log) -> None:
        """Give the curves of a finished training to a log."""
        for step, values in self._read(TRAINED)["curves"]:
            log.log(step, values)

    def _write(self, name: str, value: Mapping[str, object]) -> None:
        import torch

        with replace_file(self.folder / name) as partial:
            with partial.open("wb") as file:
                torch.save(value, file)
            sums = self._read(SUMS) if (self.folder / SUMS).is_file() else {}
            before = sums.get(name, [])[-1:]  # what is there if the power goes before the rename
            write_json(self.folder / SUMS, {**sums, name: [*before, sum_up(partial)]})

    def _are_whole(self) -> bool:
        """Whether state and best weights are as they were written; it is said if not."""
        try:
            sums = self._read(SUMS)
            paths = [path for name in (STATE, BEST) if (path := self.folder / name).is_file()]
            damaged = [path for path in paths if sum_up(path) not in sums[path.name]]
        except (OSError, ValueError, KeyError, TypeError):
            damaged = [self.folder / SUMS]
        if damaged:
            logger.warning("%s is not what was written: trained from the start", damaged[0])
        return not damaged

    def _read(self, name: str) -> dict[str, Json]:
        found: dict[str, Json] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return found
