"""From a picture to a picture through residual blocks at a quarter of its size.

    conv 7×7, halved twice, blocks h + F(h), doubled twice, conv 7×7

Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", supplement; Zhu et al. 2017,
"Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 7.1. Norms are of an item by itself.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.generators import Generator
from simulacra.networks.translating import STYLE, Ending, Inputs, refuse_without_picture
from simulacra.nn import ConditionalGroupNorm, DoublingConv2d, padding
from simulacra.parts import part, within


class ResNet(nn.Module):
    """z (N, latent) and a condition with pictures -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: ResNetGenerator) -> None:
        super().__init__()
        count, width = part.halvings, part.width
        coarsest = -(-spec.shape[1] // 2**count), -(-spec.shape[2] // 2**count)
        self.padding = padding(spec.shape, count, coarsest)
        self.inputs = Inputs(spec, latent, (spec.shape[1], spec.shape[2]))
        self.first = _Normed(nn.Conv2d(self.inputs.count, width, 7, padding=3, bias=False), width)
        self.down = nn.ModuleList(
            _Normed(nn.Conv2d(width << k, width << k + 1, 4, stride=2, padding=1, bias=False), width << k + 1)
            for k in range(count)
        )
        self.blocks = nn.ModuleList(Residual(width << count) for _ in range(part.blocks))
        self.up = nn.ModuleList(
            _Normed(DoublingConv2d(width << k + 1, width << k, 3, bias=False), width << k)
            for k in reversed(range(count))
        )
        self.last = Ending(spec, width, 7)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        pictures, s = self.inputs(z, condition)
        h = self.first(F.pad(pictures, self.padding, mode="replicate"), s)
        for layer in (*self.down, *self.blocks, *self.up):
            h = layer(h, s)
        return self.last(h, condition)


class _Normed(nn.Module):
    """A convolution, a norm and a ReLU."""

    def __init__(self, conv: nn.Conv2d, width: int) -> None:
        super().__init__()
        self.conv, self.norm = conv, ConditionalGroupNorm(width, STYLE)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(h), s))


class Residual(nn.Module):
    """h + norm(conv(ReLU(norm(conv(h))))), (N, width, H, W)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = _Normed(nn.Conv2d(width, width, 3, padding=1, bias=False), width)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = ConditionalGroupNorm(width, STYLE)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        return h + self.norm(self.conv(self.enter(h, s)), s)


@part("generator", "resnet")
class ResNetGenerator(Generator):
    """From the pictures of the condition to x, through residual blocks at a fraction of its size.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        halvings: how often the sides are halved.
        blocks: residual blocks at the coarsest size.
    """

    width: int = 32
    halvings: int = 2
    blocks: int = 4

    def __post_init__(self) -> None:
        within(1, width=self.width, blocks=self.blocks)
        within(0, halvings=self.halvings)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_picture(spec, "resnet")
        return ResNet(spec, latent, self)
