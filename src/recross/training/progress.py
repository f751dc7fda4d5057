"""Where a training stands, on disk: enough to go on after any step as if nothing had happened."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

STATE, BEST, LAST_GOOD = "state.pt", "best.pt", "last_good"


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
    curves: list[tuple[int, dict[str, float]]] = field(default_factory=list)

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
    """The files of a training that is not finished; each appears whole or not at all."""

    folder: Path

    def save(self, progress: Progress, training: TrainingState) -> None:
        """Replace the saved state by this one."""
        state = {"recross": version("recross"), "progress": asdict(progress), **training}
        self._write(STATE, state)

    def load(self) -> tuple[Progress, TrainingState] | None:
        """The saved state, if this version of the package left one."""
        path = self.folder / STATE
        if not path.is_file():
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
        path = self.folder / BEST
        if not path.is_file():
            return None
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return weights

    def clear(self) -> None:
        """Remove what a finished training does not need."""
        for name in (STATE, BEST):
            (self.folder / name).unlink(missing_ok=True)

    def _write(self, name: str, value: Mapping[str, object]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.partial"
        with partial.open("wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / name)
