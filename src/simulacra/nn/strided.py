"""Half the resolution and back, in raster order, in the two modes of `simulacra.nn.causal`.

A pixel (R, C) of the small image is made when the walk stands at (2R, 2C), from that place and what lies above and to
the left of it; it is handed to the places (2R, 2C) .. (2R + 1, 2C + 1), none of which comes earlier. So no information
runs ahead of the walk, and a small image of ceil(H/2) × ceil(W/2) pixels serves odd sides too.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.causal import Memory


class ShrinkDown(nn.Module):
    """Row R of the output reads rows 2R - 1 and 2R of the input, and column C the columns 2C - 1 .. 2C + 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (2, 3), stride=2)

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor | None:
        """(N, C, H, W) -> (N, C, H', W'), or with a memory the next row -> a small row, or None after every odd one."""
        if memory is None:
            return self.conv(F.pad(input, (1, 1, 1, 0)))
        rows = memory.keep(self, lambda: input.new_zeros(*input.shape[:2], 2, input.shape[3] + 2))
        rows[:, :, 1 - memory.row % 2, 1:-1] = input[:, :, 0]
        return None if memory.row % 2 else self.conv(rows)


class ShrinkRight(nn.Module):
    """The pixel (R, C) of the output reads rows 2R - 1 and 2R and columns 2C - 1 and 2C of the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 2, stride=2)

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor | None:
        """(N, C, H, W) -> (N, C, H', W'), or with a memory the pixel (N, C) -> a small one, or None between them."""
        if memory is None:
            return self.conv(F.pad(input, (1, 0, 1, 0)))
        return memory.keep(self, lambda: _Windows(self.conv, memory)).step(input, memory)


class _Windows:
    """The last odd and the last even row, beside each other, so that a window of four pixels is one view."""

    def __init__(self, conv: nn.Conv2d, memory: Memory) -> None:
        weight = conv.weight.detach()
        self.matrix = weight.permute(3, 2, 1, 0).flatten(0, 2).contiguous()  # (columns · rows · inputs, outputs)
        self.bias = cast(Tensor, conv.bias).detach()
        seen = weight.new_zeros(memory.n, memory.width + 1, 2, conv.in_channels)
        self.slots = [row.unbind(1) for row in (seen[:, 1:, 1], seen[:, 1:, 0])]  # of an even row, of an odd row
        self.windows = [seen[:, c : c + 2].flatten(1) for c in range(0, memory.width, 2)]

    def step(self, pixel: Tensor, memory: Memory) -> Tensor | None:
        odd, column = memory.row % 2, memory.column
        self.slots[odd][column].copy_(pixel)
        if odd or column % 2:
            return None
        return torch.addmm(self.bias, self.windows[column // 2], self.matrix)


class Grow(nn.Module):
    """Every small pixel becomes 2×2 pixels, of an image of H × W that may end in the middle of one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width, width, 2, stride=2)

    def forward(self, small: Tensor, height: int, width: int) -> Tensor:
        """(N, C, H', W') -> (N, C, height, width)"""
        return self.conv(small)[:, :, :height, :width]

    def row(self, small: Tensor | None, memory: Memory) -> Tensor:
        """A small row (N, C, 1, W') -> the row (N, C, 1, W) that the memory stands at; None: the second row of it."""
        rows = memory.keep(self, lambda: self.conv.weight.new_zeros(memory.n, self.conv.out_channels, 2, memory.width))
        if small is not None:
            rows.copy_(self(small, 2, memory.width))
        odd = memory.row % 2
        return rows[:, :, odd : odd + 1]

    def pixel(self, small: Tensor | None, memory: Memory) -> Tensor:
        """A small pixel (N, C) -> the pixel (N, C) that the memory stands at; None: one of the other three of it."""
        return memory.keep(self, lambda: _Quarters(self.conv, memory)).step(small, memory)


class _Quarters:
    """The two rows of pixels that the last row of small pixels was turned into."""

    def __init__(self, conv: nn.ConvTranspose2d, memory: Memory) -> None:
        weight = conv.weight.detach()  # (inputs, outputs, 2, 2)
        self.matrix = weight.permute(0, 3, 2, 1).flatten(1).contiguous()  # (inputs, columns · rows · outputs)
        self.bias = cast(Tensor, conv.bias).detach().repeat(4)
        grown = weight.new_zeros(memory.n, -(-memory.width // 2) * 2, 2, conv.out_channels)
        self.slots = [grown[:, :, row].unbind(1) for row in (0, 1)]
        self.quarters = [grown[:, c : c + 2].flatten(1) for c in range(0, memory.width, 2)]

    def step(self, small: Tensor | None, memory: Memory) -> Tensor:
        if small is not None:
            torch.addmm(self.bias, small, self.matrix, out=self.quarters[memory.column // 2])
        return self.slots[memory.row % 2][memory.column]
