r"""PixelCNN: log p(x) = Σ_i log p(x_i | x_<i) by masked convolutions, red -> green -> blue within a pixel.

The first convolution leaves the sub-pixel itself out (mask A), all later ones include it (mask B). A block is residual,

    h <- h + W_3 relu(W_2 * relu(W_1 relu(h))),      2p -> p -> p -> 2p features, W_2 3×3.

A stack of masked 3×3 windows never sees a triangle on the upper right: the blind spot that the Gated PixelCNN removes.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", table 1 and figures 4 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import LevelHead
from simulacra.autoregressive.pixels import PixelNetwork, shared
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import AddCondition, Memory, RightConv2d
from simulacra.parts import odd, part, share, within


class Block(nn.Module):
    """A residual bottleneck."""

    def __init__(self, width: int, groups: int, fields: Mapping[str, Field], dropout: float) -> None:
        super().__init__()
        self.narrow = RightConv2d(2 * width, width, groups=groups)
        self.look = RightConv2d(width, width, above=1, left=1, right=1, groups=groups)
        self.widen = RightConv2d(width, 2 * width, groups=groups)
        self.condition = AddCondition(fields, width, maps=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, added: Tensor | None, memory: Memory | None) -> Tensor:
        narrow = F.relu(self.narrow(F.relu(h), memory=memory))
        return h + self.widen(self.dropout(F.relu(self.look(narrow, added, memory))), memory=memory)


@part("pixel-network", "pixelcnn")
class PixelCNN:
    """van den Oord et al. 2016, "Pixel Recurrent Neural Networks".

    Attributes:
        width: features of the 3×3 convolutions; the residual stream has twice as many.
        layers: residual blocks.
        kernel: side of the first window, odd.
        dropout: share of the features of a block that is dropped in training.
    """

    width: int = 32
    layers: int = 5
    kernel: int = 7
    dropout: float = 0.2

    def __post_init__(self) -> None:
        odd(kernel=self.kernel)
        within(1, width=self.width, layers=self.layers)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        return MaskedBlocks(spec, self)


class MaskedBlocks(PixelNetwork):
    """A first window, residual blocks, and a `LevelHead`."""

    def __init__(self, spec: DataSpec, part: PixelCNN) -> None:
        super().__init__(spec)
        channels, width, reach = spec.shape[0], shared(part.width, spec.shape[0]), part.kernel // 2
        blocks = (Block(width, channels, spec.condition, part.dropout) for _ in range(part.layers))
        self.head = LevelHead(spec)
        self.first = RightConv2d(channels, 2 * width, reach, reach, reach, groups=channels, strict=True)
        self.blocks = nn.ModuleList(blocks)
        self.gather = RightConv2d(2 * width, 2 * width, groups=channels)
        self.last = RightConv2d(2 * width, self.head.outputs, groups=channels)

    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> list[Tensor | None]:
        """The condition alone: the windows themselves reach into the rows above."""
        size = (self.spec.shape[1], self.spec.shape[2])
        return [cast(Block, block).condition.everywhere(condition, size, memory) for block in self.blocks]

    def horizontal_pass(self, image: Tensor, added: list[Tensor | None], memory: Memory | None = None) -> Tensor:
        h = self.first(image, memory=memory)
        for block, row in zip(self.blocks, added, strict=True):
            h = block(h, row, memory)
        return self.last(F.relu(self.gather(F.relu(h), memory=memory)), memory=memory)
