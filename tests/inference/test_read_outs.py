"""Every read-out against values computed by hand."""

from math import exp, log

import pytest
import torch

from recross.inference.read_outs import READ_OUTS, divide

NO, YES = 1.0, 3.5
TWO = torch.tensor([[NO, YES], [0.0, -2.0]])
ONE = torch.tensor([[YES], [-2.0]])


def sigmoid(value):
    return 1 / (1 + exp(-value))


@pytest.mark.parametrize(
    "name, logits, scores, learnt",
    [
        ("logit", ONE, [3.5, -2.0], [3.5, -2.0]),
        ("sigmoid", ONE, [sigmoid(3.5), sigmoid(-2)], [3.5, -2.0]),
        ("sigmoid", TWO, [sigmoid(2.5), sigmoid(-2)], [2.5, -2.0]),
        ("margin", TWO, [2.5, -2.0], [2.5, -2.0]),
        ("log_softmax", TWO, [log(sigmoid(2.5)), log(sigmoid(-2))], [2.5, -2.0]),
        ("second_logit", TWO, [3.5, -2.0], [3.5, -2.0]),
        ("expected_value", TWO, [sigmoid(2.5), sigmoid(-2)], [sigmoid(2.5), sigmoid(-2)]),
        ("head", ONE, [3.5, -2.0], [3.5, -2.0]),
    ],
)
def test_scores_and_what_is_learnt_from_are_as_computed_by_hand(name, logits, scores, learnt):
    read = READ_OUTS[name]
    assert read.score(logits).tolist() == pytest.approx(scores, rel=1e-6)
    assert read.learn(logits).tolist() == pytest.approx(learnt, rel=1e-6)


def test_more_than_two_answers_are_read_by_the_last_or_by_their_mean():
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    weights = [1, exp(1), exp(2)]
    log_softmax = log(weights[2] / sum(weights))
    mean = (weights[1] + 2 * weights[2]) / sum(weights)
    assert READ_OUTS["log_softmax"].score(logits).item() == pytest.approx(log_softmax, rel=1e-6)
    assert READ_OUTS["log_softmax"].learn(logits).item() == pytest.approx(log_softmax, rel=1e-6)
    assert READ_OUTS["expected_value"].score(logits).item() == pytest.approx(mean, rel=1e-6)


def test_a_temperature_divides_logits_before_they_are_read():
    warm = divide(READ_OUTS["sigmoid"], 5.0, rounded=False)
    assert warm.score(ONE).tolist() == pytest.approx([sigmoid(0.7), sigmoid(-0.4)], rel=1e-6)
    assert warm.learn(ONE).tolist() == pytest.approx([0.7, -0.4], rel=1e-6)
    assert divide(READ_OUTS["margin"], 1.0, rounded=False) is READ_OUTS["margin"]


def test_scores_may_be_rounded_to_bf16_and_what_is_learnt_from_is_not():
    logits = torch.tensor([[17.03], [0.5004]])
    rounded = divide(READ_OUTS["logit"], 1.0, rounded=True)
    assert rounded.score(logits).tolist() == [17.0, 0.5]  # 1/8 and 1/256 apart
    assert rounded.score(logits).dtype == torch.float32
    assert rounded.learn(logits).tolist() == logits.squeeze(-1).tolist()
