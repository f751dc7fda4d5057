"""A step as training takes it, without a trainer: its learner, losses, and what it learns from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recross.inference.network import Network
from recross.inference.texts.collection_texts import CollectionTexts
from recross.records import TrainingGroup
from recross.training.data.in_batch import find_relevant, gather_texts, learns_across
from recross.training.data.micro_batches import micro_batches
from recross.training.losses.distillation import (
    DiscountedRankMSE,
    MarginMSE,
    TeacherKL,
    TeacherMSE,
)
from recross.training.losses.listwise import ListMLE, ListNet, Listwise, Poly1
from recross.training.losses.loss import Loss
from recross.training.losses.ndcg import ApproxNDCG, LambdaLoss
from recross.training.losses.pairwise import MarginRanking, RankNet
from recross.training.losses.pointwise import AnswerLikelihood, Pointwise
from recross.training.losses.weighted import Term, WeightedSum
from recross.training.steps.across_groups import AcrossGroups
from recross.training.steps.step import Step
from recross.training.steps.within_groups import WithinGroups
from tests.conftest import toy_collection

LOSSES: Sequence[Loss] = (
    *(Pointwise(), MarginRanking(), RankNet(), RankNet(learns_from_teacher=True)),
    *(Listwise(), Poly1(), ListNet(), ListMLE(), LambdaLoss(), ApproxNDCG()),
    *(TeacherMSE(), MarginMSE(), TeacherKL(), DiscountedRankMSE()),
    WeightedSum({"labels": Term(Listwise()), "teacher": Term(TeacherMSE(), 0.5)}),
)
"""Every loss over scores; ``AnswerLikelihood`` is over answers."""

GROUPS = [
    TrainingGroup(
        f"q{first}",
        tuple(f"d{first + n}" for n in range(count)),
        (1.0, *(0.0 for _ in range(count - 1))),
        teacher_scores=tuple(4.0 - n for n in range(count)),
        first_stage_scores=tuple(0.5 * n for n in range(count)),
    )
    for first, count in ((3, 4), (8, 3), (20, 5), (33, 4))
]


def loss_for(network: Network, loss: Loss) -> Loss:
    """What a network of several answers may learn by instead."""
    return AnswerLikelihood() if network.answer_count > 1 else loss


class OneProcess:
    """The only process of a training."""

    count, rank, is_first, device = 1, 0, True, torch.device("cpu")

    def share(self, items: int) -> range:
        return range(items)

    def add_up(self, values: Tensor) -> Tensor:
        return values

    def count_passes(self, own: int) -> int:
        return own


class Learner:
    """Gradients as they come."""

    first_stage_weight = 0.1

    def __init__(self, network: Network, loss: Loss, device: str = "cpu") -> None:
        self.network, self.loss, self.processes = network, loss, OneProcess()
        self.processes.device = torch.device(device)

    def seed_dropout(self, part_of_step: str = "") -> None:
        torch.manual_seed(len(part_of_step))

    def compute(self, function: Callable[..., Tensor], *inputs: object) -> Tensor:
        return function(*inputs)

    def add_gradients(self, value: Tensor, *, is_last: bool) -> None:
        value.backward()


def step_of(network: Network, budget: int = 200) -> Step:
    """A step of a few groups, in more than one micro-batch or chunk."""
    texts = CollectionTexts(toy_collection())
    if learns_across(network):
        relevant = find_relevant(GROUPS)
        return AcrossGroups(gather_texts(GROUPS, texts, network, budget // 4, relevant=relevant))
    return WithinGroups([*micro_batches(GROUPS, texts, network, budget)])
