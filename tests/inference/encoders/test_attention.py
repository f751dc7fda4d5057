import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.encoders.attention import attend_all, group_by_group, one_by_one

HEADS, SIZE = 3, 4


def projected(groups, seed=0):
    tokens = sum(count * length for count, length in groups)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, 3 * HEADS * SIZE, generator=generator) * 3


def by_definition(rows, groups):
    """Softmax of scaled products, token by token and head by head."""
    query, key, value = rows.double().view(len(rows), 3, HEADS, SIZE).unbind(1)
    out, start = torch.empty(len(rows), HEADS, SIZE, dtype=torch.float64), 0
    for length in [length for count, length in groups for _ in range(count)]:
        for token in range(start, start + length):
            for head in range(HEADS):
                products = key[start : start + length, head] @ query[token, head]
                weights = torch.softmax(products / SIZE**0.5, 0)
                out[token, head] = weights @ value[start : start + length, head]
        start += length
    return out.view(len(rows), -1).float()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6)), min_size=1, max_size=4))
def test_both_ways_attend_as_the_definition_says_within_each_sequence(groups):
    rows = projected(groups)
    expected = by_definition(rows, groups)
    torch.testing.assert_close(one_by_one(rows, HEADS, groups), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(group_by_group(rows, HEADS, groups), expected, atol=1e-4, rtol=0)


def test_large_products_do_not_overflow():
    rows = projected([(2, 5)]) * 100  # products in the ten thousands; exp overflows at 89
    torch.testing.assert_close(
        one_by_one(rows, HEADS, [(2, 5)]), group_by_group(rows, HEADS, [(2, 5)]), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_and_half_precision_go_through_the_fused_kernel(dtype):
    rows = projected([(2, 3)]).to(dtype).requires_grad_()
    attend_all(rows, HEADS, [(2, 3)], 0.0).sum().backward()
    assert rows.grad is not None
    with torch.no_grad():
        assert attend_all(rows.detach(), HEADS, [(2, 3)], 0.0).dtype == dtype
