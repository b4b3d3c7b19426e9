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
from simulacra.autoregressive.raster import Raster
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Field
from simulacra.nn import AddCondition, Memory, RightConv2d
from simulacra.registry import register


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


@register(
    "pixelcnn",
    paper="van den Oord et al. 2016, Pixel Recurrent Neural Networks",
    defaults={"learning_rate": 4e-3, "batch": 32, "steps": 1500, "schedule": "cosine"},
)
class PixelCNN(Raster):
    r"""log p(x|c) = Σ_i log p(x_i | x_<i, c), exact, for images of any size, depth and number of channels.

    Args:
        spec: what x is; with a condition field, p(x | label).
        width: features of the 3×3 convolutions; the residual stream has twice as many.
        layers: residual blocks.
        kernel: side of the first window, odd.
        dropout: share of the features of a block that is dropped in training.
    """

    def __init__(self, spec: DataSpec, width: int = 32, layers: int = 5, kernel: int = 7, dropout: float = 0.2) -> None:
        super().__init__(spec)
        if kernel < 1 or kernel % 2 == 0 or layers < 1 or not 0 <= dropout < 1:
            raise UsageError("pixelcnn needs a positive odd kernel, at least one layer and dropout from 0 up to 1")
        channels, width, reach = spec.shape[0], self.groups(width), kernel // 2
        self.head = LevelHead(spec)
        self.first = RightConv2d(channels, 2 * width, reach, reach, reach, groups=channels, strict=True)
        self.blocks = nn.ModuleList(Block(width, channels, spec.condition, dropout) for _ in range(layers))
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
