r"""Row LSTM: a whole row of cells moves downwards, each reading the three states above it.

    o, f, i, g = gates(K^is ⊛ x_r + K^ss ⊛ h_{r-1}),    c_r = f ⊙ c_{r-1} + i ⊙ g,    h_r = o ⊙ tanh(c_r),

K^is a masked window along the row, K^ss an unmasked one. The states see a triangle above the pixel that opens by one
column a row; what stands to the upper right beyond it, and far to the left, is not seen.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.pixelrnn import Added, PixelRNN, pointwise
from simulacra.autoregressive.pixels import PixelNetwork
from simulacra.data.spec import DataSpec
from simulacra.nn import Memory, RightConv2d
from simulacra.nn.lstm import Spans, move, open_forget_gates, scan
from simulacra.parts import odd, part, share, within


class Rows:
    """The path of a row that moves downwards: raster order."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.spans: Spans = [(0, width)] * height

    def flatten(self, image: Tensor) -> Tensor:
        return image.flatten(2).permute(2, 0, 1).contiguous()

    def unflatten(self, pixels: Tensor) -> Tensor:
        return pixels.permute(1, 2, 0).unflatten(2, (self.height, self.width))


class RowLayer(nn.Module):
    """x <- x + U h, h the states of a row of cells that has moved down to the pixel's row."""

    def __init__(self, width: int, kernel: int, groups: int, dropout: float, path: Rows) -> None:
        super().__init__()
        self.width, self.kernel, self.maps, self.path = width, kernel, 4 * width, path
        self.input = RightConv2d(2 * width, 4 * width, left=kernel // 2, groups=groups, period=width)
        self.state = nn.Linear(kernel * width, 4 * width, bias=False)
        self.widen = RightConv2d(width, 2 * width, groups=groups)
        self.dropout = nn.Dropout(dropout)
        open_forget_gates(self.input)

    def forward(self, x: Tensor, added: Added, memory: Memory | None) -> Tensor:
        if memory is not None:
            return memory.keep(self, lambda: _KeptRow(self, memory)).step(x, added, memory)
        a = self._look_left(x)
        a = a if added.maps is None else a + self.path.flatten(added.maps)
        h = scan(a[None], self.state.weight[None], self.path.spans)[0]
        return x + pointwise(self.widen, self.dropout(h))

    def _look_left(self, x: Tensor) -> Tensor:
        """The window along the row as one matrix product: (M, N, 2h) -> (M, N, 4h)."""
        rows, left = x.unflatten(0, (-1, self.path.width)), self.input.left
        padded = F.pad(rows, (0, 0, 0, 0, left, 0))
        windows = torch.cat([padded[:, tap : tap + self.path.width] for tap in range(left + 1)], -1)
        weight = (self.input.weight * self.input.mask)[:, :, 0].transpose(1, 2).flatten(1)
        return F.linear(windows, weight, self.input.bias).flatten(0, 1)


class _KeptRow:
    """The states and memories of a row of cells, in which a walk overwrites the last row pixel by pixel."""

    def __init__(self, layer: RowLayer, memory: Memory) -> None:
        self.layer, reach, h = layer, layer.kernel // 2, layer.width
        states = memory.like.new_zeros(memory.width + 2 * reach, memory.n, h)
        self.taps = [states[tap : tap + memory.width] for tap in range(layer.kernel)]
        groups = layer.input.groups_of_features
        self.states = [part.unbind(0) for part in states[reach : reach + memory.width].chunk(groups, -1)]
        cells = memory.like.new_zeros(memory.width, memory.n, h)
        self.cells = [part.unbind(0) for part in cells.chunk(groups, -1)]
        self.added: Tensor | None = None

    def step(self, x: Tensor, added: Added, memory: Memory) -> Tensor:
        group, column = memory.channel, memory.column
        if group == 0 and column == 0:
            row = self.layer.state(torch.cat(self.taps, -1)).permute(1, 2, 0).unsqueeze(2)  # (n, 4h, 1, W)
            self.added = row if added.maps is None else row + added.maps
        h = move(self.layer.input(x, self.added, memory), self.cells[group][column])
        self.states[group][column].copy_(h)
        return x + self.layer.widen(h, memory=memory)


@part("pixel-network", "pixelrnn-row")
class RowPixelRNN:
    """van den Oord et al. 2016, "Pixel Recurrent Neural Networks", section 3.1.

    Attributes:
        width: units of each LSTM; the residual stream has twice as many features.
        layers: LSTMs.
        kernel: side of the first window, odd.
        inner_kernel: columns of the windows of the LSTMs, odd.
        dropout: share of the states that a layer's output leaves out in training.
    """

    width: int = 48
    layers: int = 3
    kernel: int = 7
    inner_kernel: int = 3
    dropout: float = 0.5

    def __post_init__(self) -> None:
        odd(kernel=self.kernel, inner_kernel=self.inner_kernel)
        within(1, width=self.width, layers=self.layers)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        path = Rows(spec.shape[1], spec.shape[2])

        def layer(width: int) -> RowLayer:
            return RowLayer(width, self.inner_kernel, spec.shape[0], self.dropout, path)

        return PixelRNN(spec, path, layer, self.width, self.layers, self.kernel, looks_up=False)
