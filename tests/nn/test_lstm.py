"""A line of cells that moves over an image is an LSTM that goes from pixel to pixel, derivatives and all."""

import pytest
import torch

from simulacra.nn.lstm import move, scan

ROWS = [(0, 4)] * 3
DIAGONALS = [(max(0, t - 3), min(3, t + 1)) for t in range(6)]  # of 3 rows and 4 columns
ONE_CELL = [(0, 1)] * 5
PATHS = [(ROWS, 1), (ROWS, 3), (ROWS, 5), (DIAGONALS, 2), (ONE_CELL, 1)]


def inputs(spans, taps: int, lines: int = 2, h: int = 3, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    total = sum(end - first for first, end in spans)
    pre = torch.randn(lines, total, 2, 4 * h, generator=generator, dtype=torch.float64)
    weight = torch.randn(lines, 4 * h, taps * h, generator=generator, dtype=torch.float64)
    return pre.to(dtype), weight.to(dtype)


def literally(pre: torch.Tensor, weight: torch.Tensor, spans) -> torch.Tensor:
    """Cell by cell, as the paper has it, for one line: (M, N, 4h), (4h, k·h) -> (M, N, h)."""
    h = pre.shape[2] // 4
    taps, pre, out = weight.shape[1] // h, iter(pre), []
    zeros = torch.zeros(2, h, dtype=weight.dtype)
    states, memories = {}, {}
    for first, end in spans:
        moved = {}
        for cell in range(first, end):
            seen = torch.cat([states.get(cell + tap - taps // 2, zeros) for tap in range(taps)], 1)
            o, f, i, g = (next(pre) + seen @ weight.T).chunk(4, 1)
            memories[cell] = f.sigmoid() * memories.get(cell, zeros) + i.sigmoid() * torch.tanh(g / 2)
            moved[cell] = o.sigmoid() * torch.tanh(memories[cell])
        states |= moved
        out += moved.values()
    return torch.stack(out)


@pytest.mark.parametrize(("spans", "taps"), PATHS)
def test_a_scan_is_the_lstm_of_the_paper(spans, taps):
    pre, weight = inputs(spans, taps)
    expected = [literally(x, w, spans) for x, w in zip(pre, weight, strict=True)]
    torch.testing.assert_close(scan(pre, weight, spans), torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("spans", "taps"), PATHS)
def test_its_derivatives_are_right(spans, taps):
    pre, weight = inputs(spans, taps, h=2)
    assert torch.autograd.gradcheck(lambda x, w: scan(x, w, spans), (pre.requires_grad_(), weight.requires_grad_()))


def test_derivatives_can_be_taken_several_times_of_one_scan():
    pre, weight = inputs(DIAGONALS, 2)
    out = scan(pre.requires_grad_(), weight, DIAGONALS).sum()
    once, again = (torch.autograd.grad(out, pre, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)


def test_one_move_is_one_step_of_a_scan():
    pre, weight = inputs(ONE_CELL, 1, lines=1)
    memory = state = torch.zeros(2, 3, dtype=torch.float64)
    memory, states = memory.clone(), []
    for a in pre[0]:
        state = move(a + state @ weight[0].T, memory)
        states.append(state)
    torch.testing.assert_close(torch.stack(states), scan(pre, weight, ONE_CELL)[0], rtol=1e-12, atol=1e-12)


def test_lines_do_not_meet():
    pre, weight = inputs(ROWS, 3)
    together, alone = scan(pre, weight, ROWS), scan(pre[1:], weight[1:], ROWS)
    torch.testing.assert_close(together[1:], alone, rtol=1e-12, atol=1e-12)


def test_half_precision_forgets_nothing_over_a_long_way():
    """The memory is kept in full: what accumulates over 300 steps is rounded once, not 300 times."""
    spans, h = [(0, 1)] * 300, 3
    pre = torch.zeros(1, 300, 1, 4 * h)
    pre[..., : 2 * h], pre[..., 2 * h : 3 * h], pre[..., 3 * h :] = (
        12.0,
        -6.0,
        1.0,
    )  # nothing is let go, little comes in
    weight = torch.zeros(1, 4 * h, h)
    with torch.autocast("cpu", torch.bfloat16):
        half = scan(pre.bfloat16(), weight, spans)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), scan(pre, weight, spans), rtol=1e-2, atol=0)
