"""How far it is from the console to the forward of a network: what a reader has to follow."""

import traceback
from pathlib import Path

import recross
from recross.command.cli import main
from recross.rerankers.networks.pairs import PairNetwork

OURS = str(Path(recross.__file__).parent)


def own_frames():
    """Names of the functions of this package that are at work, the outermost first."""
    return [frame.name for frame in traceback.extract_stack() if frame.filename.startswith(OURS)]


def test_few_functions_lie_between_the_console_and_the_forward(
    tmp_path, beir_folder, tiny_bert, monkeypatch
):
    stacks = []
    inference = PairNetwork.inference

    def watched(network, where):
        forward = inference(network, where)

        def watching(batch):
            stacks.append(own_frames())
            return forward(batch)

        return watching

    monkeypatch.setattr(PairNetwork, "inference", watched)
    words = [
        *("collection=files", f"collection.folder={beir_folder}", "retriever=bm25"),
        *("reranker=cross_encoder", f"reranker.checkpoint={tiny_bert}", "training=none"),
        *("depth=5", "latency_queries=0", "interpolate=false", f"output={tmp_path}"),
    ]
    assert main(["run", *words]) == 0
    assert stacks[0][0] == "main"
    experiment = stacks[0][stacks[0].index("run") :]
    assert len(experiment) <= 9, " > ".join(experiment)
    assert len(stacks[0]) <= 17, " > ".join(stacks[0])
