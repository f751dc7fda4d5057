"""Weights & Biases; the only home of wandb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import wandb

from recross.tracking.tracker import JsonLines, JsonLinesLog


@dataclass(frozen=True)
class WeightsAndBiases:
    """Logs config, curves, the result and its table to wandb, and JSON lines beside them.

    ``mode="offline"`` writes a real run directory under the experiment's folder, which
    ``wandb sync`` uploads as it is.
    """

    project: str = "recross"
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"
    tags: tuple[str, ...] = field(default=())

    def open(self, folder: Path, study: str, name: str, config: Mapping[str, Any]) -> WandbLog:
        """Start a run grouped by study."""
        folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            tags=list(self.tags),
            dir=folder,
            group=study,
            name=name,
            config=dict(config),
            settings=wandb.Settings(console="off", silent=True),
            reinit="create_new",
        )
        return WandbLog(run, JsonLines().open(folder, study, name, config))


@dataclass(frozen=True)
class WandbLog:
    """An open wandb run."""

    run: Any
    lines: JsonLinesLog

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of one step."""
        self.lines.log(step, values)
        self.run.log(dict(values), step=step)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record the result as summary and as a one-row table, and close the run."""
        self.lines.finish(result)
        flat = {key: value for key, value in _flat(result).items() if _is_cell(value)}
        self.run.summary.update(flat)
        self.run.log({"result": wandb.Table(columns=list(flat), data=[list(flat.values())])})
        self.run.finish()


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_cell(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
