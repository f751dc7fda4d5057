"""Each network overfits twenty groups: a wrong loss or a wrong read-out would not."""

import pytest
import torch

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.late_contract import LateInteractionContract
from recross.collections.collection import Collection
from recross.evaluation.measures import evaluate
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.rerankers.causal import CausalReranker
from recross.rerankers.comparing.duo import DuoBERT, DuoT5
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.store import Store
from recross.training.data.groups import make_groups
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise, Poly1
from recross.training.losses.pointwise import AnswerLikelihood, Pointwise
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5, toy_collection

COLBERT = LateInteractionContract("tiny", query_length=8, document_length=16, dimension=32)
YES_NO = PromptContract(
    "yes-no", "{query} : {document}", "log_softmax", ("no", "yes"), add_eos=False, max_length=64
)
HEAD = PromptContract("head", "{query} : {document}", "head", max_length=64)


def t5(folder, contract, **more):
    kind = "encoder" if contract == "rankt5-encoder" else "t5"
    return T5Reranker(str(save_tiny_t5(folder, kind)), contract=contract, **more)


NETWORKS = {
    "bert": lambda f: CrossEncoder(str(save_tiny(f)), fresh_head=True, max_length=32),
    "bert-span-cosine": lambda f: CrossEncoder(
        str(save_tiny(f)), fresh_head=True, head="span_cosine", max_length=32
    ),
    "bert-two-classes": lambda f: CrossEncoder(
        str(save_tiny(f, labels=2)), contract="nboost-bert-base", max_length=32
    ),
    "monot5": lambda f: t5(f, "monot5"),
    "rankt5": lambda f: t5(f, "rankt5"),
    "rankt5-encoder": lambda f: t5(f, "rankt5-encoder"),
    "t5-digits": lambda f: t5(f, "t5-digits"),
    "duot5": lambda f: DuoT5(str(save_tiny_t5(f)), contract="duot5", depth=5),
    "duot5-named": lambda f: DuoT5(str(save_tiny_t5(f)), contract="duot5-named", depth=5),
    "duobert": lambda f: DuoBERT(str(save_tiny(f)), fresh_head=True, max_length=60, depth=5),
    "colbert": lambda f: LateInteraction(
        str(save_tiny(f)), contract=COLBERT, fresh_head=True, vectors="none"
    ),
    "yes-no": lambda f: CausalReranker(str(save_tiny_llama(f)), contract=YES_NO),
    "head": lambda f: CausalReranker(str(save_tiny_llama(f, head=True)), contract=HEAD),
}
RECIPES = [
    ("bert", Pointwise()),
    ("bert", Listwise()),
    ("bert-span-cosine", Listwise()),
    ("bert-two-classes", AnswerLikelihood()),
    ("monot5", AnswerLikelihood()),
    ("monot5", Listwise()),
    ("rankt5", Listwise()),
    ("rankt5", Poly1()),
    ("rankt5-encoder", Listwise()),
    ("t5-digits", AnswerLikelihood()),
    ("t5-digits", Listwise(temperature=0.3)),
    ("duot5", AnswerLikelihood()),
    ("duot5-named", Pointwise()),
    ("duobert", Pointwise()),
    ("colbert", Listwise(temperature=0.1)),
    ("colbert", Pointwise()),
    ("yes-no", AnswerLikelihood()),
    ("head", Listwise()),
]


def twenty_groups() -> tuple[Collection, Run]:
    collection = toy_collection()
    return collection, RandomOrder(3).retrieve(collection, collection.query_ids("train")[:20], 30)


def overfitted(reranker, loss, folder, steps=120, batch_size=10, hardware=Hardware()):
    collection, candidates = twenty_groups()
    queries = list(candidates.rankings)
    qrels = {query_id: collection.qrels("train")[query_id] for query_id in queries}
    small = Collection(
        "twenty",
        collection.documents,
        collection.queries,
        {"train": tuple(queries)},
        {"train": qrels},
        "twenty",
    )
    mined = RankWindow(RandomOrder(3), 30).mine(small, "train", Store(folder / "store"))
    groups = make_groups(mined, small, "train", 4, seed=0)
    lists = {group.query_id: dict.fromkeys(group.doc_ids, 0.0) for group in groups.groups}
    validation = Validation(Run.from_scores("lists", lists), small, qrels, "MRR@10")
    training = FineTuning(
        steps=steps,
        batch_size=batch_size,
        negatives_per_positive=4,
        learning_rate=3e-3,
        validations=steps // 30,
        dropout=0.0,
    )
    took = fit(
        reranker,
        [Phase("all", groups)],
        TrainingPlan(loss, training),
        Session(hardware),
        validation,
        folder / "out",
    )
    trained = reranker.trained(folder / "out")
    found = evaluate(trained.rerank(validation.candidates, small), qrels, ["MRR@10"])
    assert found.mean["MRR@10"] == pytest.approx(took["best dev MRR@10"], abs=1e-6)
    return found.mean["MRR@10"]


QUICK = [("bert", Listwise()), ("rankt5", Listwise()), ("yes-no", AnswerLikelihood())]


@pytest.mark.parametrize(
    "name, loss",
    [
        pytest.param(*one, id=f"{one[0]}-{type(one[1]).__name__}", marks=marks)
        for one in RECIPES
        for marks in [() if one in QUICK else pytest.mark.ci]
    ],
)
def test_it_overfits_twenty_groups(tmp_path, name, loss):
    torch.manual_seed(0)
    plan = (300, 8) if name.startswith("duo") else (120, 10)  # comparing takes longer to learn
    assert overfitted(NETWORKS[name](tmp_path / "source"), loss, tmp_path, *plan) == 1.0
