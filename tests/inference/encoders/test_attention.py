import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.encoders import attention as attention_module
from recross.inference.encoders import packed_attention
from recross.inference.encoders.attention import (
    Attention,
    Placement,
    attend_all,
    attend_first,
    attend_plainly,
    group_by_group,
)
from recross.inference.encoders.blocks import lay_out_blocks
from recross.inference.encoders.one_by_one import attend_one_by_one
from recross.inference.encoders.rotary import Rotary
from recross.inference.layout import Layout
from tests.slow_attention import attend_slowly, layout_of

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
    torch.testing.assert_close(attend_one_by_one(rows, HEADS, groups), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        group_by_group(rows, Attention(HEADS, layout_of(groups))), expected, atol=1e-4, rtol=0
    )


def test_large_products_do_not_overflow():
    rows = projected([(2, 5)]) * 100  # products in the ten thousands; exp overflows at 89
    torch.testing.assert_close(
        attend_one_by_one(rows, HEADS, [(2, 5)]),
        group_by_group(rows, Attention(HEADS, layout_of([(2, 5)]))),
        atol=1e-3,
        rtol=0,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_and_half_precision_go_through_the_fused_kernel(dtype):
    rows = projected([(2, 3)]).to(dtype).requires_grad_()
    attend_all(rows, Attention(HEADS, layout_of([(2, 3)]))).sum().backward()
    assert rows.grad is not None
    with torch.no_grad():
        assert attend_all(rows.detach(), Attention(HEADS, layout_of([(2, 3)]))).dtype == dtype


@pytest.mark.parametrize("biased", [False, True])
def test_plain_attention_has_the_gradients_of_the_fused_kernel(biased):
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(3, HEADS, 7, SIZE, generator=draw) for _ in range(3))
    bias = torch.randn(1, HEADS, 7, 7, generator=draw) if biased else None
    found = []
    for attend in (attend_plainly, torch.nn.functional.scaled_dot_product_attention):
        parts = [part.clone().requires_grad_() for part in (query, key, value)]
        out = attend(*parts, bias, 0.0, scale=0.3)
        (out * torch.arange(7.0)[:, None]).sum().backward()
        found.append([out.detach(), *(part.grad for part in parts)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_what_learns_in_bf16_on_a_processor_attends_plainly(monkeypatch):
    calls = []
    plainly = attention_module.attend_plainly
    monkeypatch.setattr(
        attention_module, "attend_plainly", lambda *parts: calls.append(1) or plainly(*parts)
    )
    groups = [(2, 3)]
    for dtype, learns in ((torch.bfloat16, True), (torch.bfloat16, False), (torch.float32, True)):
        rows = projected(groups).to(dtype).requires_grad_(learns)
        out = attend_all(rows, Attention(HEADS, layout_of(groups)))
        expected = attend_all(rows.detach().float(), Attention(HEADS, layout_of(groups)))
        torch.testing.assert_close(out.float(), expected, atol=0.03, rtol=0.03)
    assert len(calls) == 1


def rotary(groups):
    """Cosines and sines of positions that begin anew in every sequence."""
    lengths = [length for count, length in groups for _ in range(count)]
    positions = torch.cat([torch.arange(length) for length in lengths]).float()
    angles = positions[:, None] * 0.7 ** torch.arange(SIZE // 2)
    return Rotary(torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin())


def slowly(rows, groups, placement, scale):
    """Attend token by token.

    Each pair of features is a complex number turned by its angle; tokens that stand too far away
    are masked.
    """
    half = SIZE // 2
    query, key, value = rows.double().view(len(rows), 3, HEADS, SIZE).unbind(1)
    if placement.rotary is not None:
        cos, sin = (part[:, None, :half].double() for part in placement.rotary)
        turn = torch.complex(cos, sin)
        query, key = (
            torch.view_as_real(torch.complex(states[..., :half], states[..., half:]) * turn)
            .transpose(-1, -2)
            .reshape(states.shape)
            for states in (query, key)
        )
    out, start = torch.empty(len(rows), HEADS, SIZE, dtype=torch.float64), 0
    for length in [length for count, length in groups for _ in range(count)]:
        for token in range(length):
            for head in range(HEADS):
                own = slice(start, start + length)
                products = (key[own, head] @ query[start + token, head]) * scale
                if placement.bias is not None:
                    products += placement.bias[head, token, :length]
                if placement.window is not None:
                    distance = (torch.arange(length) - token).abs()
                    products[distance > placement.window] = float("-inf")
                out[start + token, head] = torch.softmax(products, 0) @ value[own, head]
        start += length
    return out.view(len(rows), -1).float()


@pytest.fixture
def by_offsets(monkeypatch):
    """Attend as on a GPU, by a loop."""
    monkeypatch.setattr(attention_module, "has_kernel_for", lambda *_: True)
    monkeypatch.setattr(packed_attention, "find_kernel", lambda: attend_slowly)


@pytest.mark.parametrize("window", [None, 0, 1, 2, 5, 40])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("is_rotary", [False, True])
@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("way", ["as_on_a_processor", "by_offsets", "in_blocks"])
def test_bias_rotation_and_window_are_those_of_a_slow_masked_reference(
    window, has_bias, is_rotary, scale, live, way, request
):
    groups = [(2, 13), (1, 6), (2, 1)]
    rows = projected(groups, seed=3) / 3
    bias = torch.randn(HEADS, 13, 13, generator=torch.Generator().manual_seed(4))
    placement = Placement(bias if has_bias else None, rotary(groups) if is_rotary else None, window)
    expected = slowly(rows, groups, placement, scale or SIZE**-0.5)
    if way == "in_blocks":
        if window is not None or is_rotary or not has_bias:
            pytest.skip("blocks are for a bias alone")
        wide = F.pad(bias, (0, 51, 0, 51))
        placement = Placement(wide, blocks=lay_out_blocks(layout_of(groups)).with_bias(wide))
    elif way == "by_offsets":
        request.getfixturevalue("by_offsets")
    given = rows.requires_grad_(live)
    attention = Attention(HEADS, layout_of(groups), 0.0, placement, scale)
    found = attend_all(given, attention)
    torch.testing.assert_close(found.detach(), expected, atol=1e-5, rtol=0)
    starts = torch.tensor([0, 13, 26, 32, 33])
    width = HEADS * SIZE
    first = attend_first(given[starts, :width], given[:, width:], attention, starts)
    torch.testing.assert_close(first.detach(), expected[starts], atol=1e-5, rtol=0)


def test_a_narrow_window_does_not_grow_with_the_square_of_the_length(monkeypatch):
    seen = []
    attend = F.scaled_dot_product_attention

    def watch(query, key, *more, **named):
        seen.append(query.shape[2] * key.shape[2])
        return attend(query, key, *more, **named)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watch)
    for length in (100, 400):
        near = Attention(HEADS, layout_of([(1, length)]), placement=Placement(window=4))
        attend_all(projected([(1, length)]), near)
        seen.append(-1)
    short, long = seen[: seen.index(-1)], seen[seen.index(-1) + 1 : -1]
    assert sum(long) < 4.5 * sum(short)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("first", [False, True])
def test_torchs_own_kernel_takes_these_arguments_and_gives_gradients(dropout, window, first):
    """On tensors without values: it has none for a processor."""
    if packed_attention.find_kernel() is None:
        pytest.skip("this torch has no packed attention")
    offsets = torch.empty(9, device="meta", dtype=torch.int32)
    layout = Layout((), offsets, 16)
    shapes = [(8 if first else 64, 4, 32), (64, 4, 32), (64, 4, 32)]
    states = [
        torch.empty(shape, device="meta", dtype=torch.bfloat16, requires_grad=True)
        for shape in shapes
    ]
    if first:
        out = packed_attention.attend_first_by_offsets(*states, layout, dropout=dropout)
    else:
        out = packed_attention.attend_by_offsets(*states, layout, window=window, dropout=dropout)
    assert out.shape == (shapes[0][0], 4 * 32)
    out.sum().backward()
    assert [state.grad.shape for state in states] == shapes


@pytest.mark.usefixtures("by_offsets")
def test_dropout_by_offsets_is_that_of_the_weights():
    rows = projected([(3, 40)])
    attention = Attention(HEADS, layout_of([(3, 40)]))
    exact = attend_all(rows, attention)
    torch.manual_seed(0)
    draws = torch.stack([attend_all(rows, attention._replace(dropout=0.5)) for _ in range(200)])
    assert (draws != exact).any()
    torch.testing.assert_close(draws.mean(0), exact, atol=1.0, rtol=0.2)
