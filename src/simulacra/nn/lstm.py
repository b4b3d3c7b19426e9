r"""An LSTM over an image: a line of cells that moves over it, each reading itself and its neighbours one step before.

With pre-activations a_t of the input, and s what a cell sees of the last step, its neighbours' states side by side,

    o, f, i = σ(a + W s),    g = tanh((a + W s) / 2),    c_t = f ⊙ c_{t-1} + i ⊙ g,    h_t = o ⊙ tanh(c_t).

A line of one row moves downwards (Row LSTM), a diagonal moves to the right (Diagonal LSTM), a single cell moves along a
row. The halved argument of g is no more than a unit of its weights: tanh(a/2) = 2σ(a) - 1, and one logistic function
serves all four, which torch computes on a CPU seven times as fast as tanh.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", eq. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Spans = Sequence[tuple[int, int]]


def scan(pre: Tensor, weight: Tensor, spans: Spans) -> Tensor:
    """The states of all cells at all steps, of D lines that move at the same pace and never meet.

    Args:
        pre: (D, M, N, 4h) the input's share of o, f, i and g; for each step in turn, the cells that it moves.
        weight: (D, 4h, k·h); of the k neighbours that a cell sees, itself among them, k // 2 come before it. One that
            does not exist, or has not moved yet, counts as zero.
        spans: for each step the first cell of the line that it moves, and the one after the last; M in all.

    Returns:
        (D, M, N, h), with first derivatives only. In bfloat16 the matrix products are rounded, the memory c is not.
    """
    with torch.autocast(pre.device.type, enabled=False):
        return _Scan.apply(pre, weight.transpose(1, 2).to(pre.dtype), spans)  # pyright: ignore[reportReturnType]


def move(a: Tensor, cell: Tensor) -> Tensor:
    """One step of n cells, without derivatives: all pre-activations (n, 4h) -> h (n, h); c is changed in place."""
    o, f, i, g = torch.sigmoid(a).chunk(4, 1)
    cell.mul_(f).sub_(i).addcmul_(i, g, value=2)
    return o * torch.tanh(cell)


def open_forget_gates(gates: nn.Module) -> None:
    """Set the forget gates' biases of an untrained layer, of outputs o, f, i and g, to 1, so that gradients last."""
    bias = cast(Tensor, gates.bias)
    with torch.no_grad():
        bias.chunk(4)[1].fill_(1)


class _Scan(torch.autograd.Function):
    """Written by hand: over buffers made beforehand, and with the gradient of all weights in one product.

    In here `g` is σ(a), the memory `c` is 2c, and `t` is σ(2c), so that tanh(c) = 2t - 1.
    """

    @staticmethod
    def forward(ctx: Any, pre: Tensor, weight: Tensor, spans: Spans) -> Tensor:
        lines, total, n, h = (*pre.shape[:3], pre.shape[3] // 4)
        taps, length, sizes = weight.shape[1] // h, max(end for _, end in spans), [end - first for first, end in spans]
        real = torch.promote_types(pre.dtype, torch.float32)
        out, seen = (pre.new_empty(lines, total, n, width) for width in (h, taps * h))
        gates, before, squashed = (pre.new_empty(lines, total, n, width, dtype=real) for width in (4 * h, h, h))
        state = pre.new_zeros(lines, length + taps - 1, n, h)
        memory = pre.new_zeros(lines, length, n, h, dtype=real)
        steps = zip(spans, *(x.split(sizes, 1) for x in (pre, out, seen, gates, before, squashed)), strict=True)
        for (first, end), x, y, s, a, b, t in steps:
            torch.cat([state[:, first + tap : end + tap] for tap in range(taps)], -1, out=s)
            a.copy_(torch.baddbmm(x.flatten(1, 2), s.flatten(1, 2), weight).view_as(a)).sigmoid_()
            o, f, i, g = a.chunk(4, -1)
            c = memory[:, first:end]
            b.copy_(c)
            c.mul_(f).sub_(i, alpha=2).addcmul_(i, g, value=4)
            torch.sigmoid(c, out=t)
            y.copy_(torch.addcmul(o.neg(), o, t, value=2))
            state[:, first + taps // 2 : end + taps // 2] = y
        ctx.save_for_backward(weight, seen, gates, before, squashed)
        ctx.spans = spans
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, seen, gates, before, squashed = ctx.saved_tensors
        lines, _, n, h = grad.shape
        taps, length, sizes = weight.shape[1] // h, max(end for _, end in ctx.spans), [e - f for f, e in ctx.spans]
        to_pre = grad.new_empty(gates.shape)
        to_state = gates.new_zeros(lines, length + taps - 1, n, h)
        to_memory = gates.new_zeros(lines, length, n, h)
        back = weight.transpose(1, 2).contiguous()
        buffers = (grad, to_pre, gates, before, squashed)
        steps = list(zip(ctx.spans, *(x.split(sizes, 1) for x in buffers), strict=True))
        for (first, end), dy, da, a, b, t in reversed(steps):
            o, f, i, g = a.chunk(4, -1)
            dgates = torch.empty_like(a)
            do, df, di, dg = dgates.chunk(4, -1)
            own, m = to_state[:, first + taps // 2 : end + taps // 2], to_memory[:, first:end]
            dh = own + dy
            dc = m.add_(torch.ops.aten.sigmoid_backward(dh * o, t), alpha=2)
            torch.addcmul(dh.neg(), dh, t, value=2, out=do)
            torch.mul(dc, b, out=df)
            dc4 = dc * 4
            torch.addcmul(dc * -2, dc4, g, out=di)
            torch.mul(dc4, i, out=dg)
            m.mul_(f)
            da.copy_(torch.ops.aten.sigmoid_backward(dgates, a))
            to_seen = torch.bmm(da.flatten(1, 2), back).view(lines, -1, n, taps * h).split(h, -1)
            own.copy_(to_seen[taps // 2])
            for tap, part in enumerate(to_seen):
                if tap != taps // 2:
                    to_state[:, first + tap : end + tap] += part
        to_weight = [s.t() @ d for s, d in zip(seen.flatten(1, 2), to_pre.flatten(1, 2), strict=True)]
        return to_pre, torch.stack(to_weight), None
