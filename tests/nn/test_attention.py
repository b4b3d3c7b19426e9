"""Attention to earlier pixels is the sum of its definition, and a walk that keeps keys and values says the same."""

import pytest
import torch
from small import randomise

from simulacra.nn import CausalAttention, Memory

SIZES = [(3, 4), (1, 5), (5, 1), (1, 1)]
N, INPUTS, CHANNELS, WIDTH = 2, 3, 2, 4


def attention(size, heads: int) -> CausalAttention:
    return randomise(CausalAttention(INPUTS, CHANNELS, WIDTH, heads, size), 0.7).double()


def inputs(size) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(
        torch.randn(N, channels, *size, dtype=torch.float64, requires_grad=True) for channels in (INPUTS, CHANNELS)
    )


def literally(attend: CausalAttention, input: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """y_i = Σ_{j<i} softmax_j(q_i · k_j / √d) v_j, with ∅ among the j, head by head and pixel by pixel."""
    of_queries, of_keys = (place.flatten(1).T for place in (attend.rows + attend.columns).chunk(2))
    d, answers = WIDTH // attend.heads, torch.zeros(len(input), WIDTH, *attend.size, dtype=input.dtype)
    for n in range(len(input)):
        x, y = input[n].flatten(1).T, image[n].flatten(1).T
        query = x @ attend.query.weight[:, :, 0, 0].T + attend.query.bias + of_queries
        content = torch.cat((x, y), 1) @ attend.content.weight[:, :, 0, 0].T + attend.content.bias
        content = torch.cat((attend.nothing[None], content + torch.cat((of_keys, torch.zeros_like(of_keys)), 1)))
        for i in range(len(x)):
            for head in range(attend.heads):
                own = slice(head * d, head * d + d)
                keys, values = content[: i + 1, :WIDTH][:, own], content[: i + 1, WIDTH:][:, own]
                weights = torch.softmax(keys @ query[i, own] / d**0.5, 0)
                answers[n, own, i // attend.size[1], i % attend.size[1]] = weights @ values
    return answers


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_it_is_the_sum_of_its_definition_at_once_and_in_a_walk(size, heads):
    attend, (input, image) = attention(size, heads), inputs(size)
    whole = attend(input, image)
    torch.testing.assert_close(whole, literally(attend, input, image), rtol=1e-10, atol=1e-10)
    memory, before = Memory(N, (CHANNELS, *size), input), torch.full((N, CHANNELS), torch.nan, dtype=torch.float64)
    for row in range(size[0]):
        for column in range(size[1]):
            here = attend(input[:, :, row, column], before, memory)
            torch.testing.assert_close(here, whole[:, :, row, column], rtol=1e-10, atol=1e-10)
            before = image[:, :, row, column]
            for _ in range(CHANNELS):
                memory.advance()


def test_the_first_pixel_looks_at_nothing_and_never_at_everything():
    """With all scores masked, a softmax would be uniform over the whole image, the future included."""
    size = (2, 3)
    attend, (input, image) = attention(size, 1), inputs(size)
    whole = attend(input, image)
    torch.testing.assert_close(whole[:, :, 0, 0], attend.nothing[WIDTH:].expand(N, -1))
    assert all(not g.any() for g in torch.autograd.grad(whole[:, :, 0, 0].sum(), (input, image), retain_graph=True))


def test_a_pixel_reads_the_value_of_every_earlier_one_and_not_its_own():
    size = (3, 3)
    attend, (input, image) = attention(size, 1), inputs(size)
    whole = attend(input, image).flatten(2)
    for i in range(9):
        to_input, to_image = torch.autograd.grad(whole[0, :, i].sum(), (input, image), retain_graph=True)
        reached = (to_image[0] != 0).all(0).flatten()
        assert torch.equal(reached, torch.arange(9) < i)
        assert not to_input[0].flatten(1)[:, i + 1 :].any()
        assert not to_input[1].any()  # nor another item


def test_half_precision_goes_through():
    attend, (input, image) = attention((3, 4), 2).float(), inputs((3, 4))
    full = attend(input.float(), image.float())
    with torch.autocast("cpu", torch.bfloat16):
        half = attend(input.float(), image.float())
    torch.testing.assert_close(half.float(), full, rtol=0.1, atol=0.1)
