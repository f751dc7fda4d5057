from dataclasses import replace

import numpy as np
import pytest
import torch

from recross.errors import InputError, RunError
from recross.evaluation.measures import evaluate
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.store import Store
from recross.training.data.groups import TrainingGroups, make_groups
from recross.training.data.micro_batches import micro_batches
from recross.training.data.phases import Phase, plan_steps
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import ABSENT, Loss
from recross.training.losses.pointwise import AnswerLikelihood, Pointwise
from recross.training.optimisation import Optimisation
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.requirements import check_processes
from recross.training.steps.step_data import StepData, shuffle_groups
from recross.training.validation import Validation
from tests.conftest import save_tiny


@pytest.fixture
def collection(collection):
    """The toy collection with a rule that a small network can learn: white animals are relevant."""
    white = [doc_id for doc_id, text in collection.documents.items() if " white " in text]
    qrels = {
        split: {q: {white[n % 6]: 1} for n, q in enumerate(collection.query_ids(split))}
        for split in ("train", "dev", "test")
    }
    documents = {d: t for d, t in collection.documents.items() if d not in white[6:]}
    return replace(collection, split_qrels=qrels, documents=documents)


@pytest.fixture
def groups(collection, tmp_path):
    mined = RankWindow(RandomOrder(), 40).mine(collection, "train", Store(tmp_path / "store"))
    return make_groups(mined, collection, "train", 5, 0)


@pytest.fixture
def network(tiny_bert):
    return CrossEncoder(str(tiny_bert)).network


def gradient(network, groups, collection, loss, budget):
    network.zero_grad()
    for micro in micro_batches(groups, CollectionTexts(collection), network, budget):
        (loss(micro.lists(network(micro.batch)), micro.labels) * micro.share).backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("loss", [Listwise(), Pointwise()])
def test_the_gradient_of_a_step_does_not_depend_on_what_fits_in_memory(
    network, groups, collection, loss
):
    chosen = groups.groups[:8]
    whole = gradient(network, chosen, collection, loss, 100_000)
    for budget in (1, 150, 400):
        parts = gradient(network, chosen, collection, loss, budget)
        torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


def test_lists_of_unequal_length_are_padded_with_absent_labels(network, groups, collection):
    short = replace(
        groups.groups[0],
        doc_ids=groups.groups[0].doc_ids[:2],
        labels=(1.0, 0.0),
        first_stage_scores=(0.5, 0.25),
    )
    (micro,) = micro_batches(
        [short, groups.groups[1]], CollectionTexts(collection), network, 100_000
    )
    assert micro.labels[0].tolist() == [1.0, 0.0] + [ABSENT] * 4
    assert micro.first_stage_scores[0, :2].tolist() == [0.5, 0.25]
    lists = micro.lists(network(micro.batch))
    alone = network.encode(
        [collection.queries[short.query_id]],
        [collection.documents[d] for d in short.doc_ids],
        [(0, 0), (0, 1)],
    )
    assert lists.shape == (2, 6)
    assert (lists[0, 2:] == 0).all()
    assert len(alone) == 2


def test_every_group_comes_once_per_epoch_and_ranks_share_a_step():
    steps = shuffle_groups(10, steps=5, batch_size=4, seed=1)
    visited = np.concatenate(steps)
    assert sorted(visited[:10]) == sorted(visited[10:]) == list(range(10))
    assert steps.tolist() == shuffle_groups(10, 5, 4, 1).tolist()
    assert steps.tolist() != shuffle_groups(10, 5, 4, 2).tolist()


def test_two_ranks_see_together_what_one_sees(network, groups, collection):
    def step(rank, ranks):
        data = StepData(
            *([Phase("all", groups)], 1, CollectionTexts(collection), network),
            batch_size=6,
            tokens=10**6,
            seed=0,
        )
        data.divide(rank, ranks)
        return data[0].micro_batches

    whole = sum(len(micro.batch) for micro in step(0, 1))
    assert sum(len(micro.batch) for rank in (0, 1) for micro in step(rank, 2)) == whole


def test_easy_groups_come_first(network, groups, collection):
    easy, hard = (TrainingGroups(some, {}) for some in (groups.groups[:10], groups.groups[10:40]))
    phases = [Phase("easy", easy, 0.4), Phase("hard", hard, 0.6)]
    data = StepData(
        phases, 5, CollectionTexts(collection), network, batch_size=4, tokens=10**6, seed=0
    )
    assert len(data) == 5
    seen = [{group.query_id for group in data.groups(number)} for number in range(5)]
    easy_queries = {group.query_id for group in easy.groups}
    assert [step <= easy_queries for step in seen] == [True, True, False, False, False]


def test_phases_share_the_steps_by_rounding_where_each_ends(groups):
    shares = (1 / 3, 1 / 3, 1 / 3)

    def plan(shares, steps):
        return plan_steps([Phase("any", groups, share) for share in shares], steps)

    assert plan(shares, 100) == [range(33), range(33, 67), range(67, 100)]
    assert plan((0.4, 0.6), 9) == [range(4), range(4, 9)]  # 3.6 rounded, and the rest
    assert plan((0.05, 0.95), 5) == [range(0), range(5)]


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.6), (1.5, -0.5)])
def test_shares_of_phases_that_do_not_add_up_are_refused(groups, shares):
    with pytest.raises(InputError, match="shares of the phases must add up to 1, got"):
        plan_steps([Phase("any", groups, share) for share in shares], 10)


def test_first_stage_scores_are_needed_where_they_have_a_weight(tmp_path, collection, groups):
    unscored = replace(
        groups, groups=tuple(replace(g, first_stage_scores=None) for g in groups.groups)
    )
    with pytest.raises(InputError, match="training.first_stage_weight must be 0 for negatives of"):
        trained(tmp_path, collection, unscored, first_stage_weight=0.5)


def test_frozen_layers_do_not_move_and_the_others_do(tmp_path, collection, groups):
    source = str(save_tiny(tmp_path / "source"))
    before = CrossEncoder(source, fresh_head=True, max_length=24).network.model
    reranker, _ = trained(tmp_path, collection, groups, steps=2, validations=1, frozen_share=0.4)
    after = dict(reranker.network.model.named_parameters())
    moved = {n for n, p in before.named_parameters() if not torch.equal(p, after[n])}
    assert not any("layer.0." in name or "word_embeddings" in name for name in moved)
    assert any("layer.1." in name for name in moved)


def test_the_learning_rate_warms_up_and_decays_linearly():
    settings = Optimisation(100, 1e-4, None, 0.01, 0.1, 1.0, 0.0)
    assert [settings.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert settings.rate(55) == pytest.approx(0.5)
    assert settings.rate(100) == 0


def validation(collection):
    query_ids = collection.query_ids("dev")
    candidates = RandomOrder(3).retrieve(collection, query_ids, 30)
    with_positive = {
        q: dict.fromkeys([*candidates.doc_ids(q), *collection.relevant("dev", q)], 0.0)
        for q in query_ids
    }
    run = Run.from_scores("dev", with_positive)
    return Validation(run, collection, collection.qrels("dev"), "MRR@10")


def chance(dev):
    return evaluate(dev.candidates, dev.qrels, ["MRR@10"]).mean["MRR@10"]


def trained(tmp_path, collection, groups, hardware=Hardware(), **settings):
    source = save_tiny(tmp_path / "source")
    reranker = CrossEncoder(str(source), fresh_head=True, max_length=24)
    defaults = {
        "steps": 60,
        "batch_size": 8,
        "negatives_per_positive": 5,
        "learning_rate": 3e-3,
        "validations": 3,
        "dropout": 0.0,
    }
    training = FineTuning(**{**defaults, **settings})
    folder = tmp_path / "out"
    recipe = TrainingPlan(Listwise(), training)
    took = fit(
        reranker, [Phase("all", groups)], recipe, Session(hardware), validation(collection), folder
    )
    return reranker.trained(folder), took


def test_training_learns_the_toy_task_and_keeps_its_best_weights(tmp_path, collection, groups):
    reranker, took = trained(tmp_path, collection, groups)
    dev = validation(collection)
    found = evaluate(reranker.rerank(dev.candidates, collection), dev.qrels, ["MRR@10"]).mean
    assert found["MRR@10"] == pytest.approx(took["best dev MRR@10"], abs=1e-6)
    assert found["MRR@10"] > 0.3 > 2 * chance(dev)
    assert took["best_step"] in (20, 40, 60)
    assert took["pairs"] == 60 * 8 * 6
    assert took["tokens_per_second"] == pytest.approx(took["tokens"] / took["seconds"])
    assert not list((tmp_path / "out").glob("*.pt"))


def test_the_same_seed_trains_the_same_weights(tmp_path, collection, groups):
    first, _ = trained(tmp_path / "a", collection, groups, steps=4, validations=1)
    second, _ = trained(tmp_path / "b", collection, groups, steps=4, validations=1)
    pairs = [("red cat", "here lives a red cat"), ("blue dog", "a blue owl")]
    assert first.predict(pairs).tolist() == second.predict(pairs).tolist()


@pytest.mark.ci
def test_two_processes_train_the_same_weights_as_one(tmp_path, collection, groups):
    settings = {"steps": 3, "validations": 1, "learning_rate": 1e-3}
    one, _ = trained(tmp_path / "one", collection, groups, **settings)
    hardware = Hardware(devices=2, tokens_per_training_pass=120)
    two, _ = trained(tmp_path / "two", collection, groups, hardware, **settings)
    pairs = [("red cat", "here lives a red cat"), ("blue dog", "a blue owl")]
    np.testing.assert_allclose(one.predict(pairs), two.predict(pairs), atol=1e-3)


def test_a_loss_that_is_no_number_stops_with_its_step(tmp_path, collection, groups):
    class Broken(Loss):
        def __call__(self, scores, targets):
            return scores.sum() * float("nan")

    reranker = CrossEncoder(str(save_tiny(tmp_path / "source")), max_length=24)
    training = FineTuning(steps=2, batch_size=2, validations=1)
    with pytest.raises(RunError, match="loss must be finite, got nan at step 1. No weights were"):
        fit(
            reranker,
            [Phase("all", groups)],
            TrainingPlan(Broken(), training),
            Session(Hardware()),
            validation(collection),
            tmp_path / "out",
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"frozen_share": 1.5}, r"frozen_share must lie in \[0, 1\], got 1.5"),
        ({"easy_share": 1.0}, r"easy_share must lie in \[0, 1\), got 1.0"),
        ({"warmup_share": 1.0}, r"warmup_share must lie in \[0, 1\), got 1.0"),
        ({"batch_size": 0}, r"batch_size must lie in \[1, 65536\], got 0"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"layer_decay": 0.0}, r"layer_decay must lie in \(0, 1\], got 0.0"),
        ({"averaging": 1.5}, r"averaging must lie in \(0, 1\), got 1.5"),
        ({"precision": "fp16"}, "precision must be fp32, bf16 or null, got 'fp16'"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        FineTuning(**arguments)


def test_a_batch_that_devices_cannot_share_is_refused(tmp_path, collection, groups):
    with pytest.raises(InputError, match=r"multiple of hardware.devices=2, got 3"):
        trained(tmp_path, collection, groups, Hardware(devices=2), batch_size=3)


@pytest.mark.parametrize("shards", ["optimiser", "weights"])
def test_one_process_is_not_told_to_keep_a_part(tmp_path, collection, groups, shards):
    message = f"^hardware.shards must be nothing where fewer than two .*got '{shards}' with one$"
    with pytest.raises(InputError, match=message):
        trained(tmp_path, collection, groups, Hardware(shards=shards))
    assert not [*tmp_path.rglob("state.pt")]
    for shared in ({"devices": 2}, {"nodes": 2}):
        check_processes(Hardware(shards=shards, **shared))


def test_a_step_larger_than_all_groups_is_refused(tmp_path, collection, groups):
    message = (
        r"^training.batch_size must be at most the number of training groups \(\d+\), or 64, got"
    )
    with pytest.raises(InputError, match=message):
        trained(tmp_path, collection, groups, batch_size=max(len(groups), 64) + 1)


def test_a_loss_over_answers_is_refused_where_there_is_one_output(tmp_path, collection, groups):
    reranker = CrossEncoder(str(save_tiny(tmp_path / "source")), max_length=24)
    training = FineTuning(steps=2, batch_size=2, validations=1)
    with pytest.raises(InputError, match="AnswerLikelihood, which needs the logits of two answers"):
        fit(
            reranker,
            [Phase("all", groups)],
            TrainingPlan(AnswerLikelihood(), training),
            Session(Hardware()),
            validation(collection),
            tmp_path / "out",
        )


CLUSTERS = {
    "slurm": {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "mine", "SLURM_JOB_ID": "7"}
    | {
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS_PER_NODE": "4",
    },
    "torchelastic": {"TORCHELASTIC_RUN_ID": "7", "RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}
    | {"GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "host", "MASTER_PORT": "1"},
    "kubeflow": {"KUBERNETES_PORT": "1", "MASTER_ADDR": "host", "MASTER_PORT": "1"}
    | {"WORLD_SIZE": "4", "RANK": "0"},
    "lsf": {"LSB_JOBID": "7", "LSB_DJOB_RANKFILE": "missing", "JSM_NAMESPACE_SIZE": "4"}
    | {"JSM_NAMESPACE_LOCAL_RANK": "0", "JSM_NAMESPACE_RANK": "0"},
}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_training_does_not_mind_the_variables_of_a_cluster(
    tmp_path, collection, groups, monkeypatch, cluster
):
    for name, value in CLUSTERS[cluster].items():
        monkeypatch.setenv(name, value)
    _, took = trained(tmp_path, collection, groups, steps=2, validations=1, batch_size=2)
    assert took["steps"] == 2
