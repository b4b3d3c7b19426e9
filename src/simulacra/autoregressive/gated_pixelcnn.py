r"""Gated PixelCNN: log p(x) = Σ_i log p(x_i | x_<i), in raster order and red -> green -> blue within a pixel.

A *vertical* stack sees all rows above; a *horizontal* stack sees the pixels to the left, and the features of the
vertical one are added to its pre-activations. Together they cover the whole past, without the blind spot of a single
masked convolution. A layer is gated,

    y = tanh(W_f * x + V_f c) ⊙ σ(W_g * x + V_g c).

van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", eq. 2 and figure 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import LevelHead
from simulacra.autoregressive.pixels import PixelNetwork, shared
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import AddCondition, DownConv2d, Memory, RightConv2d, side_by_side
from simulacra.parts import odd, part, share, within


def gate(h: Tensor) -> Tensor:
    """(N, 2p, ...) -> (N, p, ...)"""
    f, g = h.chunk(2, dim=1)
    return torch.tanh(f) * torch.sigmoid(g)


class GatedLayer(nn.Module):
    """One layer of both stacks.

    `first`: its input is the image, so the current sub-pixel itself is hidden. `last`: no layer follows that would read
    its horizontal features, so only its contribution to the output is computed.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        kernel: int,
        groups: int,
        fields: Mapping[str, Field],
        dropout: float,
        *,
        first: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.first, reach = first, kernel // 2
        self.vertical = DownConv2d(inputs, 2 * width, rows=reach + 1, reach=reach)
        self.vertical_to_horizontal = DownConv2d(2 * width, 2 * width)
        self.horizontal = RightConv2d(inputs, 2 * width, left=reach, groups=groups, strict=first, period=width)
        self.residual = None if last else RightConv2d(width, width, groups=groups)
        self.skip = RightConv2d(width, width, groups=groups)
        self.to_vertical = AddCondition(fields, 2 * width, maps=True)
        self.to_horizontal = AddCondition(fields, 2 * width, maps=True)
        self.dropout = nn.Dropout(dropout)

    def vertical_pass(self, v: Tensor, condition: Condition, memory: Memory | None) -> tuple[Tensor, Tensor]:
        """The vertical stack, (N, C, H, W) or one row: its new features, and those added to the horizontal stack."""
        v = self.to_vertical(self.vertical(v, memory), condition, memory)
        return gate(v), self.to_horizontal(self.vertical_to_horizontal(v, memory), condition, memory)

    def horizontal_pass(self, h: Tensor, added: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor]:
        """The horizontal stack, (N, C, H, W) or one pixel: its new features and its contribution to the output."""
        gated = gate(self.horizontal(h, added, memory))
        if self.training:
            gated = self.dropout(gated)
        if self.residual is None:
            return h, self.skip(gated, memory=memory)
        passed, skip = side_by_side(self.residual, self.skip, gated, memory)
        return passed if self.first else h + passed, skip


class GatedStacks(PixelNetwork):
    """Both stacks, and a `LevelHead`."""

    def __init__(self, spec: DataSpec, part: GatedPixelCNN) -> None:
        super().__init__(spec)
        self.per_value = part.width if part.embedding else 1
        channels, width = spec.shape[0], shared(part.width, spec.shape[0])
        self.stack = nn.ModuleList()
        for i in range(part.layers):
            first, last = i == 0, i == part.layers - 1
            inputs, side = (channels * self.per_value, part.kernel) if first else (width, part.inner_kernel)
            self.stack.append(
                GatedLayer(inputs, width, side, channels, spec.condition, part.dropout, first=first, last=last)
            )
        self.head = LevelHead(spec)
        self.gather = RightConv2d(width, width, groups=channels)
        self.last = RightConv2d(width, self.head.outputs, groups=channels)
        if part.embedding:
            self.embedding = nn.Embedding(spec.grid_levels, part.width)

    @property
    def layers(self) -> list[GatedLayer]:
        return cast(list[GatedLayer], list(self.stack))

    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> list[Tensor]:
        v, added = image, []
        for layer in self.layers:
            v, each = layer.vertical_pass(v, condition, memory)
            added.append(each)
        return added

    def horizontal_pass(self, image: Tensor, added: list[Tensor], memory: Memory | None = None) -> Tensor:
        h, output = image, None
        for layer, each in zip(self.layers, added, strict=True):
            h, skip = layer.horizontal_pass(h, each, memory)
            output = skip if output is None else output + skip
        assert output is not None
        return self.last(F.relu(self.gather(F.relu(output), memory=memory)), memory=memory)


@part("pixel-network", "gated-pixelcnn")
class GatedPixelCNN:
    """van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders".

    Attributes:
        width: channels of each stack.
        layers: gated layers, the first included.
        kernel: side of the first layer's (unmasked) window.
        inner_kernel: side of the window of all later layers.
        dropout: share of the horizontal features dropped in training.
        embedding: whether each level enters by a learned vector of `width` numbers, as levels without an order do.
    """

    width: int = 32
    layers: int = 5
    kernel: int = 7
    inner_kernel: int = 3
    dropout: float = 0.2
    embedding: bool = False

    def __post_init__(self) -> None:
        odd(kernel=self.kernel, inner_kernel=self.inner_kernel)
        within(1, width=self.width, layers=self.layers)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        return GatedStacks(spec, self)
