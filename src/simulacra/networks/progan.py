r"""The networks of progressive growing: every size has two convolutions, and 1×1 ones to and from the image.

Codes are normalised to their direction, and so are the features of every pixel of the generator; the critic sees how
much the items of a batch differ; all layers have the equalised learning rate. Images come out of a linear map.
Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", table 2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.networks.critics import Critic, ProjectionHead
from simulacra.networks.generators import Generator
from simulacra.networks.growth import Grown, faded, widths
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import (
    BatchDeviation,
    EqualConv2d,
    EqualLinear,
    Vectors,
    conv_of_doubled,
    halved,
    leaky,
    pixel_norm,
)
from simulacra.parts import part, share, within


class Directions(nn.Module):
    """z and a vector of the same length for each field, each with mean square 1, (N, latent · (1 + fields))."""

    def __init__(self, fields: Mapping[str, Field], latent: int) -> None:
        super().__init__()
        self.vectors, self.outputs = Vectors(fields, latent), latent * (1 + len(fields))

    def forward(self, z: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([pixel_norm(each) for each in (z, *self.vectors(condition).values())], dim=1)


class TwoConvs(nn.Module):
    """h (N, inputs, H, W) -> (N, outputs, 2H, 2W): pixels repeated, then twice a convolution and the pixel norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([EqualConv2d(inputs, outputs, 3), EqualConv2d(outputs, outputs, 3)])

    def forward(self, h: Tensor) -> Tensor:
        first, second = self.convs
        assert isinstance(first, EqualConv2d)
        h = pixel_norm(leaky(conv_of_doubled(h, first.weight * first.weight_scale, first.bias)))
        return pixel_norm(leaky(second(h)))


class GrowingGenerator(Grown):
    """z (N, latent) -> x (N, C, H, W)."""

    def __init__(self, spec: DataSpec, latent: int, width: int, widest: int, grown: float) -> None:
        super().__init__(spec.shape, grown)
        channels = widths(len(self.sizes), width, widest)
        self.enter = Directions(spec.condition, latent)
        self.first = EqualLinear(self.enter.outputs, channels[0] * math.prod(self.sizes[0]))
        self.conv = EqualConv2d(channels[0], channels[0], 3)
        self.up = nn.ModuleList(TwoConvs(*pair) for pair in itertools.pairwise(channels))
        self.images = nn.ModuleList(EqualConv2d(count, spec.shape[0], 1) for count in channels)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        level, alpha = self.level
        h = self.first(self.enter(z, condition)).unflatten(1, (-1, *self.sizes[0]))
        h = before = pixel_norm(leaky(self.conv(pixel_norm(leaky(h)))))
        for up in list(self.up)[:level]:
            h, before = up(h), h
        x = self.of_full_size(self.images[level](h), level)
        if alpha == 1:
            return x
        return faded(self.of_full_size(self.images[level - 1](before), level - 1), x, alpha)


class Down(nn.Module):
    """h (N, inputs, 2H, 2W) -> (N, outputs, H, W): two convolutions, then means of 2×2 pixels, or a smoother filter."""

    def __init__(self, inputs: int, outputs: int, smooth: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList([EqualConv2d(inputs, inputs, 3), EqualConv2d(inputs, outputs, 3)])
        self.smooth = smooth

    def forward(self, h: Tensor) -> Tensor:
        for conv in self.convs:
            h = leaky(conv(h))
        return halved(h) if self.smooth else F.avg_pool2d(h, 2)


class Last(nn.Module):
    """h (N, width, H, W), the coarsest -> features (N, width), of mean square 1 / width.

    A linear head on them, whose weights are N(0, 1) in the beginning, has the equalised learning rate.
    """

    def __init__(self, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.deviation = BatchDeviation()
        self.conv = EqualConv2d(width + 1, width, 3)
        self.linear, self.outputs = EqualLinear(width * math.prod(size), width), width

    def forward(self, h: Tensor) -> Tensor:
        h = leaky(self.conv(self.deviation(h)))
        return leaky(self.linear(h.flatten(1))) / math.sqrt(self.outputs)


def initialise_head(module: nn.Module) -> None:
    """The head of features of mean square 1 / width: weights from N(0, 1), as those of embeddings are by themselves."""
    if isinstance(module, ProjectionHead):
        nn.init.normal_(module.score.weight)


class GrowingCritic(Grown):
    """x (N, C, H, W) -> features (N, outputs)."""

    def __init__(self, shape: Sequence[int], width: int, widest: int, smooth: bool, grown: float) -> None:
        super().__init__(shape, grown)
        channels = widths(len(self.sizes), width, widest)
        self.images = nn.ModuleList(EqualConv2d(shape[0], count, 1) for count in channels)
        self.down = nn.ModuleList(Down(after, before, smooth) for before, after in itertools.pairwise(channels))
        self.last, self.outputs = Last(channels[0], self.sizes[0]), channels[0]

    def initialise(self, module: nn.Module) -> None:
        initialise_head(module)

    def forward(self, x: Tensor) -> Tensor:
        level, alpha = self.level
        canvas = self.on_canvas(x)
        h = leaky(self.images[level](self.reduced(canvas, level)))
        for number in reversed(range(level)):
            h = self.down[number](h)
            if number == level - 1 and alpha < 1:
                h = faded(leaky(self.images[number](self.reduced(canvas, number))), h, alpha)
        return self.last(h)


@part("generator", "progan")
class ProGenerator(Generator):
    """Grows from 4×4; images from 8×8 up.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        grown: the share of training after which images have their full size; 0: from the beginning.
    """

    width: int = 32
    widest: int = 256
    grown: float = 0.5

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest)
        share(grown=self.grown)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "progan")
        return GrowingGenerator(spec, latent, self.width, self.widest, self.grown)


@part("critic", "progan")
class ProCritic(Critic):
    """Grows with the generator, and sees how much the items of a batch differ.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        smooth: whether features are filtered by [1, 3, 3, 1] before they are halved, instead of averaged over 2×2.
        grown: the share of training after which images have their full size; 0: from the beginning.
    """

    width: int = 32
    widest: int = 256
    smooth: bool = False
    grown: float = 0.5

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest)
        share(grown=self.grown)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "progan")
        return GrowingCritic(shape, self.width, self.widest, self.smooth, self.grown)
