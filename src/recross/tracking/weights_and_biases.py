"""Weights & Biases; the only home of wandb."""

from __future__ import annotations

import csv
import json
import logging
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import wandb

from recross.errors import InputError, RunError
from recross.parts.bounds import checked
from recross.parts.identity import fingerprint
from recross.records import JsonObject
from recross.store import write_json
from recross.tracking.tracker import JsonLinesLog, JsonLinesTracker
from recross.tracking.values import flatten_cells
from recross.writing.escaping import read_guarded

logger = logging.getLogger(__name__)

Mode = Literal["offline", "online"]

RUN_ID = "wandb_run.json"
RESULTS = ("config.yaml", "measures.json", "result.json", "reranked.trec", "interpolated.trec")


@dataclass(frozen=True)
@checked
class WeightsAndBiases:
    """Logs config, curves, the result, its table and files to wandb, and JSON lines beside them.

    ``mode="offline"`` writes a real run directory under the experiment's folder, which
    ``wandb sync`` uploads as it is. An experiment that is run again with the same config goes on in
    the same wandb run. With ``artifacts`` candidates, results and checkpoint are kept with the run.
    """

    project: str = "recross"
    entity: str | None = None
    mode: Mode = "offline"
    tags: tuple[str, ...] = field(default=())
    artifacts: bool = True

    def open(self, folder: Path, study: str, name: str, config: JsonObject) -> WandbLog:
        """Start a run grouped by study, or go on in the one that the folder began."""
        folder.mkdir(parents=True, exist_ok=True)
        run = _begin(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            tags=list(self.tags),
            dir=folder,
            id=_run_id(folder, config),
            resume="allow" if self.mode == "online" else None,
            group=study,
            job_type="experiment",
            name=name,
            config=dict(config),
            settings=wandb.Settings(console="off", silent=True),
            reinit="create_new",
        )
        lines = JsonLinesTracker().open(folder, study, name, config)
        return WandbLog(run, lines, folder if self.artifacts else None)


@dataclass(frozen=True)
class WandbLog:
    """An open wandb run; ``kept`` is the folder whose files go with it."""

    run: wandb.Run
    lines: JsonLinesLog
    kept: Path | None = None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of one step."""
        self.lines.log(step, values)
        self.run.log(dict(values), step=step)

    def finish(self, result: JsonObject) -> None:
        """Record the result as summary, as a one-row table and as files, and close the run."""
        self.lines.finish(result)
        flat = flatten_cells(result)
        self.run.summary.update(flat)
        self.run.log({"result": wandb.Table(columns=list(flat), data=[list(flat.values())])})
        if self.kept is not None:
            self._keep(self.kept, result)
        self.run.finish()
        logger.info("%s", describe_run(self.run))

    def _keep(self, folder: Path, result: JsonObject) -> None:
        """Candidates come in, results and checkpoint go out; each says what it was made from."""
        known = {"study": result.get("study"), "fingerprint": result.get("fingerprint")}
        candidates = self._artifact(folder, "candidates", ["candidates.trec"], known)
        if candidates is not None and not self.run.offline:
            self.run.use_artifact(candidates)  # wandb draws the lineage from what a run uses
        elif candidates is not None:
            self.run.log_artifact(candidates)
        made_from = {**known, "candidates": candidates.digest if candidates else None}
        if (folder / "checkpoint").is_dir():
            paths = sorted(path for path in (folder / "checkpoint").rglob("*") if path.is_file())
            names = [str(path.relative_to(folder)) for path in paths]
            training = {"training": result.get("training"), "loss": result.get("loss")}
            checkpoint = self._artifact(folder, "model", names, {**made_from, **training})
            if checkpoint is not None:
                made_from["checkpoint"] = checkpoint.digest
                self.run.log_artifact(checkpoint)
        measures = {"measures": result.get("measures")}
        if results := self._artifact(folder, "results", RESULTS, {**made_from, **measures}):
            self.run.log_artifact(results)

    def _artifact(
        self, folder: Path, kind: str, names: Sequence[str], metadata: JsonObject
    ) -> wandb.Artifact | None:
        """An artifact of the files that are there, if any is; they stay where they are."""
        present = [name for name in names if (folder / name).is_file()]
        if not present:
            return None
        artifact = wandb.Artifact(f"{kind}-{self.run.id}", type=kind, metadata=dict(metadata))
        for name in present:
            artifact.add_file(str(folder / name), name=name, policy="immutable")
        return artifact


def log_table(folder: Path, project: str, entity: str | None = None, mode: Mode = "online") -> str:
    """Log a study's ``table.csv`` and its pictures as a run of their own; returns the run's id.

    Raises:
        InputError: the folder holds no table.
    """
    path = folder / "table.csv"
    if not path.is_file():
        raise InputError(
            f"folder must hold a table.csv (recross table FOLDER), got {str(folder)!r}"
        )
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    run = _begin(
        project=project,
        entity=entity,
        mode=mode,
        dir=folder,
        group=folder.name,
        job_type="table",
        name=f"table of {folder.name}",
        settings=wandb.Settings(console="off", silent=True),
        reinit="create_new",
    )
    cells = [[read_guarded(label), *map(_number, values)] for label, *values in rows]
    columns: list[str | int] = [*header]
    run.log({"table": wandb.Table(columns=columns, data=cells, allow_mixed_types=True)})
    for picture in sorted(folder.glob("*.png")):
        run.log({picture.stem: wandb.Image(str(picture))})
    run.finish()
    logger.info("%s", describe_run(run))
    return str(run.id)


def describe_run(run: wandb.Run) -> str:
    """Where a run is to be seen, or where it lies and how to send it."""
    if not run.offline:
        return f"wandb: {run.url}"
    place = Path(run.dir).parents[1]
    begun = sorted(place.glob(f"offline-run-*-{run.id}"))  # more than one after an interruption
    above = Path.cwd()
    here = [str(path.relative_to(above) if path.is_relative_to(above) else path) for path in begun]
    return f"wandb: offline run in {here[-1]}; to send it: wandb sync {shlex.join(here)}"


def _begin(**settings: Any) -> wandb.Run:
    """Begin a run; what wandb refuses is said in one line.

    Raises:
        RunError: nobody is logged in, the server does not answer, or it refuses a name.
    """
    try:
        return wandb.init(**settings)
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"tracking: wandb must take a run in mode {settings['mode']}, and said: {reason};"
            " log in (wandb login, or WANDB_API_KEY), or use tracking.mode=offline"
        ) from None


def _run_id(folder: Path, config: JsonObject) -> str:
    """The id of the run that the same config began in this folder, else a new one."""
    path, digest = folder / RUN_ID, fingerprint(config)
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["config"] == digest:
            return str(known["id"])
    run_id = secrets.token_hex(6)
    write_json(path, {"id": run_id, "config": digest})
    return run_id


def _number(cell: str) -> str | float:
    """A number where the cell is nothing but one."""
    return float(cell) if re.fullmatch(r"-?\d+(\.\d+)?", cell) else cell
