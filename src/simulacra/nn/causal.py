"""Convolutions over an image that is read in raster order, in two modes that share one set of weights.

*Everywhere* (training, scoring): a tensor (N, C, H, W) goes through at once. *Here* (sampling, coding): a `Memory` says
where the walk stands and keeps what each layer has seen, so that every activation is computed once; a vertical layer
then takes one row (N, C, 1, W), a horizontal one a single pixel (N, C).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.masked import MaskedConv2d, group_mask, groups_of

T = TypeVar("T")


class Memory:
    """Where a walk over n images of height × width stands, and the activations that every layer keeps.

    Attributes:
        row, column, channel: of the sub-pixel that is computed now.
        previous: the pixel before it, complete, (n, C · per_value); zeros before the first.
    """

    def __init__(self, n: int, shape: tuple[int, int, int], like: Tensor, per_value: int = 1) -> None:
        self.n, (self.channels, self.height, self.width), self.like = n, shape, like
        self.row = self.column = self.channel = 0
        self.previous = like.new_zeros(n, self.channels * per_value)
        self._kept: dict[object, object] = {}
        self._halved: Memory | None = None

    def keep(self, owner: object, make: Callable[[], T]) -> T:
        """What `owner` has kept so far; `make` says what it keeps at first."""
        if owner not in self._kept:
            self._kept[owner] = make()
        return cast(T, self._kept[owner])

    def halved(self) -> Memory:
        """That of the layers at half the resolution: it follows this one on every second row and column."""
        if self._halved is None:
            height, width = (self.height + 1) // 2, (self.width + 1) // 2
            self._halved = Memory(self.n, (self.channels, height, width), self.like)
            self._halved._follow(self)
        return self._halved

    def advance(self) -> None:
        """To the next sub-pixel in raster order."""
        self.channel += 1
        if self.channel == self.channels:
            self.channel, self.column = 0, self.column + 1
        if self.column == self.width:
            self.column, self.row = 0, self.row + 1
        if self._halved is not None:
            self._halved._follow(self)

    def _follow(self, finer: Memory) -> None:
        self.row, self.column = finer.row // 2, finer.column // 2
        if self._halved is not None:
            self._halved._follow(self)


def _zeros(like: Tensor, n: int, channels: int, rows: int, columns: int) -> Tensor:
    """Rows in a walk, the channels of a pixel side by side: so a convolution of few rows is faster, and so pixels are
    read afterwards."""
    return like.new_zeros(n, rows, columns, channels).permute(0, 3, 1, 2)


class DownConv2d(nn.Conv2d):
    """Row r of the output reads rows r - rows + 1 .. r of the input, and columns up to `reach` away on both sides.

    With the input shifted down by one row, the output depends on the rows above and on nothing else.
    """

    def __init__(self, inputs: int, outputs: int, rows: int = 1, reach: int = 0) -> None:
        super().__init__(inputs, outputs, (rows, 2 * reach + 1))
        self.rows, self.reach = rows, reach

    def forward(self, input: Tensor, memory: Memory | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W), or with a memory the next row (N, C, 1, W) -> (N, C', 1, W)."""
        if memory is None:
            return super().forward(F.pad(input, (self.reach, self.reach, self.rows - 1, 0)))
        if self.rows > 1:
            kept = memory.keep(self, lambda: _zeros(input, len(input), self.in_channels, self.rows, input.shape[3]))
            kept[:, :, :-1] = kept[:, :, 1:].clone()
            kept[:, :, -1:] = input
            input = kept
        return super().forward(F.pad(input, (self.reach, self.reach)))


class RightConv2d(MaskedConv2d):
    """The pixel at (r, c) reads columns c - left .. c of its row, and c - left .. c + right of `above` rows above.

    Of its own pixel it reads the channel groups up to its own, or those before its own when `strict` (the image itself:
    red for green, red and green for blue). With one group, `strict` leaves its own pixel out.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        above: int = 0,
        left: int = 0,
        right: int = 0,
        groups: int = 1,
        strict: bool = False,
        period: int | None = None,
    ) -> None:
        mask = torch.ones(outputs, inputs, above + 1, left + 1 + right)
        mask[:, :, -1, left + 1 :] = 0
        mask[:, :, -1, left] = group_mask(outputs, inputs, groups, strict, period)
        super().__init__(inputs, outputs, (above + 1, left + 1 + right), mask)
        self.above, self.left, self.right = above, left, right
        self.groups_of_features, self.strict, self.period = groups, strict, period

    def forward(self, input: Tensor, added: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W), or with a memory the pixel it stands at, (N, C) -> (N, C').

        `added` (N, C', H or 1, W or 1) is added to the output; a walk reads it at the first pixel of a row. With
        several groups a walk computes the group of the current channel only: (N, C'/groups), from the group's share of
        the input or, in the first layer, from the whole pixel as far as it is known.
        """
        if memory is not None:
            return memory.keep(self, lambda: _Kept(memory, self)).step(input, added, memory)
        output = super().forward(F.pad(input, (self.left, self.right, self.above, 0)))
        return output if added is None else output + added


def side_by_side(one: RightConv2d, other: RightConv2d, input: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor]:
    """The outputs of two 1×1 convolutions of as many channels that read the same input: in a walk one product."""
    if memory is None:
        return one(input), other(input)
    return memory.keep((one, other), lambda: _Kept(memory, one, other)).step(input, None, memory).chunk(2, 1)  # pyright: ignore[reportReturnType]


class _Kept:
    """What a `RightConv2d` keeps: the rows above and the current one, in static buffers, with its weights as matrices.

    The rows above and `added` contribute to a whole row at once; a pixel then takes one matrix product, of the window
    on its left and the weights. All windows are views made beforehand. Further convolutions of the same kind of window,
    `beside` it, share the product; their outputs follow its own.
    """

    def __init__(self, memory: Memory, conv: RightConv2d, *beside: RightConv2d) -> None:
        width, groups = memory.width, conv.groups_of_features
        self.conv = conv
        seen = conv.left + (0 if conv.strict and groups == 1 else 1)  # columns of the window
        outputs = groups_of(conv.out_channels, groups, conv.period)
        self.members = [(outputs == g).nonzero()[:, 0].to(conv.weight.device) for g in range(groups)]
        weights = [(each.weight * each.mask).detach() for each in (conv, *beside)]
        here = [weight[:, :, -1, :seen].permute(2, 1, 0).flatten(0, 1) for weight in weights]  # (columns · in, out)
        self.matrices = [torch.cat([matrix[:, rows] for matrix in here], 1) for rows in self.members]
        self.weight_above = weights[0][:, :, :-1]
        biases = [cast(Tensor, each.bias).detach() for each in (conv, *beside)]
        self.before = [[torch.cat([bias[rows] for bias in biases])] * width for rows in self.members]
        self.alone = conv.left == 0 and not conv.above and groups == 1 and not conv.strict  # needs no memory at all
        if self.alone:
            return
        self.rows = _zeros(memory.like, memory.n, conv.in_channels, conv.above, conv.left + width + conv.right)
        current = memory.like.new_zeros(memory.n, conv.left + width, conv.in_channels)
        self.row = current[:, conv.left :]
        self.slots = self.row.unbind(1)
        inputs = groups_of(conv.in_channels, groups)
        parts = [slice(int((inputs < g).sum()), int((inputs <= g).sum())) for g in range(groups)]
        self.parts = [[slot[:, part] for slot in self.slots] for part in parts]
        self.windows = [current[:, c : c + seen].flatten(1) for c in range(width)]

    def step(self, pixel: Tensor, added: Tensor | None, memory: Memory) -> Tensor:
        column, conv = memory.column, self.conv
        group = memory.channel if conv.groups_of_features > 1 else 0
        if conv.strict and memory.channel == 0:  # the image: its last pixel was incomplete when it was last read
            self.slots[column - 1].copy_(memory.previous)
        if column == 0 and memory.channel == 0:
            self._begin_row(added, memory)
        if self.alone:
            return torch.addmm(self.before[0][column], pixel, self.matrices[0])
        if pixel.shape[1] == conv.in_channels:
            self.slots[column].copy_(pixel)
        else:
            self.parts[group][column].copy_(pixel)
        return torch.addmm(self.before[group][column], self.windows[column], self.matrices[group])

    def _begin_row(self, added: Tensor | None, memory: Memory) -> None:
        conv = self.conv
        if added is None and not conv.above:
            return
        row = cast(Tensor, conv.bias).detach()[:, None, None]
        if conv.above and memory.row:
            left = conv.left
            self.rows[:, :, :-1] = self.rows[:, :, 1:].clone()
            self.rows[:, :, -1, left : left + memory.width] = self.row.transpose(1, 2)
            row = F.conv2d(self.rows, self.weight_above, conv.bias)
        if added is not None:
            row = row + added
        row = row.expand(memory.n, -1, 1, memory.width)[:, :, 0]
        shares = [row] if len(self.members) == 1 else [row.index_select(1, rows) for rows in self.members]
        self.before = [list(share.permute(2, 0, 1).contiguous().unbind(0)) for share in shares]  # (n, outputs) each
