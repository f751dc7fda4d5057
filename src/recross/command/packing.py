"""``recross pack``: what an experiment trained, as a small difference from its base."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from recross.checkpoints.delta_folder import (
    DELTA,
    DELTA_MANIFEST,
    check_new,
    pack,
    read_delta_manifest,
)
from recross.checkpoints.location import locate
from recross.command.building import read_experiment
from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.experiment.experiment import Experiment
from recross.experiment.finished_folder import read_result
from recross.records import JsonObject
from recross.rerankers.reranker import Trainable
from recross.runs import Run
from recross.store import write_json

REPEATED = (
    *("fingerprint", "seed", "collection", "retriever", "training_data", "loss", "teacher"),
    *("data", "recipe", "measures", "first_stage_measures", "training"),
)
"""What the manifest repeats of the experiment's record."""
CONFIG = "experiment.yaml"
"""The experiment's config, beside what it trained; the manifest's command repeats it."""
MOST_MEGABYTES = 100_000


def pack_experiment(words: Sequence[str]) -> str:
    """Write the folder, measure what it holds on dev, and say both in a line.

    Raises:
        InputError: the experiment is not finished, trained nothing, or the folder is in use.
    """
    arguments = _make_parser().parse_args(words)
    source, folder = arguments.experiment, arguments.to
    if not 0 < arguments.megabytes <= MOST_MEGABYTES:
        raise InputError(
            f"--megabytes must lie in (0, {MOST_MEGABYTES:,}], got {arguments.megabytes}"
        )
    record = read_result(source)
    if record is None or record.get("status") != "done":
        raise InputError(f"experiment must be a finished one's folder, got {str(source)!r}")
    if not (source / "checkpoint").is_dir():
        raise InputError(f"experiment must have trained a checkpoint, got {str(source)!r}")
    experiment = read_experiment(source)
    environment = json.loads((source / "environment.json").read_text(encoding="utf-8"))
    facts = {
        **{name: record.get(name) for name in REPEATED},
        "environment": environment,
        "command": f"recross run --from {folder.name}/{CONFIG}",
    }
    most_bytes = int(arguments.megabytes * 1e6)
    check_new(folder)
    with TemporaryDirectory(dir=_make_parent(folder), prefix=".packing-") as place:
        made = Path(place, folder.name)  # it appears whole or not at all
        beside = {CONFIG: source / "config.yaml"}
        delta = pack(source / "checkpoint", arguments.base, locate, made, most_bytes, facts, beside)
        measured = _measure(experiment, made)
        write_json(made / DELTA_MANIFEST, {**read_delta_manifest(made), "dev": measured})
        made.replace(folder)
    size = (folder / DELTA).stat().st_size / 1e6
    named = "  ".join(f"{name} {value:.4f}" for name, value in measured["measures"].items())
    return f"wrote {folder}: {size:.1f} MB, {delta.kept:.1%} of the difference; dev {named}"


def _make_parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def _measure(experiment: Experiment, folder: Path) -> JsonObject:
    """What the packed network reaches on the experiment's dev split, over the same candidates."""
    assert isinstance(experiment.reranker, Trainable)  # it has trained a checkpoint
    collection, split = experiment.collection.load(), experiment.dev_split
    candidates = experiment.retrieve(collection, split)
    qrels, relevant_from = collection.qrels(split), collection.relevant_grade(split)

    def mean(run: Run) -> dict[str, float]:
        return evaluate(run, qrels, experiment.measures, relevant_from).mean

    reranked = experiment.reranker.trained(folder).rerank(candidates, collection)
    return {"queries": len(candidates), "first_stage": mean(candidates), "measures": mean(reranked)}


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recross pack")
    parser.add_argument("experiment", type=Path, metavar="DIR", help="its folder, with checkpoint/")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--base", default="embedded:all-minilm-l6-v2", help="what everybody has of the network"
    )
    parser.add_argument("--megabytes", type=float, default=5.0, help="the most that it may take")
    return parser
