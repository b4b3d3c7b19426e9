"""From a small picture to a large one: residual blocks at the small size, then each pixel is spread over 2×2.

    h = conv(picture),  h <- h + F(h) in blocks,  doubled: conv to four times the channels, shuffled into 2×2 pixels

Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", figure 4;
pixels are shuffled as in Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution".
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.generators import Generator
from simulacra.networks.resnet import Residual
from simulacra.networks.translating import Ending, Inputs, refuse_without_picture
from simulacra.nn import is_map, plain
from simulacra.parts import part, within


class Upscaling(nn.Module):
    """z (N, latent) and a condition with pictures -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: UpscalingGenerator) -> None:
        super().__init__()
        sides = [plain(field).shape[-2:] for field in spec.condition.values() if is_map(field)]  # pyright: ignore[reportAttributeAccessIssue]
        small = min(sides)
        count = math.ceil(math.log2(max(1, spec.shape[1] / small[0], spec.shape[2] / small[1])))
        if count == 0:
            raise UsageError(
                f"upscaling networks make a large picture of a small one, and none is smaller than {spec.shape[1]}×"
                f"{spec.shape[2]}: --condition down:factor=4, or take --generator unet"
            )
        self.inputs = Inputs(spec, latent, (small[0], small[1]))
        self.first = nn.Conv2d(self.inputs.count, part.width, 5, padding=2)
        self.blocks = nn.ModuleList(Residual(part.width) for _ in range(part.blocks))
        self.up = nn.ModuleList(nn.Conv2d(part.width, 4 * part.width, 3, padding=1) for _ in range(count))
        self.last = Ending(spec, part.width, 5)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        pictures, s = self.inputs(z, condition)
        h = first = F.relu(self.first(pictures))
        for block in self.blocks:
            h = block(h, s)
        h = h + first
        for conv in self.up:
            h = F.leaky_relu(F.pixel_shuffle(conv(h), 2), 0.2)
        return self.last(h, condition)


@part("generator", "upscaling")
class UpscalingGenerator(Generator):
    """From a small picture of the condition to x: residual blocks at its size, then doubled.

    Attributes:
        width: channels.
        blocks: residual blocks.
    """

    width: int = 64
    blocks: int = 6

    def __post_init__(self) -> None:
        within(1, width=self.width, blocks=self.blocks)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_picture(spec, "upscaling")
        return Upscaling(spec, latent, self)
