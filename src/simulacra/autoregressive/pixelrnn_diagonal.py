r"""Diagonal BiLSTM: a diagonal of cells moves to the right, each reading the states above it and on its left.

    o, f, i, g = gates(K^is x_{r,c} + K^ss [h_{r-1,c}, h_{r,c-1}]),    c = f ⊙ c_{r,c-1} + i ⊙ g,    h = o ⊙ tanh(c).

The cells of a diagonal r + c = t do not read each other, so that H rows and W columns take H + W - 1 steps (the paper
skews the image until its diagonals are columns). A second line of cells comes from the right and reads the image one
row further up, where all is past and nothing needs a mask; the states of the two are added.

Every pixel before the current one is seen, from the first layer on. For this the line from the right also reads the
image itself, which the paper does not do: there most of the next row does not depend on the last pixel of a row, since
the features of a pixel do not include the pixel itself.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3.2 and figure 3.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.pixelrnn import Added, PixelRNN, pointwise
from simulacra.autoregressive.pixels import PixelNetwork
from simulacra.data.spec import DataSpec
from simulacra.nn import Memory, RightConv2d
from simulacra.nn.lstm import Spans, move, open_forget_gates, scan
from simulacra.parts import odd, part, share, within


class Diagonals(nn.Module):
    """The path of a diagonal from the upper left: by r + c, then by r. Its mirror image comes from the upper right."""

    order: Tensor
    back: Tensor
    mirror: Tensor
    above: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.spans: Spans = [(max(0, t - width + 1), min(height, t + 1)) for t in range(height + width - 1)]
        row, column = torch.arange(height)[:, None], torch.arange(width)
        order = ((row + column) * height + row).flatten().argsort()  # which place is reached, in raster order
        back = order.argsort()  # when each place is reached
        times = back.view(height, width)
        mirror = times.flip(1).flatten()[order]
        never = torch.full((1, width), height * width)  # where `reflect_above` finds zeros
        above = torch.cat([never, times[:-1]]).flip(1).flatten()[order]
        for name, index in {"order": order, "back": back, "mirror": mirror, "above": above}.items():
            self.register_buffer(name, index, persistent=False)

    def flatten(self, image: Tensor) -> Tensor:
        pixels = image.flatten(2).permute(2, 0, 1)
        return pixels if len(pixels) == 1 else pixels.index_select(0, self.order)

    def unflatten(self, pixels: Tensor) -> Tensor:
        return pixels.index_select(0, self.back).permute(1, 2, 0).unflatten(2, (self.height, self.width))

    def reflect(self, pixels: Tensor) -> Tensor:
        """(M, N, C) of this path -> of its mirror image, and back."""
        return pixels if len(pixels) == 1 else pixels.index_select(0, self.mirror)

    def reflect_above(self, pixels: Tensor) -> Tensor:
        """(M, N, C) of this path -> of its mirror image, every pixel replaced by the one above it; zeros at the top."""
        return F.pad(pixels, (0, 0, 0, 0, 0, 1)).index_select(0, self.above)


class DiagonalLayer(nn.Module):
    """x <- x + U (h→ + h←): h→ the states of the diagonal from the left, h← of the one from the right."""

    def __init__(self, width: int, groups: int, dropout: float, path: Diagonals) -> None:
        super().__init__()
        self.width, self.maps, self.path = width, 8 * width, path
        self.rightwards = RightConv2d(2 * width, 4 * width, groups=groups, period=width)
        self.leftwards = nn.Linear(2 * width, 4 * width)
        self.states = nn.ModuleList(nn.Linear(2 * width, 4 * width, bias=False) for _ in range(2))
        self.widen = RightConv2d(width, 2 * width, groups=groups)
        self.dropout = nn.Dropout(dropout)
        open_forget_gates(self.rightwards)
        open_forget_gates(self.leftwards)

    @property
    def recurrent(self) -> list[Tensor]:
        """For each line its weights (4h, 2h): of the state above, then of the one beside."""
        return [cast(nn.Linear, state).weight for state in self.states]

    def forward(self, x: Tensor, added: Added, memory: Memory | None) -> Tensor:
        if memory is not None:
            return memory.keep(self, lambda: _KeptDiagonal(self, memory)).step(x, added, memory)
        rightwards, leftwards = scan(self._pre_activations(x, added), torch.stack(self.recurrent), self.path.spans)
        return x + pointwise(self.widen, self.dropout(rightwards + self.path.reflect(leftwards)))

    def _pre_activations(self, x: Tensor, added: Added) -> Tensor:
        """The input's share of the pre-activations of both lines, (2, M, N, 4h)."""
        masked = (self.rightwards.weight * self.rightwards.mask)[:, :, 0, 0]
        weight = torch.stack([masked, self.leftwards.weight]).transpose(1, 2)
        bias = torch.stack([cast(Tensor, self.rightwards.bias), self.leftwards.bias])[:, None]
        both = torch.stack([x, self.path.reflect_above(x)])
        a = torch.baddbmm(bias, both.flatten(1, 2), weight).unflatten(1, x.shape[:2])
        if added.maps is not None:
            rightwards, leftwards = self.path.flatten(added.maps).chunk(2, -1)
            a = a + torch.stack([rightwards, self.path.reflect(leftwards)])
        if added.above is not None:
            above = self.path.reflect(self.path.flatten(added.above))
            a = a + torch.stack([torch.zeros_like(above), above])
        return a


class _KeptDiagonal:
    """The states of the row that a walk has reached, and those of the line from the right, which goes before it.

    The share of the states above in the pre-activations is computed for a whole row at once.
    """

    def __init__(self, layer: DiagonalLayer, memory: Memory) -> None:
        n, width, h, groups = memory.n, memory.width, layer.width, layer.rightwards.groups_of_features
        self.layer = layer
        self.above, self.beside = zip(*(state.detach().t().split(h) for state in layer.recurrent), strict=True)
        members = torch.arange(4 * h, device=memory.like.device).view(4, groups, -1).transpose(0, 1).flatten(1)
        self.left = [self.beside[0][:, rows].contiguous() for rows in members]
        self.pixels, self.states, self.others = (memory.like.new_zeros(width, n, size) for size in (2 * h, h, h))
        self.pixel_parts, self.state_parts, self.other_parts = (
            [part.unbind(0) for part in kept.chunk(groups, -1)] for kept in (self.pixels, self.states, self.others)
        )
        self.on_the_left = [memory.like.new_zeros(n, h), *self.states.unbind(0)]
        self.cell = memory.like.new_zeros(n, h)
        self.cell_parts = self.cell.chunk(groups, -1)
        self.added: Tensor | None = None

    def step(self, x: Tensor, added: Added, memory: Memory) -> Tensor:
        group, column = memory.channel, memory.column
        if group == 0 and column == 0:
            self._begin_row(added, memory)
        self.pixel_parts[group][column].copy_(x)
        a = self.layer.rightwards(x, self.added, memory).addmm_(self.on_the_left[column], self.left[group])
        h = move(a, self.cell_parts[group])
        self.state_parts[group][column].copy_(h)
        return x + self.layer.widen(h + self.other_parts[group][column], memory=memory)

    def _begin_row(self, added: Added, memory: Memory) -> None:
        a = self.layer.leftwards(self.pixels) + self.others @ self.above[1]
        row = (self.states @ self.above[0]).permute(1, 2, 0).unsqueeze(2)  # (n, 4h, 1, W)
        if added.maps is not None:
            rightwards, leftwards = added.maps.chunk(2, 1)
            row, a = row + rightwards, a + leftwards.squeeze(2).permute(2, 0, 1)
        if added.above is not None:
            a = a + added.above.squeeze(2).permute(2, 0, 1)
        one_cell = [(0, 1)] * memory.width
        self.others.copy_(scan(a.flip(0)[None], self.beside[1].t()[None], one_cell)[0].flip(0))
        self.cell.zero_()
        self.added = row


@part("pixel-network", "pixelrnn-diagonal")
class DiagonalPixelRNN:
    """van den Oord et al. 2016, "Pixel Recurrent Neural Networks", section 3.2.

    Attributes:
        width: units of each LSTM; the residual stream has twice as many features.
        layers: pairs of LSTMs.
        kernel: side of the first window, odd.
        dropout: share of the states that a layer's output leaves out in training.
    """

    width: int = 48
    layers: int = 2
    kernel: int = 7
    dropout: float = 0.5

    def __post_init__(self) -> None:
        odd(kernel=self.kernel)
        within(1, width=self.width, layers=self.layers)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        path = Diagonals(spec.shape[1], spec.shape[2])

        def layer(width: int) -> DiagonalLayer:
            return DiagonalLayer(width, spec.shape[0], self.dropout, path)

        return PixelRNN(spec, path, layer, self.width, self.layers, self.kernel, looks_up=True)
