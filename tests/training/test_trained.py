"""Rows that build on other rows say so by value: any of them runs alone, first or last."""

import json
from dataclasses import replace

import pytest

from recross.command.building import build
from recross.command.cli import main
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.negatives.filters import Denoising
from recross.negatives.ranked import RankWindow
from recross.parts.identity import describe, fingerprint
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.training.data.training_data import MinedNegatives
from recross.training.losses.distillation import TeacherMSE
from recross.training.losses.listwise import Listwise
from recross.training.recipe import FineTuning
from recross.training.trained import Trained
from recross.training.trainer import EASY
from tests.conftest import save_tiny


def composed(*words):
    return build(compose_values("run", words))


def what_trains(value, asking):
    """All that makes a checkpoint what it is; ``asking`` shares what the value leaves out."""
    return describe(
        {
            "reranker": value.reranker,
            "loss": value.loss,
            "training": value.training,
            "training_data": value.training_data,
            "teacher": value.teacher,
            "collection": getattr(value, "collection", None) or asking.collection,
            "retriever": getattr(value, "retriever", None) or asking.retriever,
            "splits": [asking.train_split, asking.dev_split, asking.test_split],
            "leaks": asking.leaks,
            "seed": asking.seed if getattr(value, "seed", None) is None else value.seed,
        }
    )


def of_reranker(experiment):
    return experiment.reranker.checkpoint


CHAINED = [
    (
        "mono_duo row=mono_duo/cascade",
        lambda e: e.reranker.stages["mono"].reranker.checkpoint,
        "mono_duo row=mono_duo/mono",
    ),
    (
        "mono_duo row=mono_duo/cascade training.steps=10 seed=3",
        lambda e: e.reranker.stages["duo"].reranker.checkpoint,
        "mono_duo row=mono_duo/duo training.steps=10 seed=3",
    ),
    *(
        (
            f"rank_distillm row=rank_distillm/{row}",
            of_reranker,
            "rank_distillm row=rank_distillm/stage1",
        )
        for row in ("labels", "ranknet", "adr_mse")
    ),
    *(
        (
            f"rank_distillm row=rank_distillm/{row}",
            lambda e: e.teacher.reranker.checkpoint,
            "rank_distillm row=rank_distillm/teacher",
        )
        for row in ("ranknet", "adr_mse")
    ),
    *(
        (
            f"rank_distillm_msmarco row=rank_distillm/{row}",
            of_reranker,
            "rank_distillm_msmarco row=rank_distillm/electra_stage1",
        )
        for row in ("electra_ranknet", "electra_adr_mse")
    ),
    ("scifact", of_reranker, "performance_table row=embedded_l6"),
    ("cranfield collection.fold=3", of_reranker, "performance_table row=embedded_l6"),
    ("trec_dl", of_reranker, "scifact"),
    ("rank_distillm row=rank_distillm/teacher", lambda e: e, "performance_table row=embedded_l6"),
]


@pytest.mark.parametrize("asking, find, made_by", CHAINED)
def test_what_a_row_builds_on_is_what_another_row_trains(asking, find, made_by):
    asking, made_by = (composed(*f"experiment={words}".split()) for words in (asking, made_by))
    assert what_trains(find(asking), asking) == what_trains(made_by, made_by)


def test_an_experiment_is_named_by_what_it_builds_on_and_not_by_a_place(tmp_path):
    words = ["experiment=mono_duo", "row=mono_duo/cascade"]
    here, there = composed(*words), composed(*words, f"output={tmp_path}")
    assert here.fingerprint == there.fingerprint
    other = composed(*words, "training.learning_rate=1e-5")
    inner = [fingerprint(one.reranker) for one in (here, other)]
    assert len(set(inner)) == 2
    assert "Trained" in json.dumps(describe(here.reranker))


@pytest.fixture
def run_rows(beir_folder, tmp_path):
    """Run rows of the study in miniature, in an order, into a folder of their own."""

    def run(output, *rows):
        words = ["run", "-m", "experiment=mono_duo", "collection=files", "latency_queries=0"]
        words += [f"collection.folder={beir_folder}", "training=smoke", "hardware=cpu"]
        words += [f"output={tmp_path / output}", f"row={','.join(f'mono_duo/{r}' for r in rows)}"]
        assert main(words) == 0
        runs = (tmp_path / output).rglob("reranked.trec")
        return {path.parts[-3]: path.read_bytes() for path in runs}

    return run


def checkpoints(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/manifest.json")}


def test_rows_run_alone_and_in_any_order_and_train_nothing_twice(run_rows, tmp_path):
    assert run_rows("first", "cascade").keys() == {"cascade"}
    store = tmp_path / "first" / "store" / "checkpoints"
    made = checkpoints(store)
    assert len(made) == 2
    last_first = run_rows("first", "duo", "mono")
    assert checkpoints(store) == made
    assert last_first == run_rows("second", "mono", "duo", "cascade")
    record = json.loads((tmp_path / "first/mono_duo/cascade/seed=0/result.json").read_text())
    assert record["base_checkpoint"] == "embedded:all-minilm-l6-v2"
    assert record["training"] == {}


def test_a_teacher_of_negatives_that_is_yet_to_be_made_is_trained_first(beir_folder, tmp_path):
    words = ["collection=files", f"collection.folder={beir_folder}", "retriever=bm25"]
    words += ["reranker=cross_encoder", f"reranker.checkpoint={save_tiny(tmp_path / 'tiny')}"]
    words += ["reranker.fresh_head=true", "reranker.max_length=24", "training=smoke"]
    experiment = composed(*words, "latency_queries=0", "depth=5", f"output={tmp_path / 'out'}")
    teacher = CrossEncoder(
        Trained(experiment.reranker, experiment.training, experiment.loss, MinedNegatives(EASY))
    )
    window = RankWindow(RandomOrder(1), 9, filters={"teacher": Denoising(teacher)})
    experiment = replace(experiment, training_data=MinedNegatives(window))
    (stage,) = experiment.run()["training"]["negatives"]
    assert stage["mined"]["dropped"].keys() >= {"teacher"}
    assert len(checkpoints(tmp_path / "out" / "store" / "checkpoints")) == 2


TRAINED = Trained(
    CrossEncoder("some/model", fresh_head=True), FineTuning(), Listwise(), MinedNegatives(EASY)
)


def test_a_checkpoint_that_is_yet_to_be_made_scores_nothing():
    with pytest.raises(InputError, match="one trained from some/model"):
        CrossEncoder(TRAINED).score("a query", ["a document"])


def test_what_cannot_be_trained_is_refused_when_it_is_described():
    cascade = Cascade({"only": Stage(CrossEncoder("some/model"), 3)})
    with pytest.raises(InputError, match="reranker must have a network to train, got Cascade"):
        Trained(cascade, FineTuning(), Listwise(), MinedNegatives(EASY))
    with pytest.raises(InputError, match="loss TeacherMSE needs a teacher, got none"):
        Trained(CrossEncoder("some/model"), FineTuning(), TeacherMSE(), MinedNegatives(EASY))
