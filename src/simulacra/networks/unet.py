"""U-Net: a picture halved down to a few pixels and doubled again, each size of the way down beside that of the way up.

    h_0 = conv(pictures),  h_k+1 = ReLU(norm(halved(h_k))),  g_k = ReLU(norm(conv([doubled(g_k+1), h_k])))

So detail passes by the bottleneck. Sizes that are not divisible are padded by their edges and cropped at the end;
pixels are doubled by repetition and convolved, since transposed convolutions leave a checkerboard.
Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation"; Isola et al. 2017,
"Image-to-Image Translation with Conditional Adversarial Networks", 3.2.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.blocks import widths
from simulacra.networks.generators import Generator
from simulacra.networks.translating import STYLE, Ending, Inputs, refuse_without_picture
from simulacra.nn import ConditionalGroupNorm, DoublingConv2d, halvings, padding
from simulacra.parts import part, within


class UNet(nn.Module):
    """z (N, latent) and a condition with pictures -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: UNetGenerator) -> None:
        super().__init__()
        count, coarsest = halvings(spec.shape)
        count = count if part.halvings is None else min(part.halvings, count)
        coarsest = -(-spec.shape[1] // 2**count), -(-spec.shape[2] // 2**count)
        self.padding = padding(spec.shape, count, coarsest)
        own = widths(part.width, part.widest, count)
        self.inputs = Inputs(spec, latent, (spec.shape[1], spec.shape[2]))
        self.first = nn.Conv2d(self.inputs.count, own[0], 3, padding=1)
        self.down = nn.ModuleList(_Down(own[k], own[k + 1]) for k in range(count))
        self.up = nn.ModuleList(_Up(own[k + 1], own[k]) for k in reversed(range(count)))
        self.last = Ending(spec, own[0])

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        pictures, s = self.inputs(z, condition)
        h = F.leaky_relu(self.first(F.pad(pictures, self.padding, mode="replicate")), 0.2)
        passed = []
        for down in self.down:
            passed.append(h)
            h = down(h, s)
        for up in self.up:
            h = up(h, passed.pop(), s)
        return self.last(h, condition)


class _Down(nn.Module):
    """(N, before, H, W) -> (N, after, H/2, W/2)"""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
        self.norm = ConditionalGroupNorm(after, STYLE)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(h), s), 0.2)


class _Up(nn.Module):
    """(N, before, H, W) and what passed by, (N, after, 2H, 2W) -> (N, after, 2H, 2W)"""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.doubled = DoublingConv2d(before, after, 3, bias=False)
        self.beside = nn.Conv2d(after, after, 3, padding=1, bias=False)  # the sum is one convolution of both
        self.norm = ConditionalGroupNorm(after, STYLE)

    def forward(self, h: Tensor, passed: Tensor, s: Tensor) -> Tensor:
        return F.relu(self.norm(self.doubled(h) + self.beside(passed), s))


@part("generator", "unet")
class UNetGenerator(Generator):
    """From the pictures of the condition to x, each size of the way down beside that of the way up.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        halvings: how often the sides are halved at most; without it down to 4 pixels.
    """

    width: int = 24
    widest: int = 128
    halvings: int | None = None

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, halvings=self.halvings)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_picture(spec, "unet")
        return UNet(spec, latent, self)
