"""A network from the one it started from and a small difference."""

import pytest
import torch

from recross.checkpoints.delta import Delta
from recross.errors import InputError


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def base():
    return {"a": draw(8, 6), "b": draw(6, 4, seed=1), "norm": draw(6, seed=2), "unused": draw(9)}


@pytest.fixture
def trained(base):
    rank_one = torch.outer(draw(8, seed=3), draw(6, seed=4))
    rank_two = sum(torch.outer(draw(6, seed=n), draw(4, seed=n + 9)) for n in (5, 6))
    return {
        "a": base["a"] + rank_one,
        "b": base["b"] + 0.1 * rank_two,
        "norm": base["norm"] + 1,
        "head": draw(1, 6, seed=7),
    }


def size_of(delta):
    return sum(tensor.numel() * tensor.element_size() for tensor in delta.tensors.values())


def test_a_difference_of_low_rank_is_kept_as_it_is(base, trained):
    delta = Delta.between(base, trained, 10_000)
    made = delta.add_to(base, trained)
    assert delta.kept == pytest.approx(1)
    assert made.keys() == trained.keys()
    for name, weight in trained.items():
        torch.testing.assert_close(made[name], weight, atol=4e-3, rtol=2e-3)  # half precision
    assert torch.equal(made["head"], trained["head"])
    assert torch.equal(made["norm"], base["norm"] + delta.tensors["norm.added"])


def test_with_few_bytes_the_triplets_that_explain_most_are_kept(base, trained):
    whole = 4 * (6 + 6)  # norm and head, in single precision
    delta = Delta.between(base, trained, whole + 2 * (8 + 6) + 5)
    assert delta.tensors["a.left"].shape == (8, 1)
    assert delta.tensors["b.left"].shape == (6, 0)
    assert size_of(delta) <= whole + 2 * (8 + 6) + 5
    first = float(torch.linalg.svdvals(trained["a"] - base["a"])[0] ** 2)
    every = first + float(torch.linalg.svdvals(trained["b"] - base["b"]).square().sum())
    assert delta.kept == pytest.approx(first / every, rel=1e-4)


@pytest.mark.parametrize("most_bytes", [48, 100, 150, 1000])
def test_no_more_bytes_than_asked(base, trained, most_bytes):
    assert size_of(Delta.between(base, trained, most_bytes)) <= most_bytes


def test_what_did_not_change_takes_no_bytes(base):
    delta = Delta.between(base, {"a": base["a"], "norm": base["norm"]}, 0)
    assert not delta.tensors
    assert torch.equal(delta.add_to(base, ["a"])["a"], base["a"])


def test_what_cannot_be_reduced_must_fit(base, trained):
    with pytest.raises(InputError, match=r"most_bytes must hold .* \(48\), got 47"):
        Delta.between(base, trained, 47)


def test_another_shape_is_refused(base):
    with pytest.raises(InputError, match=r"'a' must be \(8, 6\).*got \(6, 8\)"):
        Delta.between(base, {"a": base["a"].T}, 1000)


def test_a_weight_that_nobody_has_is_refused(base):
    with pytest.raises(InputError, match="base must hold the weight 'here'"):
        Delta({}).add_to(base, ["here"])
