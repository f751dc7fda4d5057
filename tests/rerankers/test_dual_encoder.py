"""Bi-encoders as networks: the scores of the first stage, and in-batch negatives of any memory."""

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Transformer,
)

from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.records import TrainingGroup
from recross.rerankers.dual_encoder import DualEncoder
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.store import Store
from recross.training.data.groups import TrainingGroups, make_groups
from recross.training.data.in_batch import find_relevant, gather_texts
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import ABSENT
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation
from tests.conftest import save_tiny, toy_collection

PAIRS = [
    ("red cat", "here lives a red cat"),
    ("a very white owl and a dog", "an owl"),
    ("red cat", "white dog " * 40),
    ("blue " * 60, "a blue dog lives here"),
]


def save_sentences(folder, pooling):
    transformer = Transformer(str(save_tiny(folder / "bert")), max_seq_length=24)
    pooled = Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    SentenceTransformer(modules=[transformer, pooled]).save(str(folder / "sentences"))
    return str(folder / "sentences")


@pytest.fixture(params=["mean", "cls"])
def checkpoint(request, tmp_path):
    return save_sentences(tmp_path, request.param)


def test_scores_are_the_cosines_of_sentence_transformers(checkpoint):
    peer = SentenceTransformer(checkpoint, device="cpu")
    expected = [
        float(F.cosine_similarity(*(peer.encode([t], convert_to_tensor=True) for t in pair)))
        for pair in PAIRS
    ]
    found = DualEncoder(checkpoint, max_length=24).predict(PAIRS)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_the_trained_folder_is_read_by_the_first_stage_and_by_name(checkpoint, tmp_path):
    reranker = DualEncoder(checkpoint, max_length=24)
    folder = tmp_path / "saved"
    folder.mkdir()
    reranker.network.save(folder)
    expected = reranker.predict(PAIRS)
    assert reranker.trained(folder).predict(PAIRS).tolist() == expected.tolist()
    assert load_reranker(folder, max_length=24).predict(PAIRS).tolist() == expected.tolist()
    first = BiEncoder(str(folder), max_length=24)
    queries = first.encode([query for query, _ in PAIRS], "query")
    documents = first.encode([document for _, document in PAIRS], "document")
    assert (queries * documents).sum(axis=1).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_what_is_saved_is_read_by_the_library_with_the_same_vectors(tmp_path, similarity):
    transformer = Transformer(str(save_tiny(tmp_path / "bert")), max_seq_length=24)
    modules = [transformer, Pooling(32, "cls"), Dense(32, 12), Normalize()]
    more = {"prompts": {"query": "red ", "document": "here lives "}, "truncate_dim": 7}
    start = SentenceTransformer(modules=modules[: 3 if similarity == "dot" else 4], **more)
    start.similarity_fn_name = similarity
    start.max_seq_length = 24
    start.save(str(tmp_path / "start"))
    reranker = DualEncoder(str(tmp_path / "start"))
    assert reranker.network.scale == {"cosine": 20.0, "dot": 1.0}[similarity]
    assert any("projections" in name for name, _ in reranker.network.named_parameters())
    (tmp_path / "saved").mkdir()
    reranker.network.save(tmp_path / "saved")
    peer = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert peer.max_seq_length == 24
    queries, documents = map(list, zip(*PAIRS, strict=True))
    vectors = peer.encode_query(queries), peer.encode_document(documents)
    expected = peer.similarity_pairwise(*vectors).tolist()
    assert reranker.predict(PAIRS).tolist() == pytest.approx(expected, abs=1e-4)
    start_vectors = start.encode_query(queries), start.encode_document(documents)
    assert start.similarity_pairwise(*start_vectors).tolist() == pytest.approx(expected, abs=1e-4)


def test_it_counts_what_it_cut(checkpoint):
    network = DualEncoder(checkpoint, max_length=24).network
    found = network.encode(["red " * 30], ["owl", "owl " * 50], [(0, 0), (0, 1)])
    assert found.lost.tolist() == [[8, 0], [8, 28]]
    assert found.lengths.tolist() == [24 + 3, 24 + 24]


@pytest.fixture
def groups(tmp_path):
    collection = toy_collection()
    mined = RankWindow(RandomOrder(), 40).mine(collection, "train", Store(tmp_path / "store"))
    return make_groups(mined, collection, "train", 2, 0).groups[:6]


def slow_loss(network, groups, collection, relevant):
    """Every query against every document of the step, one text at a time, with autograd's chain."""

    def vector(text):
        tokens = network.tokenizer(text, truncation=True, max_length=24, return_tensors="pt")
        states = network.model(**tokens).last_hidden_state[0]
        pooled = states.mean(dim=0) if network.contract.pooling == "mean" else states[0]
        return F.normalize(pooled, dim=0)

    documents = list(dict.fromkeys(d for group in groups for d in group.doc_ids))
    losses = []
    for group in groups:
        own = dict(zip(group.doc_ids, group.labels, strict=True))
        barred = {collection.documents[d] for d in relevant.get(group.query_id, ())}
        offered = [d for d in documents if d in own or collection.documents[d] not in barred]
        query = vector(collection.queries[group.query_id])
        scores = network.scale * torch.stack(
            [query @ vector(collection.documents[d]) for d in offered]
        )
        gains = torch.tensor([own.get(d, 0.0) for d in offered])
        losses.append(-(gains / gains.sum() * F.log_softmax(scores, dim=0)).sum())
    return torch.stack(losses).mean()


class OneStep(Listwise):
    """Remembers its value."""

    values: ClassVar[list[float]] = []

    def __call__(self, scores, targets):
        found = super().__call__(scores, targets)
        self.values.append(float(found.detach()))
        return found


def train(folder, checkpoint, groups, budget, devices=1, steps=1, shards="nothing"):
    collection = toy_collection()
    listed = RandomOrder(3).retrieve(collection, collection.query_ids("dev"), 10)
    dev = Validation(listed, collection, collection.qrels("dev"), "MRR@10")
    settings = {"batch_size": 6, "negatives_per_positive": 2, "validations": 1, "dropout": 0.0}
    training = FineTuning(steps=steps, learning_rate=1e-3, **settings)
    hardware = Hardware(devices=devices, threads=1, tokens_per_training_pass=budget, shards=shards)
    reranker = DualEncoder(checkpoint, max_length=24)
    part = TrainingGroups(tuple(groups), {})
    took = fit(
        reranker,
        [Phase("all", part)],
        TrainingPlan(OneStep(), training),
        Session(hardware),
        dev,
        folder,
    )
    return reranker.trained(folder), took


def test_the_loss_and_the_update_are_those_of_a_slow_reference(checkpoint, groups, tmp_path):
    collection = toy_collection()
    reference = DualEncoder(checkpoint, max_length=24).network
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in reference.parameters() if p.ndim >= 2], "weight_decay": 0.01},
            {"params": [p for p in reference.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=1e-3,
    )
    loss = slow_loss(reference, groups, collection, find_relevant(groups))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
    optimizer.step()
    expected = DualEncoder(checkpoint, max_length=24)
    expected.__dict__["network"] = reference
    wanted = expected.predict(PAIRS).tolist()
    for budget in (1, 60, 10**6):  # one text at a time, some, all at once
        OneStep.values.clear()
        trained, took = train(tmp_path / f"out{budget}", checkpoint, groups, budget)
        assert OneStep.values == pytest.approx([loss.item()], abs=1e-4)
        assert trained.predict(PAIRS).tolist() == pytest.approx(wanted, abs=2e-3)
        assert took["pairs"] == 6 * len({d for group in groups for d in group.doc_ids})


@pytest.mark.ci  # two processes import torch
@pytest.mark.parametrize("shards", ["nothing", "weights"])
def test_two_processes_learn_what_one_does(checkpoint, groups, tmp_path, shards):
    one, first = train(tmp_path / "one", checkpoint, groups, 10**6, steps=3)
    two, second = train(tmp_path / "two", checkpoint, groups, 60, devices=2, steps=3, shards=shards)
    assert (first["pairs"], first["tokens"]) == (second["pairs"], second["tokens"])
    assert one.predict(PAIRS).tolist() == pytest.approx(two.predict(PAIRS).tolist(), abs=1e-2)


def test_relevant_documents_of_other_groups_and_their_copies_are_no_negatives(checkpoint):
    collection = toy_collection().with_texts(
        type("T", (), {"fingerprint": "x", "queries": {}, "documents": {"copy": "Here  is IT"}})()
    )
    collection = collection.with_texts(
        type("T", (), {"fingerprint": "y", "queries": {}, "documents": {"known": "here is it"}})()
    )
    q1, q2 = collection.query_ids("train")[:2]
    groups = [
        TrainingGroup(q1, ("d1", "d2"), (1.0, 0.0)),
        TrainingGroup(q1, ("d3", "d4"), (2.0, 0.0), teacher_scores=(0.5, 0.1)),
        TrainingGroup(q2, ("d5", "d1", "copy"), (1.0, 0.0, 0.0)),
    ]
    network = DualEncoder(checkpoint, max_length=24).network
    step = gather_texts(
        groups, CollectionTexts(collection), network, 10**6, relevant={q1: {"known"}}
    )
    # d1 d2 d3 d4 d5 copy
    assert step.labels.tolist() == [
        [1.0, 0.0, ABSENT, 0.0, 0.0, ABSENT],
        [ABSENT, 0.0, 2.0, 0.0, 0.0, ABSENT],
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    ]
    assert step.teacher_scores[1].tolist() == pytest.approx(
        [ABSENT, ABSENT, 0.5, 0.1, ABSENT, ABSENT]
    )
    assert (step.teacher_scores[0] == ABSENT).all()
    assert step.queries.tolist() == [0, 0, 1]
    assert step.pairs == 4 + 4 + 6


def test_what_is_excluded_for_a_query_is_no_negative_of_it_in_a_step(checkpoint):
    collection = toy_collection()
    q1, q2 = collection.query_ids("train")[:2]
    collection = collection.excluding({q1: frozenset({"d5", "not here"})})
    groups = [
        TrainingGroup(q1, ("d1", "d2"), (1.0, 0.0)),
        TrainingGroup(q2, ("d5", "d6"), (1.0, 0.0)),
    ]
    network = DualEncoder(checkpoint, max_length=24).network
    step = gather_texts(groups, CollectionTexts(collection), network, 10**6, relevant={})
    assert step.labels.tolist() == [[1.0, 0.0, ABSENT, 0.0], [0.0, 0.0, 1.0, 0.0]]


def test_it_learns_to_retrieve(tmp_path):
    checkpoint = save_sentences(tmp_path, "mean")
    collection = toy_collection()
    mined = RankWindow(RandomOrder(), 40).mine(collection, "train", Store(tmp_path / "store"))
    groups = make_groups(mined, collection, "train", 2, 0).groups
    query_ids = sorted({group.query_id for group in groups})

    def found(folder):
        run = BiEncoder(str(folder), max_length=24, store=tmp_path / "s").retrieve(
            collection, query_ids, 5
        )
        hits = [
            any(d.doc_id in collection.relevant("train", q) for d in run.rankings[q])
            for q in query_ids
        ]
        return sum(hits) / len(hits)

    before = found(checkpoint)
    train(tmp_path / "out", checkpoint, groups, 10**6, steps=60)
    assert found(tmp_path / "out") > before + 0.2


def test_wrong_settings_are_refused(checkpoint, groups, tmp_path):
    with pytest.raises(InputError, match="scale must be positive, got 0"):
        DualEncoder(checkpoint, scale=0)
    with pytest.raises(InputError, match="max_length must be at least 8, got 3"):
        DualEncoder(checkpoint, max_length=3)
    with pytest.raises(InputError, match="max_length must not exceed"):
        _ = DualEncoder(checkpoint, max_length=100_000).network
    with pytest.raises(InputError, match="first_stage_weight must be 0 for in-batch negatives"):
        training = FineTuning(steps=1, validations=1, first_stage_weight=1.0)
        dev = Validation(Run("none", {}), toy_collection(), {}, "MRR@10")
        part = TrainingGroups(tuple(groups), {})
        recipe = TrainingPlan(Listwise(), training)
        fit(
            *(
                DualEncoder(checkpoint, max_length=24),
                [Phase("all", part)],
                recipe,
                Session(Hardware()),
                dev,
                tmp_path / "out",
            ),
        )
