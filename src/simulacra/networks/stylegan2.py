r"""The networks of StyleGAN2: a style scales the *weights* of a convolution, and the scaled weights are normalised.

    w'_oik = s_i w_oik,    w''_oik = w'_oik / √(Σ_ik w'_oik² + ε),    s = a linear map of the style, 1 on average

for output o, input i and place k. Instead of a convolution with weights of each item, inputs are multiplied by s, and
outputs by d_o = 1 / √(Σ_i s_i² Σ_k w_oik² + ε), which is the same. The image is a sum of images of all sizes; the
critic's blocks are residual. Nothing grows.
Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", sections 2.2 and 4.1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.networks.critics import Critic
from simulacra.networks.generators import Generator
from simulacra.networks.growth import sizes_of, widths
from simulacra.networks.images import refuse_unless_images
from simulacra.networks.progan import Last, initialise_head
from simulacra.networks.styled import PixelNoise, StyledGenerator, Styles
from simulacra.nn import EqualConv2d, EqualLinear, doubled, filtered, halved, leaky, precise
from simulacra.parts import above, part, within

EPSILON = 1e-8


class ModulatedConv2d(nn.Module):
    """h (N, inputs, H, W) and w (N, D) -> (N, outputs, H, W), or with `double` (N, outputs, 2H, 2W).

    normalised: whether the scaled weights are normalised.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, latent: int, double: bool = False, normalised: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = EqualLinear(latent, inputs, bias=1.0)
        self.weight_scale = 1 / math.sqrt(inputs * kernel**2)
        self.doubles, self.normalised = double, normalised

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        s, weight = self.style(w), self.weight * self.weight_scale
        h = h * s[..., None, None].to(h.dtype)
        if self.doubles:  # zeros between the pixels, a convolution and the filter, whose gain makes up for the zeros
            h = 4 * filtered(F.pad(F.conv_transpose2d(h, weight.transpose(0, 1), stride=2), (1, 1, 1, 1)))
        else:
            h = F.conv2d(h, weight, padding=weight.shape[-1] // 2)
        return h * self._demodulation(s, weight)[..., None, None].to(h.dtype) if self.normalised else h

    def _demodulation(self, s: Tensor, weight: Tensor) -> Tensor:
        """d, (N, outputs)."""
        with without_autocast(s.device):
            return torch.rsqrt(precise(s).square() @ precise(weight).square().sum((2, 3)).T + EPSILON)


class StyledConv(nn.Module):
    """h and w -> a modulated convolution, noise, bias and leaky ReLU; `size` is that of the output."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], latent: int, double: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, latent, double)
        self.noise = PixelNoise(1, size)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        return leaky(self.noise(self.conv(h, w)) + self.bias.to(h.dtype))


class ToImage(nn.Module):
    """h and w -> an image, by a modulated 1×1 convolution."""

    def __init__(self, inputs: int, channels: int, latent: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, channels, 1, latent, normalised=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        return self.conv(h, w) + self.bias.to(h.dtype)


class Skipping(nn.Module):
    """w (N, layers, D) -> x (N, C, H, W): images of all sizes, each doubled and added to the next.

    The style number 0 is of the first convolution, 2k - 1 and 2k of those at size k, and 2k + 1 of the image there and
    of the convolution that doubles it.
    """

    def __init__(self, spec: DataSpec, latent: int, width: int, widest: int) -> None:
        super().__init__()
        first, *larger = sizes_of(spec.shape)
        channels = widths(1 + len(larger), width, widest)
        self.size, self.layers = spec.shape[1:], 2 * len(channels)
        self.constant = nn.Parameter(torch.randn(channels[0], *first))
        self.first = StyledConv(channels[0], channels[0], first, latent)
        pairs = list(zip(itertools.pairwise(channels), larger, strict=True))
        self.up = nn.ModuleList(StyledConv(*pair, size, latent, double=True) for pair, size in pairs)
        self.convs = nn.ModuleList(StyledConv(count, count, size, latent) for (_, count), size in pairs)
        self.images = nn.ModuleList(ToImage(count, spec.shape[0], latent) for count in channels)

    def forward(self, w: Tensor) -> Tensor:
        h = self.first(self.constant.expand(len(w), -1, -1, -1), w[:, 0])
        x = self.images[0](h, w[:, 1])
        for level in range(1, len(self.images)):
            h = self.up[level - 1](h, w[:, 2 * level - 1])
            h = self.convs[level - 1](h, w[:, 2 * level])
            x = doubled(x) + self.images[level](h, w[:, 2 * level + 1])
        return x[..., : self.size[0], : self.size[1]]


class ResidualDown(nn.Module):
    """h (N, inputs, 2H, 2W) -> (N, outputs, H, W): (two convolutions of h + a linear map of h) / √2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv2d(inputs, inputs, 3)
        self.second = EqualConv2d(inputs, outputs, 3, stride=2)
        self.beside = EqualConv2d(inputs, outputs, 1, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        own = leaky(self.second(filtered(F.pad(leaky(self.first(h)), (2, 2, 2, 2)))))
        return (own + self.beside(halved(h))) / math.sqrt(2)


class ResidualBody(nn.Module):
    """x (N, C, H, W) -> features (N, outputs)."""

    def __init__(self, shape: Sequence[int], width: int, widest: int) -> None:
        super().__init__()
        sizes = sizes_of(shape)
        channels = widths(len(sizes), width, widest)
        self.padding = (0, sizes[-1][1] - shape[2], 0, sizes[-1][0] - shape[1])
        self.image = EqualConv2d(shape[0], channels[-1], 1)
        self.down = nn.Sequential(
            *(ResidualDown(before, after) for before, after in itertools.pairwise(reversed(channels)))
        )
        self.last, self.outputs = Last(channels[0], sizes[0]), channels[0]

    def initialise(self, module: nn.Module) -> None:
        initialise_head(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.down(leaky(self.image(F.pad(x, self.padding, mode="replicate")))))


@part("generator", "stylegan2")
class Style2Generator(Generator):
    """Codes become styles that scale the weights of convolutions; images from 8×8 up.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        mapping: layers from codes to styles.
        rate: of learning of these layers, in units of that of the others.
        mixing: the probability with which an item has styles of two codes in training.
    """

    width: int = 32
    widest: int = 256
    mapping: int = 8
    rate: float = 0.01
    mixing: float = 0.9

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, mapping=self.mapping)
        within(0, 1, mixing=self.mixing)
        above(0, 1, rate=self.rate)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "stylegan2")
        network = Skipping(spec, latent, self.width, self.widest)
        styles = Styles(spec.condition, latent, self.mapping, self.rate)
        return StyledGenerator(spec, latent, styles, network, network.layers, self.mixing)


@part("critic", "stylegan2")
class Style2Critic(Critic):
    """Residual blocks, and a channel of how much the items of a batch differ.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
    """

    width: int = 32
    widest: int = 256

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "stylegan2")
        return ResidualBody(shape, self.width, self.widest)
