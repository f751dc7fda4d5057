"""Whoever holds a re-ranker or a first stage: what that refuses is refused before any work."""

import importlib
import pkgutil
from dataclasses import dataclass, fields, is_dataclass, replace
from inspect import isclass
from typing import get_args, get_type_hints

import pytest
from torch import nn

import recross
from recross.collections.files import BeirFolder
from recross.command.building import build
from recross.command.cli import main
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.experiment.choosing import Choosing
from recross.experiment.experiment import Experiment
from recross.experiment.mining_command import Mining
from recross.experiment.networks import load_networks
from recross.experiment.reranking_command import Reranking
from recross.experiment.retrieval_command import Retrieval
from recross.experiment.training_command import CheckpointTraining
from recross.machine.hardware import Hardware
from recross.negatives.composed import Curriculum, Mixed, Part, Refreshed
from recross.negatives.filters import Denoising
from recross.negatives.ranked import RankWindow
from recross.rerankers.baselines import BiEncoderScore, Oracle
from recross.rerankers.composed.budget import WithinBudget
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.composed.interpolation import Interpolated
from recross.rerankers.composed.passages import LongDocuments
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.generative.generators import TextGenerator
from recross.rerankers.generative.listwise import ListwiseReranker
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.generative.rating import RatingReranker
from recross.rerankers.reranker import Reranker
from recross.rerankers.served.dialects import RerankV2
from recross.rerankers.served.served import ServedReranker
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.fusion import ReciprocalRankFusion
from recross.retrieval.planted import PlantedPositives
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever
from recross.training.data.training_data import MinedNegatives
from recross.training.losses.listwise import Listwise
from recross.training.recipe import FineTuning, NoTraining
from recross.training.teaching import Teacher
from recross.training.trained import Trained
from tests.conftest import save_tiny_t5
from tests.parts.test_declared_bounds import WITH_RAY

NEVER_TRAINED = "reranker must be trained before it scores"


class Drawn(CrossEncoder):
    """A network whose head was drawn."""

    def load(self):
        layer = nn.Linear(3, 1)
        layer.head_is_fresh, layer.check = True, lambda _: None
        return layer


@dataclass(frozen=True)
class Lost(Retriever):
    """A first stage that lacks what it needs."""

    candidates = "lost"

    def check(self):
        raise InputError("what it needs is lost")

    def retrieve(self, collection, query_ids, depth):
        raise AssertionError


DRAWN = Drawn("embedded:all-minilm-l6-v2")
EASY = MinedNegatives(RankWindow(RandomOrder()))
DENOISED = RankWindow(RandomOrder(), filters={"teacher": Denoising(DRAWN)})
RERANKERS = {
    Stage: Cascade({"first": Stage(Oracle(), 9), "then": Stage(DRAWN, 3)}),
    Interpolated: Interpolated(DRAWN),
    LongDocuments: LongDocuments(DRAWN),
    WithinBudget: WithinBudget(DRAWN, 10.0),
    Denoising: DENOISED,
    Teacher: Teacher(DRAWN, NoTraining(), Listwise()),
}
RETRIEVERS = {
    RankWindow: RankWindow(Lost()),
    PlantedPositives: PlantedPositives(Lost()),
    ReciprocalRankFusion: ReciprocalRankFusion({"a": RandomOrder(), "b": Lost()}),
    Trained: CrossEncoder(Trained(DRAWN, FineTuning(), Listwise(), EASY, retriever=Lost())),
}
OTHERS = {"Trained", "BiEncoderScore", "ListwiseReranker", "RatingReranker"}  # below
COMMANDS = {Choosing, Reranking, Retrieval, Experiment, CheckpointTraining}
WITHIN = {"Combination", "TrainingPlan", "Trainer"}
WITHIN |= {"FirstStageTask", "RetrievedBlocks", "RerankingTask", "RerankedBlocks"}
"""What commands make of what they hold."""


def find_holders():
    """Every class that declares a field for a re-ranker, a first stage or a language model."""
    for found in pkgutil.walk_packages(recross.__path__, "recross."):
        if found.name.endswith(("__main__", *WITH_RAY)):
            continue
        for kind in vars(importlib.import_module(found.name)).values():
            if isclass(kind) and is_dataclass(kind) and kind.__module__ == found.name:
                yield from [kind] if any(map(names_one, read_kinds(kind))) else []


def read_kinds(kind):
    try:
        hints = get_type_hints(kind)
    except NameError:  # of a type that is imported for types alone: no part
        return []
    return [hints[declared.name] for declared in fields(kind)]


def names_one(hint):
    is_one = isclass(hint) and issubclass(hint, (Reranker, Retriever))
    return is_one or hint is TextGenerator or any(map(names_one, get_args(hint)))


def test_every_class_that_holds_one_is_known_here():
    known = {kind.__name__ for kind in (*RERANKERS, *RETRIEVERS, *COMMANDS)}
    assert {kind.__name__ for kind in find_holders()} == known | OTHERS | WITHIN


@pytest.mark.parametrize("holder", RERANKERS.values(), ids=lambda held: type(held).__name__)
def test_a_head_that_nothing_trained_is_refused_whoever_holds_it(holder):
    for part in (holder, {"any": [holder]}, MinedNegatives(DENOISED)):
        with pytest.raises(InputError, match=NEVER_TRAINED):
            load_networks(part)


@pytest.mark.parametrize("holder", RETRIEVERS.values(), ids=lambda held: type(held).__name__)
def test_what_a_first_stage_lacks_is_refused_whoever_holds_it(holder):
    with pytest.raises(InputError, match="what it needs is lost"):
        load_networks(holder, trains=True)


@pytest.mark.parametrize(
    "negatives",
    [
        Mixed({"a": Part(RankWindow(RandomOrder())), "b": Part(DENOISED)}),
        Curriculum({"a": Part(DENOISED), "b": Part(RankWindow(RandomOrder()))}),
        Refreshed(DENOISED),
    ],
    ids=lambda negatives: type(negatives).__name__,
)
def test_a_teacher_is_found_in_strategies_that_are_made_of_others(negatives):
    with pytest.raises(InputError, match=NEVER_TRAINED):
        load_networks(negatives)


def test_who_is_trained_first_may_have_been_drawn():
    load_networks(DRAWN, learns=True)
    load_networks(LongDocuments(DRAWN), learns=True)
    load_networks(Teacher(DRAWN, FineTuning(), Listwise()))
    load_networks(CrossEncoder(Trained(DRAWN, FineTuning(), Listwise(), EASY)), trains=True)


def test_what_a_learner_learns_from_must_have_been_trained():
    taught = Trained(DRAWN, FineTuning(), Listwise(), MinedNegatives(DENOISED))
    with pytest.raises(InputError, match=NEVER_TRAINED):
        load_networks(CrossEncoder(taught), learns=True, trains=True)
    with pytest.raises(InputError, match=NEVER_TRAINED):  # it holds a network and learns nothing
        load_networks(Teacher(Interpolated(DRAWN), FineTuning(), Listwise()))


def test_a_checkpoint_is_not_made_where_nothing_is_trained():
    unmade = CrossEncoder(Trained(DRAWN, FineTuning(), Listwise(), EASY))
    with pytest.raises(InputError, match="a folder where nothing is trained"):
        load_networks(RankWindow(RandomOrder(), filters={"teacher": Denoising(unmade)}))


def test_a_form_of_scores_that_a_network_has_not_is_refused(tmp_path):
    int8 = Hardware(backend="torch_int8")
    t5 = T5Reranker(str(save_tiny_t5(tmp_path)), contract="monot5", hardware=int8)
    with pytest.raises(InputError, match="backend must be torch for a"):
        load_networks(Denoising(t5))


@pytest.mark.parametrize("make", [ListwiseReranker, RatingReranker])
def test_a_language_model_that_is_none_is_refused_before_its_weights_are_read(tmp_path, make):
    with pytest.raises(InputError, match="nowhere"):
        load_networks(Denoising(make(LocalGenerator(str(tmp_path / "nowhere")))))


def test_the_encoder_of_a_bi_encoder_that_re_ranks_is_looked_for(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        load_networks(Denoising(BiEncoderScore(BiEncoder(str(tmp_path / "nowhere")))))


def test_a_key_that_cannot_be_sent_is_refused_before_anything_is_asked(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "two\nlines")
    served = ServedReranker("http://127.0.0.1:9", "m", RerankV2(), api_key_variable="SOME_KEY")
    with pytest.raises(InputError, match="SOME_KEY must hold an API key of one line"):
        load_networks(Interpolated(served))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder; whoever loads a collection has begun to work."""

    def load(_source):
        raise AssertionError("work has begun")

    monkeypatch.setattr(BeirFolder, "load", load)
    (tmp_path / "x.trec").write_text("q1 Q0 d1 1 1.0 x\n")
    return tmp_path


def make_command(kind, folder, beir_folder):
    """A command that holds the network that was never trained, or the lost first stage."""
    shared = {"collection": BeirFolder(beir_folder), "output": folder, "store": folder / "store"}
    if kind is Mining:
        return Mining(**shared, negatives=DENOISED)
    if kind is Retrieval:
        return Retrieval(**shared, retriever=PlantedPositives(Lost()))
    if kind in (Reranking, Choosing):
        return kind(**shared, reranker=Interpolated(DRAWN), candidates=folder / "x.trec")
    words = ["collection=files", f"collection.folder={beir_folder}", "retriever=bm25"]
    words += ["reranker=embedded_l2", "training=smoke", f"output={folder}"]
    command = build(compose_values("run" if kind is Experiment else "train", words))
    return replace(command, training_data=MinedNegatives(DENOISED), store=folder / "store")


@pytest.mark.parametrize("kind", [*sorted(COMMANDS, key=str), Mining])
def test_every_command_refuses_before_any_work(kind, here, beir_folder):
    command = make_command(kind, here, beir_folder)
    with pytest.raises(InputError, match=f"{NEVER_TRAINED}|is lost"):
        command.run()
    assert not (here / "store").exists()


@pytest.mark.ci  # a process of its own imports torch
def test_processes_refuse_a_judge_before_they_search(beir_folder, tmp_path, caplog):
    words = ["mine", "collection=files", f"collection.folder={beir_folder}", "negatives=denoised"]
    words += ["reranker@negatives.filters.teacher.reranker=embedded_l2", f"output={tmp_path}"]
    assert main([*words, "processes=1"]) == 2
    assert NEVER_TRAINED in caplog.text
    assert not list((tmp_path / "store").glob("retrieved_blocks/[!.]*"))
