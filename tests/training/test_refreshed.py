"""Negatives chosen anew by the network in training: the hardest of a pool, at the right steps."""

import pytest

from recross.errors import InputError
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.negatives.composed import Curriculum, Mixed, Part, Refreshed
from recross.negatives.ranked import RankWindow
from recross.records import TrainingGroup
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.store import Store
from recross.training.data.leaks import Leaks
from recross.training.data.refresh import Refresh, keep_negatives
from recross.training.data.training_data import MinedNegatives, Task
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.module import RankingModule
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.steps.step_data import StepData
from recross.training.validation import Validation
from tests.conftest import save_tiny, toy_collection

POOL, KEEP, EVERY, STEPS = 4, 3, 3, 8
SAMPLER = Refreshed(RankWindow(RandomOrder(), 40), every=EVERY, pool=POOL)


@pytest.fixture
def task(collection, tmp_path):
    store = Store(tmp_path / "store")
    return Task(collection, "train", KEEP, 0, Leaks({}, {}, {}), "leave_out", store)


def mine(sampler, task):
    (phase,) = MinedNegatives(sampler).make_phases(task)
    return phase


def train(folder, checkpoint, phase, hardware=Hardware(threads=1), steps=STEPS, dropout=0.1):
    collection = toy_collection()
    listed = RandomOrder(3).retrieve(collection, collection.query_ids("dev"), 20)
    dev = Validation(listed, collection, collection.qrels("dev"), "MRR@10")
    training = FineTuning(
        steps=steps,
        batch_size=4,
        negatives_per_positive=KEEP,
        validations=1,
        learning_rate=1e-2,
        dropout=dropout,
        save_seconds=0.0,
    )
    reranker = CrossEncoder(str(checkpoint), fresh_head=True, max_length=24)
    recipe = TrainingPlan(Listwise(), training)
    return fit(reranker, [phase], recipe, Session(hardware), dev, folder)


@pytest.fixture
def checkpoint(tmp_path):
    return save_tiny(tmp_path / "source")


def watched(monkeypatch):
    """What each step learned from, and what it could have, scored by the network of that step."""
    seen = []
    whole = RankingModule.training_step

    def step(self, batch, number):
        at = self.progress.step
        found = {"step": at, "groups": self.data.groups(number)}
        if at % EVERY == 0:
            found["pools"] = [
                group
                for n in range(at, min(at + EVERY, STEPS))
                for group in self.data._groups_or_pools(n)
            ]
            found["scores"] = [slow_scores(self, pool) for pool in found["pools"]]
        seen.append(found)
        return whole(self, batch, number)

    monkeypatch.setattr(RankingModule, "training_step", step)
    return seen


def slow_scores(module, pool):
    """One document at a time, through the padded Hugging Face forward."""
    network, texts = module.network, module.data.collection
    network.eval()
    scores = []
    for doc_id in pool.doc_ids[1:]:
        pair = network.tokenizer(
            texts.queries[pool.query_id],
            texts.documents[doc_id],
            truncation="only_second",
            max_length=24,
            return_tensors="pt",
        )
        scores.append(float(network.model(**pair).logits))
    network.train()
    return dict(zip(pool.doc_ids[1:], scores, strict=True))


def test_a_step_learns_from_what_the_network_found_hardest_at_the_last_refresh(
    task, checkpoint, tmp_path, monkeypatch
):
    seen = watched(monkeypatch)
    phase = mine(SAMPLER, task)
    assert all(len(group.doc_ids) == 1 + POOL * KEEP for group in phase.groups.groups)
    train(tmp_path / "out", checkpoint, phase)
    assert [found["step"] for found in seen] == list(range(STEPS))
    pools, scores = iter(()), iter(())
    for found in seen:
        if "pools" in found:
            assert next(pools, None) is None
            pools, scores = iter(found["pools"]), iter(found["scores"])
        for group in found["groups"]:
            pool, known = next(pools), next(scores)
            assert group.doc_ids[0] == pool.doc_ids[0]
            assert group.labels == (1.0, 0.0, 0.0, 0.0)
            lowest_kept = min(known.pop(doc_id) for doc_id in group.doc_ids[1:])
            assert lowest_kept >= max(known.values()) - 1e-5


def test_weights_after_an_interruption_are_those_without_one(
    task, checkpoint, tmp_path, monkeypatch
):
    phase = mine(SAMPLER, task)
    train(tmp_path / "whole", checkpoint, phase)
    whole = RankingModule.training_step
    for step in (3, 5):  # right at a refresh, and within its steps
        folder = tmp_path / f"cut{step}"

        def interrupted(self, batch, number, stop=step):
            if self.progress.step == stop:
                raise KeyboardInterrupt
            return whole(self, batch, number)

        with monkeypatch.context() as patch:
            patch.setattr(RankingModule, "training_step", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(folder, checkpoint, phase)
        train(folder, checkpoint, phase)
        name = "model.safetensors"
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.ci  # two processes import torch
@pytest.mark.parametrize("shards", ["nothing", "weights"])
def test_two_processes_choose_what_one_does(task, checkpoint, tmp_path, shards):
    phase = mine(SAMPLER, task)
    settings = {"steps": EVERY, "dropout": 0.0}  # which each process would draw for itself
    one = train(tmp_path / "one", checkpoint, phase, **settings)
    hardware = Hardware(devices=2, threads=1, shards=shards)
    two = train(tmp_path / "two", checkpoint, phase, hardware, **settings)
    assert (one["pairs"], one["tokens"]) == (two["pairs"], two["tokens"])
    pairs = [("a red cat", "the red cat"), ("a red cat", "a blue dog")]
    scores = [CrossEncoder(str(tmp_path / name)).predict(pairs) for name in ("one", "two")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-2)


def test_what_is_known_of_a_document_stays_with_it():
    group = TrainingGroup(
        "q", ("p", "a", "b", "c"), (2.0, 0.0, 0.0, 0.0), (9, 1, 2, 3), (5, 6, 7, 8)
    )
    found = keep_negatives(group, Refresh(every=1, keep=2).find_hardest([0.1, 0.7, 0.7]))
    assert found == TrainingGroup("q", ("p", "b", "c"), (2.0, 0.0, 0.0), (9, 2, 3), (5, 7, 8))


def test_a_phase_begins_with_a_refresh_and_the_one_before_has_none(task, checkpoint):
    samplers = {"easy": RankWindow(RandomOrder(), 40), "hard": SAMPLER}
    curriculum = Curriculum({name: Part(sampler) for name, sampler in samplers.items()})
    phases = MinedNegatives(curriculum).make_phases(task)
    network = CrossEncoder(str(checkpoint), fresh_head=True, max_length=24).network
    data = StepData(
        phases, STEPS, CollectionTexts(task.collection), network, batch_size=2, tokens=9**9, seed=0
    )
    assert [step for step in range(STEPS) if data.awaits_refresh(step)] == [4, 7]
    pools = data.pools(4)
    assert len(pools) == 2 * EVERY
    data.refresh(4, [range(len(pool.doc_ids) - 1) for pool in pools])
    assert not data.awaits_refresh(4)
    assert [len(data.groups(step)[0].doc_ids) for step in (3, 4)] == [1 + KEEP, 1 + KEEP]
    assert data.groups(4)[0].doc_ids[1:] == pools[0].doc_ids[:-4:-1]
    assert [phase.refresh for phase in phases] == [None, Refresh(EVERY, KEEP)]


def test_what_cannot_be_refreshed_is_refused():
    part = Part(RankWindow(RandomOrder()))
    for wrong in (SAMPLER, Curriculum({"one": part})):
        with pytest.raises(InputError, match="sampler must be one that mines once, got a"):
            Refreshed(wrong)
    with pytest.raises(InputError, match="parts must be strategies that mine once"):
        Mixed({"one": Part(SAMPLER)})
    with pytest.raises(InputError, match="pool must be at least 2, got 1"):
        Refreshed(RankWindow(RandomOrder()), pool=1)
