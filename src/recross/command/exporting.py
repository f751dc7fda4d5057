"""``recross export``: a cross-encoder as an ONNX file with its contract."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recross.command.building import load_experiment, read_experiment
from recross.errors import InputError
from recross.experiment.experiment import Experiment
from recross.experiment.exporting import export_checked
from recross.rerankers.reranker import is_trainable


def export_reranker(words: Sequence[str]) -> str:
    """Export, compare, and say in a line what was found.

    Raises:
        InputError: the words name no re-ranker that can be exported.
        RunError: what was exported does not pass the quality gate.
    """
    parser = argparse.ArgumentParser(prog="recross export")
    parser.add_argument(
        *("source",),
        nargs="+",
        metavar="DIR or overrides",
        help="an experiment's folder, or what recross run takes: reranker=minilm_l6 collection=...",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    arguments = parser.parse_args(words)
    record = export_checked(_find_experiment(arguments.source), arguments.to)
    gate = record["quality_gate"]
    size = sum(file.stat().st_size for file in arguments.to.iterdir()) / 1e6
    return (
        f"wrote {arguments.to}: {size:.1f} MB; on {gate['queries']} queries Kendall's tau"
        f" {gate['tau_mean']:.4f}, {gate['measure']} {gate['measure_difference']:+.4f};"
        f" load_reranker({str(arguments.to)!r})"
    )


def _find_experiment(words: Sequence[str]) -> Experiment:
    """The experiment whose re-ranker is exported: a finished one's checkpoint, or as overridden."""
    if "=" in words[0] and not Path(words[0]).is_dir():
        return load_experiment(*words, "training=none")
    folder = Path(words[0])
    if len(words) > 1 or not (folder / "checkpoint").is_dir():
        raise InputError(
            "source must be the folder of an experiment that trained a checkpoint, or overrides,"
            f" got {' '.join(words)!r}"
        )
    experiment = read_experiment(folder)
    if not is_trainable(experiment.reranker):
        raise InputError(f"source must be of a re-ranker with a network, got {str(folder)!r}")
    return replace(experiment, reranker=experiment.reranker.trained(folder / "checkpoint"))
