import math

import pytest
import torch

from recross.errors import InputError
from recross.training.losses import ABSENT, AnswerLikelihood, Listwise, Pointwise, Poly1

LOSSES = [Pointwise(), Listwise()]


@pytest.mark.parametrize("loss", LOSSES)
def test_an_undecided_network_pays_log_two(loss):
    scores, labels = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    assert loss(scores, labels).item() == pytest.approx(math.log(2))


def test_pointwise_by_hand():
    scores, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, 0.0, 0.0]])
    each = [math.log1p(math.exp(-2.0)), math.log1p(math.exp(-1.0)), math.log1p(math.exp(0.5))]
    assert Pointwise()(scores, labels).item() == pytest.approx(sum(each) / 3)
    weighted = (3 * each[0] + each[1] + each[2]) / 5
    assert Pointwise(positive_weight=3)(scores, labels).item() == pytest.approx(weighted)


def test_listwise_by_hand_with_two_positives_and_a_temperature():
    scores, labels = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[3.0, 0.0, 1.0]])
    total = sum(math.exp(value / 2) for value in (2.0, 1.0, 0.0))
    expected = -(0.75 * (1.0 - math.log(total)) + 0.25 * (0.0 - math.log(total)))
    assert Listwise(temperature=2)(scores, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_absent_places_change_neither_the_loss_nor_the_gradient(loss):
    scores = torch.tensor([[0.3, -1.0]], requires_grad=True)
    longer = torch.tensor([[0.3, -1.0, 7.0]], requires_grad=True)
    short = loss(scores, torch.tensor([[0.0, 1.0]]))
    long = loss(longer, torch.tensor([[0.0, 1.0, ABSENT]]))
    torch.testing.assert_close(short, long)
    short.backward()
    long.backward()
    torch.testing.assert_close(longer.grad[:, :2], scores.grad)
    assert longer.grad[0, 2] == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_documents_does_not_matter(loss):
    scores, labels = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    shuffle = torch.tensor([2, 0, 1])
    torch.testing.assert_close(loss(scores[:, shuffle], labels[:, shuffle]), loss(scores, labels))


@pytest.mark.parametrize("loss", LOSSES)
def test_queries_weigh_the_same(loss):
    one = loss(torch.tensor([[0.3, -1.0]]), torch.tensor([[0.0, 1.0]]))
    two = loss(torch.tensor([[2.0, 0.1]]), torch.tensor([[1.0, 0.0]]))
    both = loss(torch.tensor([[0.3, -1.0], [2.0, 0.1]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(both, (one + two) / 2)


def test_settings_must_be_positive():
    with pytest.raises(InputError, match="temperature must be positive, got 0"):
        Listwise(temperature=0)
    with pytest.raises(InputError, match="positive_weight must be positive, got -1"):
        Pointwise(positive_weight=-1)


def test_poly1_by_hand_adds_what_the_target_misses():
    scores, labels = torch.tensor([[2.0, 1.0, 9.0]]), torch.tensor([[1.0, 0.0, ABSENT]])
    share = math.exp(2.0) / (math.exp(2.0) + math.exp(1.0))
    expected = -math.log(share) + 0.5 * (1 - share)
    assert Poly1(weight=0.5)(scores, labels).item() == pytest.approx(expected)
    assert Poly1(weight=0)(scores, labels).item() == Listwise()(scores, labels).item()


def test_the_answers_likelihood_with_two_answers_is_the_binary_cross_entropy_of_their_margin():
    logits = torch.tensor([[[0.5, 2.0], [1.0, -1.0], [7.0, 7.0]]])
    labels = torch.tensor([[1.0, 0.0, ABSENT]])
    margins = logits[..., 1] - logits[..., 0]
    expected = Pointwise()(margins, labels).item()
    assert AnswerLikelihood()(logits, labels).item() == pytest.approx(expected)


def test_a_graded_label_wants_the_nearest_of_ten_answers():
    logits = torch.zeros(1, 3, 10)
    logits[0, 0, 9] = logits[0, 1, 6] = logits[0, 2, 0] = 50.0
    labels = torch.tensor([[3.0, 2.0, 0.0]])  # of 3: answers 9, 6, 0
    assert AnswerLikelihood(highest_label=3)(logits, labels).item() == pytest.approx(0, abs=1e-6)
    assert AnswerLikelihood(highest_label=4)(logits, labels).item() > 10
