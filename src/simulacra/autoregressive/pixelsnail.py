r"""PixelSNAIL: log p(x) = Σ_pixels log p(x_rc | pixels before it): local convolutions, and attention to all the past.

A block is a few gated residual layers, each a causal convolution that reads the pixel's own place, the one on its left
and the two above these, then attention to all earlier pixels, then a layer that merges what attention found:

    h <- h + a ⊙ σ(b),    (a, b) = W_2 * φ(W_1 * φ(h) + U φ(found)) + V c,    φ(h) = elu([h, -h]).

Keys and values are made of the features and of the pixel itself, queries of the features alone; to queries and keys an
embedding of their place is added. Attention leaves no blind spot, although a 2×2 window has one.
Chen, Mishra, Rohaninejad & Abbeel 2018, "PixelSNAIL", section 2 and figure 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import MixtureHead, pixel_head
from simulacra.autoregressive.pixels import PixelNetwork
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import AddCondition, CausalAttention, Features, Memory, RightConv2d, concat_elu, features
from simulacra.parts import part, share, within


class Layer(nn.Module):
    """A gated residual layer whose windows reach up and left by `reach`; `found` features of attention are merged."""

    def __init__(self, width: int, fields: Mapping[str, Field], dropout: float, reach: int, found: int = 0) -> None:
        super().__init__()
        self.look = RightConv2d(2 * width, width, above=reach, left=reach)
        self.gate = RightConv2d(2 * width, 2 * width, above=reach, left=reach)
        self.merge = RightConv2d(2 * found, width) if found else None
        self.condition = AddCondition(fields, 2 * width, maps=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Features, found: Tensor | None, added: Tensor | None, memory: Memory | None) -> Features:
        seen = self.look(h.phi, memory=memory)
        if self.merge is not None and found is not None:
            seen = seen + self.merge(concat_elu(found), memory=memory)
        return features(h.h + F.glu(self.gate(concat_elu(self.dropout(seen)), added, memory), dim=1))


class Block(nn.Module):
    """Layers, attention, and a layer that merges both."""

    def __init__(
        self,
        channels: int,
        width: int,
        layers: int,
        heads: int,
        size: tuple[int, int],
        fields: Mapping[str, Field],
        dropout: float,
    ) -> None:
        super().__init__()
        self.near = nn.ModuleList(Layer(width, fields, dropout, reach=1) for _ in range(layers))
        found = heads * max(1, width // (2 * heads))
        self.far = CausalAttention(2 * width, channels, found, heads, size)
        self.both = Layer(width, fields, dropout, reach=0, found=found)

    @property
    def layers(self) -> list[Layer]:
        """The convolutional ones, and the one that merges."""
        return [*cast(list[Layer], list(self.near)), self.both]

    def forward(self, h: Features, image: Tensor, added: list[Tensor | None], memory: Memory | None) -> Features:
        """image: the whole, or in a walk the pixel before the one that it stands at; added: to each layer's gates."""
        *near, last = added
        for layer, row in zip(self.near, near, strict=True):
            h = layer(h, None, row, memory)
        return self.both(h, self.far(h.phi, image, memory), last, memory)


@part("pixel-network", "pixelsnail")
class PixelSNAIL:
    """Chen et al. 2018, "PixelSNAIL".

    Attributes:
        width: features of every layer.
        blocks: blocks, each with one attention over all earlier pixels.
        layers: gated residual layers before each attention.
        heads: attention heads; they share half the width.
        components: of the mixture of logistics; a binary image of one channel has a Bernoulli instead.
        dropout: share of the features within a layer that is dropped in training.
    """

    width: int = 32
    blocks: int = 2
    layers: int = 3
    heads: int = 1
    components: int = 5
    dropout: float = 0.2

    def __post_init__(self) -> None:
        within(1, width=self.width, blocks=self.blocks, layers=self.layers, heads=self.heads)
        within(1, components=self.components)
        share(dropout=self.dropout)

    def build(self, spec: DataSpec) -> PixelNetwork:
        return AttentionBlocks(spec, self)


class AttentionBlocks(PixelNetwork):
    """A first window, blocks, and a mixture head."""

    def __init__(self, spec: DataSpec, part: PixelSNAIL) -> None:
        super().__init__(spec)
        (channels, height, across), width = spec.shape, part.width
        sizes = (channels, width, part.layers, part.heads, (height, across), spec.condition, part.dropout)
        self.head = pixel_head(spec, part.components)
        self.first = RightConv2d(channels, width, above=1, left=1, right=1, strict=True)
        self.stack = nn.ModuleList(Block(*sizes) for _ in range(part.blocks))
        self.last = RightConv2d(2 * width, self.head.outputs)
        if isinstance(self.head, MixtureHead):
            self.head.spread(cast(Tensor, self.last.bias))

    @property
    def blocks(self) -> list[Block]:
        return cast(list[Block], list(self.stack))

    def vertical_pass(
        self, image: Tensor, condition: Condition, memory: Memory | None = None
    ) -> list[list[Tensor | None]]:
        """The condition alone: the windows themselves reach into the row above."""
        size = (self.spec.shape[1], self.spec.shape[2])
        return [
            [layer.condition.everywhere(condition, size, memory) for layer in block.layers] for block in self.blocks
        ]

    def horizontal_pass(self, image: Tensor, added: list[list[Tensor | None]], memory: Memory | None = None) -> Tensor:
        h = features(self.first(image, memory=memory))
        known = image if memory is None else memory.previous
        for block, each in zip(self.blocks, added, strict=True):
            h = block(h, known, each, memory)
        return self.last(h.phi, memory=memory)
