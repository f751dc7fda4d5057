"""How far it is from an experiment to the forward of its network: what a reader has to follow."""

import traceback
from pathlib import Path

import recross
from recross.command.building import build
from recross.command.composition import compose_values
from recross.rerankers.cross_encoder import PairNetwork

OURS = str(Path(recross.__file__).parent)


def own_frames():
    """Names of the functions of this package that are at work, the outermost first."""
    return [frame.name for frame in traceback.extract_stack() if frame.filename.startswith(OURS)]


def test_few_functions_lie_between_an_experiment_and_the_forward(
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
    build(compose_values("run", words)).run()
    assert stacks[0][0] == "run"
    assert len(stacks[0]) <= 8, " > ".join(stacks[0])
