"""A cross-encoder exported to ONNX, read back, and compared before anybody uses it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from recross.checkpoints.delta_folder import check_new
from recross.errors import InputError
from recross.experiment.experiment import Experiment
from recross.experiment.quality_gate import Judgments, compare_runs
from recross.machine.hardware import Hardware
from recross.records import JsonObject
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.exported import (
    EXPORT_FILE,
    ExportedCrossEncoder,
    read_export,
    write_exported,
)
from recross.store import write_json

logger = logging.getLogger(__name__)


def export_checked(experiment: Experiment, folder: Path) -> JsonObject:
    """Export an experiment's re-ranker into a new folder, if it passes the quality gate.

    What is read back from the file is compared with the network, in single precision with torch,
    on development queries of the experiment's collection (test queries where there are none).
    Returns what the folder says of it.

    Raises:
        InputError: the re-ranker is no cross-encoder that can be exported, or the folder is in use.
        RunError: it strays from the network by more than the gate's tolerances.
    """
    if not isinstance(experiment.reranker, CrossEncoder):
        kind = type(experiment.reranker).__name__
        raise InputError(f"export takes a cross-encoder with a classification head, got a {kind}")
    check_new(folder)
    onnx = Hardware(backend="onnx", threads=experiment.hardware.threads)
    network = replace(experiment.reranker, hardware=experiment.hardware.reference)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".exporting-") as place:
        made = Path(place, folder.name)  # it appears whole or not at all
        made.mkdir()
        write_exported(network, made)
        exported = ExportedCrossEncoder(
            str(made), hardware=onnx, store=network.store, alias=network.name
        )
        verdict = _compare(experiment, network, exported)
        record = {**read_export(made), "quality_gate": verdict}
        write_json(made / EXPORT_FILE, record)
        made.replace(folder)
    return record


def _compare(
    experiment: Experiment, network: CrossEncoder, exported: ExportedCrossEncoder
) -> JsonObject:
    collection, gate = experiment.collection.load(), experiment.quality_gate
    dev, test = experiment.dev_split, experiment.test_split
    split = dev if collection.split_qrels.get(dev) else test
    judgments = Judgments.of(collection, split, experiment.measures[0])
    candidates = experiment.retrieve(collection, split)
    candidates = candidates.restrict(
        gate.sample([q for q in candidates.rankings if q in judgments.qrels])
    )
    logger.info("quality gate: %d queries, by the network and by the file", len(candidates))
    reference = network.rerank(candidates, collection)
    reduced = exported.rerank(candidates, collection)
    return gate.decide(
        exported.name, exported.hardware, compare_runs(reduced, reference, judgments)
    )
