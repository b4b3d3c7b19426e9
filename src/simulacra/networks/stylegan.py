r"""The style-based generator of 2019: a constant image, which styles recolour after every convolution.

    AdaIN(h, w) = (1 + a(w)) (h - μ(h)) / σ(h) + b(w),    μ and σ of each channel of each item

with a and b linear maps of the style of the layer; before it, noise is added to every pixel. Sizes double by the filter
[1, 3, 3, 1]. Sizes and growth are those of progressive growing, and so is its critic (with `smooth`).
Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", section 2.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.networks.generators import Generator
from simulacra.networks.growth import Grown, faded, widths
from simulacra.networks.images import refuse_unless_images
from simulacra.networks.styled import PixelNoise, StyledGenerator, Styles
from simulacra.nn import EqualConv2d, EqualLinear, doubled, leaky, precise
from simulacra.parts import above, part, share, within


class Restyle(nn.Module):
    """h (N, C, H, W) and w (N, D) -> noise, leaky ReLU and AdaIN of h."""

    def __init__(self, channels: int, size: tuple[int, int], latent: int) -> None:
        super().__init__()
        self.noise = PixelNoise(channels, size)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.style = EqualLinear(latent, 2 * channels)

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        return adain(leaky(self.noise(h) + self.bias.to(h.dtype)), self.style(w))


def adain(h: Tensor, style: Tensor) -> Tensor:
    """h (N, C, H, W) with mean b and standard deviation |1 + a| in each channel; style (N, 2C) holds a and b."""
    gain, mean = style[..., None, None].chunk(2, dim=1)
    variance, own = torch.var_mean(precise(h), (2, 3), correction=0, keepdim=True)
    normal = (precise(h) - own) * torch.rsqrt(variance + 1e-8)
    return ((1 + gain) * normal + mean).to(h.dtype)


class StyledConvs(nn.Module):
    """h (N, inputs, H, W) and w (N, 2, D) -> (N, outputs, 2H, 2W): doubled, then twice a convolution and a style."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], latent: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(EqualConv2d(count, outputs, 3, bias=False) for count in (inputs, outputs))
        self.styles = nn.ModuleList(Restyle(outputs, size, latent) for _ in range(2))

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        h = doubled(h)
        for number in range(2):
            h = self.styles[number](self.convs[number](h), w[:, number])
        return h


class Painting(Grown):
    """w (N, layers, D) -> x (N, C, H, W): two styles at each size."""

    def __init__(self, spec: DataSpec, latent: int, width: int, widest: int, grown: float) -> None:
        super().__init__(spec.shape, grown)
        channels, (first, *larger) = widths(len(self.sizes), width, widest), self.sizes
        self.layers = 2 * len(self.sizes)
        self.constant = nn.Parameter(torch.randn(channels[0], *first))  # of ones, AdaIN would leave nothing
        self.conv = EqualConv2d(channels[0], channels[0], 3, bias=False)
        self.restyle = nn.ModuleList(Restyle(channels[0], first, latent) for _ in range(2))
        pairs = itertools.pairwise(channels)
        self.up = nn.ModuleList(StyledConvs(*pair, size, latent) for pair, size in zip(pairs, larger, strict=True))
        self.images = nn.ModuleList(EqualConv2d(count, spec.shape[0], 1) for count in channels)

    def forward(self, w: Tensor) -> Tensor:
        level, alpha = self.level
        h = self.restyle[0](self.constant.expand(len(w), -1, -1, -1), w[:, 0])
        h = before = self.restyle[1](self.conv(h), w[:, 1])
        for number in range(level):
            h, before = self.up[number](h, w[:, 2 * number + 2 : 2 * number + 4]), h
        x = self.of_full_size(self.images[level](h), level)
        if alpha == 1:
            return x
        return faded(self.of_full_size(self.images[level - 1](before), level - 1), x, alpha)


@part("generator", "stylegan")
class StyleGenerator(Generator):
    """Codes become styles of the layers of a growing network; images from 8×8 up.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        mapping: layers from codes to styles.
        rate: of learning of these layers, in units of that of the others.
        mixing: the probability with which an item has styles of two codes in training.
        grown: the share of training after which images have their full size; 0: from the beginning.
    """

    width: int = 32
    widest: int = 256
    mapping: int = 8
    rate: float = 0.01
    mixing: float = 0.9
    grown: float = 0.5

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, mapping=self.mapping)
        within(0, 1, mixing=self.mixing)
        above(0, 1, rate=self.rate)
        share(grown=self.grown)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "stylegan")
        network = Painting(spec, latent, self.width, self.widest, self.grown)
        styles = Styles(spec.condition, latent, self.mapping, self.rate)
        return StyledGenerator(spec, latent, styles, network, network.layers, self.mixing)
