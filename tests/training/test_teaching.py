"""A teacher scores what its student learns from: once, before the first step, trained if asked."""

import json

import pytest

from recross.command.cli import main
from recross.errors import InputError
from recross.records import TrainingGroup
from recross.rerankers.baselines import Oracle
from recross.rerankers.composed.interpolation import Interpolated
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.training.data.teacher_scores import score_groups
from recross.training.losses.distillation import TeacherMSE
from recross.training.losses.listwise import Listwise
from recross.training.recipe import FineTuning, NoTraining
from recross.training.teaching import Teacher
from tests.conftest import save_tiny


class Counting(Reranker):
    """Scores a document by the length of its text and remembers what it was asked."""

    name = "counting"

    def __init__(self):
        self.asked = []

    def rerank(self, candidates, collection):
        self.asked += [(q, doc.doc_id) for q, r in candidates.rankings.items() for doc in r]
        ranked = {
            q: {doc.doc_id: float(len(collection.documents[doc.doc_id])) for doc in ranking}
            for q, ranking in candidates.rankings.items()
        }
        return Run.from_scores("counting", ranked)


def test_every_document_of_a_query_is_scored_once_and_scores_follow_the_documents(collection):
    teacher = Counting()
    groups = [
        TrainingGroup("q0", ("d0", "d4"), (1.0, 0.0)),
        TrainingGroup("q1", ("d4", "d1"), (1.0, 0.0)),
        TrainingGroup("q0", ("d4", "d2"), (1.0, 0.0)),
    ]
    taught = score_groups(teacher, groups, collection)
    assert sorted(teacher.asked) == sorted(set(teacher.asked))
    assert len(teacher.asked) == 5
    for before, after in zip(groups, taught, strict=True):
        assert (after.query_id, after.doc_ids) == (before.query_id, before.doc_ids)
        lengths = tuple(float(len(collection.documents[d])) for d in after.doc_ids)
        assert after.teacher_scores == lengths


def test_a_teacher_that_mixes_in_the_first_stage_is_given_its_scores(collection):
    group = TrainingGroup("q0", ("d0", "d1"), (1.0, 0.0), first_stage_scores=(3.0, 9.0))
    (taught,) = score_groups(Interpolated(Counting(), weight=0.0), [group], collection)
    low, high = taught.teacher_scores
    assert high > low


def test_a_teacher_in_training_has_no_teacher_of_its_own():
    with pytest.raises(InputError, match=r"teacher.loss must be one over labels: .* TeacherMSE"):
        Teacher(Oracle(), FineTuning(), TeacherMSE())
    assert Teacher(Oracle(), NoTraining(), TeacherMSE())


SMALL = ["training.steps=2", "training.validations=1", "training.batch_size=2", "depth=5"]
SMALL += ["training.negatives_per_positive=3", "latency_queries=0", "negatives=random"]
SMALL += ["interpolate=false", "training.easy_share=0"]


@pytest.fixture
def base(beir_folder, tmp_path):
    tiny = [f"checkpoint={save_tiny(tmp_path / 'tiny')}", "fresh_head=true", "max_length=32"]
    words = ["collection=files", f"collection.folder={beir_folder}", "retriever=bm25"]
    words += ["reranker=cross_encoder", *(f"reranker.{word}" for word in tiny)]
    return [*words, f"output={tmp_path / 'out'}", *SMALL], tiny


def test_a_trained_teacher_shares_its_checkpoint_with_a_run_of_its_own(base, tmp_path):
    words, tiny = base
    teacher = ["loss=kl", "teacher=embedded_l6", "reranker@teacher.reranker=cross_encoder"]
    teacher += [f"teacher.reranker.{word}" for word in tiny]
    teacher += [f"teacher.{word}" for word in SMALL if word.startswith("training.")]
    assert main(["run", *words, *teacher, "study=student"]) == 0
    checkpoints = (tmp_path / "out" / "store").glob("checkpoints/*/manifest.json")
    losses = [json.loads(p.read_text())["identity"]["loss"]["class"] for p in checkpoints]
    assert sorted(loss.rpartition(".")[2] for loss in losses) == ["Listwise", "TeacherKL"]
    assert main(["run", *words, "study=teacher"]) == 0
    after = list((tmp_path / "out" / "store").glob("checkpoints/*/manifest.json"))
    assert len(after) == 2


def test_a_loss_and_a_teacher_without_each_other_are_refused_before_any_work(base, caplog):
    words, _ = base
    assert main(["run", *words, "loss=kl"]) == 2
    assert "loss TeacherKL needs a teacher, got none" in caplog.text
    assert main(["run", *words, "teacher=reranker"]) == 2
    assert "loss Listwise needs no teacher (teacher=null), got CrossEncoder" in caplog.text


def test_the_teacher_of_a_checkpoint_is_part_of_what_it_is(base, tmp_path):
    words, tiny = base
    fixed = ["loss=mse", "teacher=reranker", "reranker@teacher.reranker=cross_encoder"]
    fixed += [f"teacher.reranker.{word}" for word in tiny]
    for seed in (0, 1):
        assert main(["run", *words, *fixed, f"teacher.reranker.head_seed={seed}"]) == 0
    found = list((tmp_path / "out" / "store").glob("checkpoints/*/manifest.json"))
    assert len(found) == 2


def test_a_network_may_teach_another(tmp_path, collection):
    network = CrossEncoder(str(save_tiny(tmp_path / "tiny")), max_length=32)
    group = TrainingGroup("q0", ("d0", "d1", "d2"), (1.0, 0.0, 0.0))
    (taught,) = score_groups(network, [group], collection)
    texts = [collection.documents[doc_id] for doc_id in group.doc_ids]
    expected = network.score(collection.queries["q0"], texts)
    assert taught.teacher_scores == pytest.approx(expected.tolist(), abs=1e-5)
    assert Listwise().learns_from_teacher is False
