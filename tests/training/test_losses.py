"""What holds for every loss, whatever it is given."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recross.errors import InputError
from recross.training.losses.distillation import (
    DiscountedRankMSE,
    MarginMSE,
    TeacherKL,
    TeacherMSE,
)
from recross.training.losses.listwise import ListMLE, ListNet, Listwise, Poly1
from recross.training.losses.loss import ABSENT
from recross.training.losses.ndcg import ApproxNDCG, LambdaLoss
from recross.training.losses.pairwise import MarginRanking, RankNet
from recross.training.losses.pointwise import AnswerLikelihood, Pointwise
from recross.training.losses.weighted import Term, WeightedSum

LOSSES = [
    Pointwise(positive_weight=2.5),
    MarginRanking(margin=0.7),
    RankNet(sigma=1.5),
    RankNet(learns_from_teacher=True),
    Listwise(temperature=0.8),
    Poly1(weight=0.5),
    ListNet(temperature=2.0),
    ListMLE(temperature=0.6),
    LambdaLoss(mu=3.0, sigma=0.9),
    LambdaLoss(depth=2),
    ApproxNDCG(temperature=0.5),
    TeacherMSE(),
    MarginMSE(),
    TeacherKL(temperature=2.0),
    DiscountedRankMSE(temperature=0.5),
    WeightedSum({"list": Term(Listwise()), "pairs": Term(RankNet(), 0.5)}),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)
ABSOLUTE = (Pointwise, TeacherMSE)  # the score itself matters, not only the differences
TIES_MATTER = (ListMLE, DiscountedRankMSE)  # equal targets are in order as the list has them


@st.composite
def queries(draw, ties=True, most=6):
    """Scores, all different within a query, and targets: small grades, mostly."""
    size = draw(st.integers(1, most))
    number = st.integers(-40, 40).map(lambda n: n / 8)
    scores = draw(st.lists(number, min_size=size, max_size=size, unique=True))
    grades = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    targets = draw(grades) if ties else draw(st.permutations(range(size)))
    return scores, [float(target) for target in targets]


def tensors(scores, targets):
    own = torch.tensor(scores, dtype=torch.float64).view(-1, len(targets)).requires_grad_()
    return own, torch.tensor([targets], dtype=torch.float64)


def value_and_gradient(loss, scores, targets):
    value = loss(scores, targets)
    (gradient,) = torch.autograd.grad(value, scores)
    return value.detach(), gradient


@every_loss
@settings(max_examples=40)
@given(data=st.data())
def test_the_order_of_documents_does_not_matter(loss, data):
    scores, targets = tensors(*data.draw(queries(ties=not isinstance(loss, TIES_MATTER))))
    first = [0] if isinstance(loss, MarginMSE) else []  # whose first document is the positive
    shuffled = data.draw(st.permutations(range(len(first), scores.shape[1])))
    order = torch.tensor([*first, *shuffled])
    torch.testing.assert_close(loss(scores[:, order], targets[:, order]), loss(scores, targets))


@every_loss
@settings(max_examples=40)
@given(data=st.data(), padding=st.lists(st.sampled_from([0.0, 7.0, 1e30, -1e30, math.inf])))
def test_absent_places_have_no_influence_whatever_stands_there(loss, data, padding):
    values, labels = data.draw(queries())
    value, gradient = value_and_gradient(loss, *tensors(values, labels))
    longer = tensors([*values, *padding], [*labels, *(ABSENT for _ in padding)])
    long_value, long_gradient = value_and_gradient(loss, *longer)
    torch.testing.assert_close(long_value, value)
    torch.testing.assert_close(long_gradient[:, : len(values)], gradient)
    assert (long_gradient[:, len(values) :] == 0).all()


@every_loss
def test_absent_places_may_lie_anywhere_behind_the_first(loss):
    scores, targets = tensors([0.3, 99.0, -1.0, 2.0, -99.0], [2.0, ABSENT, 1.0, 3.0, ABSENT])
    short = tensors([0.3, -1.0, 2.0], [2.0, 1.0, 3.0])
    torch.testing.assert_close(loss(scores, targets), loss(*short))


@pytest.mark.parametrize("loss", [one for one in LOSSES if not isinstance(one, ABSOLUTE)], ids=str)
@settings(max_examples=40)
@given(query=queries(), shift=st.integers(-64, 64))
def test_only_differences_of_scores_matter(loss, query, shift):
    scores, targets = tensors(*query)
    torch.testing.assert_close(loss(scores + shift, targets), loss(scores, targets))


@every_loss
@settings(max_examples=40)
@given(query=queries(), scale=st.sampled_from([0.0, 1.0, 1e3, 1e6]))
def test_value_and_gradient_are_finite_and_the_value_is_not_negative(loss, query, scale):
    scores, targets = tensors(*query)
    value, gradient = value_and_gradient(
        loss, (scores.detach() * scale).float().requires_grad_(), targets.float()
    )
    assert value.isfinite()
    assert value >= -1e-6
    assert gradient.isfinite().all()


@every_loss
@settings(max_examples=40)
@given(order=st.permutations([0.0, 1.0, 2.0, 3.0]))
def test_the_perfect_ranking_costs_less_than_the_reversed_one(loss, order):
    perfect, targets = tensors([2 * target - 3 for target in order], order)
    assert loss(perfect, targets) < loss(-perfect, targets)


@every_loss
@settings(max_examples=40)
@given(one=queries(most=4), other=queries(most=4))
def test_queries_weigh_the_same(loss, one, other):
    width = max(len(one[0]), len(other[0]))
    padded = [
        (values + [9.0] * (width - len(values)), labels + [ABSENT] * (width - len(labels)))
        for values, labels in (one, other)
    ]
    scores = torch.tensor([values for values, _ in padded], dtype=torch.float64)
    targets = torch.tensor([labels for _, labels in padded], dtype=torch.float64)
    alone = [loss(*tensors(*query)) for query in (one, other)]
    torch.testing.assert_close(loss(scores, targets), sum(alone) / 2)


@every_loss
def test_an_empty_list_counts_as_zero_and_leaves_the_others_alone(loss):
    scores, targets = tensors([0.3, -1.0], [1.0, 0.0])
    with_empty = (
        torch.cat([scores, torch.tensor([[math.inf, 1e30]])]),
        torch.cat([targets, torch.full((1, 2), ABSENT)]),
    )
    value, gradient = value_and_gradient(loss, scores, targets)
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        both, gradient_of_both = value_and_gradient(
            loss, with_empty[0].detach().requires_grad_(), with_empty[1]
        )
    torch.testing.assert_close(both, value / 2)
    torch.testing.assert_close(gradient_of_both[:1], gradient / 2)
    assert (gradient_of_both[1] == 0).all()


NEEDS_A_RELEVANT_DOCUMENT = [Listwise(), Poly1(), ApproxNDCG(), LambdaLoss()]


@pytest.mark.parametrize("loss", [*NEEDS_A_RELEVANT_DOCUMENT, RankNet(), MarginRanking()], ids=str)
@pytest.mark.parametrize("labels", [[0.0, 0.0, 0.0], [0.0]])
def test_a_query_without_a_pair_or_a_relevant_document_teaches_nothing(loss, labels):
    scores, targets = tensors([0.5, -2.0, 1.0][: len(labels)], labels)
    value, gradient = value_and_gradient(loss, scores, targets)
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("loss", NEEDS_A_RELEVANT_DOCUMENT, ids=str)
def test_a_label_below_zero_gains_nothing(loss):
    scores = torch.tensor([[0.5, -2.0, 1.0]])
    spam = loss(scores, torch.tensor([[1.0, 0.0, -2.0]]))
    torch.testing.assert_close(spam, loss(scores, torch.tensor([[1.0, 0.0, 0.0]])))


def test_absent_places_have_no_influence_on_the_likelihood_of_answers():
    logits = torch.tensor([[[0.5, 2.0], [math.inf, 1e30]]], requires_grad=True)
    value, gradient = value_and_gradient(AnswerLikelihood(), logits, torch.tensor([[1.0, ABSENT]]))
    short = AnswerLikelihood()(logits[:, :1], torch.tensor([[1.0]]))
    assert value == short.detach()
    assert (gradient[0, 1] == 0).all()
    assert gradient[0, 0].abs().min() > 0
    empty = value_and_gradient(AnswerLikelihood(), logits, torch.full((1, 2), ABSENT))
    assert empty[0] == 0
    assert (empty[1] == 0).all()


def test_losses_say_what_they_learn_from():
    taught = {type(loss) for loss in LOSSES if loss.learns_from_teacher}
    assert taught == {RankNet, TeacherMSE, MarginMSE, TeacherKL, DiscountedRankMSE}
    assert not RankNet().learns_from_teacher
    assert [loss for loss in LOSSES if loss.reads_answers] == []
    assert AnswerLikelihood().reads_answers


@pytest.mark.parametrize(
    "kind, name",
    [
        (Pointwise, "positive_weight"),
        (AnswerLikelihood, "highest_label"),
        (MarginRanking, "margin"),
        (RankNet, "sigma"),
        (LambdaLoss, "sigma"),
        *((kind, "temperature") for kind in (Listwise, Poly1, ListNet, ListMLE)),
        *((kind, "temperature") for kind in (ApproxNDCG, TeacherKL, DiscountedRankMSE)),
    ],
)
@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_settings_must_be_positive(kind, name, value):
    with pytest.raises(InputError, match=f"{name} must be (positive|a finite number), got {value}"):
        kind(**{name: value})


@pytest.mark.parametrize(
    "kind, setting, message",
    [
        (Poly1, {"weight": -0.5}, "weight must not be negative, got -0.5"),
        (LambdaLoss, {"mu": -1.0}, "mu must not be negative, got -1.0"),
        (LambdaLoss, {"depth": 1}, "depth must be at least 2, got 1"),
    ],
)
def test_other_rules_of_settings(kind, setting, message):
    with pytest.raises(InputError, match=message):
        kind(**setting)
