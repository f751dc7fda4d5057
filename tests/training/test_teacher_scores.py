"""The teacher's scores on their way from a group to the loss."""

from dataclasses import replace

import pytest
import torch

from recross.errors import InputError
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.rerankers.comparing.duo import DuoT5
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.store import Store
from recross.training.data.groups import TrainingGroups, make_groups
from recross.training.data.micro_batches import micro_batches
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.distillation import (
    DiscountedRankMSE,
    MarginMSE,
    TeacherKL,
    TeacherMSE,
)
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import ABSENT
from recross.training.losses.pairwise import RankNet
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation
from tests.conftest import save_tiny

TAUGHT = [
    TeacherMSE(),
    MarginMSE(),
    TeacherKL(),
    DiscountedRankMSE(),
    RankNet(learns_from_teacher=True),
]


@pytest.fixture
def groups(collection, tmp_path):
    """Groups of four whose teacher thinks the opposite of their labels, and so of their order."""
    candidates = RandomOrder().retrieve(collection, collection.query_ids("train")[:12], 20)
    few = replace(collection, split_queries={"train": tuple(candidates.rankings)})
    mined = RankWindow(RandomOrder(), 20).mine(few, "train", Store(tmp_path / "store"))
    made = make_groups(mined, few, "train", 3, 0)
    return replace(
        made,
        groups=tuple(replace(one, teacher_scores=(-3.0, 1.0, 2.0, 3.5)) for one in made.groups),
    )


@pytest.fixture
def network(tiny_bert):
    return CrossEncoder(str(tiny_bert)).network


def shortened(group, size):
    return replace(
        group,
        doc_ids=group.doc_ids[:size],
        labels=group.labels[:size],
        teacher_scores=group.teacher_scores and group.teacher_scores[:size],
        first_stage_scores=None,
    )


def untaught(groups):
    return TrainingGroups(tuple(replace(one, teacher_scores=None) for one in groups.groups), {})


def test_a_micro_batch_holds_them_in_the_order_of_its_labels(network, collection, groups):
    whole, other, _ = groups.groups[:3]
    chosen = [whole, shortened(other, 2), replace(whole, teacher_scores=None)]
    (micro,) = micro_batches(chosen, CollectionTexts(collection), network, 100_000)
    moved = micro.to(torch.device("cpu"))
    assert moved.teacher_scores.tolist() == [
        [-3.0, 1.0, 2.0, 3.5],
        [-3.0, 1.0, ABSENT, ABSENT],
        [ABSENT] * 4,
    ]
    assert moved.labels.tolist() == [[1, 0, 0, 0], [1, 0, ABSENT, ABSENT], [1, 0, 0, 0]]


def test_a_pairs_score_is_by_how_much_its_first_document_is_ahead(tiny_t5, collection, groups):
    comparing = DuoT5(str(tiny_t5), contract="duot5", depth=5).network
    group = shortened(groups.groups[0], 3)
    alone = replace(group, teacher_scores=None)
    (micro,) = micro_batches([group, alone], CollectionTexts(collection), comparing, 100_000)
    # Pairs with different labels: first to second, first to third, and back.
    assert micro.labels[0].tolist() == [1, 1, 0, 0]
    assert micro.teacher_scores[0].tolist() == [-4.0, -5.0, 4.0, 5.0]
    assert micro.teacher_scores[1].tolist() == [ABSENT] * 4


@pytest.mark.parametrize("loss", TAUGHT, ids=str)
def test_the_gradient_of_a_step_does_not_depend_on_what_fits_in_memory(
    network, collection, groups, loss
):
    chosen = [*groups.groups[:4], shortened(groups.groups[4], 3)]

    def gradient(budget):
        network.zero_grad()
        for micro in micro_batches(chosen, CollectionTexts(collection), network, budget):
            value = loss(micro.lists(network(micro.batch)), micro.teacher_scores)
            (value * micro.share).backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    whole = gradient(100_000)
    scale = whole.abs().max().item()
    torch.testing.assert_close(gradient(1), whole, atol=1e-5 * scale, rtol=1e-4)
    torch.testing.assert_close(gradient(150), whole, atol=1e-5 * scale, rtol=1e-4)


def fitted(folder, collection, groups, loss, **settings):
    reranker = CrossEncoder(str(save_tiny(folder / "source")), fresh_head=True, max_length=24)
    query_ids = collection.query_ids("dev")[:2]
    dev = {query_id: collection.qrels("dev")[query_id] for query_id in query_ids}
    candidates = Run.from_scores("dev", {q: dict.fromkeys(dev[q], 0.0) for q in query_ids})
    training = FineTuning(
        **{
            "steps": 40,
            "batch_size": 6,
            "learning_rate": 3e-3,
            "validations": 1,
            "dropout": 0.0,
            **settings,
        }
    )
    validation = Validation(candidates, collection, dev, "MRR@10")
    parts = groups if isinstance(groups, list) else [Phase("all", groups)]
    fit(
        reranker,
        parts,
        TrainingPlan(loss, training),
        Session(Hardware()),
        validation,
        folder / "out",
    )
    return reranker.trained(folder / "out")


@pytest.mark.parametrize("loss, sign", [(Listwise(), 1), *((loss, -1) for loss in TAUGHT)], ids=str)
def test_a_network_learns_what_its_loss_asks_for(tmp_path, collection, groups, loss, sign):
    trained = fitted(tmp_path, collection, groups, loss)
    texts = [
        (collection.queries[group.query_id], collection.documents[doc_id])
        for group in groups.groups
        for doc_id in group.doc_ids
    ]
    scores = torch.tensor(trained.predict(texts)).view(-1, 4)
    leads = sign * (scores[:, :1] - scores[:, 1:]).mean(dim=1)
    assert (leads > 0).float().mean() > 0.9  # the positive is first by labels, last by the teacher


@pytest.mark.parametrize("loss", TAUGHT, ids=str)
def test_a_loss_that_learns_from_a_teacher_is_refused_without_one(
    tmp_path, collection, groups, loss, monkeypatch
):
    monkeypatch.setattr(
        "recross.machine.hardware.Hardware.prepare", lambda _: pytest.fail("has begun")
    )
    message = (
        rf"^loss must be one over labels .*, got {type(loss).__name__}, which learns from a"
        r" teacher, and 12 groups without: let a teacher score them, or choose another loss"
    )
    with pytest.raises(InputError, match=message):
        fitted(tmp_path, collection, untaught(groups), loss)


def test_groups_need_a_teacher_only_where_they_are_learned_from(tmp_path, collection, groups):
    parts = [Phase("none", untaught(groups), 0.0), Phase("all", groups)]
    assert fitted(tmp_path / "none", collection, parts, TeacherMSE(), steps=2)
    parts = [Phase("some", untaught(groups), 0.5), Phase("all", groups, 0.5)]
    with pytest.raises(InputError, match="and 12 groups without"):
        fitted(tmp_path / "some", collection, parts, TeacherMSE(), steps=2)
