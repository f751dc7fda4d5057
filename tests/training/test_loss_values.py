"""Losses by hand, against loops over documents and pairs, and against published programs."""

import math

import pytest
import torch
from hypothesis import given
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


def of(loss, scores, targets):
    return loss(torch.tensor([scores]), torch.tensor([targets])).item()


def near(value):
    return pytest.approx(value, rel=1e-5, abs=1e-6)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("loss", [Pointwise(), Listwise(), RankNet(), ListMLE()])
def test_an_undecided_network_pays_log_two(loss):
    assert of(loss, [0.0, 0.0], [1.0, 0.0]) == near(math.log(2))


def test_pointwise_by_hand():
    scores, labels = [2.0, -1.0, 0.5], [1.0, 0.0, 0.0]
    each = [math.log1p(math.exp(-2.0)), math.log1p(math.exp(-1.0)), math.log1p(math.exp(0.5))]
    assert of(Pointwise(), scores, labels) == near(sum(each) / 3)
    weighted = (3 * each[0] + each[1] + each[2]) / 5
    assert of(Pointwise(positive_weight=3), scores, labels) == near(weighted)


def test_the_answers_likelihood_with_two_answers_is_the_binary_cross_entropy_of_their_margin():
    logits = torch.tensor([[[0.5, 2.0], [1.0, -1.0], [7.0, 7.0]]])
    labels = torch.tensor([[1.0, 0.0, ABSENT]])
    margins = logits[..., 1] - logits[..., 0]
    expected = Pointwise()(margins, labels).item()
    assert AnswerLikelihood()(logits, labels).item() == near(expected)
    by_hand = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-2.0))) / 2
    assert expected == near(by_hand)


def test_a_graded_label_wants_the_nearest_of_ten_answers():
    logits = torch.zeros(1, 3, 10)
    logits[0, 0, 9] = logits[0, 1, 6] = logits[0, 2, 0] = 50.0
    labels = torch.tensor([[3.0, 2.0, 0.0]])  # of 3: answers 9, 6, 0
    assert AnswerLikelihood(highest_label=3)(logits, labels).item() == near(0)
    assert AnswerLikelihood(highest_label=4)(logits, labels).item() > 10


def test_margin_ranking_by_hand_bites_where_the_lead_is_short():
    # Leads of the pairs in labels' order: 2 over 0.5, 2 over 1.5, 0.5 over 1.5.
    scores, labels = [2.0, 0.5, 1.5], [2.0, 1.0, 0.0]
    assert of(MarginRanking(margin=1.0), scores, labels) == near((0 + 0.5 + 2.0) / 3)
    assert of(MarginRanking(margin=2.0), scores, labels) == near((0.5 + 1.5 + 3.0) / 3)


def test_ranknet_by_hand_leaves_out_pairs_of_equal_labels():
    scores, labels = [2.0, 0.5, 1.5], [1.0, 0.0, 0.0]
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-0.5))) / 2
    assert of(RankNet(), scores, labels) == near(expected)
    steep = (math.log1p(math.exp(-3.0)) + math.log1p(math.exp(-1.0))) / 2
    assert of(RankNet(sigma=2.0), scores, labels) == near(steep)


def test_distilled_ranknet_sees_the_teachers_order_and_not_its_distances():
    loss = RankNet(learns_from_teacher=True)
    near_ones, far_ones = [0.1, 0.2, 0.0], [1.0, 80.0, -30.0]
    assert of(loss, [0.5, 1.0, 2.0], near_ones) == of(loss, [0.5, 1.0, 2.0], far_ones)


def test_listwise_by_hand_with_two_positives_and_a_temperature():
    total = sum(math.exp(value / 2) for value in (2.0, 1.0, 0.0))
    expected = -(0.75 * (1.0 - math.log(total)) + 0.25 * (0.0 - math.log(total)))
    assert of(Listwise(temperature=2), [2.0, 1.0, 0.0], [3.0, 0.0, 1.0]) == near(expected)


def test_poly1_by_hand_adds_what_the_target_misses():
    scores, labels = [2.0, 1.0, 9.0], [1.0, 0.0, ABSENT]
    share = math.exp(2.0) / (math.exp(2.0) + math.exp(1.0))
    assert of(Poly1(weight=0.5), scores, labels) == near(-math.log(share) + 0.5 * (1 - share))
    assert of(Poly1(weight=0), scores, labels) == of(Listwise(), scores, labels)


def test_listnet_by_hand_spreads_the_target_by_a_softmax_of_the_labels():
    wanted = math.e / (math.e + 1)
    own = math.exp(2.0) / (math.exp(2.0) + math.exp(0.5))
    expected = -wanted * math.log(own) - (1 - wanted) * math.log(1 - own)
    assert of(ListNet(), [2.0, 0.5], [1.0, 0.0]) == near(expected)


def test_listmle_by_hand_is_the_likelihood_of_drawing_the_labels_order():
    # The order by labels is 2, 0, 1: 1.0 of all three, then 2.0 of two, then the last one.
    a, b, c = math.exp(2.0), math.exp(0.5), math.exp(1.0)
    expected = -math.log(c / (a + b + c)) - math.log(a / (a + b))
    assert of(ListMLE(), [2.0, 0.5, 1.0], [1.0, 0.0, 2.0]) == near(expected)


def test_listmle_takes_equal_labels_in_the_order_of_the_list():
    scores = [2.0, 0.5, 1.0]
    expected = of(ListMLE(), scores, [2.0, 1.0, 0.0])
    assert of(ListMLE(), scores, [1.0, 0.0, 0.0]) == expected
    assert of(ListMLE(), [2.0, 1.0, 0.5], [1.0, 0.0, 0.0]) != near(expected)


def test_teacher_mse_by_hand():
    assert of(TeacherMSE(), [2.0, 0.5, 7.0], [1.0, -1.0, ABSENT]) == near((1 + 2.25) / 2)


def test_margin_mse_by_hand_takes_the_first_document_as_the_positive():
    # Margins 1.5 and 3 of the network, 2 and -1 of the teacher.
    assert of(MarginMSE(), [2.0, 0.5, -1.0], [5.0, 3.0, 6.0]) == near((0.25 + 16) / 2)
    assert of(MarginMSE(), [2.0, 0.5], [12.0, 10.5]) == near(0)
    assert of(MarginMSE(), [2.0, 0.5, 1.0], [ABSENT, 3.0, 6.0]) == 0


def test_teacher_kl_by_hand_and_zero_where_the_lists_agree():
    wanted, own = sigmoid(3.0 / 2), sigmoid(-1.0 / 2)  # margins 3 and -1 at temperature 2
    expected = wanted * math.log(wanted / own) + (1 - wanted) * math.log((1 - wanted) / (1 - own))
    assert of(TeacherKL(temperature=2.0), [0.0, 1.0], [4.0, 1.0]) == near(expected)
    assert of(TeacherKL(), [0.0, 1.0, 5.0], [3.0, 4.0, 8.0]) == near(0)


def test_lambda_loss_by_hand_for_two_documents():
    # The relevant one is second: gain 1, ideal DCG 1, ranks 2 and 1.
    drop = 1 - 1 / math.log2(3)  # of the discount, from the first rank to the second
    bits = math.log2(1 + math.exp(0.5))
    assert of(LambdaLoss(mu=4.0), [0.0, 0.5], [1.0, 0.0]) == near((drop + 4 * drop) * bits)
    assert of(LambdaLoss(mu=0.0), [0.0, 0.5], [1.0, 0.0]) == near(drop * bits)


def test_approx_ndcg_by_hand_for_two_documents():
    rank = 1 + sigmoid(0.5)
    assert of(ApproxNDCG(), [0.0, 0.5], [1.0, 0.0]) == near(1 - 1 / math.log2(1 + rank))
    assert of(ApproxNDCG(temperature=0.01), [0.0, 0.5], [1.0, 0.0]) == near(1 - 1 / math.log2(3))


def test_adr_mse_by_hand_for_two_documents():
    first, second = 1 + sigmoid(0.5), 1 + sigmoid(-0.5)
    expected = ((first - 1) ** 2 + (second - 2) ** 2 / math.log2(3)) / 2
    assert of(DiscountedRankMSE(), [0.0, 0.5], [7.0, 3.0]) == near(expected)


# Values of the programs themselves, on these lists; the last place of the first one is empty.
SCORES = [[0.5, 2.0, -1.0, 1.25, 99.0], [0.1, -0.3, 0.7, 1.9, -2.5]]
LABELS = [[1.0, 0.0, 3.0, 2.0, ABSENT], [0.0, 2.0, 0.0, 1.0, 1.0]]
ORDER = [[1.0, 0.0, 3.0, 2.0, ABSENT], [0.0, 2.0, 4.0, 1.0, 3.0]]  # no ties, for ListMLE


@pytest.mark.parametrize(
    "loss, labels, expected",
    [
        (LambdaLoss(), LABELS, (15.267433 + 10.838529) / 2),
        (LambdaLoss(depth=3), LABELS, (3.0537400 + 0.4699574) / 2),
        (LambdaLoss(mu=2.5, sigma=0.7), LABELS, (4.4857841 + 3.3949633) / 2),
        (ApproxNDCG(), LABELS, 1 - 0.6054956),  # theirs is the negative of nDCG
        (ApproxNDCG(temperature=0.1), LABELS, 1 - 0.6124560),
        (ListMLE(), ORDER, 7.7249727),
        (ListNet(), LABELS, 2.6830366),
        (RankNet(), LABELS, (1.7208937 + 1.3705376) / 2),  # their mean is over a batch's pairs
    ],
    ids=str,
)
def test_values_are_those_of_allrank_1_4_3(loss, labels, expected):
    assert loss(torch.tensor(SCORES), torch.tensor(labels)).item() == near(expected)


@pytest.mark.parametrize(
    "loss, expected",
    [
        (DiscountedRankMSE(), 2.4488666),
        (DiscountedRankMSE(temperature=0.25), 3.1834311),
        (TeacherKL(), 2.9657018),
        (RankNet(learns_from_teacher=True), 1.7208937),
    ],
    ids=str,
)
def test_values_are_those_of_lightning_ir_0_0_6(loss, expected):
    assert of(loss, SCORES[0][:4], [0.3, -2.0, 4.0, 1.5]) == near(expected)


def lists_of(values):
    return st.integers(1, 6).flatmap(
        lambda size: st.tuples(
            st.lists(
                st.integers(-40, 40).map(lambda n: n / 8),
                min_size=size,
                max_size=size,
                unique=True,
            ),
            st.lists(values, min_size=size, max_size=size),
        )
    )


graded = lists_of(st.integers(0, 3).map(float))
taught = lists_of(st.integers(-40, 40).map(lambda n: n / 4))


def pairs_in_order(targets):
    places = range(len(targets))
    return [(i, j) for i in places for j in places if targets[i] > targets[j]]


def order_by(values):
    """Places, best first; equal values as the list has them."""
    return sorted(range(len(values)), key=lambda place: -values[place])


def mean(values):
    return sum(values) / len(values) if values else 0.0


@given(graded)
def test_pairwise_losses_equal_a_loop_over_pairs(query):
    scores, labels = query
    leads = [scores[i] - scores[j] for i, j in pairs_in_order(labels)]
    logistic = mean([math.log1p(math.exp(-1.5 * lead)) for lead in leads])
    assert of(RankNet(sigma=1.5), scores, labels) == near(logistic)
    hinge = mean([max(0.0, 0.7 - lead) for lead in leads])
    assert of(MarginRanking(margin=0.7), scores, labels) == near(hinge)


@given(graded, st.sampled_from([None, 2, 3, 4]))
def test_lambda_loss_equals_a_loop_over_pairs_of_the_ranking(query, depth):
    scores, labels = query
    ranking = order_by(scores)[:depth]
    best = sorted(labels, reverse=True)[:depth]
    ideal = sum((2**y - 1) / math.log2(r + 2) for r, y in enumerate(best))
    expected = 0.0
    for a, i in enumerate(ranking, start=1):
        for b, j in enumerate(ranking, start=1):
            if labels[i] > labels[j]:
                gap = abs(a - b)
                exchange = abs(1 / math.log2(1 + a) - 1 / math.log2(1 + b))
                bound = 1 / math.log2(1 + gap) - 1 / math.log2(2 + gap)
                worth = abs(2 ** labels[i] - 2 ** labels[j]) / ideal * (exchange + 3.0 * bound)
                expected -= worth * math.log2(sigmoid(0.9 * (scores[i] - scores[j])))
    assert of(LambdaLoss(mu=3.0, sigma=0.9, depth=depth), scores, labels) == near(expected)


def soft_rank(scores, place, temperature):
    others = [score for at, score in enumerate(scores) if at != place]
    return 1 + sum(sigmoid((other - scores[place]) / temperature) for other in others)


@given(graded)
def test_approx_ndcg_equals_a_loop_over_documents(query):
    scores, labels = query
    ideal = sum((2**y - 1) / math.log2(r + 2) for r, y in enumerate(sorted(labels, reverse=True)))
    found = sum(
        (2**label - 1) / math.log2(1 + soft_rank(scores, place, 0.5))
        for place, label in enumerate(labels)
    )
    assert of(ApproxNDCG(0.5), scores, labels) == near(1 - found / ideal if ideal else 0.0)


@given(taught)
def test_adr_mse_equals_a_loop_over_the_teachers_ranking(query):
    scores, teacher = query
    each = [
        (soft_rank(scores, place, 0.5) - rank) ** 2 / math.log2(1 + rank)
        for rank, place in enumerate(order_by(teacher), start=1)
    ]
    assert of(DiscountedRankMSE(0.5), scores, teacher) == near(mean(each))


@given(graded)
def test_listmle_equals_drawing_one_document_after_another(query):
    scores, labels = query
    left, expected = order_by(labels), 0.0
    while left:
        expected += math.log(sum(math.exp(scores[place]) for place in left)) - scores[left.pop(0)]
    assert of(ListMLE(), scores, labels) == near(expected)


def softmax(values):
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


@given(graded)
def test_losses_over_softmaxes_equal_a_loop_over_documents(query):
    scores, labels = query
    own, gains = softmax(scores), sum(labels)
    wanted = [label / gains if gains else 0.0 for label in labels]
    listwise = -sum(w * math.log(p) for w, p in zip(wanted, own, strict=True))
    assert of(Listwise(), scores, labels) == near(listwise)
    missed = sum(w * (1 - p) for w, p in zip(wanted, own, strict=True))
    assert of(Poly1(weight=0.5), scores, labels) == near(listwise + 0.5 * missed)
    listnet = -sum(w * math.log(p) for w, p in zip(softmax(labels), own, strict=True))
    assert of(ListNet(), scores, labels) == near(listnet)


@given(taught)
def test_losses_to_the_teachers_scores_equal_a_loop_over_documents(query):
    scores, teacher = query
    pairs = list(zip(scores, teacher, strict=True))
    assert of(TeacherMSE(), scores, teacher) == near(mean([(s - t) ** 2 for s, t in pairs]))
    margins = [((scores[0] - s) - (teacher[0] - t)) ** 2 for s, t in pairs[1:]]
    assert of(MarginMSE(), scores, teacher) == near(mean(margins))
    own, wanted = softmax([s / 2 for s in scores]), softmax([t / 2 for t in teacher])
    divergence = sum(w * math.log(w / p) for w, p in zip(wanted, own, strict=True))
    assert of(TeacherKL(2.0), scores, teacher) == near(divergence)


@given(taught)
def test_a_sum_gives_each_term_the_targets_it_learns_from(query):
    scores, teacher = query
    labels = [1.0] + [0.0] * (len(scores) - 1)
    terms = {"labels": Term(Listwise(), 0.5), "teacher": Term(TeacherKL(2.0, 0.5), 3.0)}
    both = WeightedSum(terms)
    assert both.learns_from_teacher
    wanted = softmax([t / 0.5 for t in teacher])
    own = softmax([s / 2 for s in scores])
    divergence = sum(w * math.log(w / p) for w, p in zip(wanted, own, strict=True) if w)
    expected = 0.5 * -math.log(softmax(scores)[0]) + 3.0 * divergence
    found = both.of(*(torch.tensor([v], dtype=torch.float64) for v in (scores, labels, teacher)))
    assert float(found) == near(expected)


def test_terms_that_cannot_be_added_up_are_refused():
    with pytest.raises(InputError, match="terms must hold at least one loss, got none"):
        WeightedSum({})
    with pytest.raises(InputError, match="without terms of its own, got a WeightedSum"):
        Term(WeightedSum({"one": Term(Listwise())}))
    with pytest.raises(InputError, match="must be one over scores.* got AnswerLikelihood"):
        Term(AnswerLikelihood())
    with pytest.raises(InputError, match="weight must be positive, got 0.0"):
        Term(Listwise(), 0.0)
