r"""PixelCNN++: log p(x) = Σ_pixels log p(x_rc | pixels before it), a mixture of logistics over all channels of a pixel.

Two streams run side by side, at several resolutions. The *vertical* one, v, reads the rows above; the *horizontal* one,
h, reads the pixels to the left and the features of v. Both are made of gated residual blocks,

    h <- h + a ⊙ σ(b),    (a, b) = W_2 * φ(W_1 * φ(h) + U φ(v) + S φ(shortcut)) + V c,    φ(h) = elu([h, -h]),

shrink by a stride of 2, twice, and grow again with a short-cut to every block from its mirror image on the way down.
There is no blind spot: every row above is seen without a gap, the last one to the right by at least 4 columns a block,
and on every second row, where a row of the small image has just been finished, by more.

Left out: weight normalisation. On digits, without the paper's initialisation on data, it made a step 15 % slower and
after 400 steps the likelihood no better (1.804 bits/dim against 1.796).
Salimans, Karpathy, Chen & Kingma 2017, "PixelCNN++", section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import MixtureHead, pixel_head
from simulacra.autoregressive.pixels import PixelNetwork
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import (
    AddCondition,
    DownConv2d,
    Features,
    Grow,
    Memory,
    RightConv2d,
    ShrinkDown,
    ShrinkRight,
    concat_elu,
    features,
)
from simulacra.parts import part, share, within


class Added(NamedTuple):
    """What is added to a block of the horizontal stream: features of the vertical one, and of the condition."""

    features: Tensor
    condition: Tensor | None


class AddedByLevel(NamedTuple):
    """The same for all blocks at one resolution: on the way down, at the resolutions below, and on the way up."""

    down: list[Added]
    below: AddedByLevel | None
    up: list[Added]


class Block(nn.Module):
    """A gated residual block of both streams."""

    def __init__(self, width: int, fields: Mapping[str, Field], dropout: float, shortcut: bool) -> None:
        super().__init__()
        self.vertical = DownConv2d(2 * width, width, rows=2, reach=1)
        self.vertical_gate = DownConv2d(2 * width, 2 * width, rows=2, reach=1)
        self.vertical_to_horizontal = DownConv2d(2 * width, width)
        self.horizontal = RightConv2d(2 * width, width, above=1, left=1)
        self.horizontal_gate = RightConv2d(2 * width, 2 * width, above=1, left=1)
        self.vertical_shortcut = DownConv2d(2 * width, width) if shortcut else None
        self.horizontal_shortcut = RightConv2d(2 * width, width) if shortcut else None
        self.to_vertical = AddCondition(fields, 2 * width, maps=True)
        self.to_horizontal = AddCondition(fields, 2 * width, maps=True)
        self.dropout = nn.Dropout(dropout)

    def vertical_pass(
        self, v: Features, shortcut: Features | None, condition: Condition, memory: Memory | None
    ) -> tuple[Features, Added]:
        """The vertical stream, (N, p, H, W) or one row: its new features and what is added to the horizontal one."""
        found = self.vertical(v.phi, memory)
        if self.vertical_shortcut is not None and shortcut is not None:
            found = found + self.vertical_shortcut(shortcut.phi, memory)
        gated = self.to_vertical(self.vertical_gate(concat_elu(self.dropout(found)), memory), condition, memory)
        v = features(v.h + F.glu(gated, dim=1))
        of_condition = self.to_horizontal.everywhere(condition, (v.h.shape[2], v.h.shape[3]), memory)
        return v, Added(self.vertical_to_horizontal(v.phi, memory), of_condition)

    def horizontal_pass(self, h: Features, shortcut: Features | None, added: Added, memory: Memory | None) -> Features:
        """The horizontal stream, (N, p, H, W) or one pixel (N, p): its new features."""
        found = self.horizontal(h.phi, added.features, memory)
        if self.horizontal_shortcut is not None and shortcut is not None:
            found = found + self.horizontal_shortcut(shortcut.phi, memory=memory)
        gated = self.horizontal_gate(concat_elu(self.dropout(found)), added.condition, memory)
        return features(h.h + F.glu(gated, dim=1))


class Level(nn.Module):
    """Both streams at one resolution: blocks, a level at half the resolution, and blocks with short-cuts."""

    def __init__(
        self, width: int, blocks: int, fields: Mapping[str, Field], dropout: float, size: tuple[int, int], scales: int
    ) -> None:
        super().__init__()
        self.size = size
        self.down = nn.ModuleList(Block(width, fields, dropout, shortcut=False) for _ in range(blocks))
        self.below = None
        if scales == 1 or max(size) == 1:
            return
        self.shrink_down, self.shrink_right = ShrinkDown(width), ShrinkRight(width)
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        self.below = Level(width, blocks, fields, dropout, half, scales - 1)
        self.grow_down, self.grow_right = Grow(width), Grow(width)
        self.up = nn.ModuleList(Block(width, fields, dropout, shortcut=True) for _ in range(blocks))

    def vertical_pass(self, v: Features, condition: Condition, memory: Memory | None) -> tuple[Features, AddedByLevel]:
        """The vertical stream, (N, p, H, W) or one row."""
        shortcuts, down, up, below = [], [], [], None
        for block in cast(list[Block], self.down):
            v, added = block.vertical_pass(v, None, condition, memory)
            shortcuts.append(v)
            down.append(added)
        if self.below is None:
            return v, AddedByLevel(down, None, [])
        small = self.shrink_down(v.h, memory)
        if small is not None:
            inner, below = self.below.vertical_pass(features(small), condition, memory and memory.halved())
            small = inner.h
        v = features(self.grow_down(small, *self.size) if memory is None else self.grow_down.row(small, memory))
        for block in cast(list[Block], self.up):
            v, added = block.vertical_pass(v, shortcuts.pop(), condition, memory)
            up.append(added)
        return v, AddedByLevel(down, below, up)

    def horizontal_pass(self, h: Features, added: AddedByLevel, memory: Memory | None) -> Features:
        """The horizontal stream, (N, p, H, W) or one pixel (N, p)."""
        shortcuts = []
        for block, each in zip(cast(list[Block], self.down), added.down, strict=True):
            h = block.horizontal_pass(h, None, each, memory)
            shortcuts.append(h)
        if self.below is None:
            return h
        small = self.shrink_right(h.h, memory)
        if small is not None:
            assert added.below is not None
            small = self.below.horizontal_pass(features(small), added.below, memory and memory.halved()).h
        h = features(self.grow_right(small, *self.size) if memory is None else self.grow_right.pixel(small, memory))
        for block, each in zip(cast(list[Block], self.up), added.up, strict=True):
            h = block.horizontal_pass(h, shortcuts.pop(), each, memory)
        return h


@part("pixel-network", "pixelcnn++")
class PixelCNNPlusPlus:
    """Salimans et al. 2017, "PixelCNN++".

    Attributes:
        width: features of each stream.
        blocks: gated residual blocks of each stream at each resolution, on the way down and again on the way up.
        scales: resolutions, each half of the one before; no more of them than the image has.
        components: of the mixture of logistics; a binary image of one channel has a Bernoulli instead.
        dropout: share of the features within a block that is dropped in training.
    """

    width: int = 48
    blocks: int = 2
    scales: int = 3
    components: int = 5
    dropout: float = 0.3

    def __post_init__(self) -> None:
        within(1, width=self.width, blocks=self.blocks, scales=self.scales, components=self.components)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        return Streams(spec, self)


class Streams(PixelNetwork):
    """Both streams, and a mixture head."""

    def __init__(self, spec: DataSpec, part: PixelCNNPlusPlus) -> None:
        super().__init__(spec)
        (channels, *size), width = spec.shape, part.width
        self.head = pixel_head(spec, part.components)
        self.vertical = DownConv2d(channels, width, rows=2, reach=1)
        self.vertical_to_horizontal = DownConv2d(channels, width, reach=1)
        self.horizontal = RightConv2d(channels, width, above=1, left=1, strict=True)
        self.level = Level(width, part.blocks, spec.condition, part.dropout, (size[0], size[1]), part.scales)
        self.last = RightConv2d(2 * width, self.head.outputs)
        if isinstance(self.head, MixtureHead):
            self.head.spread(cast(Tensor, self.last.bias))

    def vertical_pass(
        self, image: Tensor, condition: Condition, memory: Memory | None = None
    ) -> tuple[Tensor, AddedByLevel]:
        v = features(self.vertical(image, memory))
        return self.vertical_to_horizontal(image, memory), self.level.vertical_pass(v, condition, memory)[1]

    def horizontal_pass(
        self, image: Tensor, added: tuple[Tensor, AddedByLevel], memory: Memory | None = None
    ) -> Tensor:
        first, blocks = added
        h = features(self.horizontal(image, first, memory))
        return self.last(self.level.horizontal_pass(h, blocks, memory).phi, memory=memory)
